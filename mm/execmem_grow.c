// SPDX-License-Identifier: GPL-2.0
/*
 * How much memory a pool gets when it has no free chunk for a request, and at
 * which addresses.
 *
 * Where huge pages are used, a pool grows by whole huge pages if they will be
 * used. If not, it gets base pages: a block that reserves the addresses of a
 * whole one, starts with a 32nd of it, and is enlarged in place, which doubles
 * it each time. Where huge pages are not used, a whole block is mapped if there
 * is memory. A huge page is taken
 *
 * - if the memory that all pools have and do not use stays below a share of the
 *   machine's memory (UNUSED_SHARE). It counts half of the new block, since a
 *   block is half full on average;
 * - or if the pool has a part of a block (MIN_USED) already, and needs more;
 * - or if the request takes more than half of it;
 * - or if the type has EXECMEM_START_HUGE, for tests.
 *
 * It is not taken for a chunk that has too few places in it, see has_places().
 *
 * Huge blocks are placed below all blocks of base pages. Since the lowest free
 * chunk is used first, chunks move from base pages to huge pages as they are
 * replaced, and the blocks of base pages become empty.
 *
 * Mapping can fail for lack of memory or of addresses. Addresses are looked for
 * first, in all address ranges, so memory is tried for three times at
 * most: a huge page, twice the size of the block, then as little as the request
 * needs.
 *
 * Functions are called with the pool's grow_lock held if it is shared.
 */

#include "execmem_internal.h"

/* Unused memory that the pools may have, as a divisor of the machine's memory */
#define UNUSED_SHARE	1536

/* A pool that has this part of a block, and needs more, gets huge pages. */
#define MIN_USED	8

/*
 * A new block of a type with a seal hook has this many times the memory of the
 * pool, but at most SEALED_MAX, which is less than a huge page.
 */
#define SEALED_GROWTH	4
#define SEALED_MAX	((size_t)SZ_1M)

/* A block of base pages starts with this part of a whole block. */
#define FIRST_PART	32

/* The part of the address range that is for blocks of base pages */
#define BASE_PART	8

/* The pools of all types, for the memory that they do not use */
static struct execmem_pool *all_pools __ro_after_init;
static unsigned int nr_all_pools __ro_after_init;

/* === How much ============================================================= */

static size_t unused_in(struct execmem_pool *pool)
{
	size_t used = READ_ONCE(pool->used);
	size_t reserved = READ_ONCE(pool->reserved);

	/* Without the lock, they may be from different times. */
	return reserved > used ? reserved - used : 0;
}

/* Memory that the pools with huge pages have and do not use */
static size_t unused_memory(struct execmem_pool *pool)
{
	size_t unused = 0;
	bool seen = false;

	for (unsigned int i = 0; i < nr_all_pools; i++) {
		struct execmem_pool *other = &all_pools[i];

		seen |= other == pool;
		if (other->range && other->range->flags & EXECMEM_HUGE)
			unused += unused_in(other);
	}
	/* Tests have pools of their own. */
	return seen ? unused : unused + unused_in(pool);
}

/* Is so much in use that another huge page would be worth it? */
static bool uses_enough(struct execmem_pool *pool)
{
	return READ_ONCE(pool->used) > pool->range->granularity / MIN_USED;
}

/*
 * Can the place of a chunk in a huge block be random? Without that, there are
 * fewer places for it than for base pages: a 2 MB block has about 440 places on
 * x86, and modules in pages of their own start at one of 1024 addresses. With
 * eight places in the block there are more, except for a page-aligned chunk that
 * leaves little more than seven pages free.
 */
static bool has_places(const struct execmem_range *range, size_t size,
		       size_t align)
{
	size_t room = round_up(size, range->granularity) - size;

	return !(range->flags & EXECMEM_RANDOMIZE) ||
		room >= 7 * max_t(size_t, align, range->alignment);
}

static bool wants_huge(struct execmem_pool *pool, size_t size, size_t align)
{
	const struct execmem_range *range = pool->range;
	size_t half = range->granularity / 2;

	if (!has_places(range, size, align))
		return false;
	return range->flags & EXECMEM_START_HUGE || size > half ||
		READ_ONCE(pool->reserved) >= range->granularity / MIN_USED ||
		unused_memory(pool) + half <= execmem_ram() / UNUSED_SHARE;
}

/**
 * execmem_huge_is_due - should a huge page be tried, although there is room?
 * @pool: the pool
 *
 * Some time after a pool had to take base pages for lack of huge ones, a
 * request that would get base pages tries for a huge page again.
 *
 * Context: The pool's lock is held.
 * Return: true or false
 */
