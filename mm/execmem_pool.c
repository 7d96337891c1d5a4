// SPDX-License-Identifier: GPL-2.0
/*
 * Pools of executable memory: blocks are cut into chunks, which are handed out,
 * filled and freed.
 */

/**
 * DOC: execmem
 *
 * Callers name the type of memory they need. The architecture's table (&struct
 * execmem_range) describes each type. A type has a pool, unless the table
 * merges it into another type. A pool maps *blocks* and hands out *chunks*. In
 * a shared pool, many chunks are cut from one block, which is mapped by one huge
 * page or by base pages, see mm/execmem_grow.c. In other pools, each chunk is a
 * block of its own, and the caller manages its permissions.
 *
 * A block of a shared pool is filled with trapping instructions, or with zeroes
 * for data. Then the whole block gets its final permissions, before its first
 * chunk is handed out. The allocator does not change them until the whole block
 * is given back; I9 lists the exceptions. When a block of base pages is
 * enlarged, its new part is prepared likewise.
 * execmem_fill() writes to read-only chunks through a temporary mapping that
 * the architecture provides. After execmem_seal(), execmem_fill() fails. Text
 * patching of live code (text_poke() and similar functions) does not involve
 * the allocator.
 *
 * These invariants hold whenever the pool's lock is free:
 *
 * - I1: The chunks of a block cover all of it, do not overlap, and do not
 *   extend beyond it.
 * - I2: Two neighbouring chunks of a block are never both free.
 * - I3: max_free of a chunk is the size of the largest free chunk in its
 *   subtree.
 * - I4: Addresses and sizes of chunks are multiples of the pool's unit: the
 *   alignment of a shared type, or a page for other types and with
 *   execmem=guard.
 * - I5: The used bytes of a block are those of its chunks that are not free.
 *   The counters of a pool are the sums over its blocks.
 * - I6: At most one block has no chunk in use, besides one that is being
 *   enlarged. It is the spare. It is as large as the granularity, or with a
 *   seal hook at least as large, and the other blocks reserve at least as much
 *   memory.
 * - I7: Blocks do not overlap. A block can be found by its address while any of
 *   its chunks is in the pool's tree.
 * - I8: A free chunk of executable memory in a shared pool consists of trapping
 *   instructions.
 * - I9: The permissions of a page in a shared block change only before any chunk
 *   is in it, and after the last chunk of the block was invalidated; in a huge
 *   block always for the whole block. Types with a seal hook are an exception:
 *   their blocks are not huge, and a chunk is read-only from execmem_seal()
 *   until it is invalidated. Owners may change whole pages of their own chunk.
 *   This is undone before the chunk is invalidated, see mm/execmem_perm.c.
 * - I10: Exactly the live chunks of a block are marked for execmem_lookup().
 * - I11: The member last of a pool is %NULL or one of the pool's chunks.
 * - I12: A pool has two lists, named "rests" and "holds". The former has one note
 *   for each resting chunk of the pool, the latter one for each held chunk, and
 *   neither has others. The counters of the pool are the lengths of these lists
 *   and the sums of the sizes of their chunks.
 *
 * execmem_pool_check() verifies I1 to I6 and I10 to I12, and of I7 that the start
 * of each block of the pool can be found. The KUnit suite verifies I8 and I9.
 *
 * All chunks of a pool, free or not, are in one tree by address, augmented with
 * the largest free size. The lowest free chunk that is large enough, and the
 * chunk at an address, are found by one descent each. The neighbours of a chunk
 * are found by rb_prev() and rb_next(). Except for the first chunk of a block
 * with random addresses, a chunk is placed at the lowest address that fits, so
 * that the blocks at the high end become empty. These are the blocks of base
 * pages, see mm/execmem_grow.c. A chunk for less trusted code is preferably
 * placed where no flush of the branch predictors is needed.
 *
 * Chunks do not move, so a shared pool can waste memory. In the worst case, one
 * chunk of the smallest size is left in every block. These are the limits:
 *
 * - F1: Every block has a chunk in use, except the spare and a block that is
 *   being enlarged. So there are at most two blocks more than chunks in use.
 * - F2: By I2, there is at most one free chunk before each chunk in use, and
 *   one at the end of each block. A block is added for a request of @size bytes
 *   only if no free chunk is large enough for it, at an aligned address. With
 *   the alignment of the pool's unit, that means that none is that large. So at
 *   that moment less than (chunks in use + blocks) * @size bytes are free.
 *   There is one exception: a huge page may be added to replace base pages, see
 *   execmem_huge_is_due().
 * - F3: If one chunk is left in a block, the rest of the block is in at most two
 *   free chunks, and the larger of them has at least half of that rest. Except
 *   as in F2, a request that is not larger than this free chunk, and has the
 *   alignment of the pool's unit, does not make the pool grow.
 *
 * Memory that was freed by execmem_retire() is in quarantine at first, which
 * the code calls a rest, see mm/execmem_rest.c: the chunk stays in the tree and
 * counts as used, although it has no user. It is given back by
 * execmem_pool_end_rests(), which is called
 *
 * - before a block is added, for chunks that were in quarantine long enough,
 * - after a chunk was put in quarantine, for the oldest ones if too much memory
 *   is there,
 * - by a delayed work item, for those that were there as long as they may be,
 * - if memory or addresses are short, for all.
 *
 * If somebody refers to a page of the chunk when its quarantine would begin or
 * end, the chunk is held instead, and put in quarantine when nobody does.
 *
 * Lock order:
 *
 * 1. text_mutex, if the caller holds it
 * 2. grow_lock of a pool
 * 3. lock of a pool, or the lock of the tree of blocks, but never both
 *
 * grow_lock
 *     Serializes adding blocks to a shared pool. Under it, the memory of a block
 *     is allocated and mapped, and gets its final permissions. No text is
 *     patched, so the caller may hold text_mutex. Blocks are given back without
 *     this lock.
 * lock
 *     Protects the chunks, the blocks and the counters of the pool. Nothing
 *     that sleeps, patches text or changes permissions is done under it.
 * lock of the tree of blocks
 *     Serializes changes of the tree. It is taken and released in
 *     execmem_block_publish() and execmem_block_withdraw(), and for debugging in
 *     execmem_find_page().
 *
 * The fill and invalidate hooks take text_mutex on some architectures; the
 * Context of each function in include/linux/execmem.h says whether its caller
 * may hold it. execmem_free() allocates nothing itself, but freeing memory of a
 * type that is not shared, and undoing what others changed, may split huge pages
 * of the direct map. execmem_retire() allocates the note of the quarantine.
 * execmem_lookup() takes no lock.
 *
 * Errors: if no huge page is available, base pages are used. If memory is short,
 * these are as few as the request needs, rounded up to a multiple of 1/32 of a
 * block. If there is no memory or no address space for these, the allocation
 * returns %NULL. A chunk that cannot be invalidated, and a block whose
 * permissions cannot be restored, are never used again, since their contents or
 * permissions are unknown. The first of each is reported by a warning.
 */

