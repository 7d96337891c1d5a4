# SPDX-License-Identifier: GPL-2.0-only
import re

from report.pools import HUGE_PAGE


def report(tap, out):
    k = out.kernel("no-modules")
    empty, held = k.at("empty"), k.at("held")

    def lines(tag, rule):
        return lambda: len(re.findall(f"(?m){rule}", k.text(f"{tag}/trace")))

    def area():
        block = k.said["block"]
        return "\n".join(line for line in held.lines("vmallocinfo") if line.startswith(block))

    tap.equal("there are no modules", (k.path / "held/modules").exists(), False)
    tap.equal("programs held", lambda: k.number("fleet.programs"), 1000)
    tap.equal("they add no 4k executable mapping",
              lambda: held.pages["exec_outside_4k"] - empty.pages["exec_outside_4k"], 0)
    tap.equal("they share one 2M mapping with trampolines of ftrace",
              lambda: held.pages["exec_outside_2M"], 1)
    tap.equal("pages writable and executable", lambda: held.pages["wx_pages"], 0)
    tap.matches("vmallocinfo has their block", area, f" pages={HUGE_PAGE >> 12} ")
    tap.matches("/proc/kcore has it, too", lambda: k.text("kcore"), r"^[0-9a-f]{2}$")
    tap.equal("the probe at the entry is hit", lines("probes-held", r"entry: \(sysfs_kf_seq_show"), 3)
    tap.equal("the one after it is hit", lines("probes-held", r"after: \(sysfs_kf_seq_show"), 3)
    tap.equal("the return is seen", lines("probes-held", r"return: \(.* <- sysfs_kf_seq_show"), 3)
    tap.matches("the probe after the entry is a jump", lambda: k.text("probes-held/list"),
                r"sysfs_kf_seq_show\+0x9.*OPTIMIZED")
    tap.equal("the function is traced", lines("tracer-held", "sysfs_kf_seq_show <-"), 3)
    tap.equal("stacks have it", lines("tracer-held", "^ => sysfs_kf_seq_show"), 3)
    tap.equal("stacks have its caller", lines("tracer-held", "^ => seq_read_iter"), 3)
    tap.same_use(k)
