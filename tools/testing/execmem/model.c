// SPDX-License-Identifier: GPL-2.0
/*
 * A simple model of the allocator, to compare it with.
 *
 * The model knows the owner of each unit of the address space. It has no trees,
 * no sorting and no merging. Of the allocator's structures, it reads only the
 * counters that it compares.
 */

#include "model.h"

/* Unit of the model: it records one owner for each. */
#define UNIT		64
#define NR_UNITS	(VMALLOC_SIZE / UNIT)
#define MAX_BLOCKS	65536

/* The module that all chunks belong to that rest */
#define OWNER_NAME	"some_module"

enum owner {
	OWNER_NONE,
	OWNER_FREE,
	OWNER_LEAKED,
	OWNER_RESTING,
	OWNER_CHUNK,		/* This and larger values: index of a chunk */
};

/**
 * struct model_block - a block, or an unused entry when @size is zero
 * @start: first address
 * @size: size in bytes
 * @mpool: the pool it belongs to
 * @used: bytes that are not free
 * @fallback: true if it is smaller than the type asks for
 * @huge: true if it is mapped by huge pages
 */
struct model_block {
	unsigned long start;
	size_t size;
	struct model_pool *mpool;
	size_t used;
	bool fallback;
	bool huge;
};

/* State before an operation */
struct before {
	struct shim shim;
	unsigned int block_events;
	unsigned int nr_mapped;
	unsigned int nr_damaged;
	unsigned int nr_cut;
};

/**
 * struct wanted - the allocation that is in progress
 * @mpool: the pool, or NULL
 * @size: size in bytes
 * @align: alignment in bytes
 * @flush: memory that needs no flush of the predictors is preferred
 * @place: where the chunk must be placed, or 0 if memory must be added
 * @due: a huge page may be added although there is room in base pages
 */
struct wanted {
	struct model_pool *mpool;
	size_t size;
	size_t align;
	bool flush;
	unsigned long place;
	bool due;
};

struct model model;

static u32 owners[NR_UNITS];
static u32 dirtied[NR_UNITS];
static u16 block_of_page[VMALLOC_SIZE >> PAGE_SHIFT];
static struct model_block blocks[MAX_BLOCKS];
static struct model_chunk chunks[MAX_CHUNKS];
static unsigned int unused_chunks[MAX_CHUNKS];
static unsigned int nr_unused_chunks;
static unsigned int nr_blocks;
static unsigned int block_events;
static unsigned int nr_mapped;
static struct wanted wanted;

/* Rests that ended: of chunks that were written to, and before their time */
static unsigned int nr_damaged;
static unsigned int nr_cut;

/* First unit that never had an owner: units from here on need not be reset. */
static unsigned long nr_touched = NR_UNITS;

/*
 * Frees and flushes are numbered, to know which bytes held code since the last
 * flush of the predictors.
 */
static u32 last_event;
static u32 flushed_event;

/* Contents of filled chunks; each offset has different bytes. */
#define MAX_FILL	SZ_8M
#define MAX_SHIFT	4096
static unsigned char pattern[MAX_FILL + MAX_SHIFT];

/* === Addresses ============================================================ */

static bool is_ours(unsigned long addr)
{
	return addr >= VMALLOC_START && addr < VMALLOC_END;
}

static unsigned long to_unit(unsigned long addr)
{
	return (addr - VMALLOC_START) / UNIT;
}

static u32 owner_of(unsigned long addr)
{
	return is_ours(addr) ? owners[to_unit(addr)] : OWNER_NONE;
}

static void set_units(u32 *units, unsigned long addr, size_t size, u32 value)
{
	for (size_t i = 0; i < size / UNIT; i++)
		units[to_unit(addr) + i] = value;
}

static bool all_owned_by(unsigned long addr, size_t size, u32 owner)
{
	for (size_t i = 0; i < size / UNIT; i++)
		if (owners[to_unit(addr) + i] != owner)
			return false;
	return true;
}

static struct model_block *block_of(unsigned long addr)
{
	return &blocks[block_of_page[(addr - VMALLOC_START) >> PAGE_SHIFT]];
}

/* Find the live chunk that @addr is in. */
static struct model_chunk *chunk_of(unsigned long addr)
{
	u32 owner = owner_of(addr);

	return owner < OWNER_CHUNK ? NULL : &chunks[owner - OWNER_CHUNK];
}

/* Find the live chunk that starts at @addr. */
static struct model_chunk *chunk_from(unsigned long addr)
{
	struct model_chunk *chunk = chunk_of(addr);

	return chunk && chunk->start == addr ? chunk : NULL;
}

struct model_pool *model_pool_of(enum execmem_type type)
{
	if (is_merged(type))
		type = arch_table->ranges[type].mapto;
	return &model.pools[type];
}

struct model_chunk *model_chunk(struct model_pool *mpool, unsigned int rank)
{
	return &chunks[mpool->live[rank]];
}

static bool is_guarded(struct execmem_pool *pool)
{
	return pool->shared && pool->range->flags & EXECMEM_GUARD;
}

