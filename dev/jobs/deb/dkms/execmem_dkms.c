// SPDX-License-Identifier: GPL-2.0-only
/*
 * An out-of-tree module with each kind of memory: text, also of its init function,
 * read-only data, data, and data that is read-only after init.  Its text is patched when
 * it is loaded (static key, static call, fentry) and when the parameter "fast" is set.
 * "answer" is 42, computed from all of them; with "fast" it is -42.
 */
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/static_call.h>

static const int factors[] = { 2, 3 };
static int from_init __ro_after_init;
static int counter;
static DEFINE_STATIC_KEY_FALSE(fast_key);

static noinline int plus(int x)
{
	return x;
}

static noinline int minus(int x)
{
	return -x;
}

DEFINE_STATIC_CALL(sign, plus);

static int set_fast(const char *val, const struct kernel_param *kp)
{
	static_branch_enable(&fast_key);
	static_call_update(sign, minus);
	return 0;
}

static int get_answer(char *buffer, const struct kernel_param *kp)
{
	bool fast = static_branch_unlikely(&fast_key);

	counter++;
	/* Once without, once with "fast" */
	if (fast != (counter == 2))
		return -EINVAL;
	return sysfs_emit(buffer, "%d\n",
			  static_call(sign)(factors[0] * factors[1] * from_init));
}

static const struct kernel_param_ops fast_ops = { .set = set_fast };
module_param_cb(fast, &fast_ops, NULL, 0200);
static const struct kernel_param_ops answer_ops = { .get = get_answer };
module_param_cb(answer, &answer_ops, NULL, 0400);

static int __init dkms_init(void)
{
	from_init = 7;
	return 0;
}

static void __exit dkms_exit(void)
{
}

module_init(dkms_init);
module_exit(dkms_exit);
MODULE_DESCRIPTION("An out-of-tree module");
MODULE_LICENSE("GPL");
