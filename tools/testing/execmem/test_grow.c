// SPDX-License-Identifier: GPL-2.0
/*
 * How pools grow: how much memory they take, where it is, and what happens when
 * memory, huge pages or addresses are missing.
 */

#include "tests.h"

#define BLOCK	SZ_2M
#define FIRST	(BLOCK / 32)
#define NR	4096

static struct execmem_pool *pool;
static unsigned long live[NR];
static unsigned int nr_live;

/* Boot a machine with blocks of 2 MB. */
static void start(unsigned long ram)
{
	shim.ram = ram;
	arch_table = mixed_table(LARGE);
	EXPECT(kernel_boot());
	pool = execmem_pool_of(EXECMEM_MODULE_TEXT);
	nr_live = 0;
}

static bool take(size_t size)
{
	void *ptr = execmem_alloc(EXECMEM_MODULE_TEXT, size);

	if (ptr)
		live[nr_live++] = (unsigned long)ptr;
	return ptr;
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
	execmem_pool_drain(pool);
	EXPECT(!pool->nr_blocks && !pool->reserved && !pool->reserved_base);
	EXPECT(!execmem_pool_check(pool));
}

/* Take chunks until @size bytes are in use. */
static void use(size_t size)
{
	while (pool->used < size && EXPECT(take(PAGE_SIZE)))
		;
	EXPECT(!execmem_pool_check(pool));
}

static void fail_huge(bool fail)
{
	shim.huge.at = fail ? shim.huge.calls + 1 : 0;
	shim.huge.from_then_on = true;
}

/* === How much ============================================================= */

/* A block starts small, doubles in place, and then huge pages follow. */
static void test_grow_in_place(void)
{
	start(SZ_1G);
	use(PAGE_SIZE);
	EXPECT(pool->reserved == FIRST && pool->stats.blocks[EXECMEM_SMALL_START] == 1);
	use(FIRST);
	EXPECT(pool->reserved == FIRST);
	use(FIRST + PAGE_SIZE);
	EXPECT(pool->reserved == 2 * FIRST);
	use(4 * FIRST);
	EXPECT(pool->reserved == 4 * FIRST && pool->stats.enlarged == 2);
	EXPECT(pool->nr_blocks == 1 && !pool->nr_huge);
	EXPECT(pool->reserved_base == 4 * FIRST);
	/* The pool has an eighth of a block. */
	use(4 * FIRST + PAGE_SIZE);
	EXPECT(pool->reserved == 4 * FIRST + BLOCK && pool->nr_huge == 1);
	EXPECT(pool->stats.enlarged == 2);
	give_all();
}

/* A chunk may lie across the end of what was mapped first. */
static void test_grow_across(void)
{
	unsigned long a, b;

	start(SZ_1G);
	a = alloc_text(FIRST - 128);
	b = alloc_text(FIRST);
	EXPECT(b == a + FIRST - 128);
	EXPECT(backing_is(b, FIRST, TRAP_BYTE));
	EXPECT(!execmem_fill((void *)b, (void *)a, FIRST - 128));
	EXPECT(pool->nr_blocks == 1 && pool->reserved == 2 * FIRST);
	release(a);
	release(b);
	EXPECT(!pool->nr_blocks);
}

/* The rest of the addresses is used up to its end, not beyond. */
static void test_grow_to_the_end(void)
{
	unsigned long a, b, c;

	start(SZ_1G);
	fail_huge(true);
	a = alloc_text(BLOCK / 2);
	b = alloc_text(BLOCK / 2);
	EXPECT(pool->nr_blocks == 1 && pool->reserved == BLOCK);
	c = alloc_text(64);
	EXPECT(pool->nr_blocks == 2 && pool->reserved == BLOCK + FIRST);
	release(a);
	release(b);
	release(c);
}

/* What many small modules take, in @reserved bytes; returns the used ones */
static size_t load_modules(size_t *reserved)
{
	size_t used = 0;

	*reserved = 0;
	for (int i = 0; i < 25; i++) {
		alloc_of(EXECMEM_MODULE_TEXT, 600);
		alloc_of(EXECMEM_BPF, 3000);
	}
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++) {
		struct execmem_pool *p = execmem_own_pool(i);

		*reserved += p ? p->reserved : 0;
		used += p ? p->used : 0;
	}
	return used;
}

