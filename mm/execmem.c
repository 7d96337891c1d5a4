// SPDX-License-Identifier: GPL-2.0
/*
 * Typed allocator for dynamic kernel code and its data.
 *
 * Copyright (C) 2002 Richard Henderson
 * Copyright (C) 2001 Rusty Russell, 2002, 2010 Rusty Russell IBM.
 * Copyright (C) 2023 Luis Chamberlain <mcgrof@kernel.org>
 * Copyright (C) 2024 Mike Rapoport IBM.
 */

/**
 * DOC: execmem
 *
 * Callers name a type, that is what the memory is for. The architecture's table
 * (&struct execmem_range) turns it into behaviour. Each type has a pool, unless
 * the table merges it into another one. A pool maps *blocks* and hands out
 * *chunks*. In a shared pool many chunks are cut from one block, which is
 * usually a huge page; otherwise each chunk has a block of its own, whose
 * permissions the caller manages.
 *
 * A block of a shared pool is filled with trapping bytes, or with zeroes for data,
 * and gets its final permissions as a whole before its first chunk is handed out.
 * It keeps them until it is given back as a whole. Read-only chunks are written by
 * execmem_fill() only, through a separate temporary mapping that the
 * architecture provides, and never again after execmem_seal(). Text patching
 * (text_poke() and the like) has its own rules and does not ask.
 *
 * Invariants, whenever the pool's lock is free:
 *
 * I1. The chunks of a block tile it: no gap, no overlap, none reaches outside.
 * I2. Two neighbouring chunks of a block are never both free.
 * I3. max_free of a chunk is the size of the largest free chunk in its subtree.
 * I4. In a shared pool all starts and sizes are multiples of the alignment.
 * I5. The used bytes of a block are those of its chunks that are not free, and
 *     the counters of a pool are the sums over its blocks.
 * I6. At most one block has no chunk in use. It is the spare, is as large as the
 *     granularity, and is kept only while the others reserve at least as much.
 * I7. Blocks do not overlap. A block can be found by address as long as any of
 *     its chunks is in the pool's tree.
 * I8. A free chunk of a shared pool holds trapping bytes, as far as the type
 *     has any.
 * I9. The permissions of a shared block change before its first chunk is handed
 *     out and after its last one was invalidated, never in between, and always
 *     as a whole. Of a type with a seal hook, whose blocks are not huge, a chunk
 *     is read-only from execmem_seal() until it is invalidated.
 * I10. Exactly the live chunks of a block are marked for execmem_lookup().
 *
 * execmem_pool_check() verifies I1 to I7 and I10, I7 within one pool only, and
 * the KUnit suite I8 and I9.
 *
 * All chunks of a pool, free or not, are in one tree by address, augmented with
 * the largest free size: the lowest free chunk that fits, the chunk at an
 * address and the neighbours of a chunk are each one descent at most. Chunks
 * are placed at the lowest address that fits, so that the blocks at the high
 * end become empty.
 *
 * How much a shared pool can waste. Chunks do not move, so in the worst case one
 * chunk of the smallest size is left in every block:
 *
 * F1. Every block but the spare has a chunk in use, so there are at most as
 *     many blocks as chunks, and one more.
 * F2. By I2 there is at most one free chunk before each chunk in use and one at
 *     the end of each block. A block is added for @size bytes only when no free
 *     chunk has as many, so at that moment less than (chunks + blocks) * @size
 *     bytes are free.
 * F3. What is free in a block with a single chunk is in two pieces at most, so
 *     the larger one has at least half of it: whoever asks for no more is served
 *     from there, and the pool does not grow as long as such blocks are left.
 *
 * Lock order: text_mutex -> grow_lock -> lock. The lock of the block tree is a
 * leaf, too, and is never held together with a pool's lock. Nothing that patches
 * text, changes permissions or waits is done under a pool's lock. Freeing
 * allocates nothing, but changes of permissions may split mappings when blocks
 * of small pages are given back. Growing changes permissions under grow_lock but
 * patches nothing, so it is allowed under text_mutex. execmem_lookup() takes no
 * lock at all.
 *
 * What fails: no huge page means a block of base pages, and a smaller one if
 * need be; no memory or address space means %NULL; a chunk that cannot be
 * invalidated or a block whose permissions cannot be restored is leaked and
 * reported, because reusing it would not be safe.
 */

#define pr_fmt(fmt) "execmem: " fmt

#include "execmem_internal.h"

/* === Data ================================================================= */

static const char * const type_names[EXECMEM_TYPE_MAX] = {
	[EXECMEM_MODULE_TEXT]	= "module_text",
	[EXECMEM_KPROBES]	= "kprobes",
	[EXECMEM_FTRACE]	= "ftrace",
	[EXECMEM_BPF]		= "bpf",
	[EXECMEM_MODULE_DATA]	= "module_data",
	[EXECMEM_BPF_CLASSIC]	= "bpf_classic",
	[EXECMEM_MODULE_INIT_TEXT] = "module_init_text",
	[EXECMEM_MODULE_RODATA]	= "module_rodata",
	[EXECMEM_MODULE_INIT_RODATA] = "module_init_rodata",
	[EXECMEM_MODULE_INIT_DATA] = "module_init_data",
	[EXECMEM_MODULE_RO_AFTER_INIT] = "module_ro_after_init",
};

/* The architecture's table; %NULL until it is known and found valid. */
static struct execmem_info *execmem_info __ro_after_init;
static struct execmem_info default_execmem_info __ro_after_init;

/* One for each type that is not merged into another one. */
static struct execmem_pool execmem_pools[EXECMEM_TYPE_MAX];

static struct kmem_cache *chunk_cache __ro_after_init;

/*
 * Frees and births of blocks are numbered, in all pools together. All
 * predictors were flushed after the one numbered flushed_stamp.
 */
static atomic64_t last_stamp = ATOMIC64_INIT(0);
static atomic64_t flushed_stamp = ATOMIC64_INIT(0);

