// SPDX-License-Identifier: GPL-2.0-only
/*
 * A livepatch of execmem_target.c that refers to a variable of it: from text, as an
 * absolute and as a relative address, and from read-only data.  These relocations
 * are written when execmem_target is loaded, which may be long after this module.
 *
 * dev/modules/klp-rela.py makes them what the kernel expects.
 */
#include <linux/livepatch.h>
#include <linux/module.h>

#define SECRET	"\".klp.sym.execmem_target.target_secret,0\""

extern int *const secret_in_rodata;

asm(".weak " SECRET "\n"
    ".pushsection .rodata, \"a\"\n"
    ".balign 8\n"
    "secret_in_rodata: .quad " SECRET "\n"
    ".popsection");

static int patched_value(void)
{
	int *absolute, *relative;

	asm volatile("movabs $" SECRET ", %0" : "=r" (absolute));
	asm volatile("lea " SECRET "(%%rip), %0" : "=r" (relative));
	if (absolute != relative || absolute != READ_ONCE(secret_in_rodata))
		return -1;
	return *absolute;
}

static struct klp_func funcs[] = {
	{
		.old_name = "target_value",
		.new_func = patched_value,
	},
	{ }
};

static struct klp_object objects[] = {
	{
		.name = "execmem_target",
		.funcs = funcs,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objects,
};

static int __init patch_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit patch_exit(void)
{
}

module_init(patch_init);
module_exit(patch_exit);
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Patches execmem_target");
MODULE_LICENSE("GPL");