static void free_pool(struct execmem_pool *p)
{
	struct execmem_chunk copy;

	while (execmem_pool_next(p, 0, &copy))
		execmem_free((void *)copy.start);
	execmem_pool_drain(p);
}

/* How much is taken before it is used follows the machine's memory. */
static void test_grow_by_share_of_memory(void)
{
	static const struct {
		unsigned long ram;
		unsigned int huge;
	} machines[] = {
		{ SZ_512M, 0 }, { SZ_1G, 0 }, { 2UL * SZ_1G, 1 },
		{ 4UL * SZ_1G, 1 }, { 8UL * SZ_1G, 2 }, { 64UL * SZ_1G, 2 },
	};
	size_t used, reserved;

	for (int i = 0; i < ARRAY_SIZE(machines); i++) {
		world_end();
		world_start(1 + i);
		start(machines[i].ram);
		used = load_modules(&reserved);
		printf("  %5lu MB: %zu kB reserved for %zu kB\n",
		       machines[i].ram >> 20, reserved >> 10, used >> 10);
		EXPECT(reserved / BLOCK == machines[i].huge);
		EXPECT(reserved % BLOCK <= 4 * FIRST);
		free_pool(pool);
		free_pool(execmem_pool_of(EXECMEM_BPF));
	}
}

/* A type that is sealed page by page, in blocks of 128 kB at first */
static void start_sealed(void)
{
	struct execmem_range *range;

	arch_table = mixed_table(SMALL);
	range = &arch_table->ranges[EXECMEM_MODULE_RO_AFTER_INIT];
	*range = arch_table->ranges[EXECMEM_MODULE_TEXT];
	range->start = arch_table->ranges[EXECMEM_BPF].end + SZ_64M;
	range->end = range->start + SZ_64M;
	range->alignment = PAGE_SIZE;
	range->granularity = SZ_128K;
	range->flags = 0;
	range->fill = NULL;
	range->seal = hook_seal;
	EXPECT(kernel_boot());
	pool = execmem_pool_of(EXECMEM_MODULE_RO_AFTER_INIT);
	nr_live = 0;
}

static void seal(size_t size)
{
	while (pool->used < size) {
		void *ptr = execmem_alloc(EXECMEM_MODULE_RO_AFTER_INIT, PAGE_SIZE);

		if (!EXPECT(ptr && !execmem_seal(ptr)))
			return;
		live[nr_live++] = (unsigned long)ptr;
	}
	EXPECT(!execmem_pool_check(pool));
}

/* Few blocks for many sealed pages, since each splits a huge page. */
static void test_grow_sealed(void)
{
	start_sealed();
	seal(PAGE_SIZE);
	EXPECT(pool->nr_blocks == 1 && pool->reserved == SZ_128K);
	seal(SZ_128K + PAGE_SIZE);
	EXPECT(pool->nr_blocks == 2 && pool->reserved == SZ_128K + SZ_512K);
	seal(160 * PAGE_SIZE);
	EXPECT(pool->nr_blocks == 2);
	seal(161 * PAGE_SIZE);
	EXPECT(pool->reserved == SZ_128K + SZ_512K + SZ_1M);
	seal(SZ_2M);
	EXPECT(pool->reserved == SZ_128K + SZ_512K + 2 * SZ_1M);
	EXPECT(!execmem_fallbacks(&pool->stats));
	give_all();
}

/* An empty block can be the spare if the others are as large: the fourth one. */
static void test_sealed_spare(void)
{
	unsigned long grown;

	start_sealed();
	seal(160 * PAGE_SIZE + SZ_1M);
	seal(pool->used + PAGE_SIZE);
	EXPECT(pool->nr_blocks == 4);
	grown = pool->stats.grown;
	execmem_free((void *)live[--nr_live]);
	EXPECT(pool->spare && pool->spare->size == SZ_1M);
	seal(pool->used + PAGE_SIZE);
	EXPECT(pool->stats.grown == grown);
	give_all();
}

/* Without memory for a whole block, it gets as few pages as are needed. */
static void test_grow_sealed_without_memory(void)
{
	start_sealed();
	seal(SZ_128K);
	shim.map.at = shim.map.calls + 1;
	seal(SZ_128K + PAGE_SIZE);
	EXPECT(pool->reserved == SZ_128K + PAGE_SIZE);
	EXPECT(execmem_fallbacks(&pool->stats) == 1);
	give_all();
}

