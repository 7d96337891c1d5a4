// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem: allocating by type, from the pools that the rest of
 * the kernel uses.
 */

#include <linux/memory.h>
#include <linux/moduleloader.h>

#include "test_execmem.h"

/*
 * Most types of most architectures. Each allocation is a block of its own: page
 * aligned, and given back with its only chunk, without a spare.
 */
static void unshared_type_has_own_pages(struct kunit *test)
{
	struct execmem_range range = data_range();
	struct execmem_pool *pool;
	void *a, *b;

	range.alignment = MODULE_ALIGN;
	range.granularity = 0;
	pool = execmem_test_pool(test, range);

	a = take(test, pool, 1);
	b = take(test, pool, PAGE_SIZE + 1);
	KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(a));
	KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(b));
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 2);
	KUNIT_EXPECT_EQ(test, pool->used, 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, pool->reserved, 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, execmem_fill(b + PAGE_SIZE, "ab", 2), 0);
	KUNIT_EXPECT_MEMEQ(test, b + PAGE_SIZE, "ab", 2);

	give(test, pool, a);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	give(test, pool, b);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 0);
}

/*
 * All architectures merge classic programs into EXECMEM_BPF. A lookup then
 * names the type that owns the pool.
 */
static void merged_type_shares_pool(struct kunit *test)
{
	struct execmem_pool *pool = execmem_pool_of(EXECMEM_BPF);
	struct execmem_area area = {};
	void *ptr = execmem_test_take_type(test, EXECMEM_BPF_CLASSIC, UNIT);

	KUNIT_EXPECT_PTR_EQ(test, execmem_pool_of(EXECMEM_BPF_CLASSIC), pool);
	KUNIT_EXPECT_TRUE(test, execmem_lookup((unsigned long)ptr, &area));
	KUNIT_EXPECT_EQ(test, area.type, EXECMEM_BPF_CLASSIC);
	KUNIT_EXPECT_GE(test, pool->nr_chunks, 1);
	KUNIT_EXPECT_EQ(test, execmem_pool_check(pool), 0);
}

/*
 * 1024 is more than the unit of any shared type, and less than a page, so both
 * kinds of pools have something to do. 0 and 96 are no powers of two.
 */
static void alloc_aligns_for_types(struct kunit *test)
{
	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		void *ptr = execmem_alloc_aligned(type, UNIT, 1024);

		KUNIT_EXPECT_NOT_NULL(test, ptr);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)ptr, 1024));
		execmem_free(ptr);
	}
	KUNIT_EXPECT_NULL(test, execmem_alloc_aligned(EXECMEM_BPF, UNIT, 0));
	KUNIT_EXPECT_NULL(test, execmem_alloc_aligned(EXECMEM_BPF, UNIT, 96));
}

/*
 * Tables omit types. Each must have been merged or described at boot, so that
 * no caller needs to know what the table of this architecture has.
 */
static void every_type_has_memory(struct kunit *test)
{
	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct execmem_area area = {};
		void *ptr = execmem_test_take_type(test, type, UNIT);

		KUNIT_EXPECT_TRUE(test, execmem_lookup((unsigned long)ptr,
						       &area));
		KUNIT_EXPECT_EQ(test, area.type, type);
	}
}

/* Text patching may allocate a thunk or a trampoline under text_mutex. */
static void alloc_works_under_text_mutex(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, text_range());
	void *ptr;

	/* lockdep reports a wrong order even if nobody waits. */
	mutex_lock(&text_mutex);
	ptr = execmem_pool_alloc(pool, EXECMEM_BPF, UNIT, 1, false);
	mutex_unlock(&text_mutex);
	KUNIT_EXPECT_NOT_NULL(test, ptr);
}

struct kunit_case execmem_test_type_cases[] = {
	KUNIT_CASE(unshared_type_has_own_pages),
	KUNIT_CASE(merged_type_shares_pool),
	KUNIT_CASE(alloc_aligns_for_types),
	KUNIT_CASE(every_type_has_memory),
	KUNIT_CASE(alloc_works_under_text_mutex),
	{}
};
