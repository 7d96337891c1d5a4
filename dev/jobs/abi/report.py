# SPDX-License-Identifier: GPL-2.0-only
"""What out-of-tree modules see of the exported symbols, with and without the series.

OUT/base and OUT/series are folders of objects: Module.symvers has the symbols, and the
*.symtypes, by genksyms, the types of which each CRC was computed.  OUT/expected is a
copy of the list beside this file.
"""
import difflib
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from report.guest import Folder
from report.missing import Missing

KINDS = {"s": "struct", "u": "union", "e": "enum", "E": "enumerator", "t": "typedef"}
UNKNOWN = re.compile(r"\{ UNKNOWN \}")


class Export(NamedTuple):
    """A line of Module.symvers"""
    crc: str
    module: str
    kind: str
    namespace: str


@dataclass(frozen=True, order=True)
class Difference:
    what: str
    symbol: str
    why: str

    def __str__(self):
        return f"{self.what} | {self.symbol} | {self.why}"


def exports(text: str) -> dict[str, Export]:
    found = {}
    for line in text.splitlines():
        crc, symbol, module, kind, namespace = line.split("\t")
        found[symbol] = Export(crc, module, kind, namespace)
    return found


def expected(text: str) -> dict[Difference, str]:
    """The lines "WHAT | SYMBOL | WHY | REASON" of the list"""
    found = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        what, symbol, why, reason = (field.strip() for field in line.split("|"))
        if not reason:
            raise Missing(f"the reason of {symbol} in the list")
        found[Difference(what, symbol, why)] = reason
    return found


class Types:
    """The dumps of genksyms of one kernel.  In a dump, a line defines a type, such as
    s#work_struct, or a symbol, and names the types that are a part of it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.files: dict[str, Path] = {}
        for path in sorted(folder.rglob("*.symtypes")):
            # Names of types have a "#", names of symbols do not.
            for symbol in re.findall(r"^([^\s#]+) ", path.read_text(), re.M):
                self.files[symbol] = path

    def of(self, symbol: str) -> dict[str, str]:
        """All definitions in the file that exports it"""
        path = self.files.get(symbol)
        return definitions(path) if path else {}


@cache
def definitions(path: Path) -> dict[str, str]:
    lines = (line.partition(" ") for line in path.read_text().splitlines())
    return {name: rest for name, _, rest in lines}


def parts(definition: str) -> set[str]:
    return set(re.findall(r"(?<!\S)[suetE]#\S+", definition))


def changed(symbol: str, old: dict[str, str], new: dict[str, str]) -> set[str]:
    """The definitions that differ themselves, below a symbol, not only in their parts"""
    todo, seen, found = [symbol], set(), set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        before, after = old.get(name, ""), new.get(name, "")
        if before != after:
            found.add(name)
        todo += parts(before) & parts(after)
    return found


def title(name: str) -> str:
    """s#work_struct is "struct work_struct"; a symbol is "its prototype"."""
    if "#" not in name:
        return "its prototype"
    kind, _, rest = name.partition("#")
    return f"{KINDS[kind]} {rest}"


def members(definition: str) -> list[str]:
    return [part.strip() for part in re.split(r"[;{}]", definition) if part.strip()]


def edit(before: str, after: str) -> list[str]:
    """How a definition changed"""
    if UNKNOWN.search(before):
        return ["was declared only, is defined"]
    if UNKNOWN.search(after):
        return ["was defined, is declared only"]
    return [line for line in difflib.ndiff(members(before), members(after))
            if line[0] in "+-"]