DEFINE_STATIC_CALL_NULL(execmem_pred_flush, execmem_pred_flush);
DEFINE_STATIC_KEY_FALSE(execmem_pred_flush_enabled);

unsigned int execmem_test_reports;
bool execmem_test_running;

/**
 * struct execmem_request - one allocation on its way through the allocator
 * @type: what the memory is for
 * @caller: who asks for it
 * @size: in bytes, rounded up
 * @align: in bytes, not less than the pool's
 * @nodes: chunk nodes allocated before locks are taken
 * @nr_nodes: number of @nodes left
 */
struct execmem_request {
	enum execmem_type type;
	void *caller;
	size_t size;
	size_t align;
	struct execmem_chunk *nodes[3];
	unsigned int nr_nodes;
};

/* === Chunks =============================================================== */

#define to_chunk(n) rb_entry(n, struct execmem_chunk, node)

static size_t free_size(struct execmem_chunk *chunk)
{
	return chunk->state == EXECMEM_FREE ? chunk->size : 0;
}

RB_DECLARE_CALLBACKS_MAX(static, chunk_augment, struct execmem_chunk, node,
			 size_t, max_free, free_size)

static size_t subtree_max_free(struct rb_node *node)
{
	return node ? to_chunk(node)->max_free : 0;
}

/* Smallest unit that a pool cuts its blocks into. */
static size_t pool_unit(struct execmem_pool *pool)
{
	return (size_t)1 << pool->unit_shift;
}

static bool chunk_is_live(struct execmem_chunk *chunk)
{
	return chunk->state == EXECMEM_OPEN || chunk->state == EXECMEM_SEALED;
}

static int compare_chunk(const void *addr, const struct rb_node *node)
{
	const struct execmem_chunk *chunk = to_chunk(node);

	return execmem_compare(*(const unsigned long *)addr, chunk->start,
			       chunk->size);
}

/* Find the chunk that contains @addr, free or not. */
static struct execmem_chunk *chunk_at(struct execmem_pool *pool,
				      unsigned long addr)
{
	struct rb_node *node;

	lockdep_assert_held(&pool->lock);

	node = rb_find(&addr, &pool->chunks, compare_chunk);
	return node ? to_chunk(node) : NULL;
}

static struct execmem_chunk *live_chunk_at(struct execmem_pool *pool,
					   unsigned long addr)
{
	struct execmem_chunk *chunk = chunk_at(pool, addr);

	return chunk && chunk_is_live(chunk) ? chunk : NULL;
}

/* Find the live chunk that begins at @addr. */
static struct execmem_chunk *live_chunk_from(struct execmem_pool *pool,
					     unsigned long addr)
{
	struct execmem_chunk *chunk = live_chunk_at(pool, addr);

	return chunk && chunk->start == addr ? chunk : NULL;
}

/* Find the free chunk of at least @size bytes that has the lowest address. */
static struct execmem_chunk *find_free(struct execmem_pool *pool, size_t size)
{
	struct rb_node *node = pool->chunks.rb_node;

	lockdep_assert_held(&pool->lock);

	if (subtree_max_free(node) < size)
		return NULL;
	while (node) {
		execmem_count_visit();
		if (subtree_max_free(node->rb_left) >= size)
			node = node->rb_left;
		else if (free_size(to_chunk(node)) < size)
			node = node->rb_right;
		else
			break;
	}
	return node ? to_chunk(node) : NULL;
}

static void update_max_free(struct execmem_chunk *chunk)
{
	chunk_augment.propagate(&chunk->node, NULL);
}

/* Add a chunk in a place of the tree where there is none at its address. */
static void link_chunk(struct execmem_pool *pool, struct execmem_chunk *chunk,
		       struct rb_node *parent, struct rb_node **link)
{
	chunk->max_free = free_size(chunk);
	rb_link_node(&chunk->node, parent, link);
	/* Rotations copy max_free, so it has to be right before they happen. */
	chunk_augment.propagate(parent, NULL);
	rb_insert_augmented(&chunk->node, &pool->chunks, &chunk_augment);
}

/* Add the only chunk of a new block. */
static void insert_chunk(struct execmem_pool *pool, struct execmem_chunk *chunk)
{
	struct rb_node **link = &pool->chunks.rb_node, *parent = NULL;

	lockdep_assert_held(&pool->lock);

	while (*link) {
		execmem_count_visit();
		parent = *link;
		link = chunk->start < to_chunk(parent)->start ?
			&parent->rb_left : &parent->rb_right;
	}
	link_chunk(pool, chunk, parent, link);
}

/* As in link_chunk(), max_free of all chunks has to be right before. */
static void remove_chunk(struct execmem_pool *pool, struct execmem_chunk *chunk)
{
	rb_erase_augmented(&chunk->node, &pool->chunks, &chunk_augment);
	kmem_cache_free(chunk_cache, chunk);
}

/* Cut @chunk after @size bytes. The rest is free, and is returned. */
static struct execmem_chunk *split_chunk(struct execmem_pool *pool,
					 struct execmem_chunk *chunk,
					 size_t size, struct execmem_request *req)
{
	struct execmem_chunk *rest = req->nodes[--req->nr_nodes];
	struct rb_node *parent = &chunk->node;
	struct rb_node **link = &parent->rb_right;

	*rest = (struct execmem_chunk) {
		.start = chunk->start + size,
		.size = chunk->size - size,
		.block = chunk->block,
		.state = EXECMEM_FREE,
		.stamp = chunk->stamp,
	};
	chunk->size = size;
	update_max_free(chunk);

	/* The successor's place is known without another search. */
	while (*link) {
		execmem_count_visit();
		parent = *link;
		link = &parent->rb_left;
	}
	link_chunk(pool, rest, parent, link);
	return rest;
}

