// SPDX-License-Identifier: GPL-2.0-only
/*
 * Touches memory that is not its own, as a driver with a stale pointer does.  Write
 * an address to a file in /sys/module/execmem_touch/parameters:
 *
 *	write	writes a byte, 100 bytes after it
 *	call	calls it
 *	hold	takes a reference to the page there; 0 drops it
 *
 * held shows the text at the start of that page.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

static struct page *page;

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

static int set_hold(const char *val, const struct kernel_param *kp)
{
	unsigned long addr;
	int err = kstrtoul(val, 0, &addr);

	if (err)
		return err;
	if (page)
		put_page(page);
	page = addr ? vmalloc_to_page((void *)addr) : NULL;
	if (page)
		get_page(page);
	return 0;
}

static int get_held(char *buffer, const struct kernel_param *kp)
{
	char *text;
	int len;

	if (!page)
		return sysfs_emit(buffer, "nothing\n");
	text = kmap_local_page(page);
	len = sysfs_emit(buffer, "%.20s\n", text);
	kunmap_local(text);
	return len;
}

static const struct kernel_param_ops write_ops = { .set = set_write };
module_param_cb(write, &write_ops, NULL, 0200);
static const struct kernel_param_ops call_ops = { .set = set_call };
module_param_cb(call, &call_ops, NULL, 0200);
static const struct kernel_param_ops hold_ops = { .set = set_hold };
module_param_cb(hold, &hold_ops, NULL, 0200);
static const struct kernel_param_ops held_ops = { .get = get_held };
module_param_cb(held, &held_ops, NULL, 0400);

static int __init touch_init(void)
{
	return 0;
}

static void __exit touch_exit(void)
{
	if (page)
		put_page(page);
}

module_init(touch_init);
module_exit(touch_exit);
MODULE_DESCRIPTION("Touches memory of others");
MODULE_LICENSE("GPL");
