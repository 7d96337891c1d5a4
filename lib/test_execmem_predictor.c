// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem: branch predictors are flushed before less trusted
 * code (%EXECMEM_BPF_CLASSIC) gets memory that held other code, and only
 * then. All CPUs are synchronized before a program gets memory that held text
 * of a module.
 */

#include <linux/jump_label.h>
#include <linux/static_call.h>

#include "test_execmem.h"

/**
 * struct flush - how flushes are counted
 * @nr: flushes so far
 * @free_in_flush: a chunk that the next flush frees, or %NULL
 * @holes: chunks to free
 * @real: the flush of this CPU, which is replaced during a case
 * @was_enabled: whether flushes are needed on this CPU
 */
static struct flush {
	unsigned int nr;
	void *free_in_flush;
	void *holes[1024];
	void (*real)(void);
	bool was_enabled;
} flush;

static void count_flush(void)
{
	void *ptr = flush.free_in_flush;

	/* Programs that other tasks load meanwhile need the real flush. */
	if (!kunit_get_current_test()) {
		if (flush.real)
			flush.real();
		return;
	}
	flush.nr++;
	flush.free_in_flush = NULL;
	execmem_free(ptr);
}

static void restore_flush(void *unused)
{
	static_call_update(execmem_pred_flush, flush.real);
	if (flush.was_enabled)
		static_branch_enable(&execmem_pred_flush_enabled);
	else
		static_branch_disable(&execmem_pred_flush_enabled);
	/* Make up for the flushes that were only counted. */
	static_call_cond(execmem_pred_flush)();
}

/*
 * Most machines that run this need no flush, so the case puts its own in place
 * and enables it. What a flush does is the architecture's matter.
 */
static struct execmem_pool *make_flush_pool(struct kunit *test)
{
	int err;

	flush.nr = 0;
	flush.free_in_flush = NULL;
	flush.real = static_call_query(execmem_pred_flush);
	flush.was_enabled = static_key_enabled(&execmem_pred_flush_enabled);
	err = kunit_add_action(test, restore_flush, NULL);
	KUNIT_ASSERT_EQ(test, err, 0);
	static_call_update(execmem_pred_flush, count_flush);
	static_branch_enable(&execmem_pred_flush_enabled);
	return execmem_test_pool(test, data_range());
}

/* Allocate for less trusted code. That must cause @flushes flushes. */
static void *take_flushed(struct kunit *test, struct execmem_pool *pool,
			  size_t size, unsigned int flushes)
{
	unsigned long stat = pool->stats.pred_flushes;
	void *ptr;

	flush.nr = 0;
	ptr = execmem_pool_alloc(pool, EXECMEM_BPF_CLASSIC, size, 1, true);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	KUNIT_EXPECT_EQ(test, flush.nr, flushes);
	KUNIT_EXPECT_EQ(test, pool->stats.pred_flushes, stat + flushes);
	return ptr;
}

/*
 * The addresses of a new block may have held code of a module or of a block
 * that was given back. So the first chunk is flushed for, whatever it is.
 */
static void flush_for_new_block(struct kunit *test)
{
	struct execmem_pool *pool = make_flush_pool(test);
	void *a = take_flushed(test, pool, UNIT, 1);

	/* One flush made the whole block clean. */
	take_flushed(test, pool, UNIT, 0);
	take_flushed(test, pool, BLOCK - 2 * UNIT, 0);
	take_flushed(test, pool, UNIT, 1);
	give(test, pool, a);
	take_flushed(test, pool, BLOCK, 1);
}

/*
 * It does not matter who had the memory before, only who gets it: predictions
 * that trusted code left must not steer code of an unprivileged user.
 */
