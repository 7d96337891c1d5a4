// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions whose text depends on a static key and a static call of another module.
 * execmem_notify.ko finds them as the arguments of parameters, and calls them while this
 * module is coming or going.
 */
#include <linux/module.h>
#include "execmem_notify.h"

static noinline int notified_key(void)
{
	return static_branch_unlikely(&notify_key) ? 1 : 0;
}

static noinline int notified_call(void)
{
	return static_call(notify_call)();
}

static const struct kernel_param_ops none;
module_param_cb(key, &none, notified_key, 0);
MODULE_PARM_DESC(key, "not a parameter: its argument is a function");
module_param_cb(call, &none, notified_call, 0);
MODULE_PARM_DESC(call, "not a parameter: its argument is a function");

static int __init notified_init(void)
{
	return 0;
}

static void __exit notified_exit(void)
{
}

module_init(notified_init);
module_exit(notified_exit);
MODULE_DESCRIPTION("Its functions are called while it is coming and going");
MODULE_LICENSE("GPL");
