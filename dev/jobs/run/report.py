# SPDX-License-Identifier: GPL-2.0-only
"""1000 BPF programs, modules beside them, and test_bpf"""
from operator import attrgetter
from pathlib import Path

from report.guest import Kernel
from report.pools import HUGE_PAGE
from report.table import LESS, RATIO, Callers, Heading, Remark, Row, Table
from report.test_bpf import summaries, summary

EXPECTED = Path(__file__).with_name("test_bpf.expected")
STATES = "before", "held", "churned", "all", "after"
EXECUTABLE = [f"exec_{where}_{page}" for where in ("outside", "image") for page in ("4k", "2M")]


def said(name):
    return lambda k: k.number(name)


def between(first, second, value):
    """How much more there is of it at the second moment"""
    return lambda k: value(k.at(second)) - value(k.at(first))


def fleet(value):
    """What the fleet adds"""
    return between("before", "held", value)


def beside(value):
    """What the modules add"""
    return between("churned", "all", value)


def pages(*names):
    return lambda state: sum(state.pages[name] for name in names)


def pool(name):
    return lambda state: state.pools.bpf[name]


def broadcasts(tag, kind):
    return lambda k: k.broadcasts(tag).total(kind)


def suite(k: Kernel) -> Kernel:
    """The machine of its own that this kernel's test suite had"""
    return Kernel(k.path.with_name(k.label + ".suite"))


def test_bpf(test, what):
    return lambda k: getattr(summary(suite(k).at("suite").text("dmesg"), test), what)


region_bytes = attrgetter("region_bytes")
splits_2m = attrgetter("splits_2m")

