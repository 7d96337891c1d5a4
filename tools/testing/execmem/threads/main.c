// SPDX-License-Identifier: GPL-2.0
/*
 * The allocator in several threads at once, under ThreadSanitizer.
 *
 * The threads allocate, fill, seal, look up and free at random, hand
 * allocations to each other, make pools grow and shrink, give back spares, read
 * statistics and run the validator. Every now and then, all of them rest at a
 * barrier. There, the invariants are verified, the counters are compared with
 * what the threads own, and each lookup is judged: what it found must have been
 * an allocation at some time since the last rest.
 */

#include <time.h>
#include <unistd.h>

#include "../tables.h"

#define NR_WORKERS	3
#define NR_READERS	2
#define NR_THREADS	(NR_WORKERS + NR_READERS)
#define NR_RECENT	16
#define MAX_PIECES	48
#define MAX_INBOX	8
#define MAX_OPS		4000
#define MAX_FILL	SZ_4K
/* Smallest unit of all pools */
#define UNIT		64

/* === Threads and what they own ============================================ */

/**
 * struct piece - an allocation
 * @start: what the allocator returned
 * @size: size in bytes, as it was asked for
 * @type: type that was asked for
 * @filled: number of bytes from the start that were filled with @byte
 * @byte: the contents
 * @sealed: true after execmem_seal()
 * @from: number of a store, see weak.h, before it was allocated
 */
struct piece {
	unsigned long start;
	size_t size;
	enum execmem_type type;
	size_t filled;
	unsigned char byte;
	bool sealed;
	u64 from;
};

/**
 * struct period - an area at a time
 * @start: first address
 * @size: size in bytes
 * @from: number of the first store, see weak.h
 * @to: number of the last store
 */
struct period {
	unsigned long start;
	size_t size;
	u64 from;
	u64 to;
};

/**
 * struct log - where something was, and when
 * @nr: number of entries
 * @periods: the entries
 */
struct log {
	unsigned int nr;
	struct period periods[MAX_OPS + NR_WORKERS * (MAX_PIECES + MAX_INBOX)];
};

/**
 * struct worker - a thread
 * @thread: the thread
 * @index: its number
 * @pieces: what it owns
 * @nr_pieces: number of these
 * @target: number of pieces that it tends to own, which changes
 * @inbox_lock: protects @inbox and @nr_inbox
 * @inbox: pieces that another thread gave away
 * @nr_inbox: number of these
 * @shown: a piece that this thread does not free before the next rest. It is
 *	written at most once between two rests, before it is published.
 * @lives: when allocations lived that it freed since the last rest
 * @found: what its lookups found since the last rest, and in which time
 * @lookups: number of its lookups that had to find something
 * @taken: number of pieces that it got from others
 * @objects: its part of the number of allocated structures
 * @failed: an expectation of this thread was not met
 */
struct worker {
	pthread_t thread;
	unsigned int index;
	struct piece pieces[MAX_PIECES];
	unsigned int nr_pieces;
	unsigned int target;
	spinlock_t inbox_lock;
	struct piece inbox[MAX_INBOX];
	unsigned int nr_inbox;
	struct piece shown;
	struct log lives;
	struct log found;
	unsigned long lookups;
	unsigned long taken;
	unsigned long objects;
	bool failed;
};

/* The last ones only look up, so they see little of the order of events. */
static struct worker workers[NR_THREADS];
static pthread_barrier_t barrier;
static unsigned long nr_rounds = 300;
static unsigned long nr_ops = 1000;
static unsigned long seed = 1;
static bool stop_early;

/* Pieces that others may look up, and addresses that were used recently */
static struct piece *published[NR_WORKERS];
static unsigned long recent[NR_RECENT];

static unsigned int below(unsigned int limit)
{
	return (random_u64() >> 32) * limit >> 32;
}

static const enum execmem_type types[] = {
	EXECMEM_MODULE_TEXT, EXECMEM_MODULE_TEXT, EXECMEM_KPROBES,
	EXECMEM_BPF, EXECMEM_BPF, EXECMEM_FTRACE, EXECMEM_MODULE_DATA,
};

static size_t rounded(struct piece *piece)
{
	return round_up(piece->size, execmem_unit(execmem_pool_of(piece->type)));
}

static void add(struct log *log, unsigned long start, size_t size, u64 from,
		u64 to)
{
	log->periods[log->nr++] = (struct period) { start, size, from, to };
}

static void remember(unsigned long addr)
{
	WRITE_ONCE(recent[below(NR_RECENT)], addr);
}

