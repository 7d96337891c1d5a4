/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the allocator of dynamic kernel code share.
 *
 * Each file calls only files of the lines below its own:
 *
 *   execmem_debugfs.c   statistics, maps and lists for people
 *   execmem_shrinker.c  gives spare blocks back in memory reclaim
 *   execmem.c           the API, the table of types, boot parameters
 *   execmem_pool.c      pools: blocks cut into chunks, which are filled and freed
 *   execmem_block.c     maps blocks, changes their permissions
 *   execmem_check.c     verifies the invariants of a pool
 *   execmem_lookup.c    finds the block and the chunk at an address
 *   execmem_debug.c     tells KASAN, kmemleak and others about chunks
 *
 * execmem_block.c reads those members of &struct execmem_pool only that are
 * constant. execmem_check.c and execmem_debugfs.c read all of them, under the
 * pool's lock. tools/testing/execmem/ builds execmem.c, execmem_pool.c,
 * execmem_check.c and execmem_lookup.c in user space, with a version of its own
 * of execmem_kernel.h.
 */
#ifndef _MM_EXECMEM_INTERNAL_H
#define _MM_EXECMEM_INTERNAL_H

#include "execmem_kernel.h"

/* What one huge page maps; not used without them */
#ifdef PMD_SIZE
#define HUGE_BLOCK	PMD_SIZE
#else
#define HUGE_BLOCK	0UL
#endif

/* Where is @addr, compared to a range? Smaller, greater or, with 0, inside. */
static inline int execmem_compare(unsigned long addr, unsigned long start,
				  size_t size)
{
	execmem_count_visit();
	if (addr < start)
		return -1;
	return addr - start >= size;
}

/**
 * enum execmem_reason - why a block is what it is
 * @EXECMEM_AS_REQUESTED: it is what the type asks for
 * @EXECMEM_SMALL_START: it is small because little is used and memory is scarce
 * @EXECMEM_NOT_HUGE: there was no huge page, or vmalloc did not map one
 * @EXECMEM_NO_ROOM: there was not enough memory or no room for a whole granule
 * @EXECMEM_SPLIT: the huge mapping was split when its permissions changed
 * @EXECMEM_NR_REASONS: number of reasons
 */
enum execmem_reason {
	EXECMEM_AS_REQUESTED,
	EXECMEM_SMALL_START,
	EXECMEM_NOT_HUGE,
	EXECMEM_NO_ROOM,
	EXECMEM_SPLIT,
	EXECMEM_NR_REASONS,
};

/**
 * struct execmem_stats - events of one pool since boot
 * @allocs: chunks handed out
 * @frees: chunks taken back
 * @fills: successful fills
 * @grown: blocks mapped
 * @shrunk: blocks given back
 * @blocks: @grown by &enum execmem_reason
 * @failures: allocations that failed
 * @pred_flushes: predictor flushes
 */
struct execmem_stats {
	unsigned long allocs;
	unsigned long frees;
	unsigned long fills;
	unsigned long grown;
	unsigned long shrunk;
	unsigned long blocks[EXECMEM_NR_REASONS];
	unsigned long failures;
	unsigned long pred_flushes;
};

static inline unsigned long execmem_fallbacks(struct execmem_stats *stats)
{
	return stats->blocks[EXECMEM_NOT_HUGE] +
		stats->blocks[EXECMEM_NO_ROOM] + stats->blocks[EXECMEM_SPLIT];
}

/**
 * struct execmem_pool - all memory of one type and of those merged into it
 * @name: for statistics; constant
 * @type: the type whose description this is; constant
 * @range: the type's description, which is read-only; constant
 * @shared: chunks share blocks; constant
 * @unit_shift: binary logarithm of the unit that blocks are cut into; constant
 * @hint: where a new block is tried first; constant
 * @grow_lock: held while a block is added, so that concurrent allocations wait
 *	for one new block instead of adding one each; taken before @lock
 * @lock: protects all members below and all chunks and blocks of the pool. A
 *	leaf apart from memory allocation's own locks: no hook, no permission
 *	change and no wait happens under it.
 * @chunks: all chunks, free or not, by address, see I1
 * @blocks: all blocks, in order of birth
 * @spare: the block without any live chunk, if there is one, see I6
 * @nr_blocks: number of @blocks
 * @nr_huge: blocks mapped by huge pages only
 * @nr_chunks: chunks that are not free
 * @reserved: sum of the sizes of @blocks, in bytes
 * @used: sum of the sizes of the chunks that are not free, in bytes
 * @stats: see &struct execmem_stats
 */
