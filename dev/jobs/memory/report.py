# SPDX-License-Identifier: GPL-2.0-only
from report.pools import BASE_BLOCKS

LIMIT = 64 << 10	# bytes, for one program on a small machine
# Megabytes, for the modules of modules.some, by the machine's
MODULES = {"1024": 1.0, "4096": 4.2}
PROGRAMS = "0", "1", "20", "140", "1000", "end"
MACHINES = "512", "1024", "2048", "4096"


def cell(pool) -> str:
    return (f"{pool['reserved'] // 1024:>9} "
            f"({pool['blocks_huge']} + {pool[BASE_BLOCKS]:>2})")


def total(state, name) -> int:
    """Over all pools that hold more than trampolines that ftrace keeps"""
    return sum(pool[name] for kind, pool in state.pools.items()
               if not state.pools.only_kept(kind))


def report(tap, out):
    kernels = dict(zip(MACHINES, out.kernels(*MACHINES)))
    print("Memory for BPF programs, in kilobytes (in blocks of 2 MB + smaller ones)")
    print(f"{'programs':>10} {'used':>8}", *(f"{m + ' MB RAM':>18}" for m in MACHINES))
    for nr in PROGRAMS:
        pools = [k.at(nr).pools.bpf for k in kernels.values()]
        print(f"{nr:>10} {pools[0]['used'] // 1024:>8}", *(f"{cell(p):>18}" for p in pools))
    print("All types: bytes used, reserved, and mappings")
    for tag in "empty", "modules", "gone":
        for m, k in kernels.items():
            at = k.at(tag)
            print(f"{tag:>10} {m:>5} MB RAM", *(f"{total(at, name):>10}"
                                                for name in ("used", "reserved", "mappings")))

    def reserved(nr):
        return kernels["512"].at(nr).pools.bpf["reserved"]

    one = reserved("1") - reserved("0")
    tap.at_least("one program on a small machine takes some memory", one, 1)
    tap.at_most("one program on a small machine: bytes", one, LIMIT)
    for m, k in kernels.items():
        tap.equal(f"everything is given back, {m} MB",
                  lambda: k.at("end").pools.bpf["reserved"], lambda: k.at("0").pools.bpf["reserved"])
        tap.equal(f"no module leaves anything but trampolines, {m} MB",
                  lambda: total(k.at("gone"), "reserved"), lambda: total(k.at("empty"), "reserved"))
    for m, limit in MODULES.items():
        tap.at_least(f"the modules take memory, {m} MB",
                     lambda: len(kernels[m].at("modules").modules), 25)
        tap.at_most(f"the modules on {m} MB: megabytes reserved",
                    lambda: total(kernels[m].at("modules"), "reserved") / 1e6, limit)
