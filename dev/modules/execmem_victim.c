// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that writes to all pages of its data, and says in the parameter sum what it
 * found there: the initial value of each byte is 1.
 */
#include <linux/module.h>

static unsigned char data[8 * PAGE_SIZE] = { [0 ... 8 * PAGE_SIZE - 1] = 1 };
static int sum;
module_param(sum, int, 0444);

static int __init victim_init(void)
{
	for (int i = 0; i < sizeof(data); i++)
		sum += data[i]++;
	return 0;
}

static void __exit victim_exit(void)
{
}

module_init(victim_init);
module_exit(victim_exit);
MODULE_DESCRIPTION("Writes to its data");
MODULE_LICENSE("GPL");
