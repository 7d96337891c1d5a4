// SPDX-License-Identifier: GPL-2.0
/*
 * Pools of memory for dynamic kernel code and its data: blocks are cut into
 * chunks, which are handed out, filled and freed.
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
 *     the larger one has at least half of it: a request for no more than that is
 *     served from there, and the pool does not grow while such blocks are left.
 *
 * Lock order:
 *
 * 1. text_mutex, by callers only
 * 2. grow_lock of a pool
 * 3. lock of a pool, or the lock of the tree of blocks, never both
 *
 * grow_lock
 *     Serializes adding blocks. Memory is allocated and mapped, and permissions
 *     are changed, but no text is patched, so a caller may hold text_mutex.
 * lock
 *     Protects the chunks, the blocks and the numbers of the pool. Nothing
 *     that waits, patches text or changes permissions is done under it.
 * the lock of the tree of blocks
 *     Serializes changes of the tree. It is taken and released in
 *     execmem_block_publish() and execmem_block_withdraw().
 *
 * Freeing a chunk takes the pool's lock only and allocates nothing itself, but
 * giving back a block of small pages changes permissions, which may split huge
 * pages of the direct map. The hooks for fill and free take text_mutex on some
 * architectures, hence a caller of these must not hold it. execmem_lookup() takes
 * no lock.
 *
 * What fails: no huge page means a block of base pages, and a smaller one if
 * need be; no memory or address space means %NULL; a chunk that cannot be
 * invalidated or a block whose permissions cannot be restored is leaked and
 * reported, because reusing it would not be safe.
 */

#include "execmem_internal.h"

static struct kmem_cache *chunk_cache __ro_after_init;

/*
 * Sequence numbers of frees and of new blocks, for all pools together. When
 * predictors are flushed, flushed_seq becomes what last_seq was just before.
 */
static atomic64_t last_seq = ATOMIC64_INIT(0);
static atomic64_t flushed_seq = ATOMIC64_INIT(0);

DEFINE_STATIC_CALL_NULL(execmem_pred_flush, execmem_pred_flush);
DEFINE_STATIC_KEY_FALSE(execmem_pred_flush_enabled);

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

RB_DECLARE_CALLBACKS_MAX(static, chunk_augment, struct execmem_chunk, node,
			 size_t, max_free, execmem_free_size)

static struct execmem_chunk *live_chunk_at(struct execmem_pool *pool,
					   unsigned long addr)
{
	struct execmem_chunk *chunk = execmem_chunk_at(pool, addr);

	return chunk && execmem_is_live(chunk) ? chunk : NULL;
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

	if (execmem_max_free(node) < size)
		return NULL;
	while (node) {
		execmem_count_visit();
		if (execmem_max_free(node->rb_left) >= size)
			node = node->rb_left;
		else if (execmem_free_size(execmem_to_chunk(node)) < size)
			node = node->rb_right;
		else
			break;
	}
	return node ? execmem_to_chunk(node) : NULL;
}

static void update_max_free(struct execmem_chunk *chunk)
{
	chunk_augment.propagate(&chunk->node, NULL);
}

/* Add a chunk in a place of the tree where there is none at its address. */
static void link_chunk(struct execmem_pool *pool, struct execmem_chunk *chunk,
		       struct rb_node *parent, struct rb_node **link)
{
	chunk->max_free = execmem_free_size(chunk);
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
		link = chunk->start < execmem_to_chunk(parent)->start ?
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
		.seq = chunk->seq,
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
	return neighbour && execmem_to_chunk(neighbour)->state == EXECMEM_FREE &&
		execmem_to_chunk(neighbour)->block == chunk->block;
}

