// SPDX-License-Identifier: GPL-2.0
/*
 * Chunks: split, merged, filled, sealed, looked up, and errors of callers.
 */

#include "tests.h"

/* The pool of module text in the small table: 64 kB blocks, 64-byte chunks */
#define TYPE	EXECMEM_MODULE_TEXT
#define BLOCK	SZ_64K

static struct execmem_pool *pool;

static void start(void)
{
	pool = start_small();
}

static unsigned long alloc_aligned(size_t size, size_t align)
{
	return (unsigned long)execmem_pool_alloc(pool, TYPE, size, align,
						 false);
}

static int fill(unsigned long addr, size_t len)
{
	static const char code[BLOCK] = "code";

	return execmem_fill((void *)addr, code, len);
}

static void test_alloc_splits_block(void)
{
	unsigned long a, b;

	start();
	a = alloc_text(100);
	b = alloc_text(1);
	EXPECT(b == a + 128);
	EXPECT(pool->used == 192 && pool->nr_chunks == 2);
	EXPECT(pool->reserved == BLOCK && pool->nr_blocks == 1);
	EXPECT(execmem_pool_largest_free(pool) == BLOCK - 192);
	EXPECT(!execmem_pool_check(pool));
	release(a);
	release(b);
}

static void test_alloc_exact_fit(void)
{
	unsigned long a, b, c;

	start();
	a = alloc_text(256);
	b = alloc_text(512);
	c = alloc_text(BLOCK - 768);
	EXPECT(c == b + 512);
	EXPECT(!execmem_pool_largest_free(pool));
	release(b);
	EXPECT(alloc_text(512) == b);
	EXPECT(pool->nr_blocks == 1);
	EXPECT(!execmem_pool_check(pool));
	release(a);
	release(b);
	release(c);
}

static void test_alloc_lowest_that_fits(void)
{
	unsigned long a[6];

	start();
	for (int i = 0; i < 6; i++)
		a[i] = alloc_text(i == 1 ? 64 : 256);
	release(a[1]);
	release(a[3]);
	/* The first hole is too small, and the second one is large enough. */
	EXPECT(alloc_text(128) == a[3]);
	EXPECT(alloc_text(64) == a[1]);
	EXPECT(alloc_text(128) == a[3] + 128);
	release(a[0]);
	release(a[1]);
	release(a[2]);
	release(a[3]);
	release(a[3] + 128);
	release(a[4]);
	release(a[5]);
}

