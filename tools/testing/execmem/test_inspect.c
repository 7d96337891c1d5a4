// SPDX-License-Identifier: GPL-2.0
/*
 * Functions for statistics: list of chunks, maps, largest free chunk.
 */

#include "tests.h"

#define BLOCK	SZ_64K
#define PART	(BLOCK / EXECMEM_MAP_PARTS)

static struct execmem_pool *pool;

static void start(void)
{
	pool = start_small();
}

/* Expect that the next chunk in use from @addr on starts at @start. */
static bool next_is(unsigned long addr, unsigned long start)
{
	struct execmem_chunk copy = {};

	if (!execmem_pool_next(pool, addr, &copy))
		return !start;
	return copy.start == start;
}

static void test_next_in_empty_pool(void)
{
	start();
	EXPECT(next_is(0, 0));
	EXPECT(next_is(-1UL, 0));
}

/* Three chunks, with free memory before the second and after the third */
static void test_next_skips_free_chunks(void)
{
	unsigned long a, gap, b, c;

	start();
	a = alloc_text(64);
	gap = alloc_text(256);
	b = alloc_text(128);
	c = alloc_text(64);
	release(gap);

	EXPECT(next_is(0, a));
	EXPECT(next_is(a + 63, a));
	EXPECT(next_is(a + 64, b));
	EXPECT(next_is(b, b));
	EXPECT(next_is(b + 127, b));
	EXPECT(next_is(b + 128, c));
	EXPECT(next_is(c + 64, 0));
	release(a);
	release(b);
	EXPECT(next_is(0, c));
	release(c);
}

static void test_next_crosses_blocks(void)
{
	unsigned long a, b, c;

	start();
	a = alloc_text(BLOCK);
	b = alloc_text(BLOCK);
	c = alloc_text(64);
	release(b);
	EXPECT(pool->spare);
	EXPECT(next_is(a + BLOCK, c));
	release(a);
	release(c);
}

static void test_next_copies_description(void)
{
	struct execmem_chunk copy;
	unsigned long a;

	start();
	a = alloc_of(EXECMEM_KPROBES, 100);
	execmem_seal((void *)a);
	EXPECT(execmem_pool_next(pool, 0, &copy));
	EXPECT(copy.start == a && copy.size == 128);
	EXPECT(copy.type == EXECMEM_KPROBES && copy.caller);
	EXPECT(copy.state == EXECMEM_SEALED);
	release(a);
}

/* Chunks that could not be invalidated are listed as in use. */
static void test_next_shows_leaked_chunk(void)
{
	unsigned long a, b;

	start();
	model_start(true);
	a = model_alloc(EXECMEM_MODULE_TEXT, 64, 0)->start;
	b = model_alloc(EXECMEM_MODULE_TEXT, 64, 0)->start;
	shim.invalidate.at = 1;
	model_free(a);
	EXPECT(take_reports() == 1);
	EXPECT(next_is(0, a) && next_is(a + 64, b));
	model_walk(model_pool_of(EXECMEM_MODULE_TEXT));
	model_draw(model_pool_of(EXECMEM_MODULE_TEXT));
	model_recover_leaked();
	model_free_all();
	model_finish();
}

static void test_map_of_empty_pool(void)
{
	struct execmem_map map;

	start();
	EXPECT(!execmem_pool_map(pool, 0, &map));
}

static unsigned long sum_of_parts(struct execmem_map *map)
{
	unsigned long sum = 0;

	for (int i = 0; i < EXECMEM_MAP_PARTS; i++)
		sum += map->used[i];
	return sum;
}

static void test_map_draws_chunks(void)
{
	struct execmem_map map;
	unsigned long a, b, c;

	start();
	a = alloc_text(PART + 64);
	b = alloc_text(64);
	c = alloc_text(3 * PART);
	release(b);
	EXPECT(execmem_pool_map(pool, 0, &map));
	EXPECT(map.start == a && map.size == BLOCK && map.huge && map.caller);
	EXPECT(map.nr_chunks == 2 && map.nr_units == BLOCK / 64);
	EXPECT(map.nr_used == (4 * PART + 64) / 64);
	EXPECT(sum_of_parts(&map) == map.nr_used);
	EXPECT(map.used[0] == PART / 64 && map.used[1] == PART / 64 - 1);
	EXPECT(map.used[3] == PART / 64 && map.used[4] == 2);
	EXPECT(!map.used[5]);
	release(a);
	release(c);
}

