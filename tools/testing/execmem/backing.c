// SPDX-License-Identifier: GPL-2.0
/*
 * Replaces mm/execmem_block.c, mm/execmem_debug.c, vmalloc and the hooks of an
 * architecture.
 *
 * The address space is one area of ordinary memory. Pages that belong to no
 * block are poisoned, so that AddressSanitizer reports each access to them.
 */

#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

#include "backing.h"

#define NR_PAGES	(VMALLOC_SIZE >> PAGE_SHIFT)
#define MAX_GRANULE	SZ_2M

unsigned long vmalloc_start;

enum page_state {
	PAGE_UNUSED,
	PAGE_USED,
};

/* Protects pages[] and nr_touched. */
static DEFINE_SPINLOCK(pages_lock);
static unsigned char pages[NR_PAGES];

/* Size in bytes of the addresses that were taken from this page on */
static size_t taken[NR_PAGES];

/* First page that was never used: pages from here on need not be reset. */
static unsigned long nr_touched = NR_PAGES;

static void reserve_addresses(void)
{
	void *area = mmap(NULL, VMALLOC_SIZE + MAX_GRANULE,
			  PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (area == MAP_FAILED)
		abort();
	vmalloc_start = ALIGN((unsigned long)area, MAX_GRANULE);
}

void backing_start(void)
{
	if (!vmalloc_start)
		reserve_addresses();
	memset(pages, PAGE_UNUSED, nr_touched);
	ASAN_POISON_MEMORY_REGION((void *)vmalloc_start,
				  nr_touched << PAGE_SHIFT);
	nr_touched = 0;
}

/* Number of pages in all blocks */
unsigned long backing_pages(void)
{
	unsigned long nr = 0;

	for (unsigned long i = 0; i < nr_touched; i++)
		nr += pages[i] == PAGE_USED;
	return nr;
}

/* Do all bytes of this memory have the value @byte? */
bool backing_is(unsigned long start, size_t size, int byte)
{
	unsigned char *mem = (unsigned char *)start;

	return !size || (*mem == byte && !memcmp(mem, mem + 1, size - 1));
}

/* === Pages ================================================================ */

static unsigned long to_page(unsigned long addr)
{
	return (addr - vmalloc_start) >> PAGE_SHIFT;
}

/* Find the lowest @nr unused pages from @first to @end, or return @end. */
static unsigned long find_pages(unsigned long first, unsigned long end,
				unsigned long nr, unsigned long align)
{
	unsigned char *hole, *used;

	while (first + nr <= end) {
		hole = memchr(pages + first, PAGE_UNUSED, end - first);
		if (!hole)
			break;
		first = ALIGN(hole - pages, align);
		if (first + nr > end)
			break;
		used = memchr(pages + first, PAGE_USED, nr);
		if (!used)
			return first;
		first = used - pages + 1;
	}
	return end;
}

/* Number of pages of a block, with the guard page after it */
static unsigned long nr_pages(struct execmem_pool *pool, size_t size)
{
	bool guard = pool->shared && pool->range->flags & EXECMEM_GUARD;

	return (size >> PAGE_SHIFT) + guard;
}

/* Returns the first page, or @end if there is no room. */
static unsigned long take_pages(unsigned long first, unsigned long end,
				unsigned long nr, unsigned long align)
{
	spin_lock(&pages_lock);
	first = find_pages(first, end, nr, align);
	if (first != end) {
		memset(pages + first, PAGE_USED, nr);
		nr_touched = max(nr_touched, first + nr);
	}
	spin_unlock(&pages_lock);
	return first;
}

/* Take addresses for @size bytes. Pages that are not mapped stay poisoned. */
static bool take_addresses(struct execmem_block *block, size_t size,
			   size_t align, unsigned long start, unsigned long end)
{
	unsigned long first;

	if (start >= end)
		return false;
	first = take_pages(to_page(start), to_page(end),
			   nr_pages(block->pool, size),
			   max(align, PAGE_SIZE) >> PAGE_SHIFT);
	if (first == to_page(end))
		return false;
	block->start = vmalloc_start + (first << PAGE_SHIFT);
	block->room = size;
	taken[first] = size;
	return true;
}

static void free_addresses(struct execmem_block *block)
{
	unsigned long first = to_page(block->start);

	/* ThreadSanitizer sees this write race with who still uses the block. */
	memset((void *)block->start, STALE_BYTE, block->size);
	ASAN_POISON_MEMORY_REGION((void *)block->start, taken[first]);
	spin_lock(&pages_lock);
	memset(pages + first, PAGE_UNUSED,
	       nr_pages(block->pool, taken[first]));
	spin_unlock(&pages_lock);
}

static void *map_memory(unsigned long start, size_t size)
{
	ASAN_UNPOISON_MEMORY_REGION((void *)start, size);
	return memset((void *)start, STALE_BYTE, size);
}

/* === Blocks =============================================================== */

bool execmem_block_map_own(struct execmem_block *block, size_t size,
			   size_t align)
{
	const struct execmem_range *range = block->pool->range;

	might_sleep();
	size = PAGE_ALIGN(size);
	if (fails(&shim.map) ||
	    (!take_addresses(block, size, align, range->start, range->end) &&
	     !take_addresses(block, size, align, range->fallback_start,
			     range->fallback_end))) {
		shim.map_failures++;
		return false;
	}
	map_memory(block->start, size);
	block->size = size;
	return true;
}

bool execmem_block_reserve(struct execmem_block *block, size_t align,
			   unsigned long start, unsigned long end)
{
	might_sleep();
	if (take_addresses(block, block->room, align, start, end))
		return true;
	shim.map_failures++;
	return false;
}

void execmem_block_release(struct execmem_block *block)
{
	might_sleep();
	free_addresses(block);
}

int execmem_block_populate(struct execmem_block *block, size_t size,
			   bool best_effort)
{
	const struct execmem_range *range = block->pool->range;
	unsigned long start = block->start + block->size;

	might_sleep();
	EXPECT(size && size <= block->room - block->size);
	shim.populates++;
	if ((block->huge && fails(&shim.huge)) || fails(&shim.map)) {
		shim.map_failures++;
		return -ENOMEM;
	}
	run_elsewhere(&shim.in_populate);
	map_memory(start, size);
	if (range->trap)
		range->trap((void *)start, size);
	else
		memset((void *)start, ZERO_BYTE, size);
	if (fails(&shim.protect)) {
		shim.map_failures++;
		return -EPERM;
	}
	return 0;
}

void execmem_block_unmap(struct execmem_block *block)
{
	might_sleep();
	if (shim.unmapping)
		shim.unmapping(block);
	shim.unmaps++;
	free_addresses(block);
}

/* The tests call execmem_pool_expire() themselves. */
void execmem_spare_kept(void)
{
	shim.spares_kept++;
}

bool execmem_block_is_huge(struct execmem_block *block)
{
	return block->huge && !shim.split;
}

bool execmem_pages_poisoned(unsigned long start, size_t size)
{
	return shim.poisoned - start < size;
}

bool execmem_pages_referenced(unsigned long start, size_t size)
{
	no_lock_held();
	run_once(&shim.in_referenced);
	return PAGE_ALIGN(start + size) > shim.referenced &&
		(start & ~(PAGE_SIZE - 1)) <= shim.referenced;
}

/* Page frame numbers are addresses here. */
unsigned long execmem_block_find_page(struct execmem_block *block,
				      unsigned long from, unsigned long pfn,
				      unsigned long nr)
{
	unsigned long addr = max3(from, block->start, pfn << PAGE_SHIFT);
	unsigned long end = min(block->start + block->size,
				(pfn + nr) << PAGE_SHIFT);

	return addr < end ? addr : 0;
}

/* === Hooks of the architecture ============================================ */

int hook_fill(void *dst, const void *src, size_t len)
{
	no_lock_held();
	if (fails(&shim.fill))
		return -EIO;
	memcpy(dst, src, len / 2);
	run_once(&shim.in_fill);
	memcpy(dst + len / 2, src + len / 2, len - len / 2);
	return 0;
}

/* The lock of the architecture is the caller's. */
int hook_fill_locked(void *dst, const void *src, size_t len)
{
	EXPECT(shim.text_locked);
	return hook_fill(dst, src, len);
}

int hook_invalidate(void *dst, size_t len)
{
	EXPECT(!shim.text_locked);
	no_lock_held();
	if (fails(&shim.invalidate))
		return -EIO;
	run_once(&shim.in_invalidate);
	memset(dst, TRAP_BYTE, len);
	return 0;
}

/* Permissions cannot be tested in user space, so bytes represent them. */
int hook_seal(void *start, size_t len)
{
	no_lock_held();
	if (fails(&shim.seal))
		return -EIO;
	memset(start, SEAL_BYTE, len);
	return 0;
}

/* It must come before anything is written to the memory. */
int hook_restore(void *start, size_t len, enum execmem_range_flags flags)
{
	no_lock_held();
	if (fails(&shim.restore))
		return -EIO;
	return shim.attributes_differ;
}

void hook_trap(void *dst, size_t len)
{
	might_sleep();
	memset(dst, TRAP_BYTE, len);
}

void hook_flush(void)
{
	no_lock_held();
	shim.flushes++;
	run_once(&shim.in_flush);
}

void hook_sync(void)
{
	no_lock_held();
	shim.syncs++;
	run_once(&shim.in_sync);
}

/* There are no KASAN and no kmemleak in user space. */
void execmem_debug_alloc(struct execmem_chunk *chunk, size_t size)
{
	no_lock_held();
	EXPECT(size <= chunk->size);
}

void execmem_debug_free_begin(struct execmem_chunk *chunk)
{
}

void execmem_debug_free_end(struct execmem_chunk *chunk)
{
	no_lock_held();
}

void execmem_debug_refusal(const struct execmem_chunk *first,
			   const struct execmem_chunk *last)
{
	no_lock_held();
	shim.refusals++;
	shim.refused[0] = first->size;
	shim.refused[1] = last->size;
}

void execmem_debug_user_map(const struct execmem_chunk *first,
			    const struct execmem_chunk *last)
{
	execmem_debug_refusal(first, last);
}

void execmem_debug_poisoned(unsigned long start, size_t size)
{
	no_lock_held();
	EXPECT(execmem_pages_poisoned(start, size));
}

void execmem_debug_rest_begin(struct execmem_chunk *chunk)
{
	no_lock_held();
}

void execmem_debug_rest_verify(struct execmem_chunk *chunk)
{
	no_lock_held();
}

void execmem_debug_rest_end(struct execmem_chunk *chunk)
{
	no_lock_held();
	if (shim.rested)
		shim.rested(chunk);
}
