// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem: freed memory of modules rests before anybody else
 * gets it. How long it rests is tested in user space, where time can be set.
 */

#include <linux/mm.h>
#include <linux/poison.h>
#include <linux/uaccess.h>

#include "test_execmem.h"

#define OWNER	"kunit_module"

static void retire(struct kunit *test, struct execmem_pool *pool, void *ptr)
{
	execmem_retire(ptr, OWNER);
	KUNIT_EXPECT_EQ(test, execmem_pool_check(pool), 0);
}

static void end_rests(struct kunit *test, struct execmem_pool *pool)
{
	KUNIT_EXPECT_TRUE(test, execmem_pool_end_rests(pool, EXECMEM_REST_ALL));
	KUNIT_EXPECT_EQ(test, execmem_pool_check(pool), 0);
	KUNIT_EXPECT_EQ(test, pool->resting, 0);
}

/* Text traps, and the place is not handed out again. */
static void rest_of_text_traps(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, text_range());
	struct execmem_resting resting;
	u8 *code = execmem_test_pattern(test, 4 * UNIT);
	struct execmem_area area;
	void *keep = take(test, pool, UNIT);
	void *gone = take(test, pool, 4 * UNIT);

	KUNIT_EXPECT_EQ(test, execmem_fill(gone, code, 4 * UNIT), 0);
	retire(test, pool, gone);
	KUNIT_EXPECT_FALSE(test, execmem_lookup((unsigned long)gone, &area));
	if (has_shared_text())
		execmem_test_expect_trap(test, pool, gone, 4 * UNIT);
	for (int i = 0; i < 50; i++)
		KUNIT_EXPECT_PTR_NE(test, take(test, pool, 4 * UNIT), gone);

	KUNIT_ASSERT_TRUE(test, execmem_pool_resting_at((unsigned long)gone + 3,
							&resting));
	KUNIT_EXPECT_STREQ(test, resting.owner, OWNER);
	KUNIT_EXPECT_EQ(test, resting.offset, 3);
	KUNIT_EXPECT_FALSE(test, execmem_pool_resting_at((unsigned long)keep,
							 &resting));
	end_rests(test, pool);
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, 4 * UNIT), gone);
}

/* Reads and writes that neither KASAN nor a page fault stops */
static u8 peek(struct kunit *test, const void *src)
{
	u8 byte = 0;

	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(&byte, src, 1), 0);
	return byte;
}

static void poke(struct kunit *test, void *dst, u8 byte)
{
	KUNIT_EXPECT_EQ(test, copy_to_kernel_nofault(dst, &byte, 1), 0);
}

/* Data is poisoned, and a write to it is reported once. */
static void rest_of_data_finds_write(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, data_range());
	u8 *keep = take(test, pool, UNIT);
	u8 *gone = take(test, pool, 4 * UNIT);

	memset(gone, 1, 4 * UNIT);
	retire(test, pool, gone);
	for (int i = 0; i < 4 * UNIT; i++)
		KUNIT_EXPECT_EQ(test, peek(test, gone + i), POISON_FREE);

	poke(test, gone + UNIT, 1);
	poke(test, gone + 2 * UNIT, 1);
	end_rests(test, pool);
	expect_report(test);
	KUNIT_EXPECT_EQ(test, pool->stats.rest_writes, 1);
	give(test, pool, keep);
}

/* Data that was sealed can be written and verified when it rests. */
static void rest_of_sealed_data(struct kunit *test)
{
	struct execmem_pool *pool = execmem_pool_of(EXECMEM_MODULE_RO_AFTER_INIT);
	unsigned long rests = pool->stats.rests;
	void *gone;

	if (!pool->shared || !pool->range->seal)
		kunit_skip(test, "no type is sealed page by page");
	gone = execmem_alloc(EXECMEM_MODULE_RO_AFTER_INIT, PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, gone);
	KUNIT_EXPECT_EQ(test, execmem_seal(gone), 0);
	retire(test, pool, gone);
	if (pool->range->flags & EXECMEM_GUARD)
		return;
	KUNIT_EXPECT_EQ(test, pool->stats.rests, rests + 1);
	KUNIT_EXPECT_EQ(test, peek(test, gone), POISON_FREE);
	end_rests(test, pool);
}

/* Data of which somebody has a page is neither poisoned nor used again. */
static void rest_of_referenced_page(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, data_range());
	u8 *keep = take(test, pool, UNIT);
	u8 *gone = take_aligned(test, pool, PAGE_SIZE, PAGE_SIZE);
	struct page *page = vmalloc_to_page(gone);
	u8 *alias = page_address(page);

	memset(gone, 1, PAGE_SIZE);
	get_page(page);
	retire(test, pool, gone);
	KUNIT_EXPECT_EQ(test, pool->held, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, pool->resting, 0);
	execmem_pool_end_holds(pool);
	KUNIT_EXPECT_EQ(test, pool->held, PAGE_SIZE);
	KUNIT_EXPECT_PTR_NE(test, take_aligned(test, pool, PAGE_SIZE, PAGE_SIZE),
			    gone);
	KUNIT_EXPECT_EQ(test, alias[0], 1);
	KUNIT_EXPECT_EQ(test, alias[PAGE_SIZE - 1], 1);

	put_page(page);
	execmem_pool_end_holds(pool);
	KUNIT_EXPECT_EQ(test, execmem_pool_check(pool), 0);
	KUNIT_EXPECT_EQ(test, pool->held, 0);
	KUNIT_EXPECT_EQ(test, pool->resting, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, alias[0], POISON_FREE);
	end_rests(test, pool);
	give(test, pool, keep);
}

struct kunit_case execmem_test_rest_cases[] = {
	KUNIT_CASE(rest_of_text_traps),
	KUNIT_CASE(rest_of_data_finds_write),
	KUNIT_CASE(rest_of_sealed_data),
	KUNIT_CASE(rest_of_referenced_page),
	{}
};
