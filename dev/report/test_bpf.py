# SPDX-License-Identifier: GPL-2.0-only
"""The summaries of lib/test_bpf.ko in the kernel's log

	test_bpf: Summary: 1049 PASSED, 0 FAILED, [1037/1037 JIT'ed]
	test_bpf: test_tail_calls: Summary: 10 PASSED, 0 FAILED, [10/10 JIT'ed]
"""
import re
from dataclasses import dataclass

from report.missing import Missing


@dataclass
class Summary:
    passed: int
    failed: int
    jited: str


def summaries(log: str) -> list[str]:
    return re.findall(r"test_bpf: .*Summary: .*\S", log)


def summary(log: str, test: str) -> Summary:
    """Of the suite test_bpf, test_tail_calls or test_skb_segment"""
    name = "test_bpf: " + ("" if test == "test_bpf" else f"{test}: ")
    found = re.search(name + r"Summary: (\d+) PASSED, (\d+) FAILED(?:, \[(\S+) JIT'ed\])?", log)
    if not found:
        raise Missing(f"the summary of {test}")
    return Summary(int(found[1]), int(found[2]), found[3] or "-")
