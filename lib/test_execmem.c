// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem, see mm/execmem.c for the invariants named below.
 *
 * Most cases work on pools of their own, so that they start from nothing and
 * know every address. Pools of data, which every architecture can have, are for
 * the bookkeeping. Pools of text copy what the architecture does for BPF.
 *
 * The suite is built in because it reads the kernel's page tables.
 */

#include <kunit/test.h>
#include <linux/bpf.h>
#include <linux/completion.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/memblock.h>
#include <linux/memory.h>
#include <linux/pagewalk.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/swap.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#ifdef CONFIG_X86_LOCAL_APIC
#include <asm/apic.h>
#include <asm/nmi.h>
#endif

#include "../mm/internal.h"
#include "../mm/execmem_internal.h"

#define UNIT	64
#define BLOCK	(16 * PAGE_SIZE)

/* === Pools ================================================================ */

/* What the allocator may have reported so far */
static unsigned int seen_reports;

static void expect_report(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, execmem_test_reports, ++seen_reports);
	seen_reports = execmem_test_reports;
}

static struct execmem_range data_range(void)
{
	return (struct execmem_range) {
		.start		= VMALLOC_START,
		.end		= VMALLOC_END,
		.pgprot		= PAGE_KERNEL,
		.alignment	= UNIT,
		.granularity	= BLOCK,
	};
}

static bool has_shared_text(void)
{
	struct execmem_pool *pool = execmem_pool_of(EXECMEM_BPF);

	return pool && pool->shared && pool->range->flags & EXECMEM_READONLY;
}

/* Shared text as the architecture has it for BPF, or data where it has none */
static struct execmem_range text_range(void)
{
	struct execmem_range range = data_range();

	if (has_shared_text())
		range = *execmem_pool_of(EXECMEM_BPF)->range;
	/* Cases know where chunks are, except those about these flags. */
	range.flags &= ~(EXECMEM_RANDOMIZE | EXECMEM_GUARD);
	return range;
}

static struct execmem_chunk *chunk_of(struct rb_node *node)
{
	return rb_entry_safe(node, struct execmem_chunk, node);
}

static struct execmem_chunk *first_chunk(struct execmem_pool *pool)
{
	return chunk_of(rb_first(&pool->chunks));
}

static struct execmem_chunk *next_chunk(struct execmem_chunk *chunk)
{
	return chunk_of(rb_next(&chunk->node));
}

static unsigned int count_chunks(struct execmem_pool *pool)
{
	struct execmem_chunk *chunk;
	unsigned int nr = 0;

	for (chunk = first_chunk(pool); chunk; chunk = next_chunk(chunk))
		nr++;
	return nr;
}

static struct execmem_chunk *first_in_use(struct execmem_pool *pool)
{
	struct execmem_chunk *chunk;

	for (chunk = first_chunk(pool); chunk; chunk = next_chunk(chunk))
		if (chunk->state != EXECMEM_FREE)
			break;
	return chunk;
}

/* Free what the case left, also when an assertion ended it. */
static void destroy_pool(void *arg)
{
	struct kunit *test = kunit_get_current_test();
	struct execmem_pool *pool = arg;
	struct execmem_chunk *chunk;

	KUNIT_EXPECT_EQ(test, execmem_pool_check(pool), 0);
	while ((chunk = first_in_use(pool)))
		execmem_free((void *)chunk->start);
	execmem_pool_drain(pool);

	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 0);
	KUNIT_EXPECT_EQ(test, pool->reserved, 0);
	KUNIT_EXPECT_EQ(test, pool->used, 0);
	KUNIT_EXPECT_EQ(test, pool->stats.allocs, pool->stats.frees);
	KUNIT_EXPECT_EQ(test, pool->stats.grown, pool->stats.shrunk);
	KUNIT_EXPECT_EQ(test, execmem_test_reports, seen_reports);
}

static struct execmem_pool *make_pool(struct kunit *test,
				      struct execmem_range range)
{
	struct execmem_range *copy;
	struct execmem_pool *pool;
	int err;

	pool = kunit_kzalloc(test, sizeof(*pool), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pool);
	copy = kunit_kzalloc(test, sizeof(*copy), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	*copy = range;
	execmem_pool_init(pool, "kunit", EXECMEM_BPF, copy);
	err = kunit_add_action_or_reset(test, destroy_pool, pool);
	KUNIT_ASSERT_EQ(test, err, 0);
	return pool;
}

static void *take_aligned(struct kunit *test, struct execmem_pool *pool,
			  size_t size, size_t align)
{
	void *ptr;

	ptr = execmem_pool_alloc(pool, EXECMEM_BPF, size, align, false);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	KUNIT_EXPECT_EQ(test, execmem_pool_check(pool), 0);
	return ptr;
}

static void *take(struct kunit *test, struct execmem_pool *pool, size_t size)
{
	return take_aligned(test, pool, size, 1);
}

static void give(struct kunit *test, struct execmem_pool *pool, void *ptr)
{
	execmem_free(ptr);
	KUNIT_EXPECT_EQ(test, execmem_pool_check(pool), 0);
}

static struct execmem_block *first_block(struct execmem_pool *pool)
{
	return list_first_entry(&pool->blocks, struct execmem_block, list);
}

/* === Contents ============================================================= */

KUNIT_DEFINE_ACTION_WRAPPER(kvfree_action, kvfree, const void *);

static u8 *make_buffer(struct kunit *test, size_t size)
{
	u8 *buf = kvmalloc(size, GFP_KERNEL);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	err = kunit_add_action_or_reset(test, kvfree_action, buf);
	KUNIT_ASSERT_EQ(test, err, 0);
	return buf;
}

static u8 *make_pattern(struct kunit *test, size_t size)
{
	u8 *buf = make_buffer(test, size);

	for (size_t i = 0; i < size; i++)
		buf[i] = i * 7 + i / 251 + 1;
	return buf;
}

/* A page of what free memory reads as */
static u8 *make_trap_page(struct kunit *test, struct execmem_pool *pool)
{
	u8 *page = make_buffer(test, PAGE_SIZE);

	memset(page, 0, PAGE_SIZE);
	/* Known here, so that a hook that does nothing is found out */
	if (IS_ENABLED(CONFIG_X86) && pool->range->trap)
		memset(page, 0xcc, PAGE_SIZE);
	else if (pool->range->trap)
		pool->range->trap(page, PAGE_SIZE);
	return page;
}

/* Nobody but this test may read free memory, so KASAN must not see it. */
static bool is_trap(const u8 *start, size_t size, const u8 *trap_page)
{
	while (size) {
		size_t offset = offset_in_page(start);
		size_t part = min3(size, PAGE_SIZE - offset, (size_t)UNIT);
		u8 copy[UNIT];

		if (copy_from_kernel_nofault(copy, start, part) ||
		    memcmp(copy, trap_page + offset, part))
			return false;
		start += part;
		size -= part;
	}
	return true;
}

static void expect_trap(struct kunit *test, struct execmem_pool *pool,
			const void *start, size_t size)
{
	KUNIT_EXPECT_TRUE(test, is_trap(start, size,
					make_trap_page(test, pool)));
}

/* I8 */
static void expect_free_is_trap(struct kunit *test, struct execmem_pool *pool)
{
	struct execmem_chunk *chunk;

	for (chunk = first_chunk(pool); chunk; chunk = next_chunk(chunk))
		if (chunk->state == EXECMEM_FREE)
			expect_trap(test, pool, (void *)chunk->start,
				    chunk->size);
}

/* === Chunks =============================================================== */

static void alloc_splits_block(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, data_range());
	void *a = take(test, pool, 2 * UNIT - 1);
	void *b = take(test, pool, 1);

	KUNIT_EXPECT_EQ(test, (unsigned long)a, first_block(pool)->start);
	KUNIT_EXPECT_PTR_EQ(test, b, a + 2 * UNIT);
	KUNIT_EXPECT_EQ(test, count_chunks(pool), 3);
	KUNIT_EXPECT_EQ(test, pool->nr_chunks, 2);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	KUNIT_EXPECT_EQ(test, pool->reserved, BLOCK);
	KUNIT_EXPECT_EQ(test, pool->used, 3 * UNIT);
	KUNIT_EXPECT_EQ(test, execmem_pool_largest_free(pool), BLOCK - 3 * UNIT);
}

static void alloc_fits_exactly(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, data_range());
	void *a = take(test, pool, BLOCK / 2);

	take(test, pool, BLOCK / 2);
	KUNIT_EXPECT_EQ(test, count_chunks(pool), 2);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	KUNIT_EXPECT_EQ(test, execmem_pool_largest_free(pool), 0);

	give(test, pool, a);
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, BLOCK / 2), a);
	KUNIT_EXPECT_EQ(test, count_chunks(pool), 2);

	take(test, pool, 1);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 2);
}

static void alloc_takes_lowest_that_fits(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, data_range());
	void *small = take(test, pool, UNIT), *big;

	take(test, pool, UNIT);
	big = take(test, pool, 3 * UNIT);
	take(test, pool, UNIT);
	give(test, pool, small);
	give(test, pool, big);

	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, 2 * UNIT), big);
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, UNIT), small);
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, UNIT), big + 2 * UNIT);
}

static void alloc_aligns(struct kunit *test)
{
	for (size_t align = 2 * UNIT; align <= BLOCK / 2; align *= 2) {
		struct execmem_pool *pool = make_pool(test, data_range());
		void *a = take(test, pool, UNIT);
		void *b = take_aligned(test, pool, UNIT, align);

		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)b, align));
		KUNIT_EXPECT_EQ(test, count_chunks(pool), 4);
		/* What alignment skipped is not lost. */
		KUNIT_EXPECT_PTR_EQ(test, take(test, pool, b - a - UNIT),
				    a + UNIT);
		KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	}
}

/* Three chunks at the start of a block that has no other room */
struct trio {
	struct execmem_pool *pool;
	void *chunk[3];
};

