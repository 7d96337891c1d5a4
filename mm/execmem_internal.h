/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Internals of the execmem allocator.
 *
 * A file calls only functions of files that are listed after it. There are four
 * exceptions, none of which calls the allocator: execmem_spare_kept() and
 * execmem_rest_kept() queue delayed work items, execmem_type_name() reads a
 * table, and execmem_block_find_page() reads the page table.
 *
 *   execmem_debugfs.c   statistics, maps and lists in debugfs
 *   execmem_oops.c      names the unloaded module whose memory caused an oops
 *   execmem_shrinker.c  gives back spare blocks after some seconds, and when
 *                       memory is short
 *   execmem.c           API, table of types, boot parameters
 *   execmem_pool.c      cuts blocks into chunks; fills and frees chunks
 *   execmem_chunk.c     keeps the chunks of a pool in a tree
 *   execmem_perm.c      undoes changes of permissions by others
 *   execmem_grow.c      decides how large new blocks are, and where
 *   execmem_block.c     maps blocks and changes their permissions
 *   execmem_rest.c      poisons freed memory of modules, and decides how long
 *                       it rests: it is in quarantine
 *   execmem_check.c     verifies the invariants of a pool
 *   execmem_lookup.c    finds the block and the chunk at an address
 *   execmem_debug.c     reports chunks to KASAN, kmemleak and other checkers;
 *                       names their owners in messages; instantiates the
 *                       trace points
 *
 * The trace points are in include/trace/events/execmem.h. The hooks and the
 * table of an architecture are where it defines execmem_arch_setup(), on x86 in
 * arch/x86/mm/execmem.c.
 *
 * execmem_block.c reads only the constant members of &struct execmem_pool.
 * execmem_check.c and execmem_debugfs.c read all of them, under the pool's
 * lock. tools/testing/execmem/ builds execmem.c, execmem_pool.c,
 * execmem_chunk.c, execmem_perm.c, execmem_grow.c, execmem_rest.c,
 * execmem_check.c and execmem_lookup.c in user space, with its own version of
 * execmem_kernel.h.
 */
#ifndef _MM_EXECMEM_INTERNAL_H
#define _MM_EXECMEM_INTERNAL_H

#include "execmem_kernel.h"

/* How long no huge page is asked for after there was none, in jiffies */
#define EXECMEM_HUGE_RETRY	HZ

/* How long an empty block is kept for the next allocation, in jiffies */
#define EXECMEM_SPARE_TIME	(3 * HZ)

/* Size of a huge page in bytes; 0 if the architecture has none */
#ifdef PMD_SIZE
#define HUGE_BLOCK	PMD_SIZE
#else
#define HUGE_BLOCK	0UL
#endif

/*
 * Returns -1 if @addr is before the range, 0 if it is inside, 1 if it is after.
 */
static inline int execmem_compare(unsigned long addr, unsigned long start,
				  size_t size)
{
	execmem_count_visit();
	if (addr < start)
		return -1;
	return addr - start >= size;
}

/**
 * enum execmem_reason - why a block is smaller, or mapped by smaller pages,
 *	than the type asks for
 * @EXECMEM_AS_REQUESTED: the block is as the type asks for
 * @EXECMEM_SMALL_START: the pool starts with small blocks
 * @EXECMEM_NOT_HUGE: there was no huge page, or vmalloc did not use one
 * @EXECMEM_NO_ROOM: there was not enough memory or address space for a whole
 *	block
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
 * @grown: blocks added
 * @enlarged: times that a block got more memory
 * @shrunk: blocks given back
 * @blocks: blocks added, by &enum execmem_reason
 * @failures: failed allocations
 * @pred_flushes: flushes of the branch predictors
 * @leaked: bytes that were freed and are never used again: in blocks that could
 *	not be given back, and are in no other number; and in chunks that could
 *	not be overwritten, and count as used
 * @syncs: synchronizations of all CPUs before programs got memory of modules
 * @attr_changes: changes of attributes by owners of chunks
 * @attr_refusals: changes of attributes that were refused
 * @attr_restores: frees of chunks or blocks that had to undo such changes
 * @poisoned: chunks and blocks that are not used again, as their memory failed
 * @rests: freed chunks that were put to rest
 * @rests_cut: rests that ended before they were due, see &enum execmem_rest_end
 * @rest_writes: chunks that were written to while they rested
 * @holds: times that a chunk was held, since somebody referred to its pages
 *
 * Protected by the pool's lock.
 */
