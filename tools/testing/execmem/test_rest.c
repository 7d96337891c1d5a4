// SPDX-License-Identifier: GPL-2.0
/*
 * Freed memory of modules rests before anybody else gets it.
 *
 * Most of them fail if execmem_retire() only calls execmem_free().
 */

#include "tests.h"

#define BLOCK	SZ_64K
#define OWNER	"leaver"

static struct execmem_pool *pool;

static void start(void)
{
	pool = start_small();
}

static void retire(unsigned long addr)
{
	execmem_retire((void *)addr, OWNER);
	EXPECT(!execmem_pool_check(pool));
}

static void end_all(struct execmem_pool *of)
{
	execmem_pool_end_rests(of, EXECMEM_REST_ALL);
	EXPECT(!execmem_pool_check(of));
	EXPECT(!of->nr_rests && !of->resting);
}

/* The name of the module whose memory rests at @addr, or NULL */
static const char *owner_of(unsigned long addr)
{
	static struct execmem_resting resting;

	return execmem_pool_resting_at(addr, &resting) ? resting.owner : NULL;
}

static bool rests(unsigned long addr)
{
	const char *owner = owner_of(addr);

	return owner && !strcmp(owner, OWNER);
}

/*
 * Reproducer: the next module got the place at once, and what the former one
 * had left behind ran its code.
 */
static void test_rest_keeps_place(void)
{
	unsigned long keep, gone, others[50];
	struct execmem_area area;

	start();
	keep = alloc_text(64);
	gone = alloc_text(512);
	retire(gone);
	EXPECT(!execmem_lookup(gone, &area));
	EXPECT(backing_is(gone, 512, TRAP_BYTE));
	for (int i = 0; i < 50; i++) {
		others[i] = alloc_text(512);
		EXPECT(others[i] != gone);
	}
	EXPECT(rests(gone) && rests(gone + 511));
	EXPECT(!owner_of(gone + 512) && !owner_of(keep) && !owner_of(keep - 1));
	for (int i = 0; i < 50; i++)
		release(others[i]);
	release(keep);
	end_all(pool);
}

static void test_rest_is_described(void)
{
	struct execmem_resting resting;
	unsigned long gone;

	start();
	gone = alloc_of(EXECMEM_KPROBES, 512);
	retire(gone);
	pass_time(HZ);
	EXPECT(execmem_pool_resting_at(gone + 100, &resting));
	EXPECT(!strcmp(resting.owner, OWNER));
	EXPECT(resting.offset == 100 && resting.age_ms == 1000);
	EXPECT(resting.type == EXECMEM_KPROBES);
	/* As during an oops under the lock: no answer, but no deadlock */
	spin_lock(&pool->lock);
	EXPECT(!execmem_pool_resting_at(gone + 100, &resting));
	spin_unlock(&pool->lock);
	EXPECT(!execmem_pool_resting_at(gone - SZ_2M, &resting));
	end_all(pool);
}

/* Two rests end, each at its own bound, also if nobody frees or allocates. */
static void test_rest_ends_at_bound(void)
{
	unsigned long keep, a, b;

	start();
	keep = alloc_text(64);
	a = alloc_text(64);
	b = alloc_text(64);
	retire(a);
	pass_time(HZ);
	retire(b);
	pass_time(EXECMEM_REST_MAX - HZ - 1);
	EXPECT(rests(a) && rests(b));
	pass_time(1);
	EXPECT(!owner_of(a) && rests(b));
	pass_time(HZ - 1);
	EXPECT(rests(b));
	pass_time(1);
	EXPECT(!owner_of(b) && !pool->resting);
	EXPECT(pool->stats.rests == 2 && !pool->stats.rests_cut);
	EXPECT(pool->used == 64);
	EXPECT(!shim.work->pending);
	release(keep);
}

/* Retire @nr chunks that are small, so that these are later frees. */
static void retire_small(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		retire(alloc_text(64));
}

/*
 * The place is used again before the pool grows, but only after both a time and
 * later frees have passed.
 */