static size_t unit_of(struct execmem_pool *pool)
{
	return pool->shared && !is_guarded(pool) ? pool->range->alignment :
						   PAGE_SIZE;
}

static int trap_byte(struct execmem_pool *pool)
{
	return pool->range->invalidate ? TRAP_BYTE : ZERO_BYTE;
}

/* === Blocks =============================================================== */

static struct model_pool *to_mpool(struct execmem_pool *pool)
{
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++)
		if (model.pools[i].pool == pool && !is_merged(i))
			return &model.pools[i];
	abort();
}

static unsigned int unused_block(void)
{
	unsigned int i = 1;

	while (i < nr_blocks && blocks[i].size)
		i++;
	if (i == MAX_BLOCKS)
		abort();
	nr_blocks = max(nr_blocks, i + 1);
	return i;
}

static void set_block_of_pages(unsigned long start, size_t size, u16 value)
{
	unsigned long page = (start - VMALLOC_START) >> PAGE_SHIFT;

	for (size_t i = 0; i < size >> PAGE_SHIFT; i++)
		block_of_page[page + i] = value;
}

/*
 * The allocator remembers one sequence number for a whole free chunk. Do the
 * same here, so that flushes can be predicted exactly.
 */
static void dirty_extent(unsigned long addr)
{
	struct model_block *block = block_of(addr);
	unsigned long start = addr, end = addr;

	while (start > block->start && owner_of(start - UNIT) == OWNER_FREE)
		start -= UNIT;
	while (end < block->start + block->size && owner_of(end) == OWNER_FREE)
		end += UNIT;
	set_units(dirtied, start, end - start, last_event);
}

/* A block got @size bytes more at its end. */
static void block_enlarged(struct execmem_block *block, size_t size)
{
	struct model_block *mblock = block_of(block->start);
	struct model_pool *mpool = mblock->mpool;
	unsigned long start = mblock->start + mblock->size;

	EXPECT(!mblock->huge && mblock->fallback);
	EXPECT(block->size == mblock->size);
	EXPECT(all_owned_by(start, size, OWNER_NONE));
	set_block_of_pages(start, size, mblock - blocks);
	mblock->size += size;
	set_units(owners, start, size, OWNER_FREE);
	nr_touched = max(nr_touched, to_unit(start + size));
	set_units(dirtied, start, size, ++last_event);
	dirty_extent(start);

	block_events++;
	nr_mapped++;
	mpool->reserved += size;
	mpool->stats.enlarged++;
}

static void block_mapped(struct execmem_block *block, size_t size)
{
	struct model_pool *mpool = to_mpool(block->pool);
	unsigned int number;

	if (block_of(block->start)->size) {
		block_enlarged(block, size);
		return;
	}
	number = unused_block();
	EXPECT(size == block->size);
	EXPECT(all_owned_by(block->start, block->size, OWNER_NONE));
	blocks[number] = (struct model_block) {
		.start = block->start,
		.size = block->size,
		.mpool = mpool,
		.fallback = block->reason != EXECMEM_AS_REQUESTED,
		.huge = block->huge,
	};
	set_block_of_pages(block->start, block->size, number);
	set_units(owners, block->start, block->size, OWNER_FREE);
	nr_touched = max(nr_touched, to_unit(block->start + block->size));
	/* Other code may have been at these addresses before. */
	set_units(dirtied, block->start, block->size, ++last_event);

	block_events++;
	nr_mapped++;
	mpool->nr_blocks++;
	mpool->nr_huge += block->huge;
	mpool->reserved += block->size;
	mpool->stats.grown++;
	mpool->stats.blocks[block->reason]++;
}

static void predict_wanted(void);

static void block_unmapping(struct execmem_block *block)
{
	struct model_block *mblock = block_of(block->start);
	struct model_pool *mpool = mblock->mpool;

	/* If its permissions could not be set, nobody has seen it. */
	if (!mblock->size)
		return;
	EXPECT(mblock->start == block->start && mblock->size == block->size);
	EXPECT(!mblock->used);
	EXPECT(all_owned_by(block->start, block->size, OWNER_FREE));
	if (mpool->pool->shared)
		EXPECT(backing_is(block->start, block->size,
				  trap_byte(mpool->pool)));
	set_units(owners, block->start, block->size, OWNER_NONE);
	set_block_of_pages(block->start, block->size, 0);

	block_events++;
	mpool->nr_blocks--;
	mpool->nr_huge -= mblock->huge;
	mpool->reserved -= mblock->size;
	mpool->stats.shrunk++;
	*mblock = (struct model_block) {};
	/* The chunk that rested last may have been all of this block. */
	predict_wanted();
}

/* Can this block be the spare of its pool? */
static bool may_be_spare(struct model_block *block)
{
	struct execmem_pool *pool = block->mpool->pool;

	return pool->shared && !is_guarded(pool) && !block->fallback &&
		(block->size == pool->range->granularity ||
		 (pool->range->seal && block->size > pool->range->granularity));
}