#include "execmem_internal.h"

/*
 * Each free of a chunk and each new block gets a sequence number, in all pools
 * together. last_seq is the latest number. flushed_seq is what last_seq was
 * before the latest flush of the branch predictors began: they hold no
 * predictions from code that was freed with this number or a lower one.
 */
static atomic64_t last_seq = ATOMIC64_INIT(0);
static atomic64_t flushed_seq = ATOMIC64_INIT(0);

DEFINE_STATIC_CALL_NULL(execmem_pred_flush, execmem_pred_flush);
DEFINE_STATIC_KEY_FALSE(execmem_pred_flush_enabled);

/* === Blocks =============================================================== */

/* Describe a new block, which has no memory yet. */
static struct execmem_block *new_block(struct execmem_pool *pool,
				       struct execmem_request *req)
{
	struct execmem_block *block = kzalloc(sizeof(*block), GFP_KERNEL);

	if (!block)
		return NULL;
	/*
	 * Do not scan this for pointers: kmemleak would take block->start for a
	 * reference by the user of the memory, and miss leaks.
	 */
	kmemleak_ignore(block);
	block->pool = pool;
	block->caller = req->caller;
	return block;
}

/* Report and count a block that cannot be given back, because of @err. */
static void leak_block(struct execmem_block *block, int err)
{
	struct execmem_pool *pool = block->pool;

	/* If memory failed, that was reported, and no code is at fault. */
	if (err != -EHWPOISON)
		execmem_report("cannot reset permissions of a block, %zu bytes leaked\n",
			       block->size);
	spin_lock(&pool->lock);
	pool->stats.leaked += block->size;
	spin_unlock(&pool->lock);
}

/* Give back blocks that were detached from their pools. */
static void destroy_blocks(struct list_head *blocks)
{
	struct execmem_block *block, *tmp;
	int err;

	list_for_each_entry_safe(block, tmp, blocks, list) {
		trace_execmem_shrink(block->pool->type, block->start,
				     block->size, block->huge);
		/* After the unmap, others may use these addresses. */
		execmem_block_withdraw(block);
		err = execmem_restore_block(block);
		if (err)
			leak_block(block, err);
		else
			execmem_block_unmap(block);
		execmem_block_free(block);
	}
}

/* Add a new block to the pool and return its only chunk, which is free. */
static struct execmem_chunk *attach_block(struct execmem_pool *pool,
					  struct execmem_block *block,
					  struct execmem_request *req)
{
	struct execmem_chunk *chunk;

	lockdep_assert_held(&pool->lock);

	chunk = execmem_chunk_add(pool, block, req);
	/*
	 * Other code may have been at these addresses before they were mapped,
	 * so count this like a free.
	 */
	chunk->seq = atomic64_inc_return(&last_seq);
	list_add_tail(&block->list, &pool->blocks);
	pool->nr_blocks++;
	pool->nr_huge += block->huge;
	pool->nr_not_huge += block->reason == EXECMEM_NOT_HUGE;
	pool->reserved += block->size;
	pool->reserved_base += block->huge ? 0 : block->size;
	if (block->room > block->size)
		pool->tail = block;
	pool->stats.grown++;
	pool->stats.blocks[block->reason]++;
	return chunk;
}

/*
 * Move a block from the pool to @unused; @chunk is its only chunk and is free.
 */
