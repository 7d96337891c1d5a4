# SPDX-License-Identifier: GPL-2.0-only
"""The same numbers of several kernels side by side, with the ratio of the first to the
last one, and where the first one is worse."""
from dataclasses import dataclass, field
from typing import Callable

from report.broadcasts import Broadcasts
from report.guest import Kernel
from report.missing import Missing

LESS = "less"		# is better: say where it is not so
RATIO = "ratio"		# print just that


@dataclass
class Heading:
    text: str


@dataclass
class Remark:
    text: str


@dataclass
class Row:
    what: str
    value: Callable[[Kernel], object]
    kind: str = ""


@dataclass
class Callers:
    """One row for each that caused broadcasts of that kind in that trace"""
    what: str
    tag: str
    kind: str


@dataclass
class Table:
    kernels: list[Kernel]
    worse: list[str] = field(default_factory=list)
    where: str = ""
    write: Callable[[str], None] = print

    def value(self, row: Row, kernel: Kernel):
        try:
            return row.value(kernel)
        except Missing:
            return None

    def row(self, row: Row) -> None:
        values = [self.value(row, kernel) for kernel in self.kernels]
        if all(v is None for v in values):
            return
        first, last = values[0], values[-1]
        both = row.kind and first is not None and last is not None
        ratio = f"{first / last:.2f}" if both and last and len(self.kernels) > 1 else ""
        cells = "".join(f" {'n/a' if v is None else v:>12}" for v in values)
        self.write(f"  {row.what:<42}{cells} {ratio:>8}".rstrip())
        if both and row.kind == LESS and first > last:
            self.worse.append(f"{self.where}, {row.what.strip()}: {first} against {last}")

    def callers(self, wanted: Callers) -> None:
        def count(which: Callable[[Broadcasts], object]):
            return lambda kernel: which(kernel.broadcasts(wanted.tag))

        kind = wanted.kind
        self.where = f"{'TLB flushes' if kind == 'tlb' else kind}, {wanted.what}"
        self.write(f"  {wanted.what}")
        names = (self.value(Row("", count(lambda b: b.callers(kind))), k) for k in self.kernels)
        for name in sorted(set().union(*filter(None, names))):
            self.row(Row(f"    {name}", count(lambda b, name=name: b.of(kind, name)), RATIO))
        self.row(Row("    all together", count(lambda b: b.total(kind)), LESS))

    def print(self, rows) -> None:
        labels = "".join(f" {kernel.label:>12}" for kernel in self.kernels)
        self.write(f"{'':44}{labels} {'ratio':>8}")
        for row in rows:
            match row:
                case Heading():
                    self.where = row.text
                    self.write(f"\n{row.text}")
                case Remark():
                    self.write(f"  ({row.text})")
                case Callers():
                    self.callers(row)
                case Row():
                    self.row(row)
        if len(self.kernels) < 2:
            return
        self.write(f"\nWhere {self.kernels[0].label} is worse than {self.kernels[-1].label}")
        for line in self.worse or ["nowhere, in what is counted here"]:
            self.write(f"  {line}")
        self.write("")
