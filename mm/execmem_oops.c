// SPDX-License-Identifier: GPL-2.0
/*
 * Names the unloaded module in an oops that its memory caused.
 *
 * Code that runs into such memory traps while the memory rests, and a pointer
 * that was read from it is poison. An oops shows an address that belongs to no
 * module any more. So this adds lines that name the module.
 *
 * Only x86-64 has modules in shared blocks, so only its events are handled.
 */

#include <linux/kdebug.h>
#include <linux/notifier.h>
#include <linux/ptrace.h>

#include "execmem_internal.h"

/* Several registers may point to the same memory. */
#define MAX_LINES	3

/* Returns true if @addr is in memory that rests. */
static bool report_address(const char *what, unsigned long addr)
{
	struct execmem_resting resting;

	if (!execmem_pool_resting_at(addr, &resting))
		return false;
	pr_emerg("execmem: %s %s+%#lx of module %s, which was unloaded %u ms ago\n",
		 what, execmem_type_name(resting.type), resting.offset,
		 resting.owner, resting.age_ms);
	return true;
}

/*
 * Look at all saved registers. Which of them an address is in does not matter,
 * so this need not know their names.
 */
static void report_registers(struct pt_regs *regs)
{
	const unsigned long *reg = (const unsigned long *)regs;
	unsigned int lines = 0;

	for (size_t i = 0; i < sizeof(*regs) / sizeof(*reg); i++) {
		lines += report_address("a register points to", reg[i]);
		if (lines == MAX_LINES)
			return;
	}
}

/*
 * Where execution continues after a call of text that rests. This oopses in the
 * context of the call. An oops in the handler of the breakpoint itself, which
 * is entered like an NMI, would always be a panic.
 */
static noinline __noreturn void execmem_unloaded_text(void)
{
	__builtin_trap();
}

/* Returns true if the breakpoint is in text that rests. */
static bool handle_breakpoint(struct pt_regs *regs)
{
	if (!report_address("execution of", instruction_pointer(regs) - 1))
		return false;
	instruction_pointer_set(regs, (unsigned long)execmem_unloaded_text);
	return true;
}

static int handle_event(struct notifier_block *self, unsigned long event,
			void *data)
{
	struct pt_regs *regs = ((struct die_args *)data)->regs;

	if (!regs || user_mode(regs))
		return NOTIFY_DONE;
	if (event == DIE_INT3 && handle_breakpoint(regs))
		return NOTIFY_STOP;
	if (event == DIE_OOPS)
		report_registers(regs);
	return NOTIFY_DONE;
}

static struct notifier_block oops_nb = {
	.notifier_call = handle_event,
};

static int __init execmem_oops_init(void)
{
	return register_die_notifier(&oops_nb);
}
subsys_initcall(execmem_oops_init);
