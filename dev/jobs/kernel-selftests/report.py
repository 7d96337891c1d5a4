# SPDX-License-Identifier: GPL-2.0-only
LEAST = 20


def results(k) -> list[str]:
    return [f"{name} {status}" for name, status in k.said.items()
            if name.startswith(("kmod.", "livepatch."))]


def report(tap, out):
    on, unpatched = out.kernels("execmem=on", "unpatched")
    expected = results(unpatched)
    tap.note(results(on))
    tap.same_lines("as on the unpatched kernel", results(on), expected)
    tap.at_least("tests", len(expected), LEAST)
    # What fails in the same way everywhere has tested nothing.
    tap.at_least("pass on the unpatched kernel: nine tenths",
                 sum(line.endswith(" 0") for line in expected), len(expected) * 9 // 10)
