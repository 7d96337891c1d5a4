/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A module with a function that takes CPU time, little text and much data. The file
 * that includes this defines HOT, its last letter:
 *
 *	echo MILLISECONDS >/sys/module/execmem_hot_HOT/parameters/run
 */
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/sched.h>

#define HOT_NAME(letter)	hot_function_##letter
#define HOT_FUNCTION(letter)	HOT_NAME(letter)
#define hot_function		HOT_FUNCTION(HOT)

/* So that the sum of all memory of the module is much larger than its text */
static unsigned long hot_table[8192] = { 1 };

static noinline unsigned long hot_function(unsigned long sum)
{
	for (int i = 0; i < 200000; i++)
		sum = (sum ^ READ_ONCE(hot_table[i % ARRAY_SIZE(hot_table)])) * 31;
	return sum;
}

static int run(const char *val, const struct kernel_param *kp)
{
	unsigned long until;
	unsigned int ms;
	int err = kstrtouint(val, 0, &ms);

	if (err)
		return err;
	until = jiffies + msecs_to_jiffies(ms);
	while (time_before(jiffies, until)) {
		WRITE_ONCE(hot_table[1], hot_function(jiffies));
		cond_resched();
	}
	return 0;
}

static const struct kernel_param_ops run_ops = { .set = run };
module_param_cb(run, &run_ops, NULL, 0200);
MODULE_PARM_DESC(run, "take CPU time, for so many milliseconds");

MODULE_DESCRIPTION("A module that takes CPU time");
MODULE_LICENSE("GPL");
