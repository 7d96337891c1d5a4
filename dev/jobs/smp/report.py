# SPDX-License-Identifier: GPL-2.0-only
NO_LOCK, LOCK = "3e", "f0"	# an instruction's first byte


def report(tap, out):
    k = out.kernel("smp")
    tap.contains("returns are those for ITS", lambda: k.text("mitigation"),
                 "Aligned branch/return thunks")
    for tag, online, prefix in ("one", "0", NO_LOCK), ("two", "0-1", LOCK):
        at = k.at(tag)
        tap.equal(f"{tag}: processors", lambda: at.text("online").strip(), online)
        for file in "prefix", "kcore":
            tap.equal(f"{tag}: prefix, says {file}",
                      lambda: at.text(file).strip(), prefix)
    tap.contains("the kernel patched lock prefixes", lambda: k.text("dmesg"),
                 "SMP alternatives: switching to SMP code")
    tap.same_use(k)
