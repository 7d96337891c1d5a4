# SPDX-License-Identifier: GPL-2.0-only
"""Who owns an address, by the rules that tools have, judged against /proc/kallsyms"""
from collections import Counter, defaultdict
from dataclasses import dataclass

from report.missing import Missing
from report.table import LESS, Row, Table

CORE = "text", "data", "rodata", "ro_after_init"


@dataclass
class Module:
    name: str
    start: int
    size: int

    @property
    def end(self):
        return self.start + self.size

    def __contains__(self, address):
        return self.start <= address < self.end


@dataclass
class Symbol:
    address: int
    kind: str
    name: str
    owner: str


@dataclass
class Range:
    """One kind of memory of one module, from its struct module"""
    module: str
    kind: str
    start: int
    size: int

    @property
    def end(self):
        return self.start + self.size


def lines(state, file):
    found = [line.split() for line in state.lines(file) if not line.startswith("#")]
    if not found:
        raise Missing(f"lines in {file}")
    return found


def modules(state):
    """In the order of the file, newest first; those without text have no address."""
    found = [Module(words[0], int(words[5], 16), int(words[1]))
             for words in lines(state, "modules")]
    return [module for module in found if module.start]


def symbols(state):
    """ADDRESS TYPE NAME [OWNER]"""
    return [Symbol(int(words[0], 16), words[1], words[2], words[3].strip("[]"))
            for words in lines(state, "kallsyms")]


def is_program(symbol):
    """Code that belongs to no module: of BPF, and trampolines of ftrace and kprobes"""
    return symbol.owner == "bpf" or symbol.owner.startswith("__builtin__")


def functions(state):
    return [s for s in symbols(state) if s.kind in "tT"]


def owners(state, address):
    """Modules that have the address in their memory"""
    return {r.module for r in ranges(state) if r.start <= address < r.end}


def code(state):
    """Functions in memory of their modules, and programs; not freed init functions"""
    return [s for s in functions(state)
            if is_program(s) or s.owner in owners(state, s.address)]


def freed(state):
    """Init functions whose memory was freed, and which ftrace remembers"""
    names = {module.name for module in modules(state)}
    return [s for s in functions(state)
            if s.owner in names and s.owner not in owners(state, s.address)]


def ranges(state):
    return [Range(words[0], words[1], int(words[2], 16), int(words[3]))
            for words in lines(state, "ranges")]


def module_of(symbol):
    return None if is_program(symbol) else symbol.owner


def covered(state):
    """Modules with the start of another one in their range"""
    mods = modules(state)
    return sum(any(other.start in mod for other in mods if other is not mod) for mod in mods)


def covered_programs(state):
    """Programs in the range of a module"""
    mods = modules(state)
    return sum(any(s.address in mod for mod in mods)
               for s in code(state) if is_program(s))


def first_range(state):
    """perf and elfutils: the first range that has the address"""
    mods = modules(state)

    def owner(address):
        return next((mod.name for mod in mods if address in mod), None)
    return sum(owner(s.address) != module_of(s) for s in code(state))


def last_start(state):
    """bcc and others: the last start at or below the address; programs have starts"""
    starts = [(mod.start, mod.name) for mod in modules(state)]
    starts += [(s.address, None) for s in code(state) if is_program(s)]

    def owner(address):
        below = [start for start in starts if start[0] <= address]
        return max(below, key=lambda start: start[0])[1] if below else None
    return sum(owner(s.address) != module_of(s) for s in code(state))


def several(state):
    """Functions of modules that lie in the ranges of several"""
    mods = modules(state)
    return sum(sum(s.address in mod for mod in mods) > 1 for s in code(state))


def reused(state):
    """Names of freed init functions that are shown in memory that others have"""
    starts = {s.address for s in functions(state) if is_program(s)}
    return sum(bool(owners(state, s.address)) or s.address in starts for s in freed(state))


def shared_addresses(state):
    """Addresses of functions that have the names of several modules"""
    names = defaultdict(set)
    for s in functions(state):
        names[s.address].add(s.owner)
    return sum(len(found) > 1 for found in names.values())