static void detach_block(struct execmem_pool *pool, struct execmem_chunk *chunk,
			 struct list_head *unused)
{
	struct execmem_block *block = chunk->block;

	lockdep_assert_held(&pool->lock);

	execmem_chunk_remove(pool, chunk);
	list_move(&block->list, unused);
	if (pool->spare == block)
		pool->spare = NULL;
	if (pool->tail == block)
		pool->tail = NULL;
	pool->nr_blocks--;
	pool->nr_huge -= block->huge;
	pool->nr_not_huge -= block->reason == EXECMEM_NOT_HUGE;
	pool->reserved -= block->size;
	pool->reserved_base -= block->huge ? 0 : block->size;
	pool->stats.shrunk++;
	if (!pool->nr_blocks)
		execmem_nodes_drop(pool);
}

static void detach_spare(struct execmem_pool *pool, struct list_head *unused)
{
	lockdep_assert_held(&pool->lock);

	if (pool->spare)
		detach_block(pool, execmem_chunk_at(pool, pool->spare->start), unused);
}

static void keep_spare(struct execmem_pool *pool, struct execmem_block *block)
{
	lockdep_assert_held(&pool->lock);

	pool->spare = block;
	pool->spare_until = jiffies + EXECMEM_SPARE_TIME;
	execmem_spare_kept();
}

/*
 * The block of @chunk has become empty. Keep it as the pool's spare, so that the
 * next allocation need not map a block, or move it to @unused. Also move the
 * spare to @unused if the pool has become too small to keep one.
 */
static void detach_empty(struct execmem_pool *pool,
			 struct execmem_chunk *chunk, struct list_head *unused)
{
	struct execmem_block *block = chunk->block;

	lockdep_assert_held(&pool->lock);

	if (!pool->spare && execmem_can_be_spare(block)) {
		keep_spare(pool, block);
		return;
	}
	detach_block(pool, chunk, unused);
	if (pool->spare && !execmem_can_be_spare(pool->spare))
		detach_spare(pool, unused);
}

/* === Allocation =========================================================== */

/* With CONFIG_EXECMEM_DEBUG, verify the invariants. */
static void check_if_debugging(struct execmem_pool *pool)
{
	if (IS_ENABLED(CONFIG_EXECMEM_DEBUG))
		WARN_ON_ONCE(execmem_pool_check(pool));
}

/* Take a chunk from the existing blocks. Returns false if nodes are missing. */
static bool try_to_take_chunk(struct execmem_pool *pool,
			      struct execmem_request *req, unsigned int nr_nodes,
			      struct execmem_chunk **taken)
{
	struct execmem_chunk *chunk;

	lockdep_assert_held(&pool->lock);

	if (req->nr_nodes + pool->nr_nodes < nr_nodes)
		return false;
	chunk = execmem_chunk_find(pool, req);
	/* The caller adds a block of huge pages, or comes again. */
	if (chunk && !chunk->block->huge && !req->base_will_do &&
	    execmem_huge_is_due(pool))
		chunk = NULL;
	if (chunk)
		chunk = execmem_chunk_claim(pool, chunk,
					    ALIGN(chunk->start, req->align) -
					    chunk->start, req);
	*taken = chunk;
	return true;
}

/* Allocate from the existing blocks; %NULL if no free chunk is large enough */
static struct execmem_chunk *take_chunk(struct execmem_pool *pool,
					struct execmem_request *req)
{
	/* For the chunk, and for a part that alignment skips */
	unsigned int nr_nodes = req->align > execmem_unit(pool) ? 2 : 1;
	struct execmem_chunk *chunk = NULL;
	bool done;

	do {
		spin_lock(&pool->lock);
		done = try_to_take_chunk(pool, req, nr_nodes, &chunk);
		spin_unlock(&pool->lock);
	} while (!done && execmem_nodes_reserve(req, nr_nodes));
	return chunk;
}

/* Make a new block findable, and allocate from it. */
static struct execmem_chunk *take_from_new(struct execmem_pool *pool,
					   struct execmem_block *block,
					   struct execmem_request *req)
{
	size_t offset = execmem_first_offset(block, req->size, req->align);
	struct execmem_chunk *chunk;

	execmem_block_publish(block);
	trace_execmem_grow(pool->type, block->start, block->size, block->huge);
	spin_lock(&pool->lock);
	chunk = attach_block(pool, block, req);
	chunk = execmem_chunk_claim(pool, chunk, offset, req);
	spin_unlock(&pool->lock);
	return chunk;
}

/* Add a block for a chunk that has pages of its own. */
static struct execmem_chunk *grow_own(struct execmem_pool *pool,
				      struct execmem_request *req)
{
	struct execmem_block *block;

	if (!execmem_nodes_reserve(req, 1))
		return NULL;
	block = new_block(pool, req);
	if (!block)
		return NULL;
	if (execmem_block_map_own(block, req->size, req->align) &&
	    execmem_marks_alloc(block))
		return take_from_new(pool, block, req);
	if (block->size)
		execmem_block_unmap(block);
	kfree(block);
	return NULL;
}

/*
 * Choose the block that has addresses left for the request, and keep it from
 * being given back.
 */
static struct execmem_block *start_growing(struct execmem_pool *pool,
					   struct execmem_request *req)
{
	struct execmem_block *block;

