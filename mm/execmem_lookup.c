// SPDX-License-Identifier: GPL-2.0
/*
 * Lookup of the block and the chunk at an address, without locks.
 *
 * execmem_lookup() may be called from an NMI that interrupts a change of the
 * same data on the same CPU, so a reader must never wait for a writer. All
 * blocks are in a latched tree: there are two copies of it, and one of them is
 * always consistent. Blocks are freed after a grace period.
 *
 * Live chunks are marked in two bitmaps of the block, with one bit for each
 * unit: in one where a chunk starts, in the other where a chunk ends. Between
 * the start and the end of a live chunk there are no other marks. So for an
 * address in a live chunk, the last start before it and the first end after that
 * start are those of the chunk. Changes of the bitmaps are counted. A reader
 * reads again if a change began during the lookup.
 *
 * Types that are merged into one pool can be told apart only by a record of the
 * type that was asked for. It is kept beside the bitmaps, in half a byte for
 * each unit. Only that of the first unit of a chunk is valid.
 */

#include "execmem_internal.h"

/*
 * All blocks of all pools. Written under execmem_blocks_lock, read under RCU.
 */
static struct latch_tree_root execmem_blocks;
/*
 * Taken for single operations on the tree, and for the walk in
 * execmem_find_page(). No other lock is taken under it.
 */
static DEFINE_SPINLOCK(execmem_blocks_lock);

#define to_block(n) container_of(n, struct execmem_block, node)

static bool block_less(struct latch_tree_node *a, struct latch_tree_node *b)
{
	return to_block(a)->start < to_block(b)->start;
}

static int compare_block(void *addr, struct latch_tree_node *node)
{
	const struct execmem_block *block = to_block(node);

	return execmem_compare(*(unsigned long *)addr, block->start,
			       READ_ONCE(block->size));
}

static const struct latch_tree_ops block_ops = {
	.less = block_less,
	.comp = compare_block,
};

/* Index of the unit of @block that contains @addr */
static unsigned long unit_at(struct execmem_block *block, unsigned long addr)
{
	return (addr - block->start) >> block->pool->unit_shift;
}

static unsigned long nr_units(struct execmem_block *block)
{
	return READ_ONCE(block->size) >> block->pool->unit_shift;
}

/* === Types ================================================================ */

#define TYPE_BITS	4
#define TYPES_PER_BYTE	(BITS_PER_BYTE / TYPE_BITS)

static_assert(EXECMEM_TYPE_MAX <= 1 << TYPE_BITS);

static unsigned int type_shift(unsigned long unit)
{
	return unit % TYPES_PER_BYTE * TYPE_BITS;
}

/* Readers may read the other half of the byte concurrently. */
static void set_type(struct execmem_block *block, unsigned long unit,
		     enum execmem_type type)
{
	u8 *byte = &block->types[unit / TYPES_PER_BYTE];
	u8 mask = GENMASK(TYPE_BITS - 1, 0) << type_shift(unit);

	WRITE_ONCE(*byte, (*byte & ~mask) | type << type_shift(unit));
}

static enum execmem_type type_at(struct execmem_block *block,
				 unsigned long unit)
{
	u8 byte = READ_ONCE(block->types[unit / TYPES_PER_BYTE]);

	return byte >> type_shift(unit) & GENMASK(TYPE_BITS - 1, 0);
}

/* === Marks ================================================================ */

/**
 * execmem_marks_alloc - allocate the bitmaps and the types of a block
 * @block: the block; its addresses are reserved
 *
 * Context: Process context, may sleep.
 * Return: true, or false if there is no memory
 */
bool execmem_marks_alloc(struct execmem_block *block)
{
	size_t longs = BITS_TO_LONGS(block->room >> block->pool->unit_shift);

	block->starts = kvcalloc((2 + TYPE_BITS) * longs, sizeof(long),
				 GFP_KERNEL);
	if (!block->starts)
		return false;
	block->ends = block->starts + longs;
	block->types = (u8 *)(block->ends + longs);
	kmemleak_not_leak(block->starts);
	return true;
}

/**
 * execmem_block_publish - add a block to the tree of blocks
 * @block: the block; mapped, without chunks
 *
 * Context: Process context, takes the lock of the tree.
 */
void execmem_block_publish(struct execmem_block *block)
{
	spin_lock(&execmem_blocks_lock);
	latch_tree_insert(&block->node, &execmem_blocks, &block_ops);
	spin_unlock(&execmem_blocks_lock);
}

/**
 * execmem_block_withdraw - remove a block from the tree of blocks
 * @block: the block; without live chunks
 *
 * Context: Process context, takes the lock of the tree.
 */
void execmem_block_withdraw(struct execmem_block *block)
{
	spin_lock(&execmem_blocks_lock);
	latch_tree_erase(&block->node, &execmem_blocks, &block_ops);
	spin_unlock(&execmem_blocks_lock);
}