/* Check I6, and that no other empty block is kept. */
static void check_empty_blocks(struct model_pool *mpool)
{
	unsigned int empty = 0;

	for (unsigned int i = 0; i < nr_blocks; i++) {
		if (blocks[i].mpool != mpool || !blocks[i].size ||
		    blocks[i].used)
			continue;
		empty++;
		EXPECT(may_be_spare(&blocks[i]));
		EXPECT(mpool->reserved >= 2 * blocks[i].size);
	}
	EXPECT(empty <= 1);
}

static bool has_empty_block(struct model_pool *mpool)
{
	for (unsigned int i = 0; i < nr_blocks; i++)
		if (blocks[i].mpool == mpool && blocks[i].size &&
		    !blocks[i].used)
			return true;
	return false;
}

/* === Comparison =========================================================== */

static struct before begin(void)
{
	return (struct before) {
		.shim = shim,
		.block_events = block_events,
		.nr_mapped = nr_mapped,
		.nr_damaged = nr_damaged,
		.nr_cut = nr_cut,
	};
}

static void compare_pool(struct model_pool *mpool)
{
	struct execmem_pool *pool = mpool->pool;

	EXPECT(pool->used == mpool->used);
	EXPECT(pool->reserved == mpool->reserved);
	EXPECT(pool->nr_blocks == mpool->nr_blocks);
	EXPECT(pool->nr_huge == mpool->nr_huge);
	EXPECT(pool->nr_chunks ==
	       mpool->nr_live + mpool->nr_leaked + mpool->nr_rests);
	EXPECT(pool->nr_rests == mpool->nr_rests);
	EXPECT(pool->resting == mpool->resting);
	EXPECT(!memcmp(&pool->stats, &mpool->stats, sizeof(pool->stats)));
}

/* Compare the state after an operation on @mpool, which may be NULL. */
static void end(struct before *before, struct model_pool *mpool,
		unsigned int reports)
{
	EXPECT(shim.reports == before->shim.reports + reports +
	       nr_damaged - before->nr_damaged);
	model.max_visits = max(model.max_visits,
			       shim.visits - before->shim.visits);
	no_lock_held();
	if (!mpool)
		return;
	compare_pool(mpool);
	if (model.exact)
		check_empty_blocks(mpool);
}

bool model_validate(void)
{
	int broken = 0;

	for (int i = 0; i < EXECMEM_TYPE_MAX && !broken; i++)
		if (!is_merged(i))
			broken = execmem_pool_check(model.pools[i].pool);
	if (!EXPECT(!broken))
		printf("  invariant I%d is violated\n", broken);
	return !broken;
}

/* === Alloc ================================================================ */

/* Find the lowest @need free bytes in a block that begin at a multiple of @align. */
static unsigned long find_in_block(struct model_block *block, size_t need,
				   size_t align)
{
	unsigned long addr = block->start, run = ALIGN(addr, align);

	while (addr < block->start + block->size) {
		if (owner_of(addr) != OWNER_FREE) {
			addr += UNIT;
			run = ALIGN(addr, align);
			continue;
		}
		addr += UNIT;
		if (addr >= run + need)
			return run;
	}
	return 0;
}

/*
 * Address where the allocator must place a chunk, or 0 if it must add a block
 */
static unsigned long predict_place(struct model_pool *mpool, size_t size,
				   size_t align)
{
	size_t unit = unit_of(mpool->pool);
	size_t need = round_up(size, unit);
	unsigned long addr, best = 0;

	if (!mpool->pool->shared)
		return 0;
	for (unsigned int i = 0; i < nr_blocks; i++) {
		if (blocks[i].mpool != mpool || !blocks[i].size)
			continue;
		addr = find_in_block(&blocks[i], need, max(align, unit));
		if (addr && (!best || addr < best))
			best = addr;
	}
	return best;
}

static bool is_too_large(struct execmem_pool *pool, size_t size)
{
	return !size || (size > pool->range->end - pool->range->start &&
			 size > pool->range->fallback_end -
				pool->range->fallback_start);
}

/* Predict the place of the chunk again, after memory became free. */
static void predict_wanted(void)
{
	if (wanted.mpool && model.exact &&
	    !is_too_large(wanted.mpool->pool, wanted.size)) {
		wanted.place = predict_place(wanted.mpool, wanted.size,
					     wanted.align);
		/* Clean memory that is preferred may have base pages. */
		wanted.due |= wanted.place &&
			execmem_huge_is_due(wanted.mpool->pool) &&
			(!block_of(wanted.place)->huge || wanted.flush);
	}
}

static bool has_expired(struct model_chunk *chunk)
{
	return jiffies - chunk->retired >= EXECMEM_REST_MAX;
}

static bool is_due(struct model_pool *mpool, struct model_chunk *chunk)
{
	return has_expired(chunk) ||
		(jiffies - chunk->retired >= EXECMEM_REST_MIN &&
		 mpool->stats.rests - chunk->number > EXECMEM_REST_FREES);
}

static struct model_chunk *oldest_rest(struct model_pool *mpool)
{
	return mpool->nr_rests ? &chunks[mpool->rests[0]] : NULL;
}