	spin_lock(&pool->lock);
	block = pool->tail;
	if (block && !execmem_grow_fits(block, req->size, req->align))
		block = NULL;
	pool->growing = block;
	spin_unlock(&pool->lock);
	return block;
}

/* Allocate from memory that was added to a block in use. */
static struct execmem_chunk *take_from_added(struct execmem_pool *pool,
					     struct execmem_block *block,
					     size_t added,
					     struct execmem_request *req)
{
	struct execmem_chunk *chunk = execmem_chunk_extend(pool, block, added, req);

	/* As in attach_block() */
	chunk->seq = atomic64_inc_return(&last_seq);
	pool->reserved += added;
	pool->reserved_base += added;
	pool->stats.enlarged++;
	return execmem_chunk_claim(pool, chunk, ALIGN(chunk->start, req->align) -
				   chunk->start, req);
}

/*
 * Enlarge a block in place, and allocate from it. Returns %NULL if there is no
 * memory, or, with @fits false, if no block has addresses left. If the block has
 * become empty meanwhile, it is treated like any block that becomes empty.
 */
static struct execmem_chunk *grow_tail(struct execmem_pool *pool,
				       struct execmem_request *req, bool *fits,
				       struct list_head *unused)
{
	struct execmem_block *block = start_growing(pool, req);
	struct execmem_chunk *chunk = NULL;
	size_t added;

	*fits = block;
	if (!block)
		return NULL;
	added = execmem_grow_more(block, req->size);
	if (added)
		trace_execmem_grow(pool->type, block->start + block->size,
				   added, false);
	spin_lock(&pool->lock);
	pool->growing = NULL;
	if (added)
		chunk = take_from_added(pool, block, added, req);
	else if (!block->used)
		detach_empty(pool, execmem_chunk_at(pool, block->start), unused);
	spin_unlock(&pool->lock);
	return chunk;
}

/*
 * Get memory for a request that no free chunk is large enough for, or that would
 * get base pages although there may be huge pages again.
 */
static struct execmem_chunk *grow_pool(struct execmem_pool *pool,
				       struct execmem_request *req,
				       struct list_head *unused)
{
	struct execmem_block *block;
	struct execmem_chunk *chunk;
	bool fits = false;
	int err;

	lockdep_assert_held(&pool->grow_lock);

	/* For the part before the chunk, the chunk itself, and the rest */
	if (!execmem_nodes_reserve(req, 3))
		return NULL;
	block = new_block(pool, req);
	if (!block)
		return NULL;
	err = execmem_grow_whole(block, req->size, req->align);
	if (!err)
		return take_from_new(pool, block, req);

	req->base_will_do = true;
	chunk = take_chunk(pool, req);
	if (!chunk)
		chunk = grow_tail(pool, req, &fits, unused);
	if (!chunk && !fits && !execmem_grow_part(block, req->size, req->align))
		return take_from_new(pool, block, req);
	kfree(block);
	return chunk;
}

/* Allocate from the existing blocks, or else from a new one. */
static struct execmem_chunk *take_or_grow(struct execmem_pool *pool,
					  struct execmem_request *req)
{
	struct execmem_chunk *chunk;
	LIST_HEAD(unused);

	mutex_lock(&pool->grow_lock);
	/* Another task may have added a block while this one waited. */
	chunk = take_chunk(pool, req);
	if (!chunk)
		chunk = grow_pool(pool, req, &unused);
	mutex_unlock(&pool->grow_lock);
	/* Hooks must not be called with the lock held. */
	destroy_blocks(&unused);
	return chunk;
}

/*
 * Allocate from the existing blocks, from what has rested long enough, from a
 * new block, or else from what rests.
 */
static struct execmem_chunk *alloc_chunk(struct execmem_pool *pool,
					 struct execmem_request *req)
{
	struct execmem_chunk *chunk;

	if (!pool->shared)
		return grow_own(pool, req);

	chunk = take_chunk(pool, req);
	if (chunk)
		return chunk;
	execmem_pool_end_rests(pool, EXECMEM_REST_DUE);
	chunk = take_or_grow(pool, req);
	if (!chunk && execmem_pool_end_rests(pool, EXECMEM_REST_ALL))
		chunk = take_or_grow(pool, req);
	return chunk;
}

/*
 * Ensure that no CPU has predictions from code that was freed with sequence
 * number @seq or a lower one. Returns true if predictors were flushed.
 *
 * The flush covers all numbers up to last_seq as it was before the flush began.
 * Concurrent flushes may complete in any order, so flushed_seq only ever
 * increases.
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

/*
 * When may a CPU execute code at an address that held other code? Code is
 * written through another mapping, so a CPU may still execute what it fetched
 * before the write, until it executes a serializing instruction.
 *
 * - Text of a module: after the loader has synchronized all CPUs, which it does
 *   when all of the text is written, see module_text_entered().
 * - A BPF program at an address that held another one, or only traps: at once. A
 *   grace period passed before the other one was overwritten. JITs have always
 *   relied on CPUs noticing such writes, where programs follow one another in
 *   memory that only ever held programs and traps.
 * - A BPF program at an address that held text of a module: after all CPUs were
 *   synchronized since that text was overwritten by traps. After that, the
 *   address is like one that only ever held programs.
 *
 * The last rule is for the allocator. It need not know which addresses held text
 * of modules: one synchronization covers all that was given back before.
 */
