// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of the room in the kernel image, for a kernel that was booted with
 * execmem=room.
 *
 * The room is opened when the kernel has booted, which is after suites of the
 * kernel image run. Then nothing may be in it. To test it when it is open, write
 * to /sys/kernel/debug/kunit/execmem_room/run.
 */

#include <kunit/test.h>
#include <linux/filter.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/memory.h>
#include <linux/thread_info.h>

#include <asm/alternative.h>
#include <asm/ibt.h>
#include <asm/text-patching.h>

#include "../mm/execmem_internal.h"

#define SIZE	256

static int need_room(struct kunit *test)
{
	if (!text_room_size)
		kunit_skip(test, "there is no room");
	kunit_info(test, "the room is %s\n", execmem_room() ? "open" : "closed");
	return 0;
}

static void *take(struct kunit *test, enum execmem_type type)
{
	void *ptr = execmem_alloc(type, SIZE);

	KUNIT_ASSERT_NOT_NULL(test, ptr);
	return ptr;
}

static unsigned long last_byte(void)
{
	return text_room_start + text_room_size - 1;
}

/* Text before and after it is code of vmlinux, and nothing in it is. */
static void room_is_not_vmlinux(struct kunit *test)
{
	unsigned long addrs[] = { text_room_start, text_room_start + SIZE, last_byte() };

	for (int i = 0; i < ARRAY_SIZE(addrs); i++) {
		KUNIT_EXPECT_TRUE(test, is_text_room(addrs[i]));
		KUNIT_EXPECT_FALSE(test, core_kernel_text(addrs[i]));
		KUNIT_EXPECT_FALSE(test, is_kernel_text(addrs[i]));
		KUNIT_EXPECT_FALSE(test, is_ksym_addr(addrs[i]));
		KUNIT_EXPECT_TRUE(test, kernel_image_text(addrs[i]));
	}
	KUNIT_EXPECT_FALSE(test, is_text_room(text_room_start - 1));
	KUNIT_EXPECT_TRUE(test, core_kernel_text(text_room_start - 1));
	KUNIT_EXPECT_FALSE(test, is_text_room(last_byte() + 1));
	KUNIT_EXPECT_TRUE(test, core_kernel_text(last_byte() + 1));
	KUNIT_EXPECT_TRUE(test, kernel_image_text(last_byte() + 1));
}

/* The name of the last function before it is not used for addresses in it. */
static void room_has_no_symbols(struct kunit *test)
{
	char name[KSYM_SYMBOL_LEN];

	sprint_symbol(name, last_byte());
	KUNIT_EXPECT_EQ(test, strncmp(name, "0x", 2), 0);
	sprint_symbol(name, text_room_start - 1);
	KUNIT_EXPECT_NE(test, strncmp(name, "0x", 2), 0);
}

/* Modules and classic BPF are elsewhere, and before it is open all is. */
static void room_takes_bpf_only(struct kunit *test)
{
	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		void *ptr = take(test, type);

		KUNIT_EXPECT_EQ_MSG(test, is_text_room((unsigned long)ptr),
				    execmem_room() && type == EXECMEM_BPF,
				    "%s", execmem_type_name(type));
		execmem_free(ptr);
	}
	if (execmem_room())
		KUNIT_EXPECT_EQ(test, execmem_pool_check(execmem_room()), 0);
}

static void room_is_filled_and_trapped(struct kunit *test)
{
	u8 *code = take(test, EXECMEM_BPF), written[SIZE], trap[SIZE];
	struct execmem_area area;

	memset(trap, 0xcc, SIZE);
	memset(written, 0x90, SIZE);
	KUNIT_EXPECT_MEMEQ(test, code, trap, SIZE);
	KUNIT_EXPECT_EQ(test, execmem_publish(code, written, SIZE), 0);
	KUNIT_EXPECT_MEMEQ(test, code, written, SIZE);
	KUNIT_EXPECT_TRUE(test, execmem_lookup((unsigned long)code + 1, &area));
	KUNIT_EXPECT_EQ(test, area.start, (unsigned long)code);
	execmem_free(code);
	KUNIT_EXPECT_FALSE(test, execmem_lookup((unsigned long)code, &area));
	/* Elsewhere, it may be unmapped now. */
	if (is_text_room((unsigned long)code))
		KUNIT_EXPECT_MEMEQ(test, code, trap, SIZE);
}

