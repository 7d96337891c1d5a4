// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stops the load of execmem_target behind static keys and static calls, which are
 * initialised then, in front of what ends the text's being fresh. Livepatches know
 * the module already.
 *
 *	/sys/module/execmem_hold/parameters/holds	1: it is stopped; write 0 to
 *							let it go on
 */
#include <linux/module.h>
#include <linux/wait.h>

static bool holds;
static DECLARE_WAIT_QUEUE_HEAD(released);

static int set_holds(const char *val, const struct kernel_param *kp)
{
	int err = param_set_bool(val, kp);

	wake_up(&released);
	return err;
}

static const struct kernel_param_ops holds_ops = {
	.set = set_holds,
	.get = param_get_bool,
};
module_param_cb(holds, &holds_ops, &holds, 0600);
MODULE_PARM_DESC(holds, "a load is stopped");

static int hold(struct notifier_block *self, unsigned long state, void *module)
{
	if (state != MODULE_STATE_COMING || strcmp(((struct module *)module)->name, "execmem_target"))
		return NOTIFY_DONE;
	holds = true;
	/* Not for ever, should the test fail */
	wait_event_timeout(released, !READ_ONCE(holds), 60 * HZ);
	return NOTIFY_OK;
}

static struct notifier_block hold_nb = {
	.notifier_call = hold,
	.priority = INT_MAX,
};

static int __init hold_init(void)
{
	return register_module_notifier(&hold_nb);
}

static void __exit hold_exit(void)
{
	unregister_module_notifier(&hold_nb);
}

module_init(hold_init);
module_exit(hold_exit);
MODULE_DESCRIPTION("Stops the load of a module");
MODULE_LICENSE("GPL");
