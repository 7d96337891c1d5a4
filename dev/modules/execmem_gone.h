/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A function at the same place in execmem_gone_a.ko and execmem_gone_b.ko, whose second
 * instructions differ in the opcode only.  If a probe in the first module makes the kernel
 * take the opcode of the first for that of the second, the function returns 0.
 */
#include <linux/module.h>

/* Where the first of these instructions is in the function */
extern int execmem_gone_offset;
module_param_named(offset, execmem_gone_offset, int, 0444);

__attribute__((noipa)) int execmem_gone_target(int ecx);
int execmem_gone_target(int ecx)
{
	int eax;

	asm volatile("1: nop\n"
		     "	movl $1, %%" SECOND_REGISTER "\n"
		     "	movl %%ecx, %%eax\n"
		     ".pushsection .data\n"
		     "execmem_gone_offset:\n"
		     "	.long 1b - execmem_gone_target\n"
		     ".popsection\n"
		     : "=a" (eax), "+c" (ecx));
	return eax;
}

static int result_get(char *buffer, const struct kernel_param *kp)
{
	return sprintf(buffer, "%d\n", execmem_gone_target(0));
}

static const struct kernel_param_ops result_ops = { .get = result_get };
module_param_cb(result, &result_ops, NULL, 0444);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A function that is in two modules");