/* Hardened usercopy would not return. */
static void room_can_be_dumped(struct kunit *test)
{
	void *code = take(test, EXECMEM_BPF);

	check_object_size(code, SIZE, true);
	execmem_free(code);
}

/* Not even the owner of whole pages may split the huge page of the image. */
static void room_keeps_its_mapping(struct kunit *test)
{
	void *code = execmem_alloc_aligned(EXECMEM_BPF, PAGE_SIZE, PAGE_SIZE);

	KUNIT_ASSERT_NOT_NULL(test, code);
	if (execmem_room())
		KUNIT_EXPECT_EQ(test, execmem_change_begin((unsigned long)code,
							   PAGE_SIZE), -EPERM);
	execmem_free(code);
}

/* With call depth tracking: what is before a program is not a place for a thunk. */
static void room_has_no_call_thunks(struct kunit *test)
{
	u8 *code = take(test, EXECMEM_BPF), nops[SIZE];

	memset(nops, 0x90, SIZE);
	KUNIT_EXPECT_EQ(test, execmem_publish(code, nops, SIZE), 0);
	mutex_lock(&text_mutex);
	KUNIT_EXPECT_PTR_EQ(test, callthunks_translate_call_dest(code + SIZE / 2),
			    (void *)code + SIZE / 2);
	mutex_unlock(&text_mutex);
	KUNIT_EXPECT_MEMEQ(test, code, nops, SIZE);
	execmem_free(code);
}

KUNIT_DEFINE_ACTION_WRAPPER(free_prog, bpf_prog_free, struct bpf_prog *);

/* A program that returns 0, with a symbol. Skip the case if it is not JITed. */
static struct bpf_prog *make_program(struct kunit *test)
{
	static const struct bpf_insn insns[] = {
		BPF_MOV64_IMM(BPF_REG_0, 0),
		BPF_EXIT_INSN(),
	};
	struct bpf_prog *prog;
	int err = 0;

	prog = bpf_prog_alloc(bpf_prog_size(ARRAY_SIZE(insns)), 0);
	KUNIT_ASSERT_NOT_NULL(test, prog);
	prog->len = ARRAY_SIZE(insns);
	prog->type = BPF_PROG_TYPE_SOCKET_FILTER;
	memcpy(prog->insnsi, insns, sizeof(insns));
	prog = bpf_prog_select_runtime(prog, &err);
	KUNIT_ASSERT_EQ(test, err, 0);
	err = kunit_add_action_or_reset(test, free_prog, prog);
	KUNIT_ASSERT_EQ(test, err, 0);
	if (!prog->jited)
		kunit_skip(test, "the JIT is off");
	return prog;
}

/* As in any program: nobody would remove the probe when the program goes. */
static void room_has_no_kprobes(struct kunit *test)
{
	struct bpf_prog *prog = make_program(test);
	/* Not at the start, which is refused for another reason, too */
	void *addr = (void *)prog->bpf_func + ENDBR_INSN_SIZE + CALL_INSN_SIZE;
	struct kprobe probe = { .addr = addr };
	int err;

	KUNIT_EXPECT_EQ(test, is_text_room((unsigned long)prog->bpf_func),
			!!execmem_room());
	bpf_prog_kallsyms_add(prog);
	err = register_kprobe(&probe);
	KUNIT_EXPECT_EQ(test, err, -EINVAL);
	if (!err)
		unregister_kprobe(&probe);
	bpf_prog_kallsyms_del(prog);
}

static struct kunit_case room_cases[] = {
	KUNIT_CASE(room_is_not_vmlinux),
	KUNIT_CASE(room_has_no_symbols),
	KUNIT_CASE(room_takes_bpf_only),
	KUNIT_CASE(room_is_filled_and_trapped),
	KUNIT_CASE(room_can_be_dumped),
	KUNIT_CASE(room_keeps_its_mapping),
	KUNIT_CASE(room_has_no_call_thunks),
	KUNIT_CASE(room_has_no_kprobes),
	{}
};

static struct kunit_suite room_suite = {
	.name = "execmem_room",
	.init = need_room,
	.test_cases = room_cases,
};

kunit_test_suite(room_suite);

MODULE_DESCRIPTION("KUnit suite of BPF programs in the kernel image");
MODULE_LICENSE("GPL");