/* === Operations =========================================================== */

/* Mostly small ones, so that much happens in one word of a bitmap. */
static size_t random_size(void)
{
	switch (below(32)) {
	case 0:
		return 1 + below(SZ_32K);
	case 1 ... 4:
		return 1 + below(SZ_4K);
	}
	return 1 + below(8 * UNIT);
}

static void do_alloc(struct worker *worker)
{
	struct piece piece = {
		.size = random_size(),
		.type = types[below(ARRAY_SIZE(types))],
		.byte = 1 + below(100),
		.from = weak_newest(),
	};

	if (worker->nr_pieces == MAX_PIECES)
		return;
	/* Now and then, an allocation of a structure or a mapping fails. */
	if (!below(32))
		shim.alloc.at = shim.alloc.calls + 1 + below(4);
	if (!below(32))
		shim.map.at = shim.map.calls + 1 + below(2);
	piece.start = (unsigned long)execmem_alloc(piece.type, piece.size);
	EXPECT(piece.start || shim.alloc.hits || shim.map.hits);
	shim.alloc = (struct fault) {};
	shim.map = (struct fault) {};
	if (!piece.start)
		return;

	remember(piece.start);
	worker->pieces[worker->nr_pieces++] = piece;
}

static void do_fill(struct piece *piece)
{
	unsigned char buffer[MAX_FILL];
	size_t len = 1 + below(min_t(size_t, piece->size, MAX_FILL));

	if (piece->sealed)
		return;
	memset(buffer, piece->byte, len);
	EXPECT(!execmem_fill((void *)piece->start, buffer, len));
	piece->filled = max(piece->filled, len);
}

static void do_seal(struct piece *piece)
{
	EXPECT(!execmem_seal((void *)piece->start));
	piece->sealed = true;
}

static void do_free(struct worker *worker, struct piece *piece)
{
	EXPECT(backing_is(piece->start, piece->filled, piece->byte));
	remember(piece->start);
	execmem_free((void *)piece->start);
	add(&worker->lives, piece->start, rounded(piece), piece->from,
	    weak_newest());
	*piece = worker->pieces[--worker->nr_pieces];
}

/* The piece does not change, so any thread has to find it. */
static void look_for(struct worker *worker, struct piece *piece)
{
	unsigned long addr = piece->start + below(piece->size);
	struct execmem_area area;

	worker->lookups++;
	if (!EXPECT(execmem_lookup(addr, &area)))
		return;
	EXPECT(area.start == piece->start && area.size == rounded(piece));
}

static void look_for_published(struct worker *worker)
{
	struct piece *piece = smp_load_acquire(&published[below(NR_WORKERS)]);

	if (piece)
		look_for(worker, piece);
}

/* Whatever is there may be freed or allocated at this moment. */
static void look_around(struct worker *worker)
{
	unsigned long addr = READ_ONCE(recent[below(NR_RECENT)]);
	u64 from = weak_oldest();
	struct execmem_area area;

	if (!addr)
		return;
	addr += below(8 * UNIT);
	if (!execmem_lookup(addr, &area))
		return;
	EXPECT(addr >= area.start && addr - area.start < area.size);
	add(&worker->found, area.start, area.size, from, weak_newest());
}

/* Show a piece to the others, once between two rests. */
static void do_publish(struct worker *worker)
{
	if (worker->shown.start || !worker->nr_pieces)
		return;
	worker->shown = worker->pieces[--worker->nr_pieces];
	smp_store_release(&published[worker->index], &worker->shown);
}

static void do_give(struct worker *worker)
{
	struct worker *other = &workers[below(NR_WORKERS)];

	spin_lock(&other->inbox_lock);
	if (worker->nr_pieces && other->nr_inbox < MAX_INBOX)
		other->inbox[other->nr_inbox++] =
			worker->pieces[--worker->nr_pieces];
	spin_unlock(&other->inbox_lock);
}

static void do_take(struct worker *worker)
{
	spin_lock(&worker->inbox_lock);
	if (worker->nr_inbox && worker->nr_pieces < MAX_PIECES) {
		worker->pieces[worker->nr_pieces++] =
			worker->inbox[--worker->nr_inbox];
		worker->taken++;
	}
	spin_unlock(&worker->inbox_lock);
}