ROWS = [
    Heading("The fleet"),
    Row("programs held", said("fleet.programs")),
    Row("  of them classic BPF", said("fleet.classic")),
    Row("  smaller than 500 bytes", said("fleet.under_500")),
    Row("  smaller than 2 kB", said("fleet.under_2000")),
    Row("JITed bytes", said("fleet.jited_bytes")),
    Row("  the same in 64-byte chunks", said("fleet.chunk_bytes")),
    Heading("Mappings added while the fleet is held"),
    Row("executable, 4k, outside the image", fleet(pages("exec_outside_4k"))),
    Row("executable, 2M, outside the image", fleet(pages("exec_outside_2M"))),
    Row("executable, 4k, inside the image", fleet(pages("exec_image_4k"))),
    Row("executable, 2M, inside the image", fleet(pages("exec_image_2M"))),
    Row("executable, all of them", fleet(pages(*EXECUTABLE)), LESS),
    Row("writable and executable pages, in all", lambda k: k.at("held").pages["wx_pages"], LESS),
    Row("direct map: 2M pages split", fleet(splits_2m), LESS),
    Row("direct map: 1G pages split", fleet(attrgetter("splits_1g")), LESS),
    Heading("Memory for the fleet, bytes"),
    Row("reserved in the module region", fleet(region_bytes), LESS),
    Row("reserved, says the BPF pool", fleet(pool("reserved")), LESS),
    Row("used of it", fleet(pool("used")), LESS),
    Row("still reserved after unloading all", between("before", "after", region_bytes), LESS),
    Heading("TLB-flush broadcasts, by whose memory it was"),
    Remark("vmalloc: data unmapped lazily, now and then, by chance of timing"),
    Callers("load 1000 and hold them", "load", "tlb"),
    Callers("load and unload 2000 more", "churn", "tlb"),
    Callers("unload the 1000", "unload", "tlb"),
    Heading("Other broadcasts"),
    Row("sync_core, load 1000", broadcasts("load", "sync_core"), LESS),
    Row("sync_core, load and unload 2000 more", broadcasts("churn", "sync_core"), LESS),
    Row("predictor flush, load 1000", broadcasts("load", "ibpb"), LESS),
    Row("predictor flush, 2000 more", broadcasts("churn", "ibpb"), LESS),
    Heading("Modules of dev/modules.some beside all of it"),
    Row("modules", said("modules.load.count")),
    Row("executable mappings added, 4k", beside(pages("region_exec_4k")), LESS),
    Row("  2M", beside(pages("region_exec_2M")), LESS),
    Row("read-only, 4k", beside(pages("region_ro_4k")), LESS),
    Row("  2M", beside(pages("region_ro_2M"))),
    Row("writable, 4k", beside(pages("region_rw_4k")), LESS),
    Row("  2M", beside(pages("region_rw_2M"))),
    Row("bytes reserved for them", beside(region_bytes), LESS),
    Callers("TLB-flush broadcasts, load them", "modules", "tlb"),
    Row("sync_core, load them", broadcasts("modules", "sync_core"), LESS),
    Heading("Time in microseconds, noisy (emulated); make bench counts instructions"),
    Row("load one program", lambda k: k.number("load.ns_per_program") // 1000, RATIO),
    Row("load and unload one", lambda k: k.number("churn.ns_per_program") // 1000, RATIO),
    Heading("The kernel's own test_bpf"),
    Row("test_bpf: passed", test_bpf("test_bpf", "passed")),
    Row("test_bpf: failed", test_bpf("test_bpf", "failed"), LESS),
    Row("test_bpf: JITed/run", test_bpf("test_bpf", "jited")),
    Row("test_tail_calls: passed", test_bpf("test_tail_calls", "passed")),
    Row("test_tail_calls: JITed/run", test_bpf("test_tail_calls", "jited")),
    Row("test_skb_segment: passed", test_bpf("test_skb_segment", "passed")),
]


def check_fleet(tap, on):
    """What must hold with execmem on"""
    before, held, churned, after = map(on.at, ("before", "held", "churned", "after"))

    def added(*names):
        return lambda: fleet(pages(*names))(on)

    tap.equal("every program has exactly the listed size",
              lambda: on.number("fleet.wrong_size"), 0)
    tap.equal("1000 held: no 4k executable mapping added",
              added("exec_outside_4k", "exec_image_4k"), 0)
    tap.at_most("1000 held: at most one 2M executable mapping",
                added("exec_outside_2M", "exec_image_2M"), 1)
    tap.at_most("1000 held: bytes reserved by the pool",
                lambda: fleet(pool("reserved"))(on), HUGE_PAGE)
    tap.at_most("1000 held: bytes reserved in the module region",
                lambda: held.region_bytes - before.region_bytes, HUGE_PAGE)
    tap.equal("1000 held: 2M pages of the direct map split",
              lambda: held.splits_2m - before.splits_2m, 0)
    tap.equal("2000 more: TLB flushes caused by execmem",
              lambda: on.broadcasts("churn").of("tlb", "execmem", "bpf_pack"), 0)
    tap.equal("2000 more: bytes used are those of before",
              lambda: churned.pools.bpf["used"], lambda: held.pools.bpf["used"])
    tap.equal("all unloaded: chunks left",
              lambda: after.pools.but_kept("bpf", "chunks")
              - before.pools.but_kept("bpf", "chunks"), 0)
    tap.at_most("all unloaded: nothing reserved but the spare, or for trampolines that ftrace keeps",
                lambda: after.pools.bpf["reserved"] - before.pools.bpf["reserved"],
                lambda: HUGE_PAGE * (after.pools.bpf["spare"] + after.pools.only_kept("bpf")))
    tap.equal("pages writable and executable, at any time",
              lambda: sum(on.at(tag).pages["wx_pages"] for tag in STATES), 0)


def check_unload(tap, on, other):
    """With execmem on: giving back a block flushes once."""
    def flushes(k):
        return k.broadcasts("unload").of("tlb", "execmem", "bpf_pack")

    def shrunk():
        return on.at("after").pools.bpf["shrunk"] - on.at("fewer").pools.bpf["shrunk"]

    tap.at_most("all unloaded: TLB flushes, one for each block given back",
                lambda: flushes(on), shrunk)
    tap.at_most("all unloaded: TLB flushes, no more than otherwise",
                lambda: flushes(on), lambda: flushes(other))


def check_modules(tap, on):
    churned, fewer = on.at("churned"), on.at("fewer")
    listed, loaded = said("list.modules"), said("modules.load.count")

    tap.at_least("modules in the list", lambda: listed(on), 20)
    tap.equal("all modules are loaded", lambda: loaded(on), lambda: listed(on))
    tap.equal("all of them go", lambda: on.number("modules.unload.count"), lambda: loaded(on))
    tap.at_most("modules: no 4k executable mapping but for ftrace and kprobes",
                lambda: beside(pages("region_exec_4k"))(on),
                lambda: beside(lambda s: s.explained["exec_4k"])(on))
    tap.equal("modules: 2M executable mappings beyond the one of the fleet",
              lambda: beside(pages("region_exec_2M"))(on), 0)
    tap.equal("modules gone: bytes used are those of before",
              lambda: fewer.pools.but_kept("bpf", "used"),
              lambda: churned.pools.but_kept("bpf", "used"))
    tap.equal("broadcasts are all counted",
              lambda: [tag for tag in ("load", "churn", "modules", "unload")
                       if on.broadcasts(tag).lost], [])


def check_failed(tap, kernel):
    tap.equal("test_bpf: failed",
              lambda: sum(test_bpf(test, "failed")(kernel) for test in
                          ("test_bpf", "test_tail_calls", "test_skb_segment")), 0)


def check_suite(tap, kernel):
    """It must end as it does on the unpatched kernel, whose result is recorded."""
    expected = [line for line in EXPECTED.read_text().splitlines() if line[:1] != "#"]
    tap.same_lines(f"{kernel.label}: test_bpf as on the unpatched kernel",
                   lambda: summaries(suite(kernel).at("suite").text("dmesg")), expected)


def report(tap, out, *labels):
    """Labels of kernels, the first one with execmem on.  After --checkers: of one of
    which there is just the test suite."""
    if labels[0] == "--checkers":
        check_failed(tap, out.kernel(labels[1]))
        return
    kernels = out.kernels(*labels)
    on = kernels[0]
    print(f"1000 BPF programs, modules and test_bpf on {on.others + 1} CPUs (QEMU TCG),"
          f" kernel {on.said['kernel']}\n")
    Table(kernels).print(ROWS)
    print(f"With {on.label}, as tools/mm/execmem shows it")
    print("".join(f"  {line}\n" for line in on.lines("all/view")))

    check_fleet(tap, on)
    check_modules(tap, on)
    if len(kernels) > 1:
        check_unload(tap, on, kernels[1])
    check_failed(tap, on)
    for kernel in kernels:
        check_suite(tap, kernel)
