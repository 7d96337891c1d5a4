# SPDX-License-Identifier: GPL-2.0-only
"""/sys/kernel/debug/page_tables/kernel of x86

	---[ Modules ]---
	0xffffffffc0000000-0xffffffffc0200000    2M    ro    PSE    GLB x  pmd

Neighbours with equal permissions share a line, so the number of entries is the size
of the range over the size of an entry of its level.
"""
from collections import Counter
from dataclasses import dataclass

from report.missing import Missing

UNITS = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}
ENTRY = {"pte": 4 << 10, "pmd": 2 << 20, "pud": 1 << 30}
PAGE = {"pte": "4k", "pmd": "2M", "pud": "1G"}
IMAGE, REGION, LINEAR = "High Kernel Mapping", "Modules", "Low Kernel Mapping"


@dataclass
class Range:
    section: str
    size: int
    level: str
    writable: bool
    executable: bool

    @property
    def entries(self) -> int:
        return self.size // ENTRY[self.level]

    @property
    def kind(self) -> str:
        if self.executable:
            return "exec"
        return "rw" if self.writable else "ro"


def parse_range(section: str, line: str) -> Range | None:
    """None when nothing is mapped there"""
    words = line.split()
    if len(words) < 4 or words[-1] not in ENTRY or not {"RW", "ro"} & set(words):
        return None
    size = int(words[1][:-1]) * UNITS[words[1][-1]]
    return Range(section, size, words[-1], "RW" in words, "x" in words[2:-1])


def parse(text: str) -> list[Range]:
    section, seen, ranges = "", set(), []
    for line in text.splitlines():
        if line.startswith("---["):
            section = line.strip("-[] ")
            seen.add(section)
        elif (found := parse_range(section, line)):
            ranges.append(found)
    for wanted in IMAGE, REGION, LINEAR:
        if wanted not in seen:
            raise Missing(f"the section '{wanted}' of the page tables")
    return ranges


def count(text: str) -> dict[str, int]:
    """Entries by place, kind and size: exec_image_4k, region_ro_2M, ...; pages that
    are writable and executable; kB that are read-only in the region of modules, and
    in the direct map."""
    n = Counter({f"exec_{where}_{page}": 0 for where in ("image", "outside")
                 for page in PAGE.values()})
    n.update({f"region_{kind}_{page}": 0 for kind in ("exec", "ro", "rw")
              for page in PAGE.values()})
    n.update({"wx_pages": 0, "region_ro_kb": 0, "linear_ro_kb": 0})
    for r in parse(text):
        page = PAGE[r.level]
        if r.executable:
            n[f"exec_{'image' if r.section == IMAGE else 'outside'}_{page}"] += r.entries
            n["wx_pages"] += r.writable * r.size // ENTRY["pte"]
        if r.section == REGION:
            n[f"region_{r.kind}_{page}"] += r.entries
            n["region_ro_kb"] += (not r.writable) * r.size // 1024
        elif r.section == LINEAR:
            n["linear_ro_kb"] += (not r.writable) * r.size // 1024
    return dict(n)


def looks(text: str) -> list[int]:
    """Pages that are writable and executable, each time that somebody looked: a line
    "look" for each, then the lines of the dump that the guest let through."""
    pages = []
    for line in text.splitlines():
        if line == "look":
            pages.append(0)
        elif (found := parse_range("", line)) and found.writable and found.executable:
            pages[-1] += found.size // ENTRY["pte"]
    return pages
