// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem: fill and free of the same chunk at the same time,
 * and several threads that use one pool.
 */

#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/random.h>
#include <linux/sched.h>

#include "test_execmem.h"

/*
 * State of free_waits_for_fills(). @used and @taken are noted after the free
 * within the inner fill, after the inner fill, and after the outer one.
 */
static struct {
	struct execmem_pool *pool;
	void *ptr;
	int depth;
	void *taken[3];
	size_t used[3];
	int late_fill;
} race;

static void note_race(int when)
{
	race.used[when] = race.pool->used;
	race.taken[when] = execmem_pool_alloc(race.pool, EXECMEM_BPF, UNIT, 1,
					      false);
}

/*
 * Stands in for two CPUs that fill the chunk while a third one frees it: the
 * outer call fills once more, and the inner call frees the chunk.
 */
static int fill_and_free(void *dst, const void *src, size_t len)
{
	if (race.depth++) {
		execmem_free(race.ptr);
		note_race(0);
	} else {
		execmem_fill(dst + 1, src, len);
		note_race(1);
		race.late_fill = execmem_fill(dst, src, len);
	}
	memcpy(dst, src, len);
	return 0;
}

/*
 * If the chunk were handed out while a fill writes to it, its new owner would
 * find foreign code in it, or its code would be overwritten.
 */
static void free_waits_for_fills(struct kunit *test)
{
	struct execmem_range range = data_range();

	range.fill = fill_and_free;
	memset(&race, 0, sizeof(race));
	race.pool = execmem_test_pool(test, range);
	race.ptr = take(test, race.pool, UNIT);
	KUNIT_EXPECT_EQ(test, execmem_fill(race.ptr, "abc", 3), 0);
	note_race(2);

	/* The chunk cannot be filled once it is freed. */
	KUNIT_EXPECT_EQ(test, race.late_fill, -EINVAL);
	expect_report(test);
	/* It is not handed out again before both fills have returned. */
	KUNIT_EXPECT_EQ(test, race.used[0], UNIT);
	KUNIT_EXPECT_EQ(test, race.used[1], 2 * UNIT);
	KUNIT_EXPECT_PTR_NE(test, race.taken[0], race.ptr);
	KUNIT_EXPECT_PTR_NE(test, race.taken[1], race.ptr);
	/* After that it is overwritten, and handed out. */
	KUNIT_EXPECT_EQ(test, race.used[2], 2 * UNIT);
	KUNIT_EXPECT_PTR_EQ(test, race.taken[2], race.ptr);
	execmem_test_expect_trap(test, race.pool, race.ptr, UNIT);
	KUNIT_EXPECT_EQ(test, race.pool->stats.frees, 1);
}

#define STRESS_THREADS	4
#define STRESS_ROUNDS	200
#define STRESS_CHUNKS	8

/*
 * State of threads_do_not_disturb_each_other(); constant but for the counters.
 * @running counts the threads and the case itself.
 */
struct stress {
	struct execmem_pool *pool;
	const u8 *trap_page;
	atomic_t errors;
	atomic_t running;
	struct completion done;
};

/* Allocate a chunk, check that it was free memory, and write to its start. */
static void *stress_take(struct stress *stress, u8 value, size_t size)
{
	u8 *ptr = execmem_pool_alloc(stress->pool, EXECMEM_BPF, size, 1, true);
	u8 buf[2 * UNIT];

	memset(buf, value, sizeof(buf));
	if (!ptr || !execmem_test_is_trap(ptr, size, stress->trap_page) ||
	    execmem_fill(ptr, buf, sizeof(buf)) ||
	    memcmp(ptr, buf, sizeof(buf)))
		atomic_inc(&stress->errors);
	return ptr;
}

/* Free a chunk. Its contents must be those that stress_take() wrote. */
static void stress_give(struct stress *stress, u8 value, u8 *ptr)
{
	for (int i = 0; ptr && i < 2 * UNIT; i++)
		if (ptr[i] != value)
			atomic_inc(&stress->errors);
	execmem_free(ptr);
}

/*
 * Each thread has a few chunks of random sizes at a time, so neighbours are
 * split, merged, filled and overwritten by different threads.
 */
static int stress_thread(void *arg)
{
	u8 *chunk[STRESS_CHUNKS] = {}, value[STRESS_CHUNKS] = {};
	struct stress *stress = arg;

	for (int round = 0; round < STRESS_ROUNDS + STRESS_CHUNKS; round++) {
		int i = round % STRESS_CHUNKS;

		stress_give(stress, value[i], chunk[i]);
		value[i] = get_random_u8();
		chunk[i] = round >= STRESS_ROUNDS ? NULL :
			   stress_take(stress, value[i], 2 * UNIT +
				       get_random_u32_below(BLOCK / 4));
		cond_resched();
	}
	if (atomic_dec_and_test(&stress->running))
		complete(&stress->done);
	return 0;
}

static void threads_do_not_disturb_each_other(struct kunit *test)
{
	struct stress stress = {};

	stress.pool = execmem_test_pool(test, text_range());
	stress.trap_page = execmem_test_trap_page(test, stress.pool);
	init_completion(&stress.done);
	atomic_set(&stress.running, STRESS_THREADS + 1);
	for (int i = 0; i < STRESS_THREADS; i++) {
		if (IS_ERR(kthread_run(stress_thread, &stress, "execmem/%d",
				       i)))
			atomic_dec(&stress.running);
	}
	/*
	 * @running counts this function, too. Otherwise a thread that ends
	 * before the next one is started would complete @done.
	 */
	if (!atomic_dec_and_test(&stress.running))
		wait_for_completion(&stress.done);

	KUNIT_EXPECT_EQ(test, atomic_read(&stress.errors), 0);
	/* All threads have run to their end. */
	KUNIT_EXPECT_EQ(test, stress.pool->stats.allocs,
			STRESS_THREADS * STRESS_ROUNDS);
	KUNIT_EXPECT_EQ(test, stress.pool->used, 0);
	KUNIT_EXPECT_EQ(test, execmem_pool_check(stress.pool), 0);
}

struct kunit_case execmem_test_race_cases[] = {
	KUNIT_CASE(free_waits_for_fills),
	KUNIT_CASE(threads_do_not_disturb_each_other),
	{}
};