/*
 * A rest ends before its time only if there is nothing else to allocate, and
 * then all of them do. What is due ends before a block is added.
 */
static void check_cut_for_alloc(struct model_pool *mpool, struct before *before)
{
	bool failed = shim.map_failures != before->shim.map_failures ||
		shim.alloc.hits != before->shim.alloc.hits;

	if (nr_cut != before->nr_cut)
		EXPECT(failed && !mpool->nr_rests);
	if (nr_mapped != before->nr_mapped && mpool->nr_rests)
		EXPECT(!is_due(mpool, oldest_rest(mpool)));
}

/* Check that a failed allocation had a reason to fail. */
static void check_failed_alloc(struct model_pool *mpool, struct before *before,
			       size_t size, unsigned long place)
{
	bool no_node = shim.alloc.hits != before->shim.alloc.hits;

	if (is_too_large(mpool->pool, size)) {
		EXPECT(shim.alloc.calls == before->shim.alloc.calls);
		mpool->stats.failures += !!size;
		return;
	}
	EXPECT(no_node || shim.map_failures != before->shim.map_failures);
	EXPECT(no_node || !place);
	EXPECT(!mpool->nr_rests);
	mpool->stats.failures++;
}

static void check_new_block(struct model_chunk *chunk, size_t align)
{
	struct model_block *block = block_of(chunk->start);
	size_t room = block->size - chunk->size;
	bool random = block->mpool->pool->range->flags & EXECMEM_RANDOMIZE;

	/* The block was enlarged: the chunk is at the first free address. */
	if (block->used > chunk->size) {
		EXPECT(align > UNIT ||
		       owner_of(chunk->start - UNIT) >= OWNER_LEAKED);
		return;
	}
	EXPECT(IS_ALIGNED(block->start, max(align, 1UL)));
	if (random && !block->fallback)
		EXPECT(chunk->start - block->start <=
		       max(room / 4, min(room, PAGE_SIZE)));
	else
		EXPECT(chunk->start == block->start);
}

static bool held_code(struct model_chunk *chunk)
{
	for (size_t i = 0; i < chunk->size / UNIT; i++)
		if (dirtied[to_unit(chunk->start) + i] > flushed_event)
			return true;
	return false;
}

/* Memory that needs no flush is preferred to the lowest address. */
static bool is_cleaner(struct model_chunk *chunk, unsigned long place)
{
	struct model_chunk lowest = { .start = place, .size = chunk->size };

	return wants_flush(chunk->type) && execmem_pred_flush_enabled &&
		held_code(&lowest) && !held_code(chunk);
}

static void check_place(struct model_chunk *chunk, struct before *before,
			size_t align, unsigned long place, bool due)
{
	/* The first attempt may have failed to allocate a chunk description. */
	if (shim.alloc.hits != before->shim.alloc.hits)
		return;
	/* A huge page was tried, although there was room. */
	if (due && nr_mapped != before->nr_mapped) {
		EXPECT(block_of(chunk->start)->huge);
		place = 0;
	}
	EXPECT((nr_mapped == before->nr_mapped) == !!place);
	if (place)
		EXPECT(chunk->start == place || is_cleaner(chunk, place));
	else
		check_new_block(chunk, align);
}

static void check_flush(struct model_pool *mpool, struct model_chunk *chunk,
			struct before *before)
{
	unsigned long flushes = shim.flushes - before->shim.flushes;
	bool may = execmem_pred_flush_enabled && wants_flush(chunk->type);
	bool must = may && held_code(chunk);

	EXPECT(flushes <= may);
	EXPECT(flushes >= must);
	if (model.exact)
		EXPECT(flushes == must);
	if (flushes)
		flushed_event = last_event;
	mpool->stats.pred_flushes += flushes;
}

static struct model_chunk *add_chunk(struct model_pool *mpool,
				     enum execmem_type type,
				     unsigned long start, size_t size)
{
	unsigned int number = unused_chunks[--nr_unused_chunks];
	struct model_chunk *chunk = &chunks[number];

	*chunk = (struct model_chunk) {
		.start = start,
		.size = round_up(size, unit_of(mpool->pool)),
		.type = type,
		.pattern = random_u64() % MAX_SHIFT,
		.rank = mpool->nr_live,
	};
	mpool->live[mpool->nr_live++] = number;
	mpool->used += chunk->size;
	mpool->stats.allocs++;
	model.nr_live++;
	return chunk;
}

/* Check that the memory is free in the model, and record the owner. */
static bool take_memory(struct model_pool *mpool, struct model_chunk *chunk,
			size_t align)
{
	struct model_block *block;

	if (!EXPECT(is_ours(chunk->start)) ||
	    !EXPECT(all_owned_by(chunk->start, chunk->size, OWNER_FREE)))
		return false;
	block = block_of(chunk->start);
	EXPECT(block->mpool == mpool);
	EXPECT(chunk->start + chunk->size <= block->start + block->size);
	EXPECT(IS_ALIGNED(chunk->start, max(align, unit_of(mpool->pool))));
	if (mpool->pool->shared)
		EXPECT(backing_is(chunk->start, chunk->size,
				  trap_byte(mpool->pool)));

	block->used += chunk->size;
	set_units(owners, chunk->start, chunk->size,
		  OWNER_CHUNK + (chunk - chunks));
	return true;
}

