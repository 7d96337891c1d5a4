// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks: when they are added and given back, their addresses, and fallbacks.
 */

#include "tests.h"

#define BLOCK	SZ_64K

static struct execmem_pool *pool;

static void start(void)
{
	pool = start_small();
}

/* Freeing the last chunk gives its block back. */
static void test_last_free_gives_block_back(void)
{
	unsigned long a, b;

	start();
	a = alloc_text(64);
	b = alloc_text(64);
	release(a);
	EXPECT(pool->nr_blocks == 1);
	release(b);
	EXPECT(!pool->nr_blocks && !pool->reserved && !pool->spare);
	EXPECT(pool->stats.grown == 1 && pool->stats.shrunk == 1);
}

static void test_spare_is_kept_while_in_use(void)
{
	unsigned long a, b, c;

	start();
	a = alloc_text(BLOCK);
	b = alloc_text(BLOCK);
	c = alloc_text(BLOCK);
	release(b);
	EXPECT(pool->spare && pool->nr_blocks == 3);
	/* Only one spare is kept. */
	release(c);
	EXPECT(pool->spare && pool->nr_blocks == 2);
	/* The next allocation uses the spare. */
	EXPECT(alloc_text(64) == b);
	EXPECT(!pool->spare && pool->stats.grown == 3);
	release(b);
	EXPECT(pool->spare && pool->nr_blocks == 2);
	release(a);
	EXPECT(!pool->nr_blocks);
}

/* After the spare was used, the next empty block becomes the spare. */
static void test_spare_is_replaced(void)
{
	unsigned long a, b, c;

	start();
	a = alloc_text(BLOCK);
	b = alloc_text(BLOCK);
	release(a);
	EXPECT(pool->spare->start == a);
	c = alloc_text(BLOCK);
	EXPECT(c == a && !pool->spare);
	release(b);
	EXPECT(pool->spare && pool->spare->start == b);
	release(c);
	EXPECT(!pool->nr_blocks);
}

/*
 * Reproducer: a block for a chunk that is larger than the granularity was kept
 * as the spare. By I6, the spare is as large as the granularity.
 */
static void test_spare_has_one_granule(void)
{
	unsigned long a, b;

	start();
	a = alloc_text(5 * BLOCK);
	b = alloc_text(5 * BLOCK);
	release(b);
	/* It is not kept, although the others reserve as much. */
	EXPECT(!pool->spare && pool->reserved == 5 * BLOCK);
	release(a);
}

static void test_drain_gives_spare_back(void)
{
	unsigned long a, b;

	start();
	a = alloc_text(BLOCK);
	b = alloc_text(BLOCK);
	release(b);
	EXPECT(pool->nr_blocks == 2);
	EXPECT(execmem_pool_drain(pool) == BLOCK);
	EXPECT(pool->nr_blocks == 1 && !pool->spare);
	EXPECT(!execmem_pool_check(pool));
	EXPECT(!execmem_pool_drain(pool));
	EXPECT(pool->nr_blocks == 1);
	release(a);
}

/* A spare that is not used is given back after some seconds, not before. */
static void test_spare_expires(void)
{
	unsigned long a, b;

	start();
	EXPECT(!execmem_pool_expire(pool));
	a = alloc_text(BLOCK);
	b = alloc_text(BLOCK);
	EXPECT(!execmem_pool_expire(pool) && !shim.spares_kept);
	release(b);
	EXPECT(shim.spares_kept == 1);
	shim.now += EXECMEM_SPARE_TIME - 1;
	EXPECT(execmem_pool_expire(pool) == 1 && pool->spare);
	shim.now++;
	EXPECT(!execmem_pool_expire(pool) && !pool->spare);
	EXPECT(pool->nr_blocks == 1 && pool->reserved == BLOCK);
	EXPECT(!execmem_pool_check(pool));
	release(a);
}