struct execmem_stats {
	unsigned long allocs;
	unsigned long frees;
	unsigned long fills;
	unsigned long grown;
	unsigned long enlarged;
	unsigned long shrunk;
	unsigned long blocks[EXECMEM_NR_REASONS];
	unsigned long failures;
	unsigned long pred_flushes;
	unsigned long leaked;
	unsigned long syncs;
	unsigned long attr_changes;
	unsigned long attr_refusals;
	unsigned long attr_restores;
	unsigned long poisoned;
	unsigned long rests;
	unsigned long rests_cut;
	unsigned long rest_writes;
	unsigned long holds;
};

/* Blocks that are not as the type asks for, except small ones at the start */
static inline unsigned long execmem_fallbacks(struct execmem_stats *stats)
{
	return stats->blocks[EXECMEM_NOT_HUGE] +
		stats->blocks[EXECMEM_NO_ROOM] + stats->blocks[EXECMEM_SPLIT];
}

/**
 * struct execmem_pool - memory of one type and of the types merged into it
 * @name: name in statistics; constant
 * @type: the type that owns the pool; others may be merged into it; constant
 * @range: description of @type; constant
 * @shared: true if chunks share blocks; constant
 * @unit_shift: binary logarithm of the unit that blocks are cut into; constant
 * @hint: address that is tried first for a new block; constant
 * @base_hint: the same for a block of base pages; constant
 * @huge_end: blocks of huge pages are below this, if there is room; constant
 * @grow_lock: serializes adding blocks to a shared pool. Tasks that find no
 *	free chunk wait for one new block, instead of adding one each. Taken
 *	before @lock.
 * @lock: protects the members below, and the chunks and blocks of the pool.
 *	Under it, no hook is called, no permission is changed, and nothing
 *	sleeps. Only locks of the memory allocator, and those of timers and
 *	work queues, are taken under it.
 * @chunks: all chunks, free or not, by address; see I1
 * @last: the chunk that was allocated last, or %NULL if it is gone; a hint for
 *	execmem_chunk_at()
 * @nodes: descriptions of removed chunks of a shared pool, kept for the next
 *	allocations
 * @nr_nodes: number of @nodes
 * @blocks: all blocks, oldest first
 * @tail: the block whose reserved addresses are used next, or %NULL
 * @growing: the block that gets more memory, or %NULL. It is not given back,
 *	even if its last chunk is freed. Changed under @grow_lock, too.
 * @spare: the block without chunks in use that is kept for the next allocation,
 *	or %NULL; see I6. count_pages() reads it without @lock.
 * @spare_until: when @spare is given back, in jiffies; not valid without it
 * @nr_blocks: number of @blocks
 * @nr_huge: number of blocks that are mapped by huge pages only
 * @nr_not_huge: number of blocks that have base pages for lack of huge ones
 * @huge_retry: after this, try to replace such blocks, in jiffies
 * @rests: notes of the chunks that rest, oldest first
 * @nr_rests: number of @rests
 * @resting: sum of the sizes of the chunks that rest, in bytes; part of @used.
 *	count_pages() reads it without @lock.
 * @holds: notes of the chunks that are held
 * @nr_holds: number of @holds
 * @held: sum of the sizes of the chunks that are held, in bytes; part of @used
 * @code_frees: how often memory that programs may get, and that had other code,
 *	was given back. need_sync() reads it without @lock.
 * @code_synced: @code_frees as it was before the latest synchronization of all
 *	CPUs began; read in the same way
 * @nr_chunks: number of chunks that are not free
 * @reserved: sum of the sizes of @blocks in bytes. mm/execmem_grow.c reads it
 *	and @used without @lock, since outdated values only affect the size of
 *	a new block.
 * @reserved_base: the part of @reserved that is mapped by base pages
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
	unsigned long base_hint;
	unsigned long huge_end;

	struct mutex grow_lock;
	spinlock_t lock;
	struct rb_root chunks;
	struct execmem_chunk *last;
	struct execmem_chunk *nodes[4];
	unsigned int nr_nodes;
	struct list_head blocks;
	struct execmem_block *tail;
	struct execmem_block *growing;
	struct execmem_block *spare;
	unsigned long spare_until;
	unsigned long nr_blocks;
	unsigned long nr_huge;
	unsigned long nr_not_huge;
	unsigned long huge_retry;
	struct list_head rests;
	unsigned long nr_rests;
	size_t resting;
	struct list_head holds;
	unsigned long nr_holds;
	size_t held;
	unsigned long code_frees;
	unsigned long code_synced;
	unsigned long nr_chunks;
	size_t reserved;
	size_t reserved_base;
	size_t used;
	struct execmem_stats stats;
};

/**
 * struct execmem_block - a range of addresses that was mapped as a whole
 * @node: entry in the tree of all blocks, see mm/execmem_lookup.c. Changed
 *	under the lock of that tree, read under RCU.
 * @rcu: for freeing this after a grace period
 * @list: entry in the pool's list of blocks; protected by the pool's lock
 * @pool: the pool it belongs to; constant
 * @caller: return address of the caller that needed it first; constant
 * @start: first address; constant after it was mapped
 * @area: vmalloc's description of a block of a shared pool; constant
 * @room: reserved addresses from @start on, in bytes; at least @size. Changed
 *	under the pool's grow_lock.
 * @size: size in bytes of what is mapped. It only increases, under the pool's
 *	grow_lock and lock. Lookups read it under RCU.
 * @huge: true if all of it is mapped by huge pages; protected by the pool's lock
 *	after it was mapped
 * @reason: see &enum execmem_reason; protected in the same way
 * @changed: true if somebody changed attributes of a page; protected by the
 *	pool's lock. execmem_restore_chunk() reads it without.
 * @used: bytes in chunks that are not free; protected by the pool's lock
 * @changes: number of changes of @starts and @ends. Written under the pool's
 *	lock, read under RCU.
 * @starts: bitmap with a bit for each unit, set if a live chunk starts there.
 *	Written under the pool's lock, read under RCU.
 * @ends: bitmap with a bit for each unit, set if it is the last unit of a live
 *	chunk. Allocated together with @starts, and protected in the same way.
 * @types: half a byte for each unit: the type of the chunk that starts there.
 *	Allocated and protected like @ends.
 */
