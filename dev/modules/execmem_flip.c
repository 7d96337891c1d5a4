// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a CPU execute a breakpoint that text patching has replaced already?
 *
 *	echo SECONDS >/sys/module/execmem_flip/parameters/run
 *
 * flips a static key for that time, while threads execute code that has it. Text
 * patching writes a breakpoint first and replaces it last, and interrupts all CPUs
 * after each write. So if a CPU traps at an address where memory has another
 * instruction, and text patching no longer knows the address, then it executed what is
 * not there any more. Without this module, that is an oops. This module counts it and
 * does the instruction that memory has. If that is a breakpoint again, the key is being
 * changed again, and the CPU executes it again.
 *
 *	flips	how often the key was changed
 *	here	how often that happened in the code of this module, once for each place
 *		and change
 *	anew	how often it found a breakpoint in memory, at which the CPU went on
 *	other	how often it happened elsewhere
 *	threads	how many execute the code
 *	gap	microseconds from one change to the next
 *	oops	if set, nothing is counted, and the kernel oopses
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/jump_label.h>
#include <linux/kdebug.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/task.h>
#include <asm/text-patching.h>

#define MAX_THREADS	8
/* Not forever: an error of text patching would look like this, too. */
#define MAX_ANEW	100000

static DEFINE_STATIC_KEY_FALSE(key);

static unsigned int flips;
module_param(flips, uint, 0444);
static atomic_t in_module, written_anew, elsewhere;
module_param_named(here, in_module.counter, int, 0444);
module_param_named(anew, written_anew.counter, int, 0444);
module_param_named(other, elsewhere.counter, int, 0444);
static unsigned int threads = 2;
module_param(threads, uint, 0444);
static unsigned int gap = 1000;
module_param(gap, uint, 0444);
static bool oops;
module_param(oops, bool, 0444);

/* What is in memory now, in the middle of text patching perhaps */
static u8 byte_at(unsigned long ip)
{
	return READ_ONCE(*(u8 *)ip);
}

/*
 * Do the jump, the call or the nop at ip. Static keys, static calls and ftrace use no
 * other instructions, and nops of 2 and of 5 bytes only.
 */
static bool emulate(struct pt_regs *regs, unsigned long ip)
{
	u16 word = byte_at(ip) | byte_at(ip + 1) << 8;

	if (word == 0x9066)
		int3_emulate_jmp(regs, ip + 2);
	else if (word == 0x1f0f)
		int3_emulate_jmp(regs, ip + 5);
	else if ((u8)word == JMP8_INSN_OPCODE)
		int3_emulate_jmp(regs, ip + JMP8_INSN_SIZE + (s8)(word >> 8));
	else if ((u8)word == JMP32_INSN_OPCODE)
		int3_emulate_jmp(regs, ip + JMP32_INSN_SIZE + *(s32 *)(ip + 1));
	else if ((u8)word == CALL_INSN_OPCODE)
		int3_emulate_call(regs, ip + CALL_INSN_SIZE + *(s32 *)(ip + 1));
	else
		return false;
	return true;
}

/* A CPU that does this does it again and again until the next change. */
static void count(unsigned long ip)
{
	static unsigned int last[PAGE_SIZE];
	unsigned int now = READ_ONCE(flips);

	if (!within_module(ip, THIS_MODULE))
		atomic_inc(&elsewhere);
	else if (xchg(&last[offset_in_page(ip)], now) != now)
		atomic_inc(&in_module);
}

/*
 * A breakpoint in the code of this module is there because of a change, which the CPU
 * holds up as long as it is in here. So text patching knows it the next time.
 */
static bool execute_again(struct pt_regs *regs, unsigned long ip)
{
	if (!within_module(ip, THIS_MODULE) ||
	    atomic_inc_return(&written_anew) > MAX_ANEW)
		return false;
	int3_emulate_jmp(regs, ip);
	return true;
}

static int trapped(struct notifier_block *nb, unsigned long event, void *data)
{
	struct pt_regs *regs = ((struct die_args *)data)->regs;
	unsigned long ip = regs->ip - INT3_INSN_SIZE;

	if (event != DIE_INT3 || user_mode(regs))
		return NOTIFY_DONE;
	if (emulate(regs, ip))
		count(ip);
	else if (byte_at(ip) != INT3_INSN_OPCODE || !execute_again(regs, ip))
		return NOTIFY_DONE;
	return NOTIFY_STOP;
}

static struct notifier_block trap_nb = {
	.notifier_call = trapped,
	.priority = INT_MAX - 1,
};

/* The more places, the more of them are executed while they are written. */
#define PLACE		do { if (static_branch_unlikely(&key)) x = x * 31 + 1; x++; } while (0)
#define PLACES_4	do { PLACE; PLACE; PLACE; PLACE; } while (0)
#define PLACES_16	do { PLACES_4; PLACES_4; PLACES_4; PLACES_4; } while (0)

static noinline unsigned long flipped_code(unsigned long x)
{
	PLACES_16;
	PLACES_16;
	PLACES_16;
	PLACES_16;
	return x;
}

static int executes(void *unused)
{
	unsigned long x = 0;

	while (!kthread_should_stop()) {
		for (int i = 0; i < 1000; i++)
			x = flipped_code(x);
		cond_resched();
	}
	return x == 1;		/* so that it is needed */
}

static void flip_until(unsigned long end)
{
	while (time_before(jiffies, end)) {
		WRITE_ONCE(flips, flips + 1);
		if (flips & 1)
			static_branch_enable(&key);
		else
			static_branch_disable(&key);
		usleep_range(gap, gap + gap / 2);
	}
}

static int run(const char *val, const struct kernel_param *kp)
{
	struct task_struct *task[MAX_THREADS];
	unsigned int i, nr = min(threads, MAX_THREADS), seconds;
	int err = kstrtouint(val, 0, &seconds);

	if (err)
		return err;
	for (i = 0; i < nr; i++) {
		task[i] = kthread_run(executes, NULL, "flip/%u", i);
		if (IS_ERR(task[i]))
			break;
		/* One that oopses is waited for, too. */
		get_task_struct(task[i]);
	}
	if (i == nr)
		flip_until(jiffies + seconds * HZ);
	else
		err = PTR_ERR(task[i]);
	while (i--)
		kthread_stop_put(task[i]);
	return err;
}

static const struct kernel_param_ops run_ops = { .set = run };
module_param_cb(run, &run_ops, NULL, 0200);

static int __init flip_init(void)
{
	return oops ? 0 : register_die_notifier(&trap_nb);
}

static void __exit flip_exit(void)
{
	if (!oops)
		unregister_die_notifier(&trap_nb);
}

module_init(flip_init);
module_exit(flip_exit);
MODULE_DESCRIPTION("Flips a static key while its code is executed");
MODULE_LICENSE("GPL");
