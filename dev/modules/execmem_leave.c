// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leaves something behind when it is unloaded, as a driver with a mistake does.
 *
 *	insmod execmem_leave.ko kind=nothing|work|timer|bss ms=TIME
 *
 * work: a work item that calls its text; timer: the same in an interrupt; bss: a work
 * item that is in its .bss.  The addresses of its text and its .bss are parameters.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

static char *kind = "nothing";
module_param(kind, charp, 0);
MODULE_PARM_DESC(kind, "nothing, work, timer or bss");

static unsigned int ms = 3000;
module_param(ms, uint, 0);
MODULE_PARM_DESC(ms, "after how many milliseconds");

static char page[PAGE_SIZE] __aligned(PAGE_SIZE);
static ulong bss = (ulong)page;
module_param(bss, ulong, 0400);
MODULE_PARM_DESC(bss, "address of a page of its .bss");

static noinline void late_work(struct work_struct *work)
{
	pr_info("execmem_leave: late work\n");
}

static noinline void late_timer(struct timer_list *timer)
{
	pr_info("execmem_leave: late timer\n");
}

static ulong text = (ulong)late_work;
module_param(text, ulong, 0400);
MODULE_PARM_DESC(text, "address of a function");

static struct delayed_work in_bss;

static int __init leave_init(void)
{
	struct delayed_work *work = kzalloc(sizeof(*work), GFP_KERNEL);
	struct timer_list *timer = kzalloc(sizeof(*timer), GFP_KERNEL);

	if (!work || !timer)
		return -ENOMEM;
	strscpy(page, "own page", sizeof(page));
	INIT_DELAYED_WORK(work, late_work);
	INIT_DELAYED_WORK(&in_bss, late_work);
	timer_setup(timer, late_timer, 0);
	if (!strcmp(kind, "work"))
		schedule_delayed_work(work, msecs_to_jiffies(ms));
	else if (!strcmp(kind, "bss"))
		schedule_delayed_work(&in_bss, msecs_to_jiffies(ms));
	else if (!strcmp(kind, "timer"))
		mod_timer(timer, jiffies + msecs_to_jiffies(ms));
	/* What is not used is leaked: the machine is up for a minute only. */
	return 0;
}

static void __exit leave_exit(void)
{
}

module_init(leave_init);
module_exit(leave_exit);
MODULE_DESCRIPTION("Leaves something behind");
MODULE_LICENSE("GPL");
