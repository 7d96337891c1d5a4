// SPDX-License-Identifier: GPL-2.0
/*
 * How much a shared pool can waste: the bounds F1, F2 and F3 that
 * mm/execmem_pool.c states.
 */

#include "tests.h"

#define BLOCK		SZ_64K
#define UNIT		64
#define NR_BLOCKS	60

/*
 * Free bytes in a block with one chunk of the smallest size, and half of them
 */
#define REST		(BLOCK - UNIT)
#define HALF		(REST / 2)

#define MAX_LIVE	4096

static struct execmem_pool *pool;
static unsigned long live[MAX_LIVE];
static unsigned int nr_live;

static u64 below(u64 ceil)
{
	return random_u64() % ceil;
}

static bool take(size_t size)
{
	unsigned long addr = (unsigned long)execmem_alloc(EXECMEM_MODULE_TEXT,
							  size);

	if (!EXPECT(addr) || !EXPECT(nr_live < MAX_LIVE))
		return false;
	live[nr_live++] = addr;
	return true;
}

static void give(unsigned int i)
{
	execmem_free((void *)live[i]);
	live[i] = live[--nr_live];
}

static void give_all(void)
{
	while (nr_live)
		give(nr_live - 1);
	EXPECT(!pool->nr_blocks && !pool->reserved && !pool->used);
	EXPECT(!execmem_pool_check(pool));
}

static void start(void)
{
	pool = start_small();
	nr_live = 0;
}

/* === One chunk in each block ============================================== */

/*
 * Fill a block with a chunk of the smallest size at @offset and one on each
 * side.
 */
static unsigned long fill_block(size_t offset)
{
	unsigned long keep;

	if (offset)
		take(offset);
	keep = alloc_text(UNIT);
	if (offset < REST)
		take(REST - offset);
	return keep;
}

/* Leave one chunk of the smallest size in each of many blocks. */
static void leave_one_in_each(void)
{
	unsigned long keep[NR_BLOCKS];

	for (int i = 0; i < NR_BLOCKS; i++) {
		keep[i] = fill_block(below(BLOCK / UNIT) * UNIT);
		EXPECT(pool->nr_blocks == i + 1 && pool->used == pool->reserved);
	}
	while (nr_live)
		give(nr_live - 1);
	for (int i = 0; i < NR_BLOCKS; i++)
		live[nr_live++] = keep[i];
}

static bool has_block_with_one(void)
{
	struct execmem_block *block;

	list_for_each_entry(block, &pool->blocks, list)
		if (block->used == UNIT)
			return true;
	return false;
}

/* F1: each chunk keeps at most one block, and no other block is kept. */
static void test_fragment_one_chunk_in_each_block(void)
{
	start();
	leave_one_in_each();
	EXPECT(pool->nr_blocks == NR_BLOCKS && pool->nr_chunks == NR_BLOCKS);
	EXPECT(!pool->spare);
	EXPECT(!execmem_pool_check(pool));
	give_all();
}

/* F3: requests up to half of the free bytes are served from such blocks. */
static void test_fragment_half_a_block_fits(void)
{
	unsigned int served = 0;

	start();
	leave_one_in_each();
	while (has_block_with_one() && take(1 + below(HALF)))
		served++;
	EXPECT(served >= NR_BLOCKS);
	EXPECT(pool->nr_blocks == NR_BLOCKS);
	EXPECT(pool->stats.grown == NR_BLOCKS);
	give_all();
}

/* F3 is exact: half of the free bytes are served, one unit more is not. */
static void test_fragment_more_than_half_does_not_fit(void)
{
	unsigned long keep;

	start();
	keep = fill_block(round_up(HALF, UNIT));
	give(0);
	give(0);
	EXPECT(pool->nr_blocks == 1);
	take(HALF);
	EXPECT(pool->nr_blocks == 1);
	take(HALF + UNIT);
	EXPECT(pool->nr_blocks == 2);
	release(keep);
	give_all();
}

/* === A long run =========================================================== */

static size_t wanted;
static unsigned int nr_grown;
static unsigned int worst_percent;

/* F2: check the free bytes whenever a block is added. */
static void check_growth(struct execmem_block *block, size_t size)
{
	size_t spare = pool->reserved - pool->used;
	size_t bound = (pool->nr_chunks + pool->nr_blocks) * wanted;

	if (block->pool != pool || !pool->nr_blocks)
		return;
	EXPECT(spare < bound);
	EXPECT(execmem_pool_largest_free(pool) < wanted);
	worst_percent = max(worst_percent, (unsigned int)(spare * 100 / bound));
	nr_grown++;
}

/* Sizes like those of programs: half are small, a few are large. */
static size_t random_size(void)
{
	return 1 + below(UNIT << below(9));
}

static void alloc_or_free(unsigned int level)
{
	if (nr_live && below(nr_live + level) >= level) {
		give(below(nr_live));
		return;
	}
	wanted = round_up(random_size(), UNIT);
	take(wanted);
}

/* The number of chunks goes up and down, so that blocks are given back. */
static void test_fragment_bounds_in_long_run(void)
{
	unsigned long ops = min(options.ops, 1000000UL);
	unsigned int level = 0;

	start();
	nr_grown = 0;
	worst_percent = 0;
	shim.mapped = check_growth;
	for (unsigned long i = 0; i < ops && !test_failed; i++) {
		if (i % 2000 == 0)
			level = 1 + below(800);
		alloc_or_free(level);
		EXPECT(pool->nr_blocks <= pool->nr_chunks + !!pool->spare);
	}
	EXPECT(nr_grown > ops / 2000);
	printf("  %u times a block was added, free then: at most %u %% of the bound\n",
	       nr_grown, worst_percent);
	shim.mapped = NULL;
	give_all();
}

void run_fragment_tests(void)
{
	RUN(fragment_one_chunk_in_each_block);
	RUN(fragment_half_a_block_fits);
	RUN(fragment_more_than_half_does_not_fit);
	RUN(fragment_bounds_in_long_run);
}
