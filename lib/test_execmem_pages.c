// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem: permissions and page sizes of blocks, of their
 * aliases in the direct map, and of the pages after they were freed.
 */

#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/vmalloc.h>

#include "test_execmem.h"

/*
 * All permissions that a block can have, with and without huge pages. A machine
 * may have no free huge pages, then the first of each pair also tests base
 * pages.
 */
const struct kind execmem_test_kinds[NR_KINDS] = {
	{ "ROX 2M",	EXECMEM_ROX | EXECMEM_HUGE },
	{ "ROX 4k",	EXECMEM_ROX },
	{ "RO 2M",	EXECMEM_READONLY | EXECMEM_HUGE },
	{ "RO 4k",	EXECMEM_READONLY },
	{ "RW 2M",	EXECMEM_HUGE },
	{ "RW 4k",	0 },
};

KUNIT_ARRAY_PARAM_DESC(kind, execmem_test_kinds, name);

/*
 * Text of the architecture with other permissions. What is not read-only is
 * written in place, as tables of data describe it.
 */
struct execmem_range execmem_test_kind_range(struct kunit *test,
					     enum execmem_range_flags flags)
{
	struct execmem_range range = text_range();

	if (!has_shared_text())
		kunit_skip(test, "no shared text");
	if (flags & EXECMEM_HUGE && !IS_ENABLED(CONFIG_EXECMEM_HUGE))
		kunit_skip(test, "no huge pages");
	range.flags &= ~(EXECMEM_ROX | EXECMEM_HUGE | EXECMEM_RANDOMIZE);
	range.flags |= flags;
	/* Data is zero while it is free. Only text is filled with traps. */
	if (!(flags & EXECMEM_EXEC))
		range.trap = NULL;
	if (!(flags & EXECMEM_READONLY)) {
		range.fill = NULL;
		range.invalidate = NULL;
	}
	return range;
}

struct execmem_pool *execmem_test_kind_pool(struct kunit *test,
					    enum execmem_range_flags flags)
{
	return execmem_test_pool(test, execmem_test_kind_range(test, flags));
}

/*
 * I9: the page table shows the same permissions after each step of the life of
 * a chunk: new, filled, sealed, freed, taken again. The second chunk is larger
 * than a block, so a second block is looked at, too.
 */
static void permissions_are_final(struct kunit *test)
{
	const struct kind *kind = test->param_value;
	struct execmem_range range = execmem_test_kind_range(test, kind->flags);
	struct execmem_pool *pool = execmem_test_pool(test, range);
	u8 *pattern = execmem_test_pattern(test, 3 * PAGE_SIZE);
	void *a, *b;

	execmem_test_need_page_tables(test);
	/* New memory, before anything was written to it */
	a = take(test, pool, 3 * PAGE_SIZE);
	execmem_test_expect_pool_sane(test, pool);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern, 3 * PAGE_SIZE), 0);
	KUNIT_EXPECT_MEMEQ(test, a, pattern, 3 * PAGE_SIZE);
	b = take(test, pool, range.granularity + UNIT);
	execmem_test_expect_pool_sane(test, pool);

	execmem_seal(a);
	give(test, pool, a);
	execmem_test_expect_pool_sane(test, pool);
	take(test, pool, UNIT);
	give(test, pool, b);
	execmem_test_expect_pool_sane(test, pool);
	/*
	 * Without the flag, base pages are what was asked for, and not a
	 * fallback.
	 */
	if (!(kind->flags & EXECMEM_HUGE)) {
		KUNIT_EXPECT_EQ(test, pool->nr_huge, 0);
		KUNIT_EXPECT_EQ(test, execmem_fallbacks(&pool->stats), 0);
	}
}

/* Where the direct map has the page of @addr */
static unsigned long alias_of(unsigned long addr)
{
	return (unsigned long)page_address(vmalloc_to_page((void *)addr));
}

