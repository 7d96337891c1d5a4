// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem: the suite and the fixtures that its cases share.
 * The cases are in lib/test_execmem_*.c, one file for each subject. I1 to I10
 * in comments are the invariants that mm/execmem_pool.c describes.
 *
 * Most cases use pools of their own, which are empty at the start, so that a
 * case knows every address. Bookkeeping is tested with pools of data, which
 * work on every architecture. Pools of text copy the architecture's settings
 * for BPF.
 *
 * The suite cannot be a module because it reads the kernel's page tables.
 */

#include <kunit/static_stub.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "test_execmem.h"

/* === Pools ================================================================ */

unsigned int execmem_test_reports;
unsigned int execmem_test_seen_reports;

/* Runs after the case, even if a failed assertion ended it. */
static void destroy_pool(void *arg)
{
	struct kunit *test = kunit_get_current_test();
	struct execmem_pool *pool = arg;
	struct execmem_chunk *chunk;

	KUNIT_EXPECT_EQ(test, execmem_pool_check(pool), 0);
	execmem_pool_end_rests(pool, EXECMEM_REST_ALL);
	while ((chunk = first_in_use(pool)))
		execmem_free((void *)chunk->start);
	execmem_pool_drain(pool);

	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 0);
	KUNIT_EXPECT_EQ(test, pool->reserved, 0);
	KUNIT_EXPECT_EQ(test, pool->used, 0);
	KUNIT_EXPECT_EQ(test, pool->stats.allocs, pool->stats.frees);
	KUNIT_EXPECT_EQ(test, pool->stats.grown, pool->stats.shrunk);
	KUNIT_EXPECT_EQ(test, execmem_test_reports, execmem_test_seen_reports);
}

struct execmem_pool *execmem_test_pool(struct kunit *test,
				       struct execmem_range range)
{
	struct execmem_range *copy;
	struct execmem_pool *pool;
	int err;

	pool = kunit_kzalloc(test, sizeof(*pool), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pool);
	copy = kunit_kzalloc(test, sizeof(*copy), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	*copy = range;
	execmem_pool_init(pool, "kunit", EXECMEM_BPF, copy);
	err = kunit_add_action_or_reset(test, destroy_pool, pool);
	KUNIT_ASSERT_EQ(test, err, 0);
	return pool;
}

/* An action of KUnit returns nothing. */
void execmem_test_free(void *ptr)
{
	execmem_free(ptr);
}

/*
 * The pools of the kernel are not empty at the end of a case, so each chunk is
 * freed by an action of its own.
 */
void *execmem_test_take_type(struct kunit *test, enum execmem_type type,
			     size_t size)
{
	void *ptr = execmem_alloc(type, size);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, ptr);
	err = kunit_add_action_or_reset(test, execmem_test_free, ptr);
	KUNIT_ASSERT_EQ(test, err, 0);
	return ptr;
}

/* === Contents ============================================================= */

KUNIT_DEFINE_ACTION_WRAPPER(kvfree_action, kvfree, const void *);

/* Contents are compared byte by byte, and some cases write 4 MB. */
u8 *execmem_test_buffer(struct kunit *test, size_t size)
{
	u8 *buf = kvmalloc(size, GFP_KERNEL);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	err = kunit_add_action_or_reset(test, kvfree_action, buf);
	KUNIT_ASSERT_EQ(test, err, 0);
	return buf;
}

/* The period is longer than a page, so that exchanged pages are noticed. */
u8 *execmem_test_pattern(struct kunit *test, size_t size)
{
	u8 *buf = execmem_test_buffer(test, size);

	for (size_t i = 0; i < size; i++)
		buf[i] = i * 7 + i / 251 + 1;
	return buf;
}

u8 *execmem_test_trap_page(struct kunit *test, struct execmem_pool *pool)
{
	u8 *page = execmem_test_buffer(test, PAGE_SIZE);

	memset(page, 0, PAGE_SIZE);
	/* Do not ask the hook where the byte is known: it may be broken. */
	if (IS_ENABLED(CONFIG_X86) && pool->range->trap)
		memset(page, 0xcc, PAGE_SIZE);
	else if (pool->range->trap)
		pool->range->trap(page, PAGE_SIZE);
	return page;
}

/*
 * KASAN reports every ordinary read of free memory. copy_from_kernel_nofault()
 * is not instrumented, so read with that.
 */
bool execmem_test_is_trap(const u8 *start, size_t size, const u8 *trap_page)
{
	while (size) {
		size_t offset = offset_in_page(start);
		size_t part = min3(size, PAGE_SIZE - offset, (size_t)UNIT);
		u8 copy[UNIT];

		if (copy_from_kernel_nofault(copy, start, part) ||
		    memcmp(copy, trap_page + offset, part))
			return false;
		start += part;
		size -= part;
	}
	return true;
}

void execmem_test_expect_trap(struct kunit *test, struct execmem_pool *pool,
			      const void *start, size_t size)
{
	u8 *trap_page = execmem_test_trap_page(test, pool);

	KUNIT_EXPECT_TRUE(test, execmem_test_is_trap(start, size, trap_page));
}

/* === Suite ================================================================ */

/*
 * Replaces execmem_report_expected() in the task of a case. Reports are counted
 * instead of printed, so that any warning during a test run is a failure.
 */
static bool count_report(void)
{
	execmem_test_reports++;
	return true;
}

static int execmem_test_init(struct kunit *test)
{
	execmem_test_seen_reports = execmem_test_reports;
	kunit_activate_static_stub(test, execmem_report_expected, count_report);
	return 0;
}

static const struct kunit_case *const parts[] = {
	execmem_test_alloc_cases,
	execmem_test_lookup_cases,
	execmem_test_block_cases,
	execmem_test_type_cases,
	execmem_test_misuse_cases,
	execmem_test_fill_cases,
	execmem_test_race_cases,
	execmem_test_predictor_cases,
	execmem_test_pages_cases,
	execmem_test_perm_cases,
	execmem_test_alias_cases,
	execmem_test_fallback_cases,
	execmem_test_rest_cases,
};

#define MAX_CASES	100

static struct kunit_case execmem_cases[MAX_CASES + 1];

/*
 * KUnit wants all cases of a suite in one array, and arrays of several files
 * cannot be joined at compile time. An initcall is early enough: KUnit looks
 * at built-in suites when all initcalls have run.
 */
static int __init collect_cases(void)
{
	const struct kunit_case *c;
	unsigned int nr = 0;

	for (int i = 0; i < ARRAY_SIZE(parts); i++) {
		for (c = parts[i]; c->run_case; c++) {
			if (WARN_ON_ONCE(nr == MAX_CASES))
				return -ENOSPC;
			execmem_cases[nr++] = *c;
		}
	}
	return 0;
}
core_initcall(collect_cases);

static struct kunit_suite execmem_suite = {
	.name = "execmem",
	.init = execmem_test_init,
	.test_cases = execmem_cases,
};

kunit_test_suite(execmem_suite);

MODULE_DESCRIPTION("KUnit suite of the allocator for dynamic kernel code");
MODULE_LICENSE("GPL");
