// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem: when blocks are mapped, how large they are, where
 * they are put and when they are given back.
 */

#include "test_execmem.h"

/* Reserve addresses for @size bytes and the guard page after them. */
static struct vm_struct *reserve_window(struct kunit *test, size_t size)
{
	struct vm_struct *area = get_vm_area(size, VM_ALLOC);

	KUNIT_ASSERT_NOT_NULL(test, area);
	return area;
}

/* Free the addresses, so that a pool with this range finds them unused. */
static void free_window(struct vm_struct *area, unsigned long *start,
			unsigned long *end)
{
	*start = (unsigned long)area->addr;
	*end = *start + area->size;
	free_vm_area(area);
}

/*
 * arm64 and others have a second range for when the first one, which branches
 * can reach, is full. Both have room for one block here.
 */
static void alloc_uses_second_range(struct kunit *test)
{
	struct execmem_range range = data_range();
	struct vm_struct *first = reserve_window(test, BLOCK);
	struct vm_struct *second = reserve_window(test, BLOCK);
	struct execmem_pool *pool;
	void *a, *b;

	free_window(first, &range.start, &range.end);
	free_window(second, &range.fallback_start, &range.fallback_end);
	pool = execmem_test_pool(test, range);

	a = take(test, pool, BLOCK);
	b = take(test, pool, BLOCK);
	KUNIT_EXPECT_EQ(test, (unsigned long)a, range.start);
	KUNIT_EXPECT_EQ(test, (unsigned long)b, range.fallback_start);
	KUNIT_EXPECT_EQ(test, execmem_fallbacks(&pool->stats), 0);
	KUNIT_EXPECT_EQ(test, pool->stats.failures, 0);

	/* Both ranges are full. That is counted, and nothing is mapped. */
	KUNIT_EXPECT_NULL(test, execmem_pool_alloc(pool, EXECMEM_BPF, 1, 1,
						   false));
	KUNIT_EXPECT_EQ(test, pool->stats.failures, 1);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 2);
}

/*
 * The block is a multiple of the granularity, and the rest of it is not lost:
 * the next request that fits is served from there. It is too large for a spare.
 */
static void alloc_larger_than_block(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, data_range());
	void *a = take(test, pool, 2 * BLOCK + 1);
	void *b = take(test, pool, BLOCK - UNIT);

	KUNIT_EXPECT_PTR_EQ(test, b, a + 2 * BLOCK + UNIT);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	KUNIT_EXPECT_EQ(test, pool->reserved, 3 * BLOCK);
	KUNIT_EXPECT_EQ(test, execmem_fallbacks(&pool->stats), 0);
	give(test, pool, a);
	give(test, pool, b);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 0);
}

/*
 * If the range has no room for a whole block, a smaller one is mapped. It is
 * not kept as a spare.
 */
static void alloc_falls_back_to_exact_size(struct kunit *test)
{
	struct execmem_range range = data_range();
	struct execmem_pool *pool;
	void *a, *b;

	free_window(reserve_window(test, 3 * PAGE_SIZE), &range.start,
		    &range.end);
	pool = execmem_test_pool(test, range);

	a = take(test, pool, PAGE_SIZE + 1);
	KUNIT_EXPECT_EQ(test, pool->reserved, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, execmem_fallbacks(&pool->stats), 1);
	b = take(test, pool, UNIT);
	KUNIT_EXPECT_EQ(test, pool->stats.grown, 1);

	give(test, pool, a);
	give(test, pool, b);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 0);
	KUNIT_EXPECT_EQ(test, pool->stats.failures, 0);
}

/* I6 */
static void free_keeps_one_spare(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, data_range());
	void *a = take(test, pool, BLOCK);
	void *b = take(test, pool, BLOCK);
	void *c = take(test, pool, BLOCK);

	give(test, pool, a);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 3);
	KUNIT_EXPECT_NOT_NULL(test, pool->spare);
	/* A second empty block is not kept. */
	give(test, pool, b);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 2);

	b = take(test, pool, UNIT);
	KUNIT_EXPECT_EQ(test, pool->stats.grown, 3);
	KUNIT_EXPECT_NULL(test, pool->spare);
	give(test, pool, b);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 2);
	KUNIT_EXPECT_NOT_NULL(test, pool->spare);

	/* A pool without chunks keeps no block. */
	give(test, pool, c);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 0);
	KUNIT_EXPECT_NULL(test, pool->spare);
}

/* What the shrinker does. A second call finds nothing. */
static void drain_gives_spare_back(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, data_range());
	void *a = take(test, pool, BLOCK);

	take(test, pool, BLOCK);
	give(test, pool, a);
	KUNIT_ASSERT_EQ(test, pool->nr_blocks, 2);

	execmem_pool_drain(pool);
	KUNIT_EXPECT_EQ(test, execmem_pool_check(pool), 0);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	KUNIT_EXPECT_EQ(test, pool->reserved, BLOCK);
	execmem_pool_drain(pool);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
}

static void spare_is_given_back_in_time(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, data_range());
	void *a = take(test, pool, BLOCK);

	take(test, pool, BLOCK);
	give(test, pool, a);
	KUNIT_EXPECT_NE(test, execmem_pool_expire(pool), 0);
	KUNIT_EXPECT_LE(test, execmem_pool_expire(pool), EXECMEM_SPARE_TIME);
	KUNIT_EXPECT_NOT_NULL(test, pool->spare);

	pool->spare_until = jiffies;
	KUNIT_EXPECT_EQ(test, execmem_pool_expire(pool), 0);
	KUNIT_EXPECT_NULL(test, pool->spare);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	KUNIT_EXPECT_EQ(test, execmem_pool_check(pool), 0);
}

/*
 * A spare may at most double what the pool reserves (I6), so one of four blocks
 * is not kept for one block in use.
 */
static void large_spare_is_given_back(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, data_range());
	void *large = take(test, pool, 4 * BLOCK);

	take(test, pool, BLOCK);
	give(test, pool, large);
	KUNIT_EXPECT_LE(test, pool->reserved, 2 * BLOCK);
}

/* Each call uses a new pool, so the chunk is the first one in a new block. */
static unsigned long offset_of_first(struct kunit *test,
				     struct execmem_range range)
{
	struct execmem_pool *pool = execmem_test_pool(test, range);

	return (unsigned long)take(test, pool, UNIT) - first_block(pool)->start;
}

/*
 * If all first chunks had the offset 0, the address of a block would give away
 * that of a program.
 */
static void randomized_chunks_differ(struct kunit *test)
{
	struct execmem_range range = data_range();
	unsigned int same = 0;
	unsigned long first;

	range.flags |= EXECMEM_RANDOMIZE;
	first = offset_of_first(test, range);
	KUNIT_EXPECT_LE(test, first, BLOCK / 4);
	/*
	 * Two offsets are equal by chance once in 250 times. Eight equal ones
	 * in a row mean that nothing is random.
	 */
	for (int i = 0; i < 8; i++)
		same += offset_of_first(test, range) == first;
	KUNIT_EXPECT_LT(test, same, 8);
}

struct kunit_case execmem_test_block_cases[] = {
	KUNIT_CASE(alloc_uses_second_range),
	KUNIT_CASE(alloc_larger_than_block),
	KUNIT_CASE(alloc_falls_back_to_exact_size),
	KUNIT_CASE(free_keeps_one_spare),
	KUNIT_CASE(spare_is_given_back_in_time),
	KUNIT_CASE(large_spare_is_given_back),
	KUNIT_CASE(drain_gives_spare_back),
	KUNIT_CASE(randomized_chunks_differ),
	{}
};