def touching(state):
    """Ranges that end where another one begins"""
    starts = {r.start for r in ranges(state)}
    return sum(r.end in starts for r in ranges(state))


def filled(state):
    """Kinds of memory with ranges that end with their chunk, which others may follow"""
    ends = {int(words[0], 16) + int(words[1]) for words in lines(state, "chunks")}
    return dict(Counter(r.kind for r in ranges(state) if r.end in ends))


def sums(state):
    """Bytes of each module that is not loading, in all its ranges"""
    total = Counter()
    for r in ranges(state):
        if r.kind in CORE:
            total[r.module] += r.size
    return total


def sizes(state):
    return {words[0]: int(words[1]) for words in lines(state, "modules")}


def texts(state):
    return {r.module: r.size for r in ranges(state) if r.kind == "text"}


def coresizes(state):
    """./NAME/coresize:BYTES"""
    return {words[0].split("/")[1]: int(words[0].split(":")[1])
            for words in lines(state, "coresize")}


def differ(found, expected):
    """Names of modules with different sizes in two dictionaries"""
    return sorted(name for name in found | expected
                  if found.get(name) != expected.get(name))


RULES = [
    ("modules with the start of another one in their range", covered),
    ("programs or trampolines in the range of a module", covered_programs),
    ("functions in the ranges of several modules", several),
    ("the first range that has a function is not its owner's", first_range),
    ("the last start below a function is not its owner's", last_start),
]


def report(tap, out):
    on, off, planted = (out.kernel(name) for name in ("execmem=on", "execmem=off", "planted"))

    rows = [Row(what, lambda k, rule=rule: rule(k.at("held")), LESS) for what, rule in RULES]
    rows.append(Row("loaded again: names of freed functions in others' memory",
                    lambda k: reused(k.at("again")), LESS))
    rows.append(Row("loaded again: functions with names of several modules",
                    lambda k: shared_addresses(k.at("again")), LESS))
    Table([on, planted, off]).print(rows)

    for k in on, off:
        tap.at_least(f"{k.label}: modules", lambda: len(modules(k.at("held"))), 25)
        tap.at_least(f"{k.label}: functions and programs", lambda: len(code(k.at("held"))), 300)
        tap.at_least(f"{k.label}: BPF programs", lambda:
                     sum(s.owner == "bpf" for s in code(k.at("held"))), 60)
    for what, rule in RULES:
        tap.equal(f"{what}: none", lambda: rule(on.at("held")), 0)
        tap.at_most(f"{what}: at most as with execmem=off",
                    lambda: rule(on.at("held")), lambda: rule(off.at("held")))
    tap.at_least("planted: starts of others in the range of a module", lambda:
                 covered(planted.at("held")) + covered_programs(planted.at("held")), 1)
    tap.at_least(f"planted: {RULES[3][0]}", lambda: first_range(planted.at("held")), 1)

    tap.at_least("ftrace has names of freed init functions",
                 lambda: len(freed(on.at("freed"))), 1)
    tap.equal("names of freed init functions in memory of others: none",
              lambda: reused(on.at("again")), 0)
    tap.equal("addresses of functions with names of several modules: none",
              lambda: shared_addresses(on.at("again")), 0)
    for tag in "held", "loading":
        for k in on, off:
            tap.equal(f"{k.label}, {tag}: ranges that end where another one begins",
                      lambda: touching(k.at(tag)), 0)
        tap.equal(f"{tag}: ranges that end with their chunk", lambda: filled(on.at(tag)), {})
    tap.at_least("loading: there is memory for init",
                 lambda: sum(r.kind.startswith("init") for r in ranges(on.at("loading"))), 1)

    tap.equal("modules whose size in /proc/modules is not that of their text",
              lambda: differ(sizes(on.at("held")), texts(on.at("held"))), [])
    tap.equal("with execmem=off, those whose size is not that of all their memory",
              lambda: differ(sizes(off.at("held")), sums(off.at("held"))), [])
    for k in on, off:
        tap.equal(f"{k.label}: modules whose coresize is not the size of all their memory",
                  lambda: differ(coresizes(k.at("held")), sums(k.at("held"))), [])
