# SPDX-License-Identifier: GPL-2.0-only
"""Modules come and go: mappings, broadcasts, memory"""
import textwrap
from collections import Counter
from functools import cache
from operator import attrgetter

from report import cycles, modules
from report.guest import Kernel
from report.page_tables import looks
from report.table import LESS, RATIO, Callers, Heading, Remark, Row, Table

STATES = "before", "held", "cycled", "after", "again"
REGION = [f"region_{kind}_{page}" for kind in ("exec", "ro", "rw") for page in ("4k", "2M")]
# The numbers of a line of execmem_scan.ko, at most
ALIASES = "exec_pages", "exec_aliases", "ro_aliases", "rw_aliases"


def held(value):
    """How much more there is of it while all are held"""
    return lambda k: value(k.at("held")) - value(k.at("before"))


def later(tag, value):
    return lambda k: value(k.at(tag)) - value(k.at("before"))


def pages(*names):
    return lambda state: sum(state.pages[name] for name in names)


def wx_pages(state):
    return state.pages["wx_pages"]


region_bytes = attrgetter("region_bytes")
splits_2m = attrgetter("splits_2m")


def sizes(k: Kernel):
    return [m.size for m in k.at("held").modules]


def staying(k: Kernel, tag="after") -> dict[str, str]:
    """Modules that could not be unloaded, and why"""
    lines = k.at(tag).lines("answers")
    return {m: modules.why_stays(answer) for m, _, answer in (s.partition(": ") for s in lines)}


def stay(reason):
    return lambda k: Counter(staying(k).values())[reason]


@cache
def wx_looks(k: Kernel) -> list[int]:
    return looks(k.text("scan/looks"))


@cache
def aliases(k: Kernel) -> dict[str, int]:
    """The most that execmem_scan.ko saw in one go"""
    rows = [list(map(int, line.split())) for line in k.lines("scan/aliases")]
    return dict(zip(ALIASES, map(max, zip(*rows))))


def alias(name):
    return lambda k: aliases(k)[name]


@cache
def all_cycles(k: Kernel) -> list[cycles.Cycle]:
    return cycles.parse(k.text("cycles/hist"), k.at("held").sealed_modules, k.others)


def cycle(kind, what):
    return lambda k: getattr(cycles.summary(all_cycles(k), kind), what)


def seconds(what):
    return lambda k: round(float(k.said[f"{what}.end"]) - float(k.said[f"{what}.start"]))


def ro_kb_elsewhere(k: Kernel):
    """Read-only in the region, but not in the direct map"""
    return held(pages("region_ro_kb"))(k) - held(pages("linear_ro_kb"))(k)


ROWS = [
    Heading("The modules"),
    Row("loaded", lambda k: len(sizes(k))),
    Row("  of them with data that is sealed after init",
        lambda k: len(k.at("held").sealed_modules)),
    Row("  stay, for they are in use", stay("in_use")),
    Row("  stay, for they have no exit", stay("permanent")),
    Row("bytes, says /proc/modules", lambda k: sum(sizes(k)), LESS),
    Row("  of the largest one", lambda k: max(sizes(k))),
    Heading("Mappings added in the module region while all are held"),
    Row("executable, 4k", held(pages("region_exec_4k")), LESS),
    Row("executable, 2M", held(pages("region_exec_2M"))),
    Row("read-only, 4k", held(pages("region_ro_4k")), LESS),
    Row("read-only, 2M", held(pages("region_ro_2M"))),
    Row("writable, 4k", held(pages("region_rw_4k")), LESS),
    Row("writable, 2M", held(pages("region_rw_2M"))),
    Row("all of them", held(pages(*REGION)), LESS),
    Heading("Pages writable and executable"),
    Row("all modules held", lambda k: wx_pages(k.at("held")), LESS),
    Row("while they come and go, at most", lambda k: max(wx_looks(k)), LESS),
    Row("  times looked", lambda k: len(wx_looks(k))),
    Heading("Pages writable in the direct map, while they come and go, at most"),
    Row("executable ones", alias("exec_aliases"), LESS),
    Row("read-only ones", alias("ro_aliases"), LESS),
    Row("kB read-only, but not in the direct map", ro_kb_elsewhere, LESS),
    Heading("Direct map, splits until all are loaded"),
    Row("2M pages split", held(splits_2m), LESS),
    Row("1G pages split", held(attrgetter("splits_1g")), LESS),
    Heading("Memory in the module region, bytes"),
    Row("all held", held(region_bytes), LESS),
    Row("all unloaded", later("after", region_bytes), LESS),
    Row("all loaded and unloaded once more", later("again", region_bytes), LESS),
    Heading("TLB-flush broadcasts"),
    Remark("module_code: asked for by init and exit functions of modules"),
    Callers("load them", "load", "tlb"),
    Callers("unload them", "unload", "tlb"),
    Heading("sync_core broadcasts"),
    Callers("load them", "load", "sync_core"),
    Callers("unload them", "unload", "sync_core"),
    Heading("Each that is not in use is unloaded and loaded again: broadcasts for one, at most"),
    Row("with data sealed after init", cycle("sealed", "times")),
    Row("  TLB flushes and sync_core together, with", cycle("sealed", "all_most"), LESS),
    Row("  TLB flushes, with", cycle("sealed", "tlb_most"), LESS),
    Row("  sync_core, with", cycle("sealed", "sync_most"), LESS),
    Row("  how many of them synchronize, with", cycle("sealed", "sync_times"), LESS),
    Row("without", cycle("others", "times")),
    Row("  TLB flushes and sync_core together, without", cycle("others", "all_most"), LESS),
    Row("  TLB flushes, without", cycle("others", "tlb_most"), LESS),
    Row("  sync_core, without", cycle("others", "sync_most"), LESS),
    Row("  how many of them synchronize, without", cycle("others", "sync_times"), LESS),
    Heading("Time in seconds, by an emulated clock that may be far off"),
    Row("load them", seconds("load"), RATIO),
    Row("unload them", seconds("unload"), RATIO),
]


