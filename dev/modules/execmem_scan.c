// SPDX-License-Identifier: GPL-2.0-only
/*
 * Can what must not be written be written through the direct map?  Read
 *
 *	/sys/module/execmem_scan/parameters/aliases
 *
 * for how many pages of the module region are executable now, and how many have a
 * writable alias: of the executable ones, of those that are read-only and not
 * executable, and of the writable ones (these do, or it does not look).
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <asm/pgtable.h>

struct found {
	unsigned long exec, exec_aliases, ro_aliases, rw_aliases;
};

/*
 * Tables come and go while they are read here, as nothing that could keep them is
 * exported.  So what is gone must not be touched, and counts as not present.
 */
static pteval_t entry_of(unsigned long addr, unsigned int *level)
{
	pte_t *entry = lookup_address(addr, level);
	pteval_t val;

	if (!entry || get_kernel_nofault(val, &entry->pte) || !(val & _PAGE_PRESENT))
		return 0;
	return val;
}

/* The page of frames that an entry maps, whatever its level */
static unsigned long pfn_at(pteval_t val, unsigned int level, unsigned long addr)
{
	unsigned long mask = page_level_size(level) - 1;

	return ((val & PTE_PFN_MASK & ~mask) | (addr & mask)) >> PAGE_SHIFT;
}

/*
 * Whether the page at addr, which val maps, has a writable alias: when it is still
 * the same page after the alias was looked at.
 */
static bool writable_alias(unsigned long addr, pteval_t val, unsigned int level)
{
	unsigned long alias = (unsigned long)pfn_to_kaddr(pfn_at(val, level, addr));
	unsigned int alias_level, again;

	if (!(entry_of(alias, &alias_level) & _PAGE_RW))
		return false;
	return entry_of(addr, &again) == val && again == level;
}

static void look_at(unsigned long addr, pteval_t val, unsigned int level, struct found *found)
{
	bool exec = !(val & _PAGE_NX);

	found->exec += exec;
	if (!writable_alias(addr, val, level))
		return;
	if (exec)
		found->exec_aliases++;
	else if (val & _PAGE_RW)
		found->rw_aliases++;
	else
		found->ro_aliases++;
}

static int get_aliases(char *buffer, const struct kernel_param *kp)
{
	struct found found = {};
	unsigned long addr = MODULES_VADDR;

	while (addr < MODULES_END) {
		unsigned int level;
		pteval_t val = entry_of(addr, &level);

		if (val) {
			look_at(addr, val, level, &found);
			addr += PAGE_SIZE;
		} else {
			addr = ALIGN(addr + 1, page_level_size(level));
		}
		cond_resched();
	}
	return sysfs_emit(buffer, "%lu %lu %lu %lu\n", found.exec, found.exec_aliases,
			  found.ro_aliases, found.rw_aliases);
}

static const struct kernel_param_ops aliases_ops = {
	.get = get_aliases,
};
module_param_cb(aliases, &aliases_ops, NULL, 0400);
MODULE_PARM_DESC(aliases, "executable pages; writable aliases of these, of read-only, of writable ones");

static int __init scan_init(void)
{
	return 0;
}

static void __exit scan_exit(void)
{
}

module_init(scan_init);
module_exit(scan_exit);
MODULE_DESCRIPTION("Looks for writable aliases of code");
MODULE_LICENSE("GPL");
