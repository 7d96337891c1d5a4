// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of blocks: mapping, and permissions of a block as a whole.
 *
 * A block of a shared pool is mapped writable and not executable, filled with
 * trapping bytes and then switched to its final permissions, all before anybody
 * knows its address. Since every page of the block is switched in one go, the
 * huge mapping and the huge page of the direct map stay intact, and the alias in
 * the direct map becomes read-only along with the block.
 *
 * Of the pool only the constant members are used here.
 */

#include <linux/nodemask.h>
#include <linux/pgtable.h>
#include <linux/set_memory.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "execmem_internal.h"

/* On a machine with less memory, shared pools begin with small blocks. */
#define SMALL_START_BELOW	(768UL * SZ_1M)

/**
 * struct execmem_attempt - what to ask vmalloc for
 * @size: in bytes
 * @align: in bytes
 * @huge: ask for huge pages
 * @best_effort: more than is needed, so do not invoke the OOM killer for it
 */
struct execmem_attempt {
	size_t size;
	size_t align;
	bool huge;
	bool best_effort;
};

#ifdef CONFIG_EXECMEM_HUGE
/* Is @addr mapped by a huge page? Asked where nobody changes the page table. */
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

/*
 * vmalloc falls back to base pages on its own, for want of huge ones but also
 * when somebody else holds the page table's lock. Look at what it really did.
 */
static bool block_is_huge(struct execmem_block *block)
{
	if (!(block->pool->range->flags & EXECMEM_HUGE) ||
	    !IS_ALIGNED(block->start | block->size, HUGE_BLOCK))
		return false;
	for (size_t offset = 0; offset < block->size; offset += HUGE_BLOCK)
		if (!is_mapped_huge(block->start + offset))
			return false;
	return true;
}

static unsigned long vmalloc_flags(struct execmem_pool *pool, bool huge)
{
	unsigned long flags = 0;

	/* Permissions of such memory are the caller's business until it is freed. */
	if (!pool->shared)
		flags |= VM_FLUSH_RESET_PERMS;
	/* A guard page behind 2 MB that have to be aligned would cost 2 MB. */
	if (huge)
		flags |= VM_ALLOW_HUGE_VMAP | VM_NO_GUARD;
	if (pool->range->flags & EXECMEM_KASAN_SHADOW)
		flags |= VM_DEFER_KMEMLEAK;
	return flags;
}

static void *map_range(struct execmem_block *block,
		       struct execmem_attempt *attempt, unsigned long start,
		       unsigned long end)
{
	struct execmem_pool *pool = block->pool;
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;
	int node = NUMA_NO_NODE;

	if (end - start < attempt->size)
		return NULL;
	/* What is not needed is welcome but not worth trying hard. */
	if (attempt->best_effort)
		gfp |= __GFP_NORETRY;
	/* Without a node vmalloc divides the size by their number. */
	if (attempt->huge)
		node = numa_mem_id();
	return __vmalloc_node_range(attempt->size, attempt->align, start, end,
				    gfp, pool->range->pgprot,
				    vmalloc_flags(pool, attempt->huge), node,
				    block->caller);
}

/* Map memory in the first of the type's address ranges that has room. */
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
	block->huge = block_is_huge(block);
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
 * vfree() makes memory ordinary again with one flush, but page by page, which is
 * what a huge page must not see.
 */
static bool vfree_resets(struct execmem_block *block)
{
	return !block->huge && block->reason != EXECMEM_SPLIT;
}

/* Make a block, which nobody uses any more, ordinary memory again. */
static int unprotect_block(struct execmem_block *block)
{
	int nr_pages = block->size >> PAGE_SHIFT;
	int err = 0;

	if (!block->pool->shared || vfree_resets(block))
		return 0;
	if (block->pool->range->flags & EXECMEM_EXEC)
		err = set_memory_nx(block->start, nr_pages);
	if (!err && block->pool->range->flags & EXECMEM_READONLY)
		err = set_memory_rw(block->start, nr_pages);
	return err;
}

static int protect_block(struct execmem_block *block)
{
	const struct execmem_range *range = block->pool->range;
	int nr_pages = block->size >> PAGE_SHIFT;
	void *start = (void *)block->start;

	if (range->trap)
		range->trap(start, block->size);
	else
		memset(start, 0, block->size);

	if (range->flags & EXECMEM_ROX && vfree_resets(block))
		set_vm_flush_reset_perms(start);
	if (range->flags & EXECMEM_EXEC)
		return set_memory_rox(block->start, nr_pages);
	if (range->flags & EXECMEM_READONLY)
		return set_memory_ro(block->start, nr_pages);
	return 0;
}

static bool finish_block(struct execmem_block *block)
{
	if (!block->pool->shared)
		return true;
	execmem_debug_map(block);
	if (!protect_block(block)) {
		/* Changing permissions may split mappings, so look again. */
		if (block->huge && !block_is_huge(block)) {
			block->huge = false;
			block->reason = EXECMEM_SPLIT;
		}
		execmem_debug_ready(block);
		return true;
	}
	if (!execmem_block_unmap(block))
		execmem_report("cannot reset permissions, %zu bytes leaked\n",
			       block->size);
	kvfree(block->starts);
	return false;
}

/* Smallest block worth the changes of permissions that each one costs */
static size_t small_block(const struct execmem_range *range)
{
	if (range->flags & EXECMEM_GUARD)
		return PAGE_SIZE;
	return max_t(size_t, range->granularity / 32, PAGE_SIZE);
}

static bool starts_small(const struct execmem_range *range)
{
	if (!(range->flags & EXECMEM_HUGE))
		return false;
	return range->flags & EXECMEM_START_SMALL ||
		totalram_pages() < SMALL_START_BELOW >> PAGE_SHIFT;
}

/*
 * How large a block to take when @size bytes are needed. Where memory is scarce,
 * the first blocks are 1/32 and 1/8 of a granule, so that a single program does
 * not cost 2 MB; once as much is in use, a granule is justified.
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
 * A shared pool asks for whole granules first, in huge pages if possible. Where
 * there is not so much, it makes do with less: a failed allocation would be
 * worse. Yet it takes more than one small chunk needs, since each block costs
 * changes of permissions.
 */
static bool map_shared(struct execmem_block *block, size_t size,
		       size_t reserved)
{
	const struct execmem_range *range = block->pool->range;
	size_t page_align = max_t(size_t, range->alignment,
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
		wanted.align = range->granularity;
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
 * @block: the block; its pool is set
 * @size: how many bytes are needed at least
 * @reserved: how many bytes the pool has in other blocks
 *
 * Context: Process context, may sleep.
 * Return: true and the rest of @block set, or false when there is no memory or
 *	address space
 */
bool execmem_block_map(struct execmem_block *block, size_t size,
		       size_t reserved)
{
	struct execmem_attempt pages = {
		.size = size,
		.align = block->pool->range->alignment,
	};
	bool mapped;

	might_sleep();
	mapped = block->pool->shared ? map_shared(block, size, reserved) :
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
 * @block: the block, without any chunk in use
 *
 * Context: Process context, may sleep.
 * Return: true, or false when the permissions could not be restored. Pages that
 *	are executable or read-only must not reach the page allocator, so they
 *	are leaked then.
 */
bool execmem_block_unmap(struct execmem_block *block)
{
	might_sleep();
	if (unprotect_block(block))
		return false;
	vfree((void *)block->start);
	return true;
}
