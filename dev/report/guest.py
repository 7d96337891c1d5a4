# SPDX-License-Identifier: GPL-2.0-only
"""What one machine sent: the lines it said and the raw files it kept.

OUT/LABEL/said has the lines "NAME VALUE" and "NAME TEXT"; OUT/LABEL/TAG/FILE is a
copy of a file of the kernel's at the moment that the job calls TAG.
"""
from functools import cached_property
from pathlib import Path

from report import memory, page_tables
from report.broadcasts import Broadcasts, parse as parse_broadcasts
from report.missing import Missing
from report.modules import Module, parse as parse_modules, sealed
from report.pools import Block, Pools, explain, parse_kept, parse_map, parse_merged, parse_stats


class Counters(dict):
    """Numbers by name; one that is not there is Missing, never 0."""

    def __init__(self, where: str, numbers):
        super().__init__(numbers)
        self.where = where

    def __missing__(self, name):
        raise Missing(f"{name} in {self.where}")


class Folder:
    """A directory of what a machine sent"""

    def __init__(self, path: Path):
        self.path = path

    def text(self, name: str) -> str:
        try:
            return (self.path / name).read_text(errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            raise Missing(f"{self.path.name}/{name}") from None

    def counters(self, name: str, parse) -> Counters:
        return Counters(f"{self.path.name}/{name}", parse(self.text(name)))

    def lines(self, name: str) -> list[str]:
        return self.text(name).splitlines()


class State(Folder):
    """The raw files of one moment; see state() in dev/guest/lib.sh."""

    @cached_property
    def pages(self) -> Counters:
        return self.counters("page_tables", page_tables.count)

    @cached_property
    def vmstat(self) -> Counters:
        return self.counters("vmstat", memory.numbers)

    @cached_property
    def region_bytes(self) -> int:
        return memory.region_bytes(self.text("vmallocinfo"))

    @cached_property
    def pools(self) -> Pools:
        return Pools({name: Counters(f"{self.path.name}/stats, {name}", numbers)
                            for name, numbers in parse_stats(self.text("stats"))},
                           parse_merged(self.text("stats")), parse_kept(self.text("stats")))

    @cached_property
    def blocks(self) -> list[Block]:
        return parse_map(self.text("map"))

    @property
    def explained(self) -> Counters:
        """What the statistics say there should be; see explain()."""
        return Counters(f"{self.path.name}/stats", explain(self.pools, self.blocks))

    @cached_property
    def modules(self) -> list[Module]:
        return parse_modules(self.text("modules"))

    @cached_property
    def sealed_modules(self) -> set[str]:
        """Modules with data that is made read-only after their init"""
        return sealed(self.text("sections"))

    @property
    def splits_2m(self) -> int:
        return self.vmstat["direct_map_level2_splits"]

    @property
    def splits_1g(self) -> int:
        return self.vmstat["direct_map_level3_splits"]


class Kernel(Folder):
    """Everything that one machine sent"""

    def __init__(self, path: Path):
        super().__init__(path)
        self.label = path.name
        self.states: dict[str, State] = {}
        self.traces: dict[str, Broadcasts] = {}

    def at(self, tag: str) -> State:
        return self.states.setdefault(tag, State(self.path / tag))

    def broadcasts(self, tag: str) -> Broadcasts:
        """Between `measure trace-on` and `measure trace-off TAG`"""
        if tag not in self.traces:
            self.traces[tag] = parse_broadcasts(self.text(f"{tag}/hist"), self.others)
        return self.traces[tag]

    @cached_property
    def said(self) -> Counters:
        pairs = (line.split(" ", 1) for line in self.lines("said") if " " in line)
        return Counters("what it said", pairs)

    def number(self, name: str) -> int:
        return int(self.said[name])

    @property
    def others(self) -> int:
        """Processors that a broadcast is for: all but the one it comes from"""
        return self.number("cpus") - 1


class Output:
    """What all machines of a job sent"""

    def __init__(self, path: Path):
        self.path = path

    def kernel(self, label: str) -> Kernel:
        return Kernel(self.path / label)

    def kernels(self, *labels: str) -> list[Kernel]:
        return [self.kernel(label) for label in labels]
