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

#include "internal.h"
#include "execmem_internal.h"

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

/* Are the first @size bytes of the block mapped by huge pages? */
static bool is_huge_up_to(struct execmem_block *block, size_t size)
{
	for (size_t offset = 0; offset < size; offset += HUGE_BLOCK)
		if (!is_mapped_huge(block->start + offset))
			return false;
	return true;
}

/**
 * execmem_block_is_huge - is a block mapped by huge pages only?
 * @block: a block that is mapped
 *
 * The page table may not take huge pages, if ptdump holds the mmap lock of
 * init_mm. Later, a change of permissions may split them. So this looks into the
 * page table.
 *
 * Context: Any. The block must not be unmapped concurrently.
 * Return: true if no part of it is mapped by base pages
 */
bool execmem_block_is_huge(struct execmem_block *block)
{
	if (!(block->pool->range->flags & EXECMEM_HUGE) ||
	    !IS_ALIGNED(block->start | block->size, HUGE_BLOCK))
		return false;
	return is_huge_up_to(block, block->size);
}

/* Map a block for one chunk of a type that is not shared. */
static void *map_range(struct execmem_block *block, size_t size, size_t align,
		       unsigned long start, unsigned long end)
{
	const struct execmem_range *range = block->pool->range;
	/* The caller may change permissions, so have vfree() reset them. */
	unsigned long flags = VM_FLUSH_RESET_PERMS;

	if (range->flags & EXECMEM_KASAN_SHADOW)
		flags |= VM_DEFER_KMEMLEAK;
	if (end - start < size)
		return NULL;
	return __vmalloc_node_range(size, align, start, end,
				    GFP_KERNEL | __GFP_NOWARN, range->pgprot,
				    flags, NUMA_NO_NODE, block->caller);
}

/**
 * execmem_block_map_own - map a block of a type that is not shared
 * @block: the block; its members pool and caller are set
 * @size: size in bytes
 * @align: alignment in bytes, a power of two
 *
 * Context: Process context, may sleep.
 * Return: true, or false if memory or addresses are exhausted
 */
bool execmem_block_map_own(struct execmem_block *block, size_t size,
			   size_t align)
{
	const struct execmem_range *range = block->pool->range;
	void *ptr;

	ptr = map_range(block, size, align, range->start, range->end);
	if (!ptr && range->fallback_start)
		ptr = map_range(block, size, align, range->fallback_start,
				range->fallback_end);
	if (!ptr)
		return false;
	block->start = (unsigned long)kasan_reset_tag(ptr);
	block->size = PAGE_ALIGN(size);
	block->room = block->size;
	if (range->flags & EXECMEM_KASAN_SHADOW &&
	    kasan_alloc_module_shadow(ptr, block->size, GFP_KERNEL)) {
		vfree(ptr);
		return false;
	}
	return true;
}

/**
 * execmem_block_reserve - reserve addresses for a block of a shared type
 * @block: the block; its members pool, caller, room and huge are set
 * @align: alignment in bytes, a power of two, at least a page
 * @start: first address that may be used
 * @end: end of the addresses that may be used (exclusive)
 *
 * Context: Process context, may sleep.
 * Return: true, or false if there are not enough addresses
 */
bool execmem_block_reserve(struct execmem_block *block, size_t align,
			   unsigned long start, unsigned long end)
{
	/*
	 * The next huge block has to be aligned to 2 MB. A guard page between
	 * them would waste 2 MB of addresses.
	 */
	unsigned long flags = block->huge ? VM_NO_GUARD : 0;

	if (start >= end || end - start < block->room)
		return false;
	block->area = vm_area_reserve(block->room, align, flags, start, end,
				      block->caller);
	if (!block->area)
		return false;
	block->start = (unsigned long)block->area->addr;
	if (block->pool->range->flags & EXECMEM_KASAN_SHADOW &&
	    kasan_alloc_module_shadow(block->area->addr, block->room,
				      GFP_KERNEL)) {
		execmem_block_release(block);
		return false;
	}
	return true;
}

/**
 * execmem_block_release - free the addresses of a block without pages
 * @block: the block
 *
 * Context: Process context, may sleep.
 */
void execmem_block_release(struct execmem_block *block)
{
	vfree((void *)block->start);
	block->area = NULL;
}

/*
 * In what units are @size bytes more allocated? Pages that are sealed are
 * contiguous, see whole_block() in mm/execmem_grow.c, unless they are only a
 * part of a block, since memory is short. They are mapped by base pages, so the
 * unit is less than a huge page.
 */
static unsigned int alloc_shift(struct execmem_block *block, size_t size,
				bool best_effort)
{
	if (block->huge)
		return ilog2(HUGE_BLOCK);
	if (block->pool->range->seal && best_effort && size == block->room)
		return min_t(unsigned int, __ffs(size), ilog2(SZ_1M));
	return PAGE_SHIFT;
}