static struct trio make_trio(struct kunit *test)
{
	struct trio trio = { .pool = make_pool(test, data_range()) };

	for (int i = 0; i < 3; i++)
		trio.chunk[i] = take(test, trio.pool, UNIT << i);
	take(test, trio.pool, BLOCK - 7 * UNIT);
	KUNIT_ASSERT_EQ(test, count_chunks(trio.pool), 4);
	return trio;
}

static void free_merges_left(struct kunit *test)
{
	struct trio trio = make_trio(test);

	give(test, trio.pool, trio.chunk[0]);
	give(test, trio.pool, trio.chunk[1]);
	KUNIT_EXPECT_EQ(test, count_chunks(trio.pool), 3);
	KUNIT_EXPECT_EQ(test, execmem_pool_largest_free(trio.pool), 3 * UNIT);
	KUNIT_EXPECT_PTR_EQ(test, take(test, trio.pool, 3 * UNIT),
			    trio.chunk[0]);
}

static void free_merges_right(struct kunit *test)
{
	struct trio trio = make_trio(test);

	give(test, trio.pool, trio.chunk[1]);
	give(test, trio.pool, trio.chunk[0]);
	KUNIT_EXPECT_EQ(test, count_chunks(trio.pool), 3);
	KUNIT_EXPECT_EQ(test, execmem_pool_largest_free(trio.pool), 3 * UNIT);
	KUNIT_EXPECT_PTR_EQ(test, take(test, trio.pool, 3 * UNIT),
			    trio.chunk[0]);
}

static void free_merges_both_sides(struct kunit *test)
{
	struct trio trio = make_trio(test);

	give(test, trio.pool, trio.chunk[0]);
	give(test, trio.pool, trio.chunk[2]);
	KUNIT_EXPECT_EQ(test, count_chunks(trio.pool), 4);
	KUNIT_EXPECT_EQ(test, execmem_pool_largest_free(trio.pool), 4 * UNIT);

	give(test, trio.pool, trio.chunk[1]);
	KUNIT_EXPECT_EQ(test, count_chunks(trio.pool), 2);
	KUNIT_EXPECT_EQ(test, execmem_pool_largest_free(trio.pool), 7 * UNIT);
}

static void lookup_finds_live_chunks(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, data_range());
	void *a = take(test, pool, 2 * UNIT - 1);
	unsigned long start = (unsigned long)a;
	struct execmem_area area = {};

	KUNIT_EXPECT_TRUE(test, execmem_lookup(start, &area));
	KUNIT_EXPECT_TRUE(test, execmem_lookup(start + 2 * UNIT - 1, &area));
	KUNIT_EXPECT_EQ(test, area.start, start);
	KUNIT_EXPECT_EQ(test, area.size, 2 * UNIT);
	KUNIT_EXPECT_EQ(test, area.type, EXECMEM_BPF);

	KUNIT_EXPECT_FALSE(test, execmem_lookup(start - 1, &area));
	KUNIT_EXPECT_FALSE(test, execmem_lookup(start + 2 * UNIT, &area));
	KUNIT_EXPECT_FALSE(test, execmem_lookup((unsigned long)pool, &area));
	KUNIT_EXPECT_FALSE(test, execmem_lookup(0, &area));

	execmem_seal(a);
	KUNIT_EXPECT_TRUE(test, execmem_lookup(start, &area));
	take(test, pool, UNIT);
	give(test, pool, a);
	KUNIT_EXPECT_FALSE(test, execmem_lookup(start, &area));
}

/* As an NMI that hits somebody who holds the lock */
static void lookup_takes_no_lock(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, data_range());
	unsigned long start = (unsigned long)take(test, pool, UNIT);
	struct execmem_area area = {};
	bool found;

	spin_lock(&pool->lock);
	found = execmem_lookup(start, &area);
	spin_unlock(&pool->lock);
	KUNIT_EXPECT_TRUE(test, found);
	KUNIT_EXPECT_EQ(test, area.start, start);
}

#ifdef CONFIG_X86_LOCAL_APIC
/* What the handler asks about, and what it found */
static struct {
	struct execmem_pool *pool;
	unsigned long addr;
	size_t size;
	bool asking;
	atomic_t right;
	atomic_t wrong;
} nmi;

static int lookup_in_nmi(unsigned int cmd, struct pt_regs *regs)
{
	struct execmem_area area;

	if (!READ_ONCE(nmi.asking))
		return NMI_DONE;
	if (execmem_lookup(nmi.addr + nmi.size / 2, &area) &&
	    area.start == nmi.addr && area.size == nmi.size)
		atomic_inc(&nmi.right);
	else
		atomic_inc(&nmi.wrong);
	return NMI_HANDLED;
}

/*
 * Keep one CPU in the allocator, and often under its lock: chunks next to the one
 * that is asked for, and now and then another block.
 */
static int nmi_churn(void *unused)
{
	for (unsigned int nr = 0; !kthread_should_stop(); nr++) {
		size_t size = nr % 256 ? UNIT : BLOCK;
		void *chunk = execmem_pool_alloc(nmi.pool, EXECMEM_BPF, size, 1,
						 false);

		execmem_free(chunk);
		cond_resched();
	}
	return 0;
}

static void send_nmis(unsigned int cpu)
{
	for (int nr = 1; nr <= 2000; nr++) {
		unsigned long end = jiffies + HZ;

		__apic_send_IPI_mask(cpumask_of(cpu), NMI_VECTOR);
		while (atomic_read(&nmi.right) + atomic_read(&nmi.wrong) < nr &&
		       time_before(jiffies, end))
			cpu_relax();
	}
}

static void lookup_works_in_nmi(struct kunit *test)
{
	unsigned int cpu = cpumask_last(cpu_online_mask);
	struct task_struct *task;
	int err;

	nmi.pool = make_pool(test, data_range());
	take(test, nmi.pool, UNIT);
	nmi.size = 5 * UNIT;
	nmi.addr = (unsigned long)take(test, nmi.pool, nmi.size);
	atomic_set(&nmi.right, 0);
	atomic_set(&nmi.wrong, 0);
	err = register_nmi_handler(NMI_LOCAL, lookup_in_nmi, 0, "execmem_test");
	KUNIT_ASSERT_EQ(test, err, 0);
	task = kthread_run_on_cpu(nmi_churn, NULL, cpu, "execmem_nmi");
	if (!IS_ERR(task)) {
		WRITE_ONCE(nmi.asking, true);
		send_nmis(cpu);
		WRITE_ONCE(nmi.asking, false);
		kthread_stop(task);
	}
	unregister_nmi_handler(NMI_LOCAL, "execmem_test");

	KUNIT_EXPECT_EQ(test, atomic_read(&nmi.wrong), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&nmi.right), 2000);
}
#else
static void lookup_works_in_nmi(struct kunit *test)
{
	kunit_skip(test, "cannot send NMIs");
}
#endif

/* What Documentation/mm/execmem.rst says of functions of vmalloc */
static void vmalloc_knows_blocks(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, text_range());
	u8 *pattern = make_pattern(test, 2 * PAGE_SIZE);
	void *a = take(test, pool, 2 * PAGE_SIZE);
	struct vm_struct *area = find_vm_area(a);
	u8 *alias;

	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_EXPECT_EQ(test, (unsigned long)area->addr,
			first_block(pool)->start);
	KUNIT_EXPECT_EQ(test, (unsigned long)get_vm_area_size(area),
			first_block(pool)->size);
	KUNIT_EXPECT_TRUE(test, is_vmalloc_or_module_addr(a));

	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern, 2 * PAGE_SIZE), 0);
	for (size_t offset = 0; offset < 2 * PAGE_SIZE; offset += PAGE_SIZE) {
		alias = page_address(vmalloc_to_page(a + offset));
		alias += offset_in_page(a + offset);
		KUNIT_EXPECT_EQ(test, *alias, pattern[offset]);
		KUNIT_EXPECT_EQ(test, vmalloc_to_pfn(a + offset),
				page_to_pfn(virt_to_page(alias)));
	}
}

/* === Blocks =============================================================== */

/* Addresses that are free and have room for @size bytes and a guard page */
static struct vm_struct *reserve_window(struct kunit *test, size_t size)
{
	struct vm_struct *area = get_vm_area(size, VM_ALLOC);

	KUNIT_ASSERT_NOT_NULL(test, area);
	return area;
}

static void free_window(struct vm_struct *area, unsigned long *start,
			unsigned long *end)
{
	*start = (unsigned long)area->addr;
	*end = *start + area->size;
	free_vm_area(area);
}

static void alloc_uses_second_range(struct kunit *test)
{
	struct execmem_range range = data_range();
	struct vm_struct *first = reserve_window(test, BLOCK);
	struct vm_struct *second = reserve_window(test, BLOCK);
	struct execmem_pool *pool;
	void *a, *b;

	free_window(first, &range.start, &range.end);
	free_window(second, &range.fallback_start, &range.fallback_end);
	pool = make_pool(test, range);

	a = take(test, pool, BLOCK);
	b = take(test, pool, BLOCK);
	KUNIT_EXPECT_EQ(test, (unsigned long)a, range.start);
	KUNIT_EXPECT_EQ(test, (unsigned long)b, range.fallback_start);
	KUNIT_EXPECT_EQ(test, execmem_fallbacks(&pool->stats), 0);
	KUNIT_EXPECT_EQ(test, pool->stats.failures, 0);

	KUNIT_EXPECT_NULL(test, execmem_pool_alloc(pool, EXECMEM_BPF, 1, 1,
						   false));
	KUNIT_EXPECT_EQ(test, pool->stats.failures, 1);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 2);
}

