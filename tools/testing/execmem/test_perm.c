// SPDX-License-Identifier: GPL-2.0
/*
 * Attributes of pages that are changed by others than the allocator: who may,
 * what is counted, and when it is undone.
 */

#include "tests.h"

#define BLOCK	SZ_64K

static struct execmem_pool *pool;

static void start(void)
{
	pool = start_small();
}

/* Change @size bytes at @addr as set_memory_*() does. */
static int change(unsigned long addr, size_t size)
{
	int ret = execmem_change_begin(addr, size);

	if (ret > 0)
		execmem_change_end(addr);
	EXPECT(!execmem_pool_check(pool));
	return ret;
}

static void expect_refused(unsigned long addr, size_t size, size_t first,
			   size_t last)
{
	unsigned long refusals = shim.refusals;

	EXPECT(change(addr, size) == -EPERM);
	EXPECT(shim.refusals == refusals + 1);
	EXPECT(shim.refused[0] == first && shim.refused[1] == last);
	EXPECT(pool->stats.attr_refusals == shim.refusals);
}

/* Only pages that lie in one chunk can be changed. */
static void test_shared_pages_are_refused(void)
{
	unsigned long a, b, c;

	start();
	a = alloc_text(2 * PAGE_SIZE + 64);
	b = alloc_text(PAGE_SIZE - 64);
	c = alloc_text(128);

	EXPECT(change(a, PAGE_SIZE) == 1);
	EXPECT(change(a, 2 * PAGE_SIZE) == 1);
	EXPECT(change(a + PAGE_SIZE, PAGE_SIZE) == 1);
	EXPECT(!shim.refusals && pool->stats.attr_changes == 3);

	/* Of a and b; the same, from a page of a; of c and free memory */
	expect_refused(a + 2 * PAGE_SIZE, PAGE_SIZE, 2 * PAGE_SIZE + 64,
		       PAGE_SIZE - 64);
	expect_refused(a + PAGE_SIZE, 2 * PAGE_SIZE, 2 * PAGE_SIZE + 64,
		       PAGE_SIZE - 64);
	expect_refused(a + 3 * PAGE_SIZE, PAGE_SIZE, 128,
		       BLOCK - 3 * PAGE_SIZE - 128);
	/* Beyond the end of the block */
	expect_refused(a, 2 * BLOCK, 2 * PAGE_SIZE + 64, 0);
	/* From before its start, where no block is */
	release(a);
	release(b);
	expect_refused(a - PAGE_SIZE, 2 * PAGE_SIZE, 0, 3 * PAGE_SIZE);
	/* Free memory, and memory that is not ours */
	expect_refused(a, PAGE_SIZE, 3 * PAGE_SIZE, 3 * PAGE_SIZE);
	release(c);
	EXPECT(!change(a, PAGE_SIZE));
	EXPECT(pool->stats.attr_changes == 3);
}

/* A type that is not shared: the owner manages the permissions. */
static void test_own_pages_are_not_checked(void)
{
	unsigned long a;

	start();
	a = alloc_of(EXECMEM_MODULE_DATA, PAGE_SIZE);
	EXPECT(!change(a, PAGE_SIZE));
	EXPECT(!shim.refusals);
	release(a);
	EXPECT(!shim.restore.calls);
}

/* The statistics say what the page table says. */
static void test_split_is_counted(void)
{
	unsigned long a, b;
	struct execmem_map map;

	start();
	a = alloc_text(2 * PAGE_SIZE);
	b = alloc_text(BLOCK);
	EXPECT(pool->nr_huge == 2);
	/* A change that splits nothing */
	EXPECT(change(a, PAGE_SIZE) == 1);
	EXPECT(pool->nr_huge == 2);

	shim.split = true;
	EXPECT(change(a, PAGE_SIZE) == 1);
	EXPECT(change(a, PAGE_SIZE) == 1);
	EXPECT(pool->nr_huge == 1 && pool->nr_blocks == 2);
	EXPECT(pool->stats.blocks[EXECMEM_SPLIT] == 1);
	EXPECT(pool->stats.blocks[EXECMEM_AS_REQUESTED] == 1);
	EXPECT(execmem_pool_map(pool, a, &map) && !map.huge);
	shim.split = false;
	EXPECT(execmem_pool_map(pool, b, &map) && map.huge);

	/* A split block is not kept as the spare. */
	release(a);
	EXPECT(pool->nr_blocks == 1 && !pool->spare);
	release(b);
}

/* Nobody told us of the change: it is found when the chunk is freed. */
static void test_split_is_found_by_free(void)
{
	unsigned long a, b;

	start();
	a = alloc_text(2 * PAGE_SIZE);
	b = alloc_text(64);
	shim.split = true;
	shim.attributes_differ = true;
	release(a);
	EXPECT(!pool->nr_huge && pool->stats.blocks[EXECMEM_SPLIT] == 1);
	EXPECT(pool->stats.attr_restores == 1 && !pool->stats.attr_changes);
	shim.attributes_differ = false;
	release(b);
	EXPECT(pool->stats.attr_restores == 1);
}

/*
 * BPF programs do not pay for the comparison, unless somebody changed their
 * block.
 */