/* Turn a part of a free chunk, from @offset on, into a chunk in use. */
static struct execmem_chunk *claim_chunk(struct execmem_pool *pool,
					 struct execmem_chunk *chunk,
					 size_t offset, struct execmem_request *req)
{
	lockdep_assert_held(&pool->lock);

	if (offset)
		chunk = split_chunk(pool, chunk, offset, req);
	chunk->state = EXECMEM_OPEN;
	chunk->type = req->type;
	chunk->caller = req->caller;
	chunk->fills = 0;
	if (chunk->size > req->size)
		split_chunk(pool, chunk, req->size, req);
	else
		update_max_free(chunk);
	execmem_mark_live(chunk);

	chunk->block->used += chunk->size;
	if (pool->spare == chunk->block)
		pool->spare = NULL;
	pool->used += chunk->size;
	pool->nr_chunks++;
	pool->stats.allocs++;
	return chunk;
}

static bool can_merge(struct execmem_chunk *chunk, struct rb_node *neighbour)
{
	return neighbour && to_chunk(neighbour)->state == EXECMEM_FREE &&
		to_chunk(neighbour)->block == chunk->block;
}

/* Add @next, the free right neighbour, to the free @chunk. */
static void merge_chunks(struct execmem_pool *pool, struct execmem_chunk *chunk,
			 struct execmem_chunk *next)
{
	chunk->size += next->size;
	chunk->stamp = max(chunk->stamp, next->stamp);
	update_max_free(chunk);
	remove_chunk(pool, next);
}

/* Make a chunk free that is not in use any more. Returns what it became. */
static struct execmem_chunk *free_chunk(struct execmem_pool *pool,
					struct execmem_chunk *chunk)
{
	struct rb_node *next = rb_next(&chunk->node);
	struct rb_node *prev = rb_prev(&chunk->node);

	lockdep_assert_held(&pool->lock);

	chunk->block->used -= chunk->size;
	pool->used -= chunk->size;
	pool->nr_chunks--;
	pool->stats.frees++;

	chunk->state = EXECMEM_FREE;
	chunk->stamp = atomic64_inc_return(&last_stamp);
	update_max_free(chunk);
	if (can_merge(chunk, next))
		merge_chunks(pool, chunk, to_chunk(next));
	if (can_merge(chunk, prev)) {
		merge_chunks(pool, to_chunk(prev), chunk);
		chunk = to_chunk(prev);
	}
	return chunk;
}

/* === Blocks =============================================================== */

/*
 * Free chunks start at multiples of the pool's unit. For a larger alignment
 * look for enough room to align within, rather than trying one chunk after the
 * other.
 */
static size_t size_to_find(struct execmem_pool *pool,
			   struct execmem_request *req)
{
	return req->size + req->align - pool_unit(pool);
}

/* A block begins at a page at least, so its first chunk is aligned as well. */
static size_t size_to_map(struct execmem_pool *pool,
			  struct execmem_request *req)
{
	return req->align <= PAGE_SIZE ? req->size : size_to_find(pool, req);
}

/* Map memory that serves the request and register its addresses. */
static struct execmem_block *create_block(struct execmem_pool *pool,
					  struct execmem_request *req)
{
	struct execmem_block *block = kzalloc(sizeof(*block), GFP_KERNEL);

	if (!block)
		return NULL;
	/* What refers to memory is its user, not our books. */
	kmemleak_ignore(block);
	block->pool = pool;
	block->caller = req->caller;
	if (!execmem_block_map(block, size_to_map(pool, req))) {
		kfree(block);
		return NULL;
	}
	execmem_block_publish(block);
	trace_execmem_grow(pool->type, block->start, block->size, block->huge);
	return block;
}

static void destroy_blocks(struct list_head *blocks)
{
	struct execmem_block *block, *tmp;

	list_for_each_entry_safe(block, tmp, blocks, list) {
		trace_execmem_shrink(block->pool->type, block->start,
				     block->size, block->huge);
		/* Before the addresses can belong to somebody else */
		execmem_block_withdraw(block);
		if (!execmem_block_unmap(block))
			execmem_report("cannot reset permissions, %zu bytes leaked\n",
				       block->size);
		execmem_block_free(block);
	}
}

/* Make a new block part of the pool. Returns its only chunk, which is free. */
static struct execmem_chunk *attach_block(struct execmem_pool *pool,
					  struct execmem_block *block,
					  struct execmem_request *req)
{
	struct execmem_chunk *chunk = req->nodes[--req->nr_nodes];

	lockdep_assert_held(&pool->lock);

	/* Nobody knows what ran at these addresses before: a stamp of its own */
	*chunk = (struct execmem_chunk) {
		.start = block->start,
		.size = block->size,
		.block = block,
		.state = EXECMEM_FREE,
		.stamp = atomic64_inc_return(&last_stamp),
	};
	insert_chunk(pool, chunk);
	list_add_tail(&block->list, &pool->blocks);
	pool->nr_blocks++;
	pool->nr_huge += block->huge;
	pool->reserved += block->size;
	pool->stats.grown++;
	pool->stats.blocks[block->why_small]++;
	return chunk;
}

/* Take a block without any chunk in use out of the pool. */
static void detach_block(struct execmem_pool *pool, struct execmem_chunk *chunk,
			 struct list_head *unused)
{
	struct execmem_block *block = chunk->block;

	lockdep_assert_held(&pool->lock);

	remove_chunk(pool, chunk);
	list_move(&block->list, unused);
	if (pool->spare == block)
		pool->spare = NULL;
	pool->nr_blocks--;
	pool->nr_huge -= block->huge;
	pool->reserved -= block->size;
	pool->stats.shrunk++;
}

/* A spare may double what the pool reserves, but not more. */
static bool can_be_spare(struct execmem_block *block)
{
	struct execmem_pool *pool = block->pool;

	return pool->shared && !(pool->range->flags & EXECMEM_GUARD) &&
		block->why_small == EXECMEM_AS_WANTED &&
		block->size == pool->range->granularity &&
		block->size <= pool->reserved - block->size;
}