static void alloc_larger_than_block(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, data_range());
	void *a = take(test, pool, 2 * BLOCK + 1);
	void *b = take(test, pool, BLOCK - UNIT);

	KUNIT_EXPECT_PTR_EQ(test, b, a + 2 * BLOCK + UNIT);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	KUNIT_EXPECT_EQ(test, pool->reserved, 3 * BLOCK);
	KUNIT_EXPECT_EQ(test, execmem_fallbacks(&pool->stats), 0);
	give(test, pool, a);
	give(test, pool, b);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 0);
}

/* No room for a block: a smaller one must do, and is not kept. */
static void alloc_falls_back_to_exact_size(struct kunit *test)
{
	struct execmem_range range = data_range();
	struct execmem_pool *pool;
	void *a, *b;

	free_window(reserve_window(test, 3 * PAGE_SIZE), &range.start,
		    &range.end);
	pool = make_pool(test, range);

	a = take(test, pool, PAGE_SIZE + 1);
	KUNIT_EXPECT_EQ(test, pool->reserved, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, execmem_fallbacks(&pool->stats), 1);
	b = take(test, pool, UNIT);
	KUNIT_EXPECT_EQ(test, pool->stats.grown, 1);

	give(test, pool, a);
	give(test, pool, b);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 0);
	KUNIT_EXPECT_EQ(test, pool->stats.failures, 0);
}

/* I6 */
static void free_keeps_one_spare(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, data_range());
	void *a = take(test, pool, BLOCK);
	void *b = take(test, pool, BLOCK);
	void *c = take(test, pool, BLOCK);

	give(test, pool, a);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 3);
	KUNIT_EXPECT_NOT_NULL(test, pool->spare);
	give(test, pool, b);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 2);

	b = take(test, pool, UNIT);
	KUNIT_EXPECT_EQ(test, pool->stats.grown, 3);
	KUNIT_EXPECT_NULL(test, pool->spare);
	give(test, pool, b);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 2);
	KUNIT_EXPECT_NOT_NULL(test, pool->spare);

	/* A pool that is not in use keeps nothing. */
	give(test, pool, c);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 0);
	KUNIT_EXPECT_NULL(test, pool->spare);
}

static void drain_gives_spare_back(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, data_range());
	void *a = take(test, pool, BLOCK);

	take(test, pool, BLOCK);
	give(test, pool, a);
	KUNIT_ASSERT_EQ(test, pool->nr_blocks, 2);

	execmem_pool_drain(pool);
	KUNIT_EXPECT_EQ(test, execmem_pool_check(pool), 0);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	KUNIT_EXPECT_EQ(test, pool->reserved, BLOCK);
	execmem_pool_drain(pool);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
}

static void large_spare_is_given_back(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, data_range());
	void *large = take(test, pool, 4 * BLOCK);

	take(test, pool, BLOCK);
	give(test, pool, large);
	KUNIT_EXPECT_LE(test, pool->reserved, 2 * BLOCK);
}

static unsigned long offset_of_first(struct kunit *test,
				     struct execmem_range range)
{
	struct execmem_pool *pool = make_pool(test, range);

	return (unsigned long)take(test, pool, UNIT) - first_block(pool)->start;
}

static void randomized_chunks_differ(struct kunit *test)
{
	struct execmem_range range = data_range();
	unsigned int same = 0;
	unsigned long first;

	range.flags |= EXECMEM_RANDOMIZE;
	first = offset_of_first(test, range);
	KUNIT_EXPECT_LE(test, first, BLOCK / 4);
	/* One in 250 is the same by chance, eight in a row are not. */
	for (int i = 0; i < 8; i++)
		same += offset_of_first(test, range) == first;
	KUNIT_EXPECT_LT(test, same, 8);
}

static void unshared_type_has_own_pages(struct kunit *test)
{
	struct execmem_range range = data_range();
	struct execmem_pool *pool;
	void *a, *b;

	range.alignment = MODULE_ALIGN;
	range.granularity = 0;
	pool = make_pool(test, range);

	a = take(test, pool, 1);
	b = take(test, pool, PAGE_SIZE + 1);
	KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(a));
	KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(b));
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 2);
	KUNIT_EXPECT_EQ(test, pool->used, 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, pool->reserved, 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, execmem_fill(b + PAGE_SIZE, "ab", 2), 0);
	KUNIT_EXPECT_MEMEQ(test, b + PAGE_SIZE, "ab", 2);

	give(test, pool, a);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	give(test, pool, b);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 0);
}

KUNIT_DEFINE_ACTION_WRAPPER(free_action, execmem_free, void *);

static void *take_type(struct kunit *test, enum execmem_type type, size_t size)
{
	void *ptr = execmem_alloc(type, size);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, ptr);
	err = kunit_add_action_or_reset(test, free_action, ptr);
	KUNIT_ASSERT_EQ(test, err, 0);
	return ptr;
}

static void merged_type_shares_pool(struct kunit *test)
{
	struct execmem_pool *pool = execmem_pool_of(EXECMEM_BPF);
	struct execmem_area area = {};
	void *ptr = take_type(test, EXECMEM_BPF_CLASSIC, UNIT);

	KUNIT_EXPECT_PTR_EQ(test, execmem_pool_of(EXECMEM_BPF_CLASSIC), pool);
	KUNIT_EXPECT_TRUE(test, execmem_lookup((unsigned long)ptr, &area));
	KUNIT_EXPECT_EQ(test, area.type, pool->type);
	KUNIT_EXPECT_GE(test, pool->nr_chunks, 1);
	KUNIT_EXPECT_EQ(test, execmem_pool_check(pool), 0);
}

static void alloc_aligns_for_types(struct kunit *test)
{
	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		void *ptr = execmem_alloc_aligned(type, UNIT, 1024);

		KUNIT_EXPECT_NOT_NULL(test, ptr);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)ptr, 1024));
		execmem_free(ptr);
	}
	KUNIT_EXPECT_NULL(test, execmem_alloc_aligned(EXECMEM_BPF, UNIT, 0));
	KUNIT_EXPECT_NULL(test, execmem_alloc_aligned(EXECMEM_BPF, UNIT, 96));
}

static void every_type_has_memory(struct kunit *test)
{
	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct execmem_area area = {};
		void *ptr = take_type(test, type, UNIT);

		KUNIT_EXPECT_TRUE(test, execmem_lookup((unsigned long)ptr,
						       &area));
		KUNIT_EXPECT_EQ(test, area.type, execmem_pool_of(type)->type);
	}
}

/* Whoever patches text may need memory for it. */
static void alloc_works_under_text_mutex(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, text_range());
	void *ptr;

	mutex_lock(&text_mutex);
	ptr = execmem_pool_alloc(pool, EXECMEM_BPF, UNIT, 1, false);
	mutex_unlock(&text_mutex);
	KUNIT_EXPECT_NOT_NULL(test, ptr);
}

/* === Bad input ============================================================ */

static void alloc_refuses_bad_input(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, data_range());
	const size_t sizes[] = {
		0, SIZE_MAX, SIZE_MAX - UNIT, SIZE_MAX - PAGE_SIZE,
		SIZE_MAX / 2 + 1, VMALLOC_END - VMALLOC_START + 1,
	};

	for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
		KUNIT_EXPECT_NULL(test, execmem_alloc(EXECMEM_BPF, sizes[i]));
		KUNIT_EXPECT_NULL(test, execmem_alloc(EXECMEM_DEFAULT,
						      sizes[i]));
		KUNIT_EXPECT_NULL(test, execmem_pool_alloc(pool, EXECMEM_BPF,
							   sizes[i], 1, false));
	}
	KUNIT_EXPECT_NULL(test, execmem_alloc(EXECMEM_TYPE_MAX, UNIT));
	KUNIT_EXPECT_NULL(test, execmem_alloc((enum execmem_type)-1, UNIT));
	KUNIT_EXPECT_NULL(test, execmem_alloc((enum execmem_type)INT_MAX, UNIT));
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 0);
	/* All but the first, which is a mistake rather than a wish */
	KUNIT_EXPECT_EQ(test, pool->stats.failures, ARRAY_SIZE(sizes) - 1);
}

static void expect_no_fill(struct kunit *test, void *dst, size_t len)
{
	static const u8 src[4 * UNIT] = { 1, 2, 3 };

	KUNIT_EXPECT_EQ(test, execmem_fill(dst, src, len), -EINVAL);
	expect_report(test);
}

/* As memcpy(), but KASAN does not see what is read. */
static void peek(struct kunit *test, void *dst, const void *src, size_t size)
{
	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(dst, src, size), 0);
}

static void fill_refuses_bad_input(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, text_range());
	void *freed = take(test, pool, UNIT);
	void *a = take(test, pool, 2 * UNIT);
	u8 *before = make_buffer(test, 5 * UNIT);
	u8 *after = make_buffer(test, 5 * UNIT);
	u8 stack[UNIT] = {};

	take(test, pool, UNIT);
	give(test, pool, freed);
	peek(test, before, freed, 5 * UNIT);

	/* Across the start and the end */
	expect_no_fill(test, a - 1, 2);
	expect_no_fill(test, a + 2 * UNIT - 1, 2);
	expect_no_fill(test, a, 2 * UNIT + 1);
	expect_no_fill(test, a + 1, SIZE_MAX);
	expect_no_fill(test, a, SIZE_MAX);
	/* On freed and on free memory */
	expect_no_fill(test, freed, UNIT);
	expect_no_fill(test, freed, 0);
	expect_no_fill(test, a + 3 * UNIT, 1);
	peek(test, after, freed, 5 * UNIT);
	KUNIT_EXPECT_MEMEQ(test, after, before, 5 * UNIT);

	/* Where the allocator knows nothing */
	memcpy(before, stack, UNIT);
	expect_no_fill(test, stack, UNIT);
	KUNIT_EXPECT_MEMEQ(test, stack, before, UNIT);
	expect_no_fill(test, pool, 1);
	expect_no_fill(test, NULL, 1);
	expect_no_fill(test, NULL, 0);
	KUNIT_EXPECT_EQ(test, pool->stats.fills, 0);

	KUNIT_EXPECT_EQ(test, execmem_fill(a, stack, 0), 0);
}

