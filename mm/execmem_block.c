// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping of blocks, and their permissions.
 *
 * A block of a shared pool is mapped writable and not executable. It is filled
 * with trapping instructions, and then gets its final permissions, before any
 * caller knows its address. The permissions are set for the whole block by one
 * call, so its huge page and that of the direct map are not split. The alias in
 * the direct map becomes read-only together with the block.
 *
 * This file uses only the constant members of a pool.
 */

#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/pgtable.h>
#include <linux/set_memory.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "execmem_internal.h"

/*
 * On machines with less memory, shared pools start with small blocks: one huge
 * page for a single BPF program would be a noticeable part of it.
 */
#define SMALL_START_BELOW	(768UL * SZ_1M)

/**
 * struct execmem_attempt - parameters of one attempt to map a block
 * @size: size in bytes
 * @align: alignment in bytes
 * @huge: ask for huge pages
 * @best_effort: a smaller block would do, so do not invoke the OOM killer
 *
 * Local to the task that adds the block.
 */
struct execmem_attempt {
	size_t size;
	size_t align;
	bool huge;
	bool best_effort;
};

#ifdef CONFIG_EXECMEM_HUGE
/*
 * Is @addr mapped by a huge page? No lock is needed: a huge page may be split
 * concurrently, but its block is not unmapped.
 */
static bool is_mapped_huge(unsigned long addr)
{
	pgd_t *pgd = pgd_offset_k(addr);
	p4d_t *p4d = p4d_offset(pgd, addr);
	pud_t *pud = pud_offset(p4d, addr);

	if (pud_leaf(pudp_get(pud)))
		return true;
	return pmd_leaf(pmdp_get(pmd_offset(pud, addr)));
}
#else
static bool is_mapped_huge(unsigned long addr)
{
	return false;
}
#endif

/**
 * execmem_block_is_huge - is a block mapped by huge pages only?
 * @block: a block that is mapped
 *
 * vmalloc may use base pages although huge pages were requested: if none are
 * free, or if ptdump holds the mmap lock of init_mm. Later, a change of
 * permissions may split huge pages. So this looks into the page table.
 *
 * Context: Any. The block must not be unmapped concurrently.
 * Return: true if no part of it is mapped by base pages
 */
bool execmem_block_is_huge(struct execmem_block *block)
{
	if (!(block->pool->range->flags & EXECMEM_HUGE) ||
	    !IS_ALIGNED(block->start | block->size, HUGE_BLOCK))
		return false;
	for (size_t offset = 0; offset < block->size; offset += HUGE_BLOCK)
		if (!is_mapped_huge(block->start + offset))
			return false;
	return true;
}

/* Flags for __vmalloc_node_range() */
static unsigned long vmalloc_flags(struct execmem_pool *pool, bool huge)
{
	unsigned long flags = 0;

	/* The caller may change permissions, so have vfree() reset them. */
	if (!pool->shared)
		flags |= VM_FLUSH_RESET_PERMS;
	/*
	 * The next huge block has to be aligned to 2 MB. A guard page between
	 * them would waste 2 MB of addresses.
	 */
	if (huge)
		flags |= VM_ALLOW_HUGE_VMAP | VM_NO_GUARD;
	if (pool->range->flags & EXECMEM_KASAN_SHADOW)
		flags |= VM_DEFER_KMEMLEAK;
	return flags;
}

/* Map a block between @start and @end. Returns its address or %NULL. */
static void *map_range(struct execmem_block *block,
		       struct execmem_attempt *attempt, unsigned long start,
		       unsigned long end)
{
	struct execmem_pool *pool = block->pool;
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;
	int node = NUMA_NO_NODE;

	if (end - start < attempt->size)
		return NULL;
	/*
	 * A smaller block would do, so do not retry reclaim or invoke the OOM
	 * killer.
	 */
	if (attempt->best_effort)
		gfp |= __GFP_NORETRY;
	/*
	 * Without a node, vmalloc divides the size by the number of nodes, and
	 * uses base pages if the result is less than a huge page.
	 */
	if (attempt->huge)
		node = numa_mem_id();
	return __vmalloc_node_range(attempt->size, attempt->align, start, end,
				    gfp, pool->range->pgprot,
				    vmalloc_flags(pool, attempt->huge), node,
				    block->caller);
}

/*
 * Map a block at the type's random hint or after it, or else anywhere in the
 * type's range, or else in its second range.
 */
