// SPDX-License-Identifier: GPL-2.0
/*
 * Reports chunks to KASAN, kmemleak, lockdep and debugobjects, and names
 * their owners in messages.
 *
 * vmalloc reports whole blocks. Users allocate and free chunks, so in shared
 * pools the chunks are reported as separate allocations. The trace points are
 * instantiated here, too.
 */

#include <kunit/static_stub.h>
#include <linux/debug_locks.h>
#include <linux/debugobjects.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/ratelimit.h>
#include <linux/stacktrace.h>

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
 * execmem_debug_ready - report new memory of a shared pool without chunks
 * @block: the block that it is in
 * @start: first address; contents and permissions are final
 * @size: size in bytes
 *
 * KASAN reports accesses to any part of it. kmemleak does not know the memory:
 * its chunks can leak separately, and execmem_debug_alloc() reports them.
 *
 * Context: Process context.
 */
void execmem_debug_ready(struct execmem_block *block, unsigned long start,
			 size_t size)
{
	poison(block->pool, start, size);
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
 * execmem_debug_rest_begin - report that a chunk rests that was held
 * @chunk: the chunk, after it was overwritten
 *
 * Context: Process context.
 */
void execmem_debug_rest_begin(struct execmem_chunk *chunk)
{
	poison(chunk->block->pool, chunk->start, chunk->size);
}

/**
 * execmem_debug_rest_verify - report that the end of a rest or hold begins
 * @chunk: the chunk; the allocator is going to read it and to overwrite it
 *
 * Context: Process context.
 */
void execmem_debug_rest_verify(struct execmem_chunk *chunk)
{
	unpoison(chunk->block->pool, chunk->start, chunk->size);
}

/**
 * execmem_debug_rest_end - report that a chunk that rested is free
 * @chunk: the chunk, after it was overwritten
 *
 * Context: Process context.
 */
void execmem_debug_rest_end(struct execmem_chunk *chunk)
{
	poison(chunk->block->pool, chunk->start, chunk->size);
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

#ifdef CONFIG_STACKTRACE
/*
 * Who called set_memory_*(): the innermost function of a module, or else the
 * function that called execmem_change_begin().
 */
static void *find_caller(void)
{
	unsigned long trace[16];
	unsigned int nr = stack_trace_save(trace, ARRAY_SIZE(trace), 2);

	for (unsigned int i = 0; i < nr; i++)
		if (is_module_text_address(trace[i]))
			return (void *)trace[i];
	return nr ? (void *)trace[0] : NULL;
}
#else
static void *find_caller(void)
{
	return NULL;
}
#endif

/* Length of the name of an owner in a report */
#define OWNER_LEN	96

/* Describe a chunk and its owner for a message; uses @buf if needed. */
static const char *name_owner(char *buf, const struct execmem_chunk *chunk)
{
	struct module *mod;

	if (!chunk->size || chunk->state == EXECMEM_FREE)
		return "free memory";
	preempt_disable();
	mod = __module_address(chunk->start);
	if (mod)
		snprintf(buf, OWNER_LEN, "%s of module %s",
			 execmem_type_name(chunk->type), module_name(mod));
	else
		snprintf(buf, OWNER_LEN, "%s allocated by %pS",
			 execmem_type_name(chunk->type), chunk->caller);
	preempt_enable();
	return buf;
}

/**
 * execmem_debug_refusal - report that attributes of shared pages are not changed
 * @first: copy of the chunk at the start of the pages; of size 0 if there is none
 * @last: copy of the chunk at their end
 *
 * Context: Process context.
 */
void execmem_debug_refusal(const struct execmem_chunk *first,
			   const struct execmem_chunk *last)
{
	static DEFINE_RATELIMIT_STATE(limit, DEFAULT_RATELIMIT_INTERVAL, 1);
	char from[OWNER_LEN], to[OWNER_LEN];

	if (!__ratelimit(&limit))
		return;
	pr_warn("execmem: %pS must not change attributes of shared pages, from %s to %s\n",
		find_caller(), name_owner(from, first), name_owner(to, last));
}

/**
 * execmem_debug_user_map - report that a shared page is mapped to user space
 * @first: copy of the chunk at the start of the page
 * @last: copy of the chunk at its end
 *
 * Context: Process context.
 */
void execmem_debug_user_map(const struct execmem_chunk *first,
			    const struct execmem_chunk *last)
{
	char from[OWNER_LEN], to[OWNER_LEN];

	execmem_report("a page that is not one allocation is mapped to user space, from %s to %s\n",
		       name_owner(from, first), name_owner(to, last));
}

/**
 * execmem_debug_poisoned - report that memory is not used again, since it failed
 * @start: first address
 * @size: size in bytes
 *
 * Context: Process context.
 */
void execmem_debug_poisoned(unsigned long start, size_t size)
{
	pr_err("execmem: memory failure in %zu bytes at %p, which are not used again\n",
	       size, (void *)start);
}
