# SPDX-License-Identifier: GPL-2.0-only
"""Function tracers with trampolines of their own: mappings, splits, stack traces"""
import re

from report.guest import Kernel
from report.table import LESS, Heading, Row, Table

TRACERS = 60
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
    # These have pages of their own, as without the series.
    tap.equal("execmem=off: trampolines that share a page", lambda: inside_pages(off), 0)
    tap.at_least("execmem=off: 4k executable mappings added",
                 lambda: added("held", pages("exec_outside_4k"))(off), TRACERS)
    early, early_off = out.kernels("early", "early-off")
    check_early(tap, early, True)
    check_early(tap, early_off, False)
