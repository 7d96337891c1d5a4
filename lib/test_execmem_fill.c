// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem: writing chunks, and what free memory contains (I8).
 */

#include <linux/bpf.h>

#include "test_execmem.h"

/* I8: free memory traps, or is zero in pools of data. */
static void expect_free_is_trap(struct kunit *test, struct execmem_pool *pool)
{
	struct execmem_chunk *chunk;

	for (chunk = first_chunk(pool); chunk; chunk = next_chunk(chunk))
		if (chunk->state == EXECMEM_FREE)
			execmem_test_expect_trap(test, pool,
						 (void *)chunk->start,
						 chunk->size);
}

/*
 * Text is written in parts of at most two pages, through a temporary mapping.
 * So what matters is how a range lies in its first and last page, and whether
 * it crosses from one huge page to the next.
 */
struct fill_case {
	const char *name;
	size_t offset;
	size_t len;
};

/* Contains at least one boundary between huge pages */
#define FILL_SIZE SZ_4M

static const struct fill_case fill_cases[] = {
	{ "first byte",		0,			1 },
	{ "last byte",		FILL_SIZE - 1,		1 },
	{ "first word",		0,			4 },
	{ "last word",		FILL_SIZE - 4,		4 },
	{ "up to page",		PAGE_SIZE - 8,		8 },
	{ "from page",		PAGE_SIZE,		8 },
	{ "across page",	PAGE_SIZE - 1,		2 },
	{ "one page",		PAGE_SIZE,		PAGE_SIZE },
	{ "odd page",		PAGE_SIZE + 4,		PAGE_SIZE },
	{ "two pages",		2 * PAGE_SIZE,		2 * PAGE_SIZE },
	{ "two odd pages",	PAGE_SIZE - 4,		2 * PAGE_SIZE },
	{ "three pages",	PAGE_SIZE - 4,		PAGE_SIZE + 8 },
	{ "seven pages",	3 * PAGE_SIZE - 5,	6 * PAGE_SIZE + 7 },
	{ "up to 2 MB",		SZ_2M - 16,		16 },
	{ "from 2 MB",		SZ_2M,			16 },
	{ "across 2 MB",	SZ_2M - 3,		7 },
	{ "pages across 2 MB",	SZ_2M - PAGE_SIZE - 8,	2 * PAGE_SIZE + 16 },
	{ "everything",		0,			FILL_SIZE },
};

KUNIT_ARRAY_PARAM_DESC(fill, fill_cases, name);

/*
 * Bytes before and after the range must still trap: they may belong to another
 * chunk, whose code is running.
 */
static void fill_writes_only_what_it_should(struct kunit *test)
{
	const struct fill_case *c = test->param_value;
	struct execmem_pool *pool = execmem_test_pool(test, text_range());
	u8 *pattern = execmem_test_pattern(test, c->len);
	size_t end = c->offset + c->len;
	u8 *a;

	/* Other architectures write whole instructions of 4 bytes only. */
	if (!IS_ENABLED(CONFIG_X86) && has_shared_text() &&
	    !IS_ALIGNED(c->offset | c->len, 4))
		kunit_skip(test, "not a multiple of an instruction");

	a = take(test, pool, FILL_SIZE);
	KUNIT_EXPECT_EQ(test, execmem_fill(a + c->offset, pattern, c->len), 0);
	KUNIT_EXPECT_EQ(test, memcmp(a + c->offset, pattern, c->len), 0);
	execmem_test_expect_trap(test, pool, a, c->offset);
	execmem_test_expect_trap(test, pool, a + end, FILL_SIZE - end);
	KUNIT_EXPECT_EQ(test, pool->stats.fills, 1);
}

/*
 * A new block is filled before it becomes executable. What the page allocator
 * left there must not be executable for a moment.
 */
static void new_memory_traps(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, text_range());
	u8 *a = take(test, pool, UNIT);
	struct execmem_block *block;

	execmem_test_expect_trap(test, pool, a, UNIT);
	expect_free_is_trap(test, pool);
	block = first_block(pool);
	execmem_test_expect_trap(test, pool, (void *)block->start, block->size);
}

/*
 * Free a chunk between two others. All of it must be overwritten, to the end of
 * its last unit, and nothing of its neighbours.
 */
static void expect_free_invalidates(struct kunit *test,
				    struct execmem_range range, size_t size)
{
	struct execmem_pool *pool = execmem_test_pool(test, range);
	void *left = take(test, pool, UNIT);
	void *a = take(test, pool, size);
	void *right = take(test, pool, UNIT);
	u8 *pattern = execmem_test_pattern(test, size);