static void free_block_rcu(struct rcu_head *rcu)
{
	struct execmem_block *block = container_of(rcu, struct execmem_block,
						   rcu);

	kvfree(block->starts);
	kfree(block);
}

/**
 * execmem_block_free - free the description of a block after a grace period
 * @block: the block; withdrawn and unmapped
 *
 * Context: Any.
 */
void execmem_block_free(struct execmem_block *block)
{
	call_rcu(&block->rcu, free_block_rcu);
}

/* Find the block at an address. RCU keeps the block from being freed. */
static struct execmem_block *block_at(unsigned long addr)
{
	struct latch_tree_node *node;

	node = latch_tree_find(&addr, &execmem_blocks, &block_ops);
	return node ? to_block(node) : NULL;
}

/**
 * execmem_pool_at - find the pool that an address belongs to
 * @addr: any address
 *
 * Context: Any, including NMI.
 * Return: the pool, or %NULL if the address is in no block. Pools are never
 *	freed.
 */
struct execmem_pool *execmem_pool_at(unsigned long addr)
{
	struct execmem_block *block;
	struct execmem_pool *pool;

	rcu_read_lock();
	block = block_at(addr);
	pool = block ? block->pool : NULL;
	rcu_read_unlock();
	return pool;
}

/*
 * Announce a change of the marks of a block. A reader that sees the new number
 * also sees all changes before, since the lock was released after each of them.
 * One that sees a part of this change also sees the new number.
 */
static void begin_change(struct execmem_block *block)
{
	lockdep_assert_held(&block->pool->lock);

	WRITE_ONCE(block->changes, block->changes + 1);
	/* Pairs with the second smp_rmb() in find_marks(). */
	smp_wmb();
}

/**
 * execmem_find_page - find a page in the blocks of shared pools by its number
 * @from: address to start from
 * @pfn: number of the first page that is looked for
 * @nr: how many pages are looked for
 *
 * This visits every page of every block, and is for debugging only.
 *
 * Context: Process context, takes the lock of the tree.
 * Return: the lowest address, not below @from, of one of these pages, or 0
 */
unsigned long execmem_find_page(unsigned long from, unsigned long pfn,
				unsigned long nr)
{
	unsigned long addr = 0;
	struct rb_node *node;

	spin_lock(&execmem_blocks_lock);
	for (node = rb_first(&execmem_blocks.tree[0]); node && !addr;
	     node = rb_next(node)) {
		struct execmem_block *block =
			container_of(node, struct execmem_block, node.node[0]);

		if (block->pool->shared &&
		    block->start + READ_ONCE(block->size) > from)
			addr = execmem_block_find_page(block, from, pfn, nr);
	}
	spin_unlock(&execmem_blocks_lock);
	return addr;
}

/**
 * execmem_mark_live - let execmem_lookup() find a chunk
 * @chunk: the chunk, with its final size
 *
 * Context: The pool's lock is held.
 */
void execmem_mark_live(struct execmem_chunk *chunk)
{
	struct execmem_block *block = chunk->block;

	begin_change(block);
	set_type(block, unit_at(block, chunk->start), chunk->type);
	__set_bit(unit_at(block, chunk->start), block->starts);
	__set_bit(unit_at(block, chunk->start + chunk->size - 1), block->ends);
}

/**
 * execmem_mark_dead - keep execmem_lookup() from finding a chunk
 * @chunk: the chunk
 *
 * Context: The pool's lock is held.
 */
void execmem_mark_dead(struct execmem_chunk *chunk)
{
	struct execmem_block *block = chunk->block;

	begin_change(block);
	__clear_bit(unit_at(block, chunk->start), block->starts);
	__clear_bit(unit_at(block, chunk->start + chunk->size - 1), block->ends);
}

/**
 * execmem_is_marked - can execmem_lookup() find a chunk?
 * @chunk: the chunk
 *
 * Context: The pool's lock is held.
 * Return: true if its first and its last unit are marked, else false
 */
bool execmem_is_marked(const struct execmem_chunk *chunk)
{
	struct execmem_block *block = chunk->block;
	unsigned int shift = block->pool->unit_shift;
	unsigned long offset = chunk->start - block->start;

	return test_bit(offset >> shift, block->starts) &&
		test_bit((offset + chunk->size - 1) >> shift, block->ends);
}

/**
 * execmem_count_marks - number of marks in a block
 * @block: the block
 *
 * Context: The pool's lock is held.
 * Return: number of marks in both bitmaps; two for each live chunk
 */
unsigned long execmem_count_marks(struct execmem_block *block)
{
	lockdep_assert_held(&block->pool->lock);

	return bitmap_weight(block->starts, nr_units(block)) +
		bitmap_weight(block->ends, nr_units(block));
}

