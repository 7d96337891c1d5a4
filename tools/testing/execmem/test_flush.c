// SPDX-License-Identifier: GPL-2.0
/*
 * Predictor flushes and synchronization of CPUs: exactly as many as necessary.
 *
 * EXECMEM_BPF_CLASSIC requires flushes and is merged into EXECMEM_BPF.
 * EXECMEM_KPROBES is merged into EXECMEM_MODULE_TEXT.
 */

#include "tests.h"

static void start(void)
{
	start_small();
	execmem_pred_flush_enabled = true;
}

/* Allocate, and return the number of flushes for it. */
static unsigned long flushes_for(enum execmem_type type, size_t size,
				 unsigned long *addr)
{
	unsigned long before = shim.flushes;

	*addr = alloc_of(type, size);
	EXPECT(*addr);
	return shim.flushes - before;
}

static unsigned long rest[64];
static unsigned int nr_rest;

/* Use all memory that is free, so that only what is freed later can be reused. */
static void use_rest(enum execmem_type type)
{
	struct execmem_pool *pool = execmem_pool_of(type);
	size_t size;

	while ((size = execmem_pool_largest_free(pool)))
		rest[nr_rest++] = alloc_of(type, size);
}

static void release_rest(void)
{
	while (nr_rest)
		release(rest[--nr_rest]);
}

/* Cause a flush by allocating a chunk, which is freed later. */
static unsigned long flush_all(void)
{
	unsigned long addr, next;

	addr = alloc_of(EXECMEM_KPROBES, 64);
	release(addr);
	EXPECT(flushes_for(EXECMEM_KPROBES, 64, &next) == 1);
	return next;
}

static void test_flush_for_freed_code(void)
{
	unsigned long keep, a, b;

	start();
	keep = alloc_of(EXECMEM_BPF_CLASSIC, 64);
	a = alloc_of(EXECMEM_BPF, 64);
	use_rest(EXECMEM_BPF);
	release(a);
	EXPECT(flushes_for(EXECMEM_BPF_CLASSIC, 64, &b) == 1);
	EXPECT(execmem_pool_of(EXECMEM_BPF)->stats.pred_flushes == 2);
	release(keep);
	release(b);
	release_rest();
}

/* Other code may have been at the addresses of a new block. */
static void test_flush_for_new_block(void)
{
	unsigned long a;

	start();
	EXPECT(flushes_for(EXECMEM_BPF_CLASSIC, 64, &a) == 1);
	release(a);
	EXPECT(flushes_for(EXECMEM_BPF_CLASSIC, 64, &a) == 1);
	release(a);
}

static void test_no_flush_for_clean_memory(void)
{
	unsigned long chunks[20];

	start();
	chunks[0] = alloc_of(EXECMEM_BPF_CLASSIC, 64);
	for (int i = 1; i < 20; i++)
		EXPECT(!flushes_for(EXECMEM_BPF_CLASSIC, 64 * i, &chunks[i]));
	for (int i = 0; i < 20; i++)
		release(chunks[i]);
}

/* A free elsewhere in the pool does not require a flush. */
static void test_no_flush_for_free_elsewhere(void)
{
	unsigned long keep, a, b, c;

	start();
	keep = alloc_of(EXECMEM_BPF_CLASSIC, 64);
	a = alloc_of(EXECMEM_BPF, 64);
	b = alloc_of(EXECMEM_BPF, 64);
	release(a);
	EXPECT(!flushes_for(EXECMEM_BPF_CLASSIC, 128, &c));
	/* There is clean memory for a small one, too. */
	EXPECT(!flushes_for(EXECMEM_BPF_CLASSIC, 64, &a));
	use_rest(EXECMEM_BPF);
	release(b);
	EXPECT(flushes_for(EXECMEM_BPF_CLASSIC, 64, &b) == 1);
	release(keep);
	release(a);
	release(b);
	release(c);
	release_rest();
}

