// SPDX-License-Identifier: GPL-2.0
/*
 * Reports chunks to KASAN, kmemleak, lockdep and debugobjects.
 *
 * vmalloc reports whole blocks. Users allocate and free chunks, so in shared
 * pools the chunks are reported as separate allocations. The trace points are
 * instantiated here, too.
 */

#include <kunit/static_stub.h>
#include <linux/debug_locks.h>
#include <linux/debugobjects.h>
#include <linux/mm.h>

#define CREATE_TRACE_POINTS
#include "execmem_internal.h"

/**
 * execmem_report_expected - is an error of a caller made on purpose?
 *
 * Context: Any.
 * Return: false, unless a KUnit test replaces this function
 */
bool execmem_report_expected(void)
{
	KUNIT_STATIC_STUB_REDIRECT(execmem_report_expected);
	return false;
}

/*
 * Does KASAN know the chunks of the pool? Executable memory has no tags, so
 * only the generic mode can. Module memory has shadow even without
 * CONFIG_KASAN_VMALLOC, see EXECMEM_KASAN_SHADOW.
 */
static bool has_shadow(struct execmem_pool *pool)
{
	return IS_ENABLED(CONFIG_KASAN_GENERIC) && pool->shared &&
		(IS_ENABLED(CONFIG_KASAN_VMALLOC) ||
		 pool->range->flags & EXECMEM_KASAN_SHADOW);
}

static void poison(struct execmem_pool *pool, unsigned long start, size_t size)
{
	if (has_shadow(pool))
		kasan_poison_range((void *)start, size);
}

static void unpoison(struct execmem_pool *pool, unsigned long start,
		     size_t size)
{
	if (has_shadow(pool))
		kasan_unpoison_range((void *)start, size);
}

/**
 * execmem_debug_map - report that a block of a shared pool was mapped
 * @block: the block, still writable
 *
 * kmemleak forgets the block, since its chunks can leak separately. They are
 * reported by execmem_debug_alloc().
 *
 * Context: Process context.
 */
void execmem_debug_map(struct execmem_block *block)
{
	kmemleak_free((void *)block->start);
}

/**
 * execmem_debug_ready - report that a block of a shared pool has no chunks yet
 * @block: the block, with its final contents and permissions
 *
 * KASAN reports accesses to any part of it.
 *
 * Context: Process context.
 */
void execmem_debug_ready(struct execmem_block *block)
{
	poison(block->pool, block->start, block->size);
}

/**
 * execmem_debug_alloc - report a new chunk
 * @chunk: the chunk, in use
 * @size: size in bytes that the caller asked for; accesses beyond it are errors
 *
 * Context: Process context, may sleep.
 */
void execmem_debug_alloc(struct execmem_chunk *chunk, size_t size)
{
	struct execmem_pool *pool = chunk->block->pool;

	if (!pool->shared)
		return;
	unpoison(pool, chunk->start, size);
	/*
	 * struct vm_struct of the block has its start address, which is one
	 * reference to the first chunk. Its user must have a second one.
	 */
	kmemleak_alloc((void *)chunk->start, size,
		       chunk->start == chunk->block->start ? 2 : 1, GFP_KERNEL);
}

/**
 * execmem_debug_free_begin - report that a chunk is going to be freed
 * @chunk: the chunk, with its contents
 *
 * Looks for locks and debug objects in the chunk that are still in use. vfree()
 * would do this only when the whole block is given back.
 *
 * Context: Process context.
 */
void execmem_debug_free_begin(struct execmem_chunk *chunk)
{
	if (!chunk->block->pool->shared)
		return;
	debug_check_no_locks_freed((void *)chunk->start, chunk->size);
	debug_check_no_obj_freed((void *)chunk->start, chunk->size);
	/* Invalidating also writes after the size that the caller asked for. */
	unpoison(chunk->block->pool, chunk->start, chunk->size);
}

/**
 * execmem_debug_free_end - report that a chunk is free
 * @chunk: the chunk, after it was overwritten
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
