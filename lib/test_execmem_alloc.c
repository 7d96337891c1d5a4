// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem: how chunks are cut out of a block, and how free
 * chunks are merged again.
 */

#include "test_execmem.h"

/* Free chunks and chunks in use: shows whether neighbours were merged (I2). */
static unsigned int count_chunks(struct execmem_pool *pool)
{
	struct execmem_chunk *chunk;
	unsigned int nr = 0;

	for (chunk = first_chunk(pool); chunk; chunk = next_chunk(chunk))
		nr++;
	return nr;
}

/*
 * Sizes are rounded up to the unit (I4), chunks follow each other without a gap
 * (I1), and the counters agree (I5).
 */
static void alloc_splits_block(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, data_range());
	void *a = take(test, pool, 2 * UNIT - 1);
	void *b = take(test, pool, 1);

	KUNIT_EXPECT_EQ(test, (unsigned long)a, first_block(pool)->start);
	KUNIT_EXPECT_PTR_EQ(test, b, a + 2 * UNIT);
	KUNIT_EXPECT_EQ(test, count_chunks(pool), 3);
	KUNIT_EXPECT_EQ(test, pool->nr_chunks, 2);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	KUNIT_EXPECT_EQ(test, pool->reserved, BLOCK);
	KUNIT_EXPECT_EQ(test, pool->used, 3 * UNIT);
	KUNIT_EXPECT_EQ(test, execmem_pool_largest_free(pool),
			BLOCK - 3 * UNIT);
}

/*
 * A free chunk of exactly the right size is taken as a whole. Nothing is cut
 * off, so no free chunk of size 0 may stay behind, neither in the block nor in
 * the tree.
 */
static void alloc_fits_exactly(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, data_range());
	void *a = take(test, pool, BLOCK / 2);

	take(test, pool, BLOCK / 2);
	KUNIT_EXPECT_EQ(test, count_chunks(pool), 2);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	KUNIT_EXPECT_EQ(test, execmem_pool_largest_free(pool), 0);

	give(test, pool, a);
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, BLOCK / 2), a);
	KUNIT_EXPECT_EQ(test, count_chunks(pool), 2);

	/* Only a full block makes the pool grow (F2). */
	take(test, pool, 1);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 2);
}

/*
 * The lowest free chunk that is large enough is taken, even if a smaller one
 * would be left over less. That keeps high blocks empty.
 */
static void alloc_takes_lowest_that_fits(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, data_range());
	void *small = take(test, pool, UNIT), *big;

	take(test, pool, UNIT);
	big = take(test, pool, 3 * UNIT);
	take(test, pool, UNIT);
	give(test, pool, small);
	give(test, pool, big);

	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, 2 * UNIT), big);
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, UNIT), small);
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, UNIT), big + 2 * UNIT);
}

/*
 * From two units to half a block: an aligned request must find its place in the
 * free rest of the block, and must not waste what it skips.
 */
static void alloc_aligns(struct kunit *test)
{
	for (size_t align = 2 * UNIT; align <= BLOCK / 2; align *= 2) {
		struct execmem_pool *pool;
		void *a, *b;

		pool = execmem_test_pool(test, data_range());
		a = take(test, pool, UNIT);
		b = take_aligned(test, pool, UNIT, align);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)b, align));
		KUNIT_EXPECT_EQ(test, count_chunks(pool), 4);
		/* The gap in front of an aligned chunk can be used. */
		KUNIT_EXPECT_PTR_EQ(test, take(test, pool, b - a - UNIT),
				    a + UNIT);
		KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	}
}

/* A full block, and the first three of its chunks */
struct trio {
	struct execmem_pool *pool;
	void *chunk[3];
};

static struct trio make_trio(struct kunit *test)
{
	struct trio trio = { .pool = execmem_test_pool(test, data_range()) };

	for (int i = 0; i < 3; i++)
		trio.chunk[i] = take(test, trio.pool, UNIT << i);
	take(test, trio.pool, BLOCK - 7 * UNIT);
	KUNIT_ASSERT_EQ(test, count_chunks(trio.pool), 4);
	return trio;
}

/* The second free finds a free chunk before it, which keeps its start. */
static void free_merges_left(struct kunit *test)
{
	struct trio trio = make_trio(test);

	give(test, trio.pool, trio.chunk[0]);
	give(test, trio.pool, trio.chunk[1]);
	KUNIT_EXPECT_EQ(test, count_chunks(trio.pool), 3);
	KUNIT_EXPECT_EQ(test, execmem_pool_largest_free(trio.pool), 3 * UNIT);
	KUNIT_EXPECT_PTR_EQ(test, take(test, trio.pool, 3 * UNIT),
			    trio.chunk[0]);
}

/* The second free finds a free chunk after it, whose start moves down. */
static void free_merges_right(struct kunit *test)
{
	struct trio trio = make_trio(test);

	give(test, trio.pool, trio.chunk[1]);
	give(test, trio.pool, trio.chunk[0]);
	KUNIT_EXPECT_EQ(test, count_chunks(trio.pool), 3);
	KUNIT_EXPECT_EQ(test, execmem_pool_largest_free(trio.pool), 3 * UNIT);
	KUNIT_EXPECT_PTR_EQ(test, take(test, trio.pool, 3 * UNIT),
			    trio.chunk[0]);
}

/*
 * Three chunks become one, and two descriptions are freed. The chunks that are
 * freed first are not neighbours, so they must not be merged.
 */
static void free_merges_both_sides(struct kunit *test)
{
	struct trio trio = make_trio(test);

	give(test, trio.pool, trio.chunk[0]);
	give(test, trio.pool, trio.chunk[2]);
	KUNIT_EXPECT_EQ(test, count_chunks(trio.pool), 4);
	KUNIT_EXPECT_EQ(test, execmem_pool_largest_free(trio.pool), 4 * UNIT);

	give(test, trio.pool, trio.chunk[1]);
	KUNIT_EXPECT_EQ(test, count_chunks(trio.pool), 2);
	KUNIT_EXPECT_EQ(test, execmem_pool_largest_free(trio.pool), 7 * UNIT);
}

struct kunit_case execmem_test_alloc_cases[] = {
	KUNIT_CASE(alloc_splits_block),
	KUNIT_CASE(alloc_fits_exactly),
	KUNIT_CASE(alloc_takes_lowest_that_fits),
	KUNIT_CASE(alloc_aligns),
	KUNIT_CASE(free_merges_left),
	KUNIT_CASE(free_merges_right),
	KUNIT_CASE(free_merges_both_sides),
	{}
};
