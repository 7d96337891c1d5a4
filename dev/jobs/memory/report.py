# SPDX-License-Identifier: GPL-2.0-only
from report.pools import BASE_BLOCKS

LIMIT = 64 << 10	# bytes, for one program on a small machine
PROGRAMS = "0", "1", "20", "140", "1000", "end"


def cell(pool) -> str:
    return (f"{pool['reserved'] // 1024:>13} "
            f"({pool['blocks_huge']} + {pool[BASE_BLOCKS]:>2})")


def report(tap, out):
    small, large = out.kernels("512", "2048")
    print("Memory for BPF programs, in kilobytes (in blocks of 2 MB + smaller ones)")
    print(f"{'programs':>10} {'used':>10} {'reserved, 512 MB RAM':>22} {'reserved, 2048 MB RAM':>22}")
    for nr in PROGRAMS:
        pools = [k.at(nr).pools.bpf for k in (small, large)]
        print(f"{nr:>10} {pools[0]['used'] // 1024:>10}", *map(cell, pools))

    def reserved(nr):
        return small.at(nr).pools.bpf["reserved"]

    one = reserved("1") - reserved("0")
    tap.at_least("one program on a small machine takes some memory", one, 1)
    tap.at_most("one program on a small machine: bytes", one, LIMIT)
    tap.equal("everything is given back", reserved("end"), reserved("0"))
