// SPDX-License-Identifier: GPL-2.0
/*
 * Attributes of pages that somebody other than the allocator changes.
 *
 * A module may change the attributes of its own memory, by set_memory_*() or by
 * writing to the page table, and may be unloaded without undoing that. A shared
 * block stays when the module goes. So what was changed is undone when the chunk
 * is freed, before anything is written to it or it is handed out again, and once
 * more for the whole block before its pages go back to the page allocator.
 *
 * Attributes belong to a page, so only a page that lies in one chunk can be
 * changed. set_memory_*() of a page that a chunk shares with another one, or
 * with free memory, is refused.
 *
 * The page table is compared with what it must be, so that changes that bypass
 * set_memory_*() are undone, too. When a BPF program is freed, that is done only
 * if set_memory_*() changed something in its block: nobody writes to the page
 * table of a program, and the comparison would be a part of the cost of freeing
 * one.
 */

#include "execmem_internal.h"

/* The chunk that all of a range lies in, or %NULL if it lies in none */
static struct execmem_chunk *owner_of(struct execmem_pool *pool,
				      unsigned long addr, size_t size)
{
	struct execmem_chunk *chunk = execmem_chunk_at(pool, addr);

	if (!chunk || !execmem_is_live(chunk) ||
	    size > chunk->size - (addr - chunk->start))
		return NULL;
	return chunk;
}

/* A copy of the chunk at an address; of size 0 if there is none */
static struct execmem_chunk copy_of(struct execmem_pool *pool,
				    unsigned long addr)
{
	struct execmem_chunk *chunk = execmem_chunk_at(pool, addr);

	return chunk ? *chunk : (struct execmem_chunk) {};
}

/**
 * execmem_change_begin - may the attributes of these pages be changed?
 * @addr: first address, page aligned
 * @size: size in bytes, a multiple of a page
 *
 * Called by set_memory_*() before the page table is changed, except for arrays
 * of pages or addresses, and with CPA_NO_PURGE. What the allocator changes is
 * not refused: it sets the permissions of a block while no lookup finds its
 * pages, and changes those of memory in use only with CPA_NO_PURGE.
 *
 * Context: Process context, takes the pool's lock.
 * Return: 0 if neither end is in a shared block; 1 if all of it is in one live
 *	chunk, then execmem_change_end() must follow; or -EPERM if a part of it
 *	is not, which is reported
 */
int execmem_change_begin(unsigned long addr, size_t size)
{
	struct execmem_pool *pool = execmem_pool_at(addr);
	struct execmem_chunk *chunk, first, last;

	if (!pool)
		pool = execmem_pool_at(addr + size - 1);
	if (!pool || !pool->shared)
		return 0;

	spin_lock(&pool->lock);
	chunk = owner_of(pool, addr, size);
	if (chunk) {
		chunk->block->changed = true;
		pool->stats.attr_changes++;
	} else {
		pool->stats.attr_refusals++;
		first = copy_of(pool, addr);
		last = copy_of(pool, addr + size - 1);
	}
	spin_unlock(&pool->lock);

	if (chunk)
		return 1;
	execmem_debug_refusal(&first, &last);
	return -EPERM;
}

/*
 * Changing the attributes of a page splits the huge page it is in. Let the
 * statistics say so. A split block cannot become the spare, so its addresses
 * get a huge page again when it has become empty.
 */
static void note_split(struct execmem_block *block)
{
	struct execmem_pool *pool = block->pool;

	lockdep_assert_held(&pool->lock);

	if (!block->huge || execmem_block_is_huge(block))
		return;
	block->huge = false;
	pool->nr_huge--;
	pool->reserved_base += block->size;
	pool->stats.blocks[block->reason]--;
	block->reason = EXECMEM_SPLIT;
	pool->stats.blocks[EXECMEM_SPLIT]++;
}

/**
 * execmem_change_end - the page table was changed
 * @addr: the address that execmem_change_begin() allowed to change
 *
 * Context: Process context, takes the pool's lock.
 */
void execmem_change_end(unsigned long addr)
{
	struct execmem_pool *pool = execmem_pool_at(addr);
	struct execmem_chunk *chunk;

	if (!pool)
		return;
	spin_lock(&pool->lock);
	chunk = execmem_chunk_at(pool, addr);
	if (chunk)
		note_split(chunk->block);
	spin_unlock(&pool->lock);
}