static void seal_ends_filling(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, text_range());
	void *a = take(test, pool, UNIT);
	u8 *pattern = make_pattern(test, 2 * UNIT);

	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern, UNIT), 0);
	execmem_seal(a);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern + UNIT, 4), -EINVAL);
	expect_report(test);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern + UNIT, 0), -EINVAL);
	expect_report(test);
	KUNIT_EXPECT_MEMEQ(test, a, pattern, UNIT);
	KUNIT_EXPECT_EQ(test, pool->stats.fills, 1);

	/* The next owner starts afresh. */
	take(test, pool, UNIT);
	give(test, pool, a);
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, UNIT), a);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern + UNIT, UNIT), 0);
	KUNIT_EXPECT_MEMEQ(test, a, pattern + UNIT, UNIT);
}

static void seal_refuses_bad_input(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, data_range());
	void *freed = take(test, pool, UNIT);
	void *a = take(test, pool, 2 * UNIT);

	give(test, pool, freed);
	execmem_seal(freed);
	expect_report(test);
	execmem_seal(a + 1);
	expect_report(test);
	execmem_seal(a + UNIT);
	expect_report(test);
	execmem_seal(pool);
	expect_report(test);
	execmem_seal(NULL);
	expect_report(test);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, "ab", 2), 0);
}

static void expect_no_free(struct kunit *test, struct execmem_pool *pool,
			   void *ptr)
{
	unsigned long frees = pool->stats.frees;
	size_t used = pool->used;

	give(test, pool, ptr);
	expect_report(test);
	KUNIT_EXPECT_EQ(test, pool->stats.frees, frees);
	KUNIT_EXPECT_EQ(test, pool->used, used);
}

static void free_refuses_bad_input(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, text_range());
	void *a = take(test, pool, 2 * UNIT);
	void *b = take(test, pool, UNIT);
	u8 *pattern = make_pattern(test, 2 * UNIT);

	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern, 2 * UNIT), 0);
	execmem_free(NULL);
	KUNIT_EXPECT_EQ(test, execmem_test_reports, seen_reports);
	expect_no_free(test, pool, pattern);
	expect_no_free(test, pool, a + 1);
	expect_no_free(test, pool, a + UNIT);
	KUNIT_EXPECT_MEMEQ(test, a, pattern, 2 * UNIT);

	give(test, pool, b);
	expect_no_free(test, pool, b);
	/* Also when the block is gone */
	give(test, pool, a);
	expect_no_free(test, pool, a);
}

/* === Contents, tests ====================================================== */

struct fill_case {
	const char *name;
	size_t offset;
	size_t len;
};

/* Crosses a boundary between blocks of 2 MB and any page size */
#define FILL_SIZE SZ_4M

static const struct fill_case fill_cases[] = {
	{ "first byte",		0,			1 },
	{ "last byte",		FILL_SIZE - 1,		1 },
	{ "first word",		0,			4 },
	{ "last word",		FILL_SIZE - 4,		4 },
	{ "up to page",		PAGE_SIZE - 8,		8 },
	{ "from page",		PAGE_SIZE,		8 },
	{ "across page",	PAGE_SIZE - 1,		2 },
	{ "one page",		PAGE_SIZE,		PAGE_SIZE },
	{ "odd page",		PAGE_SIZE + 4,		PAGE_SIZE },
	{ "two pages",		2 * PAGE_SIZE,		2 * PAGE_SIZE },
	{ "two odd pages",	PAGE_SIZE - 4,		2 * PAGE_SIZE },
	{ "three pages",	PAGE_SIZE - 4,		PAGE_SIZE + 8 },
	{ "seven pages",	3 * PAGE_SIZE - 5,	6 * PAGE_SIZE + 7 },
	{ "up to 2 MB",		SZ_2M - 16,		16 },
	{ "from 2 MB",		SZ_2M,			16 },
	{ "across 2 MB",	SZ_2M - 3,		7 },
	{ "pages across 2 MB",	SZ_2M - PAGE_SIZE - 8,	2 * PAGE_SIZE + 16 },
	{ "everything",		0,			FILL_SIZE },
};

KUNIT_ARRAY_PARAM_DESC(fill, fill_cases, name);

static void fill_writes_only_what_it_should(struct kunit *test)
{
	const struct fill_case *c = test->param_value;
	struct execmem_pool *pool = make_pool(test, text_range());
	u8 *pattern = make_pattern(test, c->len);
	size_t end = c->offset + c->len;
	u8 *a;

	/* Elsewhere instructions are written as a whole. */
	if (!IS_ENABLED(CONFIG_X86) && has_shared_text() &&
	    !IS_ALIGNED(c->offset | c->len, 4))
		kunit_skip(test, "not a multiple of an instruction");

	a = take(test, pool, FILL_SIZE);
	KUNIT_EXPECT_EQ(test, execmem_fill(a + c->offset, pattern, c->len), 0);
	KUNIT_EXPECT_EQ(test, memcmp(a + c->offset, pattern, c->len), 0);
	expect_trap(test, pool, a, c->offset);
	expect_trap(test, pool, a + end, FILL_SIZE - end);
	KUNIT_EXPECT_EQ(test, pool->stats.fills, 1);
}

static void new_memory_traps(struct kunit *test)
{
	struct execmem_pool *pool = make_pool(test, text_range());
	u8 *a = take(test, pool, UNIT);

	expect_trap(test, pool, a, UNIT);
	expect_free_is_trap(test, pool);
	expect_trap(test, pool, (void *)first_block(pool)->start,
		    first_block(pool)->size);
}

static void expect_free_invalidates(struct kunit *test,
				    struct execmem_range range, size_t size)
{
	struct execmem_pool *pool = make_pool(test, range);
	void *left = take(test, pool, UNIT);
	void *a = take(test, pool, size);
	void *right = take(test, pool, UNIT);
	u8 *pattern = make_pattern(test, size);

	KUNIT_EXPECT_EQ(test, execmem_fill(left, pattern, UNIT), 0);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern, size), 0);
	KUNIT_EXPECT_EQ(test, execmem_fill(right, pattern, UNIT), 0);
	execmem_seal(a);
	give(test, pool, a);

	expect_trap(test, pool, a, size);
	expect_free_is_trap(test, pool);
	KUNIT_EXPECT_MEMEQ(test, left, pattern, UNIT);
	KUNIT_EXPECT_MEMEQ(test, right, pattern, UNIT);
}

static void free_invalidates(struct kunit *test)
{
	expect_free_invalidates(test, text_range(), UNIT);
	expect_free_invalidates(test, text_range(), 5 * PAGE_SIZE);
	expect_free_invalidates(test, data_range(), UNIT);
	expect_free_invalidates(test, data_range(), 5 * PAGE_SIZE);
}

static int refuse_fill(void *dst, const void *src, size_t len)
{
	return -EIO;
}

/* Reproducer: what a dispatcher did not use was zero, which is an instruction. */
static void dispatcher_traps_behind_its_code(struct kunit *test)
{
	size_t half = PAGE_SIZE / 2, tail = half - 64;
	void *image, *buf;
	s64 func;

	if (!IS_ENABLED(CONFIG_BPF_JIT) || !arch_supports_bpf_dispatcher())
		kunit_skip(test, "this architecture has no BPF dispatchers");
	buf = kunit_kzalloc(test, half, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, buf);
	image = execmem_alloc(EXECMEM_BPF, PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, image);

	func = (unsigned long)image;
	KUNIT_EXPECT_EQ(test, 0, arch_prepare_bpf_dispatcher(image, buf, &func, 1));
	KUNIT_EXPECT_MEMNEQ(test, buf, image, 8);
	KUNIT_EXPECT_MEMEQ(test, buf + tail, image + tail, 64);
	execmem_free(image);
}

static void fill_returns_error_of_hook(struct kunit *test)
{
	struct execmem_range range = data_range();
	struct execmem_pool *pool;
	void *a;

	range.fill = refuse_fill;
	pool = make_pool(test, range);
	a = take(test, pool, UNIT);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, "ab", 2), -EIO);
	KUNIT_EXPECT_EQ(test, pool->stats.fills, 0);
	/* Not pinned any more */
	give(test, pool, a);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 0);
}

static bool refuse_to_invalidate;

static int refuse_invalidate(void *dst, size_t len)
{
	if (refuse_to_invalidate)
		return -EIO;
	memset(dst, 0, len);
	return 0;
}

static void free_leaks_what_it_cannot_invalidate(struct kunit *test)
{
	struct execmem_range range = data_range();
	struct execmem_pool *pool;
	void *a;

	range.invalidate = refuse_invalidate;
	refuse_to_invalidate = true;
	pool = make_pool(test, range);
	a = take(test, pool, UNIT);
	execmem_fill(a, "ab", 2);
	give(test, pool, a);
	expect_report(test);

	KUNIT_EXPECT_EQ(test, pool->used, UNIT);
	KUNIT_EXPECT_EQ(test, pool->stats.frees, 0);
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, UNIT), a + UNIT);
	expect_no_free(test, pool, a);

	/* Undo the leak, so that the pool can go away. */
	refuse_to_invalidate = false;
	spin_lock(&pool->lock);
	first_in_use(pool)->state = EXECMEM_OPEN;
	execmem_mark_live(first_in_use(pool));
	spin_unlock(&pool->lock);
}

/* === Fill and free at the same time ======================================= */

static struct {
	struct execmem_pool *pool;
	void *ptr;
	int depth;
	void *taken[3];
	size_t used[3];
	int late_fill;
} race;

static void note_race(int when)
{
	race.used[when] = race.pool->used;
	race.taken[when] = execmem_pool_alloc(race.pool, EXECMEM_BPF, UNIT, 1,
					      false);
}

