// SPDX-License-Identifier: GPL-2.0
/*
 * Description of executable memory types for x86, see mm/execmem.c.
 */

#include <linux/cpufeature.h>
#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/kmsan-checks.h>
#include <linux/lockdep.h>
#include <linux/memory.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/random.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <asm/set_memory.h>
#include <asm/setup.h>
#include <asm/text-patching.h>

/* Alignment of chunks: one cache line. The BPF JIT depends on it. */
#define CHUNK_ALIGN	64

/*
 * Size of the first block for data that is read-only after init. Few modules
 * have more than one page of it.
 */
#define SEALED_BLOCK	SZ_128K

static struct execmem_info execmem_info __ro_after_init;

/*
 * Write @len bytes to read-only text that no CPU executes: copy from @src, or
 * fill with int3 if @src is %NULL. Each text_poke_copy() or text_poke_set()
 * takes and releases text_mutex. Writing at most two pages at a time keeps
 * others who patch text from waiting for a large chunk.
 */
static int poke_text(void *dst, const void *src, size_t len)
{
	while (len) {
		size_t part = min(len, 2 * PAGE_SIZE - offset_in_page(dst));
		void *done = src ? text_poke_copy(dst, src, part) :
				   text_poke_set(dst, INT3_INSN_OPCODE, part);

		if (!done)
			return -EINVAL;
		/* KMSAN does not see a write through another mapping. */
		kmsan_unpoison_memory(dst, part);
		dst += part;
		src = src ? src + part : NULL;
		len -= part;
	}
	return 0;
}

/* The same for a caller that holds text_mutex already, so for small writes */
static int poke_text_locked(void *dst, const void *src, size_t len)
{
	lockdep_assert_held(&text_mutex);

	if (!text_poke_copy_locked(dst, src, len, false))
		return -EINVAL;
	kmsan_unpoison_memory(dst, len);
	return 0;
}

static int invalidate_text(void *dst, size_t len)
{
	return poke_text(dst, NULL, len);
}

static void trap_text(void *dst, size_t len)
{
	memset(dst, INT3_INSN_OPCODE, len);
}

/*
 * Writable memory is not overwritten when it is freed, unless init_on_free asks
 * for it. The next owner clears it, as it would clear pages from vmalloc().
 */
static int leave_data(void *dst, size_t len)
{
	if (want_init_on_free())
		memset(dst, 0, len);
	return 0;
}

/*
 * Split the huge pages of the direct map that the pages lie in, so that all page
 * tables exist that seal_data() needs, and those that vfree() needs to reset the
 * permissions.
 */
static int prepare_seal(void *start, size_t len)
{
	for (void *addr = start; addr < start + len; addr += PAGE_SIZE) {
		struct page *page = vmalloc_to_page(addr);
		unsigned long alias = (unsigned long)page_address(page);
		unsigned int level;
		int err;

		if (lookup_address(alias, &level) && level == PG_LEVEL_4K)
			continue;
		err = set_memory_4k(alias, 1);
		if (err)
			return err;
	}
	return 0;
}

static int seal_data(void *start, size_t len)
{
	return set_memory_ro_now((unsigned long)start, len >> PAGE_SHIFT);
}

/*
 * Nothing is flushed, so other CPUs may keep read-only TLB entries. A write by
 * one of them faults, and spurious_kernel_fault() lets it try again with the
 * page table entry as it is now. That does not work where a fault cannot be
 * handled, for example on a stack, so vfree() flushes before the pages of the
 * block reach the page allocator.
 */
static int unseal_data(void *start, size_t len)
{
	return set_memory_rw_lazily((unsigned long)start, len >> PAGE_SHIFT) ?:
	       leave_data(start, len);
}

/* === Attributes that somebody else changed ================================ */

/* What others may have changed in an entry of the page table */
#define ATTRIBUTES	(_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_PWT | \
			 _PAGE_PCD | _PAGE_NX)

/**
 * struct repair - restores attributes of pages
 * @prot: attributes that the pages must have
 * @mask: bits of an entry that are compared
 * @first: first address with other attributes
 * @end: address after the last one; 0 if there is none so far
 *
 * Local to the task that frees the pages.
 */
struct repair {
	pgprot_t prot;
	pgprotval_t mask;
	unsigned long first;
	unsigned long end;
};

/* Number of the page that a leaf entry maps at @addr */
static unsigned long leaf_pfn(pte_t *pte, unsigned int level, unsigned long addr)
{
	unsigned long offset = addr & ~page_level_mask(level);

	if (level == PG_LEVEL_4K)
		return pte_pfn(*pte);
	if (level == PG_LEVEL_2M)
		return pmd_pfn(*(pmd_t *)pte) + (offset >> PAGE_SHIFT);
	return pud_pfn(*(pud_t *)pte) + (offset >> PAGE_SHIFT);
}

