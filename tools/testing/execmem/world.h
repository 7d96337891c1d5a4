/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXECMEM_TEST_WORLD_H
#define _EXECMEM_TEST_WORLD_H

#include "model.h"

/* Begin with an allocator that is not set up and memory that nobody uses. */
void world_start(u64 seed);

/* Expect that everything was given back. */
void world_end(void);

/* Take the number of mistakes that were reported since the last call. */
unsigned long take_reports(void);

#endif /* _EXECMEM_TEST_WORLD_H */