/* Fills once more while it fills, and frees in there. */
static int fill_and_free(void *dst, const void *src, size_t len)
{
	if (race.depth++) {
		execmem_free(race.ptr);
		note_race(0);
	} else {
		execmem_fill(dst + 1, src, len);
		note_race(1);
		race.late_fill = execmem_fill(dst, src, len);
	}
	memcpy(dst, src, len);
	return 0;
}

static void free_waits_for_fills(struct kunit *test)
{
	struct execmem_range range = data_range();

	range.fill = fill_and_free;
	memset(&race, 0, sizeof(race));
	race.pool = make_pool(test, range);
	race.ptr = take(test, race.pool, UNIT);
	KUNIT_EXPECT_EQ(test, execmem_fill(race.ptr, "abc", 3), 0);
	note_race(2);

	/* A freed chunk cannot be filled, */
	KUNIT_EXPECT_EQ(test, race.late_fill, -EINVAL);
	expect_report(test);
	/* stays in use until nobody writes to it, */
	KUNIT_EXPECT_EQ(test, race.used[0], UNIT);
	KUNIT_EXPECT_EQ(test, race.used[1], 2 * UNIT);
	KUNIT_EXPECT_PTR_NE(test, race.taken[0], race.ptr);
	KUNIT_EXPECT_PTR_NE(test, race.taken[1], race.ptr);
	/* and then is overwritten and can be reused. */
	KUNIT_EXPECT_EQ(test, race.used[2], 2 * UNIT);
	KUNIT_EXPECT_PTR_EQ(test, race.taken[2], race.ptr);
	expect_trap(test, race.pool, race.ptr, UNIT);
	KUNIT_EXPECT_EQ(test, race.pool->stats.frees, 1);
}

#define STRESS_THREADS	4
#define STRESS_ROUNDS	200
#define STRESS_CHUNKS	8

struct stress {
	struct execmem_pool *pool;
	const u8 *trap_page;
	atomic_t errors;
	atomic_t running;
	struct completion done;
};

/* Allocate, write and check one chunk. */
static void *stress_take(struct stress *stress, u8 value, size_t size)
{
	u8 *ptr = execmem_pool_alloc(stress->pool, EXECMEM_BPF, size, 1, true);
	u8 buf[2 * UNIT];

	memset(buf, value, sizeof(buf));
	if (!ptr || !is_trap(ptr, size, stress->trap_page) ||
	    execmem_fill(ptr, buf, sizeof(buf)) ||
	    memcmp(ptr, buf, sizeof(buf)))
		atomic_inc(&stress->errors);
	return ptr;
}

/* Free a chunk that nobody else can have written to. */
static void stress_give(struct stress *stress, u8 value, u8 *ptr)
{
	for (int i = 0; ptr && i < 2 * UNIT; i++)
		if (ptr[i] != value)
			atomic_inc(&stress->errors);
	execmem_free(ptr);
}

static int stress_thread(void *arg)
{
	u8 *chunk[STRESS_CHUNKS] = {}, value[STRESS_CHUNKS] = {};
	struct stress *stress = arg;

	for (int round = 0; round < STRESS_ROUNDS + STRESS_CHUNKS; round++) {
		int i = round % STRESS_CHUNKS;

		stress_give(stress, value[i], chunk[i]);
		value[i] = get_random_u8();
		chunk[i] = round >= STRESS_ROUNDS ? NULL :
			   stress_take(stress, value[i], 2 * UNIT +
				       get_random_u32_below(BLOCK / 4));
		cond_resched();
	}
	if (atomic_dec_and_test(&stress->running))
		complete(&stress->done);
	return 0;
}

static void threads_do_not_disturb_each_other(struct kunit *test)
{
	struct stress stress = { .pool = make_pool(test, text_range()) };

	stress.trap_page = make_trap_page(test, stress.pool);
	init_completion(&stress.done);
	atomic_set(&stress.running, STRESS_THREADS + 1);
	for (int i = 0; i < STRESS_THREADS; i++) {
		if (IS_ERR(kthread_run(stress_thread, &stress, "execmem/%d", i)))
			atomic_dec(&stress.running);
	}
	/* One was counted for this function, so that nobody completes too early. */
	if (!atomic_dec_and_test(&stress.running))
		wait_for_completion(&stress.done);

	KUNIT_EXPECT_EQ(test, atomic_read(&stress.errors), 0);
	KUNIT_EXPECT_GT(test, stress.pool->stats.allocs, 0);
	KUNIT_EXPECT_EQ(test, stress.pool->used, 0);
	KUNIT_EXPECT_EQ(test, execmem_pool_check(stress.pool), 0);
}

/* === Predictor flushes ==================================================== */

static struct {
	unsigned int nr;
	void *free_meanwhile;
	void (*real)(void);
	bool was_enabled;
} flush;

static void count_flush(void)
{
	void *ptr = flush.free_meanwhile;

	/* Others that load classic programs now rely on what was there before. */
	if (!kunit_get_current_test()) {
		if (flush.real)
			flush.real();
		return;
	}
	flush.nr++;
	flush.free_meanwhile = NULL;
	execmem_free(ptr);
}

static void restore_flush(void *unused)
{
	static_call_update(execmem_pred_flush, flush.real);
	if (flush.was_enabled)
		static_branch_enable(&execmem_pred_flush_enabled);
	else
		static_branch_disable(&execmem_pred_flush_enabled);
	/* Flushes that were only counted left stale predictions. */
	static_call_cond(execmem_pred_flush)();
}

static struct execmem_pool *make_flush_pool(struct kunit *test)
{
	int err;

	flush.nr = 0;
	flush.free_meanwhile = NULL;
	flush.real = static_call_query(execmem_pred_flush);
	flush.was_enabled = static_key_enabled(&execmem_pred_flush_enabled);
	err = kunit_add_action(test, restore_flush, NULL);
	KUNIT_ASSERT_EQ(test, err, 0);
	static_call_update(execmem_pred_flush, count_flush);
	static_branch_enable(&execmem_pred_flush_enabled);
	return make_pool(test, data_range());
}

/* Allocate for less trusted code, and count the flushes that causes. */
static void *take_flushed(struct kunit *test, struct execmem_pool *pool,
			  size_t size, unsigned int flushes)
{
	unsigned long stat = pool->stats.pred_flushes;
	void *ptr;

	flush.nr = 0;
	ptr = execmem_pool_alloc(pool, EXECMEM_BPF_CLASSIC, size, 1, true);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	KUNIT_EXPECT_EQ(test, flush.nr, flushes);
	KUNIT_EXPECT_EQ(test, pool->stats.pred_flushes, stat + flushes);
	return ptr;
}

static void flush_for_new_block(struct kunit *test)
{
	struct execmem_pool *pool = make_flush_pool(test);
	void *a = take_flushed(test, pool, UNIT, 1);

	/* The rest of the block is clean now. */
	take_flushed(test, pool, UNIT, 0);
	take_flushed(test, pool, BLOCK - 2 * UNIT, 0);
	take_flushed(test, pool, UNIT, 1);
	give(test, pool, a);
	take_flushed(test, pool, BLOCK, 1);
}

static void flush_after_free_by_other_type(struct kunit *test)
{
	struct execmem_pool *pool = make_flush_pool(test);
	void *a = take(test, pool, 2 * UNIT), *b;

	take_flushed(test, pool, UNIT, 1);
	give(test, pool, a);
	b = take_flushed(test, pool, UNIT, 1);
	KUNIT_EXPECT_PTR_EQ(test, b, a);
	/* What was flushed along need not be flushed again. */
	b = take_flushed(test, pool, UNIT, 0);
	KUNIT_EXPECT_PTR_EQ(test, b, a + UNIT);

	/* Trusted code comes and goes without a flush. */
	give(test, pool, a);
	flush.nr = 0;
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, UNIT), a);
	give(test, pool, a);
	KUNIT_EXPECT_EQ(test, flush.nr, 0);
	KUNIT_EXPECT_PTR_EQ(test, take_flushed(test, pool, UNIT, 1), a);
}

/* The flush that a new block needs makes all free memory clean. */
static void flush_elsewhere(struct kunit *test, struct execmem_pool *pool)
{
	take_flushed(test, pool, BLOCK, 1);
}

static void no_flush_for_clean_memory(struct kunit *test)
{
	struct execmem_pool *pool = make_flush_pool(test);
	struct execmem_pool *other = make_pool(test, data_range());
	void *a = take(test, pool, UNIT), *b;

	take(test, pool, UNIT);
	b = take(test, other, UNIT);
	take(test, other, UNIT);
	give(test, pool, a);
	give(test, other, b);

	/* One flush is enough for all that was freed before, in any pool. */
	take_flushed(test, pool, BLOCK, 1);
	KUNIT_EXPECT_PTR_EQ(test, take_flushed(test, pool, UNIT, 0), a);
	KUNIT_EXPECT_PTR_EQ(test, take_flushed(test, other, UNIT, 0), b);

	/* A later free concerns nobody else. */
	give(test, other, b);
	take_flushed(test, pool, UNIT, 0);
	take_flushed(test, other, UNIT, 1);
}

static void merge_keeps_dirt(struct kunit *test)
{
	struct execmem_pool *pool = make_flush_pool(test);
	void *a = take(test, pool, UNIT);
	void *b = take(test, pool, UNIT);
	void *c = take(test, pool, UNIT);

	take(test, pool, BLOCK - 3 * UNIT);

	/* To the right of clean memory */
	give(test, pool, a);
	flush_elsewhere(test, pool);
	give(test, pool, b);
	KUNIT_EXPECT_PTR_EQ(test, take_flushed(test, pool, 2 * UNIT, 1), a);

	/* To the left of clean memory */
	give(test, pool, c);
	flush_elsewhere(test, pool);
	give(test, pool, a);
	KUNIT_EXPECT_PTR_EQ(test, take_flushed(test, pool, 3 * UNIT, 1), a);
}

