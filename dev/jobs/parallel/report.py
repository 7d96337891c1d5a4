# SPDX-License-Identifier: GPL-2.0-only
"""Breakpoints that were executed after text patching had replaced them"""
import re

from report.missing import Missing

PLACES = 64		# of the key in execmem_flip.c


def oopses(k) -> int:
    """On the console, whose file lies beside the folder"""
    log = k.path.with_name(k.path.name + ".log")
    return len(re.findall(r"Oops: int3", log.read_text(errors="replace")))


def show(k, seconds) -> None:
    def number(name):
        try:
            return f"{k.number(name):,}"
        except Missing:
            return "?"

    print(f"{k.label}: {k.text('qemu').strip()}, kernel {k.said['kernel']},"
          f" {k.others + 1} CPUs, {seconds} s\n"
          f"  changes of a key with {PLACES} places: {number('flips')};"
          f" replaced breakpoints executed: {number('here')};\n"
          f"  there was one again: {number('anew')}; elsewhere: {number('other')};"
          f" oopses: {oopses(k)}; rounds of loading modules: {number('rounds')},"
          f" of tracing: {number('others')}\n")


def report(tap, out, seconds, *labels):
    """With a thread for each CPU, it is a matter of luck what happens."""
    kernels = out.kernels(*labels)
    for k in kernels:
        show(k, seconds)
    for k in kernels:
        if k.label != "single":
            tap.at_least(f"{k.label}: the machine came up: processors",
                         lambda k=k: k.number("cpus"), 2)
            continue
        for what in "flips", "rounds", "others":
            tap.at_least(f"{k.label}: {what}", lambda what=what: k.number(what), 1)
        for where in "here", "anew", "other":
            tap.equal(f"{k.label}: replaced breakpoints executed, {where}",
                      lambda where=where: k.number(where), 0)