static void expect_reuse(unsigned long ticks, unsigned int frees, bool reuse)
{
	unsigned long gone, rest, next;

	start();
	gone = alloc_text(BLOCK / 2);
	rest = alloc_text(BLOCK / 2 - 64 * 64);
	retire(gone);
	retire_small(frees);
	pass_time(ticks);
	next = alloc_text(BLOCK / 2);
	EXPECT((next == gone) == reuse);
	EXPECT((pool->nr_blocks == 1) == reuse);
	release(next);
	release(rest);
	end_all(pool);
}

static void test_rest_time_alone_is_not_enough(void)
{
	expect_reuse(EXECMEM_REST_MAX - 1, EXECMEM_REST_FREES - 1, false);
}

static void test_rest_frees_alone_are_not_enough(void)
{
	expect_reuse(EXECMEM_REST_MIN - 1, 2 * EXECMEM_REST_FREES, false);
}

static void test_rest_is_over_before_pool_grows(void)
{
	expect_reuse(EXECMEM_REST_MIN, EXECMEM_REST_FREES, true);
}

/* Data without hooks */
static void test_rest_finds_write(void)
{
	struct execmem_pool *data;
	unsigned long gone;

	start();
	data = execmem_pool_of(EXECMEM_FTRACE);
	gone = alloc_of(EXECMEM_FTRACE, 1024);
	memset((void *)gone, 0x11, 1024);
	retire(gone);
	EXPECT(backing_is(gone, 1024, POISON_FREE));
	((char *)gone)[0x123] = 0x42;
	((char *)gone)[0x200] = 0x42;
	pass_time(EXECMEM_REST_MAX);
	EXPECT(take_reports() == 1);
	EXPECT(strstr(shim.report, "ftrace of unloaded module " OWNER));
	EXPECT(strstr(shim.report, "offset 0x123 of 0x400"));
	EXPECT(data->stats.rest_writes == 1 && !data->resting);
}

/* The next owner finds what it would find without a rest. */
static void test_rest_leaves_no_poison(void)
{
	unsigned long keep, gone, next;

	start();
	keep = alloc_of(EXECMEM_FTRACE, 256);
	gone = alloc_of(EXECMEM_FTRACE, 1024);
	retire(gone);
	pass_time(EXECMEM_REST_MAX);
	next = alloc_of(EXECMEM_FTRACE, 1024);
	EXPECT(next == gone && backing_is(next, 1024, ZERO_BYTE));
	EXPECT(!execmem_pool_of(EXECMEM_FTRACE)->stats.rest_writes);
	release(keep);
	release(next);
}

/* If addresses are exhausted, all rests end before an allocation fails. */
static void test_rest_ends_if_addresses_are_short(void)
{
	unsigned long gone[2], all;
	size_t size = SZ_4M;

	start();
	gone[0] = alloc_text(size / 2);
	gone[1] = alloc_text(size / 2);
	EXPECT(gone[1]);
	retire(gone[0]);
	all = alloc_text(size / 2);
	EXPECT(all == gone[0]);
	EXPECT(pool->stats.rests_cut == 1);
	EXPECT(!pool->stats.failures);
	EXPECT(!alloc_text(size / 2));
	EXPECT(pool->stats.failures == 1);
	release(all);
	release(gone[1]);
}

/* The same if there is no memory for a block */
static void test_rest_ends_if_memory_is_short(void)
{
	unsigned long keep, gone, next;

	start();
	keep = alloc_text(64);
	gone = alloc_text(BLOCK - 64);
	retire(gone);
	shim.map.at = shim.map.calls + 1;
	shim.map.from_then_on = true;
	next = alloc_text(BLOCK - 64);
	EXPECT(next == gone && pool->stats.rests_cut == 1);
	release(keep);
	release(next);
}

static void test_rest_is_bounded_in_bytes(void)
{
	unsigned long old, new;

	start();
	old = alloc_text(EXECMEM_REST_BYTES / 2);
	new = alloc_text(EXECMEM_REST_BYTES / 2);
	retire(old);
	retire(new);
	EXPECT(rests(old) && rests(new));
	retire(alloc_text(64));
	EXPECT(!owner_of(old) && rests(new));
	EXPECT(pool->stats.rests_cut == 1);
	EXPECT(pool->resting == EXECMEM_REST_BYTES / 2 + 64);
	end_all(pool);
}