static void test_no_flush_for_other_types(void)
{
	unsigned long a, b, c;

	start();
	EXPECT(!flushes_for(EXECMEM_BPF, 64, &a));
	release(a);
	EXPECT(!flushes_for(EXECMEM_BPF, 64, &a));
	EXPECT(!flushes_for(EXECMEM_MODULE_DATA, 64, &b));
	EXPECT(!flushes_for(EXECMEM_MODULE_TEXT, 64, &c));
	release(a);
	release(b);
	release(c);
}

static void test_no_flush_when_disabled(void)
{
	unsigned long a;

	start_small();
	EXPECT(!flushes_for(EXECMEM_BPF_CLASSIC, 64, &a));
	release(a);
	EXPECT(!execmem_pool_of(EXECMEM_BPF)->stats.pred_flushes);
}

/* One flush covers frees in all pools. */
static void test_flush_covers_all_pools(void)
{
	unsigned long keep, a, b, text;

	start();
	keep = alloc_of(EXECMEM_BPF_CLASSIC, 64);
	a = alloc_of(EXECMEM_BPF, 64);
	release(a);
	text = flush_all();
	EXPECT(!flushes_for(EXECMEM_BPF_CLASSIC, 64, &b));
	EXPECT(b == a);
	release(keep);
	release(b);
	release(text);
}

/* A free of code of the type that requires flushes also causes one. */
static void test_flush_for_own_code(void)
{
	unsigned long keep, a;

	start();
	keep = alloc_of(EXECMEM_BPF_CLASSIC, 64);
	EXPECT(!flushes_for(EXECMEM_BPF_CLASSIC, 64, &a));
	use_rest(EXECMEM_BPF);
	release(a);
	EXPECT(flushes_for(EXECMEM_BPF_CLASSIC, 64, &a) == 1);
	release(a);
	release(keep);
	release_rest();
}

/* Four neighbours of 64 bytes, at the lowest addresses of their block */
static void four_neighbours(unsigned long *a)
{
	for (int i = 0; i < 4; i++)
		a[i] = alloc_of(EXECMEM_MODULE_TEXT, 64);
	EXPECT(a[3] == a[0] + 192);
}

/*
 * Free the first chunk, flush, free the second. Their common free chunk starts
 * with memory that needs no flush, and ends with memory that does.
 */
static void test_flush_after_merge_with_previous(void)
{
	unsigned long a[4], b, bpf;

	start();
	four_neighbours(a);
	use_rest(EXECMEM_MODULE_TEXT);
	release(a[0]);
	bpf = alloc_of(EXECMEM_BPF_CLASSIC, 64);
	release(a[1]);
	EXPECT(flushes_for(EXECMEM_KPROBES, 128, &b) == 1);
	EXPECT(b == a[0]);
	release(b);
	release(a[2]);
	release(a[3]);
	release(bpf);
	release_rest();
}

/* In the other order, and with the middle one last */
static void test_flush_after_merge_with_next(void)
{
	unsigned long a[4], b, bpf;

	start();
	four_neighbours(a);
	use_rest(EXECMEM_MODULE_TEXT);
	release(a[2]);
	release(a[0]);
	bpf = alloc_of(EXECMEM_BPF_CLASSIC, 64);
	release(a[1]);
	EXPECT(flushes_for(EXECMEM_KPROBES, 192, &b) == 1);
	EXPECT(b == a[0]);
	release(b);
	release(a[3]);
	release(bpf);
	release_rest();
}

/* The rest of a free chunk keeps its sequence number. */
static void test_flush_for_rest_of_extent(void)
{
	unsigned long a[4], b, c, bpf;

	start();
	four_neighbours(a);
	use_rest(EXECMEM_MODULE_TEXT);
	bpf = alloc_of(EXECMEM_BPF_CLASSIC, 64);
	release(a[1]);
	release(a[2]);
	EXPECT(!flushes_for(EXECMEM_MODULE_TEXT, 64, &b));
	EXPECT(flushes_for(EXECMEM_KPROBES, 64, &c) == 1);
	EXPECT(b == a[1] && c == a[2]);
	release(a[0]);
	release(a[3]);
	release(b);
	release(c);
	release(bpf);
	release_rest();
}

