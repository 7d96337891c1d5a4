// SPDX-License-Identifier: GPL-2.0
/*
 * Tells KASAN, kmemleak, lockdep and debugobjects about chunks.
 *
 * vmalloc tells them about blocks, but for them a chunk of a shared block is what
 * a whole allocation of vmalloc is elsewhere. The trace points are instantiated
 * here, too.
 */

#include <linux/debug_locks.h>
#include <linux/debugobjects.h>
#include <linux/mm.h>

#define CREATE_TRACE_POINTS
#include "execmem_internal.h"

unsigned int execmem_test_reports;
bool execmem_test_running;

/*
 * The public kasan_poison_vmalloc() is empty without CONFIG_KASAN_VMALLOC, but
 * module memory has shadow there too, see EXECMEM_KASAN_SHADOW. No other public
 * function poisons a range of bytes of it.
 */
#ifdef CONFIG_KASAN_GENERIC
#include "kasan/kasan.h"

/* Is there shadow that says which bytes may be accessed? */
static bool has_shadow(struct execmem_pool *pool)
{
	return pool->shared && (IS_ENABLED(CONFIG_KASAN_VMALLOC) ||
				pool->range->flags & EXECMEM_KASAN_SHADOW);
}

static void poison(struct execmem_pool *pool, unsigned long start, size_t size)
{
	if (has_shadow(pool))
		kasan_poison((void *)start, size, KASAN_VMALLOC_INVALID, false);
}

static void unpoison(struct execmem_pool *pool, unsigned long start,
		     size_t size)
{
	if (has_shadow(pool))
		kasan_unpoison((void *)start, size, false);
}
#else
static void poison(struct execmem_pool *pool, unsigned long start, size_t size)
{
}

static void unpoison(struct execmem_pool *pool, unsigned long start,
		     size_t size)
{
}
#endif

/**
 * execmem_debug_map - tell the checkers that a shared block was mapped
 * @block: the block, still writable
 *
 * Chunks are what can leak, see execmem_debug_alloc().
 *
 * Context: Process context.
 */
void execmem_debug_map(struct execmem_block *block)
{
	kmemleak_free((void *)block->start);
}

/**
 * execmem_debug_ready - tell the checkers that a shared block has no chunk yet
 * @block: the block, with its final contents and permissions
 *
 * Context: Process context.
 */
void execmem_debug_ready(struct execmem_block *block)
{
	poison(block->pool, block->start, block->size);
}

/**
 * execmem_debug_alloc - tell the checkers about a new chunk
 * @chunk: the chunk, which belongs to a caller
 * @size: how many bytes the caller asked for; the checkers are told so many
 *
 * Context: Process context, may sleep.
 */
void execmem_debug_alloc(struct execmem_chunk *chunk, size_t size)
{
	struct execmem_pool *pool = chunk->block->pool;

	if (!pool->shared)
		return;
	unpoison(pool, chunk->start, size);
	/* The area that vmalloc describes the block by refers to its start. */
	kmemleak_alloc((void *)chunk->start, size,
		       chunk->start == chunk->block->start ? 2 : 1, GFP_KERNEL);
}

/**
 * execmem_debug_free_begin - tell the checkers that a chunk is going to be freed
 * @chunk: the chunk, with its contents
 *
 * What vfree() does for a whole block is too late for a part of it.
 *
 * Context: Process context.
 */
void execmem_debug_free_begin(struct execmem_chunk *chunk)
{
	if (!chunk->block->pool->shared)
		return;
	debug_check_no_locks_freed((void *)chunk->start, chunk->size);
	debug_check_no_obj_freed((void *)chunk->start, chunk->size);
	/* Invalidating also writes to redzones and to what rounding added. */
	unpoison(chunk->block->pool, chunk->start, chunk->size);
}

/**
 * execmem_debug_free_end - tell the checkers that a chunk is not used any more
 * @chunk: the chunk, overwritten already
 *
 * Context: Process context.
 */
void execmem_debug_free_end(struct execmem_chunk *chunk)
{
	struct execmem_pool *pool = chunk->block->pool;

	if (!pool->shared)
		return;
	kmemleak_free((void *)chunk->start);
	poison(pool, chunk->start, chunk->size);
}
