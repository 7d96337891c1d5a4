// SPDX-License-Identifier: GPL-2.0
/*
 * Races: another thread acts in the middle of an operation. There is only one
 * thread. The actions of the other one run in a callback, at places where the
 * first one waits or holds no lock.
 */

#include "tests.h"

#define BLOCK	SZ_64K

static struct execmem_pool *pool;
static unsigned long victim;
static unsigned long taken;

static void start(void)
{
	pool = start_small();
	victim = 0;
	taken = 0;
}

static void free_victim(void)
{
	release(victim);
}

static void free_victim_twice(void)
{
	release(victim);
	release(victim);
}

static void take_same_size(void)
{
	taken = alloc_text(64);
}

static int fill(unsigned long addr, size_t len)
{
	static const char code[256] = "code";

	return execmem_fill((void *)addr, code, len);
}

/* The chunk is freed when the fill is complete. */
static void test_free_during_fill(void)
{
	unsigned long other;

	start();
	victim = alloc_text(256);
	other = alloc_text(64);
	shim.in_fill = free_victim;
	EXPECT(!fill(victim, 256));
	EXPECT(backing_is(victim, 256, TRAP_BYTE));
	EXPECT(pool->nr_chunks == 1 && pool->stats.frees == 1);
	EXPECT(shim.invalidate.calls == 1);
	release(other);
}

static void free_and_take(void)
{
	release(victim);
	EXPECT(!execmem_lookup(victim, &(struct execmem_area) {}));
	EXPECT(fill(victim, 1) == -EINVAL);
	execmem_seal((void *)victim);
	EXPECT(take_reports() == 2);
	take_same_size();
}

static void test_free_during_fill_is_no_reuse(void)
{
	unsigned long other;

	start();
	victim = alloc_text(64);
	other = alloc_text(64);
	shim.in_fill = free_and_take;
	EXPECT(!fill(victim, 64));
	EXPECT(taken == other + 64);
	EXPECT(backing_is(taken, 64, TRAP_BYTE));
	release(other);
	release(taken);
}

/* A block is not given back while its last chunk is being filled. */
static void test_free_during_fill_keeps_block(void)
{
	start();
	victim = alloc_text(256);
	shim.in_fill = free_victim;
	EXPECT(!fill(victim, 256));
	EXPECT(!pool->nr_blocks);
}

static void test_double_free_during_fill(void)
{
	start();
	victim = alloc_text(256);
	shim.in_fill = free_victim_twice;
	EXPECT(!fill(victim, 256));
	EXPECT(take_reports() == 1);
	EXPECT(pool->stats.frees == 1);
}

static void fill_inside_fill(void)
{
	shim.in_fill = free_victim;
	EXPECT(!fill(victim, 64));
	/* The outer fill is still in progress. */
	EXPECT(pool->nr_chunks == 1 && !shim.invalidate.calls);
}

static void test_free_during_two_fills(void)
{
	start();
	victim = alloc_text(256);
	shim.in_fill = fill_inside_fill;
	EXPECT(!fill(victim, 256));
	EXPECT(shim.invalidate.calls == 1);
	EXPECT(pool->stats.fills == 2 && pool->stats.frees == 1);
}

static void seal_victim(void)
{
	execmem_seal((void *)victim);
}

static void test_seal_during_fill(void)
{
	start();
	victim = alloc_text(256);
	shim.in_fill = seal_victim;
	EXPECT(!fill(victim, 256));
	EXPECT(fill(victim, 256) == -EINVAL);
	EXPECT(take_reports() == 1);
	release(victim);
}

/* Publishing seals the chunk only if it is not freed by then. */
static void test_free_during_publish(void)
{
	static const char code[64] = "code";

	start();
	victim = alloc_text(64);
	shim.in_fill = free_victim;
	EXPECT(!execmem_publish((void *)victim, code, 64));
	EXPECT(!pool->nr_blocks && pool->stats.frees == 1);
}

/* Memory is not handed out before it was invalidated. */
static void test_alloc_during_invalidate(void)
{
	unsigned long other;

	start();
	victim = alloc_text(64);
	other = alloc_text(64);
	EXPECT(!fill(victim, 64));
	shim.in_invalidate = take_same_size;
	release(victim);
	EXPECT(taken == other + 64);
	release(other);
	release(taken);
}

static void test_double_free_during_invalidate(void)
{
	unsigned long other;

	start();
	victim = alloc_text(64);
	other = alloc_text(64);
	shim.in_invalidate = free_victim;
	release(victim);
	EXPECT(take_reports() == 1);
	EXPECT(pool->stats.frees == 1);
	release(other);
}

/* A task that waited for grow_lock uses the block that another task added. */
static void test_alloc_while_other_grows(void)
{
	unsigned long a;

	start();
	shim.before_mutex = take_same_size;
	a = alloc_text(64);
	EXPECT(a == taken + 64);
	EXPECT(pool->nr_blocks == 1 && pool->stats.grown == 1);
	release(a);
	release(taken);
}

/* The rest of a new block can be allocated by another task. */
static void test_alloc_while_other_fills_block(void)
{
	unsigned long a, b;

	start();
	a = alloc_text(BLOCK - 64);
	shim.before_mutex = take_same_size;
	b = alloc_text(128);
	EXPECT(taken == a + BLOCK - 64);
	EXPECT(pool->nr_blocks == 2);
	release(a);
	release(b);
	release(taken);
}

/* Free memory is not found while chunks before it are allocated and freed. */
static void take_shorter(void)
{
	taken = alloc_text(64);
}

static void free_then_take_shorter(void)
{
	release(victim);
	shim.in_lookup = take_shorter;
}

/*
 * Reproducer: a lookup took the start of one chunk and the end of another for
 * one chunk, if a third chunk was allocated at the first one's address
 * meanwhile.
 */
static void test_lookup_of_free_memory_during_reuse(void)
{
	struct execmem_area area;
	unsigned long gap, other;

	start();
	victim = alloc_text(256);
	gap = alloc_text(256);
	other = alloc_text(128);
	release(gap);
	shim.in_lookup = free_then_take_shorter;
	EXPECT(!execmem_lookup(gap + 128, &area));
	EXPECT(taken == victim && !shim.in_lookup);
	release(taken);
	release(other);
}

void run_race_tests(void)
{
	RUN(free_during_fill);
	RUN(free_during_fill_is_no_reuse);
	RUN(free_during_fill_keeps_block);
	RUN(double_free_during_fill);
	RUN(free_during_two_fills);
	RUN(seal_during_fill);
	RUN(free_during_publish);
	RUN(alloc_during_invalidate);
	RUN(double_free_during_invalidate);
	RUN(alloc_while_other_grows);
	RUN(alloc_while_other_fills_block);
	RUN(lookup_of_free_memory_during_reuse);
}
