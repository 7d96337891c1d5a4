// SPDX-License-Identifier: GPL-2.0-only
/*
 * What do alloc, fill and free of executable memory cost?
 *
 * One module for both kernels: without the series it drives bpf_prog_pack, with
 * it execmem.  The work is what the BPF JIT asks for: allocate a chunk, copy
 * code into it, free it (which overwrites it with trapping bytes again).
 *
 * The allocator is populated first with the sizes given by sizes=; every
 * seventh chunk is freed again, so that there are holes to look through.
 *
 * Times are TSC cycles.  Under "qemu -icount shift=0" the TSC counts
 * instructions: then the numbers are exact and repeatable.
 * All the work is done by the init function.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/execmem.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sort.h>
#include <linux/timex.h>
#include <linux/vmalloc.h>

#define MAX_POPULATION	4096

static int sizes[MAX_POPULATION];
static int nr_sizes;
module_param_array(sizes, int, &nr_sizes, 0);
MODULE_PARM_DESC(sizes, "sizes of the chunks that are live while measuring");

static int rounds = 1000;
module_param(rounds, int, 0);
MODULE_PARM_DESC(rounds, "measurements per size");

/* Neither allocator is exported, and rightly so: look the functions up. */
static unsigned long (*lookup)(const char *name);

static void *(*pack_alloc)(u32 size, void (*fill)(void *area, unsigned int size),
			   bool was_classic);
static void *(*pack_copy)(void *dst, void *src, size_t len);
static void (*pack_free)(void *ptr, u32 size);

static void *(*mem_alloc)(enum execmem_type type, size_t size);
static int (*mem_fill)(void *dst, const void *src, size_t len);
static void (*mem_seal)(void *ptr);
static void (*mem_free)(void *ptr);

static const char *allocator;

static void fill_traps(void *area, unsigned int size)
{
	memset(area, 0xcc, size);
}

static void *chunk_alloc(size_t size)
{
	return pack_alloc ? pack_alloc(size, fill_traps, false) :
			    mem_alloc(EXECMEM_BPF, size);
}

static int chunk_fill(void *chunk, void *code, size_t size)
{
	if (pack_alloc)
		return IS_ERR(pack_copy(chunk, code, size)) ? -EIO : 0;

	return mem_fill(chunk, code, size);
}

static void chunk_seal(void *chunk)
{
	if (mem_seal)
		mem_seal(chunk);
}

static void chunk_free(void *chunk, size_t size)
{
	if (pack_alloc)
		pack_free(chunk, size);
	else
		mem_free(chunk);
}

static int find_allocator(void)
{
	struct kprobe probe = {
		.symbol_name = "kallsyms_lookup_name",
		.flags = KPROBE_FLAG_DISABLED,	/* only its address */
	};
	int err;

	err = register_kprobe(&probe);
	if (err)
		return err;
	lookup = (void *)probe.addr;
	unregister_kprobe(&probe);

	pack_alloc = (void *)lookup("bpf_prog_pack_alloc");
	if (pack_alloc) {
		allocator = "bpf_prog_pack";
		pack_copy = (void *)lookup("bpf_arch_text_copy");
		pack_free = (void *)lookup("bpf_prog_pack_free");
		return pack_copy && pack_free ? 0 : -ENOENT;
	}

	allocator = "execmem";
	mem_alloc = (void *)lookup("execmem_alloc");
	mem_fill = (void *)lookup("execmem_fill");
	mem_seal = (void *)lookup("execmem_seal");
	mem_free = (void *)lookup("execmem_free");
	return mem_alloc && mem_fill && mem_free ? 0 : -ENOENT;
}

enum step { ALLOC, FILL, SEAL, FREE, TOTAL, NR_STEPS };

static const char * const step_name[] = { "alloc", "fill", "seal", "free", "total" };

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static int measure(size_t size, void *code, u64 *cost[NR_STEPS])
{
	u64 at[NR_STEPS];
	int i, step, err;
	void *chunk;

	for (i = 0; i < rounds; i++) {
		at[0] = get_cycles();
		chunk = chunk_alloc(size);
		if (!chunk)
			return -ENOMEM;
		at[1] = get_cycles();
		err = chunk_fill(chunk, code, size);
		at[2] = get_cycles();
		chunk_seal(chunk);
		at[3] = get_cycles();
		chunk_free(chunk, size);
		at[4] = get_cycles();
		if (err)
			return err;

		for (step = ALLOC; step < TOTAL; step++)
			cost[step][i] = at[step + 1] - at[step];
		cost[TOTAL][i] = at[4] - at[0];
	}

	for (step = ALLOC; step < NR_STEPS; step++) {
		sort(cost[step], rounds, sizeof(u64), compare, NULL);
		pr_info("result %zu %s min %llu median %llu p99 %llu max %llu\n",
			size, step_name[step], cost[step][0], cost[step][rounds / 2],
			cost[step][rounds * 99 / 100], cost[step][rounds - 1]);
	}
	return 0;
}

static int run(void **live, u64 *cost[NR_STEPS], void *code)
{
	static const size_t measured[] = { 64, 512, 2048, 16384 };
	int i, err = 0;

	for (i = 0; i < nr_sizes; i++) {
		live[i] = chunk_alloc(sizes[i]);
		if (!live[i])
			return -ENOMEM;
	}
	for (i = 0; i < nr_sizes; i += 7) {
		chunk_free(live[i], sizes[i]);
		live[i] = NULL;
	}
	pr_info("allocator %s live %d rounds %d\n", allocator,
		nr_sizes - (nr_sizes + 6) / 7, rounds);

	for (i = 0; i < ARRAY_SIZE(measured) && !err; i++)
		err = measure(measured[i], code, cost);
	return err;
}

static int __init execmem_bench_init(void)
{
	void *code = kvmalloc(SZ_64K, GFP_KERNEL);
	void **live = kvcalloc(MAX_POPULATION, sizeof(*live), GFP_KERNEL);
	u64 *cost[NR_STEPS] = {};
	int i, err;

	err = find_allocator();
	if (err)
		goto out;

	err = -ENOMEM;
	for (i = 0; i < NR_STEPS; i++) {
		cost[i] = kvmalloc_array(rounds, sizeof(u64), GFP_KERNEL);
		if (!cost[i])
			goto out;
	}
	if (!code || !live)
		goto out;

	fill_traps(code, SZ_64K);
	err = run(live, cost, code);
	for (i = 0; i < nr_sizes; i++)
		if (live[i])
			chunk_free(live[i], sizes[i]);
out:
	for (i = 0; i < NR_STEPS; i++)
		kvfree(cost[i]);
	kvfree(live);
	kvfree(code);
	return err;
}
module_init(execmem_bench_init);

static void __exit execmem_bench_exit(void)
{
}
module_exit(execmem_bench_exit);

MODULE_DESCRIPTION("Cost of executable memory, with and without the series");
MODULE_LICENSE("GPL");
