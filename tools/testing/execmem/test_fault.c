// SPDX-License-Identifier: GPL-2.0
/*
 * Failures: each call that can fail does so once.
 *
 * A scenario is run repeatedly. In run n, call n fails, until a run has fewer
 * calls. The model checks that a failure has no other effect.
 */

#include "tests.h"

#define BLOCK	SZ_64K

static void fill_some(struct model_chunk *chunk)
{
	if (chunk)
		model_fill(chunk->start, chunk->size / 2);
}

static void free_if_any(struct model_chunk *chunk)
{
	if (chunk)
		model_free(chunk->start);
}

/*
 * Add blocks, split, align, fall back, merge on both sides, spare, give back.
 */
static void scenario(void)
{
	struct model_chunk *a, *b, *c, *d, *e;

	a = model_alloc(EXECMEM_MODULE_TEXT, 1000, 0);
	b = model_alloc(EXECMEM_KPROBES, 64, 0);
	fill_some(a);
	fill_some(b);
	c = model_alloc(EXECMEM_MODULE_TEXT, 300, 8192);
	d = model_alloc(EXECMEM_MODULE_TEXT, BLOCK + 1, 0);
	free_if_any(a);
	fill_some(c);
	free_if_any(c);
	e = model_alloc(EXECMEM_BPF_CLASSIC, BLOCK / 2, 4096);
	a = model_alloc(EXECMEM_BPF, BLOCK - 448, 0);
	free_if_any(b);
	b = model_alloc(EXECMEM_MODULE_DATA, 3 * PAGE_SIZE, 0);
	c = model_alloc(EXECMEM_FTRACE, 100, 0);
	fill_some(b);
	fill_some(c);
	free_if_any(a);
	a = model_alloc(EXECMEM_BPF_CLASSIC, 100, 0);
	fill_some(e);
	free_if_any(d);
	free_if_any(e);
	free_if_any(c);
	free_if_any(b);
	free_if_any(a);
}

/*
 * Run the scenario and let call @nth fail. Returns the number of failed calls.
 */
static unsigned long run_with(struct fault *fault, unsigned long nth,
			      bool from_then_on)
{
	unsigned long hits;

	start_small();
	model_start(true);
	execmem_pred_flush_enabled = true;
	*fault = (struct fault) { .at = nth, .from_then_on = from_then_on };
	scenario();
	hits = fault->hits;
	*fault = (struct fault) {};
	model_validate();

	/* Without failures, the scenario must succeed afterwards. */
	scenario();
	model_validate();
	EXPECT(!model.nr_live);
	return hits;
}

/* Returns the number of calls that can fail. */
static unsigned long run_all(struct fault *fault, bool from_then_on)
{
	unsigned long nth = 1;

	while (run_with(fault, nth, from_then_on) && !test_failed) {
		model_finish();
		EXPECT(!kernel_has_blocks());
		nth++;
	}
	model_finish();
	return nth - 1;
}

static void test_fault_in_node_allocation(void)
{
	unsigned long once = run_all(&shim.alloc, false);
	unsigned long ever = run_all(&shim.alloc, true);

	printf("  %lu and %lu places\n", once, ever);
	EXPECT(once > 15 && ever > 15);
}

static void test_fault_in_map(void)
{
	EXPECT(run_all(&shim.map, false) >= 6);
	EXPECT(run_all(&shim.map, true) >= 6);
}

static void test_fault_in_huge_map(void)
{
	EXPECT(run_all(&shim.huge, false) >= 4);
	EXPECT(run_all(&shim.huge, true) >= 4);
}

static void test_fault_in_fill(void)
{
	EXPECT(run_all(&shim.fill, false) >= 3);
	EXPECT(run_all(&shim.fill, true) >= 3);
}

/* If a chunk description cannot be allocated, no block must be mapped. */
static void test_no_block_for_failed_alloc(void)
{
	struct execmem_pool *pool = start_small();

	shim.alloc = (struct fault) { .at = 1, .from_then_on = true };
	EXPECT(!alloc_text(64));
	EXPECT(!pool->nr_blocks && !shim.map.calls && !shim.huge.calls);
	EXPECT(pool->stats.failures == 1);
	EXPECT(!shim.objects);
}

/* Frees do not allocate, so they succeed even if every allocation fails. */
static void test_free_without_memory(void)
{
	unsigned long a, b, c, calls;

	start_small();
	a = alloc_text(64);
	b = alloc_text(64);
	c = alloc_text(BLOCK);
	calls = shim.alloc.calls;
	shim.alloc = (struct fault) { .at = 1, .from_then_on = true };
	release(b);
	release(c);
	release(a);
	EXPECT(calls && !shim.alloc.calls);
}

void run_fault_tests(void)
{
	RUN(fault_in_node_allocation);
	RUN(fault_in_map);
	RUN(fault_in_huge_map);
	RUN(fault_in_fill);
	RUN(no_block_for_failed_alloc);
	RUN(free_without_memory);
}