/*
 * Move what the pool need not keep to @unused, now that the block of @chunk may be
 * empty. A pool in use keeps one empty block, so that the next allocation need not
 * map one; a pool that is not in use keeps none.
 */
static void detach_unused(struct execmem_pool *pool,
			  struct execmem_chunk *chunk, struct list_head *unused)
{
	struct execmem_block *block = chunk->block;

	if (block->used)
		return;
	if (!pool->spare && can_be_spare(block)) {
		pool->spare = block;
		return;
	}
	detach_block(pool, chunk, unused);
	if (pool->spare && !can_be_spare(pool->spare))
		detach_block(pool, chunk_at(pool, pool->spare->start), unused);
}

/* === Allocation =========================================================== */

static void check_if_debugging(struct execmem_pool *pool)
{
	if (IS_ENABLED(CONFIG_EXECMEM_DEBUG))
		WARN_ON_ONCE(execmem_pool_check(pool));
}

static bool reserve_nodes(struct execmem_request *req, unsigned int nr)
{
	while (req->nr_nodes < nr) {
		struct execmem_chunk *chunk;

		chunk = kmem_cache_alloc(chunk_cache, GFP_KERNEL);
		if (!chunk)
			return false;
		req->nodes[req->nr_nodes++] = chunk;
	}
	return true;
}

static void release_nodes(struct execmem_request *req)
{
	while (req->nr_nodes)
		kmem_cache_free(chunk_cache, req->nodes[--req->nr_nodes]);
}

/* Serve a request from the blocks there are. */
static struct execmem_chunk *take_chunk(struct execmem_pool *pool,
					struct execmem_request *req)
{
	struct execmem_chunk *chunk;

	/* One node for the rest, one more for what alignment may skip */
	if (!reserve_nodes(req, req->align > pool_unit(pool) ? 2 : 1))
		return NULL;

	spin_lock(&pool->lock);
	chunk = find_free(pool, size_to_find(pool, req));
	if (chunk)
		chunk = claim_chunk(pool, chunk, ALIGN(chunk->start, req->align) -
				    chunk->start, req);
	spin_unlock(&pool->lock);
	return chunk;
}

/*
 * Where in a new block the first chunk goes, so that its address is not known as
 * soon as the block's is. What is skipped is used by the chunks to come, and is
 * at most a quarter so that large ones still fit behind.
 */
static size_t first_offset(struct execmem_block *block,
			   struct execmem_request *req)
{
	size_t offset = ALIGN(block->start, req->align) - block->start;
	size_t room = (block->size - offset - req->size) / 4;

	if (!(block->pool->range->flags & EXECMEM_RANDOMIZE) ||
	    block->why_small != EXECMEM_AS_WANTED)
		return offset;
	return offset + round_down(get_random_u32_below(room + 1), req->align);
}

/* Serve a request from a new block. */
static struct execmem_chunk *grow_pool(struct execmem_pool *pool,
				       struct execmem_request *req)
{
	struct execmem_block *block;
	struct execmem_chunk *chunk;

	if (pool->shared)
		lockdep_assert_held(&pool->grow_lock);

	/* For the block's first chunk, what is skipped, and the rest */
	if (!reserve_nodes(req, 3))
		return NULL;
	block = create_block(pool, req);
	if (!block)
		return NULL;

	spin_lock(&pool->lock);
	chunk = attach_block(pool, block, req);
	chunk = claim_chunk(pool, chunk, first_offset(block, req), req);
	spin_unlock(&pool->lock);
	return chunk;
}

static struct execmem_chunk *alloc_chunk(struct execmem_pool *pool,
					 struct execmem_request *req)
{
	struct execmem_chunk *chunk;

	if (!pool->shared)
		return grow_pool(pool, req);

	chunk = take_chunk(pool, req);
	if (chunk)
		return chunk;

	mutex_lock(&pool->grow_lock);
	/* Somebody else may have added a block while this one waited. */
	chunk = take_chunk(pool, req);
	if (!chunk)
		chunk = grow_pool(pool, req);
	mutex_unlock(&pool->grow_lock);
	return chunk;
}

/*
 * Make sure that no CPU holds predictions from a former user of addresses whose
 * last free was numbered @stamp. Everything numbered before the flush begins is
 * covered by it, whichever pool it was in.
 */
static bool flush_predictors(u64 stamp)
{
	s64 flushed, now;

	if (!static_branch_unlikely(&execmem_pred_flush_enabled) ||
	    stamp <= atomic64_read(&flushed_stamp))
		return false;

	now = atomic64_read(&last_stamp);
	static_call_cond(execmem_pred_flush)();

	flushed = atomic64_read(&flushed_stamp);
	while (flushed < now &&
	       !atomic64_try_cmpxchg(&flushed_stamp, &flushed, now))
		;
	return true;
}

static bool size_is_absurd(const struct execmem_range *range, size_t size)
{
	return size > max(range->end - range->start,
			  range->fallback_end - range->fallback_start);
}

static void count_failure(struct execmem_pool *pool)
{
	spin_lock(&pool->lock);
	pool->stats.failures++;
	spin_unlock(&pool->lock);
}

static void *pool_alloc(struct execmem_pool *pool, enum execmem_type type,
			size_t size, size_t align, bool flush, void *caller)
{
	struct execmem_request req = { .type = type, .caller = caller };
	struct execmem_chunk *chunk;
	bool flushed;

	might_sleep();
	if (!size)
		return NULL;
	req.size = round_up(size, pool_unit(pool));
	req.align = max(align, pool_unit(pool));

	/* Where all addresses are in the range, only rounding up can overflow. */
	chunk = size_is_absurd(pool->range, size) || req.size < size ? NULL :
		alloc_chunk(pool, &req);
	release_nodes(&req);
	if (!chunk) {
		count_failure(pool);
		trace_execmem_alloc(type, 0, size, caller, false);
		pr_warn_ratelimited("no memory or no addresses left for %zu bytes of %s\n",
				    size, type_names[type]);
		return NULL;
	}

	/* The chunk has its owner, so nothing can be freed there meanwhile. */
	flushed = flush && flush_predictors(chunk->stamp);
	if (flushed) {
		spin_lock(&pool->lock);
		pool->stats.pred_flushes++;
		spin_unlock(&pool->lock);
	}
	trace_execmem_alloc(type, chunk->start, size, caller, flushed);
	execmem_chunk_born(chunk, size);
	check_if_debugging(pool);
	return (void *)chunk->start;
}

