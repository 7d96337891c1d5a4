// SPDX-License-Identifier: GPL-2.0
/*
 * execmem=room: BPF programs in unused text of the kernel image.
 */

#include "tests.h"

/* At the end of the address space, where no table has a type */
#define OFFSET	(VMALLOC_SIZE - SZ_2M)
#define SIZE	(SZ_512K + PAGE_SIZE)

static struct execmem_pool *room;
static unsigned long first;

static bool in_room(unsigned long addr)
{
	return addr - text_room_start < text_room_size;
}

static struct execmem_info *table_with_room(void)
{
	struct execmem_info *info = mixed_table(SMALL);

	info->room = shared_range(OFFSET, SIZE, SZ_2M);
	info->room.flags = EXECMEM_ROX | EXECMEM_FIXED;
	info->room.restore = NULL;
	return info;
}

static void boot(const char *param, const char *no_room)
{
	char arg[8];

	strscpy(arg, param, sizeof(arg));
	EXPECT(!param_parse_execmem(arg));
	arch_table = table_with_room();
	arch_table->no_room = no_room;
	EXPECT(kernel_boot());
}

static void start(void)
{
	boot("room", NULL);
	backing_room(VMALLOC_START + OFFSET, SIZE);
	execmem_open_room();
	room = execmem_room();
	first = 0;
}

static void finish(void)
{
	EXPECT(!room->used && !execmem_pool_check(room));
	EXPECT(!room->nr_blocks || backing_is(text_room_start, SIZE, TRAP_BYTE));
	kernel_close_room();
}

static unsigned long alloc_bpf(size_t size)
{
	unsigned long addr = alloc_of(EXECMEM_BPF, size);

	EXPECT(!execmem_pool_check(room));
	return addr;
}

static void free_bpf(unsigned long addr)
{
	release(addr);
	EXPECT(!execmem_pool_check(room));
}

static void test_room_holds_first_program(void)
{
	unsigned long a, b;

	start();
	EXPECT(text_room_start == VMALLOC_START + OFFSET);
	EXPECT(text_room_size == SIZE);
	a = alloc_bpf(100);
	b = alloc_bpf(SZ_256K);
	EXPECT(in_room(a) && in_room(b));
	EXPECT(room->used == 128 + SZ_256K && room->reserved == SIZE);
	EXPECT(room->nr_blocks == 1 && room->nr_chunks == 2);
	/* No memory was taken for it. */
	EXPECT(!execmem_pool_of(EXECMEM_BPF)->reserved);
	EXPECT(!shim.populates && !backing_pages());
	free_bpf(a);
	free_bpf(b);
	finish();
}

/* Only extended BPF is placed there. */
static void test_room_refuses_other_types(void)
{
	unsigned long addr;

	start();
	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		addr = alloc_of(type, 64);
		EXPECT(in_room(addr) == (type == EXECMEM_BPF));
		release(addr);
	}
	EXPECT(room->stats.allocs == 1);
	finish();
}

/* Without flushes of the predictors, and classic BPF needs none for it. */
static void test_room_flushes_no_predictors(void)
{
	unsigned long a;

	start();
	execmem_pred_flush_enabled = true;
	a = alloc_bpf(64);
	free_bpf(a);
	a = alloc_bpf(64);
	EXPECT(!shim.flushes && !shim.syncs);
	free_bpf(a);
	finish();
}

static void expect_no_room(void)
{
	unsigned long addr;

	EXPECT(!text_room_size && !execmem_room());
	/* A mistake of the architecture changes nothing. */
	execmem_open_room();
	EXPECT(shim.warnings == 1);
	shim.warnings = 0;
	EXPECT(!execmem_room());
	addr = alloc_of(EXECMEM_BPF, 64);
	EXPECT(addr && addr - VMALLOC_START < OFFSET);
	release(addr);
}

static void test_room_is_off_by_default(void)
{
	boot("on", NULL);
	expect_no_room();
}

static void test_room_needs_huge_pages(void)
{
	EXPECT(!param_parse_execmem("off"));
	boot("room", NULL);
	expect_no_room();
}

static void test_room_is_not_guarded(void)
{
	EXPECT(!param_parse_execmem("guard"));
	boot("room", NULL);
	expect_no_room();
}

static void test_room_refused_by_architecture(void)
{
	boot("room", "page tables are isolated");
	expect_no_room();
}

static void test_room_of_no_size(void)
{
	EXPECT(!param_parse_execmem("room"));
	start_small();
	expect_no_room();
}

