// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations, compared with the model.
 */

#include <math.h>

#include "tests.h"

/**
 * struct workload - parameters of a random test
 * @ops: number of operations
 * @check_every: number of operations between two runs of the validator
 * @levels: lowest and highest number of live chunks of each pool
 * @max_size: size of ordinary chunks in bytes, at most
 * @giant: size of rare, large chunks in bytes
 * @faults: let calls fail at random
 * @min_live: least number of live chunks at any time
 */
struct workload {
	unsigned long ops;
	unsigned long check_every;
	struct level {
		unsigned int low;
		unsigned int high;
	} levels[EXECMEM_TYPE_MAX];
	size_t max_size;
	size_t giant;
	bool faults;
	unsigned int min_live;
};

static struct workload *work;
static bool growing[EXECMEM_TYPE_MAX];

static u64 below(u64 ceil)
{
	return random_u64() % ceil;
}

static bool one_in(u64 n)
{
	return !below(n);
}

/* === Selection of pools, sizes and chunks ================================= */

/* Choose a pool, more often if it has more chunks. */
static enum execmem_type random_type(void)
{
	static const enum execmem_type types[] = {
		EXECMEM_BPF, EXECMEM_BPF, EXECMEM_BPF, EXECMEM_BPF, EXECMEM_BPF,
		EXECMEM_BPF_CLASSIC, EXECMEM_BPF_CLASSIC, EXECMEM_MODULE_TEXT,
		EXECMEM_KPROBES, EXECMEM_FTRACE, EXECMEM_MODULE_DATA,
	};

	return types[below(ARRAY_SIZE(types))];
}

/* Half of the chunks are small, a quarter are medium, and a few are large. */
static size_t random_size(void)
{
	u64 kind = below(20000);

	if (!kind)
		return 1 + below(work->giant);
	if (kind < 100)
		return 1 + below(work->max_size * 8);
	if (kind < 5000)
		return 1 + below(work->max_size);
	if (kind < 10000)
		return 1 + below(work->max_size / 4);
	return 1 + below(work->max_size / 16);
}

static struct model_chunk *random_chunk(enum execmem_type type)
{
	struct model_pool *mpool = model_pool_of(type);

	return mpool->nr_live ?
		model_chunk(mpool, below(mpool->nr_live)) : NULL;
}

static unsigned long random_address(void)
{
	static unsigned char foreign[64];

	if (one_in(8))
		return (unsigned long)foreign + below(sizeof(foreign));
	if (one_in(8))
		return random_u64();
	return VMALLOC_START + below(VMALLOC_SIZE);
}

/* === Operations =========================================================== */

static struct model_chunk *try_alloc(enum execmem_type type)
{
	size_t align = one_in(10) ? 1UL << below(15) : 0;

	return model_alloc(type, random_size(), align);
}

static void random_alloc(enum execmem_type type)
{
	try_alloc(type);
}

/* Allocate if there is enough memory. */
static void sure_alloc(enum execmem_type type)
{
	EXPECT(try_alloc(type));
}

/* The same with the alignment of the type, as nearly all requests are */
static void sure_unaligned_alloc(enum execmem_type type)
{
	EXPECT(model_alloc(type, random_size(), 0));
}

static void random_free(enum execmem_type type)
{
	struct model_chunk *chunk = random_chunk(type);

	if (chunk)
		model_free(chunk->start);
}

/* Some chunks belong to modules, whose memory rests. */
static void free_or_retire(enum execmem_type type)
{
	struct model_chunk *chunk = random_chunk(type);

	if (!chunk)
		return;
	if (one_in(4))
		model_retire(chunk->start);
	else
		model_free(chunk->start);
}

static void write_resting(enum execmem_type type)
{
	model_write_resting(model_pool_of(type), below(1000), below(SZ_1M));
}

