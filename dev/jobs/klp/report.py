# SPDX-License-Identifier: GPL-2.0-only
PATCHED, NOT_PATCHED = 42, 1

# What the function returns, by the moment: see the guest
VALUES = {"loaded_once": PATCHED, "loaded_again": PATCHED, "kept": PATCHED,
          "disabled": NOT_PATCHED, "patched_later": PATCHED,
          "disabled_later": NOT_PATCHED, "between": PATCHED}


def report(tap, out):
    k = out.kernel("klp")
    for turn in "first", "second":
        for moment, value in VALUES.items():
            tap.equal(f"{turn} turn, {moment}: what the function returns",
                      lambda name=f"{turn}.{moment}": k.number(name), value)
        # The patch's own text and that of the module
        tap.equal(f"{turn} turn: text is entered while a load is stopped, times",
                  lambda turn=turn: k.at(turn).text("trace").count("entered:"), 2)
    tap.same_use(k)
