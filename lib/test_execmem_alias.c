// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem: all of the kernel's page tables are searched for
 * writable mappings of read-only memory, and the pools that the kernel uses
 * are checked.
 */

#include <linux/memblock.h>
#include <linux/mm.h>

#include "test_execmem.h"

/**
 * struct guard - pages that nobody may be able to write to
 * @pfns: bitmap of their page frame numbers
 * @end: number of bits in @pfns
 * @found: writable mappings found
 * @where: address of the last one
 */
struct guard {
	unsigned long *pfns;
	unsigned long end;
	unsigned long found;
	unsigned long where;
};

/* Mark the pages of a block. vmalloc knows them, wherever they are. */
static void guard_block(struct guard *guard, struct execmem_block *block)
{
	for (size_t offset = 0; offset < block->size; offset += PAGE_SIZE) {
		unsigned long pfn;

		pfn = vmalloc_to_pfn((void *)block->start + offset);
		if (pfn < guard->end)
			__set_bit(pfn, guard->pfns);
	}
}

/* Only read-only blocks are guarded: others have writable aliases rightly. */
static void guard_pool(struct guard *guard, struct execmem_pool *pool)
{
	struct execmem_block *block;

	if (!pool->shared || !(pool->range->flags & EXECMEM_READONLY))
		return;
	spin_lock(&pool->lock);
	list_for_each_entry(block, &pool->blocks, list)
		guard_block(guard, block);
	spin_unlock(&pool->lock);
}

/* The buffer is freed when the case ends, even if a search is repeated. */
static struct guard make_guard(struct kunit *test)
{
	struct guard guard = { .end = max_pfn };
	size_t size = BITS_TO_LONGS(guard.end) * sizeof(long);

	guard.pfns = (unsigned long *)execmem_test_buffer(test, size);
	memset(guard.pfns, 0, size);
	for (int type = 0; type < EXECMEM_TYPE_MAX; type++)
		guard_pool(&guard, execmem_pool_of(type));
	return guard;
}

/* Called for each leaf entry of the kernel: does it let anybody write? */
static void find_guarded(const struct leaf *leaf, void *arg)
{
	unsigned long nr = (leaf->end - leaf->start) >> PAGE_SHIFT;
	struct guard *guard = arg;
	unsigned long end;

	if (!leaf->writable || leaf->pfn >= guard->end)
		return;
	end = min(leaf->pfn + nr, guard->end);
	if (find_next_bit(guard->pfns, end, leaf->pfn) < end) {
		guard->found++;
		guard->where = leaf->start;
	}
}

static void find_writable_aliases(struct guard *guard)
{
	struct leaf_walk walk = { .leaf = find_guarded, .arg = guard };

	guard->found = 0;
	execmem_test_walk_all(&walk);
}

/*
 * The pages of a block that was given back may be written by their next owner.
 * So a search is valid only if no block was given back during it.
 */
static unsigned long count_shrunk(void)
{
	unsigned long nr = 0;

	for (int type = 0; type < EXECMEM_TYPE_MAX; type++)
		nr += execmem_pool_of(type)->stats.shrunk;
	return nr;
}

/* How often a case looks again because a block was given back meanwhile */
#define MAX_TRIES 5

/* A pool of each kind that is read-only, with two blocks */
static unsigned int make_readonly_pools(struct kunit *test,
					struct execmem_pool **pools)
{
	unsigned int nr = 0;

	for (int i = 0; i < ARRAY_SIZE(execmem_test_kinds); i++) {
		enum execmem_range_flags flags = execmem_test_kinds[i].flags;

		if (!(flags & EXECMEM_READONLY))
			continue;
		pools[nr] = execmem_test_kind_pool(test, flags);
		take(test, pools[nr], UNIT);
		take(test, pools[nr], pools[nr]->range->granularity);
		nr++;
	}
	return nr;
}

/*
 * W^X of the whole kernel: a second mapping of the same pages that is writable
 * would defeat it, even if the mapping that is executed is read-only. The pools
 * of the kernel are searched as well as one of each kind.
 */