/* What is freed while the flush is on its way may be used after it passed. */
static void flush_covers_only_what_was_free(struct kunit *test)
{
	struct execmem_pool *pool = make_flush_pool(test);
	void *a = take(test, pool, UNIT), *b;

	flush.free_meanwhile = a;
	b = take_flushed(test, pool, UNIT, 1);
	KUNIT_EXPECT_PTR_EQ(test, b, a + UNIT);
	KUNIT_EXPECT_NULL(test, flush.free_meanwhile);
	KUNIT_EXPECT_PTR_EQ(test, take_flushed(test, pool, UNIT, 1), a);
}

static void no_flush_unless_enabled(struct kunit *test)
{
	struct execmem_pool *pool = make_flush_pool(test);
	void *a;

	static_branch_disable(&execmem_pred_flush_enabled);
	a = take_flushed(test, pool, UNIT, 0);
	take_flushed(test, pool, UNIT, 0);
	give(test, pool, a);
	static_branch_enable(&execmem_pred_flush_enabled);
	take_flushed(test, pool, UNIT, 1);
}

static void flush_follows_type(struct kunit *test)
{
	void *a;

	make_flush_pool(test);
	/* Leave a chunk behind that is surely dirty. */
	execmem_free(execmem_alloc(EXECMEM_BPF, UNIT));
	flush.nr = 0;
	a = take_type(test, EXECMEM_BPF, UNIT);
	KUNIT_EXPECT_EQ(test, flush.nr, 0);
	kunit_release_action(test, free_action, a);
	take_type(test, EXECMEM_BPF_CLASSIC, UNIT);
	KUNIT_EXPECT_EQ(test, flush.nr, 1);
}

/* === Page tables ========================================================== */

/* How a range of addresses is mapped: bytes with each property */
struct mapping {
	size_t present;
	size_t huge;
	size_t writable;
	size_t exec;
	size_t wx;
};

/* Pages that nobody may be able to write to, by page frame number */
struct guard {
	unsigned long *pfns;
	unsigned long end;
	unsigned long found;
	unsigned long where;
};

struct leaf {
	unsigned long start;
	unsigned long end;
	unsigned long pfn;
	bool huge;
	bool writable;
	bool exec;
};

struct leaf_walk {
	void (*leaf)(const struct leaf *leaf, void *arg);
	void *arg;
};

#if defined(CONFIG_X86_64) && !defined(CONFIG_UML)
static void note_leaf(struct mm_walk *walk, unsigned long start,
		      unsigned long end, unsigned long pfn, bool huge, u64 flags)
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

static int note_pte(pte_t *pte, unsigned long start, unsigned long end,
		    struct mm_walk *walk)
{
	pte_t val = ptep_get_lockless(pte);

	note_leaf(walk, start, end, pte_pfn(val), false, pte_flags(val));
	return 0;
}

static const struct mm_walk_ops leaf_ops = {
	.pud_entry	= note_pud,
	.pmd_entry	= note_pmd,
	.pte_entry	= note_pte,
};

static void walk_leaves(unsigned long start, unsigned long end,
			struct leaf_walk *walk)
{
	mmap_write_lock(&init_mm);
	walk_page_range_debug(&init_mm, start, end, &leaf_ops, NULL, walk);
	mmap_write_unlock(&init_mm);
}

static void walk_all_leaves(struct leaf_walk *walk)
{
	unsigned long start = -(PTRS_PER_PGD / 2 * PGDIR_SIZE);

#ifdef CONFIG_KASAN
	/* Terabytes that map the same few pages again and again */
	walk_leaves(start, KASAN_SHADOW_START, walk);
	start = KASAN_SHADOW_END;
#endif
	walk_leaves(start, ULONG_MAX, walk);
}

static void require_page_tables(struct kunit *test)
{
}
#else
static void walk_leaves(unsigned long start, unsigned long end,
			struct leaf_walk *walk)
{
}

static void walk_all_leaves(struct leaf_walk *walk)
{
}

static void require_page_tables(struct kunit *test)
{
	kunit_skip(test, "cannot read page tables of this architecture");
}
#endif

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

static struct mapping mapping_of(unsigned long start, size_t size)
{
	struct mapping mapping = {};
	struct leaf_walk walk = { .leaf = add_to_mapping, .arg = &mapping };

	walk_leaves(start, start + size, &walk);
	return mapping;
}

/* W^X, I9 and what the statistics say about page sizes */
static void expect_block_is_sane(struct kunit *test,
				 const struct execmem_block *block,
				 const struct execmem_range *range)
{
	struct mapping m = mapping_of(block->start, block->size);

	KUNIT_EXPECT_EQ(test, m.present, block->size);
	KUNIT_EXPECT_EQ(test, m.writable,
			range->flags & EXECMEM_READONLY ? 0 : block->size);
	KUNIT_EXPECT_EQ(test, m.exec,
			range->flags & EXECMEM_EXEC ? block->size : 0);
	KUNIT_EXPECT_EQ(test, m.wx, 0);
	KUNIT_EXPECT_EQ(test, m.huge, block->huge ? block->size : 0);
}

static void expect_pool_is_sane(struct kunit *test, struct execmem_pool *pool)
{
	struct execmem_block *block;

	list_for_each_entry(block, &pool->blocks, list)
		expect_block_is_sane(test, block, pool->range);
}

/* Kinds of shared memory that a table can ask for */
struct kind {
	const char *name;
	enum execmem_range_flags flags;
};

static const struct kind kinds[] = {
	{ "ROX 2M",	EXECMEM_ROX | EXECMEM_HUGE },
	{ "ROX 4k",	EXECMEM_ROX },
	{ "RO 2M",	EXECMEM_READONLY | EXECMEM_HUGE },
	{ "RO 4k",	EXECMEM_READONLY },
	{ "RW 2M",	EXECMEM_HUGE },
	{ "RW 4k",	0 },
};

KUNIT_ARRAY_PARAM_DESC(kind, kinds, name);

static struct execmem_range kind_range(struct kunit *test,
				       enum execmem_range_flags flags)
{
	struct execmem_range range = text_range();

	if (!has_shared_text())
		kunit_skip(test, "no shared text");
	if (flags & EXECMEM_HUGE && !IS_ENABLED(CONFIG_EXECMEM_HUGE))
		kunit_skip(test, "no huge pages");
	range.flags &= ~(EXECMEM_ROX | EXECMEM_HUGE | EXECMEM_RANDOMIZE);
	range.flags |= flags;
	/* Data is plain memory, or at least has no trapping instructions. */
	if (!(flags & EXECMEM_EXEC))
		range.trap = NULL;
	if (!(flags & EXECMEM_READONLY)) {
		range.fill = NULL;
		range.invalidate = NULL;
	}
	return range;
}

static void permissions_are_final(struct kunit *test)
{
	const struct kind *kind = test->param_value;
	struct execmem_range range = kind_range(test, kind->flags);
	struct execmem_pool *pool = make_pool(test, range);
	u8 *pattern = make_pattern(test, 3 * PAGE_SIZE);
	void *a, *b;

	require_page_tables(test);
	a = take(test, pool, 3 * PAGE_SIZE);
	expect_pool_is_sane(test, pool);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern, 3 * PAGE_SIZE), 0);
	KUNIT_EXPECT_MEMEQ(test, a, pattern, 3 * PAGE_SIZE);
	b = take(test, pool, range.granularity + UNIT);
	expect_pool_is_sane(test, pool);

	execmem_seal(a);
	give(test, pool, a);
	expect_pool_is_sane(test, pool);
	take(test, pool, UNIT);
	give(test, pool, b);
	expect_pool_is_sane(test, pool);
	if (!(kind->flags & EXECMEM_HUGE)) {
		KUNIT_EXPECT_EQ(test, pool->nr_huge, 0);
		KUNIT_EXPECT_EQ(test, execmem_fallbacks(&pool->stats), 0);
	}
}

static unsigned long alias_of(unsigned long addr)
{
	return (unsigned long)page_address(vmalloc_to_page((void *)addr));
}

/* The direct map's alias has no permission that the block lacks. */
static void alias_follows_block(struct kunit *test)
{
	const struct kind *kind = test->param_value;
	bool readonly = kind->flags & EXECMEM_READONLY;
	struct execmem_pool *pool;
	struct execmem_block *block;
	struct mapping m;
	size_t step;

	require_page_tables(test);
	pool = make_pool(test, kind_range(test, kind->flags));
	take(test, pool, UNIT);
	block = first_block(pool);
	step = block->huge ? PMD_SIZE : PAGE_SIZE;
	for (size_t offset = 0; offset < block->size; offset += step) {
		m = mapping_of(alias_of(block->start + offset), step);
		KUNIT_EXPECT_EQ(test, m.present, step);
		KUNIT_EXPECT_EQ(test, m.writable, readonly ? 0 : step);
		KUNIT_EXPECT_EQ(test, m.exec, 0);
	}
}

/* Pages that go back to the page allocator are like all others. */
static void freed_pages_are_ordinary(struct kunit *test)
{
	const struct kind *kind = test->param_value;
	struct execmem_pool *pool;
	unsigned long alias;
	struct mapping m;
	size_t step;
	void *a;

	require_page_tables(test);
	if (debug_pagealloc_enabled())
		kunit_skip(test, "free pages are not mapped");
	pool = make_pool(test, kind_range(test, kind->flags));
	a = take(test, pool, UNIT);
	step = first_block(pool)->huge ? PMD_SIZE : PAGE_SIZE;
	alias = alias_of((unsigned long)a & -step);
	give(test, pool, a);
	KUNIT_ASSERT_EQ(test, pool->nr_blocks, 0);

	m = mapping_of(alias, step);
	KUNIT_EXPECT_EQ(test, m.present, step);
	KUNIT_EXPECT_EQ(test, m.writable, step);
	KUNIT_EXPECT_EQ(test, m.exec, 0);
}