static bool need_sync(struct execmem_pool *pool, enum execmem_type type,
		      unsigned long frees)
{
	return unlikely(frees != READ_ONCE(pool->code_synced)) &&
		execmem_is_bpf(type);
}

/*
 * Synchronize all CPUs with the text of modules that was overwritten, if it is
 * possible that the memory of a new chunk of @type held some.
 */
static void sync_with_frees(struct execmem_pool *pool, enum execmem_type type)
{
	/*
	 * The memory of the chunk was given back under the pool's lock, and
	 * this task took the lock later, to allocate it. So that free is
	 * counted here, and perhaps later ones.
	 */
	unsigned long frees = READ_ONCE(pool->code_frees);

	if (!need_sync(pool, type, frees))
		return;
	pool->range->sync();

	spin_lock(&pool->lock);
	/* A synchronization that began later may be complete already. */
	if ((long)(frees - pool->code_synced) > 0)
		WRITE_ONCE(pool->code_synced, frees);
	pool->stats.syncs++;
	spin_unlock(&pool->lock);
}

/* Count that memory is given back that sync_with_frees() has to deal with. */
static void count_code_free(struct execmem_pool *pool, enum execmem_type type)
{
	lockdep_assert_held(&pool->lock);

	if (pool->range->sync && !execmem_is_bpf(type))
		WRITE_ONCE(pool->code_frees, pool->code_frees + 1);
}

/* A size that neither address range has room for */
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
 * execmem_pool_alloc_caller - allocate from a pool on behalf of a caller
 * @pool: the pool
 * @type: what the memory is used for
 * @size: size in bytes
 * @align: alignment in bytes, a power of two
 * @flush: flush branch predictors if the addresses may have held other code
 * @caller: return address of the caller, for debugging
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
	req.wants_clean = flush &&
			  static_branch_unlikely(&execmem_pred_flush_enabled);
	if (req.wants_clean)
		req.clean_seq = atomic64_read(&flushed_seq);

	/* If the range is the whole address space, rounding up can overflow. */
	chunk = size_is_too_large(pool->range, size) || req.size < size ? NULL :
		alloc_chunk(pool, &req);
	if (unlikely(req.nr_nodes))
		execmem_nodes_release(&req);
	if (!chunk) {
		count_failure(pool);
		trace_execmem_alloc(type, 0, size, caller, false);
		return NULL;
	}

	/* The chunk is in use now, so its sequence number cannot change. */
	flushed = flush && flush_predictors(chunk->seq);
	if (flushed) {
		spin_lock(&pool->lock);
		pool->stats.pred_flushes++;
		spin_unlock(&pool->lock);
	}
	sync_with_frees(pool, type);
	trace_execmem_alloc(type, chunk->start, size, caller, flushed);
	/* Symbols of what was freed must not appear at these addresses again. */
	if (pool->shared)
		ftrace_reuse_mem(chunk->start, chunk->size);
	if (EXECMEM_CHECKERS)
		execmem_debug_alloc(chunk, size);
	check_if_debugging(pool);
	return (void *)chunk->start;
}

/**
 * execmem_pool_alloc - allocate from a pool, for tests
 * @pool: the pool
 * @type: what the memory is used for
 * @size: size in bytes
 * @align: alignment in bytes, a power of two
 * @flush: flush branch predictors if the addresses may have held other code
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

static int fill_memory(const struct execmem_range *range,
		       enum execmem_fill_mode mode, void *dst, const void *src,
		       size_t len)
{
	if (range->fill && mode == EXECMEM_FILL_LOCKED)
		return range->fill_locked ? range->fill_locked(dst, src, len) :
					    -EOPNOTSUPP;
	if (range->fill)
		return range->fill(dst, src, len);
	memcpy(dst, src, len);
	return 0;
}

/* Overwrite a freed chunk, so that its old contents cannot be executed. */
static int invalidate_chunk(struct execmem_pool *pool,
			    struct execmem_chunk *chunk)
{
	void *start = (void *)chunk->start;

	lockdep_assert_not_held(&pool->lock);

	/* A chunk that is a whole block is unmapped when it is freed. */
	if (!pool->shared)
		return 0;
	if (pool->range->invalidate)
		return pool->range->invalidate(start, chunk->size);
	memset(start, 0, chunk->size);
	return 0;
}

/*
 * Find the chunk to fill, and keep it from being reused until unpin_chunk().
 * Returns %NULL if the range is not inside one chunk that can be filled.
 */
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

/* Forget the note of a rest that ended or never began, if there is one. */
static void drop_rest(struct execmem_pool *pool, struct execmem_chunk *chunk)
{
	struct execmem_rest *rest;

	spin_lock(&pool->lock);
	rest = chunk->rest;
	chunk->rest = NULL;
	spin_unlock(&pool->lock);
	kfree(rest);
}

/* Count a chunk that stays dying forever, since its contents are not known. */
static void leak_chunk(struct execmem_pool *pool, struct execmem_chunk *chunk)
{
	spin_lock(&pool->lock);
	pool->stats.leaked += chunk->size;
	spin_unlock(&pool->lock);
	drop_rest(pool, chunk);
}

