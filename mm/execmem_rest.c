// SPDX-License-Identifier: GPL-2.0
/*
 * Freed memory of modules is in quarantine before anybody else gets it. The
 * code calls this a rest.
 *
 * A module may leave a timer, a work item or a pointer behind when it is
 * unloaded. If its memory had pages of its own, these would be unmapped, and
 * the mistake would end in a page fault. Memory in a shared block stays mapped
 * instead, and would belong to another module at once. So a chunk that was
 * freed by execmem_retire() rests for some seconds, as in KASAN's quarantine:
 * its place is not handed out. Text consists of trapping instructions in this
 * time, writable memory of poison. When the rest ends, changed poison shows that
 * somebody wrote to the memory.
 *
 * The functions here decide which rest ends. mm/execmem_pool.c ends it. Both
 * limits, the time and the number of later rests, grow in the order in which
 * rests begin. So only the oldest rest of a pool needs to be looked at.
 *
 * A module may also have given away references to its pages, for example to a
 * pipe. If a module has pages of its own, such a page stays allocated until the
 * last reference is dropped. A chunk stays as a whole: it is *held* until
 * nobody refers to its pages, and rests only then. Data is not poisoned before,
 * since it is still read. Held chunks are looked at every EXECMEM_HOLD_TIME.
 * There is no limit on held memory, as there is none on such pages if modules
 * have pages of their own. It does not count toward the limit on resting memory,
 * and stays held when memory is short.
 */

#include "execmem_internal.h"

/* As in slab: an address that consists of it is not canonical on x86. */
#define REST_POISON	POISON_FREE

/**
 * execmem_rest_new - prepare the rest of a chunk that is going to be freed
 * @pool: the pool of the chunk
 * @owner: name of the module that it belongs to
 *
 * Without the note, pages that somebody refers to would be handed out again.
 * Nothing can be done about a failure when a module is unloaded, so this waits
 * until there is memory for it.
 *
 * Context: Process context, may sleep.
 * Return: the note for the rest, or %NULL if the chunk need not rest, because it
 *	is unmapped when it is freed
 */
struct execmem_rest *execmem_rest_new(struct execmem_pool *pool,
				      const char *owner)
{
	struct execmem_rest *rest;

	if (!pool->shared || pool->range->flags & EXECMEM_GUARD)
		return NULL;
	rest = kmalloc(sizeof(*rest), GFP_KERNEL | __GFP_NOFAIL);
	strscpy(rest->owner, owner, sizeof(rest->owner));
	rest->freed = jiffies;
	return rest;
}

/*
 * Is the chunk filled with poison while it rests? Read-only memory is not: it
 * was overwritten with trapping instructions, and stray writes to it fault.
 */
static bool is_poisoned(struct execmem_chunk *chunk)
{
	return !(chunk->block->pool->range->flags & EXECMEM_READONLY);
}

/**
 * execmem_rest_poison - overwrite a chunk that is going to rest
 * @chunk: the chunk; it was invalidated, and no other task can find it
 *
 * Context: Any.
 */
void execmem_rest_poison(struct execmem_chunk *chunk)
{
	if (is_poisoned(chunk))
		memset((void *)chunk->start, REST_POISON, chunk->size);
}

/**
 * execmem_rest_damage - find out whether a chunk was written to while it rested
 * @chunk: the chunk; no other task can find it
 *
 * Context: Any.
 * Return: the address of the first byte that changed, or 0
 */
unsigned long execmem_rest_damage(struct execmem_chunk *chunk)
{
	if (!is_poisoned(chunk))
		return 0;
	return (unsigned long)memchr_inv((void *)chunk->start, REST_POISON,
					 chunk->size);
}

/**
 * execmem_rest_begin - put a chunk to rest
 * @chunk: the chunk; its note is set
 *
 * Context: The pool's lock is held.
 */
void execmem_rest_begin(struct execmem_chunk *chunk)
{
	struct execmem_pool *pool = chunk->block->pool;
	struct execmem_rest *rest = chunk->rest;

	lockdep_assert_held(&pool->lock);

	chunk->state = EXECMEM_RESTING;
	rest->chunk = chunk;
	rest->since = jiffies;
	rest->number = pool->stats.rests++;
	list_add_tail(&rest->list, &pool->rests);
	pool->nr_rests++;
	pool->resting += chunk->size;
}