static bool map_pages(struct execmem_block *block,
		      struct execmem_attempt *attempt)
{
	const struct execmem_range *range = block->pool->range;
	void *ptr = NULL;

	if (block->pool->hint != range->start)
		ptr = map_range(block, attempt, block->pool->hint, range->end);
	if (!ptr)
		ptr = map_range(block, attempt, range->start, range->end);
	if (!ptr && range->fallback_start)
		ptr = map_range(block, attempt, range->fallback_start,
				range->fallback_end);
	if (!ptr)
		return false;

	block->start = (unsigned long)kasan_reset_tag(ptr);
	block->size = PAGE_ALIGN(attempt->size);
	block->huge = execmem_block_is_huge(block);
	if (range->flags & EXECMEM_KASAN_SHADOW &&
	    kasan_alloc_module_shadow(ptr, block->size, GFP_KERNEL)) {
		vfree(ptr);
		return false;
	}
	if (attempt->huge && !block->huge)
		block->reason = EXECMEM_NOT_HUGE;
	return true;
}

/*
 * Fill a new block of a shared pool and give it its final permissions. Returns
 * 0 or an error; then a part of the block may have its final permissions.
 *
 * Tell vfree() to reset them. It unmaps the block, then makes the direct map
 * invalid, flushes once, and makes the direct map writable. So no CPU can use
 * an old permission when the pages reach the page allocator. All page tables
 * that this needs exist since the permissions were set, so it does not fail.
 * A seal hook makes single pages read-only, and leaves the flush for when they
 * become writable again to vfree(), too.
 */
static int protect_block(struct execmem_block *block)
{
	const struct execmem_range *range = block->pool->range;
	int nr_pages = block->size >> PAGE_SHIFT;
	void *start = (void *)block->start;

	if (range->trap)
		range->trap(start, block->size);
	else
		memset(start, 0, block->size);

	if (range->flags & EXECMEM_ROX || range->seal)
		set_vm_flush_reset_perms(start);
	if (range->flags & EXECMEM_EXEC)
		return set_memory_rox(block->start, nr_pages);
	if (range->flags & EXECMEM_READONLY)
		return set_memory_ro(block->start, nr_pages);
	return 0;
}

/*
 * Prepare a new block for its first chunk. On failure, the block is unmapped.
 */
static bool finish_block(struct execmem_block *block)
{
	if (!block->pool->shared)
		return true;
	execmem_debug_map(block);
	if (!protect_block(block)) {
		/* Changing permissions may have split the mapping. */
		if (block->huge && !execmem_block_is_huge(block)) {
			block->huge = false;
			block->reason = EXECMEM_SPLIT;
		}
		execmem_debug_ready(block);
		return true;
	}
	execmem_block_unmap(block);
	kvfree(block->starts);
	return false;
}

/* Smallest block: smaller ones would change permissions too often. */
static size_t small_block(const struct execmem_range *range)
{
	if (range->flags & EXECMEM_GUARD)
		return PAGE_SIZE;
	return max_t(size_t, range->granularity / 32, PAGE_SIZE);
}

/* Does a type start with small blocks? Without huge pages it never does. */
static bool starts_small(const struct execmem_range *range)
{
	if (!(range->flags & EXECMEM_HUGE))
		return false;
	return range->flags & EXECMEM_START_SMALL ||
		totalram_pages() < SMALL_START_BELOW >> PAGE_SHIFT;
}

/*
 * Size of the block to ask for if @size bytes are needed and the pool has
 * @reserved bytes already. Usually this is the granularity. If the type starts
 * small, the first blocks have 1/32 and 1/8 of it, so that a single program
 * does not reserve 2 MB. If this is more than half of the granularity, the
 * granularity is used.
 */
static size_t block_size(struct execmem_block *block, size_t size,
			 size_t reserved)
{
	const struct execmem_range *range = block->pool->range;
	size_t small = small_block(range);
	size_t wanted = max(size, 4 * reserved);

	if (range->flags & EXECMEM_GUARD)
		return PAGE_ALIGN(size);
	if (!starts_small(range) || wanted > range->granularity / 2)
		return round_up(size, range->granularity);
	block->reason = EXECMEM_SMALL_START;
	return round_up(wanted, small);
}

/*
 * Map a block of a shared pool: with huge pages if the type asks for them, or
 * else the same size with base pages, or else as little as the request needs.
 * The last one is rounded up to small_block(), since adding and giving back a
 * block flushes TLBs.
 */