struct execmem_pool {
	const char *name;
	enum execmem_type type;
	const struct execmem_range *range;
	bool shared;
	unsigned int unit_shift;
	unsigned long hint;

	struct mutex grow_lock;
	spinlock_t lock;
	struct rb_root chunks;
	struct list_head blocks;
	struct execmem_block *spare;
	unsigned long nr_blocks;
	unsigned long nr_huge;
	unsigned long nr_chunks;
	size_t reserved;
	size_t used;
	struct execmem_stats stats;
};

/**
 * struct execmem_block - memory that was mapped as a whole
 * @node: in the tree of all blocks, see mm/execmem_lookup.c
 * @rcu: for freeing the block
 * @list: in the pool's list; protected by the pool's lock
 * @pool: the owner; constant
 * @caller: who asked for the first chunk; constant
 * @start: first address; constant once mapped
 * @size: in bytes; constant once mapped
 * @huge: every part is mapped by a huge page; constant once mapped
 * @reason: whether it is what the type asks for; constant once mapped
 * @used: bytes in chunks that are not free; protected by the pool's lock
 * @starts: bitmap of the units that live chunks start at; written under the
 *	pool's lock, read under RCU
 * @ends: bitmap of the units that live chunks end with; as @starts
 */
struct execmem_block {
	struct latch_tree_node node;
	struct rcu_head rcu;
	struct list_head list;
	struct execmem_pool *pool;
	void *caller;
	unsigned long start;
	size_t size;
	bool huge;
	enum execmem_reason reason;
	size_t used;
	unsigned long *starts;
	unsigned long *ends;
};

/**
 * enum execmem_state - what may be done with a chunk
 * @EXECMEM_FREE: can be handed out
 * @EXECMEM_OPEN: belongs to a caller and can be filled
 * @EXECMEM_SEALED: belongs to a caller and can only be freed
 * @EXECMEM_DYING: freed by its owner but not yet overwritten
 */
enum execmem_state {
	EXECMEM_FREE,
	EXECMEM_OPEN,
	EXECMEM_SEALED,
	EXECMEM_DYING,
};

/**
 * struct execmem_chunk - a part of a block, either free or handed out
 * @node: in the pool's tree
 * @start: first address
 * @size: in bytes
 * @max_free: size of the largest free chunk in the subtree of @node
 * @block: the block; constant
 * @state: see &enum execmem_state
 * @type: what it was allocated for; meaningless while free
 * @caller: who allocated it; meaningless while free
 * @fills: fills in flight; the last one completes a free that came meanwhile
 * @seq: number of the latest free that gave addresses of this chunk back, see
 *	flush_predictors()
 *
 * All members are protected by the pool's lock.
 */
struct execmem_chunk {
	struct rb_node node;
	unsigned long start;
	size_t size;
	size_t max_free;
	struct execmem_block *block;
	enum execmem_state state;
	enum execmem_type type;
	void *caller;
	unsigned int fills;
	u64 seq;
};

#define EXECMEM_MAP_PARTS	64

/**
 * struct execmem_map - how full a block is
 * @start: first address of the block
 * @size: size of the block in bytes
 * @huge: the block is mapped by huge pages only
 * @caller: who asked for the block's first chunk
 * @nr_chunks: live chunks
 * @nr_units: units in the block
 * @nr_used: units in live chunks
 * @used: the same for each of the equal parts that the block is divided into
 */
struct execmem_map {
	unsigned long start;
	size_t size;
	bool huge;
	void *caller;
	unsigned long nr_chunks;
	unsigned long nr_units;
	unsigned long nr_used;
	unsigned long used[EXECMEM_MAP_PARTS];
};

/* The units of one part; parts share a unit where there are less than parts. */
static inline unsigned long execmem_part_start(struct execmem_map *map,
					       unsigned int part)
{
	return part * map->nr_units / EXECMEM_MAP_PARTS;
}

static inline unsigned long execmem_part_end(struct execmem_map *map,
					     unsigned int part)
{
	return max(execmem_part_start(map, part) + 1,
		   execmem_part_start(map, part + 1));
}

/* === Small parts of a pool, for execmem_pool.c and execmem_check.c ======== */

/* Smallest unit that a pool cuts its blocks into. */
static inline size_t execmem_unit(struct execmem_pool *pool)
{
	return (size_t)1 << pool->unit_shift;
}

static inline struct execmem_chunk *execmem_to_chunk(const struct rb_node *node)
{
	return rb_entry(node, struct execmem_chunk, node);
}