def check_loading(tap, k, least):
    """On every kernel: all are loaded, unloaded, and loaded again."""
    listed = len(k.lines("list"))
    stays = {"in_use", "permanent"}

    tap.at_least("modules in the list", listed, int(least))
    tap.equal("all of them are loaded", lambda: len(sizes(k)), listed)
    tap.equal("modules that did not load, at any time",
              k.lines("failed") if (k.path / "failed").exists() else [], [])
    for tag in "after", "again":
        tap.equal(f"those that stay are in use or permanent, {tag}",
                  lambda: sorted(m.name for m in k.at(tag).modules),
                  lambda: sorted(m for m, why in staying(k, tag).items() if why in stays))
    kinds = "sealed", "others", "in_use", "permanent"
    tap.equal("unloaded and loaded again, or in use, or permanent: all",
              lambda: sum(cycle(kind, "times")(k) for kind in kinds), listed)
    tap.at_least("  some of those with data that is sealed",
                 lambda: cycle("sealed", "times")(k), 1)
    tap.at_least("  and some without", lambda: cycle("others", "times")(k), 5)


def check_permissions(tap, k):
    """On every kernel"""
    tap.at_least("the direct map was looked at: pages that may be writable there",
                 lambda: alias("rw_aliases")(k), 1)
    tap.at_least("  and executable ones were seen", lambda: alias("exec_pages")(k), 1)
    tap.at_least("the page tables were looked at while they were loaded",
                 lambda: len(wx_looks(k)), 10)
    tap.equal("pages writable and executable, at any time",
              lambda: sum(wx_pages(k.at(tag)) for tag in STATES) + max(wx_looks(k)), 0)
    tap.at_most("kB read-only, but not in the direct map", lambda: ro_kb_elsewhere(k), 0)


def check_counting(tap, k):
    """On every kernel"""
    tap.equal("broadcasts are all counted",
              lambda: any(k.broadcasts(tag).lost for tag in ("load", "unload"))
              or any(c.seen.lost for c in all_cycles(k)), False)


def check_aliases(tap, k):
    for name, what in ("exec_aliases", "executable"), ("ro_aliases", "read-only"):
        tap.equal(f"{what} pages writable in the direct map, at any time",
                  lambda: alias(name)(k), 0)


def check_mappings(tap, on, other):
    """With execmem on.  In pages_4k are those of data that is sealed after init, of
    ftrace and kprobes, and of blocks that could not be huge."""
    state = on.at("held")

    def explained(name):
        return lambda: state.explained[name]

    tap.at_most("4k executable mappings added, but for ftrace and kprobes",
                lambda: held(pages("exec_outside_4k", "exec_image_4k"))(on),
                lambda: held(lambda s: s.explained["exec_4k"])(on))
    tap.at_most("4k mappings that the statistics do not explain",
                lambda: pages("region_exec_4k", "region_ro_4k", "region_rw_4k")(state),
                explained("pages_4k"))
    tap.equal("blocks beyond those needed and one per pool", explained("excess_blocks"), 0)
    tap.at_most("blocks of 4k pages, but for data sealed after init: the statistics say why",
                explained("small_blocks"), explained("fallbacks"))
    # Where the pages of a block of base pages lie is chance, and so is it otherwise.
    tap.at_most("2M pages of the direct map split, no more than otherwise, and one for each "
                "block of 4k pages", lambda: held(splits_2m)(on),
                lambda: held(splits_2m)(other) + explained("small_blocks")()
                + state.pools["module_ro_after_init"]["blocks_base"])
    # Blocks of base pages become read-only, too; their pages may lie anywhere.
    tap.at_most("and one for each 4k page of a block at most",
                lambda: held(splits_2m)(on), explained("pages_4k"))
    # The KUnit suite shows that each of them lies in one 2M page.
    tap.at_most("blocks of pages that are sealed",
                lambda: state.pools["module_ro_after_init"]["blocks_base"], 2)
    tap.at_most("bytes of modules, says /proc/modules: at most 0.95 times as many",
                lambda: 100 * sum(sizes(on)), lambda: 95 * sum(sizes(other)))
    tap.at_most("loaded and unloaded once more: bytes reserved",
                lambda: on.at("again").region_bytes, lambda: on.at("after").region_bytes)