/* What the shrinker and debugfs do */
static void do_watch(void)
{
	struct execmem_pool *pool = execmem_pool_of(types[below(ARRAY_SIZE(types))]);
	struct execmem_chunk chunk = {};
	struct execmem_map map = {};
	int steps = 3;

	switch (below(8)) {
	case 0:
		execmem_pool_drain(pool);
		break;
	case 1:
		EXPECT(!execmem_pool_check(pool));
		break;
	case 2:
		execmem_pool_largest_free(pool);
		break;
	case 3:
		while (steps-- && execmem_pool_next(pool, chunk.start + chunk.size,
						    &chunk))
			EXPECT(chunk.state != EXECMEM_FREE);
		break;
	case 4:
		while (steps-- && execmem_pool_map(pool, map.start + map.size,
						   &map))
			EXPECT(map.nr_used <= map.nr_units);
		break;
	}
}

/* A reader is slow, so that much happens since it saw the latest store. */
static void do_look(struct worker *worker)
{
	if (!below(4))
		usleep(below(40));
	if (below(4))
		look_around(worker);
	else
		look_for_published(worker);
}

static void do_something(struct worker *worker)
{
	struct piece *piece = worker->nr_pieces ?
		&worker->pieces[below(worker->nr_pieces)] : NULL;
	bool grow = worker->nr_pieces < worker->target;

	switch (below(16)) {
	case 0 ... 3:
		if (grow || !piece)
			do_alloc(worker);
		else
			do_free(worker, piece);
		break;
	case 4:
		if (piece)
			do_fill(piece);
		break;
	case 5:
		if (piece && !below(2))
			do_seal(piece);
		break;
	case 6:
		if (piece)
			look_for(worker, piece);
		break;
	case 7:
		look_for_published(worker);
		break;
	case 8:
		do_watch();
		break;
	case 9:
		if (below(2))
			do_give(worker);
		else
			do_take(worker);
		break;
	case 10:
		do_publish(worker);
		break;
	default:
		look_around(worker);
	}
	if (!below(100))
		worker->target = below(MAX_PIECES);
}

/* === While all threads rest =============================================== */

static bool lived(struct period *found, struct log *lives)
{
	for (unsigned int i = 0; i < lives->nr; i++) {
		struct period *life = &lives->periods[i];

		if (found->start == life->start && found->size == life->size &&
		    found->from <= life->to && found->to >= life->from)
			return true;
	}
	return false;
}

/* What a lookup found must have lived at some time during the lookup. */
static void judge(struct period *found)
{
	for (int i = 0; i < NR_WORKERS; i++)
		if (lived(found, &workers[i].lives))
			return;
	EXPECT(!"a lookup found an area that never existed");
}

static void reset_logs(struct worker *worker)
{
	worker->lives.nr = 0;
	worker->found.nr = 0;
}

static void judge_all(void)
{
	for (int i = 0; i < NR_THREADS; i++)
		for (unsigned int j = 0; j < workers[i].found.nr; j++)
			judge(&workers[i].found.periods[j]);
	for (int i = 0; i < NR_THREADS; i++)
		reset_logs(&workers[i]);
}

/* Count a piece for its pool. It lives. */
static void count_piece(struct piece *piece, struct worker *worker, size_t *used,
			unsigned long *nr)
{
	enum execmem_type type = execmem_pool_of(piece->type)->type;

	EXPECT(backing_is(piece->start, piece->filled, piece->byte));
	used[type] += rounded(piece);
	nr[type]++;
	add(&worker->lives, piece->start, rounded(piece), piece->from, ~0ULL);
}

/* Compare the counters of the pools with what the threads own. */
static void compare_counters(void)
{
	size_t used[EXECMEM_TYPE_MAX] = {};
	unsigned long nr[EXECMEM_TYPE_MAX] = {};

	for (int i = 0; i < NR_WORKERS; i++) {
		struct worker *worker = &workers[i];

		for (unsigned int j = 0; j < worker->nr_pieces; j++)
			count_piece(&worker->pieces[j], worker, used, nr);
		for (unsigned int j = 0; j < worker->nr_inbox; j++)
			count_piece(&worker->inbox[j], worker, used, nr);
		if (worker->shown.start)
			count_piece(&worker->shown, worker, used, nr);
	}
	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct execmem_pool *pool = execmem_own_pool(type);

		if (!pool)
			continue;
		EXPECT(!execmem_pool_check(pool));
		EXPECT(pool->used == used[type]);
		EXPECT(pool->nr_chunks == nr[type]);
		EXPECT(pool->stats.allocs - pool->stats.frees == nr[type]);
	}
}