/* === Want of memory, of huge pages, of addresses ========================== */

/* Is the number of attempts to get memory for @size bytes at most @most? */
static bool attempts(size_t size, bool works, unsigned int most)
{
	unsigned long before = shim.populates;
	bool worked = take(size);

	return worked == works && shim.populates - before <= most;
}

/*
 * Memory is short, and there are addresses: other addresses would not help.
 */
static void test_few_attempts_without_memory(void)
{
	struct execmem_pool *two;
	unsigned long before;

	start(1UL << 40);
	shim.map.at = 1;
	shim.map.from_then_on = true;
	EXPECT(attempts(64, false, 2));
	EXPECT(attempts(3 * BLOCK, false, 2));
	/* Two address ranges, base pages */
	two = execmem_pool_of(EXECMEM_FTRACE);
	before = shim.populates;
	EXPECT(!alloc_of(EXECMEM_FTRACE, 64));
	EXPECT(shim.populates - before <= 2 && two->stats.failures == 1);
	/* Nothing stays reserved. */
	EXPECT(!backing_pages());
	give_all();
}

/* The same for a block that is enlarged */
static void test_few_attempts_to_enlarge(void)
{
	start(SZ_1G);
	use(2 * FIRST);
	shim.map.at = shim.map.calls + 1;
	shim.map.from_then_on = true;
	EXPECT(attempts(PAGE_SIZE, false, 2));
	EXPECT(pool->nr_blocks == 1 && !pool->growing);
	/* If there is too little for doubling it, less is taken. */
	shim.map.at = shim.map.calls + 1;
	shim.map.from_then_on = false;
	EXPECT(attempts(PAGE_SIZE, true, 2));
	EXPECT(pool->reserved == 3 * FIRST);
	give_all();
}

/* Addresses are short, so memory is tried once. */
static void test_few_attempts_without_addresses(void)
{
	struct execmem_range range;
	struct execmem_pool tiny;
	void *a;

	start(1UL << 40);
	range = shared_range(0, 3 * FIRST, BLOCK);
	execmem_pool_init(&tiny, "tiny", EXECMEM_BPF, &range);
	a = execmem_pool_alloc(&tiny, 0, 64, 1, false);
	EXPECT(a && shim.populates == 1 && tiny.reserved == FIRST);
	EXPECT(tiny.stats.blocks[EXECMEM_NO_ROOM] == 1);
	EXPECT(!execmem_pool_alloc(&tiny, 0, 3 * FIRST, 1, false));
	EXPECT(shim.populates == 1);
	execmem_free(a);
	EXPECT(!tiny.nr_blocks);
}

/* Replace a random chunk @nr times; some seconds pass. */
static void turn_over(unsigned int nr)
{
	while (nr--) {
		give(random_u64() % nr_live);
		shim.now += HZ / 20;
		if (!EXPECT(take(PAGE_SIZE)))
			break;
	}
	EXPECT(!execmem_pool_check(pool));
}

/*
 * Memory is fragmented when modules are loaded, and is not later. As chunks are
 * replaced, the pool returns to huge pages, and no base page is left.
 */
static void test_huge_pages_return(void)
{
	unsigned long grown;

	start(1UL << 40);
	fail_huge(true);
	use(3 * BLOCK);
	EXPECT(!pool->nr_huge && pool->nr_not_huge);
	turn_over(1000);
	EXPECT(!pool->nr_huge && pool->reserved_base == pool->reserved);

	fail_huge(false);
	turn_over(nr_live / 2);
	EXPECT(pool->nr_huge);
	turn_over(30 * nr_live);
	EXPECT(!pool->nr_not_huge && !pool->reserved_base);
	EXPECT(pool->nr_huge <= 4);
	/* It stays so. */
	grown = pool->stats.grown;
	turn_over(1000);
	EXPECT(pool->stats.grown == grown);
	give_all();
}

/* Blocks of huge pages are below those of base pages, and are filled first. */
static void test_huge_blocks_come_first(void)
{
	unsigned long base, low, huge;

	start(1UL << 40);
	fail_huge(true);
	base = alloc_text(PAGE_SIZE);
	fail_huge(false);
	low = alloc_text(BLOCK);
	huge = alloc_text(BLOCK / 2 + 64);
	EXPECT(pool->nr_huge == 2 && low < base && huge < base);
	/* There is room in both; base was the first one. */
	EXPECT(alloc_text(64) < base);
	free_pool(pool);
}