/* Its time begins anew whenever it becomes empty. */
static void test_spare_that_is_used_stays(void)
{
	unsigned long a, b;

	start();
	a = alloc_text(BLOCK);
	b = alloc_text(BLOCK);
	for (int i = 0; i < 5; i++) {
		release(b);
		shim.now += EXECMEM_SPARE_TIME / 2;
		EXPECT(execmem_pool_expire(pool) && pool->spare);
		EXPECT(alloc_text(BLOCK) == b);
		shim.now += EXECMEM_SPARE_TIME;
		EXPECT(!execmem_pool_expire(pool) && pool->nr_blocks == 2);
	}
	EXPECT(pool->stats.grown == 2);
	release(b);
	release(a);
}

/* If there is no room for a whole block, it has the size that is needed. */
static void test_fallback_to_base_pages(void)
{
	unsigned long a, b, c;

	start();
	shim.huge.at = 1;
	a = alloc_text(5000);
	EXPECT(a && pool->reserved == 2 * PAGE_SIZE && !pool->nr_huge);
	EXPECT(execmem_fallbacks(&pool->stats) == 1);
	EXPECT(backing_is(a, 2 * PAGE_SIZE, TRAP_BYTE));
	b = alloc_text(BLOCK);
	EXPECT(pool->nr_blocks == 2 && pool->nr_huge == 1);
	EXPECT(execmem_fallbacks(&pool->stats) == 1);
	c = alloc_text(64);
	EXPECT(c == a + round_up(5000, 64));
	release(c);
	/* A small block is not kept as a spare. */
	release(a);
	EXPECT(pool->nr_blocks == 1 && !pool->spare);
	release(b);
}

/*
 * Reproducer: a spare was kept although the pool reserves less than its size.
 */
static void test_small_pool_keeps_no_large_spare(void)
{
	unsigned long a, b;

	start();
	shim.huge.at = 1;
	a = alloc_text(5000);
	b = alloc_text(BLOCK);
	EXPECT(pool->reserved == 2 * PAGE_SIZE + BLOCK);
	release(b);
	EXPECT(pool->reserved == 2 * PAGE_SIZE && !pool->spare);
	release(a);
}

/*
 * A block of base pages is no fallback if the type does not ask for huge pages.
 */
static void test_base_pages_by_choice(void)
{
	struct execmem_pool *plain;
	unsigned long a;

	start();
	plain = execmem_pool_of(EXECMEM_FTRACE);
	a = alloc_of(EXECMEM_FTRACE, 64);
	EXPECT(plain->reserved == BLOCK && !plain->nr_huge);
	EXPECT(!execmem_fallbacks(&plain->stats));
	EXPECT(backing_is(a, 256, ZERO_BYTE));
	EXPECT(!execmem_fill((void *)a, "x", 1));
	EXPECT(*(char *)a == 'x');
	release(a);
}

static void test_second_range_when_first_is_full(void)
{
	const struct execmem_range *range;
	struct execmem_pool *plain;
	unsigned long chunks[8];

	start();
	plain = execmem_pool_of(EXECMEM_FTRACE);
	range = plain->range;
	for (int i = 0; i < 8; i++) {
		chunks[i] = alloc_of(EXECMEM_FTRACE, BLOCK);
		EXPECT((chunks[i] < range->end) == (i < 4));
	}
	EXPECT(chunks[4] == range->fallback_start);
	EXPECT(!alloc_of(EXECMEM_FTRACE, 1));
	EXPECT(plain->stats.failures == 1);
	for (int i = 0; i < 8; i++)
		release(chunks[i]);
}

/* A chunk must fit into one of the address ranges. */
static void test_too_large_counts_both_ranges(void)
{
	struct execmem_range range;
	struct execmem_pool two;
	unsigned long size;
	void *ptr;

	start();
	range = *execmem_pool_of(EXECMEM_FTRACE)->range;
	range.end = range.start + BLOCK;
	size = range.fallback_end - range.fallback_start;
	execmem_pool_init(&two, "two", EXECMEM_BPF, &range);
	EXPECT(!execmem_pool_alloc(&two, EXECMEM_FTRACE, size + 1, 1, false));
	EXPECT(two.stats.failures == 1);
	ptr = execmem_pool_alloc(&two, EXECMEM_FTRACE, size, 1, false);
	EXPECT((unsigned long)ptr == range.fallback_start);
	execmem_free(ptr);
	EXPECT(!two.nr_blocks);
}