/* The last unit of a block is drawn, and nothing after it. */
static void test_map_of_full_block(void)
{
	struct execmem_map map;
	unsigned long a, b;

	start();
	a = alloc_text(BLOCK - 64);
	b = alloc_text(64);
	EXPECT(execmem_pool_map(pool, 0, &map));
	EXPECT(map.nr_chunks == 2 && map.nr_used == map.nr_units);
	for (int i = 0; i < EXECMEM_MAP_PARTS; i++)
		EXPECT(map.used[i] == PART / 64);
	release(a);
	release(b);
}

/* A small block has fewer units than there are parts. */
static void test_map_of_small_block(void)
{
	unsigned long a;

	start();
	model_start(true);
	shim.huge.at = 1;
	a = model_alloc(EXECMEM_MODULE_TEXT, 1, 0)->start;
	EXPECT(pool->reserved == PAGE_SIZE);
	model_draw(model_pool_of(EXECMEM_MODULE_TEXT));
	model_alloc(EXECMEM_MODULE_DATA, 1, 0);
	model_draw(model_pool_of(EXECMEM_MODULE_DATA));
	model_free(a);
	model_free_all();
	model_finish();
}

/* Maps are in order of addresses, although the list of blocks is not. */
static void test_map_goes_by_address(void)
{
	unsigned long a, b, c, d;
	struct execmem_map map;

	start();
	a = alloc_text(BLOCK);
	b = alloc_text(BLOCK);
	c = alloc_text(BLOCK);
	release(a);
	execmem_pool_drain(pool);
	d = alloc_text(BLOCK);
	EXPECT(d < b && b < c);
	EXPECT(execmem_pool_map(pool, 0, &map) && map.start == d);
	EXPECT(execmem_pool_map(pool, d + 1, &map) && map.start == b);
	EXPECT(execmem_pool_map(pool, c, &map) && map.start == c);
	EXPECT(!execmem_pool_map(pool, c + 1, &map));
	release(b);
	release(c);
	release(d);
}

static void test_types_are_described(void)
{
	EXPECT(!execmem_is_readonly(EXECMEM_BPF));
	EXPECT(!execmem_unit_size(EXECMEM_BPF));
	start();
	EXPECT(execmem_is_readonly(EXECMEM_BPF));
	EXPECT(execmem_is_readonly(EXECMEM_BPF_CLASSIC));
	EXPECT(execmem_unit_size(EXECMEM_BPF_CLASSIC) == 64);
	/* The caller can write to these. */
	EXPECT(!execmem_is_readonly(EXECMEM_FTRACE));
	EXPECT(execmem_unit_size(EXECMEM_FTRACE) == 256);
	EXPECT(!execmem_is_readonly(EXECMEM_MODULE_DATA));
	EXPECT(execmem_unit_size(EXECMEM_MODULE_DATA) == PAGE_SIZE);
}

static void test_type_names(void)
{
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++) {
		EXPECT(execmem_type_name(i));
		for (int j = 0; j < i; j++)
			EXPECT(strcmp(execmem_type_name(i),
				      execmem_type_name(j)));
	}
	EXPECT(!strcmp(execmem_type_name(EXECMEM_BPF), "bpf"));
}

void run_inspect_tests(void)
{
	RUN(next_in_empty_pool);
	RUN(next_skips_free_chunks);
	RUN(next_crosses_blocks);
	RUN(next_copies_description);
	RUN(next_shows_leaked_chunk);
	RUN(map_of_empty_pool);
	RUN(map_draws_chunks);
	RUN(map_of_full_block);
	RUN(map_of_small_block);
	RUN(map_goes_by_address);
	RUN(types_are_described);
	RUN(type_names);
}