/* Allocate; with the public API if @align is 0. */
struct model_chunk *model_alloc(enum execmem_type type, size_t size,
				size_t align)
{
	struct model_pool *mpool = model_pool_of(type);
	struct before before = begin();
	struct model_chunk *chunk = NULL;
	void *ptr;

	wanted = (struct wanted) {
		.mpool = mpool, .size = size, .align = align,
		.flush = wants_flush(type),
	};
	predict_wanted();
	ptr = align ? execmem_pool_alloc(mpool->pool, type, size, align,
					 wants_flush(type)) :
		      execmem_alloc(type, size);
	wanted.mpool = NULL;
	check_cut_for_alloc(mpool, &before);
	if (!ptr) {
		check_failed_alloc(mpool, &before, size, wanted.place);
		end(&before, mpool, 0);
		return NULL;
	}
	EXPECT(!is_too_large(mpool->pool, size));
	/* Without memory for nodes, those of rests that were cut may do. */
	EXPECT(!shim.alloc.from_then_on || nr_cut != before.nr_cut ||
	       shim.alloc.hits == before.shim.alloc.hits);
	chunk = add_chunk(mpool, type, (unsigned long)ptr, size);
	if (!take_memory(mpool, chunk, align))
		return NULL;
	if (model.exact)
		check_place(chunk, &before, align, wanted.place, wanted.due);
	check_flush(mpool, chunk, &before);
	end(&before, mpool, 0);
	return chunk;
}

/* === Fill and seal ======================================================== */

/* Does the chunk have the contents that were written to it? */
static bool is_intact(struct model_chunk *chunk)
{
	struct model_pool *mpool = model_pool_of(chunk->type);
	size_t rest = mpool->pool->shared ? chunk->size - chunk->filled : 0;

	return !memcmp((void *)chunk->start, pattern + chunk->pattern,
		       chunk->filled) &&
		backing_is(chunk->start + chunk->filled, rest,
			   trap_byte(mpool->pool));
}

static bool can_fill(struct model_chunk *chunk, unsigned long addr, size_t len)
{
	return chunk && !chunk->sealed &&
		len <= chunk->start + chunk->size - addr;
}

/*
 * Fill with the pattern for @addr. The range must start in or right after the
 * part that is filled already, since the model cannot describe gaps.
 */
static int fill(unsigned long addr, size_t len, bool seal)
{
	struct model_chunk *chunk = chunk_of(addr);
	struct before before = begin();
	bool possible = can_fill(chunk, addr, len);
	size_t offset = chunk ? addr - chunk->start : 0;
	struct model_pool *mpool = NULL;
	const unsigned char *from;
	int err;

	from = pattern + (chunk ? chunk->pattern : 0) + offset;
	err = seal ? execmem_publish((void *)addr, from, len) :
		     execmem_fill((void *)addr, from, len);
	if (chunk)
		mpool = model_pool_of(chunk->type);
	if (!possible) {
		EXPECT(err == -EINVAL);
	} else if (shim.fill.hits != before.shim.fill.hits) {
		EXPECT(err == -EIO);
	} else {
		EXPECT(!err);
		chunk->filled = max(chunk->filled, offset + len);
		chunk->sealed |= seal;
		mpool->stats.fills++;
	}
	if (chunk)
		EXPECT(is_intact(chunk));
	end(&before, mpool, !possible);
	return err;
}

int model_fill(unsigned long addr, size_t len)
{
	return fill(addr, len, false);
}

int model_publish(unsigned long addr, size_t len)
{
	return fill(addr, len, true);
}

void model_seal(unsigned long addr)
{
	struct model_chunk *chunk = chunk_from(addr);
	struct before before = begin();

	execmem_seal((void *)addr);
	if (chunk)
		chunk->sealed = true;
	end(&before, chunk ? model_pool_of(chunk->type) : NULL, !chunk);
}

void model_lookup(unsigned long addr)
{
	struct model_chunk *chunk = chunk_of(addr);
	struct before before = begin();
	struct execmem_area area;
	bool found = execmem_lookup(addr, &area);

	EXPECT(found == !!chunk);
	if (found && chunk) {
		EXPECT(area.start == chunk->start);
		EXPECT(area.size == chunk->size);
		EXPECT(area.type == chunk->type);
	}
	end(&before, NULL, 0);
}

/* === Free ================================================================= */

static void remove_chunk(struct model_pool *mpool, struct model_chunk *chunk)
{
	unsigned int last = mpool->live[--mpool->nr_live];

	mpool->live[chunk->rank] = last;
	chunks[last].rank = chunk->rank;
	model.nr_live--;
}

static void forget_chunk(struct model_chunk *chunk)
{
	unused_chunks[nr_unused_chunks++] = chunk - chunks;
}

