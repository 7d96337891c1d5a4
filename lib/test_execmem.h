/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the execmem KUnit suite share.
 *
 * The inline helpers have short names because nearly every line of the cases
 * calls one of them. Helpers with external linkage have the prefix
 * execmem_test_, as the suite is linked into the kernel.
 */
#ifndef _LIB_TEST_EXECMEM_H
#define _LIB_TEST_EXECMEM_H

#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "../mm/execmem_internal.h"

/* The unit and the block size of pools made from data_range() */
#define UNIT	64
#define BLOCK	(16 * PAGE_SIZE)

/* Cases of the other files. An empty case ends each array. */
extern struct kunit_case execmem_test_alloc_cases[];
extern struct kunit_case execmem_test_lookup_cases[];
extern struct kunit_case execmem_test_block_cases[];
extern struct kunit_case execmem_test_type_cases[];
extern struct kunit_case execmem_test_misuse_cases[];
extern struct kunit_case execmem_test_fill_cases[];
extern struct kunit_case execmem_test_race_cases[];
extern struct kunit_case execmem_test_predictor_cases[];
extern struct kunit_case execmem_test_pages_cases[];
extern struct kunit_case execmem_test_alias_cases[];
extern struct kunit_case execmem_test_perm_cases[];
extern struct kunit_case execmem_test_fallback_cases[];
extern struct kunit_case execmem_test_rest_cases[];

/* === Pools, lib/test_execmem.c ============================================ */

/*
 * Make a pool for this case only. At the end of the case it is checked, all of
 * its memory is freed and its counters must be balanced.
 */
struct execmem_pool *execmem_test_pool(struct kunit *test,
				       struct execmem_range range);

/*
 * Allocate from the type's own pool, which the rest of the kernel uses, too.
 * The chunk is freed at the end of the case.
 */
void execmem_test_free(void *ptr);
void *execmem_test_take_type(struct kunit *test, enum execmem_type type,
			     size_t size);

/* A description of data, which works on every architecture */
static inline struct execmem_range data_range(void)
{
	return (struct execmem_range) {
		.start		= VMALLOC_START,
		.end		= VMALLOC_END,
		.pgprot		= PAGE_KERNEL,
		.alignment	= UNIT,
		.granularity	= BLOCK,
	};
}

/* Does the architecture put BPF programs into shared read-only blocks? */
static inline bool has_shared_text(void)
{
	struct execmem_pool *pool = execmem_pool_of(EXECMEM_BPF);

	return pool && pool->shared && pool->range->flags & EXECMEM_READONLY;
}

/*
 * A description of shared text as the architecture has it for BPF, or of data
 * if it has none. Chunks are placed without randomness and guard pages, and in
 * huge pages on a small machine, too, so that the cases know the addresses.
 */
static inline struct execmem_range text_range(void)
{
	struct execmem_range range = data_range();

	if (has_shared_text())
		range = *execmem_pool_of(EXECMEM_BPF)->range;
	range.flags &= ~(EXECMEM_RANDOMIZE | EXECMEM_GUARD);
	range.flags |= EXECMEM_START_HUGE;
	return range;
}

static inline struct execmem_block *first_block(struct execmem_pool *pool)
{
	return list_first_entry(&pool->blocks, struct execmem_block, list);
}

static inline struct execmem_chunk *chunk_of(struct rb_node *node)
{
	return rb_entry_safe(node, struct execmem_chunk, node);
}

static inline struct execmem_chunk *first_chunk(struct execmem_pool *pool)
{
	return chunk_of(rb_first(&pool->chunks));
}

static inline struct execmem_chunk *next_chunk(struct execmem_chunk *chunk)
{
	return chunk_of(rb_next(&chunk->node));
}

static inline struct execmem_chunk *first_in_use(struct execmem_pool *pool)
{
	struct execmem_chunk *chunk;

	for (chunk = first_chunk(pool); chunk; chunk = next_chunk(chunk))
		if (chunk->state != EXECMEM_FREE)
			break;
	return chunk;
}

/* === Allocate and free with the validator after each call ================= */

static inline void *take_aligned(struct kunit *test, struct execmem_pool *pool,
				 size_t size, size_t align)
{
	void *ptr;

	ptr = execmem_pool_alloc(pool, EXECMEM_BPF, size, align, false);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	KUNIT_EXPECT_EQ(test, execmem_pool_check(pool), 0);
	return ptr;
}

static inline void *take(struct kunit *test, struct execmem_pool *pool,
			 size_t size)
{
	return take_aligned(test, pool, size, 1);
}