static void flush_after_free_by_other_type(struct kunit *test)
{
	struct execmem_pool *pool = make_flush_pool(test);
	void *a = take(test, pool, 2 * UNIT), *b;

	take_flushed(test, pool, UNIT, 1);
	/* Leave no clean memory, which would be preferred. */
	take(test, pool, BLOCK - 3 * UNIT);
	give(test, pool, a);
	b = take_flushed(test, pool, UNIT, 1);
	KUNIT_EXPECT_PTR_EQ(test, b, a);
	/* The same flush made the other half of the hole clean. */
	b = take_flushed(test, pool, UNIT, 0);
	KUNIT_EXPECT_PTR_EQ(test, b, a + UNIT);

	/* Memory for trusted code is never flushed. */
	give(test, pool, a);
	flush.nr = 0;
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, UNIT), a);
	give(test, pool, a);
	KUNIT_EXPECT_EQ(test, flush.nr, 0);
	KUNIT_EXPECT_PTR_EQ(test, take_flushed(test, pool, UNIT, 1), a);
}

/* Have a new block mapped. Its flush makes all free memory clean. */
static void flush_elsewhere(struct kunit *test, struct execmem_pool *pool)
{
	take_flushed(test, pool, BLOCK, 1);
}

static void no_flush_for_clean_memory(struct kunit *test)
{
	struct execmem_pool *pool = make_flush_pool(test);
	struct execmem_pool *other = execmem_test_pool(test, data_range());
	void *a = take(test, pool, UNIT), *b;

	take(test, pool, UNIT);
	b = take(test, other, UNIT);
	take(test, other, BLOCK - UNIT);
	give(test, pool, a);
	give(test, other, b);

	/* One flush is enough for everything freed so far, in all pools. */
	take_flushed(test, pool, BLOCK, 1);
	KUNIT_EXPECT_PTR_EQ(test, take_flushed(test, pool, UNIT, 0), a);
	KUNIT_EXPECT_PTR_EQ(test, take_flushed(test, other, UNIT, 0), b);

	/* A chunk freed later makes only its own addresses dirty. */
	give(test, other, b);
	take_flushed(test, pool, UNIT, 0);
	take_flushed(test, other, UNIT, 1);
}

/* A lower hole that held code is not used while there is clean memory. */
static void clean_memory_is_preferred(struct kunit *test)
{
	struct execmem_pool *pool = make_flush_pool(test);
	void *a = take(test, pool, UNIT), *b;

	take_flushed(test, pool, UNIT, 1);
	give(test, pool, a);
	b = take_flushed(test, pool, UNIT, 0);
	KUNIT_EXPECT_PTR_EQ(test, b, a + 2 * UNIT);
	/* Trusted code takes the lowest hole. */
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, UNIT), a);
	/* The largest free chunk is clean, beyond many dirty holes. */
	for (int i = 0; i < 40; i++) {
		void *hole = take(test, pool, UNIT);

		take(test, pool, UNIT);
		flush.holes[i] = hole;
	}
	for (int i = 0; i < 40; i++)
		give(test, pool, flush.holes[i]);
	take_flushed(test, pool, UNIT, 0);
}

/* A merged chunk is as dirty as its dirtiest part. */
static void merge_keeps_dirt(struct kunit *test)
{
	struct execmem_pool *pool = make_flush_pool(test);
	void *a = take(test, pool, UNIT);
	void *b = take(test, pool, UNIT);
	void *c = take(test, pool, UNIT);

	take(test, pool, BLOCK - 3 * UNIT);

	/* A dirty chunk to the right of a clean one */
	give(test, pool, a);
	flush_elsewhere(test, pool);
	give(test, pool, b);
	KUNIT_EXPECT_PTR_EQ(test, take_flushed(test, pool, 2 * UNIT, 1), a);

	/* A dirty chunk to the left of a clean one */
	give(test, pool, c);
	flush_elsewhere(test, pool);
	give(test, pool, a);
	KUNIT_EXPECT_PTR_EQ(test, take_flushed(test, pool, 3 * UNIT, 1), a);
}

/*
 * A chunk that is freed during a flush may still have been executed on CPUs
 * that were flushed already. It needs another flush.
 */