/**
 * execmem_pool_alloc - allocate from a certain pool
 * @pool: the pool
 * @type: what the memory is for
 * @size: in bytes
 * @align: in bytes, a power of two
 * @flush: flush branch predictors where the addresses may have held other code
 *
 * Context: As execmem_alloc().
 * Return: as execmem_alloc()
 */
void *execmem_pool_alloc(struct execmem_pool *pool, enum execmem_type type,
			 size_t size, size_t align, bool flush)
{
	return pool_alloc(pool, type, size, align, flush,
			  __builtin_return_address(0));
}

/* === Fill and free ======================================================== */

static unsigned long to_addr(const void *ptr)
{
	return (unsigned long)kasan_reset_tag(ptr);
}

static int fill_memory(const struct execmem_range *range, void *dst, const void *src,
		       size_t len)
{
	if (range->fill)
		return range->fill(dst, src, len);
	memcpy(dst, src, len);
	return 0;
}

static int invalidate_chunk(struct execmem_pool *pool,
			    struct execmem_chunk *chunk)
{
	void *start = (void *)chunk->start;

	lockdep_assert_not_held(&pool->lock);

	/* A block of its own goes back to the page allocator right away. */
	if (!pool->shared)
		return 0;
	if (pool->range->invalidate)
		return pool->range->invalidate(start, chunk->size);
	memset(start, 0, chunk->size);
	return 0;
}

/* Keep the chunk that is to be filled from being reused until unpin_chunk(). */
static struct execmem_chunk *pin_chunk(struct execmem_pool *pool,
				       unsigned long addr, size_t len)
{
	struct execmem_chunk *chunk;

	spin_lock(&pool->lock);
	chunk = chunk_at(pool, addr);
	if (chunk && chunk->state == EXECMEM_OPEN &&
	    len <= chunk->size - (addr - chunk->start))
		chunk->fills++;
	else
		chunk = NULL;
	spin_unlock(&pool->lock);
	return chunk;
}

/* The last step of a free: nobody else knows the chunk any more. */
static void reclaim_chunk(struct execmem_pool *pool,
			  struct execmem_chunk *chunk)
{
	LIST_HEAD(unused);

	trace_execmem_free(chunk->type, chunk->start, chunk->size);
	execmem_chunk_dying(chunk);
	if (invalidate_chunk(pool, chunk)) {
		execmem_report("cannot invalidate, %zu bytes leaked\n",
			       chunk->size);
		return;
	}

	execmem_chunk_dead(chunk);
	spin_lock(&pool->lock);
	chunk = free_chunk(pool, chunk);
	detach_unused(pool, chunk, &unused);
	spin_unlock(&pool->lock);
	destroy_blocks(&unused);
	check_if_debugging(pool);
}

static void unpin_chunk(struct execmem_pool *pool, struct execmem_chunk *chunk,
			bool filled)
{
	bool reclaim;

	spin_lock(&pool->lock);
	pool->stats.fills += filled;
	reclaim = !--chunk->fills && chunk->state == EXECMEM_DYING;
	spin_unlock(&pool->lock);

	if (reclaim)
		reclaim_chunk(pool, chunk);
}

int execmem_fill(void *dst, const void *src, size_t len)
{
	struct execmem_pool *pool = execmem_pool_at(to_addr(dst));
	struct execmem_chunk *chunk = NULL;
	int err = 0;

	might_sleep();
	if (pool)
		chunk = pin_chunk(pool, to_addr(dst), len);
	if (!chunk) {
		execmem_report("fill of %zu bytes not inside one chunk open for it\n",
			       len);
		return -EINVAL;
	}

	if (len)
		err = fill_memory(pool->range, dst, src, len);
	trace_execmem_fill(to_addr(dst), len, err);
	unpin_chunk(pool, chunk, !err);
	return err;
}

int execmem_seal(void *ptr)
{
	struct execmem_pool *pool = execmem_pool_at(to_addr(ptr));
	struct execmem_chunk *chunk = NULL;
	size_t size = 0;

	if (pool) {
		spin_lock(&pool->lock);
		chunk = live_chunk_from(pool, to_addr(ptr));
		if (chunk) {
			chunk->state = EXECMEM_SEALED;
			size = chunk->size;
		}
		spin_unlock(&pool->lock);
	}
	if (!chunk) {
		execmem_report("seal of %p, which is not allocated\n", ptr);
		return -EINVAL;
	}
	return pool->range->seal ? pool->range->seal(ptr, size) : 0;
}

void execmem_free(void *ptr)
{
	struct execmem_chunk *chunk = NULL;
	struct execmem_pool *pool;
	bool reclaim = false;

	if (!ptr)
		return;
	/* Invalidating and unmapping sleep. */
	if (WARN_ON_ONCE(in_interrupt()))
		return;
	might_sleep();

	pool = execmem_pool_at(to_addr(ptr));
	if (pool) {
		spin_lock(&pool->lock);
		chunk = live_chunk_from(pool, to_addr(ptr));
		if (chunk) {
			chunk->state = EXECMEM_DYING;
			execmem_mark_dead(chunk);
			reclaim = !chunk->fills;
		}
		spin_unlock(&pool->lock);
	}
	if (!chunk)
		execmem_report("free of %p, which is not allocated\n", ptr);
	else if (reclaim)
		reclaim_chunk(pool, chunk);
}