static void no_writable_alias_anywhere(struct kunit *test)
{
	struct execmem_pool *pools[NR_KINDS];
	unsigned int nr, tries = 0;
	unsigned long shrunk;
	struct guard guard;

	execmem_test_need_page_tables(test);
	execmem_test_take_type(test, EXECMEM_BPF, UNIT);
	nr = make_readonly_pools(test, pools);
	do {
		shrunk = count_shrunk();
		guard = make_guard(test);
		for (unsigned int i = 0; i < nr; i++)
			guard_pool(&guard, pools[i]);
		find_writable_aliases(&guard);
	} while (count_shrunk() != shrunk && ++tries < MAX_TRIES);

	KUNIT_EXPECT_LT(test, tries, MAX_TRIES);
	KUNIT_EXPECT_GT(test, bitmap_weight(guard.pfns, guard.end), 0);
	KUNIT_EXPECT_EQ_MSG(test, guard.found, 0, "the last one at %lx",
			    guard.where);
}

KUNIT_DEFINE_ACTION_WRAPPER(vunmap_action, vunmap, const void *);

/* Show that the search of the case above finds a writable alias. */
static void writable_alias_would_be_found(struct kunit *test)
{
	struct execmem_pool *pool;
	struct guard guard;
	struct page *page;
	void *alias;
	int err;

	execmem_test_need_page_tables(test);
	pool = execmem_test_kind_pool(test, EXECMEM_ROX | EXECMEM_HUGE);
	take(test, pool, UNIT);
	guard = make_guard(test);
	guard_pool(&guard, pool);

	/*
	 * The last page of the block: a search that stops too early would miss
	 * it. The block is a huge page, and this alias is a base page.
	 */
	page = vmalloc_to_page((void *)first_block(pool)->start +
			       first_block(pool)->size - PAGE_SIZE);
	alias = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, alias);
	err = kunit_add_action_or_reset(test, vunmap_action, alias);
	KUNIT_ASSERT_EQ(test, err, 0);

	find_writable_aliases(&guard);
	KUNIT_EXPECT_EQ(test, guard.found, 1);
	KUNIT_EXPECT_EQ(test, guard.where, (unsigned long)alias);
}

#define MAX_BLOCKS 64

/*
 * Copy the descriptions of blocks: reading the page tables sleeps, which is
 * not allowed under the lock of the pool.
 */
static unsigned int copy_blocks(struct execmem_pool *pool,
				struct execmem_block *copies)
{
	struct execmem_block *block;
	unsigned int nr = 0;

	spin_lock(&pool->lock);
	list_for_each_entry(block, &pool->blocks, list)
		if (nr < MAX_BLOCKS)
			copies[nr++] = *block;
	spin_unlock(&pool->lock);
	return nr;
}

/* Permissions of the one page that @addr is in */
static struct mapping page_at(unsigned long addr)
{
	return execmem_test_mapping(addr, PAGE_SIZE);
}