/* Move the number of chunks between the two levels of the pool. */
static void alloc_or_free(enum execmem_type type)
{
	struct model_pool *mpool = model_pool_of(type);
	int pool = mpool - model.pools;

	if (mpool->nr_live >= work->levels[pool].high)
		growing[pool] = false;
	if (mpool->nr_live <= work->levels[pool].low)
		growing[pool] = true;
	if (one_in(3) != growing[pool])
		random_alloc(type);
	else if (mpool->nr_live > work->levels[pool].low)
		free_or_retire(type);
}

/* Fill after or over the part that is filled already. */
static void random_fill(enum execmem_type type)
{
	struct model_chunk *chunk = random_chunk(type);
	size_t offset;

	if (!chunk)
		return;
	offset = below(chunk->filled + 1);
	(one_in(8) ? model_publish : model_fill)(chunk->start + offset,
						 below(chunk->size - offset + 1));
}

static void random_seal(enum execmem_type type)
{
	struct model_chunk *chunk = random_chunk(type);

	if (chunk)
		model_seal(chunk->start + (one_in(8) ? below(chunk->size) : 0));
}

static void random_lookup(enum execmem_type type)
{
	struct model_chunk *chunk = random_chunk(type);

	if (!chunk || one_in(4))
		model_lookup(random_address());
	else
		model_lookup(chunk->start - 1 + below(chunk->size + 2));
}

static void bad_free(enum execmem_type type)
{
	struct model_chunk *chunk = random_chunk(type);
	u64 kind = below(3);

	if (kind == 0 && chunk)
		model_free(chunk->start + 1 + below(chunk->size - 1));
	else if (kind == 1)
		model_free(model.last_freed);
	else
		model_free(random_address());
}

static void bad_fill(enum execmem_type type)
{
	struct model_chunk *chunk = random_chunk(type);
	size_t offset;

	if (!chunk || one_in(4)) {
		model_fill(random_address(), -1UL - below(SZ_1M));
		return;
	}
	offset = below(chunk->size);
	model_fill(chunk->start + offset, chunk->size - offset + 1 + below(64));
}

static void bad_alloc(enum execmem_type type)
{
	EXPECT(!execmem_alloc(EXECMEM_TYPE_MAX + below(3), random_size()));
	EXPECT(!execmem_alloc(-1 - below(3), random_size()));
	model_alloc(type, 0, 0);
	model_alloc(type, one_in(2) ? -1UL - below(SZ_64K) : VMALLOC_SIZE, 0);
}

/* Free all chunks around one, so that blocks become empty. */
static void free_region(enum execmem_type type)
{
	struct model_pool *mpool = model_pool_of(type);
	struct model_chunk *chunk = random_chunk(type);
	unsigned long start, end;

	if (!chunk)
		return;
	start = round_down(chunk->start, SZ_64K);
	end = start + SZ_64K;
	for (unsigned int i = mpool->nr_live; i--;) {
		chunk = model_chunk(mpool, i);
		if (chunk->start < end && chunk->start + chunk->size > start &&
		    mpool->nr_live > work->levels[mpool - model.pools].low)
			model_free(chunk->start);
	}
}

/* In small pools, compare all maps and chunks. */
static void inspect(enum execmem_type type)
{
	if (!model.exact)
		return;
	model_walk(model_pool_of(type));
	model_draw(model_pool_of(type));
}

static void random_mistake(enum execmem_type type)
{
	u64 kind = below(10);

	if (kind < 4)
		bad_free(type);
	else if (kind < 8)
		bad_fill(type);
	else
		bad_alloc(type);
}

static void fail_soon(struct fault *fault, u64 n)
{
	fault->at = fault->calls + 1 + below(n);
}

static void plan_faults(void)
{
	if (one_in(4))
		fail_soon(&shim.huge, 8);
	if (!work->faults || !one_in(20))
		return;
	fail_soon(&shim.alloc, 16);
	fail_soon(&shim.map, 4);
	fail_soon(&shim.fill, 4);
}

