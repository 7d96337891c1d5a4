// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem: attributes of pages that the owner of a chunk changes,
 * by set_memory_*() or in the page table, and does not restore.
 */

#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/set_memory.h>

#include "test_execmem.h"

#if defined(CONFIG_X86_64) && !defined(CONFIG_UML)
#include <asm/tlbflush.h>

/* Where the direct map has the page of @addr */
static unsigned long alias_of(unsigned long addr)
{
	return (unsigned long)page_address(vmalloc_to_page((void *)addr));
}

static int make_ro(unsigned long addr)
{
	return set_memory_ro(addr, 1);
}

static int make_np(unsigned long addr)
{
	return set_memory_np(addr, 1);
}

static int make_x(unsigned long addr)
{
	return set_memory_x(addr, 1);
}

static int make_alias_ro(unsigned long addr)
{
	return set_memory_ro(alias_of(addr), 1);
}

static int make_alias_rw(unsigned long addr)
{
	return set_memory_rw(alias_of(addr), 1);
}

/* As hook engines do it: the entry that maps @addr, which may be a huge page's */
static int edit_entry(unsigned long addr)
{
	unsigned int level;
	pte_t *pte = lookup_address(addr, &level);

	set_pte(pte, __pte(pte_val(*pte) | _PAGE_RW));
	flush_tlb_all();
	return 0;
}

/**
 * struct change - something that the owner of a page does to it
 * @name: for the parameters of cases
 * @flags: of the range that the page belongs to
 * @change: changes the attributes of one page; returns 0 or an error
 * @splits: a huge page is split by it
 */
struct change {
	const char *name;
	enum execmem_range_flags flags;
	int (*change)(unsigned long addr);
	bool splits;
};

static const struct change changes[] = {
	{ "ro RW 2M",	EXECMEM_HUGE,	make_ro, true },
	{ "ro RW 4k",	0,		make_ro },
	{ "np RW 2M",	EXECMEM_HUGE,	make_np, true },
	{ "np RW 4k",	0,		make_np },
	{ "np ROX 2M",	EXECMEM_ROX | EXECMEM_HUGE, make_np, true },
	{ "np ROX 4k",	EXECMEM_ROX,	make_np },
	{ "x RO 2M",	EXECMEM_READONLY | EXECMEM_HUGE, make_x, true },
	{ "x RO 4k",	EXECMEM_READONLY, make_x },
	{ "entry ROX 2M", EXECMEM_ROX | EXECMEM_HUGE, edit_entry },
	{ "entry ROX 4k", EXECMEM_ROX,	edit_entry },
	{ "alias ro RW 2M", EXECMEM_HUGE, make_alias_ro },
	{ "alias ro RW 4k", 0,		make_alias_ro },
	{ "alias rw ROX 2M", EXECMEM_ROX | EXECMEM_HUGE, make_alias_rw },
	{ "alias rw ROX 4k", EXECMEM_ROX, make_alias_rw },
};

KUNIT_ARRAY_PARAM_DESC(change, changes, name);

/* How a page and its alias are mapped */
struct attributes {
	struct mapping page;
	struct mapping alias;
};

static struct attributes attributes_of(unsigned long addr, unsigned long alias)
{
	struct attributes a = {
		.page = execmem_test_mapping(addr, PAGE_SIZE),
		.alias = execmem_test_mapping(alias, PAGE_SIZE),
	};

	/* The size of the pages that map them does not matter. */
	a.page.huge = 0;
	a.alias.huge = 0;
	return a;
}

/* Three pages of a module */
static unsigned long take_pages(struct kunit *test, struct execmem_pool *pool)
{
	void *ptr = execmem_pool_alloc(pool, EXECMEM_MODULE_DATA, 3 * PAGE_SIZE,
				       PAGE_SIZE, false);

	KUNIT_ASSERT_NOT_NULL(test, ptr);
	return (unsigned long)ptr;
}

/* Change the page after @start, and expect that it has changed. */
static void change_page(struct kunit *test, unsigned long start)
{
	const struct change *change = test->param_value;
	unsigned long addr = start + PAGE_SIZE, alias = alias_of(addr);
	struct attributes before = attributes_of(addr, alias), after;

	KUNIT_ASSERT_EQ(test, change->change(addr), 0);
	after = attributes_of(addr, alias);
	KUNIT_EXPECT_MEMNEQ(test, &before, &after, sizeof(before));
}

/* The neighbour keeps the block, so the next owner gets the same pages. */
static void changed_page_is_restored(struct kunit *test)
{
	const struct change *change = test->param_value;
	struct execmem_pool *pool = execmem_test_kind_pool(test, change->flags);
	u8 *pattern = execmem_test_pattern(test, 3 * PAGE_SIZE);
	struct attributes before, after;
	unsigned long start, alias;
	bool was_huge;

	take(test, pool, UNIT);
	start = take_pages(test, pool);
	alias = alias_of(start + PAGE_SIZE);
	was_huge = first_block(pool)->huge;
	before = attributes_of(start + PAGE_SIZE, alias);
	change_page(test, start);
	/* The statistics say what the page table says. */
	KUNIT_EXPECT_EQ(test, first_block(pool)->huge,
			was_huge && !change->splits);
	KUNIT_EXPECT_EQ(test, pool->nr_huge, first_block(pool)->huge);

	give(test, pool, (void *)start);
	after = attributes_of(start + PAGE_SIZE, alias);
	KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(before));
	execmem_test_expect_pool_sane(test, pool);
	KUNIT_EXPECT_EQ(test, pool->stats.attr_restores, 1);

	KUNIT_EXPECT_EQ(test, take_pages(test, pool), start);
	KUNIT_EXPECT_EQ(test, execmem_fill((void *)start, pattern,
					   3 * PAGE_SIZE), 0);
	KUNIT_EXPECT_MEMEQ(test, (void *)start, pattern, 3 * PAGE_SIZE);
}

