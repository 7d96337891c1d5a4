/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the benchmark share: the allocators behind one interface,
 * see kernel.c, and how numbers are reported.
 */
#ifndef EXECMEM_BENCH_H
#define EXECMEM_BENCH_H

/* Hence this comes before all other headers. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/execmem.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/prandom.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/timex.h>

#define MAX_CODE	SZ_64K

enum contender {
	PACK,		/* bpf_prog_pack, without the series */
	PAGES,		/* pages for each chunk, as other callers live without it */
	EXECMEM,	/* with the series */
};

/* What is not exported, looked up by name; see find_kernel() */
struct kernel {
	void *(*pack_alloc)(u32 size, void (*trap)(void *area, unsigned int size),
			    bool was_classic);
	void *(*pack_copy)(void *dst, void *src, size_t len);
	void (*pack_free)(void *ptr, u32 size);

	void *(*mem_alloc)(enum execmem_type type, size_t size);
	int (*mem_fill)(void *dst, const void *src, size_t len);
	int (*mem_publish)(void *dst, const void *src, size_t len);
	size_t (*mem_free)(void *ptr);

	int (*set_memory_rox)(unsigned long addr, int numpages);

	struct mutex *text_mutex;	/* for all who patch code */
	struct mutex *pack_mutex;	/* of bpf_prog_pack: NULL with the series */
	struct tracepoint *contention_end;
};

extern struct kernel kernel;

int find_kernel(void);
void fill_traps(void *area, unsigned int size);

/*
 * The four steps in the life of a chunk. They are inline, so that measuring one
 * costs no call that the callers of the allocators do not make.
 */
static inline void *chunk_alloc(enum contender who, size_t size)
{
	return who == PACK ? kernel.pack_alloc(size, fill_traps, false) :
			     kernel.mem_alloc(EXECMEM_BPF, size);
}

static inline int chunk_fill(enum contender who, void *chunk, void *code,
			     size_t size)
{
	if (who == PACK)
		return IS_ERR(kernel.pack_copy(chunk, code, size)) ? -EIO : 0;
	if (who == EXECMEM)
		return kernel.mem_fill(chunk, code, size);

	memcpy(chunk, code, size);
	return 0;
}

/* As the BPF JIT does: for the last time, and execmem seals the chunk. */
static inline int chunk_publish(enum contender who, void *chunk, void *code,
				size_t size)
{
	if (who == EXECMEM)
		return kernel.mem_publish(chunk, code, size);
	return chunk_fill(who, chunk, code, size);
}

/* From here on the chunk cannot be written; only pages need a step for that. */
static inline int chunk_seal(enum contender who, void *chunk, size_t size)
{
	if (who == PAGES)
		return kernel.set_memory_rox((unsigned long)chunk,
					     PAGE_ALIGN(size) >> PAGE_SHIFT);
	return 0;
}

static inline void chunk_free(enum contender who, void *chunk, size_t size)
{
	if (who == PACK)
		kernel.pack_free(chunk, size);
	else
		kernel.mem_free(chunk);
}

struct live_chunk {
	void *addr;	/* NULL when it was freed to leave a hole */
	int size;
};

/* Chunks that are live while something is measured */
struct fleet {
	enum contender who;
	int nr;
	struct live_chunk *chunk;
	struct rnd_state rnd;
};

#define FLEET_LIVE	857	/* of 1000, see fleet_populate() */

int fleet_populate(struct fleet *fleet, enum contender who, int live);
int fleet_shuffle(struct fleet *fleet);
void fleet_release(struct fleet *fleet);

extern int rounds;

/* Both sort their samples. */
u64 median(u64 *sample, int nr);
void report(const char *name, u64 *sample, int nr);

/* report.py reads these: a prefix, then pairs of name and value. */
#define result(fmt, ...) pr_info("result " fmt "\n", ##__VA_ARGS__)

int measure_costs(enum contender who, void *code);
int measure_latency(enum contender who, void *code);
int measure_threads(enum contender who, void *code);

#endif
