# SPDX-License-Identifier: GPL-2.0-only
import re

from report.table import LESS, RATIO, Heading, Row, Table

ROWS = [
    Heading("Instructions"),
    Row("load them, the loader's thread", lambda k: k.number("modules.load.ns"), LESS),
    Row("  all of the machine, in millions", lambda k: k.number("modules.load.busy_ms"), LESS),
    Row("  the one that takes longest", lambda k: k.number("modules.load.longest_ns"), LESS),
    Row("unload them, that thread", lambda k: k.number("modules.unload.ns"), LESS),
    Row("  all of the machine, in millions", lambda k: k.number("modules.unload.busy_ms"), LESS),
]

# Functions by what they do, in this order; the first rule that matches
KINDS = [
    (r"relocate|finalize|notifier|ftrace", "patching"),
    (r"_stage$|publish", "copying"),
    (r"set_memory|execmem|module_memory", "memory and permissions"),
    (r"", "all, or something else"),
]


def kind_of(function: str) -> str:
    return next(kind for rule, kind in KINDS if re.search(rule, function))


def functions(kernels) -> dict[str, int]:
    """Traced on any of the kernels, with the most instructions on one"""
    most = {}
    for k in kernels:
        for name, value in k.said.items():
            if name.endswith(".ns") and not name.startswith("modules."):
                most[name[:-3]] = max(int(value), most.get(name[:-3], 0))
    return most


def split_rows(kernels):
    most = functions(kernels)
    yield Heading("By function, with those it calls; traced, which costs, too")
    for f in sorted(most, key=lambda f: (kind_of(f), -most[f])):
        yield Row(f"{kind_of(f)}: {f}", lambda k, f=f: k.number(f"{f}.ns"), RATIO)


def report(tap, out):
    on, unpatched = kernels = out.kernels("execmem=on", "unpatched")
    Table(kernels).print(ROWS)
    split = out.kernels("execmem=on.split", "unpatched.split")
    Table(split).print(split_rows(split))

    def of(name):
        return (lambda: on.number(f"modules.{name}")), (lambda: unpatched.number(f"modules.{name}"))

    new, old = of("load.ns")
    tap.at_most("load: at most 1.05 times as many instructions",
                lambda: 100 * new(), lambda: 105 * old())
    tap.at_most("unload: no more instructions", *of("unload.ns"))
    tap.equal("as many modules", *of("load.count"))
    tap.at_least("  and there are some", of("load.count")[0], 1)
    tap.equal("as many unloaded", *of("unload.count"))
