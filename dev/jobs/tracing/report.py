# SPDX-License-Identifier: GPL-2.0-only
"""Function tracers with trampolines of their own: mappings, splits, stack traces"""
import re

from report.guest import Kernel
from report.table import LESS, Heading, Row, Table

TRACERS = 60
PROBES = 500
PAGE = 4096


def added(tag, value):
    """How much more there is of it at that moment than at first"""
    return lambda k: value(k.at(tag)) - value(k.at("before"))


def pages(name):
    return lambda state: state.pages[name]


def broadcasts(tag, kind):
    return lambda k: k.broadcasts(tag).total(kind)


def splits(state):
    return state.splits_2m


def of(k: Kernel, name, rule):
    """How many lines of a file match"""
    return lambda: len(re.findall(f"(?m){rule}", k.text(name)))


def starts(k: Kernel, tag="held"):
    """Where the trampolines begin"""
    return [int(line.split()[0], 16) for line in k.lines(f"{tag}/kallsyms")
            if "ftrace_trampoline\t" in line]


def inside_pages(k: Kernel):
    """Trampolines that do not begin where a page does"""
    return sum(start % PAGE != 0 for start in starts(k))


def listed(k: Kernel, rule="", tag="held"):
    """Probes in the list of the kernel that match"""
    return sum(bool(re.search(rule, line)) for line in k.lines(f"{tag}/list"))


PROBE_ROWS = [
    Heading("Kprobes"),
    Row("probes", listed),
    Row("  of them optimized", lambda k: listed(k, "OPTIMIZED")),
    Row("executable mappings added, 4k", added("held", pages("exec_outside_4k")), LESS),
    Row("executable mappings added, 2M", added("held", pages("exec_outside_2M"))),
    Row("direct map: 2M pages split", added("held", splits), LESS),
    Row("pages of slots", lambda k: len(k.lines("held/kallsyms"))),
    Row("TLB-flush broadcasts, to make them", broadcasts("made", "tlb"), LESS),
    Row("  to remove them", broadcasts("removed", "tlb"), LESS),
    Row("sync_core broadcasts, to make them", broadcasts("made", "sync_core"), LESS),
    Row("  to remove them", broadcasts("removed", "sync_core"), LESS),
    Row("bytes reserved in the module region", added("held", lambda s: s.region_bytes), LESS),
    Row("the same when they are removed", added("after", lambda s: s.region_bytes), LESS),
]

ROWS = [
    Heading("Function tracers in instances, each with one function as its filter"),
    Row("tracers", lambda k: k.number("tracers")),
    Row("executable mappings added, 4k", added("held", pages("exec_outside_4k")), LESS),
    Row("executable mappings added, 2M", added("held", pages("exec_outside_2M"))),
    Row("direct map: 2M pages split", added("held", splits), LESS),
    Row("TLB-flush broadcasts, to make them", broadcasts("made", "tlb"), LESS),
    Row("  to remove them", broadcasts("removed", "tlb"), LESS),
    Row("sync_core broadcasts, to make them", broadcasts("made", "sync_core"), LESS),
    Row("  to remove them", broadcasts("removed", "sync_core"), LESS),
    Row("pages writable and executable", lambda k: k.at("held").pages["wx_pages"], LESS),
    Row("bytes reserved in the module region", added("held", lambda s: s.region_bytes), LESS),
    Row("the same when they are removed", added("after", lambda s: s.region_bytes), LESS),
]


def check_tracers(tap, k: Kernel):
    name = k.label
    tap.equal(f"{name}: tracers", lambda: k.number("tracers"), TRACERS)
    tap.equal(f"{name}: trampolines that kallsyms has", lambda: len(starts(k)), TRACERS)
    tap.equal(f"{name}: the same when they are removed",
              of(k, "gone/kallsyms", r"ftrace_trampoline\t"), 0)
    tap.at_least(f"{name}: calls of one go through its trampoline",
                 of(k, "held/functions", r"^vfs_read \(1\).*tramp: .*->"), 1)
    tap.equal(f"{name}: pages writable and executable",
              lambda: k.at("held").pages["wx_pages"], 0)
    # The entry of the trampoline itself, what it traces, and the caller of that
    for what in r"\[FTRACE TRAMPOLINE\]", "vfs_read", "ksys_read":
        tap.at_least(f"{name}: stacks have {what}",
                     of(k, "held/trace", rf"^ => {what}"), 1)
    tap.same_use(k)