static inline bool execmem_is_live(struct execmem_chunk *chunk)
{
	return chunk->state == EXECMEM_OPEN || chunk->state == EXECMEM_SEALED;
}

static inline size_t execmem_free_size(struct execmem_chunk *chunk)
{
	return chunk->state == EXECMEM_FREE ? chunk->size : 0;
}

/* Size of the largest free chunk in the subtree of @node, which may be %NULL. */
static inline size_t execmem_max_free(struct rb_node *node)
{
	return node ? execmem_to_chunk(node)->max_free : 0;
}

static inline int execmem_compare_chunk(const void *addr,
					const struct rb_node *node)
{
	const struct execmem_chunk *chunk = execmem_to_chunk(node);

	return execmem_compare(*(const unsigned long *)addr, chunk->start,
			       chunk->size);
}

/* Find the chunk that contains @addr, free or not. */
static inline struct execmem_chunk *execmem_chunk_at(struct execmem_pool *pool,
						     unsigned long addr)
{
	struct rb_node *node;

	lockdep_assert_held(&pool->lock);

	node = rb_find(&addr, &pool->chunks, execmem_compare_chunk);
	return node ? execmem_to_chunk(node) : NULL;
}

/* A spare may double what the pool reserves, but not more. */
static inline bool execmem_can_be_spare(struct execmem_block *block)
{
	struct execmem_pool *pool = block->pool;

	return pool->shared && !(pool->range->flags & EXECMEM_GUARD) &&
		block->reason == EXECMEM_AS_REQUESTED &&
		block->size == pool->range->granularity &&
		block->size <= pool->reserved - block->size;
}

/* === mm/execmem.c: which pool serves a type =============================== */

struct execmem_pool *execmem_pool_of(enum execmem_type type);
const char *execmem_type_name(enum execmem_type type);

/* The pool of a type, or %NULL for one that is merged into another type. */
static inline struct execmem_pool *execmem_own_pool(enum execmem_type type)
{
	struct execmem_pool *pool = execmem_pool_of(type);

	return pool && pool->type == type ? pool : NULL;
}

/* === mm/execmem_pool.c: blocks cut into chunks ============================ */

void execmem_pools_init(void);
void execmem_pool_init(struct execmem_pool *pool, const char *name,
		       enum execmem_type type, const struct execmem_range *range);
void *execmem_pool_alloc(struct execmem_pool *pool, enum execmem_type type,
			 size_t size, size_t align, bool flush);
void *execmem_pool_alloc_caller(struct execmem_pool *pool,
				enum execmem_type type, size_t size,
				size_t align, bool flush, void *caller);
int execmem_pool_fill(unsigned long addr, const void *src, size_t len);
int execmem_pool_seal(unsigned long addr);
void execmem_pool_free(unsigned long addr);
size_t execmem_pool_drain(struct execmem_pool *pool);
size_t execmem_pool_max_free(struct execmem_pool *pool);
size_t execmem_pool_largest_free(struct execmem_pool *pool);
bool execmem_pool_next(struct execmem_pool *pool, unsigned long addr,
		       struct execmem_chunk *copy);

/* === mm/execmem_block.c: pages and permissions ============================ */

bool execmem_block_map(struct execmem_block *block, size_t size,
		       size_t reserved);
bool execmem_block_unmap(struct execmem_block *block);

/* === mm/execmem_check.c: the invariants =================================== */

int execmem_pool_check(struct execmem_pool *pool);

/* === mm/execmem_lookup.c: from an address to what is there ================ */

bool execmem_marks_alloc(struct execmem_block *block);
void execmem_block_publish(struct execmem_block *block);
void execmem_block_withdraw(struct execmem_block *block);
void execmem_block_free(struct execmem_block *block);
struct execmem_pool *execmem_pool_at(unsigned long addr);
void execmem_mark_live(struct execmem_chunk *chunk);
void execmem_mark_dead(struct execmem_chunk *chunk);
bool execmem_is_marked(const struct execmem_chunk *chunk);
unsigned long execmem_count_marks(struct execmem_block *block);
bool execmem_pool_map(struct execmem_pool *pool, unsigned long addr,
		      struct execmem_map *map);

/* === mm/execmem_debug.c: what checkers are told =========================== */

void execmem_debug_map(struct execmem_block *block);
void execmem_debug_ready(struct execmem_block *block);
void execmem_debug_alloc(struct execmem_chunk *chunk, size_t size);
void execmem_debug_free_begin(struct execmem_chunk *chunk);
void execmem_debug_free_end(struct execmem_chunk *chunk);

#endif /* _MM_EXECMEM_INTERNAL_H */
