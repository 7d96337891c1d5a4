# SPDX-License-Identifier: GPL-2.0-only
import re

# Of each round: (what, files' tag, lines that match, how many)
EXPECTED = [
    ("the probe at the entry is hit", "probes", r"entry: \(foo_show", 3),
    ("the one after it is hit", "probes", r"behind: \(foo_show", 3),
    ("the return is seen", "probes", r"return: \(.* <- foo_show", 3),
    ("in the module loaded again: the entry", "again", r"entry: \(foo_show", 2),
    ("in the module loaded again: after it", "again", r"behind: \(foo_show", 2),
    ("without a probe nothing is hit", "none", r"foo_show", 0),
    ("the function is traced", "tracer", r"foo_show( \[kobject_example\])? <-", 2),
    # Both functions' stacks go through the module into its caller.
    ("stacks have the function", "tracer", r"^ => foo_show", 4),
    ("stacks have its caller", "tracer", r"^ => sysfs_kf_seq_show", 4),
]


def report(tap, out, size):
    k = out.kernel("probes")
    tap.contains("calls are counted", lambda: k.text("mitigation"), "Stuffing")
    for nr in 1, 2:
        tap.matches(f"round {nr}: the probe after the entry is a jump",
                    lambda: k.text(f"probes{nr}/list"), r"foo_show\+0x9.*OPTIMIZED")
        for what, tag, rule, count in EXPECTED:
            tap.equal(f"round {nr}: {what}",
                      lambda:
                      len(re.findall(f"(?m){rule}", k.text(f"{tag}{nr}/trace"))), count)
    # Text ends with one more byte, which belongs to no function.
    tap.matches("the last function has its true size", lambda: k.text("last/trace"),
                rf"what=\w+\+0x0/{int(size):#x} ")
    tap.contains("a bad relocation is refused", lambda: k.text("dmesg"),
                 "Unknown rela relocation: 255")
    tap.contains("a relocation outside its section is refused", lambda: k.text("dmesg"),
                 "is outside section")
    tap.equal("and their module is not there", lambda: "crc8" in k.text("loaded"), False)
    for module in "broken", "outside":
        tap.contains(f"{module}.ko: insmod's message", lambda module=module: k.text(module),
                     "invalid module format")
    tap.same_use(k)
