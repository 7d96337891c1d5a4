// SPDX-License-Identifier: GPL-2.0-only
/*
 * One instruction with a lock prefix.  Its first byte can be read, live:
 * /sys/module/execmem_locks/parameters/prefix, 3e on one CPU, f0 on more.
 */
#include <linux/module.h>
#include <linux/objtool.h>
#include <asm/alternative.h>

extern const u8 execmem_locked_insn[];

static int counter;

static noinline void count(void)
{
	asm volatile(ANNOTATE_NOENDBR "execmem_locked_insn = .\n\t"
		     LOCK_PREFIX "incl %0"
		     : "+m" (counter));
}

static int get_prefix(char *buffer, const struct kernel_param *kp)
{
	count();
	return sysfs_emit(buffer, "%02x\n", READ_ONCE(execmem_locked_insn[0]));
}

static const struct kernel_param_ops prefix_ops = {
	.get = get_prefix,
};
module_param_cb(prefix, &prefix_ops, NULL, 0400);
MODULE_PARM_DESC(prefix, "first byte of an instruction with a lock prefix");

static int __init locks_init(void)
{
	return 0;
}

static void __exit locks_exit(void)
{
}

module_init(locks_init);
module_exit(locks_exit);
MODULE_DESCRIPTION("A lock prefix to look at");
MODULE_LICENSE("GPL");
