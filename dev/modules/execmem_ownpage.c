// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes attributes of its own memory, and does not restore them:
 *
 *	insmod execmem_ownpage.ko op=OP
 *
 *	ro, np, x	a page of its data becomes read-only, absent, executable
 *	text		a page of its text becomes writable, by set_memory_rw()
 *	entry		a page of its text, by the entry that maps it, be it a huge page
 *	alias		a page of its data becomes read-only in the direct map only
 *	shared		a page that holds a small variable, and what others have there
 *
 * /sys/module/execmem_ownpage/parameters/result has what set_memory_*() returned.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmalloc.h>
#include <asm/tlbflush.h>

#include "find_symbol.h"

static char *op = "none";
module_param(op, charp, 0);
static int result = -ENOENT;
module_param(result, int, 0444);

/* Never the whole of a page */
static char small[16] = { 1 };
static char page[PAGE_SIZE] __aligned(PAGE_SIZE) = { 2 };

/* So long that a whole page of the text is its own */
static noinline void long_function(void)
{
	asm volatile(".fill 4 * 4096, 1, 0x90");
}

static int set_memory(const char *what, const void *addr)
{
	int (*set)(unsigned long addr, int nr) = find_symbol(what);

	return set ? set((unsigned long)addr & PAGE_MASK, 1) : -ENOENT;
}

static const void *own_text(void)
{
	unsigned long addr = (unsigned long)long_function;

	/* For objtool, a pointer into a function is a mistake. */
	OPTIMIZER_HIDE_VAR(addr);
	return (void *)PAGE_ALIGN(addr);
}

static int edit_entry(const void *addr)
{
	pte_t *(*lookup)(unsigned long addr, unsigned int *level);
	unsigned int level;
	pte_t *pte;

	lookup = find_symbol("lookup_address");
	if (!lookup)
		return -ENOENT;
	pte = lookup((unsigned long)addr, &level);
	WRITE_ONCE(*pte, __pte(pte_val(*pte) | _PAGE_RW));
	pr_info("entry of level %u\n", level);
	/* For this test it is enough that later page walks see it. */
	return 0;
}

static int __init ownpage_init(void)
{
	small[1] = page[1] = 3;
	if (!strcmp(op, "ro"))
		result = set_memory("set_memory_ro", page);
	else if (!strcmp(op, "np"))
		result = set_memory("set_memory_np", page);
	else if (!strcmp(op, "x"))
		result = set_memory("set_memory_x", page);
	else if (!strcmp(op, "text"))
		result = set_memory("set_memory_rw", own_text());
	else if (!strcmp(op, "entry"))
		result = edit_entry(own_text());
	else if (!strcmp(op, "alias"))
		result = set_memory("set_memory_ro",
				    page_address(vmalloc_to_page(page)));
	else if (!strcmp(op, "shared"))
		result = set_memory("set_memory_ro", small);
	return 0;
}

static void __exit ownpage_exit(void)
{
}

module_init(ownpage_init);
module_exit(ownpage_exit);
MODULE_DESCRIPTION("Changes attributes of its own memory");
MODULE_LICENSE("GPL");
