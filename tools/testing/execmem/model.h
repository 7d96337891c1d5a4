/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A naive model of the allocator, for comparison.
 */
#ifndef _EXECMEM_TEST_MODEL_H
#define _EXECMEM_TEST_MODEL_H

#include "tables.h"

/**
 * struct model_chunk - a live chunk
 * @start: what the allocator returned
 * @size: as rounded up
 * @type: what it was asked for
 * @sealed: cannot be filled any more
 * @filled: number of bytes that were written, from the first one on
 * @pattern: where in the pattern of the model these bytes are
 * @rank: place in the list of the pool's live chunks
 */
struct model_chunk {
	unsigned long start;
	size_t size;
	enum execmem_type type;
	bool sealed;
	size_t filled;
	size_t pattern;
	unsigned int rank;
};

#define MAX_CHUNKS	131072

/**
 * struct model_pool - a pool as it should be
 * @pool: as it is
 * @nr_live: number of live chunks
 * @live: numbers of live chunks, in no order
 * @nr_leaked: chunks that could not be invalidated
 * @nr_blocks: as in &struct execmem_pool
 * @nr_huge: as in &struct execmem_pool
 * @reserved: as in &struct execmem_pool
 * @used: as in &struct execmem_pool
 * @stats: as in &struct execmem_pool
 */
struct model_pool {
	struct execmem_pool *pool;
	unsigned int nr_live;
	unsigned int live[MAX_CHUNKS];
	unsigned int nr_leaked;
	unsigned long nr_blocks;
	unsigned long nr_huge;
	size_t reserved;
	size_t used;
	struct execmem_stats stats;
};

/**
 * struct model - the state of all memory
 * @exact: predict placement, predictor flushes and the fate of blocks too, at
 *	a cost proportional to the memory
 * @pools: by type; those of merged types are not used
 * @nr_live: number of live chunks in all pools
 * @last_freed: address of the chunk that was freed last
 * @max_visits: the most tree nodes that one operation looked at
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

/* Each does what its name says, and compares what comes of it. */
struct model_chunk *model_alloc(enum execmem_type type, size_t size,
				size_t align);
int model_fill(unsigned long addr, size_t len);
void model_seal(unsigned long addr);
void model_free(unsigned long addr);
void model_lookup(unsigned long addr);
void model_drain(struct model_pool *mpool);
void model_walk(struct model_pool *mpool);
void model_draw(struct model_pool *mpool);
void model_recover_leaked(void);
void model_free_all(void);

#endif /* _EXECMEM_TEST_MODEL_H */