class Comparison:
    def __init__(self, out: Path):
        self.old, self.new = (self.symvers(out / name) for name in ("base", "series"))
        self.types = Types(out / "base"), Types(out / "series")
        self.edits: dict[str, list[str]] = {}
        self.causes: dict[str, set[str]] = {}
        self.differences = sorted(self.compare())

    @staticmethod
    def symvers(folder: Path) -> dict[str, Export]:
        try:
            return exports((folder / "Module.symvers").read_text())
        except FileNotFoundError:
            raise Missing(f"{folder.name}/Module.symvers") from None

    def compare(self):
        for symbol in self.old.keys() | self.new.keys():
            before, after = self.old.get(symbol), self.new.get(symbol)
            if not before:
                yield Difference("added", symbol, after.kind)
            elif not after:
                yield Difference("removed", symbol, before.kind)
            else:
                yield from self.compare_one(symbol, before, after)

    def compare_one(self, symbol: str, before: Export, after: Export):
        for what in "module", "kind", "namespace":
            x, y = getattr(before, what), getattr(after, what)
            if x != y:
                yield Difference(what, symbol, f"{x or 'none'} -> {y or 'none'}")
        if before.crc != after.crc:
            yield Difference("crc", symbol, self.why(symbol))

    def why(self, symbol: str) -> str:
        """The types that changed the CRC, by name"""
        old, new = (types.of(symbol) for types in self.types)
        names = changed(symbol, old, new) if old and new else set()
        for name in names:
            self.edits[title(name) if "#" in name else symbol] = edit(
                old.get(name, ""), new.get(name, ""))
        self.causes[symbol] = {title(name) for name in names}
        return ", ".join(sorted(self.causes[symbol])) or "unknown"

    def count(self, what: str) -> int:
        return sum(difference.what == what for difference in self.differences)


def share_of_crcs(symbols: dict[str, Export]) -> float:
    """Without CONFIG_MODVERSIONS all are 0; a few symbols of assembly may be."""
    have = sum(int(export.crc, 16) != 0 for export in symbols.values())
    return round(have / max(len(symbols), 1), 3)


def print_numbers(c: Comparison) -> None:
    print(f"{'exported symbols':<44} {'base':>8} {'series':>8}")
    for what, holds in (("of the kernel", lambda e: e.module == "vmlinux"),
                        ("of modules", lambda e: e.module != "vmlinux"),
                        ("for GPL modules only", lambda e: e.kind.endswith("_GPL")),
                        ("in a namespace", lambda e: e.namespace != "")):
        numbers = (sum(map(holds, symbols.values())) for symbols in (c.old, c.new))
        print(f"  {what:<42}", *(f"{number:>8}" for number in numbers))
    for what, label in (("added", "added"), ("removed", "removed"),
                        ("kind", "EXPORT_SYMBOL or _GPL changed"),
                        ("namespace", "namespace changed"),
                        ("module", "moved to another module"), ("crc", "CRC changed")):
        print(f"{label:<44} {'':>8} {c.count(what):>8}")


def print_causes(c: Comparison) -> None:
    """How many CRCs each changed type costs, and how many it alone"""
    total = Counter(cause for causes in c.causes.values() for cause in causes)
    alone = Counter(cause for causes in c.causes.values() if len(causes) == 1
                    for cause in causes)
    if total:
        print(f"\n{'CRCs changed by':<44} {'':>8} {'CRCs':>8} {'alone':>8}")
    for cause, number in sorted(total.items(), key=lambda item: (-item[1], item[0])):
        print(f"  {cause:<42} {'':>8} {number:>8} {alone[cause]:>8}")
    for name, lines in sorted(c.edits.items()):
        print(f"\n{name}:")
        for line in lines:
            print(f"    {line}")
    print()


def report(tap, out, *options):
    c = Comparison(out.path)
    wanted = expected(Folder(out.path).text("expected"))
    print_numbers(c)
    print_causes(c)
    tap.at_least("exported symbols were found", min(len(c.old), len(c.new)), 1)
    for label, symbols in ("base", c.old), ("series", c.new):
        tap.at_least(f"symbols have CRCs, {label}: share", share_of_crcs(symbols), 0.9)
    tap.equal("CRCs that changed because of no type that is known",
              sum(not causes for causes in c.causes.values()), 0)
    new = [d for d in c.differences if d not in wanted]
    tap.note(f"not in the list: {d}" for d in new)
    tap.equal("differences that are not in the list", len(new), 0)
    if "other-configuration" not in options:
        old = sorted(wanted.keys() - set(c.differences))
        tap.note(f"only in the list: {d}" for d in old)
        tap.equal("lines of the list that are no differences", len(old), 0)