static unsigned long late;

static void free_late(void)
{
	release(late);
}

/* A flush does not cover memory that is freed during the flush. */
static void test_flush_does_not_cover_later_free(void)
{
	unsigned long keep, a, b;

	start();
	keep = alloc_of(EXECMEM_MODULE_TEXT, 64);
	late = alloc_of(EXECMEM_MODULE_TEXT, 64);
	shim.in_flush = free_late;
	EXPECT(flushes_for(EXECMEM_BPF_CLASSIC, 64, &a) == 1);
	EXPECT(flushes_for(EXECMEM_KPROBES, 64, &b) == 1);
	EXPECT(b == late);
	release(keep);
	release(a);
	release(b);
}

static unsigned long nested;

static void flush_again(void)
{
	EXPECT(flushes_for(EXECMEM_KPROBES, 64, &nested) == 1);
}

/* If two flushes overlap, the later one must not decrease flushed_seq. */
static void test_flush_during_flush(void)
{
	unsigned long a, b;

	start();
	shim.in_flush = flush_again;
	EXPECT(flushes_for(EXECMEM_BPF_CLASSIC, 64, &a) == 2);
	EXPECT(!flushes_for(EXECMEM_KPROBES, 64, &b));
	release(a);
	release(b);
	release(nested);
}

/* === Synchronization of CPUs ============================================== */

/* As on x86: programs are in the pool of module text. */
static struct execmem_pool *start_merged(void)
{
	static struct execmem_info info;
	struct execmem_range *r = info.ranges;

	info = (struct execmem_info) {};
	r[EXECMEM_MODULE_TEXT] = shared_range(0, SZ_4M, SZ_64K);
	r[EXECMEM_MODULE_TEXT].sync = hook_sync;
	r[EXECMEM_BPF].flags = EXECMEM_MERGE;
	r[EXECMEM_BPF].mapto = EXECMEM_MODULE_TEXT;
	arch_table = &info;
	EXPECT(kernel_boot());
	return execmem_pool_of(EXECMEM_BPF);
}

/* Allocate, and return how often all CPUs are synchronized for it. */
static unsigned long syncs_for(enum execmem_type type, size_t size,
			       unsigned long *addr)
{
	unsigned long before = shim.syncs;

	*addr = alloc_of(type, size);
	EXPECT(*addr);
	return shim.syncs - before;
}

/*
 * Reproducer: a program got the place of module text, and a CPU might have
 * executed what it had fetched of that text.
 */
static void test_sync_after_module_text(void)
{
	struct execmem_pool *pool = start_merged();
	unsigned long keep, text, a, b;

	keep = alloc_of(EXECMEM_MODULE_TEXT, 64);
	text = alloc_of(EXECMEM_MODULE_TEXT, 64);
	release(text);
	EXPECT(syncs_for(EXECMEM_BPF, 64, &a) == 1);
	EXPECT(a == text && pool->stats.syncs == 1);
	/* All CPUs are synchronized with what was freed until then. */
	EXPECT(!syncs_for(EXECMEM_BPF_CLASSIC, 64, &b));
	release(a);
	release(b);
	EXPECT(!syncs_for(EXECMEM_BPF, 128, &a));
	release(a);
	text = alloc_of(EXECMEM_MODULE_INIT_TEXT, 64);
	release(text);
	EXPECT(syncs_for(EXECMEM_BPF_CLASSIC, 64, &a) == 1);
	EXPECT(pool->stats.syncs == 2);
	release(a);
	release(keep);
}

