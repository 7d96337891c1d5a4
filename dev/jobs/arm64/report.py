# SPDX-License-Identifier: GPL-2.0-only
from pathlib import Path

EXPECTED = Path(__file__).with_name("test_bpf.expected")
SUITES = 3


def report(tap, out):
    found = out.kernel("arm64").lines("said")
    expected = [line for line in EXPECTED.read_text().splitlines() if line[:1] != "#"]
    tap.note(found)
    tap.equal("summaries", sum("Summary:" in line for line in found), SUITES)
    tap.same_lines("test_bpf as without the series", found, expected)