/*
 * Undo what the owner of a dying chunk changed in the page table, and overwrite
 * the chunk. If this fails, it is never used again.
 */
static bool overwrite_chunk(struct execmem_pool *pool,
			    struct execmem_chunk *chunk)
{
	int err = execmem_restore_chunk(chunk);

	if (!err && !invalidate_chunk(pool, chunk))
		return true;
	if (err != -EHWPOISON)
		execmem_report("cannot overwrite a freed chunk, %zu bytes leaked\n",
			       chunk->size);
	leak_chunk(pool, chunk);
	return false;
}

/* Return a chunk that was overwritten to the pool. */
static void give_back_chunk(struct execmem_pool *pool,
			    struct execmem_chunk *chunk)
{
	LIST_HEAD(unused);

	spin_lock(&pool->lock);
	count_code_free(pool, chunk->type);
	chunk = execmem_chunk_free(pool, chunk);
	/* This number is larger than those of the chunks that were merged. */
	chunk->seq = atomic64_inc_return(&last_seq);
	if (!chunk->block->used && chunk->block != pool->growing)
		detach_empty(pool, chunk, &unused);
	spin_unlock(&pool->lock);
	destroy_blocks(&unused);
	check_if_debugging(pool);
}

/* Put a chunk to rest that was overwritten. */
static void rest_chunk(struct execmem_pool *pool, struct execmem_chunk *chunk)
{
	bool excess;

	spin_lock(&pool->lock);
	execmem_rest_begin(chunk);
	excess = pool->resting > EXECMEM_REST_BYTES;
	spin_unlock(&pool->lock);
	execmem_rest_kept();
	if (excess)
		execmem_pool_end_rests(pool, EXECMEM_REST_EXCESS);
	check_if_debugging(pool);
}

/* Keep a chunk from being used again while somebody refers to its pages. */
static void hold_chunk(struct execmem_pool *pool, struct execmem_chunk *chunk)
{
	spin_lock(&pool->lock);
	execmem_hold_begin(chunk);
	spin_unlock(&pool->lock);
	execmem_rest_kept();
	check_if_debugging(pool);
}

/* Overwrite a dying chunk for its rest, or for its next user if it has no note. */
static bool clear_chunk(struct execmem_pool *pool, struct execmem_chunk *chunk)
{
	if (!overwrite_chunk(pool, chunk))
		return false;
	if (chunk->rest)
		execmem_rest_poison(chunk);
	return true;
}

static bool is_referenced(struct execmem_chunk *chunk)
{
	return execmem_pages_referenced(chunk->start, chunk->size);
}

/*
 * Overwrite a dying chunk, and put it to rest or return it to the pool. No fill
 * is in progress, and no other task can find the chunk, so the pool's lock is
 * not held for the overwrite.
 */
static void reclaim_chunk(struct execmem_pool *pool,
			  struct execmem_chunk *chunk)
{
	bool hold = chunk->rest && is_referenced(chunk);

	trace_execmem_free(chunk->type, chunk->start, chunk->size);
	if (EXECMEM_CHECKERS)
		execmem_debug_free_begin(chunk);
	/* Whoever refers to data still reads it. Code has to trap in any case. */
	if ((!hold || pool->range->flags & EXECMEM_EXEC) &&
	    !clear_chunk(pool, chunk))
		return;
	if (EXECMEM_CHECKERS)
		execmem_debug_free_end(chunk);

	if (hold)
		hold_chunk(pool, chunk);
	else if (chunk->rest)
		rest_chunk(pool, chunk);
	else
		give_back_chunk(pool, chunk);
}

/*
 * End a fill that succeeded if @filled is set. If the chunk was freed during the
 * fill, complete the free. A caller of execmem_fill_locked() holds the lock that
 * the hooks take, so it cannot do that, and the chunk is leaked.
 */
static void unpin_chunk(struct execmem_pool *pool, struct execmem_chunk *chunk,
			bool filled, enum execmem_fill_mode mode)
{
	bool reclaim;

	spin_lock(&pool->lock);
	pool->stats.fills += filled;
	if (filled && mode == EXECMEM_PUBLISH && chunk->state == EXECMEM_OPEN)
		chunk->state = EXECMEM_SEALED;
	reclaim = !--chunk->fills && chunk->state == EXECMEM_DYING;
	spin_unlock(&pool->lock);

	if (reclaim && mode != EXECMEM_FILL_LOCKED) {
		reclaim_chunk(pool, chunk);
	} else if (reclaim) {
		execmem_report("freed during execmem_fill_locked(), %zu bytes leaked\n",
			       chunk->size);
		leak_chunk(pool, chunk);
	}
}

/**
 * execmem_pool_fill - write to a chunk of any pool
 * @addr: where to write
 * @src: what to write
 * @len: size in bytes
 * @mode: which function was called
 *
 * Context: As the function that was called.
 * Return: as the function that was called
 */
int execmem_pool_fill(unsigned long addr, const void *src, size_t len,
		      enum execmem_fill_mode mode)
{
	struct execmem_pool *pool = execmem_pool_at(addr);
	struct execmem_chunk *chunk = NULL;
	int err = 0;