static bool is_huge(unsigned long addr)
{
	return mapping_of(addr, PMD_SIZE).huge == PMD_SIZE;
}

/*
 * Take a block behind which the direct map is still in one piece: earlier cases
 * may have split what is behind others.
 */
static void *take_unsplit(struct kunit *test, struct execmem_pool *pool)
{
	for (int i = 0; i < 64; i++) {
		void *block = take(test, pool, PMD_SIZE);

		if (pool->nr_huge != pool->nr_blocks)
			kunit_skip(test, "no huge pages left");
		if (is_huge(alias_of((unsigned long)block)))
			return block;
	}
	kunit_skip(test, "the direct map is in small pages");
	return NULL;
}

/* Splits are counted only while the system runs, so look at the page table. */
static void huge_blocks_split_nothing(struct kunit *test)
{
	struct execmem_range range = kind_range(test,
						EXECMEM_ROX | EXECMEM_HUGE);
	struct execmem_pool *pool = make_pool(test, range);
	u8 *pattern = make_pattern(test, 5 * PAGE_SIZE);
	unsigned long alias;
	void *block;

	require_page_tables(test);
	block = take_unsplit(test, pool);
	alias = alias_of((unsigned long)block);
	KUNIT_EXPECT_EQ(test, execmem_fill(block, pattern, 5 * PAGE_SIZE), 0);
	KUNIT_EXPECT_TRUE(test, is_huge(alias));
	give(test, pool, block);
	execmem_pool_drain(pool);
	KUNIT_EXPECT_TRUE(test, is_huge(alias));
}

/* Where memory is scarce, a single chunk must not cost a huge page. */
static void small_blocks_come_first(struct kunit *test)
{
	struct execmem_range range = kind_range(test,
						EXECMEM_ROX | EXECMEM_HUGE);
	size_t small = range.granularity / 32;
	struct execmem_pool *pool;

	range.flags |= EXECMEM_START_SMALL;
	pool = make_pool(test, range);
	take(test, pool, UNIT);
	KUNIT_EXPECT_EQ(test, pool->reserved, small);
	take(test, pool, small - UNIT);
	take(test, pool, UNIT);
	KUNIT_EXPECT_EQ(test, pool->reserved, 5 * small);
	KUNIT_EXPECT_EQ(test, pool->nr_huge, 0);
	KUNIT_EXPECT_EQ(test, pool->stats.blocks[EXECMEM_FRUGAL], 2);

	take(test, pool, 4 * small - UNIT);
	take(test, pool, UNIT);
	KUNIT_EXPECT_EQ(test, pool->reserved, 5 * small + range.granularity);
	KUNIT_EXPECT_EQ(test, pool->stats.blocks[EXECMEM_FRUGAL], 2);
	KUNIT_EXPECT_EQ(test, pool->nr_huge + execmem_fallbacks(&pool->stats), 1);
	expect_pool_is_sane(test, pool);
}

static void guarded_chunks_have_own_pages(struct kunit *test)
{
	struct execmem_range range = text_range();
	struct execmem_pool *pool;
	unsigned long a;

	require_page_tables(test);
	range.flags &= ~EXECMEM_HUGE;
	range.flags |= EXECMEM_GUARD;
	pool = make_pool(test, range);
	a = (unsigned long)take(test, pool, UNIT);
	take(test, pool, PAGE_SIZE + 1);

	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 2);
	KUNIT_EXPECT_EQ(test, pool->reserved, 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, mapping_of(a, PAGE_SIZE).present, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, mapping_of(a + PAGE_SIZE, PAGE_SIZE).present, 0);
	expect_pool_is_sane(test, pool);
	give(test, pool, (void *)a);
	KUNIT_EXPECT_EQ(test, mapping_of(a, PAGE_SIZE).present, 0);
}

/* === All of the kernel's page tables ====================================== */

static void guard_block(struct guard *guard, struct execmem_block *block)
{
	for (size_t offset = 0; offset < block->size; offset += PAGE_SIZE) {
		unsigned long pfn;

		pfn = vmalloc_to_pfn((void *)block->start + offset);
		if (pfn < guard->end)
			__set_bit(pfn, guard->pfns);
	}
}

static void guard_pool(struct guard *guard, struct execmem_pool *pool)
{
	struct execmem_block *block;

	if (!pool->shared || !(pool->range->flags & EXECMEM_READONLY))
		return;
	spin_lock(&pool->lock);
	list_for_each_entry(block, &pool->blocks, list)
		guard_block(guard, block);
	spin_unlock(&pool->lock);
}

static struct guard make_guard(struct kunit *test)
{
	struct guard guard = { .end = max_pfn };
	size_t size = BITS_TO_LONGS(guard.end) * sizeof(long);

	guard.pfns = (unsigned long *)make_buffer(test, size);
	memset(guard.pfns, 0, size);
	for (int type = 0; type < EXECMEM_TYPE_MAX; type++)
		guard_pool(&guard, execmem_pool_of(type));
	return guard;
}

static void find_guarded(const struct leaf *leaf, void *arg)
{
	unsigned long end = leaf->pfn + ((leaf->end - leaf->start) >> PAGE_SHIFT);
	struct guard *guard = arg;

	if (!leaf->writable || leaf->pfn >= guard->end)
		return;
	end = min(end, guard->end);
	if (find_next_bit(guard->pfns, end, leaf->pfn) < end) {
		guard->found++;
		guard->where = leaf->start;
	}
}

static void find_writable_aliases(struct guard *guard)
{
	struct leaf_walk walk = { .leaf = find_guarded, .arg = guard };

	guard->found = 0;
	walk_all_leaves(&walk);
}

static unsigned long count_shrunk(void)
{
	unsigned long nr = 0;

	for (int type = 0; type < EXECMEM_TYPE_MAX; type++)
		nr += execmem_pool_of(type)->stats.shrunk;
	return nr;
}

static void no_writable_alias_anywhere(struct kunit *test)
{
	unsigned long shrunk = count_shrunk();
	struct guard guard;

	require_page_tables(test);
	take_type(test, EXECMEM_BPF, UNIT);
	guard = make_guard(test);
	for (int i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct execmem_pool *pool;

		if (!(kinds[i].flags & EXECMEM_READONLY))
			continue;
		pool = make_pool(test, kind_range(test, kinds[i].flags));
		take(test, pool, UNIT);
		take(test, pool, pool->range->granularity);
		guard_pool(&guard, pool);
	}
	KUNIT_EXPECT_GT(test, bitmap_weight(guard.pfns, guard.end), 0);

	find_writable_aliases(&guard);
	if (count_shrunk() != shrunk)
		kunit_skip(test, "somebody gave memory back meanwhile");
	KUNIT_EXPECT_EQ_MSG(test, guard.found, 0, "the last one at %lx",
			    guard.where);
}

KUNIT_DEFINE_ACTION_WRAPPER(vunmap_action, vunmap, const void *);

/* That nothing was found is only worth something if it can be. */
static void writable_alias_would_be_found(struct kunit *test)
{
	struct execmem_pool *pool;
	struct guard guard;
	struct page *page;
	void *alias;
	int err;

	require_page_tables(test);
	pool = make_pool(test, kind_range(test, EXECMEM_ROX | EXECMEM_HUGE));
	take(test, pool, UNIT);
	guard = make_guard(test);
	guard_pool(&guard, pool);

	page = vmalloc_to_page((void *)first_block(pool)->start +
			       first_block(pool)->size - PAGE_SIZE);
	alias = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, alias);
	err = kunit_add_action_or_reset(test, vunmap_action, alias);
	KUNIT_ASSERT_EQ(test, err, 0);

	find_writable_aliases(&guard);
	KUNIT_EXPECT_EQ(test, guard.found, 1);
	KUNIT_EXPECT_EQ(test, guard.where, (unsigned long)alias);
}

#define MAX_BLOCKS 64

/* Copies, because the page tables cannot be read under the pool's lock */
static unsigned int copy_blocks(struct execmem_pool *pool,
				struct execmem_block *copies)
{
	struct execmem_block *block;
	unsigned int nr = 0;

	spin_lock(&pool->lock);
	list_for_each_entry(block, &pool->blocks, list)
		if (nr < MAX_BLOCKS)
			copies[nr++] = *block;
	spin_unlock(&pool->lock);
	return nr;
}

/* What is sealed is read-only until it is freed, and its alias with it. */
static void sealed_pages_are_read_only(struct kunit *test)
{
	struct execmem_pool *pool;
	unsigned long addr;
	void *ptr;

	require_page_tables(test);
	pool = execmem_pool_of(EXECMEM_MODULE_RO_AFTER_INIT);
	if (!pool->shared || !pool->range->seal)
		kunit_skip(test, "no type that is sealed by permissions");

	ptr = execmem_alloc(EXECMEM_MODULE_RO_AFTER_INIT, PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	addr = (unsigned long)ptr;
	memset(ptr, 1, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, mapping_of(addr, PAGE_SIZE).writable, PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, execmem_seal(ptr), 0);
	KUNIT_EXPECT_EQ(test, mapping_of(addr, PAGE_SIZE).writable, 0);
	KUNIT_EXPECT_EQ(test, mapping_of(addr, PAGE_SIZE).exec, 0);
	addr = (unsigned long)page_address(vmalloc_to_page(ptr));
	KUNIT_EXPECT_EQ(test, mapping_of(addr, PAGE_SIZE).writable, 0);

	execmem_free(ptr);
	KUNIT_EXPECT_EQ(test, mapping_of(addr, PAGE_SIZE).writable, PAGE_SIZE);
}

/* The permissions of types that are not shared are up to others, except W+X. */
static void live_blocks_are_sane(struct kunit *test)
{
	unsigned long shrunk = count_shrunk();
	struct execmem_block *blocks;

	require_page_tables(test);
	take_type(test, EXECMEM_BPF, UNIT);
	blocks = kunit_kcalloc(test, MAX_BLOCKS, sizeof(*blocks), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, blocks);

	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct execmem_pool *pool = execmem_pool_of(type);
		unsigned int nr = copy_blocks(pool, blocks);

		while (nr--) {
			struct execmem_block *b = &blocks[nr];

			KUNIT_EXPECT_EQ(test, mapping_of(b->start, b->size).wx,
					0);
			/* Chunks differ where their owners have sealed some. */
			if (pool->shared && !pool->range->seal)
				expect_block_is_sane(test, b, pool->range);
		}
	}
	if (count_shrunk() != shrunk)
		kunit_skip(test, "somebody gave memory back meanwhile");
}

