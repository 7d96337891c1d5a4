# SPDX-License-Identifier: GPL-2.0-only
"""A histogram of csd_queue_cpu events: who asked the other processors to do what.

	{ func: [ffffffff810b4a30] do_sync_core          , common_stacktrace:
	         smp_call_function_many_cond+0x2c1/0x3f0
	         ...
	} hitcount:          3

Each processor that is asked leaves an event, whether it is idle or busy; a broadcast
asks all but the one that it comes from.
"""
import re
from collections import Counter
from dataclasses import dataclass

from report.missing import Missing

# What is asked for; anything else is about user memory, or work for one processor.
KINDS = {
    "tlb": r"do_flush_tlb_all|do_kernel_range_flush|__cpa_flush_(tlb|all)",
    "sync_core": r"do_sync_core",
    "ibpb": r".*ibpb.*",
}

# The last calls of free_module() are jumps, so it is not in the stack itself.
OF_UNLOAD = r" (free_mod|[a-z_]*module_notify|ftrace_release_mod)|vfree\S* \S*sys_delete_module"

# The first rule that matches anywhere in the stack names who is to blame.  What it
# costs to load and unload a module is "module"; what its own init and exit functions
# ask for is "module_code"; its enabled trace events are "tracing".
WHOSE = [
    (r" [a-z_0-9]*execmem_", "execmem"),
    (r" do_one_initcall", "module_code"),
    (r" tracepoint_(probe|add|remove)_", "tracing"),
    (rf"^(?=.*sys_delete_module)(?=.*(?:{OF_UNLOAD}))", "module"),
    (r"sys_delete_module", "module_code"),
    (r" (bpf_prog_pack_|bpf_jit_|alloc_new_pack)", "bpf_pack"),
    (r" (bpf_|__bpf_|sk_filter_)", "bpf_other"),
    (r" (load_module|free_module|do_init_module|do_free_init)", "module"),
    (r" [a-z_]*kprobe", "kprobes"),
    (r" (jump_label_|__jump_label_|static_key_)", "jump_label"),
    (r" ftrace_", "ftrace"),
    (r" (drain_vmap_area_work|vfree|vunmap|_vm_unmap_aliases)", "vmalloc"),
]
STARTING = "event_trigger_write"	# the measurement itself


def kind_of(function: str) -> str | None:
    return next((k for k, rule in KINDS.items() if re.fullmatch(rule, function)), None)


def whose(stack: str) -> str:
    return next((name for rule, name in WHOSE if re.search(rule, stack)), "other")


@dataclass
class Broadcasts:
    by: Counter			# (kind, caller): broadcasts
    lost: bool			# the histogram was too small for all

    def of(self, kind: str, *callers: str) -> float:
        """Of these callers; 0 when there were none"""
        return sum(self.by[kind, caller] for caller in callers)

    def total(self, kind: str) -> float:
        return sum(n for (k, _), n in self.by.items() if k == kind)

    def callers(self, kind: str) -> set[str]:
        return {caller for k, caller in self.by if k == kind}


def parse_entries(text: str):
    """(function, stack, events)..."""
    for entry in re.finditer(r"^\{ func: \S+ (\S+)(.*?)^\} hitcount: *(\d+)", text, re.M | re.S):
        calls = re.findall(r"^ +([\w.]+\+0x\S*)", entry[2], re.M)
        yield entry[1], "".join(f" {call}" for call in calls), int(entry[3])


def number(n: float):
    """Without a fraction where there is none"""
    return int(n) if n == int(n) else n


def parse(text: str, others: int) -> Broadcasts:
    """others: processors that a broadcast asks"""
    dropped = re.search(r"^ *Dropped: *(\d+)", text, re.M)
    if not dropped:
        raise Missing("the end of the histogram")
    events = Counter()
    for function, stack, hits in parse_entries(text):
        kind = kind_of(function)
        if kind and STARTING not in stack:
            events[kind, whose(stack)] += hits
    return Broadcasts(Counter({key: number(n / others) for key, n in events.items()}),
                      int(dropped[1]) > 0)
