// SPDX-License-Identifier: GPL-2.0-only
/*
 * 500 functions; each can have an ftrace_ops and a kprobe of its own.
 *
 *	echo trace >/sys/module/execmem_many/parameters/do
 *
 * trace, untrace: register the ftrace_ops, each with a trampoline, or unregister them
 * probe, unprobe: the same for kprobes, of which every second can be optimized
 * call: call each function once
 *
 * The parameters traced and probed count the functions whose callbacks were called as
 * often as they had to be.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/objtool.h>

#define TEN(m, n) \
	m(n##0) m(n##1) m(n##2) m(n##3) m(n##4) \
	m(n##5) m(n##6) m(n##7) m(n##8) m(n##9)
#define HUNDRED(m, n) \
	TEN(m, n##0) TEN(m, n##1) TEN(m, n##2) TEN(m, n##3) TEN(m, n##4) \
	TEN(m, n##5) TEN(m, n##6) TEN(m, n##7) TEN(m, n##8) TEN(m, n##9)
#define FIVE_HUNDRED(m) \
	HUNDRED(m, 0) HUNDRED(m, 1) HUNDRED(m, 2) HUNDRED(m, 3) HUNDRED(m, 4)
#define NR_TARGETS 500

/* The probed instruction is long enough for a jump. */
#define DEFINE_FUNCTION(n)						\
extern char probe_##n[];						\
static noinline __noclone int function_##n(int x)			\
{									\
	asm volatile("probe_" #n ": " ANNOTATE_NOENDBR			\
		     "leal 0x10000(%%rax), %0"				\
		     : "=r" (x) : "a" ((long)x));			\
	return x;							\
}
FIVE_HUNDRED(DEFINE_FUNCTION)

struct target {
	int (*function)(int x);
	struct ftrace_ops ops;
	struct kprobe probe;
	unsigned int traced, probed;
};

static void notrace count_traced(unsigned long ip, unsigned long parent_ip,
				 struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	container_of(ops, struct target, ops)->traced++;
}

static int count_probed(struct kprobe *probe, struct pt_regs *regs)
{
	container_of(probe, struct target, probe)->probed++;
	return 0;
}

/* A probe with this handler is not optimized. */
static void after_probed(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

#define DEFINE_TARGET(n) {						\
	.function = function_##n,					\
	.ops = { .func = count_traced },				\
	.probe = { .addr = (kprobe_opcode_t *)probe_##n,		\
		   .pre_handler = count_probed },			\
},
static struct target targets[] = { FIVE_HUNDRED(DEFINE_TARGET) };
static bool is_traced, is_probed;
static unsigned int calls_traced, calls_probed;

/* The freed filters must not be used again. */
static void forget_filter(struct ftrace_ops *ops)
{
	ftrace_free_filter(ops);
	*ops = (struct ftrace_ops) { .func = count_traced };
}

static void untrace(int n)
{
	while (n--) {
		unregister_ftrace_function(&targets[n].ops);
		forget_filter(&targets[n].ops);
	}
	is_traced = false;
}

static int trace(void)
{
	for (int i = 0; i < NR_TARGETS; i++) {
		unsigned long ip = (unsigned long)targets[i].function;
		int err = ftrace_set_filter_ip(&targets[i].ops, ip, 0, 1);

		err = err ?: register_ftrace_function(&targets[i].ops);
		if (err) {
			forget_filter(&targets[i].ops);
			untrace(i);
			return err;
		}
	}
	is_traced = true;
	return 0;
}

static struct kprobe *probes[NR_TARGETS];

static void unprobe(void)
{
	unregister_kprobes(probes, NR_TARGETS);
	is_probed = false;
	for (int i = 0; i < NR_TARGETS; i++) {
		targets[i].probe.flags = 0;
		targets[i].probe.symbol_name = NULL;
	}
}

static int probe(void)
{
	int err;

	for (int i = 0; i < NR_TARGETS; i++) {
		targets[i].probe.post_handler = i % 2 ? after_probed : NULL;
		probes[i] = &targets[i].probe;
	}
	err = register_kprobes(probes, NR_TARGETS);
	is_probed = !err;
	return err;
}

static void call(void)
{
	for (int i = 0; i < NR_TARGETS; i++)
		WARN_ON_ONCE(targets[i].function(i) != i + 0x10000);
	calls_traced += is_traced;
	calls_probed += is_probed;
}

static int do_set(const char *what, const struct kernel_param *kp)
{
	if (sysfs_streq(what, "trace"))
		return is_traced ? -EBUSY : trace();
	if (sysfs_streq(what, "probe"))
		return is_probed ? -EBUSY : probe();
	if (sysfs_streq(what, "untrace") && is_traced)
		untrace(NR_TARGETS);
	else if (sysfs_streq(what, "unprobe") && is_probed)
		unprobe();
	else if (sysfs_streq(what, "call"))
		call();
	else
		return -EINVAL;
	return 0;
}

static const struct kernel_param_ops do_ops = { .set = do_set };
module_param_cb(do, &do_ops, NULL, 0200);
MODULE_PARM_DESC(do, "trace, untrace, probe, unprobe or call");

static int traced_get(char *buffer, const struct kernel_param *kp)
{
	int n = 0;

	for (int i = 0; i < NR_TARGETS; i++)
		n += targets[i].traced == calls_traced;
	return sysfs_emit(buffer, "%d\n", n);
}

static const struct kernel_param_ops traced_ops = { .get = traced_get };
module_param_cb(traced, &traced_ops, NULL, 0400);
MODULE_PARM_DESC(traced, "functions that were traced at each call");

static int probed_get(char *buffer, const struct kernel_param *kp)
{
	int n = 0;

	for (int i = 0; i < NR_TARGETS; i++)
		n += targets[i].probed == calls_probed;
	return sysfs_emit(buffer, "%d\n", n);
}

static const struct kernel_param_ops probed_ops = { .get = probed_get };
module_param_cb(probed, &probed_ops, NULL, 0400);
MODULE_PARM_DESC(probed, "functions whose probe was hit at each call");

static int __init many_init(void)
{
	return 0;
}
module_init(many_init);

static void __exit many_exit(void)
{
	if (is_traced)
		untrace(NR_TARGETS);
	if (is_probed)
		unprobe();
}
module_exit(many_exit);

MODULE_DESCRIPTION("many functions with an ftrace_ops and a kprobe each");
MODULE_LICENSE("GPL");