bool execmem_huge_is_due(struct execmem_pool *pool)
{
	return pool->nr_not_huge && uses_enough(pool) &&
		!time_before(jiffies, READ_ONCE(pool->huge_retry));
}

/* Smallest block: smaller ones would change permissions too often. */
static size_t smallest(const struct execmem_range *range)
{
	return max_t(size_t, range->granularity / FIRST_PART, PAGE_SIZE);
}

/*
 * Size of a whole block. Sealing a page splits the huge page of the direct map
 * that it lies in. So the pages of such a block are contiguous, and the more of
 * them a pool has, the larger its next block is: 160 pages take two blocks,
 * which lie in two huge pages.
 */
static size_t whole_block(struct execmem_pool *pool, size_t size)
{
	const struct execmem_range *range = pool->range;
	size_t grown = SEALED_GROWTH * READ_ONCE(pool->reserved) ?: 1;

	size = round_up(size, range->granularity);
	if (!range->seal)
		return size;
	return max(size, min(rounddown_pow_of_two(grown), SEALED_MAX));
}

/* === Where ================================================================ */

/**
 * execmem_place_init - choose the addresses that a pool tries first
 * @pool: the pool; its range is set
 *
 * Context: Process context or boot.
 */
void execmem_place_init(struct execmem_pool *pool)
{
	const struct execmem_range *range = pool->range;
	unsigned long slots, pages;

	pool->hint = range->start;
	pool->base_hint = range->start;
	pool->huge_end = range->end;
	if (!pool->shared || !(range->flags & EXECMEM_HUGE))
		return;

	slots = (range->end - range->start) / range->granularity;
	slots -= slots / BASE_PART;
	pool->huge_end = range->start + slots * range->granularity;
	pool->base_hint = pool->huge_end;
	if (!(range->flags & EXECMEM_RANDOMIZE))
		return;
	/* Leave room after each: the last part would soon be full. */
	pages = (range->end - pool->huge_end) >> PAGE_SHIFT;
	pages -= pages / BASE_PART;
	pool->hint += (unsigned long)get_random_u32_below(slots ?: 1) *
		      range->granularity;
	pool->base_hint += (unsigned long)get_random_u32_below(pages ?: 1) <<
			   PAGE_SHIFT;
}

/* Reserve @block->room bytes of addresses. Returns 0 or -ENOSPC. */
static int reserve(struct execmem_block *block, size_t align)
{
	const struct execmem_pool *pool = block->pool;
	const struct execmem_range *range = pool->range;
	unsigned long first = block->huge ? pool->hint : pool->base_hint;
	unsigned long limit = block->huge ? pool->huge_end : range->end;

	if (execmem_block_reserve(block, align, first, limit) ||
	    (block->huge &&
	     execmem_block_reserve(block, align, range->start, limit)) ||
	    execmem_block_reserve(block, align, range->start, range->end) ||
	    (range->fallback_start &&
	     execmem_block_reserve(block, align, range->fallback_start,
				   range->fallback_end)))
		return 0;
	return -ENOSPC;
}

/* === Blocks =============================================================== */

/*
 * Map the first @size bytes of a block with @room bytes of addresses. Returns 0,
 * -ENOSPC for lack of addresses, or another error.
 */
static int map_block(struct execmem_block *block, size_t room, size_t size,
		     size_t align, bool best_effort)
{
	int err;

	block->room = room;
	block->size = 0;
	err = reserve(block, align);
	if (err)
		return err;
	err = execmem_marks_alloc(block) ?
		execmem_block_populate(block, size, best_effort) : -ENOMEM;
	if (!err) {
		block->size = size;
		return 0;
	}
	if (err == -EPERM) {
		block->size = size;
		execmem_block_unmap(block);
	} else {
		execmem_block_release(block);
	}
	kvfree(block->starts);
	block->starts = NULL;
	return err;
}

/* Alignment of a block's addresses, if it has base pages */
static size_t page_align(const struct execmem_range *range, size_t align)
{
	return max_t(size_t, align, range->flags & EXECMEM_KASAN_SHADOW ?
				    MODULE_ALIGN : PAGE_SIZE);
}

/**
 * execmem_grow_whole - map a whole block, if it is worth it
 * @block: the block; its members pool and caller are set
 * @size: number of bytes that are needed at least
 * @align: alignment of the first address in bytes, a power of two
 *
 * Context: Process context, may sleep and flush TLBs on all CPUs.
 * Return: 0 if the block is mapped and has its final permissions, else an error
 */