/* The module loader does so itself, before the text is executed. */
static void test_no_sync_for_module_text(void)
{
	unsigned long keep, text;

	start_merged();
	keep = alloc_of(EXECMEM_MODULE_TEXT, 64);
	text = alloc_of(EXECMEM_MODULE_TEXT, 64);
	release(text);
	EXPECT(!syncs_for(EXECMEM_MODULE_TEXT, 64, &text));
	release(text);
	release(keep);
}

/* Nobody gets memory that rests. */
static void test_no_sync_while_text_rests(void)
{
	struct execmem_pool *pool = start_merged();
	unsigned long keep, text, a, b;

	keep = alloc_of(EXECMEM_MODULE_TEXT, 64);
	text = alloc_of(EXECMEM_MODULE_TEXT, 64);
	execmem_retire((void *)text, "module");
	EXPECT(!syncs_for(EXECMEM_BPF, 64, &a));
	execmem_pool_end_rests(pool, EXECMEM_REST_ALL);
	EXPECT(syncs_for(EXECMEM_BPF, 64, &b) == 1);
	EXPECT(b == text);
	release(a);
	release(b);
	release(keep);
}

/* The synchronization does not cover text that is freed during it. */
static void test_sync_does_not_cover_later_free(void)
{
	unsigned long keep, text, a, b;

	start_merged();
	keep = alloc_of(EXECMEM_MODULE_TEXT, 64);
	text = alloc_of(EXECMEM_MODULE_TEXT, 64);
	late = alloc_of(EXECMEM_MODULE_TEXT, 64);
	release(text);
	shim.in_sync = free_late;
	EXPECT(syncs_for(EXECMEM_BPF, 64, &a) == 1);
	EXPECT(syncs_for(EXECMEM_BPF, 64, &b) == 1);
	EXPECT(b == late);
	release(a);
	release(b);
	release(keep);
}

/* A second allocation must not rely on a synchronization that is not complete. */
static void sync_again(void)
{
	EXPECT(syncs_for(EXECMEM_BPF, 64, &nested) == 1);
}

static void test_sync_during_sync(void)
{
	unsigned long keep, text, a, b;

	start_merged();
	keep = alloc_of(EXECMEM_MODULE_TEXT, 64);
	text = alloc_of(EXECMEM_MODULE_TEXT, 64);
	release(text);
	shim.in_sync = sync_again;
	EXPECT(syncs_for(EXECMEM_BPF, 64, &a) == 2);
	EXPECT(!syncs_for(EXECMEM_BPF, 64, &b));
	release(a);
	release(b);
	release(nested);
	release(keep);
}

/* Without the hook, for example where programs have blocks of their own */
static void test_no_sync_without_hook(void)
{
	unsigned long keep, text, a;

	start_merged();
	arch_table->ranges[EXECMEM_MODULE_TEXT].sync = NULL;
	EXPECT(kernel_boot());
	keep = alloc_of(EXECMEM_MODULE_TEXT, 64);
	text = alloc_of(EXECMEM_MODULE_TEXT, 64);
	release(text);
	EXPECT(!syncs_for(EXECMEM_BPF, 64, &a));
	release(a);
	release(keep);
}

void run_flush_tests(void)
{
	RUN(flush_for_freed_code);
	RUN(flush_for_new_block);
	RUN(flush_for_own_code);
	RUN(flush_for_rest_of_extent);
	RUN(flush_covers_all_pools);
	RUN(flush_after_merge_with_previous);
	RUN(flush_after_merge_with_next);
	RUN(flush_does_not_cover_later_free);
	RUN(flush_during_flush);
	RUN(no_flush_for_clean_memory);
	RUN(no_flush_for_free_elsewhere);
	RUN(no_flush_for_other_types);
	RUN(no_flush_when_disabled);
	RUN(sync_after_module_text);
	RUN(no_sync_for_module_text);
	RUN(no_sync_while_text_rests);
	RUN(sync_does_not_cover_later_free);
	RUN(sync_during_sync);
	RUN(no_sync_without_hook);
}
