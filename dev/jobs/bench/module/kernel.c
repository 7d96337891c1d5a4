// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the benchmark uses of the kernel. Neither allocator is exported, and
 * rightly so: everything is looked up by name.
 */
#include "bench.h"

#include <linux/kernel.h>
#include <linux/kprobes.h>

struct kernel kernel;

static unsigned long (*lookup)(const char *name);

void fill_traps(void *area, unsigned int size)
{
	memset(area, 0xcc, size);
}

/* The one name that a module can find, by way of a probe that is never armed */
static int find_lookup(void)
{
	struct kprobe probe = {
		.symbol_name = "kallsyms_lookup_name",
		.flags = KPROBE_FLAG_DISABLED,
	};
	int err;

	err = register_kprobe(&probe);
	if (err)
		return err;
	lookup = (void *)probe.addr;
	unregister_kprobe(&probe);
	return 0;
}

struct wanted {
	const char *name;
	void *where;
};

static int find(const struct wanted *wanted, int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		unsigned long addr = lookup(wanted[i].name);

		if (!addr) {
			pr_err("this kernel has no %s\n", wanted[i].name);
			return -ENOENT;
		}
		*(unsigned long *)wanted[i].where = addr;
	}
	return 0;
}

int find_kernel(void)
{
	static const struct wanted common[] = {
		{ "execmem_alloc", &kernel.mem_alloc },
		{ "execmem_free", &kernel.mem_free },
		{ "set_memory_rox", &kernel.set_memory_rox },
		{ "text_mutex", &kernel.text_mutex },
		{ "__tracepoint_contention_end", &kernel.contention_end },
	}, without[] = {
		{ "bpf_prog_pack_alloc", &kernel.pack_alloc },
		{ "bpf_arch_text_copy", &kernel.pack_copy },
		{ "bpf_prog_pack_free", &kernel.pack_free },
		{ "pack_mutex", &kernel.pack_mutex },
	}, with[] = {
		{ "execmem_fill", &kernel.mem_fill },
		{ "execmem_publish", &kernel.mem_publish },
	};
	int err;

	err = find_lookup() ?: find(common, ARRAY_SIZE(common));
	if (err)
		return err;
	if (lookup("execmem_fill"))
		return find(with, ARRAY_SIZE(with));
	return find(without, ARRAY_SIZE(without));
}
