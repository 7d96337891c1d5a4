# SPDX-License-Identifier: GPL-2.0-only
from report.guest import Folder


def report(tap, out, address):
    k = out.kernel("kgdb")
    gdb = Folder(out.path)
    tap.matches("gdb stops at the breakpoint", lambda: gdb.text("gdb"),
                f"^stopped at {address}, a byte of it [0-9a-f]+$")
    for tag in "before", "now":
        tap.equal(f"{tag}: what the function prints",
                  lambda tag=tag: k.at(tag).text("foo").strip(), "0")
    tap.same_lines("the function's first byte is what it was", lambda: k.at("now").lines("byte"),
                   lambda: k.at("before").lines("byte"))
    tap.same_use(k)
