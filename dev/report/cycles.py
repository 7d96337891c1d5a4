# SPDX-License-Identifier: GPL-2.0-only
"""Modules unloaded and loaded again, one at a time: a line "module NAME [ANSWER]" each,
ANSWER being rmmod's when it stays, then the histogram of broadcasts."""
import re
from dataclasses import dataclass

from report import broadcasts, modules


@dataclass
class Cycle:
    kind: str		# sealed, others, in_use, permanent or unknown (ANSWER)
    seen: broadcasts.Broadcasts

    def count(self, what: str) -> float:
        """Broadcasts of this kind that the module's memory causes"""
        return self.seen.of(what, "execmem", "module")


def parse(text: str, sealed: set[str], others: int) -> list[Cycle]:
    """sealed: names of modules with data that is sealed after their init"""
    cycles = []
    for part in re.split(r"^module ", text, flags=re.M)[1:]:
        line, _, hist = part.partition("\n")
        name, _, answer = line.partition(" ")
        kind = "sealed" if modules.kernel_name(name) in sealed else "others"
        if answer:
            kind = modules.why_stays(answer)
        cycles.append(Cycle(kind, broadcasts.parse(hist, others)))
    return cycles


@dataclass
class Summary:
    """Of all cycles of one kind"""
    times: int
    all_most: float		# of both kinds together, for one module
    all_sum: float		# and for all
    tlb_most: float
    sync_most: float
    sync_times: int


def summary(cycles: list[Cycle], kind: str) -> Summary:
    tlb, sync = ([c.count(what) for c in cycles if c.kind == kind]
                 for what in ("tlb", "sync_core"))
    both = [sum(pair) for pair in zip(tlb, sync)]
    return Summary(len(tlb), max(both, default=0), sum(both), max(tlb, default=0),
                   max(sync, default=0), sum(n > 0 for n in sync))