static void test_room_with_bad_description(void)
{
	EXPECT(!param_parse_execmem("room"));
	arch_table = table_with_room();
	arch_table->room.fill = NULL;
	EXPECT(kernel_boot());
	EXPECT(shim.warnings == 1);
	shim.warnings = 0;
	expect_no_room();
}

/* Its text is not code of vmlinux from the start, but nobody gets it yet. */
static void test_room_waits_until_opened(void)
{
	unsigned long addr;

	boot("room", NULL);
	EXPECT(text_room_size == SIZE && !execmem_room());
	addr = alloc_of(EXECMEM_BPF, 64);
	EXPECT(!in_room(addr));
	release(addr);
}

static void test_room_overflows(void)
{
	struct execmem_pool *bpf;
	unsigned long a, b, c;

	start();
	bpf = execmem_pool_of(EXECMEM_BPF);
	a = alloc_bpf(SIZE);
	b = alloc_bpf(64);
	EXPECT(a == text_room_start && !in_room(b));
	EXPECT(execmem_pool_at(b) == bpf && bpf->used == 64);
	EXPECT(room->stats.failures == 1 && !bpf->stats.failures);
	/* Nothing is added to it, and it is used first again. */
	EXPECT(room->nr_blocks == 1 && room->stats.grown == 1);
	free_bpf(a);
	c = alloc_bpf(64);
	EXPECT(in_room(c));
	free_bpf(b);
	free_bpf(c);
	finish();
}

/* Larger than the room: nothing is placed there. */
static void test_room_too_small(void)
{
	unsigned long a;

	start();
	a = alloc_bpf(SIZE + 64);
	EXPECT(a && !in_room(a));
	free_bpf(a);
	finish();
}

static void test_room_is_never_given_back(void)
{
	unsigned long a;

	start();
	a = alloc_bpf(64);
	free_bpf(a);
	EXPECT(room->nr_blocks == 1 && room->reserved == SIZE && !room->spare);
	EXPECT(!execmem_pool_drain(room) && !execmem_pool_expire(room));
	EXPECT(!shim.unmaps && !room->stats.shrunk);
	EXPECT(execmem_pool_at(text_room_start) == room);
	/* The same place again: it is free, and the lowest one. */
	EXPECT(in_room(alloc_bpf(64)));
	free_bpf(text_room_start);
	finish();
}

static void test_room_fill_and_seal(void)
{
	static const char code[256] = "code";
	struct execmem_area area;
	unsigned long a, b;

	start();
	a = alloc_bpf(256);
	b = alloc_bpf(256);
	EXPECT(backing_is(a, 256, TRAP_BYTE));
	EXPECT(!execmem_fill((void *)a, code, 256));
	EXPECT(!execmem_publish((void *)b, code, 256));
	EXPECT(!memcmp((void *)a, code, 256) && !memcmp((void *)b, code, 256));
	EXPECT(!execmem_seal((void *)a));
	EXPECT(execmem_fill((void *)a, code, 1) == -EINVAL);
	EXPECT(take_reports() == 1);
	EXPECT(execmem_lookup(a + 255, &area));
	EXPECT(area.start == a && area.size == 256 && area.type == EXECMEM_BPF);
	EXPECT(!execmem_exceeds((void *)a, 256, &area.size));
	EXPECT(execmem_exceeds((void *)a, 257, &area.size));
	free_bpf(a);
	EXPECT(backing_is(a, 256, TRAP_BYTE) && !execmem_lookup(a, &area));
	free_bpf(b);
	finish();
}

/* The first program is at a random place, in the first quarter at most. */
static void test_room_is_random(void)
{
	unsigned long places[8];
	unsigned int same = 0;

	for (int i = 0; i < ARRAY_SIZE(places); i++) {
		boot("room", NULL);
		arch_table->room.flags |= EXECMEM_RANDOMIZE;
		backing_room(VMALLOC_START + OFFSET, SIZE);
		execmem_open_room();
		room = execmem_room();
		places[i] = alloc_bpf(64);
		EXPECT(places[i] - text_room_start <= SIZE / 4);
		/* What was skipped is used, too. */
		if (places[i] != text_room_start)
			EXPECT(alloc_bpf(64) == text_room_start);
		free_bpf(places[i]);
		if (places[i] != text_room_start)
			free_bpf(text_room_start);
		finish();
		kernel_reset();
		for (int j = 0; j < i; j++)
			same += places[j] == places[i];
	}
	EXPECT(same < 4);
}