/* Each chunk of a type that is not shared has pages of its own. */
static void test_unshared(void)
{
	struct execmem_pool *data;
	unsigned long a, b;

	start();
	data = execmem_pool_of(EXECMEM_MODULE_DATA);
	EXPECT(!data->shared);
	a = alloc_of(EXECMEM_MODULE_DATA, 100);
	b = alloc_of(EXECMEM_MODULE_DATA, 5000);
	EXPECT(PAGE_ALIGNED(a) && PAGE_ALIGNED(b));
	EXPECT(data->nr_blocks == 2 && data->reserved == 3 * PAGE_SIZE);
	EXPECT(data->used == data->reserved);
	/* The chunk is unmapped, so it need not be invalidated. */
	memset((void *)b, 'x', 5000);
	EXPECT(!execmem_fill((void *)a, "code", 4));
	execmem_seal((void *)a);
	EXPECT(execmem_fill((void *)a, "code", 4) == -EINVAL);
	EXPECT(take_reports() == 1);
	release(a);
	EXPECT(data->nr_blocks == 1 && !data->spare);
	release(b);
	EXPECT(!shim.invalidate.calls);
}

/* The offset of the first chunk in a block is random, up to a quarter. */
static void test_first_chunk_is_random(void)
{
	struct execmem_pool *bpf;
	unsigned long seen = 0, a, offset;

	start();
	bpf = execmem_pool_of(EXECMEM_BPF);
	for (int i = 0; i < 200; i++) {
		a = alloc_of(EXECMEM_BPF, 64);
		offset = a % BLOCK;
		EXPECT(offset <= (BLOCK - 64) / 4);
		seen |= 1UL << (offset * 8 / BLOCK);
		/* The part before it can be allocated. */
		EXPECT(offset < 64 || alloc_of(EXECMEM_BPF, 64) == a - offset);
		if (offset >= 64)
			release(a - offset);
		release(a);
	}
	EXPECT(seen == 3);
	EXPECT(bpf->hint >= bpf->range->start && bpf->hint < bpf->range->end);
}

/*
 * A chunk as large as the block has base pages: a huge block has fewer places
 * for it than 6.12 chooses from.
 */
static void test_first_chunk_fills_block(void)
{
	struct execmem_pool *bpf;
	unsigned long a;

	start();
	bpf = execmem_pool_of(EXECMEM_BPF);
	a = alloc_of(EXECMEM_BPF, BLOCK);
	EXPECT(a && !bpf->nr_huge && bpf->reserved == BLOCK);
	release(a);
	a = alloc_of(EXECMEM_BPF, BLOCK - 448);
	EXPECT(a && bpf->nr_huge == 1 && bpf->reserved == BLOCK);
	EXPECT(a % BLOCK <= 448);
	release(a);
}

/* The random hint of a pool is not near the end of its range. */
static void test_hint_is_random(void)
{
	struct execmem_range range;
	struct execmem_pool many;
	unsigned long seen = 0;

	start();
	range = shared_range(0, 64 * BLOCK, BLOCK);
	range.flags |= EXECMEM_RANDOMIZE;
	for (int i = 0; i < 100; i++) {
		execmem_pool_init(&many, "many", EXECMEM_BPF, &range);
		EXPECT(many.hint >= range.start && many.hint < range.end);
		seen |= 1UL << ((many.hint - range.start) / BLOCK);
	}
	EXPECT(__builtin_popcountl(seen) > 16);
	range.flags &= ~EXECMEM_RANDOMIZE;
	execmem_pool_init(&many, "many", EXECMEM_BPF, &range);
	EXPECT(many.hint == range.start);
}