/* Take back what was published, so that it can be freed in the next round. */
static void unpublish(void)
{
	for (int i = 0; i < NR_WORKERS; i++) {
		struct worker *worker = &workers[i];

		WRITE_ONCE(published[i], NULL);
		if (worker->shown.start && worker->nr_pieces < MAX_PIECES) {
			worker->pieces[worker->nr_pieces++] = worker->shown;
			worker->shown = (struct piece) {};
		}
	}
}

static void rest(void)
{
	end_grace_period();
	compare_counters();
	judge_all();
	if (stop_early && test_failed)
		exit(1);
	unpublish();
}

/* All threads have ended. */
static void free_all(void)
{
	for (int i = 0; i < NR_WORKERS; i++) {
		struct worker *worker = &workers[i];

		while (worker->nr_pieces)
			do_free(worker, worker->pieces);
		while (worker->nr_inbox)
			execmem_free((void *)worker->inbox[--worker->nr_inbox].start);
		execmem_free((void *)worker->shown.start);
	}
	for (int type = 0; type < EXECMEM_TYPE_MAX; type++)
		if (execmem_own_pool(type))
			execmem_pool_drain(execmem_own_pool(type));
	end_grace_period();
}

/* === The threads ========================================================== */

static void *run(void *arg)
{
	struct worker *worker = arg;

	random_seed(seed * NR_THREADS + worker->index);
	weak_start_thread(worker->index, seed);
	for (unsigned long round = 0; round < nr_rounds; round++) {
		for (unsigned long i = 0; i < nr_ops; i++)
			if (worker->index < NR_WORKERS)
				do_something(worker);
			else
				do_look(worker);
		weak_mb();
		pthread_barrier_wait(&barrier);
		if (!worker->index)
			rest();
		weak_mb();
		pthread_barrier_wait(&barrier);
		weak_mb();
	}
	weak_end_thread();
	worker->objects = shim.objects;
	worker->failed = test_failed || shim.warnings || shim.reports;
	return NULL;
}

static void parse_options(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "s:r:o:x")) != -1) {
		if (opt == 's')
			seed = strtoul(optarg, NULL, 0);
		else if (opt == 'r')
			nr_rounds = strtoul(optarg, NULL, 0);
		else if (opt == 'o')
			nr_ops = strtoul(optarg, NULL, 0);
		else if (opt == 'x')
			stop_early = true;
		else
			exit(2);
	}
	if (nr_ops > MAX_OPS)
		exit(2);
}

/* A run in which nothing happened proves nothing. */
static void expect_events(void)
{
	struct execmem_pool *pool = execmem_pool_of(EXECMEM_MODULE_TEXT);
	unsigned long lookups = 0, taken = 0;

	for (int i = 0; i < NR_THREADS; i++) {
		lookups += workers[i].lookups;
		taken += workers[i].taken;
	}
	printf("%lu lookups, %lu handed over, %lu allocations, %lu fills\n",
	       lookups, taken, pool->stats.allocs, pool->stats.fills);
	printf("%lu blocks added, %lu given back\n", pool->stats.grown,
	       pool->stats.shrunk);
	EXPECT(lookups > nr_rounds && taken > nr_rounds);
	EXPECT(pool->stats.fills > nr_rounds && pool->stats.shrunk);
	EXPECT(pool->stats.pred_flushes && pool->stats.grown > 2);
}

int main(int argc, char **argv)
{
	unsigned long objects = 0;
	bool failed = false;
	time_t start = time(NULL);

	parse_options(argc, argv);
	setlinebuf(stdout);
	backing_start();
	arch_table = mixed_table(SMALL);
	kernel_reset();
	if (!EXPECT(kernel_boot()))
		return 1;
	execmem_pred_flush_enabled = true;
	pthread_barrier_init(&barrier, NULL, NR_THREADS);
	for (int i = 0; i < NR_THREADS; i++) {
		workers[i].index = i;
		spin_lock_init(&workers[i].inbox_lock);
	}
	for (int i = 0; i < NR_THREADS; i++)
		pthread_create(&workers[i].thread, NULL, run, &workers[i]);
	for (int i = 0; i < NR_THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		objects += workers[i].objects;
		failed |= workers[i].failed;
	}
	expect_events();
	free_all();
	EXPECT(!(objects + shim.objects) && !backing_pages());
	EXPECT(!kernel_has_blocks());
	failed |= test_failed;
	printf("%s threads: seed %lu, %d threads, %lu rounds of %lu operations (%lu s)\n",
	       failed ? "FAIL" : "ok  ", seed, NR_THREADS, nr_rounds, nr_ops,
	       (unsigned long)(time(NULL) - start));
	return failed;
}
