# SPDX-License-Identifier: GPL-2.0-only
"""Everyone who needs executable memory at the same time"""
import re

from report.guest import Kernel
from report.table import LESS, Heading, Row, Table

TARGETS = 500
TRAMPOLINES = 200
SENT = 4 << 20


def added(tag, value):
    """How much more there is of it at that moment than at first"""
    return lambda k: value(k.at(tag)) - value(k.at("clean"))


def pages(name):
    return lambda state: state.pages[name]


def broadcasts(kind, *callers):
    """All rounds together, of these callers, or of all"""
    def count(k: Kernel):
        b = k.broadcasts("rounds")
        return b.of(kind, *callers) if callers else b.total(kind)
    return count


def listed(k: Kernel, tag, rule=""):
    """Kprobes of the module in the list of the kernel that match"""
    return sum(bool(re.search(rule, line)) for line in k.lines(f"{tag}/probes")
               if "execmem_many" in line)


def traced(k: Kernel, tag):
    """Functions of the module with a trampoline"""
    return sum(bool(re.match(r"function_\d+ .*tramp:", line))
               for line in k.lines(f"{tag}/traced"))


def said(k: Kernel, name):
    """The least of the rounds"""
    return min((int(line.split()[1]) for line in k.lines("said") if line.startswith(f"{name} ")),
               default=0)


ROWS = [
    Heading("500 ftrace_ops, 500 kprobes, 200 BPF trampolines, struct_ops, 25 modules"),
    Row("ftrace_ops with a trampoline", lambda k: traced(k, "held")),
    Row("kprobes", lambda k: listed(k, "held")),
    Row("  of them optimized", lambda k: listed(k, "held", "OPTIMIZED")),
    Row("BPF trampolines", lambda k: said(k, "trampolines")),
    Row("executable mappings added, 4k", added("held", pages("exec_outside_4k")), LESS),
    Row("executable mappings added, 2M", added("held", pages("exec_outside_2M"))),
    Row("direct map: 2M pages split", added("held", lambda s: s.splits_2m), LESS),
    Row("bytes reserved in the module region", added("held", lambda s: s.region_bytes), LESS),
    Row("the same after the rounds", added("after", lambda s: s.region_bytes), LESS),
    Row("TLB-flush broadcasts in the rounds", broadcasts("tlb"), LESS),
    Row("  of these, by execmem", broadcasts("tlb", "execmem"), LESS),
    Row("sync_core broadcasts in the rounds", broadcasts("sync_core"), LESS),
]


COUNTS = ["trace", "untrace", "probe", "unprobe"]

COUNT_ROWS = [Heading("Instructions per ftrace_ops or kprobe, without those of workers")] + [
    Row(what, lambda k, what=what: k.number(f"spent.{what}") // TARGETS, LESS) for what in COUNTS]


def check_counts(tap, on: Kernel, unpatched: Kernel):
    for what in COUNTS:
        tap.at_most(f"instructions, {what}: at most as many as without the series",
                    lambda what=what: on.number(f"spent.{what}"),
                    lambda what=what: unpatched.number(f"spent.{what}"))


def check_everyone(tap, k: Kernel):
    """Each one works, in each round, and goes."""
    name = k.label
    tap.equal(f"{name}: ftrace_ops with trampolines", lambda: traced(k, "held"), TARGETS)
    tap.equal(f"{name}: kprobes", lambda: listed(k, "held"), TARGETS)
    tap.equal(f"{name}: optimized ones", lambda: listed(k, "held", "OPTIMIZED"), TARGETS // 2)
    tap.equal(f"{name}: functions traced at each call", lambda: k.number("traced"), TARGETS)
    tap.equal(f"{name}: probes hit at each call", lambda: k.number("probed"), TARGETS)
    tap.equal(f"{name}: BPF trampolines", lambda: said(k, "trampolines"), TRAMPOLINES)
    tap.at_least(f"{name}: their programs ran", lambda: said(k, "runs"), 1)
    tap.equal(f"{name}: congestion control of the connections",
              lambda: k.said["congestion"], "execmem_test")
    tap.equal(f"{name}: bytes that were sent", lambda: said(k, "sent"), SENT)
    tap.at_least(f"{name}: calls of the congestion control", lambda: said(k, "runs.cong_avoid"), 1)
    tap.equal(f"{name}: pages writable and executable", lambda: k.at("held").pages["wx_pages"], 0)
    tap.equal(f"{name}: kprobes that are left", lambda: listed(k, "after"), 0)
    tap.equal(f"{name}: functions that are still traced", lambda: traced(k, "after"), 0)


def check_shared(tap, k: Kernel):
    name = k.label
    tap.equal(f"{name}: 4k executable mappings added",
              lambda: added("held", pages("exec_outside_4k"))(k), 0)
    tap.equal(f"{name}: TLB flushes by execmem in the rounds",
              lambda: broadcasts("tlb", "execmem")(k), 0)
    tap.equal(f"{name}: no event was lost", lambda: k.broadcasts("rounds").lost, False)


def report(tap, out, *labels):
    counted = out.kernels(*(label for label in labels if label.endswith(".count")))
    kernels = out.kernels(*(label for label in labels if not label.endswith(".count")))
    Table(kernels).print(ROWS)
    for k in kernels:
        check_everyone(tap, k)
        if k.label == "execmem=on":
            check_shared(tap, k)
        if k.label != "unpatched":
            tap.same_use(k)
    if counted:
        Table(counted).print(COUNT_ROWS)
        check_counts(tap, *counted)