/* The newest chunk rests, whatever its size is. */
static void test_rest_of_chunk_above_bound(void)
{
	unsigned long small, large;

	start();
	small = alloc_text(64);
	large = alloc_text(EXECMEM_REST_BYTES + BLOCK);
	retire(small);
	retire(large);
	EXPECT(!owner_of(small) && rests(large));
	end_all(pool);
}

/* Loading and unloading the same for ever does not need more and more memory. */
static void test_rest_does_not_grow_in_a_loop(void)
{
	size_t most = 0;

	start();
	for (int i = 0; i < 1000; i++) {
		unsigned long text = alloc_text(3 * BLOCK / 2);
		unsigned long data = alloc_of(EXECMEM_BPF, 3 * BLOCK / 2);

		EXPECT(text && data);
		if (i < 50)
			most = max(most, pool->reserved);
		EXPECT(pool->reserved <= most);
		retire(text);
		retire(data);
		pass_time(HZ / 50);
	}
	end_all(execmem_pool_of(EXECMEM_BPF));
	end_all(pool);
}

/* An oops at the end of a chunk must not name the neighbour. */
static void test_rest_of_neighbours(void)
{
	unsigned long a, b, c;

	start();
	a = alloc_text(64);
	b = alloc_text(64);
	c = alloc_text(64);
	execmem_retire((void *)a, "first");
	execmem_retire((void *)c, "third");
	EXPECT(!strcmp(owner_of(a + 63), "first"));
	EXPECT(!owner_of(b) && !owner_of(b + 63));
	EXPECT(!strcmp(owner_of(c), "third"));
	release(b);
	end_all(pool);
	EXPECT(!pool->used);
}

/* Names of modules are cut, not written past their end. */
static void test_rest_of_long_name(void)
{
	char name[100] = "";
	unsigned long gone;

	start();
	memset(name, 'x', sizeof(name) - 1);
	gone = alloc_text(64);
	execmem_retire((void *)gone, name);
	EXPECT(strlen(owner_of(gone)) == EXECMEM_OWNER_LEN - 1);
	end_all(pool);
}

/* Make a chunk live that was leaked, to end a test without leaks. */
static void recover(unsigned long addr)
{
	struct execmem_chunk *chunk;

	spin_lock(&pool->lock);
	chunk = execmem_chunk_at(pool, addr);
	EXPECT(chunk->state == EXECMEM_DYING && !chunk->rest);
	chunk->state = EXECMEM_SEALED;
	execmem_mark_live(chunk);
	spin_unlock(&pool->lock);
	release(addr);
}

/* === What somebody refers to ============================================== */

/* A pool of writable data, which is poisoned when it rests */
static struct execmem_pool *start_data(void)
{
	start();
	return execmem_pool_of(EXECMEM_FTRACE);
}

/* Is @addr held, and what was written there still there? */
static bool is_held(unsigned long addr)
{
	return rests(addr) && *(char *)addr == 0x11;
}

/* Allocate data, and let somebody refer to the page at @offset in it. */
static unsigned long referenced_data(size_t size, size_t offset)
{
	unsigned long addr = alloc_of(EXECMEM_FTRACE, size);

	memset((void *)addr, 0x11, size);
	shim.referenced = addr + offset;
	return addr;
}

/*
 * Reproducer: a pipe had a page of a module's buffer, the module was unloaded,
 * and the pipe yielded the data of the next module.
 */
static void test_hold_until_nobody_refers(void)
{
	struct execmem_pool *data = start_data();
	unsigned long gone = referenced_data(3 * PAGE_SIZE, PAGE_SIZE);
	unsigned long next;

	execmem_retire((void *)gone, OWNER);
	EXPECT(!execmem_pool_check(data));
	EXPECT(is_held(gone) && backing_is(gone, 3 * PAGE_SIZE, 0x11));
	EXPECT(data->held == 3 * PAGE_SIZE && data->nr_holds == 1);
	EXPECT(!data->resting && !data->stats.rests);
	pass_time(10 * EXECMEM_REST_MAX);
	next = alloc_of(EXECMEM_FTRACE, 3 * PAGE_SIZE);
	EXPECT(next != gone && is_held(gone));

	shim.referenced = 0;
	pass_time(EXECMEM_HOLD_TIME);
	EXPECT(!data->held && data->resting == 3 * PAGE_SIZE);
	EXPECT(backing_is(gone, 3 * PAGE_SIZE, POISON_FREE));
	pass_time(EXECMEM_REST_MAX);
	EXPECT(!data->resting && data->stats.rests == 1);
	EXPECT(data->stats.holds >= 1 && !data->stats.rest_writes);
	EXPECT(!shim.work->pending);
	release(next);
	EXPECT(!data->nr_blocks);
}

