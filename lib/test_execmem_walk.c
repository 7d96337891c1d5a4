// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem: reading the kernel's page tables, for the cases of
 * lib/test_execmem_pages.c and lib/test_execmem_alias.c.
 */

#include <linux/mm.h>
#include <linux/pagewalk.h>
#include <linux/pgtable.h>

#include "../mm/internal.h"
#include "test_execmem.h"

#if defined(CONFIG_X86_64) && !defined(CONFIG_UML)
/*
 * Called for each entry that maps memory, of all sizes of pages. @flags are
 * those of the entry itself. Upper levels of the kernel's tables allow
 * everything.
 */
static void note_leaf(struct mm_walk *walk, unsigned long start,
		      unsigned long end, unsigned long pfn, bool huge,
		      u64 flags)
{
	struct leaf_walk *lw = walk->private;
	struct leaf leaf = {
		.start = start,
		.end = end,
		.pfn = pfn,
		.huge = huge,
		.writable = flags & _PAGE_RW,
		.exec = !(flags & _PAGE_NX),
	};

	if (flags & _PAGE_PRESENT)
		lw->leaf(&leaf, lw->arg);
}

/*
 * The walk may begin inside a large page, so the frame number is that of @start
 * and not of the page.
 */
static int note_pud(pud_t *pud, unsigned long start, unsigned long end,
		    struct mm_walk *walk)
{
	pud_t val = READ_ONCE(*pud);

	if (pud_leaf(val))
		note_leaf(walk, start, end, pud_pfn(val) +
			  ((start & ~PUD_MASK) >> PAGE_SHIFT), true,
			  pud_flags(val));
	return 0;
}

static int note_pmd(pmd_t *pmd, unsigned long start, unsigned long end,
		    struct mm_walk *walk)
{
	pmd_t val = READ_ONCE(*pmd);

	if (pmd_leaf(val))
		note_leaf(walk, start, end, pmd_pfn(val) +
			  ((start & ~PMD_MASK) >> PAGE_SHIFT), true,
			  pmd_flags(val));
	return 0;
}

/* The walk holds no lock of a table of PTEs, so read the entry at once. */
static int note_pte(pte_t *pte, unsigned long start, unsigned long end,
		    struct mm_walk *walk)
{
	pte_t val = ptep_get_lockless(pte);

	note_leaf(walk, start, end, pte_pfn(val), false, pte_flags(val));
	return 0;
}

/* All levels that can map memory. PGDs and P4Ds cannot. */
static const struct mm_walk_ops leaf_ops = {
	.pud_entry	= note_pud,
	.pmd_entry	= note_pmd,
	.pte_entry	= note_pte,
};

/*
 * vmalloc replaces a page table by a huge page, and frees it, only if it gets
 * this lock.
 */
static void walk_leaves(unsigned long start, unsigned long end,
			struct leaf_walk *walk)
{
	mmap_write_lock(&init_mm);
	walk_page_range_debug(&init_mm, start, end, &leaf_ops, NULL, walk);
	mmap_write_unlock(&init_mm);
}

/*
 * Visit all of the kernel's half of the address space. This finds aliases
 * wherever they are, not only those that somebody thought of.
 */
void execmem_test_walk_all(struct leaf_walk *walk)
{
	unsigned long start = -(PTRS_PER_PGD / 2 * PGDIR_SIZE);

#ifdef CONFIG_KASAN
	/* Skip the shadow: terabytes that map the same few pages repeatedly. */
	walk_leaves(start, KASAN_SHADOW_START, walk);
	start = KASAN_SHADOW_END;
#endif
	walk_leaves(start, ULONG_MAX, walk);
}

void execmem_test_need_page_tables(struct kunit *test)
{
}
#else
static void walk_leaves(unsigned long start, unsigned long end,
			struct leaf_walk *walk)
{
}

void execmem_test_walk_all(struct leaf_walk *walk)
{
}

void execmem_test_need_page_tables(struct kunit *test)
{
	kunit_skip(test, "cannot read page tables of this architecture");
}
#endif

/* Bytes, not pages, so that sizes of pages need not be known. */
static void add_to_mapping(const struct leaf *leaf, void *arg)
{
	size_t size = leaf->end - leaf->start;
	struct mapping *mapping = arg;

	mapping->present += size;
	mapping->huge += leaf->huge ? size : 0;
	mapping->writable += leaf->writable ? size : 0;
	mapping->exec += leaf->exec ? size : 0;
	mapping->wx += leaf->writable && leaf->exec ? size : 0;
}

struct mapping execmem_test_mapping(unsigned long start, size_t size)
{
	struct mapping mapping = {};
	struct leaf_walk walk = { .leaf = add_to_mapping, .arg = &mapping };

	walk_leaves(start, start + size, &walk);
	return mapping;
}

/* W^X, I9 and the size of pages that is reported in the statistics */
void execmem_test_expect_mapping_sane(struct kunit *test,
				      const struct mapping *m,
				      const struct execmem_block *block,
				      const struct execmem_range *range)
{
	/* A hole would be memory that the allocator believes to have. */
	KUNIT_EXPECT_EQ(test, m->present, block->size);
	KUNIT_EXPECT_EQ(test, m->writable,
			range->flags & EXECMEM_READONLY ? 0 : block->size);
	KUNIT_EXPECT_EQ(test, m->exec,
			range->flags & EXECMEM_EXEC ? block->size : 0);
	KUNIT_EXPECT_EQ(test, m->wx, 0);
	KUNIT_EXPECT_EQ(test, m->huge, block->huge ? block->size : 0);
}

void execmem_test_expect_block_sane(struct kunit *test,
				    const struct execmem_block *block,
				    const struct execmem_range *range)
{
	struct mapping m = execmem_test_mapping(block->start, block->size);

	execmem_test_expect_mapping_sane(test, &m, block, range);
}

/* The case is the only user of the pool, so its list does not change. */
void execmem_test_expect_pool_sane(struct kunit *test,
				   struct execmem_pool *pool)
{
	struct execmem_block *block;

	list_for_each_entry(block, &pool->blocks, list)
		execmem_test_expect_block_sane(test, block, pool->range);
}
