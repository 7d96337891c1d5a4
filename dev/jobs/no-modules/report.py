# SPDX-License-Identifier: GPL-2.0-only
import re

from report.pools import HUGE_PAGE


def report(tap, out):
    k = out.kernel("no-modules")
    empty, held = k.at("empty"), k.at("held")

    def more(page):
        return lambda: held.pages[f"exec_outside_{page}"] - empty.pages[f"exec_outside_{page}"]

    def lines(tag, rule):
        return lambda: len(re.findall(f"(?m){rule}", k.text(f"{tag}/trace")))

    tap.equal("there are no modules", (k.path / "held/modules").exists(), False)
    tap.equal("programs held", lambda: k.number("fleet.programs"), 1000)
    tap.equal("they add no 4k executable mapping", more("4k"), 0)
    tap.equal("they add one 2M executable mapping", more("2M"), 1)
    tap.equal("pages writable and executable", lambda: held.pages["wx_pages"], 0)
    tap.equal("vmallocinfo has their block",
              lambda: held.region_bytes - empty.region_bytes, HUGE_PAGE)
    tap.matches("/proc/kcore has it, too", lambda: k.text("kcore"), r"^[0-9a-f]{2}$")
    tap.equal("the probe at the entry is hit", lines("probes", r"entry: \(sysfs_kf_seq_show"), 3)
    tap.equal("the one after it is hit", lines("probes", r"after: \(sysfs_kf_seq_show"), 3)
    tap.equal("the return is seen", lines("probes", r"return: \(.* <- sysfs_kf_seq_show"), 3)
    tap.matches("the probe after the entry is a jump", lambda: k.text("probes/list"),
                r"sysfs_kf_seq_show\+0x9.*OPTIMIZED")
    tap.equal("the function is traced", lines("tracer", "sysfs_kf_seq_show <-"), 3)
    tap.equal("stacks have it", lines("tracer", "^ => sysfs_kf_seq_show"), 3)
    tap.equal("stacks have its caller", lines("tracer", "^ => seq_read_iter"), 3)
    tap.same_use(k)
