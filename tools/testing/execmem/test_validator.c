// SPDX-License-Identifier: GPL-2.0
/*
 * execmem_pool_check(), which the other tests use, must detect each kind of
 * damage. Each test damages a pool, runs the validator, and repairs the pool.
 */

#include "tests.h"

static struct execmem_pool *pool;
static unsigned long addrs[6];

static struct execmem_chunk *nth_chunk(int n)
{
	struct rb_node *node = rb_first(&pool->chunks);

	while (n--)
		node = rb_next(node);
	return rb_entry(node, struct execmem_chunk, node);
}

/*
 * Two blocks: one with used, free, used, free; and one that is completely used
 */
static void start(void)
{
	pool = start_small();
	for (int i = 0; i < 5; i++)
		addrs[i] = alloc_text(i == 4 ? SZ_64K : 256);
	release(addrs[1]);
	release(addrs[3]);
}

static void finish(void)
{
	release(addrs[0]);
	release(addrs[2]);
	release(addrs[4]);
}

/* Expect that the validator returns @_broken if @_lvalue is damaged. */
#define DAMAGE(_lvalue, _value, _broken)				\
do {									\
	typeof(_lvalue) _saved = (_lvalue);				\
									\
	EXPECT(!execmem_pool_check(pool));				\
	(_lvalue) = (_value);						\
	EXPECT(execmem_pool_check(pool) == (_broken));			\
	(_lvalue) = _saved;						\
	EXPECT(!execmem_pool_check(pool));				\
} while (0)

static void test_validator_sees_gap(void)
{
	start();
	DAMAGE(nth_chunk(0)->size, 192, 1);
	DAMAGE(nth_chunk(1)->start, nth_chunk(1)->start + 64, 1);
	DAMAGE(nth_chunk(0)->start, nth_chunk(0)->start + 64, 1);
	finish();
}

static void test_validator_sees_overlap(void)
{
	start();
	DAMAGE(nth_chunk(0)->size, 320, 1);
	DAMAGE(nth_chunk(4)->size, SZ_64K + 64, 1);
	DAMAGE(nth_chunk(3)->size, SZ_64K, 1);
	DAMAGE(nth_chunk(0)->size, 0, 1);
	finish();
}

static void test_validator_sees_missing_tail(void)
{
	unsigned long rest;

	start();
	rest = alloc_text(execmem_pool_largest_free(pool));
	DAMAGE(nth_chunk(4)->size, SZ_64K - 64, 1);
	DAMAGE(nth_chunk(3)->size, nth_chunk(3)->size - 64, 1);
	release(rest);
	finish();
}

static void test_validator_sees_unmerged(void)
{
	start();
	DAMAGE(nth_chunk(2)->state, EXECMEM_FREE, 2);
	finish();
}

static void test_validator_sees_wrong_max_free(void)
{
	struct execmem_chunk *root;

	start();
	root = rb_entry(pool->chunks.rb_node, struct execmem_chunk, node);
	DAMAGE(root->max_free, root->max_free - 64, 3);
	DAMAGE(root->max_free, root->max_free + 64, 3);
	DAMAGE(nth_chunk(1)->max_free, 0, 3);
	finish();
}

/* A hint to a chunk that is not in the tree any more */
static void test_validator_sees_stale_hint(void)
{
	struct execmem_chunk gone = {};

	start();
	EXPECT(pool->last);
	DAMAGE(pool->last, &gone, 11);
	finish();
}

static void test_validator_sees_misalignment(void)
{
	start();
	DAMAGE(pool->unit_shift, 9, 4);
	finish();
}

static void test_validator_sees_wrong_counters(void)
{
	start();
	DAMAGE(pool->used, pool->used + 64, 5);
	DAMAGE(pool->reserved, pool->reserved - PAGE_SIZE, 5);
	DAMAGE(pool->nr_blocks, 3, 5);
	DAMAGE(pool->nr_huge, 1, 5);
	DAMAGE(pool->nr_chunks, 2, 5);
	DAMAGE(nth_chunk(0)->block->used, 0, 5);
	finish();
}

static void test_validator_sees_wrong_spare(void)
{
	struct execmem_block *used;

	start();
	used = nth_chunk(0)->block;
	DAMAGE(pool->spare, used, 6);
	release(addrs[4]);
	EXPECT(pool->spare);
	DAMAGE(pool->spare, NULL, 6);
	DAMAGE(pool->spare, used, 6);
	DAMAGE(pool->spare->reason, EXECMEM_NOT_HUGE, 6);
	addrs[4] = 0;
	finish();
}