/* Will the chunk rest if it is retired now? Only a hook can fail to clear it. */
static bool will_rest(struct model_pool *mpool)
{
	struct execmem_pool *pool = mpool->pool;

	return pool->shared && !is_guarded(pool) &&
		!(pool->range->invalidate && fails_next(&shim.invalidate));
}

static void add_rest(struct model_pool *mpool, struct model_chunk *chunk)
{
	chunk->retired = jiffies;
	chunk->number = mpool->stats.rests++;
	mpool->rests[mpool->nr_rests++] = chunk - chunks;
	mpool->resting += chunk->size;
	set_units(owners, chunk->start, chunk->size, OWNER_RESTING);
}

static void remove_oldest_rest(struct model_pool *mpool)
{
	struct model_chunk *chunk = oldest_rest(mpool);

	mpool->nr_rests--;
	memmove(mpool->rests, mpool->rests + 1,
		mpool->nr_rests * sizeof(*mpool->rests));
	mpool->resting -= chunk->size;
	forget_chunk(chunk);
}

/* Is this chunk the last one of a block that becomes the spare? */
static bool makes_spare(struct model_pool *mpool, unsigned long start,
			size_t size)
{
	struct model_block *block = block_of(start);

	return block->used == size && may_be_spare(block) &&
		!has_empty_block(mpool) && mpool->reserved >= 2 * block->size;
}

/* Called by the allocator when it gives a chunk back that rested. */
static void chunk_rested(struct execmem_chunk *chunk)
{
	struct model_pool *mpool = to_mpool(chunk->block->pool);
	struct model_chunk *oldest = oldest_rest(mpool);
	bool due;

	if (!EXPECT(oldest && oldest->start == chunk->start &&
		    oldest->size == chunk->size))
		return;
	due = is_due(mpool, oldest);
	nr_cut += !due;
	mpool->stats.rests_cut += !due;
	nr_damaged += oldest->written;
	mpool->stats.rest_writes += oldest->written;
	remove_oldest_rest(mpool);

	if (model.exact && makes_spare(mpool, chunk->start, chunk->size))
		mpool->spare_until = jiffies + EXECMEM_SPARE_TIME;
	block_of(chunk->start)->used -= chunk->size;
	mpool->used -= chunk->size;
	mpool->stats.frees++;
	last_event++;
	set_units(owners, chunk->start, chunk->size, OWNER_FREE);
	if (model.exact)
		dirty_extent(chunk->start);
	else
		set_units(dirtied, chunk->start, chunk->size, last_event);
	predict_wanted();
}

/* The block is still mapped after the free. */
static void check_freed_memory(struct model_pool *mpool, unsigned long start,
			       size_t size)
{
	EXPECT(mpool->pool->shared);
	EXPECT(backing_is(start, size, trap_byte(mpool->pool)));
	if (model.exact)
		dirty_extent(start);
	else
		set_units(dirtied, start, size, last_event);
}

static void check_leak(struct model_pool *mpool, unsigned long start,
		       size_t size)
{
	set_units(owners, start, size, OWNER_LEAKED);
	block_of(start)->used += size;
	mpool->used += size;
	mpool->stats.frees--;
	mpool->stats.leaked += size;
	mpool->nr_leaked++;
}

/* Free a chunk; with execmem_retire() if @retire is true, but it does not rest. */
static void free_chunk(struct model_chunk *chunk, bool retire)
{
	struct model_pool *mpool = model_pool_of(chunk->type);
	struct before before = begin();
	unsigned long start = chunk->start;
	struct model_block *block = block_of(start);
	size_t size = chunk->size;
	bool keep = model.exact && may_be_spare(block) &&
		    !has_empty_block(mpool) &&
		    mpool->reserved >= 2 * block->size;
	unsigned int reports = 0;
	bool leak;

	EXPECT(is_intact(chunk));
	if (keep && block->used == size)
		mpool->spare_until = jiffies + EXECMEM_SPARE_TIME;
	set_units(owners, start, size, OWNER_FREE);
	block->used -= size;
	mpool->used -= size;
	mpool->stats.frees++;
	last_event++;
	remove_chunk(mpool, chunk);
	forget_chunk(chunk);

	if (retire)
		execmem_retire((void *)start, OWNER_NAME);
	else
		EXPECT(execmem_free((void *)start) == size);

	leak = shim.invalidate.hits != before.shim.invalidate.hits;
	if (leak) {
		check_leak(mpool, start, size);
		reports++;
	} else if (owner_of(start) == OWNER_FREE) {
		check_freed_memory(mpool, start, size);
	} else if (model.exact) {
		/* An empty block is given back, unless it becomes the spare. */
		EXPECT(!keep);
	}
	end(&before, mpool, reports);
	model.last_freed = start;
}

void model_free(unsigned long addr)
{
	struct model_chunk *chunk = chunk_from(addr);
	struct before before = begin();

	if (chunk) {
		free_chunk(chunk, false);
		return;
	}
	EXPECT(!execmem_free((void *)addr));
	chunk = chunk_of(addr);
	if (chunk)
		EXPECT(is_intact(chunk));
	EXPECT(block_events == before.block_events);
	end(&before, chunk ? model_pool_of(chunk->type) : NULL, !!addr);
}