/* Remember to restore all that the leaf entry of @level at @addr maps. */
static void note_repair(struct repair *repair, unsigned long addr,
			unsigned int level)
{
	unsigned long start = addr & page_level_mask(level);

	if (!repair->end || start < repair->first)
		repair->first = start;
	repair->end = max(repair->end, start + page_level_size(level));
}

static bool differs(struct repair *repair, pte_t *pte)
{
	return (pte_flags(*pte) ^ pgprot_val(repair->prot)) & repair->mask;
}

/*
 * set_memory_restore() leaves the alias as executable as it is, since the
 * direct map never is.
 */
static int repair_alias(unsigned long alias, pte_t *pte)
{
	if (pte_flags(*pte) & _PAGE_NX)
		return 0;
	return set_memory_nx(alias, 1);
}

/*
 * Compare a page and its alias with what they must be. Returns the size of what
 * was compared, in bytes, or an error if something else is mapped there.
 */
static long check_page(struct repair *repair, unsigned long addr,
		       struct page *page)
{
	unsigned long alias = (unsigned long)page_address(page);
	unsigned int level, alias_level;
	pte_t *pte = lookup_address(addr, &level);
	pte_t *alias_pte = lookup_address(alias, &alias_level);
	int err;

	if (!pte || !alias_pte || pte_none(*pte) ||
	    leaf_pfn(pte, level, addr) != page_to_pfn(page))
		return -EFAULT;
	if (differs(repair, pte))
		note_repair(repair, addr, level);
	else if (((pte_flags(*alias_pte) | _PAGE_NX) ^
		  (pgprot_val(repair->prot) | _PAGE_NX)) & repair->mask)
		note_repair(repair, addr, min(level, alias_level));

	err = repair_alias(alias, alias_pte);
	if (err)
		return err;

	level = min(level, alias_level);
	return page_level_size(level) - (addr & ~page_level_mask(level));
}

/* Compare all pages from @start to @end, which are in one block. */
static int check_pages(struct repair *repair, unsigned long start,
		       unsigned long end)
{
	struct vm_struct *area = find_vm_area((void *)start);
	unsigned long base;
	long size;

	if (WARN_ON_ONCE(!area))
		return -EFAULT;
	base = (unsigned long)area->addr;
	for (unsigned long addr = start; addr < end; addr += size) {
		size = check_page(repair, addr,
				  area->pages[(addr - base) >> PAGE_SHIFT]);
		if (size < 0)
			return size;
	}
	return 0;
}

/*
 * Restore what differs, and what lies between, by one change with one flush. A
 * huge page that differs is restored as a whole, so it is not split.
 */
static int repair_pages(struct repair *repair, void *start, size_t len)
{
	unsigned long first = (unsigned long)start & PAGE_MASK;
	int err = check_pages(repair, first, PAGE_ALIGN((unsigned long)start + len));

	if (err || !repair->end)
		return err;
	return set_memory_restore(repair->first, (repair->end - repair->first) >>
				  PAGE_SHIFT, repair->prot) ?: 1;
}

static int restore_pages(void *start, size_t len, enum execmem_range_flags flags)
{
	struct repair repair = {
		.prot = PAGE_KERNEL,
		.mask = ATTRIBUTES & __supported_pte_mask,
	};

	if (flags & EXECMEM_EXEC)
		repair.prot = PAGE_KERNEL_ROX;
	else if (flags & EXECMEM_READONLY)
		repair.prot = PAGE_KERNEL_RO;
	return repair_pages(&repair, start, len);
}

/* These may be read-only or not: unseal_data() makes them writable. */
static int restore_sealed(void *start, size_t len, enum execmem_range_flags flags)
{
	struct repair repair = {
		.prot = PAGE_KERNEL,
		.mask = ATTRIBUTES & __supported_pte_mask & ~_PAGE_RW,
	};

	return repair_pages(&repair, start, len);
}

/* === Description of the types ============================================= */

static const char *__init no_huge_reason(void)
{
	if (!rodata_enabled)
		return "rodata=off";
	if (!boot_cpu_has(X86_FEATURE_PSE))
		return "the CPU has no 2 MB pages";
	/*
	 * A Xen PV guest changes page tables by hypercalls, one base page at a
	 * time, and cannot map huge pages.
	 */
	if (cpu_feature_enabled(X86_FEATURE_XENPV))
		return "Xen PV";
	return NULL;
}

