// SPDX-License-Identifier: GPL-2.0
/*
 * Validator: verifies the invariants of a pool, see mm/execmem_pool.c.
 *
 * Functions that return int return 0, or the number of the invariant that is
 * violated. execmem_pool_check() takes the pool's lock; the others are called
 * under it.
 */

#include "execmem_internal.h"

/**
 * struct execmem_check - state of a walk over the chunks of a pool
 * @prev: the previous chunk
 * @used: bytes in chunks that are not free, so far
 * @used_in_block: the same, in the block of @prev only
 * @nr_chunks: chunks that are not free, so far
 * @nr_live: live chunks, so far
 * @nr_marked: live chunks that execmem_lookup() can find, so far
 * @nr_rests: chunks that rest, so far
 * @nr_holds: chunks that are held, so far
 * @last_seen: the pool's last was seen, so far
 */
struct execmem_check {
	struct execmem_chunk *prev;
	size_t used;
	size_t used_in_block;
	unsigned long nr_chunks;
	unsigned long nr_live;
	unsigned long nr_marked;
	unsigned long nr_rests;
	unsigned long nr_holds;
	bool last_seen;
};

/*
 * I1 and I2: a chunk begins where the previous one ends, or at a block's start.
 */
static int check_neighbours(struct execmem_chunk *prev,
			    struct execmem_chunk *chunk)
{
	struct execmem_block *block = chunk->block;

	if (prev && prev->block == block) {
		if (chunk->start != prev->start + prev->size)
			return 1;
		if (execmem_free_size(chunk) && execmem_free_size(prev))
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

/* I1 to I5 for one chunk, and that its block belongs to the pool */
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
	if (chunk->max_free != max3(execmem_free_size(chunk),
				    execmem_max_free(chunk->node.rb_left),
				    execmem_max_free(chunk->node.rb_right)))
		return 3;
	if (!IS_ALIGNED(chunk->start | chunk->size, execmem_unit(pool)))
		return 4;

	if (chunk->start == block->start)
		check->used_in_block = 0;
	check->prev = chunk;
	check->last_seen |= chunk == pool->last;
	check->used += used;
	check->used_in_block += used;
	check->nr_chunks += !!used;
	check->nr_rests += chunk->state == EXECMEM_RESTING;
	check->nr_holds += chunk->state == EXECMEM_HELD;
	if (execmem_is_live(chunk)) {
		check->nr_live++;
		check->nr_marked += execmem_is_marked(chunk);
	}
	if (chunk->start + chunk->size == block->start + block->size &&
	    check->used_in_block != block->used)
		return 5;
	return 0;
}

/* Check all chunks in the order of their addresses. */
static int check_chunks(struct execmem_pool *pool, struct execmem_check *check)
{
	struct execmem_chunk *last;
	struct rb_node *node;
	int broken;

	for (node = rb_first(&pool->chunks); node; node = rb_next(node)) {
		broken = check_chunk(pool, execmem_to_chunk(node), check);
		if (broken)
			return broken;
	}
	last = check->prev;
	if (last && last->start + last->size !=
	    last->block->start + last->block->size)
		return 1;
	/* I11: the hint of execmem_chunk_at() does not outlive its chunk. */
	return pool->last && !check->last_seen ? 11 : 0;
}

/* I10: all live chunks are marked, and there are no other marks. */
static bool marks_are_sane(struct execmem_pool *pool, struct execmem_check *check)
{
	struct execmem_block *block;
	unsigned long marks = 0;

	list_for_each_entry(block, &pool->blocks, list)
		marks += execmem_count_marks(block);
	return check->nr_marked == check->nr_live && marks == 2 * check->nr_live;
}

/* I6; @empty is the number of blocks without chunks in use. */
static bool spare_is_sane(struct execmem_pool *pool, unsigned long empty)
{
	struct execmem_block *spare = pool->spare;

	if (pool->growing && !pool->growing->used)
		empty--;
	if (!spare)
		return !empty;
	return empty == 1 && !spare->used && execmem_can_be_spare(spare);
}

/* Has a list of notes @nr chunks in @state, and @size bytes in them? */
static bool notes_are_sane(struct list_head *notes, enum execmem_state state,
			   unsigned long nr, size_t size)
{
	struct execmem_rest *rest;

	list_for_each_entry(rest, notes, list) {
		if (rest->chunk->state != state || rest->chunk->rest != rest)
			return false;
		nr--;
		size -= rest->chunk->size;
	}
	return !nr && !size;
}

/* I12: the lists have exactly the chunks that rest, and those that are held. */
static bool rests_are_sane(struct execmem_pool *pool, struct execmem_check *check)
{
	return check->nr_rests == pool->nr_rests &&
		check->nr_holds == pool->nr_holds &&
		notes_are_sane(&pool->rests, EXECMEM_RESTING, pool->nr_rests,
			       pool->resting) &&
		notes_are_sane(&pool->holds, EXECMEM_HELD, pool->nr_holds,
			       pool->held);
}

/* I5 to I7 for the blocks, after all chunks were checked */
static int check_blocks(struct execmem_pool *pool, struct execmem_check *check)
{
	unsigned long nr_blocks = 0, nr_huge = 0, empty = 0;
	size_t reserved = 0, used = 0, base = 0;
	bool tail_seen = !pool->tail;
	struct execmem_block *block;

	list_for_each_entry(block, &pool->blocks, list) {
		if (!execmem_chunk_at(pool, block->start) ||
		    execmem_pool_at(block->start) != pool)
			return 7;
		nr_blocks++;
		nr_huge += block->huge;
		reserved += block->size;
		base += block->huge ? 0 : block->size;
		tail_seen |= block == pool->tail;
		if (block->size > block->room)
			return 5;
		used += block->used;
		empty += !block->used;
	}
	if (nr_blocks != pool->nr_blocks || nr_huge != pool->nr_huge ||
	    reserved != pool->reserved || used != pool->used ||
	    base != pool->reserved_base || !tail_seen ||
	    used != check->used || check->nr_chunks != pool->nr_chunks)
		return 5;
	return spare_is_sane(pool, empty) ? 0 : 6;
}

/**
 * execmem_pool_check - verify the invariants of a pool
 * @pool: the pool
 *
 * Context: Process context. Holds the pool's lock for a time that is
 *	proportional to the number of chunks.
 * Return: 0, or the number of the first invariant that is violated
 */
int execmem_pool_check(struct execmem_pool *pool)
{
	struct execmem_check check = {};
	int broken;

	spin_lock(&pool->lock);
	broken = check_chunks(pool, &check) ?: check_blocks(pool, &check);
	if (!broken && !marks_are_sane(pool, &check))
		broken = 10;
	if (!broken && !rests_are_sane(pool, &check))
		broken = 12;
	spin_unlock(&pool->lock);
	return broken;
}