/* Free three neighbours in each possible order. */
static void test_free_merges_neighbours(void)
{
	static const int orders[][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
		{ 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};

	start();
	for (int i = 0; i < ARRAY_SIZE(orders); i++) {
		unsigned long first = alloc_text(64), a[3], last;

		for (int j = 0; j < 3; j++)
			a[j] = alloc_text(192);
		last = alloc_text(BLOCK - 64 - 3 * 192);
		for (int j = 0; j < 3; j++)
			release(a[orders[i][j]]);
		EXPECT(execmem_pool_largest_free(pool) == 3 * 192);
		EXPECT(alloc_text(3 * 192) == a[0]);
		release(a[0]);
		release(first);
		release(last);
	}
}

/* Neighbours in memory that are in different blocks stay apart. */
static void test_free_merges_within_block(void)
{
	unsigned long a, b, c, d;

	start();
	a = alloc_text(64);
	b = alloc_text(BLOCK - 64);
	c = alloc_text(BLOCK - 64);
	d = alloc_text(64);
	EXPECT(c == a + BLOCK);
	release(b);
	release(c);
	EXPECT(execmem_pool_largest_free(pool) == BLOCK - 64);
	EXPECT(alloc_text(BLOCK - 64) == b);
	release(a);
	release(b);
	release(d);
}

static void test_alloc_aligned(void)
{
	unsigned long a, b, c;

	start();
	a = alloc_text(64);
	b = alloc_aligned(64, 4096);
	EXPECT(b == a + 4096);
	/* The part that alignment skipped can be allocated. */
	c = alloc_text(4096 - 64);
	EXPECT(c == a + 64);
	EXPECT(!execmem_pool_check(pool));
	/* A smaller alignment than the pool's has no effect. */
	EXPECT(alloc_aligned(1, 1) == b + 64);
	release(a);
	release(b + 64);
	release(b);
	release(c);
}

/*
 * Reproducer: the allocator looked for a hole with room to align in, even if the
 * hole starts at an aligned address. So it did not find a freed chunk again.
 */
static void test_alloc_aligned_returns_to_its_hole(void)
{
	unsigned long a, b, c;

	start();
	a = alloc_text(PAGE_SIZE);
	b = alloc_aligned(3 * PAGE_SIZE, PAGE_SIZE);
	c = alloc_text(BLOCK - 4 * PAGE_SIZE);
	EXPECT(pool->used == BLOCK && pool->nr_blocks == 1);
	release(b);
	EXPECT(alloc_aligned(3 * PAGE_SIZE, PAGE_SIZE) == b);
	EXPECT(pool->nr_blocks == 1);
	release(b);
	release(c);
	release(a);
}

/* Reproducer: every hole is an aligned page, but no page was found. */
static void test_alloc_aligned_in_full_range(void)
{
	unsigned long nr, *page;

	start();
	nr = (pool->range->end - pool->range->start) / PAGE_SIZE;
	page = calloc(nr, sizeof(*page));
	for (unsigned long i = 0; i < nr; i++)
		page[i] = (unsigned long)execmem_alloc(TYPE, PAGE_SIZE);
	EXPECT(pool->used == nr * PAGE_SIZE);
	for (unsigned long i = 0; i < nr; i += 2)
		execmem_free((void *)page[i]);
	for (unsigned long i = 0; i < nr; i += 2)
		EXPECT(alloc_aligned(PAGE_SIZE, PAGE_SIZE) == page[i]);
	for (unsigned long i = 0; i < nr; i++)
		execmem_free((void *)page[i]);
	free(page);
}

/* Chunks that are large enough but start at the wrong address are skipped. */
static void test_alloc_aligned_skips_misaligned(void)
{
	unsigned long gap[4], lock[5], last;

	start();
	lock[4] = alloc_text(64);
	for (int i = 0; i < 4; i++) {
		gap[i] = alloc_text(PAGE_SIZE);
		lock[i] = alloc_text(i == 2 ? PAGE_SIZE - 64 : PAGE_SIZE);
	}
	for (int i = 0; i < 4; i++)
		release(gap[i]);
	/* Only the last gap starts at a page: 64 bytes + 6 pages - 64 bytes */
	EXPECT(!PAGE_ALIGNED(gap[2]) && PAGE_ALIGNED(gap[3]));
	last = alloc_aligned(PAGE_SIZE, PAGE_SIZE);
	EXPECT(last == gap[3]);
	EXPECT(alloc_text(PAGE_SIZE) == gap[0]);
	release(gap[0]);
	release(last);
	for (int i = 0; i < 5; i++)
		release(lock[i]);
}

/* A new block starts at the alignment of its first chunk, so none of it is skipped. */
static void test_alloc_aligned_in_new_block(void)
{
	unsigned long a, b;

	start();
	a = alloc_aligned(BLOCK, 2 * BLOCK);
	EXPECT(a && IS_ALIGNED(a, 2 * BLOCK));
	b = alloc_aligned(64, 4 * BLOCK);
	EXPECT(b && IS_ALIGNED(b, 4 * BLOCK));
	EXPECT(pool->reserved == 2 * BLOCK);
	EXPECT(!execmem_pool_check(pool));
	release(a);
	release(b);
}

/* A block starts at a page boundary, so page alignment needs no extra room. */
static void test_alloc_aligned_to_page_in_new_block(void)
{
	unsigned long a;

	start();
	a = (unsigned long)execmem_alloc_aligned(TYPE, BLOCK, PAGE_SIZE);
	EXPECT(a && PAGE_ALIGNED(a));
	EXPECT(pool->reserved == BLOCK);
	execmem_free((void *)a);
}

static void test_alloc_larger_than_block(void)
{
	unsigned long a, b;

	start();
	a = alloc_text(2 * BLOCK + 1);
	EXPECT(pool->nr_blocks == 1 && pool->reserved == 3 * BLOCK);
	EXPECT(pool->nr_huge == 1 && !execmem_fallbacks(&pool->stats));
	/* The rest of the block can be allocated. */
	b = alloc_text(BLOCK - 64);
	EXPECT(b == a + 2 * BLOCK + 64);
	EXPECT(pool->nr_blocks == 1);
	release(a);
	release(b);
}

static void test_alloc_bad_input(void)
{
	const struct execmem_range *range;

	start();
	range = pool->range;
	EXPECT(!alloc_text(0));
	EXPECT(!alloc_text(-1UL));
	EXPECT(!alloc_text(range->end - range->start + 1));
	EXPECT(!execmem_alloc(EXECMEM_TYPE_MAX, 64));
	EXPECT(!execmem_alloc(-1, 64));
	EXPECT(!execmem_alloc_aligned(-1, 64, 64));
	EXPECT(!execmem_alloc_aligned(TYPE, 64, 0));
	EXPECT(!execmem_alloc_aligned(TYPE, 64, 96));
	EXPECT(!shim.alloc.calls);
	/*
	 * A size that is too large counts as a failure. A size of 0 is an
	 * error.
	 */
	EXPECT(pool->stats.failures == 2);
}

static void test_alloc_before_boot(void)
{
	EXPECT(!execmem_alloc(TYPE, 64));
	EXPECT(!execmem_pool_of(TYPE));
}

static void test_fill_bounds(void)
{
	unsigned long a;

	start();
	a = alloc_text(128);
	EXPECT(!fill(a, 128));
	EXPECT(!fill(a + 127, 1));
	EXPECT(!fill(a + 5, 0));
	EXPECT(!take_reports());
	EXPECT(fill(a, 129) == -EINVAL);
	EXPECT(fill(a + 127, 2) == -EINVAL);
	EXPECT(fill(a + 1, -1UL) == -EINVAL);
	EXPECT(fill(a + 128, 1) == -EINVAL);
	EXPECT(fill(a - 1, 1) == -EINVAL);
	EXPECT(fill(a + BLOCK, 1) == -EINVAL);
	EXPECT(fill(0, 1) == -EINVAL);
	EXPECT(take_reports() == 7);
	EXPECT(backing_is(a + 128, 128, TRAP_BYTE));
	release(a);
	EXPECT(fill(a, 1) == -EINVAL);
	EXPECT(take_reports() == 1);
}

/* A fill must not cross from one chunk into the next, even if both are open. */
static void test_fill_across_chunks(void)
{
	unsigned long a, b;

	start();
	a = alloc_text(64);
	b = alloc_text(64);
	EXPECT(fill(a, 65) == -EINVAL);
	EXPECT(fill(a + 63, 2) == -EINVAL);
	EXPECT(take_reports() == 2);
	EXPECT(backing_is(a, 128, TRAP_BYTE));
	release(a);
	release(b);
}

static void test_fill_sealed(void)
{
	unsigned long a;

	start();
	a = alloc_text(64);
	EXPECT(!execmem_seal((void *)a));
	EXPECT(!execmem_seal((void *)a));
	EXPECT(!take_reports());
	EXPECT(fill(a, 1) == -EINVAL);
	EXPECT(fill(a, 0) == -EINVAL);
	EXPECT(take_reports() == 2);
	EXPECT(backing_is(a, 64, TRAP_BYTE));
	release(a);
}

static void test_publish(void)
{
	static const char code[64] = "code";
	unsigned long a;

	start();
	a = alloc_text(64);
	EXPECT(execmem_publish((void *)a, code, 65) == -EINVAL);
	EXPECT(take_reports() == 1);
	/* After an error, the chunk is still open. */
	shim.fill.at = 1;
	EXPECT(execmem_publish((void *)a, code, 64) == -EIO);
	EXPECT(!fill(a, 1));
	EXPECT(!execmem_publish((void *)a, code, 64));
	EXPECT(fill(a, 1) == -EINVAL);
	EXPECT(execmem_publish((void *)a, code, 64) == -EINVAL);
	EXPECT(take_reports() == 2);
	EXPECT(!memcmp((void *)a, code, 64));
	EXPECT(pool->stats.fills == 2);
	release(a);
}

/* Under the lock that the hooks take, another hook writes. */
static void test_fill_locked(void)
{
	static const char code[64] = "code";
	unsigned long a;

	start();
	a = alloc_text(64);
	shim.text_locked = true;
	EXPECT(!execmem_fill_locked((void *)a, code, 64));
	EXPECT(!memcmp((void *)a, code, 64));
	EXPECT(pool->stats.fills == 1);
	EXPECT(execmem_fill_locked((void *)a, code, 65) == -EINVAL);
	EXPECT(take_reports() == 1);
	shim.fill.at = 2;
	EXPECT(execmem_fill_locked((void *)a, code, 64) == -EIO);
	shim.text_locked = false;
	EXPECT(!execmem_publish((void *)a, code, 64));
	shim.text_locked = true;
	EXPECT(execmem_fill_locked((void *)a, code, 64) == -EINVAL);
	EXPECT(take_reports() == 1);
	shim.text_locked = false;
	release(a);
}

/* A type may have no such hook, or no hooks at all. */
static void test_fill_locked_without_hook(void)
{
	unsigned long a;

	arch_table = mixed_table(SMALL);
	arch_table->ranges[EXECMEM_BPF].fill_locked = NULL;
	EXPECT(kernel_boot());
	a = alloc_of(EXECMEM_BPF, 64);
	EXPECT(execmem_fill_locked((void *)a, "ab", 2) == -EOPNOTSUPP);
	EXPECT(backing_is(a, 64, TRAP_BYTE));
	release(a);
	a = alloc_of(EXECMEM_MODULE_DATA, 64);
	EXPECT(!execmem_fill_locked((void *)a, "ab", 2));
	EXPECT(!memcmp((void *)a, "ab", 2));
	release(a);
}

static void test_fill_hook_fails(void)
{
	unsigned long a;

	start();
	a = alloc_text(64);
	shim.fill.at = 1;
	EXPECT(fill(a, 64) == -EIO);
	EXPECT(!pool->stats.fills);
	EXPECT(!fill(a, 64));
	EXPECT(pool->stats.fills == 1);
	release(a);
	EXPECT(!shim.objects);
}

static void test_seal_bad_address(void)
{
	unsigned long a;

	start();
	a = alloc_text(128);
	EXPECT(execmem_seal((void *)(a + 64)) == -EINVAL);
	EXPECT(execmem_seal((void *)(a + 128)) == -EINVAL);
	EXPECT(execmem_seal(NULL) == -EINVAL);
	EXPECT(execmem_seal(&pool) == -EINVAL);
	EXPECT(take_reports() == 4);
	EXPECT(!fill(a, 128));
	release(a);
	execmem_seal((void *)a);
	EXPECT(take_reports() == 1);
}

/* A type that is written in place until it is sealed */
static void start_sealed(void)
{
	struct execmem_range *range;

	arch_table = mixed_table(SMALL);
	range = &arch_table->ranges[EXECMEM_MODULE_RO_AFTER_INIT];
	*range = arch_table->ranges[EXECMEM_MODULE_TEXT];
	range->start = arch_table->ranges[EXECMEM_BPF].end + SZ_64M;
	range->end = range->start + SZ_1M;
	range->alignment = PAGE_SIZE;
	range->flags = 0;
	range->fill = NULL;
	range->seal = hook_seal;
	EXPECT(kernel_boot());
	pool = execmem_pool_of(EXECMEM_MODULE_RO_AFTER_INIT);
}

static void test_seal_hook(void)
{
	unsigned long a, b;

	start_sealed();
	a = alloc_of(EXECMEM_MODULE_RO_AFTER_INIT, 100);
	b = alloc_of(EXECMEM_MODULE_RO_AFTER_INIT, 100);
	EXPECT(!execmem_seal((void *)a));
	EXPECT(shim.seal.calls == 1);
	EXPECT(backing_is(a, PAGE_SIZE, SEAL_BYTE));
	EXPECT(backing_is(b, PAGE_SIZE, TRAP_BYTE));
	release(a);
	/* A chunk that was sealed is open when it is handed out again. */
	EXPECT(alloc_of(EXECMEM_MODULE_RO_AFTER_INIT, 100) == a);
	EXPECT(backing_is(a, PAGE_SIZE, TRAP_BYTE));
	shim.seal.at = 2;
	EXPECT(execmem_seal((void *)b) == -EIO);
	/* Publishing does not change permissions. */
	EXPECT(execmem_publish((void *)a, "", 1) == -EINVAL);
	EXPECT(take_reports() == 1);
	EXPECT(strstr(shim.report, "cannot be published"));
	EXPECT(!execmem_pool_check(pool));
	release(a);
	release(b);
}

static void test_free_bad_address(void)
{
	unsigned long a, b;

	start();
	a = alloc_text(128);
	b = alloc_text(128);
	release(a + 64);
	release(a + 1);
	release(b + 128);
	release((unsigned long)&pool);
	release(1);
	EXPECT(take_reports() == 5);
	EXPECT(pool->nr_chunks == 2 && !pool->stats.frees);
	release(0);
	EXPECT(!take_reports());
	release(a);
	release(a);
	EXPECT(take_reports() == 1);
	EXPECT(pool->nr_chunks == 1 && pool->stats.frees == 1);
	release(b);
	release(b);
	EXPECT(take_reports() == 1);
}

static void test_free_in_interrupt(void)
{
	unsigned long a;

	start();
	a = alloc_text(64);
	shim.in_interrupt = true;
	release(a);
	shim.in_interrupt = false;
	EXPECT(shim.warnings == 1);
	shim.warnings = 0;
	EXPECT(pool->nr_chunks == 1);
	release(a);
}

static void test_free_invalidates(void)
{
	unsigned long a, b;

	start();
	a = alloc_text(256);
	b = alloc_text(64);
	EXPECT(!fill(a, 256));
	EXPECT(!backing_is(a, 256, TRAP_BYTE));
	release(a);
	EXPECT(backing_is(a, 256, TRAP_BYTE));
	release(b);
}

static void test_lookup(void)
{
	struct execmem_area area;
	unsigned long a, b;

	start();
	a = alloc_text(100);
	b = alloc_of(EXECMEM_KPROBES, 64);
	EXPECT(execmem_lookup(a + 127, &area));
	EXPECT(area.start == a && area.size == 128 && area.type == TYPE);
	EXPECT(execmem_lookup(b, &area));
	/* A type that is merged into that of the pool */
	EXPECT(area.start == b && area.type == EXECMEM_KPROBES);
	EXPECT(!execmem_lookup(a - 1, &area));
	EXPECT(!execmem_lookup(b + 64, &area));
	execmem_seal((void *)a);
	EXPECT(execmem_lookup(a, &area));
	release(a);
	EXPECT(!execmem_lookup(a, &area));
	release(b);
	EXPECT(!execmem_lookup(b, &area));
}

/* What hardened usercopy asks: a copy must not reach into the neighbour. */
static void test_exceeds(void)
{
	unsigned long a, b, own;
	size_t offset;

	start();
	a = alloc_text(100);
	b = alloc_text(64);
	EXPECT(!execmem_exceeds((void *)a, 128, &offset));
	EXPECT(execmem_exceeds((void *)a, 129, &offset) && !offset);
	EXPECT(!execmem_exceeds((void *)(a + 100), 28, &offset));
	EXPECT(execmem_exceeds((void *)(a + 100), 29, &offset) && offset == 100);
	EXPECT(execmem_exceeds((void *)(a + 1), SIZE_MAX, &offset));
	EXPECT(execmem_exceeds((void *)b, 65, &offset));
	release(b);
	EXPECT(!execmem_exceeds((void *)b, 65, &offset));
	/* Pages of its own are followed by a page that is not mapped. */
	own = alloc_of(EXECMEM_MODULE_DATA, 100);
	EXPECT(!execmem_exceeds((void *)own, 2 * PAGE_SIZE, &offset));
	release(own);
	release(a);
}

/* Units of one byte: the code must not depend on pages or cache lines. */
static void test_alloc_unit_of_one_byte(void)
{
	struct execmem_pool bytes;
	struct execmem_range range;
	void *a, *b;

	start();
	range = *pool->range;
	range.alignment = 1;
	execmem_pool_init(&bytes, "bytes", EXECMEM_BPF, &range);
	a = execmem_pool_alloc(&bytes, TYPE, 3, 1, false);
	b = execmem_pool_alloc(&bytes, TYPE, 1, 1, false);
	EXPECT(b == a + 3);
	EXPECT(bytes.used == 4);
	EXPECT(execmem_fill(a, "abcd", 4) == -EINVAL);
	EXPECT(!execmem_fill(a, "abc", 3));
	EXPECT(take_reports() == 1);
	execmem_free(a);
	EXPECT(!execmem_pool_check(&bytes));
	EXPECT(backing_is((unsigned long)a, 3, TRAP_BYTE));
	execmem_free(b);
	EXPECT(!bytes.nr_blocks);
}

/* If the range is the whole address space, rounding a size up can overflow. */
static void test_alloc_refuses_size_that_wraps(void)
{
	struct execmem_pool all;
	struct execmem_range range;
	void *ptr;

	start();
	range = *pool->range;
	execmem_pool_init(&all, "all", EXECMEM_BPF, &range);
	/* There is a free chunk, so a size that became 0 would fit. */
	ptr = execmem_pool_alloc(&all, TYPE, 64, 1, false);
	EXPECT(ptr);
	range.start = 0;
	range.end = -1UL;
	EXPECT(!execmem_pool_alloc(&all, TYPE, range.end - 5, 1, false));
	EXPECT(all.stats.failures == 1 && all.nr_chunks == 1);
	execmem_free(ptr);
}

/*
 * Reproducer: a free merged its chunk with the next one before it updated
 * max_free of the chunk. Removing the next chunk can rotate the tree, which
 * copies the wrong value to another node (I3). Free memory below that node was
 * not found.
 */
static void test_free_merge_rotates_tree(void)
{
	unsigned long chunks[48];

	start();
	random_seed(1);
	for (int round = 0; round < 1000 && !test_failed; round++) {
		int nr = 8 + get_random_u32_below(40);

		for (int i = 0; i < nr; i++)
			chunks[i] = alloc_text(64 << get_random_u32_below(4));
		while (nr && !test_failed) {
			int i = get_random_u32_below(nr);

			release(chunks[i]);
			chunks[i] = chunks[--nr];
		}
	}
}

void run_basic_tests(void)
{
	RUN(alloc_splits_block);
	RUN(alloc_exact_fit);
	RUN(alloc_lowest_that_fits);
	RUN(alloc_aligned);
	RUN(alloc_aligned_returns_to_its_hole);
	RUN(alloc_aligned_in_full_range);
	RUN(alloc_aligned_skips_misaligned);
	RUN(alloc_aligned_in_new_block);
	RUN(alloc_aligned_to_page_in_new_block);
	RUN(alloc_larger_than_block);
	RUN(alloc_unit_of_one_byte);
	RUN(alloc_refuses_size_that_wraps);
	RUN(alloc_bad_input);
	RUN(alloc_before_boot);
	RUN(free_merges_neighbours);
	RUN(free_merges_within_block);
	RUN(free_merge_rotates_tree);
	RUN(free_bad_address);
	RUN(free_in_interrupt);
	RUN(free_invalidates);
	RUN(fill_bounds);
	RUN(fill_across_chunks);
	RUN(fill_sealed);
	RUN(publish);
	RUN(fill_locked);
	RUN(fill_locked_without_hook);
	RUN(fill_hook_fails);
	RUN(seal_bad_address);
	RUN(seal_hook);
	RUN(lookup);
	RUN(exceeds);
}