/* === No huge pages ======================================================== */

#ifdef CONFIG_EXECMEM_HUGE
#define HUGE_ORDER (PMD_SHIFT - PAGE_SHIFT)

/* All the huge pages of the machine, and one small page of each one broken up */
struct hoard {
	struct list_head huge;
	struct list_head small;
	unsigned long nr;
};

static void free_hoard(void *arg)
{
	struct hoard *hoard = arg;
	struct page *page, *tmp;

	list_for_each_entry_safe(page, tmp, &hoard->huge, lru)
		__free_pages(page, HUGE_ORDER);
	list_for_each_entry_safe(page, tmp, &hoard->small, lru)
		__free_page(page);
	INIT_LIST_HEAD(&hoard->huge);
	INIT_LIST_HEAD(&hoard->small);
}

static struct page *alloc_huge_page(void)
{
	return alloc_pages(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN, HUGE_ORDER);
}

/*
 * Break up so many huge pages that nobody gets into trouble when all the others
 * are taken. That also keeps the watermarks from protecting the last ones.
 */
static void break_up_huge_pages(struct kunit *test, struct hoard *hoard)
{
	unsigned long wanted = totalreserve_pages + (SZ_32M >> PAGE_SHIFT);

	for (unsigned long nr = 0; nr < wanted; nr += 1 << HUGE_ORDER) {
		struct page *page = alloc_huge_page();

		if (!page)
			kunit_skip(test, "not enough memory");
		split_page(page, HUGE_ORDER);
		list_add(&page->lru, &hoard->small);
		for (int i = 1; i < 1 << HUGE_ORDER; i++)
			__free_page(page + i);
	}
}

static void hoard_huge_pages(struct hoard *hoard)
{
	struct page *page;

	/* Other CPUs keep a few for themselves. */
	drain_all_pages(NULL);
	while ((page = alloc_huge_page())) {
		list_add(&page->lru, &hoard->huge);
		hoard->nr++;
	}
}

static void exhaust_huge_pages(struct kunit *test, struct hoard *hoard)
{
	int err;

	INIT_LIST_HEAD(&hoard->huge);
	INIT_LIST_HEAD(&hoard->small);
	err = kunit_add_action(test, free_hoard, hoard);
	KUNIT_ASSERT_EQ(test, err, 0);

	break_up_huge_pages(test, hoard);
	hoard_huge_pages(hoard);
	kunit_info(test, "took %lu huge pages", hoard->nr);
}

/* Take a chunk. Where a huge page was freed meanwhile, hoard it and try again. */
static void *take_without_huge(struct kunit *test, struct execmem_pool *pool,
			       struct hoard *hoard, size_t size)
{
	for (int tries = 0; tries < 10; tries++) {
		void *ptr = take(test, pool, size);

		if (!pool->nr_huge)
			return ptr;
		give(test, pool, ptr);
		hoard_huge_pages(hoard);
	}
	kunit_skip(test, "somebody frees huge pages all the time");
}

static void alloc_without_huge_pages(struct kunit *test)
{
	struct execmem_range range = kind_range(test,
						EXECMEM_ROX | EXECMEM_HUGE);
	struct execmem_pool *pool = make_pool(test, range);
	u8 *pattern = make_pattern(test, 3 * PAGE_SIZE);
	struct hoard *hoard;
	void *a, *b;

	a = take(test, pool, UNIT);
	if (!pool->nr_huge)
		kunit_skip(test, "no huge pages to begin with");
	give(test, pool, a);

	hoard = kunit_kzalloc(test, sizeof(*hoard), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, hoard);
	exhaust_huge_pages(test, hoard);

	a = take_without_huge(test, pool, hoard, 3 * PAGE_SIZE - UNIT);
	KUNIT_EXPECT_EQ(test, execmem_fill(a, pattern, PAGE_SIZE), 0);
	KUNIT_EXPECT_MEMEQ(test, a, pattern, PAGE_SIZE);
	expect_trap(test, pool, a + PAGE_SIZE, 2 * PAGE_SIZE - UNIT);
	KUNIT_EXPECT_PTR_EQ(test, take(test, pool, UNIT),
			    a + 3 * PAGE_SIZE - UNIT);
	b = take_without_huge(test, pool, hoard, range.granularity + UNIT);

	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 2);
	KUNIT_EXPECT_EQ(test, pool->nr_huge, 0);
	KUNIT_EXPECT_EQ(test, execmem_fallbacks(&pool->stats), 2);
	KUNIT_EXPECT_EQ(test, pool->stats.failures, 0);
	/* One for the small chunks, two for the large one and a bit more */
	KUNIT_EXPECT_EQ(test, pool->reserved, 3 * range.granularity);
	if (IS_ENABLED(CONFIG_X86_64))
		expect_pool_is_sane(test, pool);

	give(test, pool, b);
	KUNIT_EXPECT_EQ(test, pool->nr_blocks, 1);
	kunit_release_action(test, free_hoard, hoard);
	take(test, pool, range.granularity);
	KUNIT_EXPECT_EQ(test, pool->nr_huge, 1);
}
#else
static void alloc_without_huge_pages(struct kunit *test)
{
	kunit_skip(test, "no huge pages");
}
#endif /* CONFIG_EXECMEM_HUGE */

/* === Suite ================================================================ */

static int execmem_test_init(struct kunit *test)
{
	seen_reports = execmem_test_reports;
	execmem_test_running = true;
	return 0;
}

static void execmem_test_exit(struct kunit *test)
{
	execmem_test_running = false;
}

static struct kunit_case execmem_cases[] = {
	KUNIT_CASE(alloc_splits_block),
	KUNIT_CASE(alloc_fits_exactly),
	KUNIT_CASE(alloc_takes_lowest_that_fits),
	KUNIT_CASE(alloc_aligns),
	KUNIT_CASE(free_merges_left),
	KUNIT_CASE(free_merges_right),
	KUNIT_CASE(free_merges_both_sides),
	KUNIT_CASE(lookup_finds_live_chunks),
	KUNIT_CASE(lookup_takes_no_lock),
	KUNIT_CASE(lookup_works_in_nmi),
	KUNIT_CASE(vmalloc_knows_blocks),
	KUNIT_CASE(alloc_uses_second_range),
	KUNIT_CASE(alloc_larger_than_block),
	KUNIT_CASE(alloc_falls_back_to_exact_size),
	KUNIT_CASE(free_keeps_one_spare),
	KUNIT_CASE(large_spare_is_given_back),
	KUNIT_CASE(drain_gives_spare_back),
	KUNIT_CASE(randomized_chunks_differ),
	KUNIT_CASE(unshared_type_has_own_pages),
	KUNIT_CASE(merged_type_shares_pool),
	KUNIT_CASE(alloc_aligns_for_types),
	KUNIT_CASE(every_type_has_memory),
	KUNIT_CASE(alloc_works_under_text_mutex),
	KUNIT_CASE(alloc_refuses_bad_input),
	KUNIT_CASE(fill_refuses_bad_input),
	KUNIT_CASE(seal_ends_filling),
	KUNIT_CASE(seal_refuses_bad_input),
	KUNIT_CASE(free_refuses_bad_input),
	KUNIT_CASE_PARAM(fill_writes_only_what_it_should, fill_gen_params),
	KUNIT_CASE(new_memory_traps),
	KUNIT_CASE(free_invalidates),
	KUNIT_CASE(dispatcher_traps_behind_its_code),
	KUNIT_CASE(fill_returns_error_of_hook),
	KUNIT_CASE(free_leaks_what_it_cannot_invalidate),
	KUNIT_CASE(free_waits_for_fills),
	KUNIT_CASE(threads_do_not_disturb_each_other),
	KUNIT_CASE(flush_for_new_block),
	KUNIT_CASE(flush_after_free_by_other_type),
	KUNIT_CASE(no_flush_for_clean_memory),
	KUNIT_CASE(merge_keeps_dirt),
	KUNIT_CASE(flush_covers_only_what_was_free),
	KUNIT_CASE(no_flush_unless_enabled),
	KUNIT_CASE(flush_follows_type),
	KUNIT_CASE_PARAM(permissions_are_final, kind_gen_params),
	KUNIT_CASE_PARAM(alias_follows_block, kind_gen_params),
	KUNIT_CASE_PARAM(freed_pages_are_ordinary, kind_gen_params),
	KUNIT_CASE(huge_blocks_split_nothing),
	KUNIT_CASE(small_blocks_come_first),
	KUNIT_CASE(guarded_chunks_have_own_pages),
	KUNIT_CASE(no_writable_alias_anywhere),
	KUNIT_CASE(writable_alias_would_be_found),
	KUNIT_CASE(sealed_pages_are_read_only),
	KUNIT_CASE(live_blocks_are_sane),
	KUNIT_CASE_SLOW(alloc_without_huge_pages),
	{}
};

static struct kunit_suite execmem_suite = {
	.name = "execmem",
	.init = execmem_test_init,
	.exit = execmem_test_exit,
	.test_cases = execmem_cases,
};

kunit_test_suite(execmem_suite);

MODULE_DESCRIPTION("KUnit suite of the allocator for dynamic kernel code");
MODULE_LICENSE("GPL");
