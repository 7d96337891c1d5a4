// SPDX-License-Identifier: GPL-2.0
/*
 * execmem=guard: each chunk of a shared type has pages of its own.
 */

#include <sanitizer/asan_interface.h>

#include "tests.h"

static struct execmem_pool *pool;

static void start(void)
{
	EXPECT(!param_parse_execmem("guard"));
	pool = start_small();
}

static void test_guard_is_set_for_all_types(void)
{
	start();
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++) {
		const struct execmem_range *range = execmem_pool_of(i)->range;

		EXPECT(range->flags & EXECMEM_GUARD);
		EXPECT(!(range->flags & (EXECMEM_HUGE | EXECMEM_RANDOMIZE)));
	}
	EXPECT(pool->shared && pool->unit_shift == PAGE_SHIFT);
}

/* execmem=on does not cancel execmem=guard. */
static void test_guard_and_on(void)
{
	EXPECT(!param_parse_execmem("guard"));
	EXPECT(!param_parse_execmem("on"));
	pool = start_small();
	EXPECT(pool->range->flags & EXECMEM_GUARD);
	EXPECT(!(pool->range->flags & EXECMEM_HUGE));
}

static void test_guard_gives_each_chunk_a_block(void)
{
	unsigned long a, b, c;

	start();
	a = alloc_text(64);
	b = alloc_text(PAGE_SIZE + 1);
	c = alloc_text(SZ_64K);
	EXPECT(pool->nr_blocks == 3 && pool->used == pool->reserved);
	EXPECT(pool->reserved == 3 * PAGE_SIZE + SZ_64K);
	EXPECT(!execmem_pool_largest_free(pool) && !pool->nr_huge);
	EXPECT(!execmem_fallbacks(&pool->stats));
	EXPECT(PAGE_ALIGNED(a | b | c));
	release(a);
	release(b);
	release(c);
}

/* Reproducer: pages that were mapped for the alignment went to other chunks. */
static void test_guard_aligned_chunk_has_its_block_alone(void)
{
	unsigned long a, b;

	start();
	a = (unsigned long)execmem_alloc_aligned(EXECMEM_MODULE_TEXT, PAGE_SIZE,
						 4 * PAGE_SIZE);
	EXPECT(a && IS_ALIGNED(a, 4 * PAGE_SIZE));
	EXPECT(pool->reserved == PAGE_SIZE);
	b = alloc_text(PAGE_SIZE);
	EXPECT(pool->nr_blocks == 2);
	EXPECT(__asan_address_is_poisoned((void *)(a + PAGE_SIZE)));
	release(a);
	release(b);
}

/* An access beyond the end of a chunk does not reach another one. */
static void test_guard_page_behind_chunk(void)
{
	unsigned long a, b;

	start();
	a = alloc_text(PAGE_SIZE);
	b = alloc_text(PAGE_SIZE);
	EXPECT(b != a + PAGE_SIZE && a != b + PAGE_SIZE);
	EXPECT(__asan_address_is_poisoned((void *)(a + PAGE_SIZE)));
	EXPECT(__asan_address_is_poisoned((void *)(b + PAGE_SIZE)));
	release(a);
	release(b);
}

/* A chunk is unmapped when it is freed. */
static void test_guard_keeps_no_spare(void)
{
	unsigned long a, b;

	start();
	a = alloc_text(SZ_64K);
	b = alloc_text(SZ_64K);
	release(a);
	EXPECT(!pool->spare && pool->nr_blocks == 1);
	EXPECT(__asan_address_is_poisoned((void *)a));
	EXPECT(!execmem_pool_drain(pool));
	release(b);
	EXPECT(!pool->nr_blocks);
}

/* Double frees and fills after sealing are detected as without guard. */
static void test_guard_fill_and_seal(void)
{
	unsigned long a;

	start();
	a = alloc_text(100);
	EXPECT(backing_is(a, PAGE_SIZE, TRAP_BYTE));
	EXPECT(!execmem_fill((void *)a, "code", 4));
	EXPECT(execmem_lookup(a + PAGE_SIZE - 1, &(struct execmem_area) {}));
	execmem_seal((void *)a);
	EXPECT(execmem_fill((void *)a, "code", 4) == -EINVAL);
	EXPECT(take_reports() == 1);
	release(a);
}

void run_guard_tests(void)
{
	RUN(guard_is_set_for_all_types);
	RUN(guard_and_on);
	RUN(guard_gives_each_chunk_a_block);
	RUN(guard_aligned_chunk_has_its_block_alone);
	RUN(guard_page_behind_chunk);
	RUN(guard_keeps_no_spare);
	RUN(guard_fill_and_seal);
}
