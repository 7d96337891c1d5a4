// SPDX-License-Identifier: GPL-2.0
/*
 * Tables of architectures and boot parameters.
 */

#include "tests.h"

/* Boot with a table in which one member of one entry was changed. */
#define BOOTS_WITH(_type, _member, _value)				\
({									\
	arch_table = mixed_table(SMALL);				\
	arch_table->ranges[_type]._member = (_value);			\
	kernel_reset();							\
	kernel_boot();							\
})

static void test_boot_without_table(void)
{
	unsigned long a;

	arch_table = NULL;
	EXPECT(kernel_boot());
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++)
		EXPECT(!execmem_pool_of(i)->shared);
	EXPECT(execmem_pool_of(EXECMEM_BPF_CLASSIC) ==
	       execmem_pool_of(EXECMEM_BPF));
	a = alloc_of(EXECMEM_BPF_CLASSIC, 1);
	EXPECT(PAGE_ALIGNED(a));
	release(a);
}

/* A table without shared types, as most architectures have */
static void test_boot_with_default_only(void)
{
	static struct execmem_info info;

	info = (struct execmem_info) {};
	info.ranges[EXECMEM_DEFAULT] = (struct execmem_range) {
		.start = VMALLOC_START,
		.end = VMALLOC_START + SZ_4M,
		.pgprot = PAGE_KERNEL_EXEC,
		.alignment = PAGE_SIZE,
	};
	arch_table = &info;
	EXPECT(kernel_boot());
	EXPECT(execmem_pool_of(EXECMEM_FTRACE) !=
	       execmem_pool_of(EXECMEM_DEFAULT));
	EXPECT(pgprot_val(execmem_pool_of(EXECMEM_BPF)->range->pgprot) ==
	       pgprot_val(PAGE_KERNEL_EXEC));
	EXPECT(pgprot_val(execmem_pool_of(EXECMEM_MODULE_DATA)->range->pgprot) ==
	       pgprot_val(PAGE_KERNEL));
	release(alloc_of(EXECMEM_KPROBES, PAGE_SIZE));
}

static void test_boot_merges_types(void)
{
	start_small();
	EXPECT(execmem_pool_of(EXECMEM_KPROBES) ==
	       execmem_pool_of(EXECMEM_MODULE_TEXT));
	EXPECT(execmem_pool_of(EXECMEM_BPF_CLASSIC) ==
	       execmem_pool_of(EXECMEM_BPF));
	EXPECT(wants_flush(EXECMEM_BPF_CLASSIC) && !wants_flush(EXECMEM_BPF));
}

/*
 * Reproducer: classic BPF was merged into BPF, although BPF was merged itself.
 */
static void test_boot_merges_bpf(void)
{
	arch_table = mixed_table(SMALL);
	arch_table->ranges[EXECMEM_BPF] = (struct execmem_range) {
		.flags = EXECMEM_MERGE,
		.mapto = EXECMEM_MODULE_TEXT,
	};
	EXPECT(kernel_boot());
	EXPECT(execmem_pool_of(EXECMEM_BPF_CLASSIC) ==
	       execmem_pool_of(EXECMEM_MODULE_TEXT));
	EXPECT(wants_flush(EXECMEM_BPF_CLASSIC));
}

/* Types of module memory that are missing in a table get text or data pages. */
static void test_boot_relatives(void)
{
	start_small();
	EXPECT(execmem_pool_of(EXECMEM_MODULE_INIT_TEXT) ==
	       execmem_pool_of(EXECMEM_MODULE_TEXT));
	for (int i = EXECMEM_MODULE_RODATA; i < EXECMEM_TYPE_MAX; i++)
		EXPECT(execmem_pool_of(i) ==
		       execmem_pool_of(EXECMEM_MODULE_DATA));
	EXPECT(!wants_flush(EXECMEM_MODULE_INIT_TEXT));
}

/*
 * Module text is shared only with huge pages, and BPF is merged into it then.
 */
static struct execmem_info *huge_only_table(void)
{
	struct execmem_info *info = mixed_table(SMALL);

	info->ranges[EXECMEM_MODULE_TEXT].flags |= EXECMEM_HUGE_ONLY;
	info->ranges[EXECMEM_BPF].flags |= EXECMEM_MERGE;
	info->ranges[EXECMEM_BPF].mapto = EXECMEM_MODULE_TEXT;
	return info;
}

static void test_boot_huge_only(void)
{
	arch_table = huge_only_table();
	EXPECT(kernel_boot());
	EXPECT(execmem_is_shared(EXECMEM_MODULE_TEXT));
	EXPECT(execmem_pool_of(EXECMEM_BPF) ==
	       execmem_pool_of(EXECMEM_MODULE_TEXT));
	EXPECT(execmem_pool_of(EXECMEM_BPF_CLASSIC) ==
	       execmem_pool_of(EXECMEM_MODULE_TEXT));
}

static void test_boot_huge_only_without_huge(void)
{
	unsigned long a;

	EXPECT(!param_parse_execmem("off"));
	arch_table = huge_only_table();
	EXPECT(kernel_boot());
	EXPECT(!execmem_is_shared(EXECMEM_MODULE_TEXT));
	EXPECT(!execmem_is_readonly(EXECMEM_MODULE_TEXT));
	EXPECT(execmem_is_shared(EXECMEM_BPF));
	EXPECT(execmem_pool_of(EXECMEM_BPF)->type == EXECMEM_BPF);
	EXPECT(execmem_pool_of(EXECMEM_BPF_CLASSIC) ==
	       execmem_pool_of(EXECMEM_BPF));
	EXPECT(execmem_pool_of(EXECMEM_MODULE_INIT_TEXT) ==
	       execmem_pool_of(EXECMEM_MODULE_TEXT));
	a = alloc_of(EXECMEM_MODULE_TEXT, 100);
	EXPECT(PAGE_ALIGNED(a));
	release(a);
}