/* === Rest ================================================================= */

/* Contents of a chunk that rests */
static int rest_byte(struct execmem_pool *pool)
{
	return pool->range->flags & EXECMEM_READONLY ? TRAP_BYTE : POISON_FREE;
}

/* The oldest rests end if too much memory would rest otherwise. */
static void check_excess(struct model_pool *mpool, unsigned int nr,
			 size_t resting)
{
	bool excess = resting > EXECMEM_REST_BYTES && nr > 1;

	EXPECT(excess || mpool->nr_rests == nr);
	EXPECT(mpool->nr_rests == 1 || mpool->resting <= EXECMEM_REST_BYTES);
}

/* Free a live chunk with execmem_retire(). */
void model_retire(unsigned long addr)
{
	struct model_chunk *chunk = chunk_from(addr);
	struct before before = begin();
	struct model_pool *mpool;
	unsigned int nr;
	size_t resting;

	if (!chunk)
		return;
	mpool = model_pool_of(chunk->type);
	if (!will_rest(mpool)) {
		free_chunk(chunk, true);
		return;
	}
	EXPECT(is_intact(chunk));
	remove_chunk(mpool, chunk);
	add_rest(mpool, chunk);
	nr = mpool->nr_rests;
	resting = mpool->resting;
	execmem_retire((void *)addr, OWNER_NAME);
	check_excess(mpool, nr, resting);
	/* It is the newest one, so it rests. */
	EXPECT(owner_of(addr) == OWNER_RESTING);
	EXPECT(backing_is(addr, chunk->size, rest_byte(mpool->pool)));
	end(&before, mpool, 0);
	model.last_freed = addr;
}

/* Write to a resting chunk, which is a mistake that must be found. */
void model_write_resting(struct model_pool *mpool, unsigned int n, size_t offset)
{
	struct model_chunk *chunk;

	if (!mpool->nr_rests || mpool->pool->range->flags & EXECMEM_READONLY)
		return;
	chunk = &chunks[mpool->rests[n % mpool->nr_rests]];
	*(char *)(chunk->start + offset % chunk->size) = 0x42;
	chunk->written = true;
}

void model_pass_time(unsigned long ticks)
{
	struct before before = begin();

	pass_time(ticks);
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++) {
		struct model_pool *mpool = &model.pools[i];

		if (is_merged(i))
			continue;
		compare_pool(mpool);
		/* The bound: nothing rests longer. */
		EXPECT(!mpool->nr_rests || !has_expired(oldest_rest(mpool)));
	}
	EXPECT(nr_cut == before.nr_cut);
	end(&before, NULL, 0);
}

/* As under memory pressure */
void model_end_rests(struct model_pool *mpool)
{
	struct before before = begin();
	bool any = mpool->nr_rests;

	EXPECT(execmem_pool_end_rests(mpool->pool, EXECMEM_REST_ALL) == any);
	EXPECT(!mpool->nr_rests);
	end(&before, mpool, 0);
}

void model_end_all_rests(void)
{
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++)
		if (!is_merged(i))
			model_end_rests(&model.pools[i]);
}

/* === Everything =========================================================== */

void model_drain(struct model_pool *mpool)
{
	struct before before = begin();
	size_t reserved = mpool->reserved;
	size_t drained = execmem_pool_drain(mpool->pool);

	EXPECT(drained == reserved - mpool->reserved);
	end(&before, mpool, 0);
	EXPECT(!model.exact || !has_empty_block(mpool));
}

/* Let time pass. The spare stays until its time is over. */
void model_expire(struct model_pool *mpool, unsigned long ticks)
{
	struct before before;
	unsigned long left;
	bool stays;

	model_pass_time(ticks);
	before = begin();
	stays = model.exact && has_empty_block(mpool) &&
		time_before(jiffies, mpool->spare_until);
	left = execmem_pool_expire(mpool->pool);
	end(&before, mpool, 0);
	EXPECT(!left == !mpool->pool->spare);
	if (!model.exact)
		return;
	EXPECT(has_empty_block(mpool) == stays);
	EXPECT(left == (stays ? mpool->spare_until - jiffies : 0));
}

static bool describes(struct execmem_chunk *copy, struct model_chunk *chunk)
{
	if (!chunk)
		return owner_of(copy->start) == OWNER_LEAKED ||
			owner_of(copy->start) == OWNER_RESTING;
	return copy->size == chunk->size && copy->type == chunk->type;
}

/* execmem_pool_next() must find all chunks that are not free. */
void model_walk(struct model_pool *mpool)
{
	struct before before = begin();
	struct execmem_chunk copy;
	unsigned long addr = 0;
	unsigned int nr = 0;
	size_t used = 0;

	while (execmem_pool_next(mpool->pool, addr, &copy) && !test_failed) {
		EXPECT(copy.start >= addr);
		EXPECT(describes(&copy, chunk_from(copy.start)));
		addr = copy.start + copy.size;
		used += copy.size;
		nr++;
	}
	EXPECT(nr == mpool->nr_live + mpool->nr_leaked + mpool->nr_rests);
	EXPECT(used == mpool->used);
	end(&before, mpool, 0);
}