int execmem_grow_whole(struct execmem_block *block, size_t size, size_t align)
{
	struct execmem_pool *pool = block->pool;
	const struct execmem_range *range = pool->range;
	size_t whole = whole_block(pool, size);
	int err;

	might_sleep();
	if (range->flags & EXECMEM_GUARD)
		return map_block(block, PAGE_ALIGN(size), PAGE_ALIGN(size),
				 page_align(range, align), false);
	if (!(range->flags & EXECMEM_HUGE)) {
		err = map_block(block, whole, whole, page_align(range, align),
				range->seal ||
				whole > round_up(size, smallest(range)));
		block->reason = err ? EXECMEM_NO_ROOM : EXECMEM_AS_REQUESTED;
		return err;
	}
	if (!wants_huge(pool, size, align)) {
		block->reason = EXECMEM_SMALL_START;
		return -EAGAIN;
	}
	block->huge = true;
	err = map_block(block, whole, whole,
			max_t(size_t, align, range->granularity), true);
	if (err) {
		WRITE_ONCE(pool->huge_retry, jiffies + EXECMEM_HUGE_RETRY);
		block->huge = false;
		block->reason = EXECMEM_NOT_HUGE;
	}
	return err;
}

/**
 * execmem_grow_part - map as much of a block as is needed
 * @block: the block, after execmem_grow_whole() failed for it
 * @size: number of bytes that are needed at least
 * @align: alignment of the first address in bytes, a power of two
 *
 * Context: Process context, may sleep and flush TLBs on all CPUs.
 * Return: 0 if the block is mapped and has its final permissions, else an error
 */
int execmem_grow_part(struct execmem_block *block, size_t size, size_t align)
{
	const struct execmem_range *range = block->pool->range;
	size_t part = round_up(size, smallest(range));
	size_t room = round_up(size, range->granularity);
	int err;

	/* Smaller than a page with guards: there is nothing to try. */
	if (range->flags & EXECMEM_GUARD)
		return -ENOMEM;
	align = page_align(range, align);
	err = map_block(block, room, part, align, false);
	if (err != -ENOSPC)
		return err;
	block->reason = EXECMEM_NO_ROOM;
	return map_block(block, part, part, align, false);
}

/**
 * execmem_grow_fits - has a block addresses left for a request?
 * @block: the block
 * @size: size of the request in bytes
 * @align: alignment of the request in bytes, a power of two
 *
 * Context: The pool's lock is held.
 * Return: true or false
 */
bool execmem_grow_fits(struct execmem_block *block, size_t size, size_t align)
{
	return block->room - block->size >= size && align <= PAGE_SIZE;
}

/**
 * execmem_grow_more - map more memory in place
 * @block: a block in use; execmem_grow_fits() is true for it
 * @size: number of bytes that are needed at least
 *
 * Context: Process context, may sleep and flush TLBs on all CPUs. The block
 *	cannot be given back meanwhile.
 * Return: number of bytes that were mapped after those that the block has, 0 on
 *	failure
 */
size_t execmem_grow_more(struct execmem_block *block, size_t size)
{
	size_t least = min(round_up(size, smallest(block->pool->range)),
			   block->room - block->size);
	size_t more = clamp(block->size, least, block->room - block->size);
	int err;

	err = execmem_block_populate(block, more, more > least);
	if (err == -ENOMEM && more > least) {
		more = least;
		err = execmem_block_populate(block, more, false);
	}
	/* Pages of unknown permissions are in the way of others. */
	if (err == -EPERM)
		block->room = block->size;
	return err ? 0 : more;
}

/**
 * execmem_first_offset - choose the place of the first chunk in a new block
 * @block: the block
 * @size: size of the chunk in bytes
 * @align: alignment of the chunk in bytes, a power of two
 *
 * In a whole block it is random, so that the address of the block does not
 * reveal that of the chunk. Later chunks use the memory that is skipped. This is
 * at most a quarter of the block or a page, so that large chunks still fit after
 * it. Parts of blocks have random addresses instead.
 *
 * Context: Any.
 * Return: number of bytes to skip
 */
size_t execmem_first_offset(struct execmem_block *block, size_t size,
			    size_t align)
{
	size_t room = block->size - size;

	if (!(block->pool->range->flags & EXECMEM_RANDOMIZE) ||
	    block->reason != EXECMEM_AS_REQUESTED)
		return 0;
	room = clamp(room, room / 4, max(room / 4, PAGE_SIZE));
	return round_down(get_random_u32_below(room + 1), align);
}

/**
 * execmem_grow_init - say which pools there are
 * @pools: the pools of all types
 * @nr: number of @pools
 *
 * Context: Called once at boot.
 */
void __init execmem_grow_init(struct execmem_pool *pools, unsigned int nr)
{
	all_pools = pools;
	nr_all_pools = nr;
}
