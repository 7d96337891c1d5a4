// SPDX-License-Identifier: GPL-2.0
/*
 * Classic BPF programs get memory that needs no flush of the branch predictors:
 * compared with the allocator of 6.12, on the same operations.
 */

#include "tests.h"

#define PACK	SZ_2M
#define UNIT	64
#define UNITS	(PACK / UNIT)

/* === The allocator of 6.12 for programs =================================== */

#define MAX_PACKS	16

/**
 * struct pack - 2 MB of memory for programs
 * @used: for each unit, whether it is in use
 * @nr_used: number of units in use
 * @dirty: a classic program must not use it without a flush
 */
struct pack {
	bool used[UNITS];
	unsigned int nr_used;
	bool dirty;
};

static struct pack packs[MAX_PACKS];
static unsigned int nr_packs;
static unsigned int pack_flushes;

/* The lowest @nr free units in a row, or UNITS */
static unsigned int find_room(struct pack *pack, unsigned int nr)
{
	unsigned int run = 0;

	for (unsigned int i = 0; i < UNITS; i++) {
		run = pack->used[i] ? 0 : run + 1;
		if (run == nr)
			return i + 1 - nr;
	}
	return UNITS;
}

/*
 * Classic programs prefer packs that are clean, others those that are dirty;
 * both the oldest one with room.
 */
static unsigned long pack_alloc(size_t size, bool classic)
{
	unsigned int nr = DIV_ROUND_UP(size, UNIT), chosen = nr_packs, i;

	for (i = 0; i < nr_packs; i++) {
		if (find_room(&packs[i], nr) == UNITS)
			continue;
		if (classic != packs[i].dirty) {
			chosen = i;
			break;
		}
		chosen = min(chosen, i);
	}
	if (chosen == nr_packs) {
		if (nr_packs == MAX_PACKS)
			abort();
		memset(&packs[nr_packs], 0, sizeof(*packs));
		packs[nr_packs++].dirty = true;
	}
	if (classic && packs[chosen].dirty) {
		pack_flushes++;
		for (i = 0; i < nr_packs; i++)
			packs[i].dirty = false;
	}
	i = find_room(&packs[chosen], nr);
	memset(packs[chosen].used + i, true, nr);
	packs[chosen].nr_used += nr;
	return chosen * PACK + i * UNIT;
}

/* A pack that becomes empty stays here, as the last one does there. */
static void pack_free(unsigned long addr, size_t size)
{
	unsigned int nr = DIV_ROUND_UP(size, UNIT);
	struct pack *pack = &packs[addr / PACK];

	memset(pack->used + addr % PACK / UNIT, false, nr);
	pack->nr_used -= nr;
	pack->dirty = true;
}

/* === The same operations for both ========================================= */

#define NR_LIVE	8192

static struct {
	unsigned long old;
	void *new;
	size_t size;
} live[NR_LIVE];
static unsigned int nr_live;

/* Sizes like those of programs */
static size_t random_size(void)
{
	return 128 + random_u64() % 1024 + (random_u64() % 10 ? 0 : 4096);
}

static void load(bool classic)
{
	size_t size = random_size();

	live[nr_live].size = size;
	live[nr_live].old = pack_alloc(size, classic);
	live[nr_live++].new = execmem_alloc(classic ? EXECMEM_BPF_CLASSIC :
						      EXECMEM_BPF, size);
}

static void unload(unsigned int i)
{
	pack_free(live[i].old, live[i].size);
	execmem_free(live[i].new);
	live[i] = live[--nr_live];
}

static void start(size_t size)
{
	size_t used = 0;

	shim.ram = 1UL << 40;
	arch_table = mixed_table(LARGE);
	EXPECT(kernel_boot());
	execmem_pred_flush_enabled = true;
	memset(packs, 0, sizeof(packs));
	nr_packs = 0;
	pack_flushes = 0;
	nr_live = 0;
	while (used < size) {
		load(false);
		used += live[nr_live - 1].size;
	}
	/* After this, nothing is dirty. */
	load(true);
	pack_flushes = 0;
	shim.flushes = 0;
}

static void compare(const char *what)
{
	printf("  %-44s %5u flushes in 6.12, %4lu now\n", what, pack_flushes,
	       shim.flushes);
	EXPECT(!execmem_pool_check(execmem_pool_of(EXECMEM_BPF)));
	while (nr_live)
		unload(nr_live - 1);
	execmem_pool_drain(execmem_pool_of(EXECMEM_BPF));
}

/* In each of many steps, a program goes and one in @often is a classic one. */
static void replace(unsigned int steps, unsigned int often)
{
	while (steps--) {
		unload(random_u64() % nr_live);
		load(!(random_u64() % often));
	}
}

/* Programs that fill two packs; there is room that nobody used. */
static void test_clean_room_in_two_packs(void)
{
	start(3 * PACK / 2);
	replace(2000, 8);
	EXPECT(shim.flushes < pack_flushes);
	compare("one and a half packs, 1 of 8 is classic");

	start(7 * PACK / 4);
	replace(2000, 2);
	EXPECT(shim.flushes < pack_flushes);
	compare("almost two packs, 1 of 2 is classic");

	start(7 * PACK / 4);
	replace(2000, 64);
	EXPECT(shim.flushes <= pack_flushes);
	compare("almost two packs, 1 of 64 is classic");
}

/* The lowest hole is dirty, and there is clean room above: no flush. */
static void test_clean_room_is_preferred(void)
{
	void *a, *b;

	start(UNIT);
	a = execmem_alloc(EXECMEM_BPF, UNIT);
	b = execmem_alloc(EXECMEM_BPF, UNIT);
	execmem_free(a);
	EXPECT(!shim.flushes);
	a = execmem_alloc(EXECMEM_BPF_CLASSIC, UNIT);
	EXPECT(a > b && !shim.flushes);
	execmem_free(a);
	execmem_free(b);
	compare("a dirty hole below clean room");
}

/* If all is dirty, one flush cleans all of it. */
static void test_dirty_room_is_used(void)
{
	void *a, *b, *c;

	start(UNIT);
	a = execmem_alloc(EXECMEM_BPF, UNIT);
	b = execmem_alloc(EXECMEM_BPF,
			  execmem_pool_largest_free(execmem_pool_of(EXECMEM_BPF)));
	c = execmem_alloc(EXECMEM_BPF,
			  execmem_pool_largest_free(execmem_pool_of(EXECMEM_BPF)));
	execmem_free(a);
	execmem_free(b);
	b = execmem_alloc(EXECMEM_BPF_CLASSIC, UNIT);
	EXPECT(shim.flushes == 1);
	a = execmem_alloc(EXECMEM_BPF_CLASSIC, UNIT);
	EXPECT(shim.flushes == 1);
	execmem_free(a);
	execmem_free(b);
	execmem_free(c);
	compare("all is dirty");
}

void run_clean_tests(void)
{
	RUN(clean_room_in_two_packs);
	RUN(clean_room_is_preferred);
	RUN(dirty_room_is_used);
}