static unsigned long last_mark(const unsigned long *map, unsigned long nr)
{
	/*
	 * Writers change the bitmap concurrently. Callers check the result
	 * again, or accept that chunks are missed.
	 */
	return data_race(find_last_bit(map, nr));
}

static unsigned long next_mark(const unsigned long *map, unsigned long nr,
			       unsigned long from)
{
	/* See last_mark(). */
	return data_race(find_next_bit(map, nr, from));
}

/*
 * Find the first and the last unit of the live chunk that @unit is in, and its
 * type. One change may be in progress, see find_marks().
 */
static bool read_marks(struct execmem_block *block, unsigned long unit,
		       unsigned long *first, unsigned long *last,
		       enum execmem_type *type)
{
	unsigned long nr = nr_units(block);

	*first = last_mark(block->starts, unit + 1);
	if (*first > unit)
		return false;
	*last = next_mark(block->ends, nr, *first);
	if (*last < unit || *last >= nr)
		return false;
	*type = type_at(block, *first);
	/*
	 * If only the start of the changing chunk is marked, this is the end of
	 * another chunk, which has its own start between the two.
	 */
	return next_mark(block->starts, *last + 1, *first + 1) > *last;
}

/*
 * Call read_marks() until no change began during the call. Then only the change
 * with the number that was read first may have been seen partly. Earlier changes
 * are complete, and nothing of later ones was seen. So the marks of all other
 * chunks are right. The changing chunk has no owner yet, or no longer, so it
 * does not matter whether it is found.
 *
 * The loop ends: in an NMI that interrupted a change, nobody else can begin one,
 * since the pool's lock is held. Otherwise, other CPUs would have to change the
 * block repeatedly, each time within a few reads.
 */
static bool find_marks(struct execmem_block *block, unsigned long unit,
		       unsigned long *first, unsigned long *last,
		       enum execmem_type *type)
{
	unsigned int changes;
	bool found;

	do {
		changes = READ_ONCE(block->changes);
		/* Pairs with the release of the pool's lock by writers. */
		smp_rmb();
		found = read_marks(block, unit, first, last, type);
		/* Pairs with smp_wmb() in begin_change(). */
		smp_rmb();
	} while (READ_ONCE(block->changes) != changes);
	return found;
}

bool execmem_lookup(unsigned long addr, struct execmem_area *area)
{
	struct execmem_block *block;
	unsigned long first, last;
	bool found;

	rcu_read_lock();
	block = block_at(addr);
	found = block && find_marks(block, unit_at(block, addr), &first, &last,
				    &area->type);
	if (found) {
		unsigned int shift = block->pool->unit_shift;

		area->start = block->start + (first << shift);
		area->size = (last + 1 - first) << shift;
	}
	rcu_read_unlock();
	return found;
}

/* Add a live chunk, from unit @first to unit @last, to the picture. */
static void draw_chunk(struct execmem_map *map, unsigned long first,
		       unsigned long last)
{
	for (unsigned int part = first * EXECMEM_MAP_PARTS / map->nr_units;
	     part < EXECMEM_MAP_PARTS; part++) {
		unsigned long begin = execmem_part_start(map, part);
		unsigned long end = execmem_part_end(map, part);

		if (begin > last)
			break;
		if (end > first)
			map->used[part] += min(end, last + 1) - max(begin, first);
	}
}

/*
 * Draw the live chunks of a block. Called under RCU, without the pool's lock.
 * Chunks that are allocated or freed concurrently may be missing.
 */
static void draw_block(struct execmem_block *block, struct execmem_map *map)
{
	unsigned long nr = nr_units(block), first, last = 0;

	*map = (struct execmem_map) {
		.start = block->start,
		.size = nr << block->pool->unit_shift,
		.huge = READ_ONCE(block->huge),
		.caller = block->caller,
		.nr_units = nr,
	};
	for (first = next_mark(block->starts, nr, 0); first < nr;
	     first = next_mark(block->starts, nr, last + 1)) {
		last = next_mark(block->ends, nr, first);
		if (last >= nr)
			break;
		map->nr_chunks++;
		map->nr_used += last + 1 - first;
		draw_chunk(map, first, last);
	}
}

/**
 * execmem_pool_map - draw a picture of the next block
 * @pool: the pool
 * @addr: address to start from
 * @map: filled with the picture of the first block that starts at @addr or
 *	after it
 *
 * Context: Process context, takes the pool's lock.
 * Return: true, or false if there is no such block
 */
bool execmem_pool_map(struct execmem_pool *pool, unsigned long addr,
		      struct execmem_map *map)
{
	struct execmem_block *block, *next = NULL;

	rcu_read_lock();
	spin_lock(&pool->lock);
	list_for_each_entry(block, &pool->blocks, list)
		if (block->start >= addr && (!next || block->start < next->start))
			next = block;
	spin_unlock(&pool->lock);
	if (next)
		draw_block(next, map);
	rcu_read_unlock();
	return next;
}