/* A page of which the chunk has only the first or the last bytes */
static void test_hold_of_shared_page(void)
{
	struct execmem_pool *data = start_data();
	unsigned long first = alloc_of(EXECMEM_FTRACE, 256);
	unsigned long gone = referenced_data(PAGE_SIZE, 0);
	unsigned long last = alloc_of(EXECMEM_FTRACE, 256);

	/* The page after it is nothing to it. */
	EXPECT(gone == first + 256);
	shim.referenced = first + 2 * PAGE_SIZE;
	execmem_retire((void *)gone, OWNER);
	EXPECT(!data->held && data->resting == PAGE_SIZE);
	end_all(data);

	EXPECT(referenced_data(PAGE_SIZE, 0) == gone);
	shim.referenced = first;
	execmem_retire((void *)gone, OWNER);
	EXPECT(data->held == PAGE_SIZE);
	shim.referenced = first + PAGE_SIZE;
	pass_time(EXECMEM_REST_MAX);
	EXPECT(data->held == PAGE_SIZE && is_held(gone));
	shim.referenced = 0;
	pass_time(EXECMEM_HOLD_TIME);
	end_all(data);
	release(first);
	release(last);
}

/* Neither a want of memory nor what rests beside it ends a hold. */
static void test_hold_stays_if_memory_is_short(void)
{
	unsigned long gone, small;

	start();
	gone = alloc_text(EXECMEM_REST_BYTES);
	small = alloc_text(64);
	shim.referenced = gone + PAGE_SIZE;
	retire(gone);
	retire(small);
	EXPECT(pool->held == EXECMEM_REST_BYTES && rests(small));
	EXPECT(!pool->stats.rests_cut);
	EXPECT(!alloc_text(SZ_4M - SZ_1M));
	EXPECT(pool->stats.rests_cut == 1 && !owner_of(small));
	EXPECT(rests(gone));
	/* As the shrinker does */
	execmem_pool_end_holds(pool);
	end_all(pool);
	EXPECT(rests(gone) && pool->held == EXECMEM_REST_BYTES);
	shim.referenced = 0;
	execmem_pool_end_holds(pool);
	EXPECT(rests(gone) && !pool->held);
	end_all(pool);
	EXPECT(!pool->nr_blocks);
}

/* Somebody found the page by its address while it rested. */
static void test_hold_after_rest(void)
{
	struct execmem_pool *data = start_data();
	unsigned long gone = alloc_of(EXECMEM_FTRACE, PAGE_SIZE);

	execmem_retire((void *)gone, OWNER);
	shim.referenced = gone;
	pass_time(EXECMEM_REST_MAX);
	EXPECT(data->held == PAGE_SIZE && !data->resting && rests(gone));
	/* What is written then is not a mistake of the module. */
	*(char *)gone = 0x42;
	shim.referenced = 0;
	pass_time(EXECMEM_HOLD_TIME);
	EXPECT(data->resting == PAGE_SIZE);
	pass_time(EXECMEM_REST_MAX);
	EXPECT(!data->used && !data->stats.rest_writes);
}

/* Its place is kept, but it traps at once. */
static void test_hold_of_text_traps(void)
{
	char code[64] = "code";
	unsigned long gone;

	start();
	gone = alloc_text(PAGE_SIZE);
	EXPECT(!execmem_fill((void *)gone, code, sizeof(code)));
	shim.referenced = gone;
	retire(gone);
	EXPECT(pool->held == PAGE_SIZE && rests(gone));
	EXPECT(backing_is(gone, PAGE_SIZE, TRAP_BYTE));
	shim.referenced = 0;
	pass_time(EXECMEM_REST_MAX);
	EXPECT(pool->resting == PAGE_SIZE);
	end_all(pool);
}