/* If there is no memory for the bitmaps of the room, the program goes on. */
static void test_room_without_memory(void)
{
	unsigned long a;

	for (unsigned int at = 1; at <= 5; at++) {
		start();
		shim.alloc = (struct fault) { .at = at };
		a = alloc_bpf(64);
		EXPECT(a && shim.alloc.hits == 1);
		shim.alloc = (struct fault) {};
		free_bpf(a);
		a = alloc_bpf(64);
		EXPECT(in_room(a));
		free_bpf(a);
		execmem_pool_drain(execmem_pool_of(EXECMEM_BPF));
		finish();
		kernel_reset();
	}
}

/* Not even the owner of whole pages changes their attributes. */
static void test_room_keeps_attributes(void)
{
	unsigned long a, page;

	start();
	a = alloc_bpf(2 * PAGE_SIZE);
	page = PAGE_ALIGN(a);
	EXPECT(execmem_change_begin(page, PAGE_SIZE) == -EPERM);
	EXPECT(shim.refusals == 1 && room->stats.attr_refusals == 1);
	EXPECT(!room->stats.attr_changes);
	free_bpf(a);
	finish();
}

/* Memory that cannot be overwritten is not used again. */
static void test_room_leaks_what_it_cannot_overwrite(void)
{
	unsigned long a, b;

	start();
	a = alloc_bpf(64);
	shim.invalidate = (struct fault) { .at = 1 };
	free_bpf(a);
	EXPECT(take_reports() == 1 && room->stats.leaked == 64);
	b = alloc_bpf(64);
	EXPECT(in_room(b) && b != a);
	free_bpf(b);
	/* End without leaks. */
	spin_lock(&room->lock);
	execmem_chunk_at(room, a)->state = EXECMEM_SEALED;
	execmem_mark_live(execmem_chunk_at(room, a));
	spin_unlock(&room->lock);
	free_bpf(a);
	finish();
}

static void take_first(void)
{
	first = alloc_bpf(64);
}

/* Two tasks make the first allocation at once. */
static void test_room_race_for_first(void)
{
	unsigned long a;

	start();
	shim.before_mutex = take_first;
	a = alloc_bpf(64);
	EXPECT(in_room(first) && in_room(a) && a != first);
	EXPECT(room->nr_blocks == 1 && room->stats.grown == 1);
	free_bpf(a);
	free_bpf(first);
	finish();
}

#define NR	200

/* Programs come and go; none overlaps another, and what is free traps. */
static void test_room_random(void)
{
	static unsigned char code[SZ_16K];
	struct { unsigned long addr; size_t size; } live[NR] = {};
	unsigned int in = 0, out = 0;

	start();
	for (int i = 0; i < 4000 && !test_failed; i++) {
		unsigned int n = random_u64() % NR;

		if (live[n].addr) {
			EXPECT(backing_is(live[n].addr, live[n].size, n + 1));
			free_bpf(live[n].addr);
			if (in_room(live[n].addr))
				EXPECT(backing_is(live[n].addr, live[n].size,
						  TRAP_BYTE));
			live[n].addr = 0;
			continue;
		}
		live[n].size = 64 * (1 + random_u64() % (sizeof(code) / 64));
		live[n].addr = alloc_bpf(live[n].size);
		in += in_room(live[n].addr);
		out += !in_room(live[n].addr);
		memset(code, n + 1, live[n].size);
		EXPECT(!execmem_publish((void *)live[n].addr, code, live[n].size));
	}
	EXPECT(in > 100 && out);
	for (int i = 0; i < NR; i++)
		if (live[i].addr)
			free_bpf(live[i].addr);
	execmem_pool_drain(execmem_pool_of(EXECMEM_BPF));
	finish();
}

void run_room_tests(void)
{
	RUN(room_holds_first_program);
	RUN(room_refuses_other_types);
	RUN(room_flushes_no_predictors);
	RUN(room_is_off_by_default);
	RUN(room_needs_huge_pages);
	RUN(room_is_not_guarded);
	RUN(room_refused_by_architecture);
	RUN(room_of_no_size);
	RUN(room_with_bad_description);
	RUN(room_waits_until_opened);
	RUN(room_overflows);
	RUN(room_too_small);
	RUN(room_is_never_given_back);
	RUN(room_fill_and_seal);
	RUN(room_is_random);
	RUN(room_without_memory);
	RUN(room_keeps_attributes);
	RUN(room_leaks_what_it_cannot_overwrite);
	RUN(room_race_for_first);
	RUN(room_random);
}
