// SPDX-License-Identifier: GPL-2.0-only
/*
 * Touches memory that is not its own, as a driver with a stale pointer does.  Write
 * an address to a file in /sys/module/execmem_touch/parameters:
 *
 *	write	writes a byte, 100 bytes after it
 *	call	calls it
 */
#include <linux/module.h>

static int set_write(const char *val, const struct kernel_param *kp)
{
	unsigned long addr;
	int err = kstrtoul(val, 0, &addr);

	if (!err)
		WRITE_ONCE(((char *)addr)[100], 0x42);
	return err;
}

static int set_call(const char *val, const struct kernel_param *kp)
{
	unsigned long addr;
	int err = kstrtoul(val, 0, &addr);

	if (!err)
		((void (*)(void *))addr)(NULL);
	return err;
}

static const struct kernel_param_ops write_ops = { .set = set_write };
module_param_cb(write, &write_ops, NULL, 0200);
static const struct kernel_param_ops call_ops = { .set = set_call };
module_param_cb(call, &call_ops, NULL, 0200);

static int __init touch_init(void)
{
	return 0;
}

static void __exit touch_exit(void)
{
}

module_init(touch_init);
module_exit(touch_exit);
MODULE_DESCRIPTION("Touches memory of others");
MODULE_LICENSE("GPL");
