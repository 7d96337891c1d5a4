// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of all modules, as their struct module has it, which debuggers read:
 *
 *	/sys/kernel/debug/execmem_ranges	lines "NAME TYPE START SIZE"
 *	cover=BYTES	plants an error: the text of this module is larger by so much,
 *			and covers what lies after it
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/rculist.h>
#include <linux/seq_file.h>

static unsigned int cover;
module_param(cover, uint, 0400);
MODULE_PARM_DESC(cover, "how far the text of this module seems to reach beyond its end");

static struct dentry *file;

static void show_module(struct seq_file *m, struct module *mod)
{
	static const char * const names[MOD_MEM_NUM_TYPES] = {
		[MOD_TEXT]		= "text",
		[MOD_DATA]		= "data",
		[MOD_RODATA]		= "rodata",
		[MOD_RO_AFTER_INIT]	= "ro_after_init",
		[MOD_INIT_TEXT]		= "init_text",
		[MOD_INIT_DATA]		= "init_data",
		[MOD_INIT_RODATA]	= "init_rodata",
	};

	if (mod->state == MODULE_STATE_UNFORMED)
		return;
	for_each_mod_mem_type(type)
		if (mod->mem[type].size)
			seq_printf(m, "%s %s 0x%px %u\n", mod->name, names[type],
				   mod->mem[type].base, mod->mem[type].size);
}

static int ranges_show(struct seq_file *m, void *unused)
{
	struct list_head *entry = &THIS_MODULE->list;

	rcu_read_lock();
	do {
		/* The head of the list is in the image of the kernel. */
		if ((unsigned long)entry >= MODULES_VADDR)
			show_module(m, list_entry(entry, struct module, list));
		entry = rcu_dereference(list_next_rcu(entry));
	} while (entry != &THIS_MODULE->list);
	rcu_read_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(ranges);

static int __init ranges_init(void)
{
	THIS_MODULE->mem[MOD_TEXT].size += cover;
	file = debugfs_create_file("execmem_ranges", 0400, NULL, NULL, &ranges_fops);
	return 0;
}

static void __exit ranges_exit(void)
{
	debugfs_remove(file);
	THIS_MODULE->mem[MOD_TEXT].size -= cover;
}

module_init(ranges_init);
module_exit(ranges_exit);
MODULE_DESCRIPTION("Shows the memory of all modules");
MODULE_LICENSE("GPL");
