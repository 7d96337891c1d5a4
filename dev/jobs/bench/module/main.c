// SPDX-License-Identifier: GPL-2.0-only
/*
 * What does executable memory cost, and how long does it keep others waiting?
 *
 * One module for both kernels: without the series it drives bpf_prog_pack and
 * the page-granular allocations of other callers, with it execmem. The work is
 * what the BPF JIT asks for: allocate a chunk, copy code into it, free it (which
 * overwrites it with trapping bytes again).
 *
 * Times are TSC cycles. Under "qemu -icount shift=0" the TSC counts
 * instructions: then the numbers are exact and repeatable.
 * All the work is done by the init function.
 */
#include "bench.h"

#include <linux/module.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

static int sizes[4096];
static int nr_sizes;
module_param_array(sizes, int, &nr_sizes, 0);
MODULE_PARM_DESC(sizes, "sizes of the chunks that are live while measuring");

int rounds = 1000;
module_param(rounds, int, 0);
MODULE_PARM_DESC(rounds, "measurements of each kind");

static bool threads;
module_param(threads, bool, 0);
MODULE_PARM_DESC(threads, "let threads compete instead of counting instructions");

static int fleet_add(struct fleet *fleet, struct live_chunk *chunk, int size)
{
	chunk->size = size;
	chunk->addr = chunk_alloc(fleet->who, size);
	return chunk->addr ? 0 : -ENOMEM;
}

static void fleet_remove(struct fleet *fleet, struct live_chunk *chunk)
{
	if (chunk->addr)
		chunk_free(fleet->who, chunk->addr, chunk->size);
	chunk->addr = NULL;
}

/*
 * Every seventh chunk is freed again, so that there are holes to look through;
 * @live is how many stay.
 */
int fleet_populate(struct fleet *fleet, enum contender who, int live)
{
	int i, nr = live + DIV_ROUND_UP(live, 6), err = 0;

	*fleet = (struct fleet) { .who = who };
	prandom_seed_state(&fleet->rnd, 1);
	fleet->chunk = kvcalloc(nr ?: 1, sizeof(*fleet->chunk), GFP_KERNEL);
	if (!fleet->chunk)
		return -ENOMEM;
	fleet->nr = nr;
	for (i = 0; i < nr && !err; i++)
		err = fleet_add(fleet, &fleet->chunk[i], sizes[i % nr_sizes]);
	for (i = 0; i < nr; i += 7)
		fleet_remove(fleet, &fleet->chunk[i]);
	if (err)
		fleet_release(fleet);
	return err;
}

/* Replace a chunk by one of another size, so that the holes change. */
int fleet_shuffle(struct fleet *fleet)
{
	struct live_chunk *chunk;

	if (!fleet->nr)
		return 0;
	chunk = &fleet->chunk[prandom_u32_state(&fleet->rnd) % fleet->nr];
	if (!chunk->addr)
		return 0;
	fleet_remove(fleet, chunk);
	return fleet_add(fleet, chunk,
			 sizes[prandom_u32_state(&fleet->rnd) % nr_sizes]);
}

void fleet_release(struct fleet *fleet)
{
	int i;

	for (i = 0; i < fleet->nr; i++)
		fleet_remove(fleet, &fleet->chunk[i]);
	kvfree(fleet->chunk);
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

u64 median(u64 *sample, int nr)
{
	sort(sample, nr, sizeof(*sample), compare, NULL);
	return sample[nr / 2];
}

void report(const char *name, u64 *sample, int nr)
{
	u64 middle = median(sample, nr);

	result("%s min %llu median %llu p99 %llu", name, sample[0], middle,
	       sample[nr * 99 / 100]);
}

static int __init execmem_bench_init(void)
{
	enum contender who;
	void *code;
	int err;

	if (!nr_sizes || rounds <= 0)
		return -EINVAL;
	err = find_kernel();
	if (err)
		return err;
	who = kernel.mem_fill ? EXECMEM : PACK;

	code = kvmalloc(MAX_CODE, GFP_KERNEL);
	if (!code)
		return -ENOMEM;
	fill_traps(code, MAX_CODE);
	if (threads)
		err = measure_threads(who, code);
	else
		err = measure_costs(who, code) ?: measure_latency(who, code);
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