struct execmem_block {
	struct latch_tree_node node;
	struct rcu_head rcu;
	struct list_head list;
	struct execmem_pool *pool;
	void *caller;
	struct vm_struct *area;
	unsigned long start;
	size_t room;
	size_t size;
	bool huge;
	enum execmem_reason reason;
	bool changed;
	size_t used;
	unsigned int changes;
	unsigned long *starts;
	unsigned long *ends;
	u8 *types;
};

/**
 * enum execmem_state - state of a chunk
 * @EXECMEM_FREE: can be handed out
 * @EXECMEM_OPEN: in use, can be filled. Live.
 * @EXECMEM_SEALED: in use, cannot be filled. Live.
 * @EXECMEM_DYING: freed by its user, but not overwritten yet
 * @EXECMEM_HELD: freed by its user, but somebody refers to its pages. Only
 *	executable memory was overwritten.
 * @EXECMEM_RESTING: freed by its user and overwritten, but not handed out yet
 */
enum execmem_state {
	EXECMEM_FREE,
	EXECMEM_OPEN,
	EXECMEM_SEALED,
	EXECMEM_DYING,
	EXECMEM_HELD,
	EXECMEM_RESTING,
};

/* Longest name of an owner, with the terminating 0; as MODULE_NAME_LEN */
#define EXECMEM_OWNER_LEN	(64 - sizeof(unsigned long))