static void flush_covers_only_what_was_free(struct kunit *test)
{
	struct execmem_pool *pool = make_flush_pool(test);
	void *a = take(test, pool, UNIT), *b;

	flush.free_in_flush = a;
	b = take_flushed(test, pool, UNIT, 1);
	KUNIT_EXPECT_PTR_EQ(test, b, a + UNIT);
	KUNIT_EXPECT_NULL(test, flush.free_in_flush);
	take(test, pool, BLOCK - 2 * UNIT);
	KUNIT_EXPECT_PTR_EQ(test, take_flushed(test, pool, UNIT, 1), a);
}

/*
 * Frees are counted even if no flush is needed, so that enabling flushes later,
 * when a mitigation is chosen at boot, covers all code that ran before.
 */
static void no_flush_unless_enabled(struct kunit *test)
{
	struct execmem_pool *pool = make_flush_pool(test);
	void *a;

	static_branch_disable(&execmem_pred_flush_enabled);
	a = take_flushed(test, pool, UNIT, 0);
	take_flushed(test, pool, UNIT, 0);
	give(test, pool, a);
	static_branch_enable(&execmem_pred_flush_enabled);
	take_flushed(test, pool, UNIT, 1);
}

/* Use and free all memory of the real pool. */
static void make_all_dirty(void)
{
	struct execmem_pool *pool = execmem_pool_of(EXECMEM_BPF);
	size_t size;
	int nr = 0;

	while (nr < ARRAY_SIZE(flush.holes) &&
	       (size = execmem_pool_largest_free(pool)))
		flush.holes[nr++] = execmem_alloc(EXECMEM_BPF, size);
	while (nr)
		execmem_free(flush.holes[--nr]);
}

/* The pools of the kernel pass the flag of the type, not of the pool. */
static void flush_follows_type(struct kunit *test)
{
	void *a;

	make_flush_pool(test);
	execmem_free(execmem_alloc(EXECMEM_BPF, UNIT));
	make_all_dirty();
	flush.nr = 0;
	a = execmem_test_take_type(test, EXECMEM_BPF, UNIT);
	KUNIT_EXPECT_EQ(test, flush.nr, 0);
	kunit_release_action(test, execmem_test_free, a);
	execmem_test_take_type(test, EXECMEM_BPF_CLASSIC, UNIT);
	KUNIT_EXPECT_EQ(test, flush.nr, 1);
}

/*
 * The first program after text of a module was freed synchronizes all CPUs. A
 * program that another task loads may be the first one.
 */
static void sync_after_module_text(struct kunit *test)
{
	struct execmem_pool *pool = execmem_pool_of(EXECMEM_BPF);
	unsigned long syncs = pool->stats.syncs;

	if (!pool->shared || pool != execmem_pool_of(EXECMEM_MODULE_TEXT))
		kunit_skip(test, "programs and modules do not share blocks");
	KUNIT_ASSERT_NOT_NULL(test, pool->range->sync);
	execmem_free(execmem_alloc(EXECMEM_MODULE_TEXT, UNIT));
	execmem_test_take_type(test, EXECMEM_BPF, UNIT);
	KUNIT_EXPECT_GT(test, pool->stats.syncs, syncs);
	KUNIT_EXPECT_EQ(test, execmem_pool_check(pool), 0);
}

struct kunit_case execmem_test_predictor_cases[] = {
	KUNIT_CASE(flush_for_new_block),
	KUNIT_CASE(flush_after_free_by_other_type),
	KUNIT_CASE(no_flush_for_clean_memory),
	KUNIT_CASE(clean_memory_is_preferred),
	KUNIT_CASE(merge_keeps_dirt),
	KUNIT_CASE(flush_covers_only_what_was_free),
	KUNIT_CASE(no_flush_unless_enabled),
	KUNIT_CASE(flush_follows_type),
	KUNIT_CASE(sync_after_module_text),
	{}
};