/* Sealed data and its alias are read-only until the data is freed. */
static void sealed_pages_are_read_only(struct kunit *test)
{
	struct execmem_pool *pool;
	unsigned long addr;
	void *ptr;

	execmem_test_need_page_tables(test);
	pool = execmem_pool_of(EXECMEM_MODULE_RO_AFTER_INIT);
	if (!pool->shared || !pool->range->seal)
		kunit_skip(test, "no type that is sealed by permissions");

	ptr = execmem_alloc(EXECMEM_MODULE_RO_AFTER_INIT, PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	addr = (unsigned long)ptr;
	memset(ptr, 1, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, page_at(addr).writable, PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, execmem_seal(ptr), 0);
	KUNIT_EXPECT_EQ(test, page_at(addr).writable, 0);
	KUNIT_EXPECT_EQ(test, page_at(addr).exec, 0);
	addr = (unsigned long)page_address(vmalloc_to_page(ptr));
	KUNIT_EXPECT_EQ(test, page_at(addr).writable, 0);

	execmem_free(ptr);
	KUNIT_EXPECT_EQ(test, page_at(addr).writable, PAGE_SIZE);
}

/* Expect that the alias of each page has an entry of its own in the page table. */
static void expect_own_entries(struct kunit *test, struct execmem_block *block)
{
	for (size_t offset = 0; offset < block->size; offset += PAGE_SIZE) {
		struct page *page = vmalloc_to_page((void *)block->start + offset);

		KUNIT_EXPECT_EQ(test, page_at((unsigned long)page_address(page)).huge,
				0);
	}
}

/* Expect that all pages are contiguous, and lie in one huge page. */
static void expect_together(struct kunit *test, struct execmem_block *block)
{
	unsigned long first = vmalloc_to_pfn((void *)block->start);
	unsigned long nr = block->size >> PAGE_SHIFT;

	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(first, nr));
	KUNIT_EXPECT_LT(test, block->size, PMD_SIZE);
	for (unsigned long i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ(test, first + i,
				vmalloc_to_pfn((void *)block->start +
					       (i << PAGE_SHIFT)));
}

/*
 * execmem_seal() allocates nothing: no huge page of the direct map has to be
 * split any more. Few of them were split: 40 pages are in two blocks, and each
 * block is in one of them.
 */
static void sealed_pages_sit_together(struct kunit *test)
{
	struct execmem_pool *types =
		execmem_pool_of(EXECMEM_MODULE_RO_AFTER_INIT);
	struct execmem_block *block;
	struct execmem_pool *pool;

	execmem_test_need_page_tables(test);
	if (!types->shared || !types->range->prepare_seal)
		kunit_skip(test, "no type that is sealed by permissions");

	pool = execmem_test_pool(test, *types->range);
	for (int i = 0; i < 40; i++)
		take(test, pool, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 2);
	/* More than earlier cases can have split */
	for (int i = 0; i < 16; i++)
		take(test, pool, SZ_1M);
	list_for_each_entry(block, &pool->blocks, list) {
		expect_own_entries(test, block);
		/* Memory may be too fragmented for some of them. */
		if (block->reason == EXECMEM_AS_REQUESTED)
			expect_together(test, block);
	}
}

/*
 * Check the blocks of a pool. Returns false if a block was given back since
 * @shrunk was counted, in which case a copy may describe memory of others.
 *
 * Only W+X is looked for in types that are not shared, because the owners of
 * the memory set its permissions. In a pool with seal, some chunks are
 * read-only.
 */
static bool check_live_blocks(struct kunit *test, struct execmem_pool *pool,
			      struct execmem_block *copies,
			      unsigned long shrunk)
{
	unsigned int nr = copy_blocks(pool, copies);

	while (nr--) {
		struct execmem_block *b = &copies[nr];
		struct mapping m = execmem_test_mapping(b->start, b->size);

		if (count_shrunk() != shrunk)
			return false;
		KUNIT_EXPECT_EQ(test, m.wx, 0);
		if (pool->shared && !pool->range->seal)
			execmem_test_expect_mapping_sane(test, &m, b,
							 pool->range);
	}
	return true;
}

static void live_blocks_are_sane(struct kunit *test)
{
	struct execmem_block *copies;
	unsigned int tries = 0;
	unsigned long shrunk;
	int type;

	execmem_test_need_page_tables(test);
	execmem_test_take_type(test, EXECMEM_BPF, UNIT);
	copies = kunit_kcalloc(test, MAX_BLOCKS, sizeof(*copies), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, copies);

	do {
		shrunk = count_shrunk();
		for (type = 0; type < EXECMEM_TYPE_MAX; type++)
			if (!check_live_blocks(test, execmem_pool_of(type),
					       copies, shrunk))
				break;
	} while (type < EXECMEM_TYPE_MAX && ++tries < MAX_TRIES);
	KUNIT_EXPECT_LT(test, tries, MAX_TRIES);
}

struct kunit_case execmem_test_alias_cases[] = {
	KUNIT_CASE(no_writable_alias_anywhere),
	KUNIT_CASE(writable_alias_would_be_found),
	KUNIT_CASE(sealed_pages_are_read_only),
	KUNIT_CASE(sealed_pages_sit_together),
	KUNIT_CASE(live_blocks_are_sane),
	{}
};
