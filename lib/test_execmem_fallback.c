// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem: base pages are used when the machine has no huge
 * page left.
 */

#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/swap.h>

#include "../mm/internal.h"
#include "test_execmem.h"

#ifdef CONFIG_EXECMEM_HUGE
#define HUGE_ORDER (PMD_SHIFT - PAGE_SHIFT)

/**
 * struct hoard - the memory that a case holds so that no huge page is left
 * @huge: all huge pages that could be allocated
 * @small: the first base page of each huge page that was broken up
 * @nr: length of @huge
 */
struct hoard {
	struct list_head huge;
	struct list_head small;
	unsigned long nr;
};

/* Runs after the case, or in it; the lists are empty after the first time. */
static void free_hoard(void *arg)
{
	struct hoard *hoard = arg;
	struct page *page, *tmp;

	list_for_each_entry_safe(page, tmp, &hoard->huge, lru)
		__free_pages(page, HUGE_ORDER);
	list_for_each_entry_safe(page, tmp, &hoard->small, lru)
		__free_page(page);
	INIT_LIST_HEAD(&hoard->huge);
	INIT_LIST_HEAD(&hoard->small);
}

/*
 * Without __GFP_NORETRY, the page allocator would compact memory or kill tasks
 * to make another huge page.
 */
static struct page *alloc_huge_page(void)
{
	return alloc_pages(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN,
			   HUGE_ORDER);
}

/*
 * Break up enough huge pages that the rest of the kernel has free memory when
 * all the others are taken. The page allocator keeps a reserve of free pages;
 * these must be base pages, or it would not hand out the last huge pages.
 */
static void break_up_huge_pages(struct kunit *test, struct hoard *hoard)
{
	unsigned long wanted = totalreserve_pages + (SZ_32M >> PAGE_SHIFT);

	for (unsigned long nr = 0; nr < wanted; nr += 1 << HUGE_ORDER) {
		struct page *page = alloc_huge_page();

		if (!page)
			kunit_skip(test, "not enough memory");
		split_page(page, HUGE_ORDER);
		list_add(&page->lru, &hoard->small);
		for (int i = 1; i < 1 << HUGE_ORDER; i++)
			__free_page(page + i);
	}
}

static void hoard_huge_pages(struct hoard *hoard)
{
	struct page *page;

	/* Get back the free pages that other CPUs have cached. */
	drain_all_pages(NULL);
	while ((page = alloc_huge_page())) {
		list_add(&page->lru, &hoard->huge);
		hoard->nr++;
	}
}

static void exhaust_huge_pages(struct kunit *test, struct hoard *hoard)
{
	int err;

	INIT_LIST_HEAD(&hoard->huge);
	INIT_LIST_HEAD(&hoard->small);
	err = kunit_add_action(test, free_hoard, hoard);
	KUNIT_ASSERT_EQ(test, err, 0);

	break_up_huge_pages(test, hoard);
	hoard_huge_pages(hoard);
	kunit_info(test, "took %lu huge pages", hoard->nr);
}

/*
 * Take a chunk. If it came in a huge page because one was freed by others,
 * hoard that page and try again.
 */
static void *take_without_huge(struct kunit *test, struct execmem_pool *pool,
			       struct hoard *hoard, size_t size)
{
	for (int tries = 0; tries < 10; tries++) {
		void *ptr = take(test, pool, size);

		if (!pool->nr_huge)
			return ptr;
		give(test, pool, ptr);
		hoard_huge_pages(hoard);
	}
	kunit_skip(test, "huge pages are freed all the time");
}

/*
 * Want of huge pages must not be seen by users: the block has the same size,
 * the same permissions and the same contents, only its pages are small. Later
 * blocks are huge again.
 */
static void alloc_without_huge_pages(struct kunit *test)
{
	struct execmem_range range = execmem_test_kind_range(test,
						EXECMEM_ROX | EXECMEM_HUGE);
	struct execmem_pool *pool = execmem_test_pool(test, range);
	u8 *pattern = execmem_test_pattern(test, 3 * PAGE_SIZE);
	struct hoard *hoard;
	void *a, *b;

	a = take(test, pool, UNIT);
	if (!pool->nr_huge)
		kunit_skip(test, "no huge pages to begin with");
	give(test, pool, a);

	hoard = kunit_kzalloc(test, sizeof(*hoard), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, hoard);
	exhaust_huge_pages(test, hoard);

	a = take_without_huge(test, pool, hoard, 3 * PAGE_SIZE - UNIT);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern, PAGE_SIZE), 0);
	KUNIT_EXPECT_MEMEQ(test, a, pattern, PAGE_SIZE);
	execmem_test_expect_trap(test, pool, a + PAGE_SIZE,
				 2 * PAGE_SIZE - UNIT);
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, UNIT),
			    a + 3 * PAGE_SIZE - UNIT);
	b = take_without_huge(test, pool, hoard, range.granularity + UNIT);

	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 2);
	KUNIT_EXPECT_EQ(test, pool->nr_huge, 0);
	KUNIT_EXPECT_EQ(test, execmem_fallbacks(&pool->stats), 2);
	KUNIT_EXPECT_EQ(test, pool->stats.failures, 0);
	/* As little as the chunks need, rounded up to a 32nd of a block */
	KUNIT_EXPECT_EQ(test, pool->reserved,
			range.granularity + 2 * (range.granularity / 32));
	if (IS_ENABLED(CONFIG_X86_64))
		execmem_test_expect_pool_sane(test, pool);

	give(test, pool, b);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	kunit_release_action(test, free_hoard, hoard);
	take(test, pool, range.granularity);
	KUNIT_EXPECT_EQ(test, pool->nr_huge, 1);
}
#else
static void alloc_without_huge_pages(struct kunit *test)
{
	kunit_skip(test, "no huge pages");
}
#endif /* CONFIG_EXECMEM_HUGE */

struct kunit_case execmem_test_fallback_cases[] = {
	KUNIT_CASE_SLOW(alloc_without_huge_pages),
	{}
};