static bool map_shared(struct execmem_block *block, size_t size, size_t align,
		       size_t reserved)
{
	const struct execmem_range *range = block->pool->range;
	size_t page_align = max_t(size_t, align,
				  range->flags & EXECMEM_KASAN_SHADOW ?
				  MODULE_ALIGN : PAGE_SIZE);
	struct execmem_attempt wanted = {
		.size = block_size(block, size, reserved),
		.align = page_align,
	};
	struct execmem_attempt pages = {
		.size = round_up(size, small_block(range)),
		.align = page_align,
	};

	if (range->flags & EXECMEM_HUGE &&
	    block->reason == EXECMEM_AS_REQUESTED) {
		wanted.align = max_t(size_t, align, range->granularity);
		wanted.huge = true;
	}
	wanted.best_effort = wanted.huge || wanted.size > pages.size;
	if (map_pages(block, &wanted))
		return true;
	if (wanted.huge) {
		wanted.huge = false;
		wanted.best_effort = wanted.size > pages.size;
		block->reason = EXECMEM_NOT_HUGE;
		if (map_pages(block, &wanted))
			return true;
	}
	block->reason = EXECMEM_NO_ROOM;
	return map_pages(block, &pages);
}

/**
 * execmem_block_map - map memory for a new block
 * @block: the block; its members pool and caller are set
 * @size: number of bytes that are needed at least
 * @align: alignment of the first address in bytes, a power of two. If it is
 *	smaller than the type's alignment or a page, the larger one is used.
 * @reserved: number of bytes in the other blocks of the pool
 *
 * Context: Process context, may sleep and flush TLBs on all CPUs.
 * Return: true if the block is mapped and has its final permissions, or false
 *	if memory or addresses are exhausted or the permissions cannot be set
 */
bool execmem_block_map(struct execmem_block *block, size_t size, size_t align,
		       size_t reserved)
{
	struct execmem_attempt pages = {
		.size = size,
		.align = max_t(size_t, align, block->pool->range->alignment),
	};
	bool mapped;

	might_sleep();
	mapped = block->pool->shared ? map_shared(block, size, align, reserved) :
				       map_pages(block, &pages);
	if (!mapped)
		return false;
	if (!execmem_marks_alloc(block)) {
		vfree((void *)block->start);
		return false;
	}
	return finish_block(block);
}

/**
 * execmem_block_unmap - give the memory of a block back
 * @block: a block without chunks in use
 *
 * vfree() resets the permissions, see protect_block().
 *
 * Context: Process context, may sleep and flush TLBs on all CPUs, once.
 */
void execmem_block_unmap(struct execmem_block *block)
{
	might_sleep();
	vfree((void *)block->start);
}

/**
 * execmem_pages_poisoned - did memory fail in a range of addresses?
 * @start: first address, in a block
 * @size: size in bytes
 *
 * Memory failure cannot migrate or drop these pages. It marks them, and may
 * remove them from the direct map.
 *
 * Context: Any. The block must not be unmapped concurrently.
 * Return: true if one of the pages is marked as failed
 */
bool execmem_pages_poisoned(unsigned long start, size_t size)
{
	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE) ||
	    likely(!atomic_long_read(&num_poisoned_pages)))
		return false;

	for (unsigned long addr = start & PAGE_MASK; addr < start + size;
	     addr += PAGE_SIZE) {
		struct page *page = vmalloc_to_page((void *)addr);

		if (page && PageHWPoison(page))
			return true;
	}
	return false;
}

/**
 * execmem_block_find_page - find a page of a block by its number
 * @block: a block that is mapped
 * @from: address to start from
 * @pfn: number of the first page that is looked for
 * @nr: how many pages are looked for
 *
 * Context: Any. The block must not be unmapped concurrently.
 * Return: the lowest address, not below @from, of one of these pages, or 0
 */
unsigned long execmem_block_find_page(struct execmem_block *block,
				      unsigned long from, unsigned long pfn,
				      unsigned long nr)
{
	unsigned long end = block->start + block->size;

	for (unsigned long addr = max(from, block->start); addr < end;
	     addr += PAGE_SIZE) {
		struct page *page = vmalloc_to_page((void *)addr);

		if (page && page_to_pfn(page) - pfn < nr)
			return addr;
	}
	return 0;
}