static bool has_expired(struct execmem_rest *rest)
{
	return time_after_eq(jiffies, rest->since + EXECMEM_REST_MAX);
}

/* Has the rest lasted long enough for its memory to be used again? */
static bool is_due(struct execmem_pool *pool, struct execmem_rest *rest)
{
	if (has_expired(rest))
		return true;
	return time_after_eq(jiffies, rest->since + EXECMEM_REST_MIN) &&
		pool->stats.rests - rest->number > EXECMEM_REST_FREES;
}

static bool has_to_end(struct execmem_pool *pool, struct execmem_rest *rest,
		       enum execmem_rest_end which)
{
	switch (which) {
	case EXECMEM_REST_EXPIRED:
		return has_expired(rest);
	case EXECMEM_REST_DUE:
		return is_due(pool, rest);
	case EXECMEM_REST_EXCESS:
		/* A chunk may be larger than the limit. It rests alone then. */
		return pool->resting > EXECMEM_REST_BYTES && pool->nr_rests > 1;
	default:
		return true;
	}
}

/**
 * execmem_rest_pick - take the oldest chunk out of its rest if it has to end
 * @pool: the pool
 * @which: see &enum execmem_rest_end
 *
 * Context: The pool's lock is held.
 * Return: the chunk, which no other task can find from now on, or %NULL
 */
struct execmem_chunk *execmem_rest_pick(struct execmem_pool *pool,
					enum execmem_rest_end which)
{
	struct execmem_rest *rest;

	lockdep_assert_held(&pool->lock);

	rest = list_first_entry_or_null(&pool->rests, struct execmem_rest, list);
	if (!rest || !has_to_end(pool, rest, which))
		return NULL;

	list_del(&rest->list);
	pool->stats.rests_cut += !is_due(pool, rest);
	pool->nr_rests--;
	pool->resting -= rest->chunk->size;
	rest->chunk->state = EXECMEM_DYING;
	return rest->chunk;
}

/**
 * execmem_hold_begin - hold a chunk until nobody refers to its pages
 * @chunk: the chunk; its note is set
 *
 * Context: The pool's lock is held.
 */
void execmem_hold_begin(struct execmem_chunk *chunk)
{
	struct execmem_pool *pool = chunk->block->pool;

	lockdep_assert_held(&pool->lock);

	chunk->state = EXECMEM_HELD;
	chunk->rest->chunk = chunk;
	list_add_tail(&chunk->rest->list, &pool->holds);
	pool->nr_holds++;
	pool->held += chunk->size;
	pool->stats.holds++;
}

/**
 * execmem_hold_pick - take a held chunk out, to find out whether it has to stay
 * @pool: the pool
 *
 * Takes the one that has not been looked at for the longest time. If it has to
 * stay, execmem_hold_begin() makes it the last one.
 *
 * Context: The pool's lock is held.
 * Return: the chunk, which no other task can find from now on, or %NULL
 */
struct execmem_chunk *execmem_hold_pick(struct execmem_pool *pool)
{
	struct execmem_rest *rest;

	lockdep_assert_held(&pool->lock);

	rest = list_first_entry_or_null(&pool->holds, struct execmem_rest, list);
	if (!rest)
		return NULL;
	list_del(&rest->list);
	pool->nr_holds--;
	pool->held -= rest->chunk->size;
	rest->chunk->state = EXECMEM_DYING;
	return rest->chunk;
}

/**
 * execmem_rest_delay - time until the rests and holds of a pool have to be seen to
 * @pool: the pool
 *
 * Context: Process context, takes the pool's lock.
 * Return: the time in jiffies, 0 if a rest has expired already, or
 *	MAX_JIFFY_OFFSET if nothing rests or is held
 */
unsigned long execmem_rest_delay(struct execmem_pool *pool)
{
	unsigned long delay = MAX_JIFFY_OFFSET;
	struct execmem_rest *rest;

	spin_lock(&pool->lock);
	rest = list_first_entry_or_null(&pool->rests, struct execmem_rest, list);
	if (rest && has_expired(rest))
		delay = 0;
	else if (rest)
		delay = rest->since + EXECMEM_REST_MAX - jiffies;
	if (pool->nr_holds)
		delay = min_t(unsigned long, delay, EXECMEM_HOLD_TIME);
	spin_unlock(&pool->lock);
	return delay;
}
