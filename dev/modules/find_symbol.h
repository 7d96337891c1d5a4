/* SPDX-License-Identifier: GPL-2.0-only */
/* The address of a function that is not exported, and rightly so */
#include <linux/kprobes.h>

static void *find_symbol(const char *name)
{
	struct kprobe probe = {
		.symbol_name = name,
		.flags = KPROBE_FLAG_DISABLED,	/* only its address */
	};
	void *addr;

	if (register_kprobe(&probe))
		return NULL;
	addr = probe.addr;
	unregister_kprobe(&probe);
	return addr;
}