	if (pool && mode == EXECMEM_PUBLISH && pool->range->seal) {
		execmem_report("%s is written in place and cannot be published\n",
			       pool->name);
		return -EINVAL;
	}
	if (pool)
		chunk = pin_chunk(pool, addr, len);
	if (!chunk) {
		execmem_report("fill of %zu bytes is not inside one unsealed allocation\n",
			       len);
		return -EINVAL;
	}

	if (len)
		err = fill_memory(pool->range, mode, (void *)addr, src, len);
	trace_execmem_fill(addr, len, err);
	unpin_chunk(pool, chunk, !err, mode);
	return err;
}

/**
 * execmem_pool_seal - end the time in which a chunk can be filled
 * @addr: start address of a chunk of any pool
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
		execmem_report("seal of %p, which is not the start of an allocation\n",
			       start);
		return -EINVAL;
	}
	return pool->range->seal ? pool->range->seal(start, size) : 0;
}

/*
 * Free the chunk that begins at @addr. It rests if there is a note @rest, unless
 * it is being filled: then the last fill gives it back. Returns its size.
 */
static size_t free_at(struct execmem_pool *pool, unsigned long addr,
		      struct execmem_rest *rest)
{
	struct execmem_chunk *chunk = NULL;
	bool reclaim = false;
	size_t size = 0;

	if (pool) {
		spin_lock(&pool->lock);
		chunk = live_chunk_from(pool, addr);
		if (chunk) {
			chunk->state = EXECMEM_DYING;
			execmem_mark_dead(chunk);
			reclaim = !chunk->fills;
			if (reclaim)
				chunk->rest = rest;
			size = chunk->size;
		}
		spin_unlock(&pool->lock);
	}
	if (!chunk)
		execmem_report("free of %p, which is not the start of an allocation\n",
			       (void *)addr);
	if (reclaim)
		reclaim_chunk(pool, chunk);
	else
		kfree(rest);
	return size;
}

/**
 * execmem_pool_free - free a chunk of any pool
 * @addr: start address of the chunk
 *
 * Context: As execmem_free().
 * Return: as execmem_free()
 */
size_t execmem_pool_free(unsigned long addr)
{
	return free_at(execmem_pool_at(addr), addr, NULL);
}

/**
 * execmem_pool_retire - free a chunk of any pool, and let it rest
 * @addr: start address of the chunk
 * @owner: name of the module that it belongs to
 *
 * Context: As execmem_free(), and memory is allocated.
 */
void execmem_pool_retire(unsigned long addr, const char *owner)
{
	struct execmem_pool *pool = execmem_pool_at(addr);
	struct execmem_rest *rest = NULL;

	if (pool)
		rest = execmem_rest_new(pool, owner);
	free_at(pool, addr, rest);
}

/* Report a chunk that was written to while it rested. */
static void verify_rest(struct execmem_pool *pool, struct execmem_chunk *chunk)
{
	unsigned long damage = execmem_rest_damage(chunk);

	if (!damage)
		return;
	spin_lock(&pool->lock);
	pool->stats.rest_writes++;
	spin_unlock(&pool->lock);
	execmem_report_each("%s of unloaded module %s was written to, at offset %#lx of %#zx\n",
			    execmem_type_name(chunk->type), chunk->rest->owner,
			    damage - chunk->start, chunk->size);
}

/* Let a chunk rest that was held, unless somebody still refers to its pages. */
static void end_hold(struct execmem_pool *pool, struct execmem_chunk *chunk)
{
	if (is_referenced(chunk)) {
		hold_chunk(pool, chunk);
		return;
	}
	execmem_debug_rest_verify(chunk);
	if (!clear_chunk(pool, chunk))
		return;
	execmem_debug_rest_begin(chunk);
	rest_chunk(pool, chunk);
}

/**
 * execmem_pool_end_holds - let chunks rest that nobody refers to any more
 * @pool: the pool
 *
 * Context: Process context, may sleep. text_mutex must not be held, since the
 *	chunks are overwritten.
 */
void execmem_pool_end_holds(struct execmem_pool *pool)
{
	struct execmem_chunk *chunk;
	unsigned long nr;

	might_sleep();
	spin_lock(&pool->lock);
	/* Those that have to stay come last again, so do not go on for ever. */
	nr = pool->nr_holds;
	spin_unlock(&pool->lock);
	while (nr--) {
		spin_lock(&pool->lock);
		chunk = execmem_hold_pick(pool);
		spin_unlock(&pool->lock);
		/* Another task may be looking at the others. */
		if (!chunk)
			return;
		end_hold(pool, chunk);
	}
}

/*
 * Give back a chunk that was picked. Its contents are prepared for the next
 * owner again, since writable memory is poisoned.
 */
static void end_rest(struct execmem_pool *pool, struct execmem_chunk *chunk)
{
	if (is_referenced(chunk)) {
		hold_chunk(pool, chunk);
		return;
	}
	execmem_debug_rest_verify(chunk);
	verify_rest(pool, chunk);
	if (!(pool->range->flags & EXECMEM_READONLY) &&
	    !overwrite_chunk(pool, chunk))
		return;
	execmem_debug_rest_end(chunk);
	drop_rest(pool, chunk);
	give_back_chunk(pool, chunk);
}

