/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What mm/execmem.c, its backing memory and its tests share.
 *
 * tools/testing/execmem/ builds mm/execmem.c in user space with another version
 * of the first part of this header and of mm/execmem_block.c.
 */
#ifndef _MM_EXECMEM_INTERNAL_H
#define _MM_EXECMEM_INTERNAL_H

#ifndef EXECMEM_USERSPACE
#include <kunit/test-bug.h>
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/bug.h>
#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/kmemleak.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/random.h>
#include <linux/rbtree_augmented.h>
#include <linux/rbtree_latch.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <trace/events/execmem.h>

/* The user space build counts the tree nodes that an operation looks at. */
static inline void execmem_count_visit(void) {}
#endif

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
 * enum execmem_why_small - why a block is what it is
 * @EXECMEM_AS_WANTED: it is what the type asks for
 * @EXECMEM_FRUGAL: it is small because little is used and memory is scarce
 * @EXECMEM_NOT_HUGE: there was no huge page, or vmalloc did not map one
 * @EXECMEM_NO_ROOM: there was not enough memory or no room for a whole granule
 * @EXECMEM_SPLIT: the huge mapping was split when its permissions changed
 * @EXECMEM_NR_WHY: number of reasons
 */
enum execmem_why_small {
	EXECMEM_AS_WANTED,
	EXECMEM_FRUGAL,
	EXECMEM_NOT_HUGE,
	EXECMEM_NO_ROOM,
	EXECMEM_SPLIT,
	EXECMEM_NR_WHY,
};

/**
 * struct execmem_stats - events of one pool since boot
 * @allocs: chunks handed out
 * @frees: chunks taken back
 * @fills: successful fills
 * @grown: blocks mapped
 * @shrunk: blocks given back
 * @blocks: @grown by &enum execmem_why_small
 * @failures: allocations that failed
 * @pred_flushes: predictor flushes
 */
struct execmem_stats {
	unsigned long allocs;
	unsigned long frees;
	unsigned long fills;
	unsigned long grown;
	unsigned long shrunk;
	unsigned long blocks[EXECMEM_NR_WHY];
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
 * @why_small: whether it is what the type asks for; constant once mapped
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
	enum execmem_why_small why_small;
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
 * @stamp: number of the latest free that gave addresses of this chunk back, see
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
	u64 stamp;
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

/* mm/execmem.c, for tests, statistics and memory reclaim */
void execmem_pool_init(struct execmem_pool *pool, const char *name,
		       enum execmem_type type, const struct execmem_range *range);
size_t execmem_pool_drain(struct execmem_pool *pool);
void *execmem_pool_alloc(struct execmem_pool *pool, enum execmem_type type,
			 size_t size, size_t align, bool flush);
struct execmem_pool *execmem_pool_of(enum execmem_type type);
size_t execmem_pool_largest_free(struct execmem_pool *pool);
size_t execmem_pool_max_free(struct execmem_pool *pool);
int execmem_pool_check(struct execmem_pool *pool);
bool execmem_pool_next(struct execmem_pool *pool, unsigned long addr,
		       struct execmem_chunk *copy);
const char *execmem_type_name(enum execmem_type type);

/* The pool of a type, or %NULL for one that is merged into another type. */
static inline struct execmem_pool *execmem_own_pool(enum execmem_type type)
{
	struct execmem_pool *pool = execmem_pool_of(type);

	return pool && pool->type == type ? pool : NULL;
}

/* mm/execmem_block.c: pages and permissions */
bool execmem_block_map(struct execmem_block *block, size_t size);
bool execmem_block_unmap(struct execmem_block *block);
void execmem_chunk_born(struct execmem_chunk *chunk, size_t size);
void execmem_chunk_dying(struct execmem_chunk *chunk);
void execmem_chunk_dead(struct execmem_chunk *chunk);

/* mm/execmem_lookup.c: from an address to what is there */
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

#ifndef EXECMEM_USERSPACE
/*
 * Report a caller's mistake. A test that makes one on purpose counts the
 * reports instead, so that a warning on the console of a test run is always a
 * failure.
 */
extern unsigned int execmem_test_reports;
extern bool execmem_test_running;

#define execmem_report(fmt, ...)					\
do {									\
	if (execmem_test_running && kunit_get_current_test())		\
		execmem_test_reports++;					\
	else								\
		WARN_ONCE(1, "execmem: " fmt, ##__VA_ARGS__);		\
} while (0)
#endif

#endif /* _MM_EXECMEM_INTERNAL_H */
