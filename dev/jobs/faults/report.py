# SPDX-License-Identifier: GPL-2.0-only
import re

from report.modules import kernel_name


def report(tap, out, warns=""):
    """warns: warnings of the kernel without the series"""
    k = out.kernel("faults")
    tap.at_least("modules", len(k.lines("list")), 1)
    for module in k.lines("list"):
        name = f"loadfail.{kernel_name(module)}"
        tap.equal(f"{module}: loads or fails cleanly", lambda: k.number(f"{module}.status"), 0)
        tap.at_least(f"{module}: loads that failed", lambda: k.number(f"{name}.failed"), 1)
        tap.at_most(f"{module}: of all, when each allocation fails once",
                    lambda: k.number(f"{name}.failed"), lambda: k.number(f"{name}.allocations"))
        tap.same_use(k, f"before.{module}", f"now.{module}")
    tap.equal("no other warning in the log than those of the kernel without the series",
              lambda: [line for line in k.lines("dmesg")
                       if re.search("BUG: |WARNING: |Oops", line)
                       and not (warns and re.search(warns, line))], [])