/* Without huge pages, they are not tried for each request. */
static void test_huge_pages_are_tried_seldom(void)
{
	unsigned long calls;

	start(1UL << 40);
	fail_huge(true);
	use(BLOCK / 2 + PAGE_SIZE);
	calls = shim.huge.calls;
	shim.now += 10 * HZ;
	for (int i = 0; i < 200; i++) {
		give(random_u64() % nr_live);
		EXPECT(take(PAGE_SIZE));
		shim.now += HZ / 100;
	}
	EXPECT(shim.huge.calls - calls >= 2 && shim.huge.calls - calls <= 3);
	give_all();
}

/* A chunk that cannot be in a huge block is placed where there is room. */
static void test_no_huge_page_for_whole_block(void)
{
	struct execmem_range range;
	struct execmem_pool many;
	void *a, *b;

	start(1UL << 40);
	range = shared_range(0, 64 * BLOCK, BLOCK);
	range.flags |= EXECMEM_RANDOMIZE;
	execmem_pool_init(&many, "many", EXECMEM_BPF, &range);
	fail_huge(true);
	a = execmem_pool_alloc(&many, 0, BLOCK + 64, 1, false);
	b = execmem_pool_alloc(&many, 0, BLOCK / 4, 1, false);
	EXPECT(many.nr_blocks == 1 && many.nr_not_huge == 1);
	execmem_free(a);
	shim.now += 10 * HZ;
	EXPECT(execmem_pool_alloc(&many, 0, BLOCK, 1, false) == a);
	EXPECT(many.nr_blocks == 1);
	execmem_free(a);
	execmem_free(b);
	EXPECT(!many.nr_blocks);
}

/* === Others meanwhile ===================================================== */

static void free_everything(void)
{
	while (nr_live)
		give(nr_live - 1);
}

/* All chunks of a block are freed while it is enlarged. */
static void test_free_while_enlarging(void)
{
	start(SZ_1G);
	use(FIRST);
	shim.in_populate = free_everything;
	EXPECT(take(PAGE_SIZE));
	EXPECT(pool->nr_blocks == 1 && pool->reserved == 2 * FIRST);
	EXPECT(!execmem_pool_check(pool));
	give_all();
}

static void free_and_fail(void)
{
	free_everything();
	EXPECT(pool->nr_blocks == 1);
	EXPECT(!execmem_pool_check(pool));
	shim.protect.at = shim.protect.calls + 1;
}

/* The same, and then it cannot be enlarged: now it is given back. */
static void test_free_while_failing_to_enlarge(void)
{
	start(SZ_1G);
	use(FIRST);
	shim.in_populate = free_and_fail;
	EXPECT(!take(PAGE_SIZE));
	EXPECT(!pool->nr_blocks && !pool->tail && !pool->growing);
	EXPECT(take(PAGE_SIZE));
	give_all();
}

static void *in_enlarged, *in_huge;

static void free_two_and_fail(void)
{
	execmem_free(in_huge);
	EXPECT(pool->spare);
	execmem_free(in_enlarged);
	shim.protect.at = shim.protect.calls + 1;
}

/* With the block that could not be enlarged, the reason for the spare is gone. */
static void test_spare_while_failing_to_enlarge(void)
{
	void *most;

	start(SZ_1G);
	fail_huge(true);
	most = (void *)alloc_text(BLOCK / 4 * 3);
	in_enlarged = (void *)alloc_text(BLOCK / 2);
	fail_huge(false);
	shim.now += 10 * HZ;
	in_huge = (void *)alloc_text(BLOCK / 4 * 3);
	EXPECT(pool->nr_blocks == 3 && pool->nr_huge == 1);
	fail_huge(true);
	shim.in_populate = free_two_and_fail;
	EXPECT(!execmem_pool_alloc(pool, 0, BLOCK / 8 * 3, 1, false));
	EXPECT(pool->nr_blocks == 1 && !pool->spare);
	EXPECT(!execmem_pool_check(pool));
	execmem_free(most);
}