/* Number of units in live chunks of the pool, from @addr on */
static unsigned long count_live(unsigned long addr, size_t size, size_t unit)
{
	unsigned long nr = 0;

	for (size_t offset = 0; offset < size; offset += unit)
		nr += owner_of(addr + offset) >= OWNER_CHUNK;
	return nr;
}

static void check_map(struct model_block *block, struct execmem_map *map)
{
	size_t unit = unit_of(block->mpool->pool);
	unsigned long nr = block->size / unit;

	EXPECT(map->start == block->start && map->size == block->size);
	EXPECT(map->huge == block->huge && map->nr_units == nr);
	EXPECT(map->nr_used == count_live(map->start, map->size, unit));
	for (unsigned long i = 0; i < EXECMEM_MAP_PARTS; i++) {
		unsigned long begin = i * nr / EXECMEM_MAP_PARTS;
		unsigned long end = (i + 1) * nr / EXECMEM_MAP_PARTS;

		/*
		 * If there are fewer units than parts, several parts show the
		 * same unit.
		 */
		end = max(end, begin + 1);
		EXPECT(map->used[i] ==
		       count_live(map->start + begin * unit,
				  (end - begin) * unit, unit));
	}
}

/* The maps of all blocks must show all live chunks. */
void model_draw(struct model_pool *mpool)
{
	struct before before = begin();
	struct execmem_map map;
	unsigned long addr = 0, nr_chunks = 0;
	unsigned int nr = 0;

	while (execmem_pool_map(mpool->pool, addr, &map)) {
		if (!EXPECT(map.start >= addr && is_ours(map.start)))
			break;
		EXPECT(block_of(map.start)->mpool == mpool);
		check_map(block_of(map.start), &map);
		nr_chunks += map.nr_chunks;
		addr = map.start + 1;
		nr++;
	}
	EXPECT(nr == mpool->nr_blocks);
	EXPECT(nr_chunks == mpool->nr_live);
	end(&before, mpool, 0);
}

/* Make a leaked chunk live again, so that it can be freed again. */
static void recover_chunk(struct model_pool *mpool, struct execmem_chunk *chunk)
{
	struct model_chunk *mchunk;

	memset((void *)chunk->start, trap_byte(mpool->pool), chunk->size);
	chunk->state = EXECMEM_SEALED;
	mchunk = add_chunk(mpool, chunk->type, chunk->start, chunk->size);
	mpool->stats.allocs--;
	mpool->used -= chunk->size;
	mpool->nr_leaked--;
	mchunk->sealed = true;
	set_units(owners, chunk->start, chunk->size,
		  OWNER_CHUNK + (mchunk - chunks));
}

/* Free chunks that could not be invalidated, to end a test without leaks. */
void model_recover_leaked(void)
{
	struct execmem_chunk *chunk;
	struct rb_node *node;

	for (int i = 0; i < EXECMEM_TYPE_MAX; i++) {
		if (is_merged(i))
			continue;
		node = rb_first(&model.pools[i].pool->chunks);
		for (; node; node = rb_next(node)) {
			chunk = rb_entry(node, struct execmem_chunk, node);
			if (chunk->state == EXECMEM_DYING)
				recover_chunk(&model.pools[i], chunk);
		}
	}
}

void model_free_all(void)
{
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++)
		while (model.pools[i].nr_live && !test_failed)
			model_free(model_chunk(&model.pools[i], 0)->start);
}

static void make_pattern(void)
{
	if (pattern[0])
		return;
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = 1 + random_u64() % 255;
}

static void forget_memory(void)
{
	memset(owners, 0, nr_touched * sizeof(*owners));
	memset(dirtied, 0, nr_touched * sizeof(*dirtied));
	memset(block_of_page, 0, sizeof(block_of_page));
	memset(blocks, 0, max(nr_blocks, 1U) * sizeof(*blocks));
	nr_touched = 0;
	nr_blocks = 1;
	last_event = 0;
	flushed_event = 0;
}

/* Start with the pools of @arch_table, which are empty. */
void model_start(bool exact)
{
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++) {
		memset(&model.pools[i], 0, sizeof(model.pools[i]));
		model.pools[i].pool = execmem_pool_of(i);
	}
	for (unsigned int i = 0; i < MAX_CHUNKS; i++)
		unused_chunks[i] = i;
	nr_unused_chunks = MAX_CHUNKS;
	make_pattern();
	forget_memory();
	model.exact = exact;
	model.nr_live = 0;
	model.last_freed = 0;
	model.max_visits = 0;
	shim.mapped = block_mapped;
	shim.unmapping = block_unmapping;
	shim.rested = chunk_rested;
}

/* Free everything, and check that all memory was given back. */
void model_finish(void)
{
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++)
		EXPECT(!model.pools[i].nr_blocks);
	shim.mapped = NULL;
	shim.unmapping = NULL;
	shim.rested = NULL;
}