/* One of two holds ends. */
static void test_hold_of_two(void)
{
	struct execmem_pool *data = start_data();
	unsigned long a = referenced_data(PAGE_SIZE, 0);
	unsigned long keep = alloc_of(EXECMEM_FTRACE, PAGE_SIZE), b;

	execmem_retire((void *)a, OWNER);
	b = referenced_data(PAGE_SIZE, 0);
	execmem_retire((void *)b, OWNER);
	EXPECT(data->nr_holds == 2 && data->held == 2 * PAGE_SIZE);
	execmem_pool_end_holds(data);
	EXPECT(data->nr_holds == 1 && data->held == PAGE_SIZE);
	EXPECT(is_held(b) && data->resting == PAGE_SIZE);
	end_all(data);
	EXPECT(!owner_of(a) && is_held(b));
	shim.referenced = 0;
	execmem_pool_end_holds(data);
	end_all(data);
	release(keep);
}

/* The hook fails when nobody refers to it any more. */
static void test_hold_ends_with_leak(void)
{
	unsigned long gone;

	start();
	gone = alloc_text(64);
	shim.referenced = gone;
	retire(gone);
	shim.referenced = 0;
	shim.invalidate.at = shim.invalidate.calls + 1;
	pass_time(EXECMEM_REST_MAX);
	EXPECT(take_reports() == 1);
	EXPECT(!pool->held && !pool->resting && !owner_of(gone));
	recover(gone);
}

/* The delayed work item runs as often as it queues itself, to see nothing. */
static void let_work_run(void)
{
	pass_time(2 * EXECMEM_REST_MAX);
}

/* The work item saw to the chunk that was being looked at in the meantime. */
static void expect_end(struct execmem_pool *of)
{
	shim.referenced = 0;
	pass_time(2 * EXECMEM_REST_MAX + EXECMEM_HOLD_TIME);
	EXPECT(!of->nr_holds && !of->nr_rests && !of->used);
	EXPECT(!shim.work->pending);
}

/*
 * Reproducer: while the shrinker looked at the only chunk that was held, the
 * work item found none and stopped. Nobody looked at the chunk again.
 */
static void test_hold_is_seen_to_after_two_looked(void)
{
	struct execmem_pool *data = start_data();
	unsigned long gone = referenced_data(PAGE_SIZE, 0);

	execmem_retire((void *)gone, OWNER);
	shim.in_referenced = let_work_run;
	/* As the shrinker does */
	execmem_pool_end_holds(data);
	EXPECT(is_held(gone));
	expect_end(data);
}

/* The same for the rest that follows the hold */
static void test_rest_is_seen_to_after_two_looked(void)
{
	struct execmem_pool *data = start_data();
	unsigned long gone = referenced_data(PAGE_SIZE, 0);

	execmem_retire((void *)gone, OWNER);
	shim.referenced = 0;
	shim.in_referenced = let_work_run;
	execmem_pool_end_holds(data);
	EXPECT(data->nr_rests == 1);
	expect_end(data);
}

/* The same for a rest that is cut short, but cannot end */
static void test_hold_of_picked_rest_is_seen_to(void)
{
	struct execmem_pool *data = start_data();
	unsigned long gone = alloc_of(EXECMEM_FTRACE, PAGE_SIZE);

	execmem_retire((void *)gone, OWNER);
	shim.referenced = gone;
	shim.in_referenced = let_work_run;
	execmem_pool_end_rests(data, EXECMEM_REST_ALL);
	EXPECT(data->nr_holds == 1);
	expect_end(data);
}

static unsigned long late;

static void retire_late(void)
{
	execmem_retire((void *)late, OWNER);
}

/* === What does not rest =================================================== */

/* Free during a fill: the fill gives the chunk back when it ends. */
static void test_no_rest_during_fill(void)
{
	char code[64] = "code";

	start();
	late = alloc_text(64);
	shim.in_fill = retire_late;
	EXPECT(!execmem_fill((void *)late, code, sizeof(code)));
	EXPECT(!pool->used && !pool->nr_rests && !pool->stats.rests);
}