	KUNIT_EXPECT_EQ(test, execmem_fill(left, pattern, UNIT), 0);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern, size), 0);
	KUNIT_EXPECT_EQ(test, execmem_fill(right, pattern, UNIT), 0);
	execmem_seal(a);
	give(test, pool, a);

	execmem_test_expect_trap(test, pool, a, size);
	expect_free_is_trap(test, pool);
	KUNIT_EXPECT_MEMEQ(test, left, pattern, UNIT);
	KUNIT_EXPECT_MEMEQ(test, right, pattern, UNIT);
}

/*
 * Less than a page and several pages, since hooks write page by page. Data
 * without hooks is zeroed.
 */
static void free_invalidates(struct kunit *test)
{
	expect_free_invalidates(test, text_range(), UNIT);
	expect_free_invalidates(test, text_range(), 5 * PAGE_SIZE);
	expect_free_invalidates(test, data_range(), UNIT);
	expect_free_invalidates(test, data_range(), 5 * PAGE_SIZE);
}

static int refuse_fill(void *dst, const void *src, size_t len)
{
	return -EIO;
}

/*
 * Regression test: the part of a page that a BPF dispatcher does not use was
 * zero, and zeroes are instructions.
 */
static void dispatcher_traps_behind_its_code(struct kunit *test)
{
	size_t half = PAGE_SIZE / 2, tail = half - 64;
	void *image, *buf;
	s64 func;

	if (!IS_ENABLED(CONFIG_BPF_JIT) || !arch_supports_bpf_dispatcher())
		kunit_skip(test, "this architecture has no BPF dispatchers");
	buf = kunit_kzalloc(test, half, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, buf);
	image = execmem_alloc(EXECMEM_BPF, PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, image);

	/*
	 * The buffer is zero here. Its end must hold the trap bytes that new
	 * memory of the image holds, whatever these are.
	 */
	func = (unsigned long)image;
	KUNIT_EXPECT_EQ(test, 0,
			arch_prepare_bpf_dispatcher(image, buf, &func, 1));
	KUNIT_EXPECT_MEMNEQ(test, buf, image, 8);
	KUNIT_EXPECT_MEMEQ(test, buf + tail, image + tail, 64);
	execmem_free(image);
}

static void fill_returns_error_of_hook(struct kunit *test)
{
	struct execmem_range range = data_range();
	struct execmem_pool *pool;
	void *a;

	range.fill = refuse_fill;
	pool = execmem_test_pool(test, range);
	a = take(test, pool, UNIT);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, "ab", 2), -EIO);
	KUNIT_EXPECT_EQ(test, pool->stats.fills, 0);
	/* The failed fill must not keep the chunk from being freed. */
	give(test, pool, a);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 0);
}

/*
 * A hook that fails as long as this is set, as text_poke() may fail if its
 * mapping cannot be made.
 */
static bool refuse_to_invalidate;

static int refuse_invalidate(void *dst, size_t len)
{
	if (refuse_to_invalidate)
		return -EIO;
	memset(dst, 0, len);
	return 0;
}

/*
 * Such memory may hold executable code of its former user. It stays in use in
 * the bookkeeping, is not handed out again, and cannot be freed a second time.
 */
static void free_leaks_what_it_cannot_invalidate(struct kunit *test)
{
	struct execmem_range range = data_range();
	struct execmem_pool *pool;
	void *a;

	range.invalidate = refuse_invalidate;
	refuse_to_invalidate = true;
	pool = execmem_test_pool(test, range);
	a = take(test, pool, UNIT);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, "ab", 2), 0);
	give(test, pool, a);
	expect_report(test);

	KUNIT_EXPECT_EQ(test, pool->used, UNIT);
	KUNIT_EXPECT_EQ(test, pool->stats.frees, 0);
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, UNIT), a + UNIT);
	expect_no_free(test, pool, a);

	/* Undo the leak, because the pool must be empty at the end. */
	refuse_to_invalidate = false;
	spin_lock(&pool->lock);
	first_in_use(pool)->state = EXECMEM_OPEN;
	execmem_mark_live(first_in_use(pool));
	spin_unlock(&pool->lock);
}

struct kunit_case execmem_test_fill_cases[] = {
	KUNIT_CASE_PARAM(fill_writes_only_what_it_should, fill_gen_params),
	KUNIT_CASE(new_memory_traps),
	KUNIT_CASE(free_invalidates),
	KUNIT_CASE(dispatcher_traps_behind_its_code),
	KUNIT_CASE(fill_returns_error_of_hook),
	KUNIT_CASE(free_leaks_what_it_cannot_invalidate),
	{}
};
