// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem: calls with bad arguments, on memory that is not the
 * caller's or at the wrong time. They must fail and must change nothing. All
 * but the failed allocations must be reported.
 */

#include <linux/limits.h>
#include <linux/uaccess.h>

#include "test_execmem.h"

/*
 * Sizes that overflow when they are rounded up, or that no address range has
 * room for. No attempt may be made to map them, and no block may stay behind.
 */
static void alloc_refuses_bad_input(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, data_range());
	const size_t sizes[] = {
		0, SIZE_MAX, SIZE_MAX - UNIT, SIZE_MAX - PAGE_SIZE,
		SIZE_MAX / 2 + 1, VMALLOC_END - VMALLOC_START + 1,
	};

	for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
		KUNIT_EXPECT_NULL(test, execmem_alloc(EXECMEM_BPF, sizes[i]));
		KUNIT_EXPECT_NULL(test, execmem_alloc(EXECMEM_DEFAULT,
						      sizes[i]));
		KUNIT_EXPECT_NULL(test, execmem_pool_alloc(pool, EXECMEM_BPF,
							   sizes[i], 1, false));
	}
	KUNIT_EXPECT_NULL(test, execmem_alloc(EXECMEM_TYPE_MAX, UNIT));
	KUNIT_EXPECT_NULL(test, execmem_alloc((enum execmem_type)-1, UNIT));
	KUNIT_EXPECT_NULL(test, execmem_alloc((enum execmem_type)INT_MAX,
					      UNIT));
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 0);
	/* A size of 0 is not counted, as it is a bug in the caller. */
	KUNIT_EXPECT_EQ(test, pool->stats.failures, ARRAY_SIZE(sizes) - 1);
}

/* The call must fail, and be reported once. */
static void expect_no_fill(struct kunit *test, void *dst, size_t len)
{
	static const u8 src[4 * UNIT] = { 1, 2, 3 };

	KUNIT_EXPECT_EQ(test, execmem_fill(dst, src, len), -EINVAL);
	expect_report(test);
}

/* A memcpy() that may read free memory, on which KASAN would report */
static void peek(struct kunit *test, void *dst, const void *src, size_t size)
{
	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(dst, src, size), 0);
}

/*
 * A range must lie in one chunk that is in use. Everything near it is compared
 * before and after, since a partial write would be as bad as a whole one.
 */
static void fill_refuses_bad_input(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, text_range());
	void *freed = take(test, pool, UNIT);
	void *a = take(test, pool, 2 * UNIT);
	u8 *before = execmem_test_buffer(test, 5 * UNIT);
	u8 *after = execmem_test_buffer(test, 5 * UNIT);
	u8 stack[UNIT] = {};

	take(test, pool, UNIT);
	give(test, pool, freed);
	peek(test, before, freed, 5 * UNIT);

	/* Ranges that begin before the chunk or end after it */
	expect_no_fill(test, a - 1, 2);
	expect_no_fill(test, a + 2 * UNIT - 1, 2);
	expect_no_fill(test, a, 2 * UNIT + 1);
	expect_no_fill(test, a + 1, SIZE_MAX);
	expect_no_fill(test, a, SIZE_MAX);
	/* A chunk that was freed, and memory that was never allocated */
	expect_no_fill(test, freed, UNIT);
	expect_no_fill(test, freed, 0);
	expect_no_fill(test, a + 3 * UNIT, 1);
	peek(test, after, freed, 5 * UNIT);
	KUNIT_EXPECT_MEMEQ(test, after, before, 5 * UNIT);

	/* Memory that is not of execmem at all */
	memcpy(before, stack, UNIT);
	expect_no_fill(test, stack, UNIT);
	KUNIT_EXPECT_MEMEQ(test, stack, before, UNIT);
	expect_no_fill(test, pool, 1);
	expect_no_fill(test, NULL, 1);
	expect_no_fill(test, NULL, 0);
	KUNIT_EXPECT_EQ(test, pool->stats.fills, 0);

	/* Nothing to write is no error, if it is written to a live chunk. */
	KUNIT_EXPECT_EQ(test, execmem_fill(a, stack, 0), 0);
}

/*
 * After the seal, a stray pointer cannot change code, not even by a fill of
 * length 0, which would tell that the chunk is still open.
 */
static void seal_ends_filling(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, text_range());
	void *a = take(test, pool, UNIT);
	u8 *pattern = execmem_test_pattern(test, 2 * UNIT);

	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern, UNIT), 0);
	execmem_seal(a);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern + UNIT, 4), -EINVAL);
	expect_report(test);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern + UNIT, 0), -EINVAL);
	expect_report(test);
	KUNIT_EXPECT_MEMEQ(test, a, pattern, UNIT);
	KUNIT_EXPECT_EQ(test, pool->stats.fills, 1);

	/* The seal does not outlive the chunk. */
	take(test, pool, UNIT);
	give(test, pool, a);
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, UNIT), a);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern + UNIT, UNIT), 0);
	KUNIT_EXPECT_MEMEQ(test, a, pattern + UNIT, UNIT);
}

/*
 * Only the start of a live chunk can be sealed. The chunk next to it stays
 * open.
 */
static void seal_refuses_bad_input(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, data_range());
	void *freed = take(test, pool, UNIT);
	void *a = take(test, pool, 2 * UNIT);

	give(test, pool, freed);
	execmem_seal(freed);
	expect_report(test);
	execmem_seal(a + 1);
	expect_report(test);
	execmem_seal(a + UNIT);
	expect_report(test);
	execmem_seal(pool);
	expect_report(test);
	execmem_seal(NULL);
	expect_report(test);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, "ab", 2), 0);
}

/*
 * An address inside a chunk must not free it: the caller has confused pointers,
 * and may still use the rest. A double free must not free the chunk of another
 * user that has the address by now, so it is ignored even when the block is
 * gone.
 */
static void free_refuses_bad_input(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, text_range());
	void *a = take(test, pool, 2 * UNIT);
	void *b = take(test, pool, UNIT);
	u8 *pattern = execmem_test_pattern(test, 2 * UNIT);

	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern, 2 * UNIT), 0);
	execmem_free(NULL);
	KUNIT_EXPECT_EQ(test, execmem_test_reports, execmem_test_seen_reports);
	expect_no_free(test, pool, pattern);
	expect_no_free(test, pool, a + 1);
	expect_no_free(test, pool, a + UNIT);
	KUNIT_EXPECT_MEMEQ(test, a, pattern, 2 * UNIT);

	give(test, pool, b);
	expect_no_free(test, pool, b);
	/* The same after the block was given back */
	give(test, pool, a);
	expect_no_free(test, pool, a);
}

struct kunit_case execmem_test_misuse_cases[] = {
	KUNIT_CASE(alloc_refuses_bad_input),
	KUNIT_CASE(fill_refuses_bad_input),
	KUNIT_CASE(seal_ends_filling),
	KUNIT_CASE(seal_refuses_bad_input),
	KUNIT_CASE(free_refuses_bad_input),
	{}
};
