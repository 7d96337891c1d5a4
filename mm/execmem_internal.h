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
#include <linux/slab.h>
#include <linux/spinlock.h>

/* The user space build counts the tree nodes that an operation looks at. */
static inline void execmem_count_visit(void) {}
#endif

/**
 * struct execmem_stats - events of one pool since boot
 * @allocs: chunks handed out
 * @frees: chunks taken back
 * @fills: successful fills
 * @grown: blocks mapped
 * @shrunk: blocks given back
 * @fallbacks: blocks smaller than the granularity, or mapped by base pages
 *	although the type wants huge pages
 * @failures: allocations that failed
 * @pred_flushes: predictor flushes
 */
struct execmem_stats {
	unsigned long allocs;
	unsigned long frees;
	unsigned long fills;
	unsigned long grown;
	unsigned long shrunk;
	unsigned long fallbacks;
	unsigned long failures;
	unsigned long pred_flushes;
};

/**
 * struct execmem_pool - all memory of one type and of those merged into it
 * @name: for statistics; constant
 * @range: the type's description; constant
 * @shared: chunks share blocks; constant
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
	struct execmem_range range;
	bool shared;
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
 * @node: in the tree of all blocks; protected by execmem_blocks_lock
 * @list: in the pool's list; protected by the pool's lock
 * @pool: the owner; constant
 * @caller: who asked for the first chunk; constant
 * @start: first address; constant once mapped
 * @size: in bytes; constant once mapped
 * @huge: every part is mapped by a huge page; constant once mapped
 * @fallback: not what the type asks for; constant once mapped
 * @used: bytes in chunks that are not free; protected by the pool's lock
 */
struct execmem_block {
	struct rb_node node;
	struct list_head list;
	struct execmem_pool *pool;
	void *caller;
	unsigned long start;
	size_t size;
	bool huge;
	bool fallback;
	size_t used;
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
	unsigned int fills;
	u64 stamp;
};

/* mm/execmem.c, for tests and statistics */
void execmem_pool_init(struct execmem_pool *pool, const char *name,
		       const struct execmem_range *range);
void execmem_pool_drain(struct execmem_pool *pool);
void *execmem_pool_alloc(struct execmem_pool *pool, enum execmem_type type,
			 size_t size, size_t align, bool flush);
struct execmem_pool *execmem_pool_of(enum execmem_type type);
size_t execmem_pool_largest_free(struct execmem_pool *pool);
int execmem_pool_check(struct execmem_pool *pool);
const char *execmem_type_name(enum execmem_type type);

/* mm/execmem_block.c: pages and permissions */
bool execmem_block_map(struct execmem_block *block, size_t size);
bool execmem_block_unmap(struct execmem_block *block);

#ifndef EXECMEM_USERSPACE
/*
 * Report a caller's mistake. A test that makes one on purpose counts the
 * reports instead, so that a warning on the console of a test run is always a
 * failure.
 */
extern unsigned int execmem_test_reports;

#define execmem_report(fmt, ...)					\
do {									\
	if (kunit_get_current_test())					\
		execmem_test_reports++;					\
	else								\
		WARN_ONCE(1, "execmem: " fmt, ##__VA_ARGS__);		\
} while (0)
#endif

#endif /* _MM_EXECMEM_INTERNAL_H */
