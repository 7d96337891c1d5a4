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

static void test_no_rest_without_note(void)
{
	unsigned long gone;

	start();
	gone = alloc_text(64);
	shim.alloc.at = shim.alloc.calls + 1;
	retire(gone);
	EXPECT(shim.alloc.hits == 1 && !pool->used);
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
	EXPECT(pool->used == 64 && !pool->nr_rests);
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
	RUN(no_rest_without_note);
	RUN(no_rest_of_own_pages);
	RUN(no_rest_with_guard);
	RUN(no_rest_of_what_cannot_trap);
	RUN(no_rest_of_nothing);
}
