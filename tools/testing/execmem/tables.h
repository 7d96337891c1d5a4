/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXECMEM_TEST_TABLES_H
#define _EXECMEM_TEST_TABLES_H

#include "backing.h"

/*
 * Table that execmem_arch_setup() returns; NULL for an architecture without one
 */
extern struct execmem_info *arch_table;

/* Two tables: one with many small blocks, one with huge blocks */
enum scale {
	SMALL,
	LARGE,
};

struct execmem_range shared_range(size_t offset, size_t size,
				  unsigned int granularity);
struct execmem_info *mixed_table(enum scale scale);
bool is_merged(enum execmem_type type);
bool wants_flush(enum execmem_type type);

#endif /* _EXECMEM_TEST_TABLES_H */