/* What is referred to must not be handed out, however short memory is. */
static void test_rest_without_memory(void)
{
	unsigned long gone;

	start();
	gone = alloc_text(64);
	shim.alloc.at = shim.alloc.calls + 1;
	shim.alloc.from_then_on = true;
	retire(gone);
	EXPECT(rests(gone) && !shim.alloc.hits);
	end_all(pool);
}

/* Memory that is unmapped when it is freed */
static void test_no_rest_of_own_pages(void)
{
	unsigned long gone;

	start();
	gone = alloc_of(EXECMEM_MODULE_DATA, PAGE_SIZE);
	retire(gone);
	EXPECT(!execmem_pool_of(EXECMEM_MODULE_DATA)->nr_blocks);
}

static void test_no_rest_with_guard(void)
{
	unsigned long gone;

	EXPECT(!param_parse_execmem("guard"));
	start();
	gone = alloc_text(64);
	retire(gone);
	EXPECT(!pool->nr_blocks);
}

static void test_no_rest_of_what_cannot_trap(void)
{
	unsigned long gone;

	start();
	gone = alloc_text(64);
	shim.invalidate.at = shim.invalidate.calls + 1;
	retire(gone);
	EXPECT(take_reports() == 1);
	EXPECT(pool->used == 64 && !pool->nr_rests && pool->stats.leaked == 64);
	recover(gone);
}

static void test_no_rest_of_nothing(void)
{
	unsigned long a;

	start();
	a = alloc_text(128);
	execmem_retire(NULL, OWNER);
	EXPECT(!take_reports());
	retire(a + 64);
	EXPECT(take_reports() == 1);
	retire((unsigned long)&a);
	EXPECT(take_reports() == 1);
	shim.in_interrupt = true;
	retire(a);
	shim.in_interrupt = false;
	EXPECT(shim.warnings == 1);
	shim.warnings = 0;
	EXPECT(!pool->nr_rests);
	retire(a);
	retire(a);
	EXPECT(take_reports() == 1);
	end_all(pool);
}

/* Writable memory whose hook fails when the rest ends is never used again. */
static void test_rest_ends_with_leak(void)
{
	static struct execmem_info info;
	struct execmem_range *r = &info.ranges[EXECMEM_MODULE_TEXT];
	unsigned long gone;

	info = (struct execmem_info) {};
	*r = shared_range(0, SZ_4M, SZ_64K);
	r->flags = 0;
	arch_table = &info;
	EXPECT(kernel_boot());
	pool = execmem_pool_of(EXECMEM_MODULE_TEXT);
	gone = alloc_text(64);
	retire(gone);
	shim.invalidate.at = shim.invalidate.calls + 1;
	pass_time(EXECMEM_REST_MAX);
	EXPECT(take_reports() == 1);
	EXPECT(pool->used == 64 && !pool->nr_rests && !owner_of(gone));
	recover(gone);
}

void run_rest_tests(void)
{
	RUN(rest_keeps_place);
	RUN(rest_is_described);
	RUN(rest_ends_at_bound);
	RUN(rest_time_alone_is_not_enough);
	RUN(rest_frees_alone_are_not_enough);
	RUN(rest_is_over_before_pool_grows);
	RUN(rest_finds_write);
	RUN(rest_leaves_no_poison);
	RUN(rest_ends_if_addresses_are_short);
	RUN(rest_ends_if_memory_is_short);
	RUN(rest_is_bounded_in_bytes);
	RUN(rest_of_chunk_above_bound);
	RUN(rest_does_not_grow_in_a_loop);
	RUN(rest_of_neighbours);
	RUN(rest_of_long_name);
	RUN(rest_ends_with_leak);
	RUN(no_rest_during_fill);
	RUN(rest_without_memory);
	RUN(hold_until_nobody_refers);
	RUN(hold_of_shared_page);
	RUN(hold_stays_if_memory_is_short);
	RUN(hold_after_rest);
	RUN(hold_of_text_traps);
	RUN(hold_of_two);
	RUN(hold_ends_with_leak);
	RUN(hold_is_seen_to_after_two_looked);
	RUN(rest_is_seen_to_after_two_looked);
	RUN(hold_of_picked_rest_is_seen_to);
	RUN(no_rest_of_own_pages);
	RUN(no_rest_with_guard);
	RUN(no_rest_of_what_cannot_trap);
	RUN(no_rest_of_nothing);
}