static void random_op(void)
{
	enum execmem_type type = random_type();
	u64 kind = below(1000);

	plan_faults();
	if (kind < 600)
		alloc_or_free(type);
	else if (kind < 780)
		random_fill(type);
	else if (kind < 830)
		random_seal(type);
	else if (kind < 950)
		random_lookup(type);
	else if (kind < 985)
		random_mistake(type);
	else if (kind < 990)
		write_resting(type);
	else if (kind < 997)
		model_pass_time(below(2 * HZ));
	else if (kind < 998)
		model_end_rests(model_pool_of(type));
	else if (kind < 999 && one_in(2))
		model_drain(model_pool_of(type));
	else if (kind < 999)
		model_expire(model_pool_of(type),
			     random_u64() % (2 * EXECMEM_SPARE_TIME));
	else if (one_in(2))
		inspect(type);
	else
		free_region(type);
}

/* === Runs ================================================================= */

/* Add chunks until all pools are at their low levels. */
static void reach_low_levels(void)
{
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++)
		while (!is_merged(i) && !test_failed &&
		       model.pools[i].nr_live < work->levels[i].low)
			sure_alloc(i);
}

static void run_workload(struct workload *workload)
{
	unsigned int least = -1;

	work = workload;
	reach_low_levels();
	for (unsigned long i = 1; i <= work->ops && !test_failed; i++) {
		random_op();
		if (i % work->check_every == 0)
			model_validate();
		least = min(least, model.nr_live);
	}
	EXPECT(least >= work->min_live);
	printf("  %lu operations, validator after each %lu, %u chunks or more\n",
	       work->ops, work->check_every, least);
}

static void finish_workload(void)
{
	if (test_failed)
		return;
	shim.alloc.at = 0;
	shim.map.at = 0;
	model_free_all();
	model_end_all_rests();
	model_validate();
	model_finish();
}

static struct workload small_workload(void)
{
	return (struct workload) {
		.ops = min(options.ops, 300000UL),
		.check_every = 1,
		.levels = {
			[EXECMEM_MODULE_TEXT] = { 0, 60 },
			[EXECMEM_BPF] = { 0, 150 },
			[EXECMEM_FTRACE] = { 0, 80 },
			[EXECMEM_MODULE_DATA] = { 0, 20 },
		},
		.max_size = SZ_8K,
		.giant = SZ_256K,
		.faults = true,
	};
}

static void start_workload(enum scale scale, bool exact)
{
	arch_table = mixed_table(scale);
	EXPECT(kernel_boot());
	model_start(exact);
	execmem_pred_flush_enabled = true;
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++)
		growing[i] = true;
}

/* Predict everything, in small pools that become empty again and again. */
static void test_random_exact(void)
{
	struct workload small = small_workload();

	start_workload(SMALL, true);
	run_workload(&small);
	finish_workload();
}

/* The same with execmem=guard */
static void test_random_guard(void)
{
	struct workload small = small_workload();

	small.ops = min(options.ops / 10, 30000UL);
	EXPECT(!param_parse_execmem("guard"));
	start_workload(SMALL, true);
	run_workload(&small);
	finish_workload();
}

static struct workload large_workload(void)
{
	return (struct workload) {
		.levels = {
			[EXECMEM_MODULE_TEXT] = { 100, 1500 },
			[EXECMEM_BPF] = { 9700, 14000 },
			[EXECMEM_FTRACE] = { 100, 400 },
			[EXECMEM_MODULE_DATA] = { 100, 300 },
		},
		.max_size = SZ_4K,
		.giant = 5 * SZ_1M,
		.min_live = 10000,
	};
}

static void run_large(unsigned long ops, unsigned long check_every)
{
	struct workload large = large_workload();

	large.ops = ops;
	large.check_every = check_every;
	/*
	 * Only as many chunks as required, since each operation checks all of
	 * them
	 */
	if (check_every == 1)
		large.levels[EXECMEM_BPF].high = 10500;
	start_workload(LARGE, false);
	run_workload(&large);
	finish_workload();
}

