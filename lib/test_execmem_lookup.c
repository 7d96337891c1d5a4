// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of execmem: from an address to the chunk or the block it is in,
 * with execmem_lookup() and with vmalloc's functions.
 */

#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched.h>

#ifdef CONFIG_X86_LOCAL_APIC
#include <asm/apic.h>
#include <asm/nmi.h>
#endif

#include "test_execmem.h"

/*
 * Every address of the rounded-up size belongs to the chunk, from its
 * allocation until it is freed. Its neighbours and other memory are not found.
 */
static void lookup_finds_live_chunks(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, data_range());
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

	/* Sealing changes nothing; freeing ends it at once. */
	execmem_seal(a);
	KUNIT_EXPECT_TRUE(test, execmem_lookup(start, &area));
	take(test, pool, UNIT);
	give(test, pool, a);
	KUNIT_EXPECT_FALSE(test, execmem_lookup(start, &area));
}

/*
 * An NMI may hit a CPU that holds the lock of the pool. If execmem_lookup()
 * took that lock, this case would not end.
 */
static void lookup_takes_no_lock(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, data_range());
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
/*
 * The chunk that the NMI handler looks up, and how many of its look-ups were
 * right and wrong
 */
static struct {
	struct execmem_pool *pool;
	unsigned long addr;
	size_t size;
	bool asking;
	atomic_t right;
	atomic_t wrong;
} nmi;

/*
 * Other NMIs may arrive while the handler is registered, so it does nothing
 * unless it is asked to.
 */
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
 * Keep one CPU in the allocator, and often under its lock. Chunks come and go
 * next to the one that is looked up; every 256th needs another block.
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

/*
 * Send an NMI when the one before it was handled: two that are pending would be
 * one. End if one is lost. In emulation, each may take milliseconds, so end
 * after some seconds, too. Returns how many were sent.
 */
static int send_nmis(unsigned int cpu)
{
	unsigned long stop = jiffies + 5 * HZ;
	int nr = 0;

	while (nr < 2000 && (nr < 100 || time_before(jiffies, stop))) {
		unsigned long end = jiffies + 10 * HZ;

		nr++;
		__apic_send_IPI_mask(cpumask_of(cpu), NMI_VECTOR);
		while (atomic_read(&nmi.right) + atomic_read(&nmi.wrong) < nr) {
			if (time_after(jiffies, end))
				return nr;
			cpu_relax();
		}
		cond_resched();
	}
	return nr;
}

static void lookup_works_in_nmi(struct kunit *test)
{
	struct task_struct *task;
	unsigned int cpu;
	int sent = 0;
	int err;

	/* On the CPU of this task no NMI would hit the allocator. */
	cpu = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());
	if (cpu >= nr_cpu_ids)
		kunit_skip(test, "needs two CPUs");
	nmi.pool = execmem_test_pool(test, data_range());
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
		sent = send_nmis(cpu);
		WRITE_ONCE(nmi.asking, false);
		kthread_stop(task);
	}
	unregister_nmi_handler(NMI_LOCAL, "execmem_test");

	KUNIT_EXPECT_EQ(test, atomic_read(&nmi.wrong), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&nmi.right), sent);
	KUNIT_EXPECT_GE(test, sent, 100);
	/* The other CPU has allocated, besides the two chunks from above. */
	KUNIT_EXPECT_GT(test, nmi.pool->stats.allocs, 2);
}
#else
static void lookup_works_in_nmi(struct kunit *test)
{
	kunit_skip(test, "cannot send NMIs");
}
#endif

/* What Documentation/mm/execmem.rst promises users of vmalloc's functions */
static void vmalloc_knows_blocks(struct kunit *test)
{
	struct execmem_pool *pool = execmem_test_pool(test, text_range());
	u8 *pattern = execmem_test_pattern(test, 2 * PAGE_SIZE);
	void *a = take(test, pool, 2 * PAGE_SIZE);
	struct vm_struct *area = find_vm_area(a);
	u8 *alias;

	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_EXPECT_EQ(test, (unsigned long)area->addr,
			first_block(pool)->start);
	KUNIT_EXPECT_EQ(test, (unsigned long)get_vm_area_size(area),
			first_block(pool)->size);
	/* Readers of /proc/kcore and the code of faults ask this. */
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

/* What hardened usercopy asks: a copy must not reach into the neighbour. */
static void copies_beyond_the_end_are_found(struct kunit *test)
{
	void *a = execmem_test_take_type(test, EXECMEM_BPF, 4 * UNIT);
	struct execmem_area area;
	size_t offset;

	if (!execmem_is_shared(EXECMEM_BPF))
		kunit_skip(test, "BPF is not shared");
	KUNIT_ASSERT_TRUE(test, execmem_lookup((unsigned long)a, &area));
	KUNIT_EXPECT_FALSE(test, execmem_exceeds(a, area.size, &offset));
	KUNIT_EXPECT_FALSE(test, execmem_exceeds(a + 1, area.size - 1, &offset));
	KUNIT_EXPECT_TRUE(test, execmem_exceeds(a, area.size + 1, &offset));
	KUNIT_EXPECT_EQ(test, offset, 0);
	KUNIT_EXPECT_TRUE(test, execmem_exceeds(a + area.size - 1, 2, &offset));
	KUNIT_EXPECT_EQ(test, offset, area.size - 1);
	KUNIT_EXPECT_TRUE(test, execmem_exceeds(a + 1, SIZE_MAX, &offset));
	/* Memory that is not of execmem */
	KUNIT_EXPECT_FALSE(test, execmem_exceeds(&area, SIZE_MAX, &offset));
}

struct kunit_case execmem_test_lookup_cases[] = {
	KUNIT_CASE(lookup_finds_live_chunks),
	KUNIT_CASE(lookup_takes_no_lock),
	KUNIT_CASE_SLOW(lookup_works_in_nmi),
	KUNIT_CASE(vmalloc_knows_blocks),
	KUNIT_CASE(copies_beyond_the_end_are_found),
	{}
};