def check_broadcasts(tap, on, other):
    """With execmem on"""
    def of(k, tag, kind, *callers):
        return k.broadcasts(tag).of(kind, *(callers or ("execmem", "module")))

    def loading_flushes():
        """One for each seal and split and two for each new block"""
        grown = held(lambda s: s.explained["grown"])(on)
        return len(on.at("held").sealed_modules) + held(splits_2m)(on) + 2 * grown

    def shrunk():
        return on.at("after").explained["shrunk"] - on.at("cycled").explained["shrunk"]

    listed = len(on.lines("list"))
    tap.at_least("broadcasts are seen: otherwise each load causes some",
                 lambda: of(other, "load", "tlb"), listed)
    tap.at_least("and each load synchronizes processors",
                 lambda: of(on, "load", "sync_core", "module"), 1)
    tap.at_most("load: TLB flushes, one for each seal and split and two for each new block",
                lambda: of(on, "load", "tlb"), loading_flushes)
    tap.at_most("unload: TLB flushes, one for each block given back",
                lambda: of(on, "unload", "tlb"), shrunk)
    tap.at_most("load and unload: sync_core for that",
                lambda: of(on, "load", "sync_core") + of(on, "unload", "sync_core"), listed)


def check_cycles(tap, on, other):
    """With execmem on"""
    def at_most(what, kind, count, limit):
        tap.at_most(what, lambda: cycle(kind, count)(on), limit)

    def splits():
        """Each splits a 2M page of the direct map for the first time, by a flush."""
        return splits_2m(on.at("cycled")) - splits_2m(on.at("held"))

    tap.at_most("unloaded and loaded again, with data sealed after init: broadcasts of both"
                " kinds, two for each and one for each split",
                lambda: cycle("sealed", "all_sum")(on),
                lambda: 2 * cycle("sealed", "times")(on) + splits())
    tap.at_most("  with: both kinds for one module", lambda: cycle("sealed", "all_most")(on),
                lambda: 2 + min(splits(), 1))
    at_most("  without: both kinds for one module", "others", "all_most", 1)
    at_most("  TLB flushes, with", "sealed", "tlb_most", 2)
    at_most("  without: TLB flushes", "others", "tlb_most", 0)
    at_most("  sync_core, with", "sealed", "sync_most", 1)
    at_most("  sync_core, without", "others", "sync_most", 1)
    tap.at_least("  otherwise there are flushes, with",
                 lambda: cycle("sealed", "tlb_most")(other), 1)
    tap.at_least("  and without", lambda: cycle("others", "tlb_most")(other), 1)


def show(k: Kernel) -> None:
    """Statistics and what stays"""
    print(f"With {k.label}")
    lines = k.at("held").lines("stats") if (k.path / "held/stats").exists() else []
    for reason in "in_use", "permanent":
        names = " ".join(m for m, why in staying(k).items() if why == reason)
        lines.append(f"{reason.replace('_', ' ')}: {names}")
    for line in lines:
        print(textwrap.fill(line, 108, initial_indent="  ", subsequent_indent="  "))
    print()


def report(tap, out, least, *labels):
    """To be compared with: the kernel without the series, or the boot switch off, in the
    last column.  A single one is only looked at."""
    kernels = out.kernels(*labels)
    on, other = kernels[0], kernels[-1]
    if other is not on:
        print(f"{len(on.lines('list'))} modules on {on.others + 1} CPUs (QEMU TCG),"
              f" kernel {on.said['kernel']}\n")
        Table(kernels).print(ROWS)
    for k in kernels:
        show(k)
    for k in kernels:
        tap.note([f"Checks, {k.label}"])
        check_loading(tap, k, least)
        check_permissions(tap, k)
        check_counting(tap, k)
    tap.note([f"Checks, {on.label} against {other.label}"])
    check_aliases(tap, on)
    if other is not on:
        check_mappings(tap, on, other)
        check_broadcasts(tap, on, other)
        check_cycles(tap, on, other)