/* Map @size bytes more, by huge pages if the block is to have them. */
static bool add_pages(struct execmem_block *block, size_t size, bool best_effort)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;

	/*
	 * Less would do, so do not retry reclaim or invoke the OOM killer.
	 */
	if (best_effort)
		gfp |= __GFP_NORETRY;
	return vm_area_populate(block->area, size >> PAGE_SHIFT,
				alloc_shift(block, size, best_effort), gfp,
				block->pool->range->pgprot,
				block->huge ? numa_mem_id() : NUMA_NO_NODE);
}

/*
 * Fill new memory of a shared pool and give it its final permissions. Returns 0
 * or an error; then a part of it may have its final permissions.
 *
 * Tell vfree() to reset them. It unmaps the block, then makes the direct map
 * invalid, flushes once, and makes the direct map writable. So no CPU can use
 * an old permission when the pages reach the page allocator. All page tables
 * that this needs exist since the permissions were set, so it does not fail.
 * Pages that a seal hook made read-only become writable again without a flush;
 * the flush of vfree() is for these, too.
 */
static int protect_pages(struct execmem_block *block, unsigned long addr,
			 size_t size)
{
	const struct execmem_range *range = block->pool->range;
	int nr_pages = size >> PAGE_SHIFT;
	void *start = (void *)addr;

	if (range->trap)
		range->trap(start, size);
	else
		memset(start, 0, size);

	if (range->flags & EXECMEM_ROX || range->seal)
		set_vm_flush_reset_perms((void *)block->start);
	if (range->flags & EXECMEM_EXEC)
		return set_memory_rox(addr, nr_pages);
	if (range->flags & EXECMEM_READONLY)
		return set_memory_ro(addr, nr_pages);
	if (range->prepare_seal)
		return range->prepare_seal(start, size);
	return 0;
}

static void check_if_huge(struct execmem_block *block, size_t size,
			  enum execmem_reason reason)
{
	if (!block->huge || is_huge_up_to(block, size))
		return;
	block->huge = false;
	block->reason = reason;
}

/**
 * execmem_block_populate - map memory after that which a block has
 * @block: the block; its addresses are reserved. The caller adds @size to its
 *	size afterwards.
 * @size: size in bytes, a multiple of the page size; at most what is left of the
 *	addresses
 * @best_effort: the caller can do with less
 *
 * The memory has its final contents and permissions. Only pages that no chunk
 * was in before are changed, so this may be called for a block in use.
 *
 * Context: Process context, may sleep and flush TLBs on all CPUs.
 * Return: 0; -ENOMEM if there is no memory, and nothing was mapped; -EPERM if
 *	the permissions cannot be set. Then the pages can only be given back
 *	together with the block.
 */
int execmem_block_populate(struct execmem_block *block, size_t size,
			   bool best_effort)
{
	unsigned long start = block->start + block->size;
	bool first = !block->size;

	might_sleep();
	if (!add_pages(block, size, best_effort))
		return -ENOMEM;
	/* The page table may not have taken huge pages. */
	if (first)
		check_if_huge(block, size, EXECMEM_NOT_HUGE);
	if (protect_pages(block, start, size))
		return -EPERM;
	/* Changing permissions may have split them. */
	if (first)
		check_if_huge(block, size, EXECMEM_SPLIT);
	execmem_debug_ready(block, start, size);
	return 0;
}

/**
 * execmem_block_unmap - give the memory of a block back
 * @block: a block without chunks in use
 *
 * vfree() resets the permissions, see protect_pages().
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
 * execmem_pages_referenced - does somebody refer to pages in a range of addresses?
 * @start: first address, in a block
 * @size: size in bytes
 *
 * The block has one reference to each of its pages. All others belong to
 * somebody who got the page from its owner, for example to a pipe or a socket,
 * or to a page table of user space. If there are none, only a lookup by the
 * address could make a new one, and the owner does not use its address any more.
 * A page that is partly in the range counts, since it is not known to which part
 * of it somebody refers.
 *
 * What memory failure refers to is left out: its pages are not used again in any
 * case, see execmem_pages_poisoned().
 *
 * Context: Any. The block must not be unmapped concurrently. If the answer is
 *	false, all accesses by those who dropped their references come before
 *	writes of the caller.
 * Return: true if somebody refers to one of the pages
 */
bool execmem_pages_referenced(unsigned long start, size_t size)
{
	for (unsigned long addr = start & PAGE_MASK; addr < start + size;
	     addr += PAGE_SIZE) {
		struct page *page = vmalloc_to_page((void *)addr);

		if (page && page_ref_count(page) > 1 && !PageHWPoison(page))
			return true;
	}
	/* Dropping a reference is a full barrier, too. */
	smp_mb();
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
	unsigned long end = block->start + READ_ONCE(block->size);

	for (unsigned long addr = max(from, block->start); addr < end;
	     addr += PAGE_SIZE) {
		struct page *page = vmalloc_to_page((void *)addr);

		if (page && page_to_pfn(page) - pfn < nr)
			return addr;
	}
	return 0;
}