/* The search starts at the hint, but uses the whole range. */
static void test_hint_wraps(void)
{
	struct execmem_range range;
	struct execmem_pool three;
	void *chunks[3];

	start();
	range = shared_range(0, 3 * BLOCK, BLOCK);
	for (int i = 0; i < 20; i++) {
		range.flags |= EXECMEM_RANDOMIZE;
		execmem_pool_init(&three, "three", EXECMEM_BPF, &range);
		EXPECT(IS_ALIGNED(three.hint, BLOCK));
		for (int j = 0; j < 3; j++) {
			chunks[j] = execmem_pool_alloc(&three, 0, BLOCK - 448,
						       1, false);
			EXPECT(chunks[j]);
		}
		EXPECT((unsigned long)chunks[0] - three.hint <= 448);
		for (int j = 0; j < 3; j++)
			execmem_free(chunks[j]);
	}
}

/*
 * If a range has no room for one block, the number of possible addresses is 0.
 * get_random_u32_below() must not be called with 0.
 */
static void test_hint_in_tiny_range(void)
{
	struct execmem_range range;
	struct execmem_pool tiny;
	void *ptr;

	start();
	range = shared_range(0, BLOCK / 2, BLOCK);
	range.flags |= EXECMEM_RANDOMIZE;
	execmem_pool_init(&tiny, "tiny", EXECMEM_BPF, &range);
	EXPECT(tiny.hint == range.start);
	ptr = execmem_pool_alloc(&tiny, 0, 64, 1, false);
	EXPECT(ptr && execmem_fallbacks(&tiny.stats) == 1);
	execmem_free(ptr);
}

/* === Memory that cannot be given back ===================================== */

/* Free the chunk again, to end the test without leaks. */
static void rescue_chunk(unsigned long addr)
{
	struct execmem_chunk *chunk;
	struct rb_node *node;

	for (node = rb_first(&pool->chunks); node; node = rb_next(node)) {
		chunk = rb_entry(node, struct execmem_chunk, node);
		if (chunk->start == addr)
			chunk->state = EXECMEM_SEALED;
	}
	release(addr);
}

static void test_invalidate_fails(void)
{
	unsigned long a, b, c;

	start();
	a = alloc_text(64);
	b = alloc_text(64);
	shim.invalidate.at = 1;
	release(a);
	EXPECT(take_reports() == 1);
	EXPECT(pool->nr_chunks == 2 && pool->used == 128);
	EXPECT(!pool->stats.frees);
	/* The memory is not allocated again and cannot be filled or freed. */
	EXPECT(!execmem_lookup(a, &(struct execmem_area) {}));
	EXPECT(execmem_fill((void *)a, "x", 1) == -EINVAL);
	execmem_seal((void *)a);
	release(a);
	EXPECT(take_reports() == 3);
	c = alloc_text(64);
	EXPECT(c == b + 64);
	release(b);
	release(c);
	EXPECT(pool->nr_blocks == 1 && !pool->spare);
	rescue_chunk(a);
	EXPECT(!pool->nr_blocks);
}

/* Only shared pools use the descriptions of removed chunks again. */
static void test_own_pages_keep_no_nodes(void)
{
	unsigned long page[3];

	start_small();
	for (int i = 0; i < 3; i++)
		page[i] = alloc_of(EXECMEM_MODULE_DATA, PAGE_SIZE);
	release(page[0]);
	release(page[1]);
	EXPECT(!execmem_pool_of(EXECMEM_MODULE_DATA)->nr_nodes);
	release(page[2]);
}

void run_block_tests(void)
{
	RUN(last_free_gives_block_back);
	RUN(spare_is_kept_while_in_use);
	RUN(spare_is_replaced);
	RUN(spare_has_one_granule);
	RUN(drain_gives_spare_back);
	RUN(spare_expires);
	RUN(spare_that_is_used_stays);
	RUN(fallback_to_base_pages);
	RUN(small_pool_keeps_no_large_spare);
	RUN(base_pages_by_choice);
	RUN(second_range_when_first_is_full);
	RUN(too_large_counts_both_ranges);
	RUN(unshared);
	RUN(first_chunk_is_random);
	RUN(first_chunk_fills_block);
	RUN(hint_is_random);
	RUN(hint_wraps);
	RUN(hint_in_tiny_range);
	RUN(invalidate_fails);
	RUN(own_pages_keep_no_nodes);
}