/**
 * struct execmem_rest - note of a chunk that rests or is held
 * @list: entry in the pool's list of rests or holds; protected by the pool's
 *	lock
 * @chunk: the chunk; constant after the rest or hold began
 * @freed: time when the chunk was freed, in jiffies; constant
 * @since: time when the rest began, in jiffies; constant after it began
 * @number: stats.rests of the pool when the rest began; constant after it began
 * @owner: name of the module that the chunk belonged to; constant
 *
 * Belongs to the task that frees the chunk, then to the pool, and then to the
 * task that ends the rest.
 */
struct execmem_rest {
	struct list_head list;
	struct execmem_chunk *chunk;
	unsigned long freed;
	unsigned long since;
	unsigned long number;
	char owner[EXECMEM_OWNER_LEN];
};

/*
 * A rest is due when it has lasted EXECMEM_REST_MIN and EXECMEM_REST_FREES later
 * rests of the pool have begun. From then on it ends if the pool would have to
 * grow otherwise, and after EXECMEM_REST_MAX in any case. It ends earlier if too
 * much rests, or if memory is short.
 */
#define EXECMEM_REST_MIN	(4 * HZ)
#define EXECMEM_REST_MAX	(6 * HZ)
#define EXECMEM_REST_FREES	32

/* At most this much of a pool rests, or one chunk if that is larger. */
#define EXECMEM_REST_BYTES	((size_t)SZ_2M)

/* How often to find out whether somebody still refers to chunks that are held */
#define EXECMEM_HOLD_TIME	(2 * HZ)

/**
 * enum execmem_rest_end - which rests to end
 * @EXECMEM_REST_EXPIRED: those that lasted as long as a rest may
 * @EXECMEM_REST_DUE: also those that are due
 * @EXECMEM_REST_EXCESS: the oldest ones, while too much memory rests
 * @EXECMEM_REST_ALL: all of them, since memory or addresses are short
 */
enum execmem_rest_end {
	EXECMEM_REST_EXPIRED,
	EXECMEM_REST_DUE,
	EXECMEM_REST_EXCESS,
	EXECMEM_REST_ALL,
};

/**
 * struct execmem_chunk - a part of a block, either free or in use
 * @node: entry in the pool's tree
 * @start: first address
 * @size: size in bytes
 * @max_free: size in bytes of the largest free chunk in the subtree of @node
 * @block: the block that it is a part of; constant
 * @state: see &enum execmem_state
 * @type: the type that was asked for; not valid while free
 * @caller: return address of the caller; not valid while free
 * @fills: number of fills in progress. If the chunk is freed during a fill, the
 *	last fill completes the free.
 * @rest: note of the rest, if the chunk rests, is held, or is going to rest, or
 *	%NULL
 * @seq: latest sequence number of a free of any part of it, or of the mapping
 *	of its block; see flush_predictors()
 *
 * All members are protected by the pool's lock. The start, size and block of a
 * chunk do not change while it is in use, so its user may read them without the
 * lock.
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
	struct execmem_rest *rest;
	u64 seq;
};

/**
 * struct execmem_resting - the chunk at an address, if it rests or is held
 * @owner: name of the module that it belonged to
 * @type: the type that was asked for
 * @offset: of the address from the start of the chunk
 * @age_ms: how long ago it was freed, in milliseconds
 */
struct execmem_resting {
	char owner[EXECMEM_OWNER_LEN];
	enum execmem_type type;
	unsigned long offset;
	unsigned int age_ms;
};