static void test_random_checked_always(void)
{
	run_large(options.ops / 100, 1);
}

static void test_random_checked_sometimes(void)
{
	run_large(options.ops, 1000);
}

/* === Cost ================================================================= */

/*
 * An operation may visit this many nodes if at least MANY_CHUNKS chunks are live. An
 * allocation with a larger alignment than the type's is not measured: it may visit
 * more, because it also visits chunks that start at the wrong address.
 */
#define MANY_CHUNKS	100000
#define MAX_VISITS	((unsigned long)(2 * log2(MANY_CHUNKS) + 4))

/* Start with more chunks, so that blocks can be emptied. */
#define MORE_CHUNKS	(MANY_CHUNKS + 25000)

/* Largest number of nodes that each operation visited */
struct visits {
	unsigned long alloc;
	unsigned long fill;
	unsigned long free;
	unsigned long lookup;
};

static void count(unsigned long *most)
{
	EXPECT(model.nr_live >= MANY_CHUNKS);
	EXPECT(model.max_visits <= MAX_VISITS);
	*most = max(*most, model.max_visits);
	model.max_visits = 0;
}

static void measure(void (*op)(enum execmem_type), unsigned long *most)
{
	model.max_visits = 0;
	op(one_in(8) ? EXECMEM_MODULE_TEXT : EXECMEM_BPF);
	count(most);
}

/*
 * Empty two blocks, so that at least one of them is given back.
 *
 * Reproducer: in that case, a free descended the tree twice, since it searched
 * for a chunk that it already had.
 */
static void empty_blocks(struct visits *most)
{
	struct model_pool *mpool = model_pool_of(EXECMEM_BPF);
	unsigned long start = random_chunk(EXECMEM_BPF)->start;
	struct model_chunk *chunk;

	start = round_down(start, SZ_2M);
	for (unsigned int i = mpool->nr_live; i-- && !test_failed;) {
		chunk = model_chunk(mpool, i);
		if (chunk->start < start || chunk->start >= start + 2 * SZ_2M)
			continue;
		if (model.nr_live == MANY_CHUNKS)
			return;
		model_free(chunk->start);
		count(&most->free);
	}
}

static void fill_up(unsigned int nr, struct visits *most)
{
	while (model.nr_live < nr && !test_failed)
		sure_alloc(one_in(8) ? EXECMEM_MODULE_TEXT : EXECMEM_BPF);
	while (model.nr_live < MORE_CHUNKS && !test_failed)
		measure(sure_unaligned_alloc, &most->alloc);
}

static void test_visits(void)
{
	unsigned long ops = min(options.ops / 10, 200000UL);
	struct workload many = { .max_size = SZ_1K, .giant = SZ_64K };
	struct visits most = {};

	work = &many;
	start_workload(LARGE, false);
	fill_up(MANY_CHUNKS, &most);
	for (unsigned long i = 0; i < ops && !test_failed; i++) {
		measure(random_free, &most.free);
		measure(sure_unaligned_alloc, &most.alloc);
		measure(random_fill, &most.fill);
		measure(random_lookup, &most.lookup);
	}
	for (int i = 0; i < 10 && !test_failed; i++) {
		empty_blocks(&most);
		fill_up(MANY_CHUNKS, &most);
	}
	EXPECT(model_pool_of(EXECMEM_BPF)->stats.shrunk);
	printf("  at most %lu nodes for alloc, %lu fill, %lu free, %lu lookup; allowed %lu\n",
	       most.alloc, most.fill, most.free, most.lookup,
	       MAX_VISITS);
	model_validate();
	finish_workload();
}

void run_random_tests(void)
{
	/*
	 * This runs first, while the memory of malloc() is not scattered. After
	 * the other tests, it takes twice as long.
	 */
	RUN(random_checked_always);
	RUN(random_exact);
	RUN(random_guard);
	RUN(visits);
	RUN(random_checked_sometimes);
}