static void *type_alloc(enum execmem_type type, size_t size, size_t align,
			void *caller)
{
	struct execmem_pool *pool;

	if (!execmem_info || (unsigned int)type >= EXECMEM_TYPE_MAX ||
	    !is_power_of_2(align))
		return NULL;
	pool = execmem_pool_of(type);
	if (!pool->shared && align > PAGE_SIZE)
		return NULL;
	return pool_alloc(pool, type, size, align,
			  execmem_info->ranges[type].flags &
			  EXECMEM_FLUSH_PREDICTORS, caller);
}

void *execmem_alloc(enum execmem_type type, size_t size)
{
	return type_alloc(type, size, 1, __builtin_return_address(0));
}

void *execmem_alloc_aligned(enum execmem_type type, size_t size, size_t align)
{
	return type_alloc(type, size, align, __builtin_return_address(0));
}

/* === Validator ============================================================ */

/**
 * struct execmem_check - what the validator has seen so far
 * @prev: the chunk before
 * @used: bytes in use, in all chunks
 * @used_in_block: the same, in the block of @prev
 * @nr_chunks: chunks in use
 * @nr_live: live chunks
 * @nr_marked: live chunks that readers can find
 */
struct execmem_check {
	struct execmem_chunk *prev;
	size_t used;
	size_t used_in_block;
	unsigned long nr_chunks;
	unsigned long nr_live;
	unsigned long nr_marked;
};

/* I1 and I2: how a chunk follows the one before it */
static int check_neighbours(struct execmem_chunk *prev,
			    struct execmem_chunk *chunk)
{
	struct execmem_block *block = chunk->block;

	if (prev && prev->block == block) {
		if (chunk->start != prev->start + prev->size)
			return 1;
		if (free_size(chunk) && free_size(prev))
			return 2;
		return 0;
	}
	if (chunk->start != block->start)
		return 1;
	if (prev && prev->start + prev->size !=
	    prev->block->start + prev->block->size)
		return 1;
	return 0;
}

static int check_chunk(struct execmem_pool *pool, struct execmem_chunk *chunk,
		       struct execmem_check *check)
{
	struct execmem_block *block = chunk->block;
	size_t used = chunk->state == EXECMEM_FREE ? 0 : chunk->size;
	int broken;

	if (block->pool != pool)
		return 7;
	broken = check_neighbours(check->prev, chunk);
	if (broken)
		return broken;
	if (!chunk->size || chunk->size > block->size ||
	    chunk->start - block->start > block->size - chunk->size)
		return 1;
	if (chunk->max_free != max3(free_size(chunk),
				    subtree_max_free(chunk->node.rb_left),
				    subtree_max_free(chunk->node.rb_right)))
		return 3;
	if (!IS_ALIGNED(chunk->start | chunk->size, pool_unit(pool)))
		return 4;

	if (chunk->start == block->start)
		check->used_in_block = 0;
	check->prev = chunk;
	check->used += used;
	check->used_in_block += used;
	check->nr_chunks += !!used;
	if (chunk_is_live(chunk)) {
		check->nr_live++;
		check->nr_marked += execmem_is_marked(chunk);
	}
	if (chunk->start + chunk->size == block->start + block->size &&
	    check->used_in_block != block->used)
		return 5;
	return 0;
}

static int check_chunks(struct execmem_pool *pool, struct execmem_check *check)
{
	struct execmem_chunk *last;
	struct rb_node *node;
	int broken;

	for (node = rb_first(&pool->chunks); node; node = rb_next(node)) {
		broken = check_chunk(pool, to_chunk(node), check);
		if (broken)
			return broken;
	}
	last = check->prev;
	if (last && last->start + last->size !=
	    last->block->start + last->block->size)
		return 1;
	return 0;
}

/* I10: all marks that should be there are, so more of them would be extra. */
static bool marks_are_sane(struct execmem_pool *pool, struct execmem_check *check)
{
	struct execmem_block *block;
	unsigned long marks = 0;

	list_for_each_entry(block, &pool->blocks, list)
		marks += execmem_count_marks(block);
	return check->nr_marked == check->nr_live && marks == 2 * check->nr_live;
}

/* I6, where @empty is the number of blocks without any chunk in use */
static bool spare_is_sane(struct execmem_pool *pool, unsigned long empty)
{
	struct execmem_block *spare = pool->spare;

	if (!spare)
		return !empty;
	return empty == 1 && !spare->used && can_be_spare(spare);
}

static int check_blocks(struct execmem_pool *pool, struct execmem_check *check)
{
	unsigned long nr_blocks = 0, nr_huge = 0, empty = 0;
	size_t reserved = 0, used = 0;
	struct execmem_block *block;

	list_for_each_entry(block, &pool->blocks, list) {
		if (!chunk_at(pool, block->start) ||
		    execmem_pool_at(block->start) != pool)
			return 7;
		nr_blocks++;
		nr_huge += block->huge;
		reserved += block->size;
		used += block->used;
		empty += !block->used;
	}
	if (nr_blocks != pool->nr_blocks || nr_huge != pool->nr_huge ||
	    reserved != pool->reserved || used != pool->used ||
	    used != check->used || check->nr_chunks != pool->nr_chunks)
		return 5;
	return spare_is_sane(pool, empty) ? 0 : 6;
}

/**
 * execmem_pool_check - verify the invariants of a pool
 * @pool: the pool
 *
 * Context: Process context, holds the pool's lock for a time proportional to
 *	the number of chunks.
 * Return: 0, or the number of the first invariant that is broken
 */
int execmem_pool_check(struct execmem_pool *pool)
{
	struct execmem_check check = {};
	int broken;

	spin_lock(&pool->lock);
	broken = check_chunks(pool, &check) ?: check_blocks(pool, &check);
	if (!broken && !marks_are_sane(pool, &check))
		broken = 10;
	spin_unlock(&pool->lock);
	return broken;
}

/* === Set-up =============================================================== */

const char *execmem_type_name(enum execmem_type type)
{
	return type_names[type];
}

/**
 * execmem_pool_of - the pool that serves a type
 * @type: a valid type
 *
 * Return: the pool, or %NULL when the allocator is not set up
 */
