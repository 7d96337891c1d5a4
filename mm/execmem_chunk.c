// SPDX-License-Identifier: GPL-2.0
/*
 * The chunks of a pool: a tree by address, from which free memory is cut and to
 * which it returns.
 *
 * See mm/execmem_pool.c for the invariants that this file maintains, and for
 * where chunks are placed. Functions that have no other Context are called with
 * the pool's lock held.
 */

#include "execmem_internal.h"

static struct kmem_cache *chunk_cache __ro_after_init;

/* === Nodes ================================================================ */

/**
 * execmem_nodes_reserve - allocate descriptions of chunks for a request
 * @req: the request
 * @nr: number of descriptions that it needs
 *
 * A pool keeps a few descriptions of removed chunks, so most requests need none
 * from slab.
 *
 * Context: Process context, may sleep. The pool's lock is not held.
 * Return: true, or false if there is no memory
 */
bool execmem_nodes_reserve(struct execmem_request *req, unsigned int nr)
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

/**
 * execmem_nodes_release - free the descriptions that a request did not use
 * @req: the request
 *
 * Context: Any.
 */
void execmem_nodes_release(struct execmem_request *req)
{
	while (req->nr_nodes)
		kmem_cache_free(chunk_cache, req->nodes[--req->nr_nodes]);
}

static struct execmem_chunk *get_node(struct execmem_pool *pool,
				      struct execmem_request *req)
{
	lockdep_assert_held(&pool->lock);

	if (req->nr_nodes)
		return req->nodes[--req->nr_nodes];
	return pool->nodes[--pool->nr_nodes];
}

static void put_node(struct execmem_pool *pool, struct execmem_chunk *chunk)
{
	lockdep_assert_held(&pool->lock);

	/* Only take_chunk() uses these, and it is called for shared pools only. */
	if (pool->shared && pool->nr_nodes < ARRAY_SIZE(pool->nodes))
		pool->nodes[pool->nr_nodes++] = chunk;
	else
		kmem_cache_free(chunk_cache, chunk);
}

/**
 * execmem_nodes_drop - free the spare descriptions of a pool without blocks
 * @pool: the pool
 */
void execmem_nodes_drop(struct execmem_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	while (pool->nr_nodes)
		kmem_cache_free(chunk_cache, pool->nodes[--pool->nr_nodes]);
}

/* === Chunks =============================================================== */

RB_DECLARE_CALLBACKS_MAX(static, chunk_augment, struct execmem_chunk, node,
			 size_t, max_free, execmem_free_size)

/* Does the request fit into a free chunk, at an address with its alignment? */
static bool chunk_fits(struct execmem_chunk *chunk, struct execmem_request *req)
{
	size_t skip = ALIGN(chunk->start, req->align) - chunk->start;

	return chunk->size >= req->size && chunk->size - req->size >= skip;
}

/* The lowest free chunk of at least @size bytes; there is one below @node. */
static struct execmem_chunk *lowest_large(struct rb_node *node, size_t size)
{
	for (;;) {
		execmem_count_visit();
		if (execmem_max_free(node->rb_left) >= size)
			node = node->rb_left;
		else if (execmem_free_size(execmem_to_chunk(node)) >= size)
			return execmem_to_chunk(node);
		else
			node = node->rb_right;
	}
}

/* The next free chunk of at least @size bytes after @chunk, or %NULL */
static struct execmem_chunk *next_large(struct execmem_chunk *chunk, size_t size)
{
	struct rb_node *node = &chunk->node, *parent;

	if (execmem_max_free(node->rb_right) >= size)
		return lowest_large(node->rb_right, size);
	for (parent = rb_parent(node); parent; parent = rb_parent(node)) {
		execmem_count_visit();
		if (node == parent->rb_left) {
			if (execmem_free_size(execmem_to_chunk(parent)) >= size)
				return execmem_to_chunk(parent);
			if (execmem_max_free(parent->rb_right) >= size)
				return lowest_large(parent->rb_right, size);
		}
		node = parent;
	}
	return NULL;
}

/* How many free chunks are looked at for one that needs no flush */
#define CLEAN_TRIES	16

static bool is_clean(struct execmem_chunk *chunk, struct execmem_request *req)
{
	return chunk->seq <= req->clean_seq;
}

/*
 * Find a free chunk that needs no flush, after @chunk, which needs one. The next
 * few chunks are looked at, and the largest one, most of which was often never
 * used. A flush interrupts all CPUs, so this is worth some steps, but there may
 * be any number of holes, so not a whole search.
 */
static struct execmem_chunk *find_clean(struct execmem_pool *pool,
					struct execmem_chunk *chunk,
					struct execmem_request *req)
{
	struct rb_node *root = pool->chunks.rb_node;

