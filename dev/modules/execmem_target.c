// SPDX-License-Identifier: GPL-2.0-only
/*
 * A function that execmem_patch.c patches, and data that the patch refers to:
 * /sys/module/execmem_target/parameters/value is 1, and 42 when patched.
 */
#include <linux/module.h>

static int target_secret __used = 42;

static noinline int target_value(void)
{
	return 1;
}

static int get_value(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", target_value());
}

static const struct kernel_param_ops value_ops = {
	.get = get_value,
};
module_param_cb(value, &value_ops, NULL, 0400);
MODULE_PARM_DESC(value, "what a function returns that is patched");

static int __init target_init(void)
{
	return 0;
}

static void __exit target_exit(void)
{
}

module_init(target_init);
module_exit(target_exit);
MODULE_DESCRIPTION("Is patched by execmem_patch");
MODULE_LICENSE("GPL");
