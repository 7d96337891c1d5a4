// SPDX-License-Identifier: GPL-2.0
/*
 * Tables of fictitious architectures.
 */

#include "tables.h"

struct execmem_info *arch_table;

struct execmem_info *execmem_arch_setup(void)
{
	return arch_table;
}

/*
 * A type for text in huge blocks, at @offset in the address space of the test
 */
struct execmem_range shared_range(size_t offset, size_t size,
				  unsigned int granularity)
{
	return (struct execmem_range) {
		.start = vmalloc_start + offset,
		.end = vmalloc_start + offset + size,
		.pgprot = PAGE_KERNEL,
		.alignment = 64,
		.granularity = granularity,
		.flags = EXECMEM_ROX | EXECMEM_HUGE,
		.fill = hook_fill,
		.fill_locked = hook_fill_locked,
		.invalidate = hook_invalidate,
		.trap = hook_trap,
		.restore = hook_restore,
	};
}

/* A type with two small address ranges, base pages and no hooks */
static struct execmem_range plain_range(size_t offset, size_t size)
{
	struct execmem_range range = shared_range(offset, size, SZ_64K);

	range.fallback_start = range.end + SZ_1M;
	range.fallback_end = range.fallback_start + size;
	range.alignment = 256;
	range.flags = 0;
	range.fill = NULL;
	range.invalidate = NULL;
	range.trap = NULL;
	range.restore = NULL;
	return range;
}

/* All kinds of types: huge, randomized, merged, two ranges, not shared */
struct execmem_info *mixed_table(enum scale scale)
{
	static struct execmem_info info;
	size_t granule = scale == SMALL ? SZ_64K : SZ_2M;
	size_t size = scale == SMALL ? SZ_4M : SZ_64M;
	size_t plain = scale == SMALL ? SZ_256K : SZ_1M;
	struct execmem_range *r = info.ranges;

	info = (struct execmem_info) {};
	r[EXECMEM_MODULE_TEXT] = shared_range(0, size, granule);
	r[EXECMEM_BPF] = shared_range(size, size, granule);
	r[EXECMEM_BPF].flags |= EXECMEM_RANDOMIZE;
	r[EXECMEM_FTRACE] = plain_range(2 * size, plain);
	r[EXECMEM_MODULE_DATA] = plain_range(3 * size, size);
	r[EXECMEM_MODULE_DATA].alignment = PAGE_SIZE;
	r[EXECMEM_MODULE_DATA].granularity = 0;
	r[EXECMEM_KPROBES] = (struct execmem_range) {
		.flags = EXECMEM_MERGE | EXECMEM_FLUSH_PREDICTORS,
		.mapto = EXECMEM_MODULE_TEXT,
	};
	return &info;
}

bool is_merged(enum execmem_type type)
{
	return arch_table->ranges[type].flags & EXECMEM_MERGE;
}

bool wants_flush(enum execmem_type type)
{
	return arch_table->ranges[type].flags & EXECMEM_FLUSH_PREDICTORS;
}