/* Nothing keeps the block, so its pages are given back. */
static void changed_block_is_freed(struct kunit *test)
{
	const struct change *change = test->param_value;
	struct execmem_pool *pool = execmem_test_kind_pool(test, change->flags);
	unsigned long start, alias;
	struct mapping m;
	size_t step;

	if (debug_pagealloc_enabled())
		kunit_skip(test, "free pages are not mapped");
	start = take_pages(test, pool);
	step = first_block(pool)->huge ? PMD_SIZE : PAGE_SIZE;
	alias = alias_of(start + PAGE_SIZE) & -step;
	change_page(test, start);
	give(test, pool, (void *)start);
	KUNIT_ASSERT_EQ(test, pool->nr_blocks, 0);

	m = execmem_test_mapping(alias, step);
	KUNIT_EXPECT_EQ(test, m.present, step);
	KUNIT_EXPECT_EQ(test, m.writable, step);
	KUNIT_EXPECT_EQ(test, m.exec, 0);
}

/* BPF programs are compared only in blocks that somebody changed. */
static void chunk_of_bpf_is_restored(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_kind_pool(test, EXECMEM_ROX);
	unsigned long start;

	take(test, pool, UNIT);
	start = (unsigned long)take_aligned(test, pool, PAGE_SIZE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, set_memory_np(start, 1), 0);
	give(test, pool, (void *)start);
	KUNIT_EXPECT_EQ(test, pool->stats.attr_restores, 1);
	execmem_test_expect_pool_sane(test, pool);
}

static void expect_refused(struct kunit *test, struct execmem_pool *pool,
			   unsigned long addr)
{
	unsigned long refusals = pool->stats.attr_refusals;

	KUNIT_EXPECT_EQ(test, set_memory_ro(addr, 1), -EPERM);
	KUNIT_EXPECT_EQ(test, set_memory_np(addr, 1), -EPERM);
	KUNIT_EXPECT_EQ(test, pool->stats.attr_refusals, refusals + 2);
	KUNIT_EXPECT_EQ(test, pool->stats.attr_changes, 0);
	execmem_test_expect_pool_sane(test, pool);
}

/* Others live in the same page, or may soon. */
static void shared_page_is_refused(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_kind_pool(test, EXECMEM_HUGE);
	void *a = take(test, pool, PAGE_SIZE + UNIT);
	unsigned long second = (unsigned long)a + PAGE_SIZE;
	bool huge = first_block(pool)->huge;
	void *b = take(test, pool, UNIT);

	expect_refused(test, pool, second);
	KUNIT_EXPECT_EQ(test, set_memory_ro((unsigned long)a, 2), -EPERM);
	give(test, pool, b);
	/* Of a, and free memory */
	expect_refused(test, pool, second);
	/* Free memory */
	expect_refused(test, pool, second + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, pool->nr_huge, huge);
	give(test, pool, a);
	KUNIT_EXPECT_EQ(test, pool->stats.attr_restores, 0);
}

/* A page that is read-only after init is made absent, too. */
static void sealed_page_is_restored(struct kunit *test)
{
	struct execmem_pool *types =
		execmem_pool_of(EXECMEM_MODULE_RO_AFTER_INIT);
	struct execmem_pool *pool;
	struct mapping m;
	unsigned long start;

	if (!types || !types->range->seal)
		kunit_skip(test, "no type has a seal hook");
	pool = execmem_test_pool(test, *types->range);
	take(test, pool, PAGE_SIZE);
	start = take_pages(test, pool);
	KUNIT_EXPECT_EQ(test, execmem_seal((void *)start), 0);
	KUNIT_EXPECT_EQ(test, set_memory_np(start, 1), 0);
	give(test, pool, (void *)start);
	m = execmem_test_mapping(start, 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, m.present, 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, m.writable, 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, m.exec, 0);
	KUNIT_EXPECT_EQ(test, pool->stats.attr_restores, 1);
}

static unsigned long pfn_at(unsigned long addr)
{
	return vmalloc_to_pfn((void *)addr);
}

/*
 * With CONFIG_EXECMEM_DEBUG, vm_insert_page() and remap_pfn_range() call this
 * with what they map.
 */
static void shared_page_for_user_is_reported(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_kind_pool(test, 0);
	unsigned long a, pfn;

	a = take_pages(test, pool);
	take(test, pool, UNIT);
	for (int i = 0; i < 3; i++)
		__execmem_check_user_map(pfn_at(a + i * PAGE_SIZE), 1);
	pfn = pfn_at(a + 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, execmem_test_reports, execmem_test_seen_reports);
	__execmem_check_user_map(pfn, 1);
	expect_report(test);
	__execmem_check_user_map(pfn - 1, 2);
	KUNIT_EXPECT_GE(test, execmem_test_reports,
			execmem_test_seen_reports + 1);
	execmem_test_seen_reports = execmem_test_reports;
}

struct kunit_case execmem_test_perm_cases[] = {
	KUNIT_CASE_PARAM(changed_page_is_restored, change_gen_params),
	KUNIT_CASE_PARAM(changed_block_is_freed, change_gen_params),
	KUNIT_CASE(chunk_of_bpf_is_restored),
	KUNIT_CASE(shared_page_is_refused),
	KUNIT_CASE(sealed_page_is_restored),
	KUNIT_CASE(shared_page_for_user_is_reported),
	{}
};
#else
/* Only x86 keeps modules in shared blocks. */
struct kunit_case execmem_test_perm_cases[] = { {} };
#endif
