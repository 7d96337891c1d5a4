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

static void guard_block(struct guard *guard, struct execmem_block *block)
{
	for (size_t offset = 0; offset < block->size; offset += PAGE_SIZE) {
		unsigned long pfn;

		pfn = vmalloc_to_pfn((void *)block->start + offset);
		if (pfn < guard->end)
			__set_bit(pfn, guard->pfns);
	}
}

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

static unsigned long count_shrunk(void)
{
	unsigned long nr = 0;

	for (int type = 0; type < EXECMEM_TYPE_MAX; type++)
		nr += execmem_pool_of(type)->stats.shrunk;
	return nr;
}

static void no_writable_alias_anywhere(struct kunit *test)
{
	unsigned long shrunk = count_shrunk();
	struct guard guard;

	execmem_test_need_page_tables(test);
	execmem_test_take_type(test, EXECMEM_BPF, UNIT);
	guard = make_guard(test);
	for (int i = 0; i < ARRAY_SIZE(execmem_test_kinds); i++) {
		enum execmem_range_flags flags = execmem_test_kinds[i].flags;
		struct execmem_pool *pool;

		if (!(flags & EXECMEM_READONLY))
			continue;
		pool = execmem_test_kind_pool(test, flags);
		take(test, pool, UNIT);
		take(test, pool, pool->range->granularity);
		guard_pool(&guard, pool);
	}
	KUNIT_EXPECT_GT(test, bitmap_weight(guard.pfns, guard.end), 0);

	find_writable_aliases(&guard);
	if (count_shrunk() != shrunk)
		kunit_skip(test, "a block was freed during the case");
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

/*
 * Only W+X is looked for in types that are not shared, because the owners of
 * the memory set its permissions.
 */
static void live_blocks_are_sane(struct kunit *test)
{
	unsigned long shrunk = count_shrunk();
	struct execmem_block *blocks;

	execmem_test_need_page_tables(test);
	execmem_test_take_type(test, EXECMEM_BPF, UNIT);
	blocks = kunit_kcalloc(test, MAX_BLOCKS, sizeof(*blocks), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, blocks);

	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct execmem_pool *pool = execmem_pool_of(type);
		unsigned int nr = copy_blocks(pool, blocks);

		while (nr--) {
			struct execmem_block *b = &blocks[nr];
			struct mapping m;

			m = execmem_test_mapping(b->start, b->size);
			KUNIT_EXPECT_EQ(test, m.wx, 0);
			/* In a pool with seal, some chunks are read-only. */
			if (pool->shared && !pool->range->seal)
				execmem_test_expect_block_sane(test, b,
							       pool->range);
		}
	}
	if (count_shrunk() != shrunk)
		kunit_skip(test, "a block was freed during the case");
}

struct kunit_case execmem_test_alias_cases[] = {
	KUNIT_CASE(no_writable_alias_anywhere),
	KUNIT_CASE(writable_alias_would_be_found),
	KUNIT_CASE(sealed_pages_are_read_only),
	KUNIT_CASE(live_blocks_are_sane),
	{}
};