struct execmem_pool *execmem_pool_of(enum execmem_type type)
{
	if (!execmem_info)
		return NULL;
	if (execmem_info->ranges[type].flags & EXECMEM_MERGE)
		type = execmem_info->ranges[type].mapto;
	return &execmem_pools[type];
}

bool execmem_is_shared(enum execmem_type type)
{
	struct execmem_pool *pool = execmem_pool_of(type);

	return pool && pool->shared;
}

size_t execmem_chunk_align(enum execmem_type type)
{
	struct execmem_pool *pool = execmem_pool_of(type);

	if (!pool || !pool->shared || !(pool->range->flags & EXECMEM_READONLY))
		return 0;
	return pool_unit(pool);
}

/**
 * execmem_pool_max_free - size of the largest free chunk
 * @pool: the pool, whose lock is held
 *
 * Return: the size in bytes, 0 when there is no free chunk
 */
size_t execmem_pool_max_free(struct execmem_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	return subtree_max_free(pool->chunks.rb_node);
}

/**
 * execmem_pool_largest_free - as execmem_pool_max_free(), but takes the lock
 * @pool: the pool
 *
 * Return: the size in bytes, 0 when there is no free chunk
 */
size_t execmem_pool_largest_free(struct execmem_pool *pool)
{
	size_t size;

	spin_lock(&pool->lock);
	size = execmem_pool_max_free(pool);
	spin_unlock(&pool->lock);
	return size;
}

/**
 * execmem_pool_drain - give back the spare block
 * @pool: the pool
 *
 * Context: Process context, may sleep; not in memory reclaim.
 * Return: how many bytes were given back
 */
size_t execmem_pool_drain(struct execmem_pool *pool)
{
	size_t before, after;
	LIST_HEAD(unused);

	spin_lock(&pool->lock);
	before = pool->reserved;
	if (pool->spare)
		detach_block(pool, chunk_at(pool, pool->spare->start), &unused);
	after = pool->reserved;
	spin_unlock(&pool->lock);
	destroy_blocks(&unused);
	return before - after;
}

/**
 * execmem_pool_next - copy the description of a chunk in use
 * @pool: the pool
 * @addr: where to start
 * @copy: where to describe the first chunk in use that ends behind @addr
 *
 * Context: Process context.
 * Return: false when there is no such chunk
 */
bool execmem_pool_next(struct execmem_pool *pool, unsigned long addr,
		       struct execmem_chunk *copy)
{
	struct rb_node *node, *found = NULL;

	spin_lock(&pool->lock);
	node = pool->chunks.rb_node;
	while (node) {
		struct execmem_chunk *chunk = to_chunk(node);

		if (addr < chunk->start + chunk->size)
			found = node;
		node = addr < chunk->start + chunk->size ? node->rb_left :
							   node->rb_right;
	}
	while (found && to_chunk(found)->state == EXECMEM_FREE)
		found = rb_next(found);
	if (found)
		*copy = *to_chunk(found);
	spin_unlock(&pool->lock);
	return found;
}

/**
 * execmem_pool_init - set up an empty pool
 * @pool: the pool
 * @name: for statistics, not copied
 * @type: what it is reported as
 * @range: what the pool is to be like, not copied
 */
void execmem_pool_init(struct execmem_pool *pool, const char *name,
		       enum execmem_type type, const struct execmem_range *range)
{
	bool shared = range->granularity > range->alignment;
	unsigned long slots;

	*pool = (struct execmem_pool) {
		.name = name,
		.type = type,
		.range = range,
		.shared = shared,
		.unit_shift = shared && !(range->flags & EXECMEM_GUARD) ?
			ilog2(range->alignment) : PAGE_SHIFT,
		.hint = range->start,
		.chunks = RB_ROOT,
	};
	mutex_init(&pool->grow_lock);
	spin_lock_init(&pool->lock);
	INIT_LIST_HEAD(&pool->blocks);

	if (pool->shared && range->flags & EXECMEM_RANDOMIZE) {
		slots = (range->end - range->start) / range->granularity;
		/* Not so close to the end that it would soon be of no use */
		slots = slots - slots / 8 ?: 1;
		pool->hint += (unsigned long)get_random_u32_below(slots) *
			      range->granularity;
	}
}

static bool execmem_on __initdata = true;
/* Each chunk of a shared pool gets a block of its own. */
static bool execmem_guard __initdata;

static int __init parse_execmem(char *arg)
{
	if (arg && !strcmp(arg, "guard")) {
		execmem_guard = true;
		return 0;
	}
	if (!arg || kstrtobool(arg, &execmem_on)) {
		pr_warn("execmem= takes on, off or guard\n");
		return -EINVAL;
	}
	return 0;
}
early_param("execmem", parse_execmem);

/* vmalloc has a handler of its own for this parameter. */
static bool huge_vmalloc __initdata = true;

static int __init parse_nohugevmalloc(char *arg)
{
	huge_vmalloc = false;
	return 0;
}
early_param("nohugevmalloc", parse_nohugevmalloc);

/* The reason for not using huge pages, or %NULL */
static const char *__init reason_against_huge(struct execmem_info *info)
{
	if (!IS_ENABLED(CONFIG_EXECMEM_HUGE))
		return "not configured";
	if (!execmem_on)
		return "execmem=off";
	if (!huge_vmalloc)
		return "nohugevmalloc";
	if (execmem_guard)
		return "execmem=guard";
	return info->no_huge;
}

/*
 * Make a type do without huge pages. A type that is described although it is
 * merged is not merged then.
 */
static void __init forgo_huge(struct execmem_range *r)
{
	r->flags &= ~(EXECMEM_HUGE | EXECMEM_RANDOMIZE);
	if (r->start)
		r->flags &= ~EXECMEM_MERGE;
	if (r->flags & EXECMEM_HUGE_ONLY) {
		r->flags &= EXECMEM_KASAN_SHADOW;
		r->seal = NULL;
		r->alignment = MODULE_ALIGN;
		r->granularity = 0;
	}
}