/* Add @next, the free right neighbour, to the free @chunk. */
static void merge_chunks(struct execmem_pool *pool, struct execmem_chunk *chunk,
			 struct execmem_chunk *next)
{
	chunk->size += next->size;
	chunk->seq = max(chunk->seq, next->seq);
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
	chunk->seq = atomic64_inc_return(&last_seq);
	update_max_free(chunk);
	if (can_merge(chunk, next))
		merge_chunks(pool, chunk, execmem_to_chunk(next));
	if (can_merge(chunk, prev)) {
		merge_chunks(pool, execmem_to_chunk(prev), chunk);
		chunk = execmem_to_chunk(prev);
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
	return req->size + req->align - execmem_unit(pool);
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
	if (!execmem_block_map(block, size_to_map(pool, req),
			       READ_ONCE(pool->reserved))) {
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

	/* Other code may have run at these addresses, as after a free. */
	*chunk = (struct execmem_chunk) {
		.start = block->start,
		.size = block->size,
		.block = block,
		.state = EXECMEM_FREE,
		.seq = atomic64_inc_return(&last_seq),
	};
	insert_chunk(pool, chunk);
	list_add_tail(&block->list, &pool->blocks);
	pool->nr_blocks++;
	pool->nr_huge += block->huge;
	pool->reserved += block->size;
	pool->stats.grown++;
	pool->stats.blocks[block->reason]++;
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
	if (!pool->spare && execmem_can_be_spare(block)) {
		pool->spare = block;
		return;
	}
	detach_block(pool, chunk, unused);
	if (pool->spare && !execmem_can_be_spare(pool->spare))
		detach_block(pool, execmem_chunk_at(pool, pool->spare->start), unused);
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
	if (!reserve_nodes(req, req->align > execmem_unit(pool) ? 2 : 1))
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
	    block->reason != EXECMEM_AS_REQUESTED)
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
 * last free was numbered @seq. Everything numbered before the flush begins is
 * covered by it, whichever pool it was in.
 */
static bool flush_predictors(u64 seq)
{
	s64 flushed, now;

	if (!static_branch_unlikely(&execmem_pred_flush_enabled) ||
	    seq <= atomic64_read(&flushed_seq))
		return false;

	now = atomic64_read(&last_seq);
	static_call_cond(execmem_pred_flush)();

	flushed = atomic64_read(&flushed_seq);
	while (flushed < now &&
	       !atomic64_try_cmpxchg(&flushed_seq, &flushed, now))
		;
	return true;
}

static bool size_is_too_large(const struct execmem_range *range, size_t size)
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

/**
 * execmem_pool_alloc_caller - allocate from a certain pool for a caller
 * @pool: the pool
 * @type: what the memory is for
 * @size: in bytes
 * @align: in bytes, a power of two
 * @flush: flush branch predictors where the addresses may have held other code
 * @caller: the address in the code that asks for it
 *
 * Context: As execmem_alloc().
 * Return: as execmem_alloc()
 */
void *execmem_pool_alloc_caller(struct execmem_pool *pool,
				enum execmem_type type, size_t size,
				size_t align, bool flush, void *caller)
{
	struct execmem_request req = { .type = type, .caller = caller };
	struct execmem_chunk *chunk;
	bool flushed;

	might_sleep();
	if (!size)
		return NULL;
	req.size = round_up(size, execmem_unit(pool));
	req.align = max(align, execmem_unit(pool));

	/* Where all addresses are in the range, only rounding up can overflow. */
	chunk = size_is_too_large(pool->range, size) || req.size < size ? NULL :
		alloc_chunk(pool, &req);
	release_nodes(&req);
	if (!chunk) {
		count_failure(pool);
		trace_execmem_alloc(type, 0, size, caller, false);
		return NULL;
	}

	/* The chunk has its owner, so nothing can be freed there meanwhile. */
	flushed = flush && flush_predictors(chunk->seq);
	if (flushed) {
		spin_lock(&pool->lock);
		pool->stats.pred_flushes++;
		spin_unlock(&pool->lock);
	}
	trace_execmem_alloc(type, chunk->start, size, caller, flushed);
	execmem_debug_alloc(chunk, size);
	check_if_debugging(pool);
	return (void *)chunk->start;
}

/**
 * execmem_pool_alloc - as execmem_pool_alloc_caller(), for the function it is in
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
	return execmem_pool_alloc_caller(pool, type, size, align, flush,
					 __builtin_return_address(0));
}

/* === Fill and free ======================================================== */

static int fill_memory(const struct execmem_range *range, void *dst,
		       const void *src, size_t len)
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
	chunk = execmem_chunk_at(pool, addr);
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
	execmem_debug_free_begin(chunk);
	if (invalidate_chunk(pool, chunk)) {
		execmem_report("cannot invalidate, %zu bytes leaked\n",
			       chunk->size);
		return;
	}

	execmem_debug_free_end(chunk);
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

/**
 * execmem_pool_fill - write a part of a chunk, of whichever pool
 * @addr: where to write
 * @src: what to write
 * @len: how many bytes to write
 *
 * Context: As execmem_fill().
 * Return: as execmem_fill()
 */
int execmem_pool_fill(unsigned long addr, const void *src, size_t len)
{
	struct execmem_pool *pool = execmem_pool_at(addr);
	struct execmem_chunk *chunk = NULL;
	int err = 0;

	if (pool)
		chunk = pin_chunk(pool, addr, len);
	if (!chunk) {
		execmem_report("fill of %zu bytes not inside one chunk open for it\n",
			       len);
		return -EINVAL;
	}

	if (len)
		err = fill_memory(pool->range, (void *)addr, src, len);
	trace_execmem_fill(addr, len, err);
	unpin_chunk(pool, chunk, !err);
	return err;
}

/**
 * execmem_pool_seal - end the time in which a chunk can be filled
 * @addr: where a chunk begins, of whichever pool
 *
 * Context: As execmem_seal().
 * Return: as execmem_seal()
 */
int execmem_pool_seal(unsigned long addr)
{
	struct execmem_pool *pool = execmem_pool_at(addr);
	struct execmem_chunk *chunk = NULL;
	void *start = (void *)addr;
	size_t size = 0;

	if (pool) {
		spin_lock(&pool->lock);
		chunk = live_chunk_from(pool, addr);
		if (chunk) {
			chunk->state = EXECMEM_SEALED;
			size = chunk->size;
		}
		spin_unlock(&pool->lock);
	}
	if (!chunk) {
		execmem_report("seal of %p, which is not allocated\n", start);
		return -EINVAL;
	}
	return pool->range->seal ? pool->range->seal(start, size) : 0;
}

/**
 * execmem_pool_free - free a chunk, of whichever pool
 * @addr: where it begins
 *
 * Context: As execmem_free().
 */
void execmem_pool_free(unsigned long addr)
{
	struct execmem_pool *pool = execmem_pool_at(addr);
	struct execmem_chunk *chunk = NULL;
	bool reclaim = false;

	if (pool) {
		spin_lock(&pool->lock);
		chunk = live_chunk_from(pool, addr);
		if (chunk) {
			chunk->state = EXECMEM_DYING;
			execmem_mark_dead(chunk);
			reclaim = !chunk->fills;
		}
		spin_unlock(&pool->lock);
	}
	if (!chunk)
		execmem_report("free of %p, which is not allocated\n", (void *)addr);
	else if (reclaim)
		reclaim_chunk(pool, chunk);
}

/* === Pools ================================================================ */

/**
 * execmem_pool_max_free - size of the largest free chunk
 * @pool: the pool, whose lock is held
 *
 * Return: the size in bytes, 0 when there is no free chunk
 */
size_t execmem_pool_max_free(struct execmem_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	return execmem_max_free(pool->chunks.rb_node);
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
		detach_block(pool, execmem_chunk_at(pool, pool->spare->start), &unused);
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
		struct execmem_chunk *chunk = execmem_to_chunk(node);

		if (addr < chunk->start + chunk->size)
			found = node;
		node = addr < chunk->start + chunk->size ? node->rb_left :
							   node->rb_right;
	}
	while (found && execmem_to_chunk(found)->state == EXECMEM_FREE)
		found = rb_next(found);
	if (found)
		*copy = *execmem_to_chunk(found);
	spin_unlock(&pool->lock);
	return found;
}

/**
 * execmem_pools_init - set up what all pools share
 *
 * Context: Once at boot, before the first pool is used.
 */
void __init execmem_pools_init(void)
{
	chunk_cache = KMEM_CACHE(execmem_chunk, SLAB_PANIC | SLAB_NOLEAKTRACE);
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
