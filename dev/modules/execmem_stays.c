// SPDX-License-Identifier: GPL-2.0-only
/* A module that can only be unloaded by force: it has no exit function. */
#include <linux/module.h>

static int __init stays_init(void)
{
	return 0;
}

module_init(stays_init);
MODULE_DESCRIPTION("Stays until it is forced to go");
MODULE_LICENSE("GPL");
