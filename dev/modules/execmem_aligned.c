// SPDX-License-Identifier: GPL-2.0-only
/*
 * Something in each kind of memory, for the job align, which changes alignments.
 * It also checks that the bytes between sections are zero, in text and in read-only
 * data, and so is a read-only section without contents.
 */
#include <linux/align.h>
#include <linux/module.h>
#include <linux/string.h>

/*
 * There are two such sections of each kind, in any order. Before the one at the higher
 * address, more than GAP bytes are skipped.
 */
#define FAR	2048
#define GAP	256

static int data = 1, zero;
static const char text[] = "aligned";

static const char far_data1[16] __section(".far_data1") __aligned(FAR) = "1";
static const char far_data2[16] __section(".far_data2") __aligned(FAR) = "2";

static noinline __section(".far_text1") __aligned(FAR) int far_text1(void)
{
	return READ_ONCE(far_data1[0]);
}

static noinline __section(".far_text2") __aligned(FAR) int far_text2(void)
{
	return READ_ONCE(far_data2[0]);
}

asm(".pushsection .empty_rodata,\"a\",@nobits\n"
    "empty_rodata: .skip 512\n"
    ".popsection\n");
extern const char empty_rodata[512];

static bool is_zero(const char *what, const void *addr, size_t size)
{
	const void *wrong = memchr_inv(addr, 0, size);

	if (wrong)
		pr_err("execmem_aligned: %s: byte %td of %zu is %#x\n", what,
		       wrong - addr, size, *(const u8 *)wrong);
	return !wrong;
}

/* There may be padding before a function, in the same section. */
static bool is_gap_zero(const char *what, const void *far1, const void *far2)
{
	unsigned long far = ALIGN_DOWN(max((unsigned long)far1, (unsigned long)far2), FAR);

	return is_zero(what, (void *)far - GAP, GAP);
}

static int __init aligned_init(void)
{
	if (!is_gap_zero("gap in text", far_text1, far_text2) ||
	    !is_gap_zero("gap in read-only data", far_data1, far_data2) ||
	    !is_zero("section without contents", empty_rodata, sizeof(empty_rodata)))
		return -EINVAL;
	zero += data + far_text1() + far_text2() - '1' - '2';
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