static bool boots_with_seal(unsigned int alignment, int flags,
			    int (*invalidate)(void *dst, size_t len))
{
	struct execmem_range *r;

	arch_table = mixed_table(SMALL);
	r = &arch_table->ranges[EXECMEM_MODULE_TEXT];
	r->alignment = alignment;
	r->flags = flags;
	r->invalidate = invalidate;
	r->seal = hook_seal;
	kernel_reset();
	return kernel_boot();
}

/* A seal hook requires whole base pages and an invalidate hook. */
static void test_boot_rejects_bad_seal(void)
{
	EXPECT(boots_with_seal(PAGE_SIZE, 0, hook_invalidate));
	EXPECT(!boots_with_seal(PAGE_SIZE / 2, 0, hook_invalidate));
	EXPECT(!boots_with_seal(PAGE_SIZE, EXECMEM_HUGE, hook_invalidate));
	EXPECT(!boots_with_seal(PAGE_SIZE, 0, NULL));
	/* Not shared, so invalidate would never be called to undo it. */
	EXPECT(!boots_with_seal(SZ_64K, 0, hook_invalidate));
}

static void test_boot_rejects_bad_table(void)
{
	const enum execmem_type text = EXECMEM_MODULE_TEXT;

	EXPECT(!BOOTS_WITH(text, start, 0));
	EXPECT(!BOOTS_WITH(text, end, 0));
	EXPECT(!BOOTS_WITH(text, pgprot, (pgprot_t) { 0 }));
	EXPECT(!BOOTS_WITH(text, alignment, 0));
	EXPECT(!BOOTS_WITH(text, alignment, 96));
	EXPECT(!BOOTS_WITH(text, granularity, SZ_64K + 1));
	EXPECT(!BOOTS_WITH(text, granularity, 3 * SZ_64K));
	EXPECT(!BOOTS_WITH(text, fill, NULL));
	EXPECT(!BOOTS_WITH(text, invalidate, NULL));
	EXPECT(!BOOTS_WITH(text, flags, EXECMEM_EXEC));
	EXPECT(!BOOTS_WITH(text, seal, hook_seal));
	EXPECT(!BOOTS_WITH(EXECMEM_KPROBES, mapto, EXECMEM_KPROBES));
	EXPECT(!BOOTS_WITH(EXECMEM_KPROBES, mapto, EXECMEM_TYPE_MAX));
	EXPECT(!BOOTS_WITH(EXECMEM_KPROBES, mapto, -1));
	EXPECT(!BOOTS_WITH(text, flags, EXECMEM_MERGE));
	EXPECT(!execmem_alloc(text, 64));
	EXPECT(BOOTS_WITH(text, flags, EXECMEM_READONLY));
	EXPECT(BOOTS_WITH(text, flags, 0));
}

static bool is_huge(enum execmem_type type)
{
	return execmem_pool_of(type)->range->flags & EXECMEM_HUGE;
}

static void check_not_huge(void)
{
	unsigned long a;

	EXPECT(!is_huge(EXECMEM_MODULE_TEXT) && !is_huge(EXECMEM_BPF));
	/* Chunks share blocks. */
	a = alloc_of(EXECMEM_BPF, 64);
	EXPECT(!execmem_pool_of(EXECMEM_BPF)->nr_huge);
	EXPECT(!execmem_fallbacks(&execmem_pool_of(EXECMEM_BPF)->stats));
	EXPECT(execmem_pool_of(EXECMEM_BPF)->hint ==
	       execmem_pool_of(EXECMEM_BPF)->range->start);
	release(a);
}

static void test_boot_huge(void)
{
	start_small();
	EXPECT(is_huge(EXECMEM_MODULE_TEXT) && is_huge(EXECMEM_BPF));
}

static void test_boot_parameter_off(void)
{
	EXPECT(!param_parse_execmem("off"));
	start_small();
	check_not_huge();
}

static void test_boot_parameter_on(void)
{
	EXPECT(!param_parse_execmem("off"));
	EXPECT(!param_parse_execmem("on"));
	start_small();
	EXPECT(is_huge(EXECMEM_MODULE_TEXT));
}

static void test_boot_parameter_bad(void)
{
	EXPECT(param_parse_execmem(NULL) == -EINVAL);
	EXPECT(param_parse_execmem("maybe") == -EINVAL);
	start_small();
	EXPECT(is_huge(EXECMEM_MODULE_TEXT));
}

static void test_boot_parameter_nohugevmalloc(void)
{
	shim.nohugevmalloc = true;
	start_small();
	check_not_huge();
}

static void test_boot_on_machine_without_huge(void)
{
	arch_table = mixed_table(SMALL);
	arch_table->no_huge = "no such pages";
	EXPECT(kernel_boot());
	check_not_huge();
}

void run_boot_tests(void)
{
	RUN(boot_without_table);
	RUN(boot_with_default_only);
	RUN(boot_merges_types);
	RUN(boot_merges_bpf);
	RUN(boot_relatives);
	RUN(boot_huge_only);
	RUN(boot_huge_only_without_huge);
	RUN(boot_rejects_bad_seal);
	RUN(boot_rejects_bad_table);
	RUN(boot_huge);
	RUN(boot_parameter_off);
	RUN(boot_parameter_on);
	RUN(boot_parameter_bad);
	RUN(boot_parameter_nohugevmalloc);
	RUN(boot_on_machine_without_huge);
}