static void test_bpf_is_not_compared(void)
{
	unsigned long a, b;

	start();
	pool = execmem_pool_of(EXECMEM_BPF);
	a = alloc_of(EXECMEM_BPF, 4 * PAGE_SIZE);
	b = alloc_of(EXECMEM_BPF, 64);
	release(a);
	EXPECT(!shim.restore.calls);
	a = alloc_of(EXECMEM_BPF, 4 * PAGE_SIZE);
	EXPECT(change(ALIGN(a, PAGE_SIZE), PAGE_SIZE) == 1);
	shim.attributes_differ = true;
	release(a);
	EXPECT(shim.restore.calls == 1 && pool->stats.attr_restores == 1);
	shim.attributes_differ = false;
	/* The chunk, and then the block */
	release(b);
	EXPECT(shim.restore.calls == 3 && pool->stats.attr_restores == 1);
}

/* A whole block is compared before it is given back. */
static void test_block_is_restored(void)
{
	unsigned long a;

	start();
	a = alloc_text(64);
	shim.attributes_differ = true;
	release(a);
	EXPECT(!pool->nr_blocks && pool->stats.attr_restores == 2);
}

/* Nothing is written to a chunk that cannot be restored, and it is not reused. */
static void test_fault_in_restore_of_chunk(void)
{
	unsigned long a, b;

	start();
	a = alloc_text(64);
	shim.restore.at = 1;
	execmem_free((void *)a);
	EXPECT(take_reports() == 1);
	EXPECT(!shim.invalidate.calls);
	EXPECT(pool->nr_chunks == 1 && !execmem_pool_check(pool));
	EXPECT(!pool->stats.attr_restores);
	b = alloc_text(64);
	EXPECT(b != a);
	release(b);
	EXPECT(pool->nr_blocks == 1);
	/* Make it live again, so that the test ends without leaks. */
	execmem_to_chunk(rb_first(&pool->chunks))->state = EXECMEM_SEALED;
	release(a);
}

/* The pages of a block that cannot be restored do not reach anybody else. */
static void test_fault_in_restore_of_block(void)
{
	unsigned long a;

	start();
	a = alloc_text(64);
	shim.restore.at = 2;
	execmem_free((void *)a);
	EXPECT(take_reports() == 1);
	EXPECT(!shim.unmaps && !pool->nr_blocks);
	EXPECT(pool->stats.leaked == BLOCK);
	shim.leaked_pages = BLOCK / PAGE_SIZE;
}

/* Nothing touches memory that failed, and nobody gets it. */
static void test_failed_memory_is_contained(void)
{
	unsigned long a, b;

	start();
	a = alloc_text(2 * PAGE_SIZE);
	b = alloc_text(64);
	shim.poisoned = a + PAGE_SIZE;
	release(a);
	EXPECT(pool->stats.poisoned == 1 && pool->nr_chunks == 2);
	EXPECT(!shim.restore.calls && !shim.invalidate.calls);
	EXPECT(alloc_text(64) == b + 64);
	release(b + 64);
	release(b);
	/* The chunk keeps its block. */
	EXPECT(pool->nr_blocks == 1 && pool->used == 2 * PAGE_SIZE);
	shim.poisoned = 0;
	execmem_to_chunk(rb_first(&pool->chunks))->state = EXECMEM_SEALED;
	release(a);
}

/* Memory that failed while it was free does not reach anybody else either. */
static void test_failed_block_is_contained(void)
{
	unsigned long a;

	start();
	a = alloc_text(64);
	shim.poisoned = a + 2 * PAGE_SIZE;
	release(a);
	EXPECT(pool->stats.poisoned == 1 && !pool->nr_blocks);
	EXPECT(!shim.unmaps && !shim.reports);
	EXPECT(pool->stats.leaked == BLOCK);
	shim.leaked_pages = BLOCK / PAGE_SIZE;
}

/* Pages that are not of one chunk must not be mapped to user space. */
static void test_user_map(void)
{
	unsigned long a, b, pfn;

	start();
	a = alloc_text(2 * PAGE_SIZE + 64);
	b = alloc_text(PAGE_SIZE - 64);
	pfn = a >> PAGE_SHIFT;
	__execmem_check_user_map(pfn - 4, 6);
	EXPECT(!shim.refusals);
	__execmem_check_user_map(pfn + 1, 2);
	EXPECT(shim.refusals == 1);
	EXPECT(shim.refused[0] == 2 * PAGE_SIZE + 64);
	EXPECT(shim.refused[1] == PAGE_SIZE - 64);
	/* Free memory, up to the end of the block */
	__execmem_check_user_map(pfn + 3, 1000);
	EXPECT(shim.refusals == 1 + BLOCK / PAGE_SIZE - 3);
	release(a);
	release(b);
}

void run_perm_tests(void)
{
	RUN(shared_pages_are_refused);
	RUN(own_pages_are_not_checked);
	RUN(split_is_counted);
	RUN(split_is_found_by_free);
	RUN(bpf_is_not_compared);
	RUN(block_is_restored);
	RUN(fault_in_restore_of_chunk);
	RUN(fault_in_restore_of_block);
	RUN(failed_memory_is_contained);
	RUN(failed_block_is_contained);
	RUN(user_map);
}