	for (int i = 0; i < CLEAN_TRIES; i++) {
		chunk = next_large(chunk, req->size);
		if (!chunk)
			return NULL;
		if (is_clean(chunk, req) && chunk_fits(chunk, req))
			return chunk;
	}
	chunk = lowest_large(root, execmem_max_free(root));
	return is_clean(chunk, req) && chunk_fits(chunk, req) ? chunk : NULL;
}

/**
 * execmem_chunk_find - find free memory for a request
 * @pool: the pool
 * @req: the request
 *
 * All chunks begin at multiples of the unit. If the request needs no larger
 * alignment, it fits into the first chunk that is large enough. Otherwise,
 * which is rare, some large chunks are visited that it does not fit into.
 *
 * Return: the free chunk with the lowest address that the request fits into, or
 *	%NULL. If that needs a flush which the request should avoid, a chunk that
 *	needs none, if one is found soon.
 */
struct execmem_chunk *execmem_chunk_find(struct execmem_pool *pool,
					 struct execmem_request *req)
{
	struct rb_node *root = pool->chunks.rb_node;
	struct execmem_chunk *chunk;

	lockdep_assert_held(&pool->lock);

	if (execmem_max_free(root) < req->size)
		return NULL;
	chunk = lowest_large(root, req->size);
	while (chunk && !chunk_fits(chunk, req))
		chunk = next_large(chunk, req->size);
	if (req->wants_clean && chunk && !is_clean(chunk, req))
		chunk = find_clean(pool, chunk, req) ?: chunk;
	return chunk;
}

/* Update max_free after the size or the state of a chunk changed. */
static void update_max_free(struct execmem_chunk *chunk)
{
	chunk_augment.propagate(&chunk->node, NULL);
}

/* Add a chunk to the tree as the child of @parent that @link points to. */
static void link_chunk(struct execmem_pool *pool, struct execmem_chunk *chunk,
		       struct rb_node *parent, struct rb_node **link)
{
	chunk->max_free = execmem_free_size(chunk);
	rb_link_node(&chunk->node, parent, link);
	/* Rebalancing copies max_free between nodes, so update it first. */
	chunk_augment.propagate(parent, NULL);
	rb_insert_augmented(&chunk->node, &pool->chunks, &chunk_augment);
}

/* Add the only chunk of a new block to the tree. */
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

/*
 * Insert @chunk right before @next. No search from the root is needed: it
 * becomes the rightmost node in the left subtree of @next.
 */
static void insert_before(struct execmem_pool *pool, struct execmem_chunk *chunk,
			  struct execmem_chunk *next)
{
	struct rb_node *parent = &next->node;
	struct rb_node **link = &parent->rb_left;

	while (*link) {
		execmem_count_visit();
		parent = *link;
		link = &parent->rb_right;
	}
	link_chunk(pool, chunk, parent, link);
}

/**
 * execmem_chunk_add - make a new block available
 * @pool: the pool
 * @block: the block; mapped, not in the tree
 * @req: the request that needed it, which has a description left
 *
 * Return: the only chunk of the block, which is free
 */
struct execmem_chunk *execmem_chunk_add(struct execmem_pool *pool,
					struct execmem_block *block,
					struct execmem_request *req)
{
	struct execmem_chunk *chunk = get_node(pool, req);

	*chunk = (struct execmem_chunk) {
		.start = block->start,
		.size = block->size,
		.block = block,
		.state = EXECMEM_FREE,
	};
	insert_chunk(pool, chunk);
	return chunk;
}

/**
 * execmem_chunk_extend - make memory available that was added to a block
 * @pool: the pool
 * @block: the block; mapped, with its old size
 * @size: number of bytes that were added at its end
 * @req: the request that needed them, which has a description left
 *
 * Return: the free chunk at the end of the block
 */
struct execmem_chunk *execmem_chunk_extend(struct execmem_pool *pool,
					   struct execmem_block *block,
					   size_t size,
					   struct execmem_request *req)
{
	unsigned long end = block->start + block->size;
	struct execmem_chunk *chunk = execmem_chunk_at(pool, end - 1);

	/* A lookup of an address in a chunk there begins after this. */
	WRITE_ONCE(block->size, block->size + size);
	if (chunk->state == EXECMEM_FREE) {
		chunk->size += size;
		update_max_free(chunk);
		return chunk;
	}
	chunk = get_node(pool, req);
	*chunk = (struct execmem_chunk) {
		.start = end,
		.size = size,
		.block = block,
		.state = EXECMEM_FREE,
	};
	insert_chunk(pool, chunk);
	return chunk;
}

/**
 * execmem_chunk_remove - remove a chunk, and free its description
 * @pool: the pool
 * @chunk: the chunk
 */
