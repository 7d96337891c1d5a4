// SPDX-License-Identifier: GPL-2.0-only
/*
 * Module notifiers that call functions of execmem_notified.ko. Parameters:
 *
 *	refuse		1: a notifier that is early in the list refuses that module
 *			2: the last one does
 *	known		1 for the key and 1 for the call if they know a site of the module
 *	synced		how often CPUs were synchronized; the guest sets it to 0
 *
 * and what was seen when it was coming last, in the first notifier of all, and going, in
 * one that comes before that of static keys:
 *
 *	coming_synced	synced at that time
 *	coming_key	what its functions returned; the key is true, the call returns 2
 *	coming_call
 *	going_key	the same; the key is false, the call returns 1
 *	going_call
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include "execmem_notify.h"

static int refuse;
module_param(refuse, int, 0600);
static int synced;
module_param(synced, int, 0600);
static int coming_synced, coming_key, coming_call, going_key, going_call;
module_param(coming_synced, int, 0400);
module_param(coming_key, int, 0400);
module_param(coming_call, int, 0400);
module_param(going_key, int, 0400);
module_param(going_call, int, 0400);

DEFINE_STATIC_KEY_FALSE(notify_key);
EXPORT_SYMBOL_GPL(notify_key);

int notify_one(void)
{
	return 1;
}

static int notify_two(void)
{
	return 2;
}

DEFINE_STATIC_CALL(notify_call, notify_one);
EXPORT_STATIC_CALL_GPL(notify_call);

static int known_get(char *buffer, const struct kernel_param *kp)
{
	struct static_call_key *call = &STATIC_CALL_KEY(notify_call);
	bool key_known = notify_key.key.type & JUMP_TYPE_LINKED;
	bool call_known = !(call->type & 1) && call->mods;

	return sysfs_emit(buffer, "%d\n", key_known + call_known);
}

static const struct kernel_param_ops known_ops = { .get = known_get };
module_param_cb(known, &known_ops, NULL, 0400);

/*
 * This is called on each CPU. Nobody else synchronizes CPUs while the guest loads the
 * module.
 */
static int count_sync(struct kprobe *p, struct pt_regs *regs)
{
	if (smp_processor_id() == 0)
		synced++;
	return 0;
}

static struct kprobe probe = {
	.symbol_name = "do_sync_core",
	.pre_handler = count_sync,
};

static bool is_notified(const struct module *mod)
{
	return !strcmp(mod->name, "execmem_notified");
}

/* Call the function that is the argument of a parameter. */
static int call_function(const struct module *mod, const char *name)
{
	for (unsigned int i = 0; i < mod->num_kp; i++)
		if (!strcmp(mod->kp[i].name, name))
			return ((int (*)(void))mod->kp[i].arg)();
	return -ENOENT;
}

static void change(bool on)
{
	if (on)
		static_branch_enable(&notify_key);
	else
		static_branch_disable(&notify_key);
	static_call_update(notify_call, on ? notify_two : notify_one);
}

static int first(struct notifier_block *nb, unsigned long state, void *mod)
{
	if (state != MODULE_STATE_COMING || !is_notified(mod))
		return NOTIFY_DONE;
	coming_synced = synced;
	coming_key = call_function(mod, "key");
	coming_call = call_function(mod, "call");
	return NOTIFY_OK;
}

static int early(struct notifier_block *nb, unsigned long state, void *mod)
{
	if (!is_notified(mod))
		return NOTIFY_DONE;
	if (state == MODULE_STATE_COMING)
		return notifier_from_errno(refuse == 1 ? -EPERM : 0);
	if (state != MODULE_STATE_GOING)
		return NOTIFY_OK;
	change(false);
	going_key = call_function(mod, "key");
	going_call = call_function(mod, "call");
	change(true);
	return NOTIFY_OK;
}

static int last(struct notifier_block *nb, unsigned long state, void *mod)
{
	if (state == MODULE_STATE_COMING && is_notified(mod))
		return notifier_from_errno(refuse == 2 ? -EPERM : 0);
	return NOTIFY_OK;
}

static struct notifier_block blocks[] = {
	{ .notifier_call = first, .priority = INT_MAX },
	{ .notifier_call = early, .priority = 2 },
	{ .notifier_call = last, .priority = INT_MIN },
};

static int __init notify_init(void)
{
	int err = register_kprobe(&probe);

	if (err)
		return err;
	change(true);
	for (int i = 0; i < ARRAY_SIZE(blocks); i++)
		register_module_notifier(&blocks[i]);
	return 0;
}

static void __exit notify_exit(void)
{
	for (int i = 0; i < ARRAY_SIZE(blocks); i++)
		unregister_module_notifier(&blocks[i]);
	unregister_kprobe(&probe);
}

module_init(notify_init);
module_exit(notify_exit);
MODULE_DESCRIPTION("Notifiers that call functions of a module");
MODULE_LICENSE("GPL");