/* Pages whose permissions are unknown are not used, nor what is after them. */
static void test_protect_fails(void)
{
	start(SZ_1G);
	shim.protect.at = 1;
	EXPECT(!take(PAGE_SIZE) && !pool->nr_blocks && !backing_pages());
	use(FIRST);
	shim.protect.at = shim.protect.calls + 1;
	EXPECT(!take(PAGE_SIZE));
	EXPECT(pool->reserved == FIRST);
	EXPECT(take(PAGE_SIZE) && pool->nr_blocks == 2);
	give_all();
}

/* === Randomness =========================================================== */

#define BOOTS		1000
/*
 * 6.12 chooses one of 1024 addresses for all of them: then about 638 of 1000
 * boots differ, at most 685 with a probability of 1 in 10^6.
 */
#define DIFFERENT	700

static int compare_addresses(const void *a, const void *b)
{
	unsigned long x = *(unsigned long *)a, y = *(unsigned long *)b;

	return x < y ? -1 : x > y;
}

/* Number of different addresses */
static unsigned int count_different(unsigned long *addrs, unsigned int nr)
{
	unsigned int different = 1;

	qsort(addrs, nr, sizeof(*addrs), compare_addresses);
	for (unsigned int i = 1; i < nr; i++)
		different += addrs[i] != addrs[i - 1];
	return different;
}

/* A type with the addresses that x86 has for modules, as far as they fit here */
static struct execmem_range random_range(void)
{
	struct execmem_range range = shared_range(0, VMALLOC_SIZE, BLOCK);

	range.flags |= EXECMEM_RANDOMIZE;
	/* Filling huge pages takes most of the time. */
	range.trap = NULL;
	range.invalidate = NULL;
	return range;
}

/*
 * Boot, and take a chunk of @size bytes from the first and from the second
 * block. @first bytes are used before it.
 */
static void boot_many(const char *what, unsigned long ram, bool huge,
		      size_t size, size_t align, size_t first)
{
	static unsigned long addrs[BOOTS];
	struct execmem_range range = random_range();
	unsigned int different;
	struct execmem_pool boot;
	void *a, *b = NULL;

	for (int i = 0; i < BOOTS; i++) {
		start(ram);
		fail_huge(!huge);
		execmem_pool_init(&boot, "boot", EXECMEM_BPF, &range);
		if (first)
			b = execmem_pool_alloc(&boot, 0, first, 1, false);
		a = execmem_pool_alloc(&boot, 0, size, align, false);
		EXPECT(a && !(first && !b));
		addrs[i] = (unsigned long)a - vmalloc_start;
		execmem_free(a);
		execmem_free(b);
		execmem_pool_drain(&boot);
	}
	different = count_different(addrs, BOOTS);
	printf("  %-28s %4u of %u\n", what, different, BOOTS);
	EXPECT(different > DIFFERENT);
}

static void test_addresses_differ(void)
{
	const unsigned long large = 1UL << 40;

	boot_many("first chunk, huge", large, true, 64, 1, 0);
	boot_many("first chunk, huge, a page", large, true, PAGE_SIZE, PAGE_SIZE, 0);
	boot_many("second block, huge", large, true, 1024, 1, BLOCK - 512);
	boot_many("whole block", large, true, BLOCK, 1, 0);
	boot_many("almost a whole block", large, true, BLOCK - 448, 1, 0);
	boot_many("first chunk, small machine", SZ_512M, true, 64, 1, 0);
	boot_many("second block, small machine", SZ_512M, true, 64, 1, BLOCK - 64);
	boot_many("first chunk, no huge page", large, false, 64, 1, 0);
	boot_many("second block, no huge page", large, false, BLOCK, 1, BLOCK);
}

void run_grow_tests(void)
{
	RUN(grow_in_place);
	RUN(grow_across);
	RUN(grow_to_the_end);
	RUN(grow_by_share_of_memory);
	RUN(few_attempts_without_memory);
	RUN(few_attempts_to_enlarge);
	RUN(few_attempts_without_addresses);
	RUN(huge_pages_return);
	RUN(huge_blocks_come_first);
	RUN(huge_pages_are_tried_seldom);
	RUN(no_huge_page_for_whole_block);
	RUN(grow_sealed);
	RUN(sealed_spare);
	RUN(grow_sealed_without_memory);
	RUN(free_while_enlarging);
	RUN(free_while_failing_to_enlarge);
	RUN(spare_while_failing_to_enlarge);
	RUN(protect_fails);
	RUN(addresses_differ);
}