/*
 * Reproducer: the validator compared only sums, so it did not detect used bytes
 * that were counted for the wrong block (I5).
 */
static void test_validator_sees_shifted_counters(void)
{
	struct execmem_block *a, *b;

	start();
	a = nth_chunk(0)->block;
	b = nth_chunk(4)->block;
	a->used += 64;
	b->used -= 64;
	EXPECT(execmem_pool_check(pool) == 5);
	a->used -= 64;
	b->used += 64;
	finish();
}

static void test_validator_sees_wrong_marks(void)
{
	struct execmem_chunk *chunk;

	start();
	chunk = nth_chunk(1);
	DAMAGE(*chunk->block->starts, 0, 10);
	DAMAGE(*chunk->block->starts, ~0UL, 10);
	DAMAGE(*chunk->block->ends, 0, 10);
	DAMAGE(*chunk->block->ends, ~0UL, 10);
	/* A mark in the middle of the first chunk, which has four units */
	DAMAGE(*chunk->block->starts, *chunk->block->starts | BIT(1), 10);
	DAMAGE(*chunk->block->ends, *chunk->block->ends | BIT(2), 10);
	/* The right number of marks, but in the wrong places */
	DAMAGE(*chunk->block->starts, *chunk->block->starts << 1, 10);
	DAMAGE(*chunk->block->ends, *chunk->block->ends >> 1, 10);
	finish();
}

static void test_validator_sees_foreign_block(void)
{
	start();
	DAMAGE(nth_chunk(0)->block->pool, NULL, 7);
	finish();
}

/* A block that is not in the tree of blocks, and one without chunks */
static void test_validator_sees_lost_block(void)
{
	struct execmem_block *block, foreign = {};

	start();
	block = nth_chunk(0)->block;
	execmem_block_withdraw(block);
	EXPECT(execmem_pool_check(pool) == 7);
	execmem_block_publish(block);
	EXPECT(!execmem_pool_check(pool));

	list_add(&foreign.list, &pool->blocks);
	EXPECT(execmem_pool_check(pool) == 7);
	list_del(&foreign.list);
	EXPECT(!execmem_pool_check(pool));
	finish();
}

/* The list of rests, its counters, and the notes of chunks */
static void test_validator_sees_wrong_rests(void)
{
	struct execmem_chunk *chunk;
	struct execmem_rest *rest;

	start();
	execmem_retire((void *)addrs[2], "leaver");
	chunk = nth_chunk(2);
	rest = chunk->rest;
	DAMAGE(pool->nr_rests, 0, 12);
	DAMAGE(pool->resting, 0, 12);
	DAMAGE(chunk->state, EXECMEM_DYING, 12);
	DAMAGE(chunk->rest, NULL, 12);
	DAMAGE(rest->chunk, nth_chunk(0), 12);
	list_del(&rest->list);
	EXPECT(execmem_pool_check(pool) == 12);
	list_add(&rest->list, &pool->rests);
	EXPECT(!execmem_pool_check(pool));
	execmem_pool_end_rests(pool, EXECMEM_REST_ALL);
	release(addrs[0]);
	release(addrs[4]);
}

/* The same for chunks that are held */
static void test_validator_sees_wrong_holds(void)
{
	struct execmem_chunk *chunk;

	start();
	shim.referenced = addrs[2];
	execmem_retire((void *)addrs[2], "leaver");
	chunk = nth_chunk(2);
	DAMAGE(pool->nr_holds, 0, 12);
	DAMAGE(pool->held, 0, 12);
	DAMAGE(chunk->state, EXECMEM_RESTING, 12);
	DAMAGE(chunk->rest, NULL, 12);
	shim.referenced = 0;
	execmem_pool_end_holds(pool);
	execmem_pool_end_rests(pool, EXECMEM_REST_ALL);
	release(addrs[0]);
	release(addrs[4]);
}

void run_validator_tests(void)
{
	RUN(validator_sees_gap);
	RUN(validator_sees_overlap);
	RUN(validator_sees_missing_tail);
	RUN(validator_sees_unmerged);
	RUN(validator_sees_wrong_max_free);
	RUN(validator_sees_stale_hint);
	RUN(validator_sees_misalignment);
	RUN(validator_sees_wrong_counters);
	RUN(validator_sees_shifted_counters);
	RUN(validator_sees_wrong_spare);
	RUN(validator_sees_wrong_marks);
	RUN(validator_sees_wrong_rests);
	RUN(validator_sees_wrong_holds);
	RUN(validator_sees_foreign_block);
	RUN(validator_sees_lost_block);
}
