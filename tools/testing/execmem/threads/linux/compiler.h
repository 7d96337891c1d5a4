/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXECMEM_THREADS_COMPILER_H
#define _EXECMEM_THREADS_COMPILER_H

#include_next <linux/compiler.h>
#include "../weak.h"

/* Marked accesses go through the model of memory, see weak.c. */
#undef READ_ONCE
#undef WRITE_ONCE
#define READ_ONCE(_x)							\
	((typeof(_x))(uintptr_t)weak_load(&(_x), sizeof(_x), WEAK_RELAXED))
#define WRITE_ONCE(_x, _val)						\
	weak_write(&(_x), sizeof(_x), (uintptr_t)(_val), WEAK_RELAXED)

#define smp_load_acquire(_p)						\
	((typeof(*(_p)))(uintptr_t)weak_load(_p, sizeof(*(_p)), WEAK_ORDERED))
#define smp_store_release(_p, _val)					\
	weak_write(_p, sizeof(*(_p)), (uintptr_t)(_val), WEAK_ORDERED)

#endif /* _EXECMEM_THREADS_COMPILER_H */
