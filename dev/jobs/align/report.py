# SPDX-License-Identifier: GPL-2.0-only
KINDS = "plain", "16M", "512M", "1G", "1T", "three"


def report(tap, out):
    for k in out.kernels("execmem=on", "execmem=off"):
        print(f"{k.label}: bytes reserved in the module region, by alignment")
        for kind in KINDS:
            tap.equal(f"{k.label}: a module with alignment {kind} loads",
                      lambda: [m.name for m in k.at(kind).modules], ["execmem_aligned"])
            print(f"{kind:>10} {k.at(kind).region_bytes if (k.path / kind).exists() else '-':>12}")
    on = out.kernel("execmem=on")
    for kind in KINDS[1:]:
        tap.equal(f"execmem=on: bytes reserved, alignment {kind}, as without",
                  lambda: on.at(kind).region_bytes, lambda: on.at("plain").region_bytes)