def check_probes(tap, k: Kernel):
    name = k.label
    tap.equal(f"{name}: probes", lambda: listed(k), PROBES)
    tap.at_least(f"{name}: optimized ones", lambda: listed(k, "OPTIMIZED"), PROBES // 4)
    tap.at_least(f"{name}: others",
                 lambda: listed(k) - listed(k, "OPTIMIZED"), PROBES // 4)
    tap.equal(f"{name}: pages writable and executable",
              lambda: k.at("held").pages["wx_pages"], 0)
    tap.equal(f"{name}: probes that are left", lambda: listed(k, tag="now"), 0)
    tap.same_use(k)


def check_gone(tap, k: Kernel):
    """Nothing takes the opcode of a function that is gone for that of the present one."""
    tap.equal("gone: the second module is where the first was",
              lambda: k.said["place.second"], k.said["place.first"])
    tap.equal("gone: the probe of the first is listed",
              lambda: listed(k, "GONE", "dead"), 1)
    tap.equal("gone: a probe across it is optimized",
              lambda: listed(k, "OPTIMIZED", "across"), 1)
    for what in "unprobed", "across", "same":
        tap.equal(f"gone: result, {what}", lambda what=what: k.number(f"result.{what}"), 1)
    tap.at_least("gone: the probe in its place is hit", of(k, "same/trace", r"p: \("), 1)
    tap.same_use(k)


def check_early(tap, k: Kernel, shared: bool):
    name = k.label
    tap.matches(f"{name}: the tracer of the command line runs",
                lambda: k.text("early/tracer"), "^function$")
    tap.at_least(f"{name}: it traces", of(k, "early/trace", " vfs_read <-"), 1)
    tap.at_least(f"{name}: through a trampoline",
                 of(k, "early/functions", r"^vfs_read \(1\).*tramp: .*->"), 1)
    tap.at_least(f"{name}: stacks, after the trampoline was changed",
                 of(k, "changed/trace", "^ => ksys_read"), 1)
    tap.equal(f"{name}: the trampoline is in shared memory",
              lambda: "ftrace" in k.at("early").pools, not shared)


def report(tap, out):
    on, off, old = out.kernels("execmem=on", "execmem=off", "old")
    Table([on, off]).print(ROWS)
    for k in on, off, old:
        check_tracers(tap, k)
    for k in on, old:
        tap.equal(f"{k.label}: 4k executable mappings added",
                  lambda k=k: added("held", pages("exec_outside_4k"))(k), 0)
        tap.equal(f"{k.label}: 2M pages of the direct map split",
                  lambda k=k: added("held", splits)(k), 0)
        tap.at_least(f"{k.label}: trampolines that share a page",
                     lambda k=k: inside_pages(k), TRACERS // 2)
    probed, probed_off = out.kernels("execmem=on.probes", "execmem=off.probes")
    Table([probed, probed_off]).print(PROBE_ROWS)
    for k in probed, probed_off:
        check_probes(tap, k)
    tap.equal("execmem=on: 4k executable mappings added by probes",
              lambda: added("held", pages("exec_outside_4k"))(probed), 0)
    tap.at_least("execmem=off: 4k executable mappings added by probes",
                 lambda: added("held", pages("exec_outside_4k"))(probed_off), 1)
    check_gone(tap, out.kernel("gone"))
    # These have pages of their own, as without the series.
    tap.equal("execmem=off: trampolines that share a page", lambda: inside_pages(off), 0)
    tap.at_least("execmem=off: 4k executable mappings added",
                 lambda: added("held", pages("exec_outside_4k"))(off), TRACERS)
    early, early_off = out.kernels("early", "early-off")
    check_early(tap, early, True)
    check_early(tap, early_off, False)