/* Number of parts in the picture of a block */
#define EXECMEM_MAP_PARTS	64

/**
 * struct execmem_map - picture of how full a block is
 * @start: first address of the block
 * @size: size of the block in bytes
 * @huge: true if the block is mapped by huge pages only
 * @caller: return address of the caller that needed the block first
 * @nr_chunks: number of live chunks
 * @nr_units: number of units in the block
 * @nr_used: number of units in live chunks
 * @used: number of units in live chunks for each part of the block; the parts
 *	have equal sizes, up to rounding
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

/*
 * The first unit of a part, and the first unit after it. If the block has fewer
 * units than parts, several parts show the same unit.
 */
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

/**
 * struct execmem_request - parameters of one allocation
 * @type: what the memory is used for
 * @caller: return address of the caller, for debugging
 * @size: size in bytes, rounded up to the pool's unit
 * @align: alignment in bytes, not less than the pool's unit
 * @base_will_do: a huge page was tried, or is not wanted
 * @wants_clean: prefer memory that needs no flush of the branch predictors
 * @clean_seq: such memory has this sequence number or a lower one
 * @nodes: chunk descriptions that were allocated before locks were taken
 * @nr_nodes: number of @nodes that are not used yet
 *
 * Local to the task that allocates.
 */
struct execmem_request {
	enum execmem_type type;
	void *caller;
	size_t size;
	size_t align;
	bool base_will_do;
	bool wants_clean;
	u64 clean_seq;
	struct execmem_chunk *nodes[3];
	unsigned int nr_nodes;
};

/* === Small parts of a pool, for several files ============================= */

/* Size in bytes of the unit that a pool cuts its blocks into */
static inline size_t execmem_unit(struct execmem_pool *pool)
{
	return (size_t)1 << pool->unit_shift;
}

static inline struct execmem_chunk *execmem_to_chunk(const struct rb_node *node)
{
	return rb_entry(node, struct execmem_chunk, node);
}

/* A live chunk belongs to a caller. Only live chunks can be looked up. */
static inline bool execmem_is_live(struct execmem_chunk *chunk)
{
	return chunk->state == EXECMEM_OPEN || chunk->state == EXECMEM_SEALED;
}

/* BPF programs, trampolines and the like */
static inline bool execmem_is_bpf(enum execmem_type type)
{
	return type == EXECMEM_BPF || type == EXECMEM_BPF_CLASSIC;
}

static inline size_t execmem_free_size(struct execmem_chunk *chunk)
{
	return chunk->state == EXECMEM_FREE ? chunk->size : 0;
}

/*
 * Size of the largest free chunk in the subtree of @node, which may be %NULL.
 */
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
	struct execmem_chunk *chunk = pool->last;
	struct rb_node *node;

	lockdep_assert_held(&pool->lock);

	/* Most chunks are filled and sealed right after their allocation. */
	if (chunk && addr - chunk->start < chunk->size)
		return chunk;
	node = rb_find(&addr, &pool->chunks, execmem_compare_chunk);
	return node ? execmem_to_chunk(node) : NULL;
}

/*
 * A spare may double the memory that the pool reserves, but not more. Blocks of
 * sealed pages become larger as their pool grows; others are as large as the
 * table says, unless they were mapped for one large chunk.
 */
static inline bool execmem_can_be_spare(struct execmem_block *block)
{
	struct execmem_pool *pool = block->pool;
	size_t size = pool->range->granularity;

	return pool->shared && !(pool->range->flags & EXECMEM_GUARD) &&
		block->reason == EXECMEM_AS_REQUESTED &&
		(pool->range->seal ? block->size >= size : block->size == size) &&
		block->size <= pool->reserved - block->size;
}

/* === mm/execmem.c: which pool serves a type =============================== */

struct execmem_pool *execmem_pool_of(enum execmem_type type);
const char *execmem_type_name(enum execmem_type type);
void execmem_rest_kept(void);

