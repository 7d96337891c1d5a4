// SPDX-License-Identifier: GPL-2.0-only
/* Something in each kind of memory, for the job align, which changes alignments */
#include <linux/module.h>

static int data = 1, zero;
static const char text[] = "aligned";

static int __init aligned_init(void)
{
	zero += data;
	pr_info("%s: %d\n", text, zero);
	return 0;
}

static void __exit aligned_exit(void)
{
	pr_info("%s: %d\n", text, ++zero);
}

module_init(aligned_init);
module_exit(aligned_exit);
module_param(data, int, 0600);
MODULE_PARM_DESC(data, "added to zero");
MODULE_DESCRIPTION("A module whose sections are aligned in strange ways");
MODULE_LICENSE("GPL");