void execmem_chunk_remove(struct execmem_pool *pool,
			  struct execmem_chunk *chunk)
{
	if (pool->last == chunk)
		pool->last = NULL;
	rb_erase_augmented(&chunk->node, &pool->chunks, &chunk_augment);
	put_node(pool, chunk);
}

/*
 * Cut the first @size bytes off a free chunk and return them as a new chunk in
 * @state. The free chunk keeps its node and moves up in memory, which does not
 * change its place in the tree. If the new chunk is in use, it adds nothing to
 * max_free of its ancestors, so only one update goes up the tree.
 */
static struct execmem_chunk *cut_chunk(struct execmem_pool *pool,
				       struct execmem_chunk *chunk, size_t size,
				       enum execmem_state state,
				       struct execmem_request *req)
{
	struct execmem_chunk *front = get_node(pool, req);

	*front = (struct execmem_chunk) {
		.start = chunk->start,
		.size = size,
		.block = chunk->block,
		.state = state,
		.seq = chunk->seq,
	};
	chunk->start += size;
	chunk->size -= size;
	update_max_free(chunk);
	insert_before(pool, front, chunk);
	return front;
}

/**
 * execmem_chunk_claim - hand out a part of a free chunk
 * @pool: the pool
 * @chunk: a free chunk that the request fits into
 * @offset: number of bytes to leave free before the part
 * @req: the request
 *
 * Return: the chunk that is in use now
 */
struct execmem_chunk *execmem_chunk_claim(struct execmem_pool *pool,
					  struct execmem_chunk *chunk,
					  size_t offset,
					  struct execmem_request *req)
{
	lockdep_assert_held(&pool->lock);

	if (offset)
		cut_chunk(pool, chunk, offset, EXECMEM_FREE, req);
	if (chunk->size > req->size) {
		chunk = cut_chunk(pool, chunk, req->size, EXECMEM_OPEN, req);
	} else {
		chunk->state = EXECMEM_OPEN;
		update_max_free(chunk);
	}
	chunk->type = req->type;
	chunk->caller = req->caller;
	chunk->fills = 0;
	execmem_mark_live(chunk);
	pool->last = chunk;

	chunk->block->used += chunk->size;
	if (pool->spare == chunk->block)
		pool->spare = NULL;
	pool->used += chunk->size;
	pool->nr_chunks++;
	pool->stats.allocs++;
	return chunk;
}

/*
 * The chunk of @node if it can be merged with @chunk, or %NULL. Chunks of
 * different blocks are not merged, even if they are adjacent.
 */
static struct execmem_chunk *free_neighbour(struct execmem_chunk *chunk,
					    struct rb_node *node)
{
	if (!node || execmem_to_chunk(node)->state != EXECMEM_FREE ||
	    execmem_to_chunk(node)->block != chunk->block)
		return NULL;
	return execmem_to_chunk(node);
}

/*
 * Merge @chunk, which is not free yet, with its free neighbours, of which there
 * is at least one. Returns the chunk that is left. The caller updates max_free.
 */
static struct execmem_chunk *merge_chunk(struct execmem_pool *pool,
					 struct execmem_chunk *chunk,
					 struct execmem_chunk *prev,
					 struct execmem_chunk *next)
{
	struct execmem_chunk *merged = prev ?: next;
	unsigned long start = merged == next ? chunk->start : prev->start;
	size_t size = merged->size + chunk->size;

	execmem_chunk_remove(pool, chunk);
	if (prev && next) {
		size += next->size;
		execmem_chunk_remove(pool, next);
	}
	merged->start = start;
	merged->size = size;
	return merged;
}

/**
 * execmem_chunk_free - make a chunk free, and merge it with free neighbours
 * @pool: the pool
 * @chunk: the chunk, which is dying and was invalidated
 *
 * Return: the free chunk that it is now a part of
 */
struct execmem_chunk *execmem_chunk_free(struct execmem_pool *pool,
					 struct execmem_chunk *chunk)
{
	struct execmem_chunk *next = free_neighbour(chunk, rb_next(&chunk->node));
	struct execmem_chunk *prev = free_neighbour(chunk, rb_prev(&chunk->node));

	lockdep_assert_held(&pool->lock);

	chunk->block->used -= chunk->size;
	pool->used -= chunk->size;
	pool->nr_chunks--;
	pool->stats.frees++;

	if (prev || next)
		chunk = merge_chunk(pool, chunk, prev, next);
	chunk->state = EXECMEM_FREE;
	update_max_free(chunk);
	return chunk;
}

/**
 * execmem_chunks_init - create the slab cache that all pools use
 *
 * Context: Called once at boot, before a pool is used.
 */
void __init execmem_chunks_init(void)
{
	chunk_cache = KMEM_CACHE(execmem_chunk, SLAB_PANIC | SLAB_NOLEAKTRACE);
}
