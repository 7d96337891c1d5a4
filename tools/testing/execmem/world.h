/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXECMEM_TEST_WORLD_H
#define _EXECMEM_TEST_WORLD_H

#include "model.h"

/* Reset the allocator to its state before boot, and free all memory. */
void world_start(u64 seed);

/* Expect that all memory and all structures were given back. */
void world_end(void);

/* Number of errors that were reported since the last call */
unsigned long take_reports(void);

#endif /* _EXECMEM_TEST_WORLD_H */