/* The pool of a type, or %NULL if the type is merged into another one */
static inline struct execmem_pool *execmem_own_pool(enum execmem_type type)
{
	struct execmem_pool *pool = execmem_pool_of(type);

	return pool && pool->type == type ? pool : NULL;
}

/* === mm/execmem_shrinker.c: when spare blocks are given back ============== */

void execmem_spare_kept(void);

/* === mm/execmem_pool.c: blocks cut into chunks ============================ */

/**
 * enum execmem_fill_mode - the API function that writes to a chunk
 * @EXECMEM_FILL: execmem_fill()
 * @EXECMEM_FILL_LOCKED: execmem_fill_locked()
 * @EXECMEM_PUBLISH: execmem_publish()
 */
enum execmem_fill_mode {
	EXECMEM_FILL,
	EXECMEM_FILL_LOCKED,
	EXECMEM_PUBLISH,
};

void execmem_pool_init(struct execmem_pool *pool, const char *name,
		       enum execmem_type type, const struct execmem_range *range);
void *execmem_pool_alloc(struct execmem_pool *pool, enum execmem_type type,
			 size_t size, size_t align, bool flush);
void *execmem_pool_alloc_caller(struct execmem_pool *pool,
				enum execmem_type type, size_t size,
				size_t align, bool flush, void *caller);
int execmem_pool_fill(unsigned long addr, const void *src, size_t len,
		      enum execmem_fill_mode mode);
int execmem_pool_seal(unsigned long addr);
size_t execmem_pool_free(unsigned long addr);
void execmem_pool_retire(unsigned long addr, const char *owner);
void execmem_pool_end_holds(struct execmem_pool *pool);
bool execmem_pool_end_rests(struct execmem_pool *pool, enum execmem_rest_end which);
bool execmem_pool_resting_at(unsigned long addr, struct execmem_resting *resting);
size_t execmem_pool_drain(struct execmem_pool *pool);
unsigned long execmem_pool_expire(struct execmem_pool *pool);
size_t execmem_pool_max_free(struct execmem_pool *pool);
size_t execmem_pool_largest_free(struct execmem_pool *pool);
bool execmem_pool_next(struct execmem_pool *pool, unsigned long addr,
		       struct execmem_chunk *copy);

/* === mm/execmem_chunk.c: the tree of chunks =============================== */

void execmem_chunks_init(void);
bool execmem_nodes_reserve(struct execmem_request *req, unsigned int nr);
void execmem_nodes_release(struct execmem_request *req);
void execmem_nodes_drop(struct execmem_pool *pool);
struct execmem_chunk *execmem_chunk_find(struct execmem_pool *pool,
					 struct execmem_request *req);
struct execmem_chunk *execmem_chunk_add(struct execmem_pool *pool,
					struct execmem_block *block,
					struct execmem_request *req);
void execmem_chunk_remove(struct execmem_pool *pool,
			  struct execmem_chunk *chunk);
struct execmem_chunk *execmem_chunk_claim(struct execmem_pool *pool,
					  struct execmem_chunk *chunk,
					  size_t offset,
					  struct execmem_request *req);
struct execmem_chunk *execmem_chunk_free(struct execmem_pool *pool,
					 struct execmem_chunk *chunk);

struct execmem_chunk *execmem_chunk_extend(struct execmem_pool *pool,
					   struct execmem_block *block,
					   size_t size,
					   struct execmem_request *req);

/* === mm/execmem_grow.c: how much memory a pool gets, and where ============ */

void execmem_grow_init(struct execmem_pool *pools, unsigned int nr);
void execmem_place_init(struct execmem_pool *pool);
bool execmem_huge_is_due(struct execmem_pool *pool);
int execmem_grow_whole(struct execmem_block *block, size_t size, size_t align);
int execmem_grow_part(struct execmem_block *block, size_t size, size_t align);
bool execmem_grow_fits(struct execmem_block *block, size_t size, size_t align);
size_t execmem_grow_more(struct execmem_block *block, size_t size);
size_t execmem_first_offset(struct execmem_block *block, size_t size,
			    size_t align);