/* Can the attributes of a chunk have been changed? */
static bool may_be_changed(struct execmem_chunk *chunk)
{
	/* Set before the chunk was freed, if its owner changed anything. */
	if (READ_ONCE(chunk->block->changed))
		return true;
	return !execmem_is_bpf(chunk->type);
}

/* Returns 1 if something was restored, 0 if nothing had changed, or an error */
static int restore(struct execmem_pool *pool, unsigned long start, size_t size)
{
	const struct execmem_range *range = pool->range;

	if (!pool->shared || !range->restore)
		return 0;
	return range->restore((void *)start, size, range->flags);
}

/*
 * Keep memory that failed from being written or used again. Nothing is restored
 * there: the page may be absent from the direct map so that no CPU reads it.
 */
static bool contain_failure(struct execmem_pool *pool, unsigned long start,
			    size_t size)
{
	if (!pool->shared || !execmem_pages_poisoned(start, size))
		return false;
	spin_lock(&pool->lock);
	pool->stats.poisoned++;
	spin_unlock(&pool->lock);
	execmem_debug_poisoned(start, size);
	return true;
}

/**
 * execmem_restore_chunk - undo what was changed at the pages of a chunk
 * @chunk: a chunk that was freed and is not overwritten yet
 *
 * Context: Process context, may sleep and flush TLBs on all CPUs.
 * Return: 0, or an error. Then the pages may have wrong attributes, and must
 *	neither be written nor used again. -EHWPOISON, which is reported, if
 *	memory failed in one of them.
 */
int execmem_restore_chunk(struct execmem_chunk *chunk)
{
	struct execmem_pool *pool = chunk->block->pool;
	int ret = 0;

	if (contain_failure(pool, chunk->start, chunk->size))
		return -EHWPOISON;
	if (may_be_changed(chunk))
		ret = restore(pool, chunk->start, chunk->size);
	if (!ret)
		return 0;

	spin_lock(&pool->lock);
	pool->stats.attr_restores += ret > 0;
	note_split(chunk->block);
	spin_unlock(&pool->lock);
	return min(ret, 0);
}

/**
 * execmem_restore_block - undo what was changed at the pages of a block
 * @block: a block without chunks in use, not in the tree of blocks any more
 *
 * This also finds changes to pages that hold only free memory, and to the aliases
 * of these.
 *
 * Context: Process context, may sleep and flush TLBs on all CPUs.
 * Return: 0, or an error as from execmem_restore_chunk(). Then the pages must
 *	not reach the page allocator.
 */
int execmem_restore_block(struct execmem_block *block)
{
	struct execmem_pool *pool = block->pool;
	int ret;

	if (contain_failure(pool, block->start, block->size))
		return -EHWPOISON;
	ret = restore(pool, block->start, block->size);
	if (ret > 0) {
		spin_lock(&pool->lock);
		pool->stats.attr_restores++;
		spin_unlock(&pool->lock);
	}
	return min(ret, 0);
}

/* Report a page that is mapped to user space, unless it is in one chunk only. */
static void check_page(unsigned long addr)
{
	struct execmem_pool *pool = execmem_pool_at(addr);
	struct execmem_chunk first, last;
	bool owned;

	if (!pool)
		return;
	spin_lock(&pool->lock);
	owned = owner_of(pool, addr, PAGE_SIZE);
	first = copy_of(pool, addr);
	last = copy_of(pool, addr + PAGE_SIZE - 1);
	spin_unlock(&pool->lock);

	if (!owned)
		execmem_debug_user_map(&first, &last);
}

/**
 * __execmem_check_user_map - report pages of shared blocks that users get to see
 * @pfn: number of the first page that is going to be mapped
 * @nr: number of pages
 *
 * A driver that maps a buffer of its own, but smaller than a page, also maps
 * what others have in the same page. With CONFIG_EXECMEM_DEBUG only, since this
 * looks at every page of every block.
 *
 * Context: Process context, takes the pool's lock.
 */
void __execmem_check_user_map(unsigned long pfn, unsigned long nr)
{
	unsigned long addr = 0;

	while ((addr = execmem_find_page(addr, pfn, nr))) {
		check_page(addr);
		addr += PAGE_SIZE;
	}
}
