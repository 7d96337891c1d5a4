// SPDX-License-Identifier: GPL-2.0
/*
 * Where and how x86 keeps dynamic kernel code, see mm/execmem.c.
 */

#include <linux/cpufeature.h>
#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/random.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include <asm/setup.h>
#include <asm/text-patching.h>

/* Alignment of shared text, which the BPF JIT relies on: one cache line */
#define TEXT_CHUNK_ALIGN	64

static struct execmem_info execmem_info __ro_after_init;

/*
 * Write read-only text that nobody executes: copy @src, or set to int3 without
 * one. The lock is dropped after every poke, of two pages at most, so that
 * large chunks do not keep everybody else who patches text waiting.
 */
static int poke_text(void *dst, const void *src, size_t len)
{
	while (len) {
		size_t part = min(len, 2 * PAGE_SIZE - offset_in_page(dst));
		void *done = src ? text_poke_copy(dst, src, part) :
				   text_poke_set(dst, INT3_INSN_OPCODE, part);

		if (!done)
			return -EINVAL;
		dst += part;
		src = src ? src + part : NULL;
		len -= part;
	}
	return 0;
}

static int invalidate_text(void *dst, size_t len)
{
	return poke_text(dst, NULL, len);
}

static void trap_text(void *dst, size_t len)
{
	memset(dst, INT3_INSN_OPCODE, len);
}

static const char *__init reason_against_huge(void)
{
	if (!rodata_enabled)
		return "rodata=off";
	if (!boot_cpu_has(X86_FEATURE_PSE))
		return "the CPU has no 2 MB pages";
	/* Page tables of a PV guest are changed by hypercalls, page by page. */
	if (cpu_feature_enabled(X86_FEATURE_XENPV))
		return "Xen PV";
	return NULL;
}

struct execmem_info __init *execmem_arch_setup(void)
{
	unsigned long start = MODULES_VADDR;

	if (kaslr_enabled())
		start += get_random_u32_inclusive(1, 1024) * PAGE_SIZE;

	execmem_info.ranges[EXECMEM_DEFAULT] = (struct execmem_range) {
		.flags		= EXECMEM_KASAN_SHADOW,
		.start		= start,
		.end		= MODULES_END,
		.pgprot		= PAGE_KERNEL,
		.alignment	= MODULE_ALIGN,
	};

	/* The 32-bit JIT writes its code in place. */
	if (!IS_ENABLED(CONFIG_X86_64))
		return &execmem_info;

	execmem_info.no_huge = reason_against_huge();
	execmem_info.ranges[EXECMEM_BPF] = (struct execmem_range) {
		.flags		= EXECMEM_KASAN_SHADOW | EXECMEM_ROX |
				  EXECMEM_HUGE |
				  (kaslr_enabled() ? EXECMEM_RANDOMIZE : 0),
		.start		= start,
		.end		= MODULES_END,
		.pgprot		= PAGE_KERNEL,
		.alignment	= TEXT_CHUNK_ALIGN,
		.granularity	= SZ_2M,
		.fill		= poke_text,
		.invalidate	= invalidate_text,
		.trap		= trap_text,
	};
	return &execmem_info;
}