static inline void give(struct kunit *test, struct execmem_pool *pool,
			void *ptr)
{
	execmem_free(ptr);
	KUNIT_EXPECT_EQ(test, execmem_pool_check(pool), 0);
}

/* === Reports of misuse, lib/test_execmem.c ================================ */

/* Calls of execmem_report() by cases of the suite, so far */
extern unsigned int execmem_test_reports;
/* How many of them the current case has accounted for */
extern unsigned int execmem_test_seen_reports;

/* The call before this one must have made exactly one report. */
static inline void expect_report(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, execmem_test_reports,
			++execmem_test_seen_reports);
	execmem_test_seen_reports = execmem_test_reports;
}

/* Freeing @ptr must be reported and must change nothing. */
static inline void expect_no_free(struct kunit *test, struct execmem_pool *pool,
				  void *ptr)
{
	unsigned long frees = pool->stats.frees;
	size_t used = pool->used;

	give(test, pool, ptr);
	expect_report(test);
	KUNIT_EXPECT_EQ(test, pool->stats.frees, frees);
	KUNIT_EXPECT_EQ(test, pool->used, used);
}

/* === Contents, lib/test_execmem.c ========================================= */

/* Buffers that are freed at the end of the case */
u8 *execmem_test_buffer(struct kunit *test, size_t size);
u8 *execmem_test_pattern(struct kunit *test, size_t size);

/* One page as free memory of @pool must read */
u8 *execmem_test_trap_page(struct kunit *test, struct execmem_pool *pool);

/* Does memory read like @trap_page, at the same offsets in a page? */
bool execmem_test_is_trap(const u8 *start, size_t size, const u8 *trap_page);
void execmem_test_expect_trap(struct kunit *test, struct execmem_pool *pool,
			      const void *start, size_t size);

/* === Page tables, lib/test_execmem_walk.c ================================= */

/**
 * struct mapping - how a range of addresses is mapped
 * @present: bytes that are mapped at all
 * @huge: bytes that are mapped by huge pages
 * @writable: bytes that can be written
 * @exec: bytes that can be executed
 * @wx: bytes that can be both
 */
struct mapping {
	size_t present;
	size_t huge;
	size_t writable;
	size_t exec;
	size_t wx;
};

/**
 * struct leaf - one present entry that maps memory
 * @start: first address
 * @end: address after the last one
 * @pfn: page frame number of the first page
 * @huge: the entry is above the lowest level
 * @writable: the memory can be written
 * @exec: the memory can be executed
 */
struct leaf {
	unsigned long start;
	unsigned long end;
	unsigned long pfn;
	bool huge;
	bool writable;
	bool exec;
};

/**
 * struct leaf_walk - what to do with the leaves of a part of the page tables
 * @leaf: called for each leaf
 * @arg: passed to @leaf
 */
struct leaf_walk {
	void (*leaf)(const struct leaf *leaf, void *arg);
	void *arg;
};

/* Skip the case if the suite cannot read this architecture's page tables. */
void execmem_test_need_page_tables(struct kunit *test);

/* Walk the kernel's half of the page tables. */
void execmem_test_walk_all(struct leaf_walk *walk);

struct mapping execmem_test_mapping(unsigned long start, size_t size);

/* The page tables must have the permissions and page sizes of the range. */
void execmem_test_expect_mapping_sane(struct kunit *test,
				      const struct mapping *m,
				      const struct execmem_block *block,
				      const struct execmem_range *range);
void execmem_test_expect_block_sane(struct kunit *test,
				    const struct execmem_block *block,
				    const struct execmem_range *range);
void execmem_test_expect_pool_sane(struct kunit *test,
				   struct execmem_pool *pool);

/* === Kinds of shared memory, lib/test_execmem_pages.c ===================== */

/**
 * struct kind - permissions and page size that a type can ask for
 * @name: for the parameters of cases
 * @flags: of the range
 */
struct kind {
	const char *name;
	enum execmem_range_flags flags;
};

#define NR_KINDS	6

extern const struct kind execmem_test_kinds[NR_KINDS];

/* A range or pool of a kind. Skip the case if the architecture has none. */
struct execmem_range execmem_test_kind_range(struct kunit *test,
					     enum execmem_range_flags flags);
struct execmem_pool *execmem_test_kind_pool(struct kunit *test,
					    enum execmem_range_flags flags);

#endif /* _LIB_TEST_EXECMEM_H */