/* The alias in the direct map is writable only if the block is. */
static void alias_follows_block(struct kunit *test)
{
	const struct kind *kind = test->param_value;
	bool readonly = kind->flags & EXECMEM_READONLY;
	struct execmem_pool *pool;
	struct execmem_block *block;
	struct mapping m;
	size_t step;

	execmem_test_need_page_tables(test);
	pool = execmem_test_kind_pool(test, kind->flags);
	take(test, pool, UNIT);
	block = first_block(pool);
	/*
	 * Pages of a huge block are contiguous, so their alias is looked at as
	 * a whole.
	 */
	step = block->huge ? PMD_SIZE : PAGE_SIZE;
	/*
	 * Blocks of base pages are anywhere in the direct map, so each page is
	 * looked up.
	 */
	for (size_t offset = 0; offset < block->size; offset += step) {
		m = execmem_test_mapping(alias_of(block->start + offset), step);
		KUNIT_EXPECT_EQ(test, m.present, step);
		KUNIT_EXPECT_EQ(test, m.writable, readonly ? 0 : step);
		KUNIT_EXPECT_EQ(test, m.exec, 0);
	}
}

/* Freed pages must be writable and not executable, like all others. */
static void freed_pages_are_ordinary(struct kunit *test)
{
	const struct kind *kind = test->param_value;
	struct execmem_pool *pool;
	unsigned long alias;
	struct mapping m;
	size_t step;
	void *a;

	execmem_test_need_page_tables(test);
	if (debug_pagealloc_enabled())
		kunit_skip(test, "free pages are not mapped");
	pool = execmem_test_kind_pool(test, kind->flags);
	a = take(test, pool, UNIT);
	step = first_block(pool)->huge ? PMD_SIZE : PAGE_SIZE;
	alias = alias_of((unsigned long)a & -step);
	give(test, pool, a);
	KUNIT_ASSERT_EQ(test, pool->nr_blocks, 0);

	m = execmem_test_mapping(alias, step);
	KUNIT_EXPECT_EQ(test, m.present, step);
	KUNIT_EXPECT_EQ(test, m.writable, step);
	KUNIT_EXPECT_EQ(test, m.exec, 0);
}

/* Does vfree() flush TLBs before the pages of the pool reach anybody else? */
static bool flushes_at_the_end(struct execmem_pool *pool)
{
	struct vm_struct *area = find_vm_area((void *)first_block(pool)->start);

	return area->flags & VM_FLUSH_RESET_PERMS;
}

/* Whatever has been read-only may be in a TLB, and pages may become stacks. */
static void read_only_pages_are_flushed(struct kunit *test)
{
	struct execmem_pool *types =
		execmem_pool_of(EXECMEM_MODULE_RO_AFTER_INIT);
	struct execmem_pool *pool;

	execmem_test_need_page_tables(test);
	for (int i = 0; i < NR_KINDS; i++) {
		enum execmem_range_flags flags = execmem_test_kinds[i].flags;

		pool = execmem_test_kind_pool(test, flags);
		take(test, pool, UNIT);
		KUNIT_EXPECT_EQ(test, flushes_at_the_end(pool),
				!!(flags & EXECMEM_READONLY));
	}
	if (!types->shared || !types->range->seal)
		return;
	pool = execmem_test_pool(test, *types->range);
	take(test, pool, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, flushes_at_the_end(pool));
}

/* Is all of the huge page at @addr mapped by one entry? */
static bool is_huge(unsigned long addr)
{
	return execmem_test_mapping(addr, PMD_SIZE).huge == PMD_SIZE;
}

/*
 * Take a block whose alias in the direct map is still one huge page. Earlier
 * cases may have split the alias of some physical pages.
 */
static void *take_unsplit(struct kunit *test, struct execmem_pool *pool)
{
	for (int i = 0; i < 64; i++) {
		void *block = take(test, pool, PMD_SIZE);

		if (pool->nr_huge != pool->nr_blocks)
			kunit_skip(test, "no huge pages left");
		if (is_huge(alias_of((unsigned long)block)))
			return block;
	}
	kunit_skip(test, "the direct map is in small pages");
	return NULL;
}

/*
 * The counter of splits in /proc/vmstat does not count before the system runs,
 * so look at the page table.
 */
