/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXECMEM_TEST_TABLES_H
#define _EXECMEM_TEST_TABLES_H

#include "backing.h"

/* What the architecture describes; NULL when it has no hook */
extern struct execmem_info *arch_table;

/* Two versions of the table: many small blocks, or huge ones */
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