/**
 * execmem_pool_end_rests - give back chunks of a pool that have rested enough
 * @pool: the pool
 * @which: see &enum execmem_rest_end
 *
 * Context: Process context, may sleep and flush TLBs on all CPUs. Patches no
 *	text, so text_mutex may be held.
 * Return: true if there was such a chunk
 */
bool execmem_pool_end_rests(struct execmem_pool *pool, enum execmem_rest_end which)
{
	struct execmem_chunk *chunk;
	bool any = false;

	might_sleep();
	for (;;) {
		spin_lock(&pool->lock);
		chunk = execmem_rest_pick(pool, which);
		spin_unlock(&pool->lock);
		if (!chunk)
			return any;
		end_rest(pool, chunk);
		any = true;
	}
}

/**
 * execmem_pool_resting_at - find the resting or held chunk at an address
 * @addr: any address
 * @resting: filled in if there is one
 *
 * Context: Any, also during an oops, which may have happened under the pool's
 *	lock. Nothing is found while another task holds it.
 * Return: true if @addr is in a chunk that rests or is held, else false
 */
bool execmem_pool_resting_at(unsigned long addr, struct execmem_resting *resting)
{
	struct execmem_pool *pool = execmem_pool_at(addr);
	struct execmem_chunk *chunk;
	bool rests;

	if (!pool || !spin_trylock(&pool->lock))
		return false;
	chunk = execmem_chunk_at(pool, addr);
	rests = chunk && (chunk->state == EXECMEM_RESTING ||
			  chunk->state == EXECMEM_HELD);
	if (rests) {
		strscpy(resting->owner, chunk->rest->owner, sizeof(resting->owner));
		resting->type = chunk->type;
		resting->offset = addr - chunk->start;
		resting->age_ms = jiffies_to_msecs(jiffies - chunk->rest->freed);
	}
	spin_unlock(&pool->lock);
	return rests;
}

/* === Pools ================================================================ */

/**
 * execmem_pool_max_free - size of the largest free chunk
 * @pool: the pool
 *
 * Context: The pool's lock is held.
 * Return: the size in bytes, 0 if there is no free chunk
 */
size_t execmem_pool_max_free(struct execmem_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	return execmem_max_free(pool->chunks.rb_node);
}

/**
 * execmem_pool_largest_free - size of the largest free chunk
 * @pool: the pool
 *
 * Context: Process context, takes the pool's lock.
 * Return: the size in bytes, 0 if there is no free chunk
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
 * execmem_pool_expire - give back the spare block if its time is over
 * @pool: the pool
 *
 * Context: Process context, may sleep. Must not be called from memory reclaim,
 *	see execmem_pool_drain().
 * Return: number of jiffies after which to call this again, 0 if there is no
 *	spare
 */
unsigned long execmem_pool_expire(struct execmem_pool *pool)
{
	unsigned long now = jiffies, left = 0;
	LIST_HEAD(unused);

	spin_lock(&pool->lock);
	if (pool->spare && time_before(now, pool->spare_until))
		left = pool->spare_until - now;
	else
		detach_spare(pool, &unused);
	spin_unlock(&pool->lock);
	destroy_blocks(&unused);
	return left;
}

/**
 * execmem_pool_drain - give back the spare block
 * @pool: the pool
 *
 * Context: Process context, may sleep. Must not be called from memory reclaim,
 *	since it takes locks under which others allocate memory.
 * Return: number of bytes that were given back, 0 if there was no spare
 */
size_t execmem_pool_drain(struct execmem_pool *pool)
{
	size_t before, after;
	LIST_HEAD(unused);

	spin_lock(&pool->lock);
	before = pool->reserved;
	detach_spare(pool, &unused);
	after = pool->reserved;
	spin_unlock(&pool->lock);
	destroy_blocks(&unused);
	return before - after;
}

/**
 * execmem_pool_next - find the next chunk that is not free
 * @pool: the pool
 * @addr: address to start from
 * @copy: filled with a copy of the first chunk that ends after @addr and is not
 *	free
 *
 * Context: Process context, takes the pool's lock.
 * Return: true, or false if there is no such chunk
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
 * execmem_pool_init - initialize an empty pool
 * @pool: the pool
 * @name: name in statistics; not copied
 * @type: type in statistics and trace events of blocks
 * @range: description of the type; not copied
 *
 * Context: Process context or boot.
 */
void execmem_pool_init(struct execmem_pool *pool, const char *name,
		       enum execmem_type type, const struct execmem_range *range)
{
	bool shared = range->granularity > range->alignment;

	*pool = (struct execmem_pool) {
		.name = name,
		.type = type,
		.range = range,
		.shared = shared,
		.unit_shift = shared && !(range->flags & EXECMEM_GUARD) ?
			ilog2(range->alignment) : PAGE_SHIFT,
		.chunks = RB_ROOT,
	};
	mutex_init(&pool->grow_lock);
	spin_lock_init(&pool->lock);
	INIT_LIST_HEAD(&pool->blocks);
	INIT_LIST_HEAD(&pool->rests);
	INIT_LIST_HEAD(&pool->holds);
	execmem_place_init(pool);
}