static void huge_blocks_split_nothing(struct kunit *test)
{
	struct execmem_range range = execmem_test_kind_range(test,
						EXECMEM_ROX | EXECMEM_HUGE);
	struct execmem_pool *pool = execmem_test_pool(test, range);
	u8 *pattern = execmem_test_pattern(test, 5 * PAGE_SIZE);
	unsigned long alias;
	void *block;

	execmem_test_need_page_tables(test);
	block = take_unsplit(test, pool);
	alias = alias_of((unsigned long)block);
	KUNIT_EXPECT_EQ(test, execmem_fill(block, pattern, 5 * PAGE_SIZE), 0);
	/*
	 * Writing uses a mapping of its own, and giving the block back changes
	 * the permissions of all of it at once. Neither may split the alias.
	 */
	KUNIT_EXPECT_TRUE(test, is_huge(alias));
	give(test, pool, block);
	execmem_pool_drain(pool);
	KUNIT_EXPECT_TRUE(test, is_huge(alias));
}

/*
 * One chunk must not cost a large part of the memory. Blocks of 64 MB are large
 * for every machine that this runs on. The first one is enlarged in place.
 */
static void small_blocks_come_first(struct kunit *test)
{
	struct execmem_range range = execmem_test_kind_range(test,
						EXECMEM_ROX | EXECMEM_HUGE);
	struct execmem_pool *pool;
	size_t small;
	void *a, *b;

	range.flags &= ~EXECMEM_START_HUGE;
	range.granularity = SZ_64M;
	small = range.granularity / 32;
	pool = execmem_test_pool(test, range);
	a = take(test, pool, UNIT);
	KUNIT_EXPECT_EQ(test, pool->reserved, small);
	execmem_test_expect_pool_sane(test, pool);
	take(test, pool, small - 2 * UNIT);
	/* This one begins in memory that was there and ends in new memory. */
	b = take(test, pool, 2 * UNIT);
	KUNIT_EXPECT_PTR_EQ(test, b, a + small - UNIT);
	KUNIT_EXPECT_EQ(test, pool->reserved, 2 * small);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	KUNIT_EXPECT_EQ(test, pool->nr_huge, 0);
	KUNIT_EXPECT_EQ(test, pool->stats.enlarged, 1);
	KUNIT_EXPECT_EQ(test, pool->stats.blocks[EXECMEM_SMALL_START], 1);
	KUNIT_EXPECT_EQ(test, execmem_fallbacks(&pool->stats), 0);
	execmem_test_expect_pool_sane(test, pool);
	execmem_test_expect_trap(test, pool, b, small);
}

/*
 * With execmem=guard, an overrun of a chunk must fault, and so must a use after
 * the free. The next page is not mapped, and the chunk's page is gone at once.
 */
static void guarded_chunks_have_own_pages(struct kunit *test)
{
	struct execmem_range range = text_range();
	struct execmem_pool *pool;
	struct mapping m;
	unsigned long a;

	execmem_test_need_page_tables(test);
	range.flags &= ~EXECMEM_HUGE;
	range.flags |= EXECMEM_GUARD;
	pool = execmem_test_pool(test, range);
	a = (unsigned long)take(test, pool, UNIT);
	take(test, pool, PAGE_SIZE + 1);

	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 2);
	KUNIT_EXPECT_EQ(test, pool->reserved, 3 * PAGE_SIZE);
	m = execmem_test_mapping(a, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, m.present, PAGE_SIZE);
	m = execmem_test_mapping(a + PAGE_SIZE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, m.present, 0);
	execmem_test_expect_pool_sane(test, pool);
	give(test, pool, (void *)a);
	m = execmem_test_mapping(a, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, m.present, 0);
}

struct kunit_case execmem_test_pages_cases[] = {
	KUNIT_CASE_PARAM(permissions_are_final, kind_gen_params),
	KUNIT_CASE_PARAM(alias_follows_block, kind_gen_params),
	KUNIT_CASE_PARAM(freed_pages_are_ordinary, kind_gen_params),
	KUNIT_CASE(read_only_pages_are_flushed),
	KUNIT_CASE(huge_blocks_split_nothing),
	KUNIT_CASE(small_blocks_come_first),
	KUNIT_CASE(guarded_chunks_have_own_pages),
	{}
};