static void __init decide_on_huge(struct execmem_info *info)
{
	const char *reason = reason_against_huge(info);
	bool wanted = false;

	for (int i = 0; i < EXECMEM_TYPE_MAX; i++) {
		wanted |= info->ranges[i].flags & EXECMEM_HUGE;
		if (reason)
			forgo_huge(&info->ranges[i]);
		if (execmem_guard)
			info->ranges[i].flags |= EXECMEM_GUARD;
	}
	if (!IS_ENABLED(CONFIG_EXECMEM_HUGE))
		return;
	if (wanted && reason)
		pr_info("no huge pages: %s\n", reason);
	else if (wanted)
		pr_info("using huge pages\n");
}

/* What the code above relies on in a shared type */
static bool __init shared_is_valid(struct execmem_range *r)
{
	if (!is_power_of_2(r->granularity))
		return false;
	if (r->flags & EXECMEM_HUGE && r->granularity < HUGE_BLOCK)
		return false;
	/* memcpy() and memset() cannot write to it. */
	if (r->flags & EXECMEM_READONLY && (!r->fill || !r->invalidate))
		return false;
	/* Nothing changes the permissions of a part of a huge page. */
	if (r->seal && (r->flags & EXECMEM_HUGE || !r->invalidate ||
			!PAGE_ALIGNED(r->alignment)))
		return false;
	return true;
}

static bool __init range_is_valid(struct execmem_info *info, int type)
{
	struct execmem_range *r = &info->ranges[type];

	if (r->flags & EXECMEM_MERGE)
		return (unsigned int)r->mapto < EXECMEM_TYPE_MAX &&
			!(info->ranges[r->mapto].flags & EXECMEM_MERGE);
	if ((r->flags & EXECMEM_ROX) == EXECMEM_EXEC)
		return false;
	if (!r->start || !r->end || !pgprot_val(r->pgprot) ||
	    !is_power_of_2(r->alignment) || !PAGE_ALIGNED(r->granularity))
		return false;
	return r->granularity <= r->alignment || shared_is_valid(r);
}

static bool __init execmem_validate(struct execmem_info *info)
{
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++) {
		if (range_is_valid(info, i))
			continue;
		pr_crit("invalid parameters for %s, module loading will fail\n",
			type_names[i]);
		return false;
	}
	return true;
}

/* What a type that the architecture does not describe is merged into */
static const enum execmem_type relatives[EXECMEM_TYPE_MAX] __initconst = {
	/* The same code as other BPF programs, from less trusted users */
	[EXECMEM_BPF_CLASSIC]		= EXECMEM_BPF,
	[EXECMEM_MODULE_INIT_TEXT]	= EXECMEM_MODULE_TEXT,
	[EXECMEM_MODULE_RODATA]		= EXECMEM_MODULE_DATA,
	[EXECMEM_MODULE_INIT_RODATA]	= EXECMEM_MODULE_DATA,
	[EXECMEM_MODULE_INIT_DATA]	= EXECMEM_MODULE_DATA,
	[EXECMEM_MODULE_RO_AFTER_INIT]	= EXECMEM_MODULE_DATA,
};

static void __init merge_missing(struct execmem_info *info, int type)
{
	struct execmem_range *to = &info->ranges[relatives[type]];
	struct execmem_range *r = &info->ranges[type];

	r->flags = EXECMEM_MERGE;
	r->mapto = to->flags & EXECMEM_MERGE ? to->mapto : relatives[type];
	if (type == EXECMEM_BPF_CLASSIC)
		r->flags |= EXECMEM_FLUSH_PREDICTORS;
}

static void __init inherit_default(struct execmem_info *info, int type)
{
	struct execmem_range *r = &info->ranges[type];

	*r = info->ranges[EXECMEM_DEFAULT];
	if (type == EXECMEM_MODULE_DATA) {
		r->pgprot = PAGE_KERNEL;
		r->granularity = 0;
	}
}

static bool __init has_relative(int type)
{
	return type == EXECMEM_MODULE_INIT_TEXT || relatives[type];
}

/* Types with relatives come after them. */
static void __init execmem_init_missing(struct execmem_info *info)
{
	for (int i = EXECMEM_DEFAULT + 1; i < EXECMEM_TYPE_MAX; i++) {
		struct execmem_range *r = &info->ranges[i];

		if (r->start || r->flags & EXECMEM_MERGE)
			continue;
		if (has_relative(i))
			merge_missing(info, i);
		else
			inherit_default(info, i);
	}
}

struct execmem_info * __weak execmem_arch_setup(void)
{
	return NULL;
}

static void __init __execmem_init(void)
{
	struct execmem_info *info = execmem_arch_setup();

	if (!info) {
		info = &default_execmem_info;
		info->ranges[EXECMEM_DEFAULT].start = VMALLOC_START;
		info->ranges[EXECMEM_DEFAULT].end = VMALLOC_END;
		info->ranges[EXECMEM_DEFAULT].pgprot = PAGE_KERNEL_EXEC;
		info->ranges[EXECMEM_DEFAULT].alignment = 1;
	}

	/* What is missing follows what is there, so that is decided on first. */
	decide_on_huge(info);
	execmem_init_missing(info);
	/* Without an MMU, neither addresses nor protections mean anything. */
	if (IS_ENABLED(CONFIG_MMU) && !execmem_validate(info))
		return;

	chunk_cache = KMEM_CACHE(execmem_chunk, SLAB_PANIC | SLAB_NOLEAKTRACE);
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++)
		execmem_pool_init(&execmem_pools[i], type_names[i], i,
				  &info->ranges[i]);
	execmem_info = info;
}

#ifdef CONFIG_ARCH_WANTS_EXECMEM_LATE
static int __init execmem_late_init(void)
{
	__execmem_init();
	return 0;
}
core_initcall(execmem_late_init);
#else
void __init execmem_init(void)
{
	__execmem_init();
}
#endif
