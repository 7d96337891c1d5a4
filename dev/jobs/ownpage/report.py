# SPDX-License-Identifier: GPL-2.0-only
"""A module changes attributes of its own memory and goes"""
OPS = "ro", "np", "x", "text", "entry", "alias"
ROUNDS = {"alone": "start", "beside": "stays"}
SIZE = 8 * 4096		# of the data of execmem_victim.ko, a 1 in each byte
EPERM = 1


def total(state, name):
    return sum(pool[name] for pool in state.pools.values())


def check_round(tap, k, name, before):
    for op in *OPS, "shared":
        tag = f"{name}.{op}"
        own, gone = k.at(tag), k.at(f"{tag}.gone")
        tap.equal(f"{tag}: result", lambda tag=tag: k.number(tag), -EPERM if op == "shared" else 0)
        # The entries of huge pages in the region, as many as the statistics say
        tap.equal(f"{tag}: huge pages in statistics and page table",
                  lambda own=own: total(own, "blocks_huge"),
                  lambda own=own: sum(own.pages[f"region_{kind}_2M"]
                                      for kind in ("exec", "ro", "rw")))
        tap.equal(f"{tag}: the map says the same",
                  lambda own=own: sum(block.leaf == "huge" for block in own.blocks),
                  lambda own=own: total(own, "blocks_huge"))
        tap.equal(f"{tag}: writable and executable pages, when it is gone",
                  lambda gone=gone: gone.pages["wx_pages"], 0)
        tap.equal(f"{tag}: the next module's data",
                  lambda tag=tag: k.number(f"{tag}.sum"), SIZE)
        tap.equal(f"{tag}: pages of the direct map that are read-only, in kB",
                  lambda gone=gone: gone.pages["linear_ro_kb"],
                  lambda: k.at(before).pages["linear_ro_kb"])


def report(tap, out, *labels):
    for label in labels:
        k = out.kernel(label)
        tap.note([f"on {label} MB:"])
        for name, before in ROUNDS.items():
            check_round(tap, k, name, before)
        tap.equal("all memory can be used", lambda k=k: k.number("filled"), 0)
        end = k.at("beside.shared.gone")
        tap.equal("changes by owners, counted", lambda end=end: total(end, "attr_changes"), 8)
        tap.equal("refused, counted", lambda end=end: total(end, "attr_refusals"), 2)
        tap.equal("restored, counted", lambda end=end: total(end, "attr_restores"), 12)
        tap.matches("a refusal names who asked and whose page it is", lambda k=k: k.text("dmesg"),
                    r"execmem: ownpage_init.*\[execmem_ownpage\] must not change.*"
                    "module_data of module execmem_ownpage")