/* === mm/execmem_perm.c: changes of permissions by others ================== */

int execmem_restore_chunk(struct execmem_chunk *chunk);
int execmem_restore_block(struct execmem_block *block);

/* === mm/execmem_block.c: pages and permissions ============================ */

bool execmem_block_map_own(struct execmem_block *block, size_t size,
			   size_t align);
bool execmem_block_reserve(struct execmem_block *block, size_t align,
			   unsigned long start, unsigned long end);
void execmem_block_release(struct execmem_block *block);
int execmem_block_populate(struct execmem_block *block, size_t size,
			   bool best_effort);
void execmem_block_unmap(struct execmem_block *block);
bool execmem_block_is_huge(struct execmem_block *block);
bool execmem_pages_poisoned(unsigned long start, size_t size);
bool execmem_pages_referenced(unsigned long start, size_t size);
unsigned long execmem_block_find_page(struct execmem_block *block,
				      unsigned long from, unsigned long pfn,
				      unsigned long nr);

/* === mm/execmem_rest.c: freed memory that rests =========================== */

struct execmem_rest *execmem_rest_new(struct execmem_pool *pool,
				      const char *owner);
void execmem_rest_poison(struct execmem_chunk *chunk);
unsigned long execmem_rest_damage(struct execmem_chunk *chunk);
void execmem_rest_begin(struct execmem_chunk *chunk);
struct execmem_chunk *execmem_rest_pick(struct execmem_pool *pool,
					enum execmem_rest_end which);
void execmem_hold_begin(struct execmem_chunk *chunk);
struct execmem_chunk *execmem_hold_pick(struct execmem_pool *pool);
unsigned long execmem_rest_delay(struct execmem_pool *pool);

/* === mm/execmem_check.c: the invariants =================================== */

int execmem_pool_check(struct execmem_pool *pool);

/* === mm/execmem_lookup.c: find the block and the chunk at an address ====== */

bool execmem_marks_alloc(struct execmem_block *block);
void execmem_block_publish(struct execmem_block *block);
void execmem_block_withdraw(struct execmem_block *block);
void execmem_block_free(struct execmem_block *block);
struct execmem_pool *execmem_pool_at(unsigned long addr);
unsigned long execmem_find_page(unsigned long from, unsigned long pfn,
				unsigned long nr);
void execmem_mark_live(struct execmem_chunk *chunk);
void execmem_mark_dead(struct execmem_chunk *chunk);
bool execmem_is_marked(const struct execmem_chunk *chunk);
unsigned long execmem_count_marks(struct execmem_block *block);
bool execmem_pool_map(struct execmem_pool *pool, unsigned long addr,
		      struct execmem_map *map);

/* === mm/execmem_debug.c: reports to KASAN, kmemleak and others ============ */

void execmem_debug_ready(struct execmem_block *block, unsigned long start,
			 size_t size);
void execmem_debug_alloc(struct execmem_chunk *chunk, size_t size);
void execmem_debug_free_begin(struct execmem_chunk *chunk);
void execmem_debug_free_end(struct execmem_chunk *chunk);
void execmem_debug_poisoned(unsigned long start, size_t size);
void execmem_debug_user_map(const struct execmem_chunk *first,
			    const struct execmem_chunk *last);
void execmem_debug_refusal(const struct execmem_chunk *first,
			   const struct execmem_chunk *last);
void execmem_debug_rest_begin(struct execmem_chunk *chunk);
void execmem_debug_rest_verify(struct execmem_chunk *chunk);
void execmem_debug_rest_end(struct execmem_chunk *chunk);

#endif /* _MM_EXECMEM_INTERNAL_H */
