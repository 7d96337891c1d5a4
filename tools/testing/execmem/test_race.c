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

/*
 * The free cannot be completed under the lock that the hooks take. What is lost
 * is counted, as after a free that failed.
 */
static void test_free_during_locked_fill(void)
{
	static const char code[64] = "code";
	struct execmem_chunk *chunk;

	start();
	victim = alloc_text(64);
	shim.in_fill = free_victim;
	shim.text_locked = true;
	EXPECT(!execmem_fill_locked((void *)victim, code, 64));
	shim.text_locked = false;
	EXPECT(take_reports() == 1);
	EXPECT(pool->stats.leaked == 64 && pool->used == 64);
	EXPECT(!pool->stats.frees);

	/* Make it live again, to end the test without leaks. */
	spin_lock(&pool->lock);
	chunk = execmem_chunk_at(pool, victim);
	EXPECT(chunk->state == EXECMEM_DYING);
	chunk->state = EXECMEM_SEALED;
	execmem_mark_live(chunk);
	spin_unlock(&pool->lock);
	release(victim);
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

/*
 * A lookup reads several times. Another thread does two things: steps[0] before
 * read number step_at[0], and steps[1] before read number step_at[1].
 */
#define MAX_READS	8

static void (*steps[2])(void);
static unsigned int step_at[2], reads;

static void before_read(void)
{
	reads++;
	for (int i = 0; i < 2; i++)
		if (reads == step_at[i])
			steps[i]();
	if (reads < MAX_READS)
		shim.in_lookup = before_read;
}

/* Returns what execmem_lookup() returns. Both steps are done at the end. */
static bool lookup_in_steps(unsigned long addr, struct execmem_area *area)
{
	bool found;

	reads = 0;
	shim.in_lookup = before_read;
	found = execmem_lookup(addr, area);
	while (reads < MAX_READS)
		before_read();
	shim.in_lookup = NULL;
	return found;
}

/* Do @check for all times of both steps. */
static void for_all_steps(void (*first)(void), void (*second)(void),
			  void (*check)(void))
{
	steps[0] = first;
	steps[1] = second;
	for (step_at[0] = 1; step_at[0] < MAX_READS; step_at[0]++)
		for (step_at[1] = step_at[0]; step_at[1] < MAX_READS;
		     step_at[1]++)
			check();
}

/* Free memory is not found while chunks before it are allocated and freed. */
static void take_shorter(void)
{
	taken = alloc_text(64);
}

static void check_lookup_of_free_memory(void)
{
	struct execmem_area area;
	unsigned long gap, other;

	start();
	victim = alloc_text(256);
	gap = alloc_text(256);
	other = alloc_text(128);
	release(gap);
	EXPECT(!lookup_in_steps(gap + 128, &area));
	EXPECT(taken == victim);
	release(taken);
	release(other);
}

/*
 * Reproducer: a lookup took the start of one chunk and the end of another for
 * one chunk, if a third chunk was allocated at the first one's address
 * meanwhile.
 */
static void test_lookup_of_free_memory_during_reuse(void)
{
	for_all_steps(free_victim, take_shorter, check_lookup_of_free_memory);
}

static unsigned long neighbour;

static void take_place_of_both(void)
{
	release(neighbour);
	taken = alloc_text(640);
}

static void check_lookup_of_reused(void)
{
	unsigned long gap, other;
	struct execmem_area area;

	start();
	victim = alloc_text(256);
	neighbour = alloc_text(256);
	gap = alloc_text(256);
	other = alloc_text(64);
	release(gap);
	if (lookup_in_steps(victim + 64, &area))
		EXPECT(area.start == victim &&
		       (area.size == 256 || area.size == 640));
	EXPECT(taken == victim);
	release(taken);
	release(other);
}

/*
 * Reproducer: a lookup found the start of a chunk, but no end any more, since
 * the chunk was freed. So it took the end of the next chunk. Then that one was
 * freed, too, and a larger chunk took the place of both. The start was set again,
 * and there was no other start before the end, so the lookup returned a chunk
 * that never was.
 */
static void test_lookup_of_chunk_during_reuse(void)
{
	for_all_steps(free_victim, take_place_of_both, check_lookup_of_reused);
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
	RUN(free_during_locked_fill);
	RUN(alloc_during_invalidate);
	RUN(double_free_during_invalidate);
	RUN(alloc_while_other_grows);
	RUN(alloc_while_other_fills_block);
	RUN(lookup_of_free_memory_during_reuse);
	RUN(lookup_of_chunk_during_reuse);
}