/* Describe a type whose allocations get pages of their own. */
static struct execmem_range __init own_pages(void)
{
	unsigned long start = MODULES_VADDR;

	if (kaslr_enabled())
		start += get_random_u32_inclusive(1, 1024) * PAGE_SIZE;

	return (struct execmem_range) {
		.flags		= EXECMEM_KASAN_SHADOW,
		.start		= start,
		.end		= MODULES_END,
		.pgprot		= PAGE_KERNEL,
		.alignment	= MODULE_ALIGN,
		.fill		= poke_text,
		.fill_locked	= poke_text_locked,
	};
}

/* Describe a type whose allocations share huge pages; @flags are added. */
static struct execmem_range __init shared(const struct execmem_range *pages,
					  enum execmem_range_flags flags)
{
	struct execmem_range range = *pages;

	range.flags |= EXECMEM_HUGE | flags;
	if (kaslr_enabled())
		range.flags |= EXECMEM_RANDOMIZE;
	range.alignment = CHUNK_ALIGN;
	range.granularity = SZ_2M;
	range.fill = flags & EXECMEM_READONLY ? poke_text : NULL;
	range.invalidate = flags & EXECMEM_READONLY ? invalidate_text :
						      leave_data;
	range.trap = flags & EXECMEM_EXEC ? trap_text : NULL;
	range.sync = flags & EXECMEM_EXEC ? text_poke_sync : NULL;
	range.restore = restore_pages;
	return range;
}

/*
 * Describe a type whose pages become read-only one at a time. They are base
 * pages, since the permissions of a huge page would change as a whole. The huge
 * pages of the direct map that they lie in are split when a block is mapped.
 */
static struct execmem_range __init sealed_pages(const struct execmem_range *pages)
{
	struct execmem_range range = *pages;

	range.flags |= EXECMEM_HUGE_ONLY;
	range.alignment = PAGE_SIZE;
	range.granularity = SEALED_BLOCK;
	range.fill = NULL;
	range.invalidate = unseal_data;
	range.seal = seal_data;
	range.prepare_seal = prepare_seal;
	range.restore = restore_sealed;
	return range;
}

/*
 * Describe code that is much smaller than a page. It shares the memory of the
 * larger code beside it. Without huge pages, it gets pages of its own.
 */
static struct execmem_range __init small_code(const struct execmem_range *pages)
{
	struct execmem_range range = *pages;

	range.flags |= EXECMEM_MERGE | EXECMEM_HUGE_ONLY;
	range.mapto = IS_ENABLED(CONFIG_EXECMEM_HUGE_MODULES) ?
		      EXECMEM_MODULE_TEXT : EXECMEM_BPF;
	return range;
}

static void __init describe_modules(struct execmem_range *ranges,
				    const struct execmem_range *pages)
{
	ranges[EXECMEM_MODULE_RO_AFTER_INIT] = *pages;
	ranges[EXECMEM_MODULE_DATA] = *pages;
	if (!IS_ENABLED(CONFIG_EXECMEM_HUGE_MODULES))
		return;

	ranges[EXECMEM_MODULE_TEXT] = shared(pages, EXECMEM_ROX |
						    EXECMEM_HUGE_ONLY);
	ranges[EXECMEM_MODULE_RODATA] = shared(pages, EXECMEM_READONLY |
						      EXECMEM_HUGE_ONLY);
	ranges[EXECMEM_MODULE_RO_AFTER_INIT] = sealed_pages(pages);
	ranges[EXECMEM_MODULE_INIT_RODATA] = (struct execmem_range) {
		.flags		= EXECMEM_MERGE,
		.mapto		= EXECMEM_MODULE_RODATA,
	};
	ranges[EXECMEM_MODULE_DATA] = shared(pages, EXECMEM_HUGE_ONLY);
	ranges[EXECMEM_BPF].flags |= EXECMEM_MERGE;
	ranges[EXECMEM_BPF].mapto = EXECMEM_MODULE_TEXT;
}

struct execmem_info __init *execmem_arch_setup(void)
{
	struct execmem_range *ranges = execmem_info.ranges;
	struct execmem_range pages = own_pages();

	ranges[EXECMEM_DEFAULT] = pages;
	/* On 32 bits, the JIT and the module loader write code in place. */
	if (!IS_ENABLED(CONFIG_X86_64))
		return &execmem_info;

	execmem_info.no_huge = no_huge_reason();
	ranges[EXECMEM_KPROBES] = small_code(&pages);
	ranges[EXECMEM_FTRACE] = small_code(&pages);
	ranges[EXECMEM_BPF] = shared(&pages, EXECMEM_ROX);
	describe_modules(ranges, &pages);
	return &execmem_info;
}
