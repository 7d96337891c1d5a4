/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A simple model of the allocator, to compare it with.
 */
#ifndef _EXECMEM_TEST_MODEL_H
#define _EXECMEM_TEST_MODEL_H

#include "tables.h"

/**
 * struct model_chunk - a live chunk
 * @start: what the allocator returned
 * @size: size in bytes, rounded up
 * @type: type that was asked for
 * @sealed: true after execmem_seal()
 * @filled: number of bytes that were written, from the start of the chunk
 * @pattern: offset of these bytes in the model's pattern
 * @rank: index in the list of the pool's live chunks
 * @retired: when it was put to rest, in jiffies
 * @number: how many chunks of the pool were put to rest before
 * @written: true if it was written to while it rested
 */
struct model_chunk {
	unsigned long start;
	size_t size;
	enum execmem_type type;
	bool sealed;
	size_t filled;
	size_t pattern;
	unsigned int rank;
	unsigned long retired;
	unsigned long number;
	bool written;
};

#define MAX_CHUNKS	131072

/**
 * struct model_pool - expected state of a pool
 * @pool: the pool
 * @nr_live: number of live chunks
 * @live: indices of live chunks, not sorted
 * @nr_leaked: number of chunks that could not be invalidated
 * @nr_rests: number of chunks that rest
 * @rests: indices of these, oldest first
 * @resting: as in &struct execmem_pool
 * @nr_blocks: as in &struct execmem_pool
 * @nr_huge: as in &struct execmem_pool
 * @reserved: as in &struct execmem_pool
 * @used: as in &struct execmem_pool
 * @spare_until: when the empty block is given back; kept in exact mode only
 * @stats: as in &struct execmem_pool
 */
struct model_pool {
	struct execmem_pool *pool;
	unsigned int nr_live;
	unsigned int live[MAX_CHUNKS];
	unsigned int nr_leaked;
	unsigned int nr_rests;
	unsigned int rests[MAX_CHUNKS];
	size_t resting;
	unsigned long nr_blocks;
	unsigned long nr_huge;
	size_t reserved;
	size_t used;
	unsigned long spare_until;
	struct execmem_stats stats;
};

/**
 * struct model - expected state of all memory
 * @exact: also predict placement, predictor flushes, and when blocks are mapped
 *	and given back; the cost is proportional to the memory
 * @pools: by type; those of merged types are not used
 * @nr_live: number of live chunks in all pools
 * @last_freed: address of the chunk that was freed last
 * @max_visits: largest number of tree nodes that one operation visited
 */
struct model {
	bool exact;
	struct model_pool pools[EXECMEM_TYPE_MAX];
	unsigned int nr_live;
	unsigned long last_freed;
	unsigned long max_visits;
};

extern struct model model;

void model_start(bool exact);
void model_finish(void);
bool model_validate(void);

struct model_pool *model_pool_of(enum execmem_type type);
struct model_chunk *model_chunk(struct model_pool *mpool, unsigned int rank);

/* Each performs an operation and compares the result with the model. */
struct model_chunk *model_alloc(enum execmem_type type, size_t size,
				size_t align);
int model_fill(unsigned long addr, size_t len);
int model_publish(unsigned long addr, size_t len);
void model_seal(unsigned long addr);
void model_free(unsigned long addr);
void model_retire(unsigned long addr);
void model_write_resting(struct model_pool *mpool, unsigned int n, size_t offset);
void model_pass_time(unsigned long ticks);
void model_end_rests(struct model_pool *mpool);
void model_lookup(unsigned long addr);
void model_drain(struct model_pool *mpool);
void model_expire(struct model_pool *mpool, unsigned long ticks);
void model_walk(struct model_pool *mpool);
void model_draw(struct model_pool *mpool);
void model_recover_leaked(void);
void model_end_all_rests(void);
void model_free_all(void);

#endif /* _EXECMEM_TEST_MODEL_H */
