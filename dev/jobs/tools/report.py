# SPDX-License-Identifier: GPL-2.0-only
"""Names that tools give to addresses, judged against /proc/kallsyms of the same time"""
import bisect
import re
from collections import Counter
from dataclasses import dataclass

from report.missing import Missing

PERF = {
    "loaded": "programs still loaded",
    "loaded-vmlinux": "the same, with vmlinux",
    "unloaded": "programs unloaded",
    "unloaded-vmlinux": "the same, with vmlinux",
}


@dataclass
class Verdict:
    right: int = 0
    wrong: int = 0
    unknown: int = 0

    @property
    def all(self):
        return self.right + self.wrong + self.unknown


class Kallsyms:
    """The name and the owner of the last symbols at or below an address"""

    def __init__(self, text):
        rows = sorted((int(words[0], 16), words[2], words[3].strip("[]") if words[3:] else "")
                      for words in map(str.split, text.splitlines()))
        if not rows or not rows[-1][0]:
            raise Missing("addresses in kallsyms")
        self.names = {}
        for address, name, owner in rows:
            self.names.setdefault(address, []).append((name, owner))
        self.addresses = sorted(self.names)

    def at(self, address):
        """All symbols there, as a list of (name, owner)"""
        nr = bisect.bisect_right(self.addresses, address)
        return self.names[self.addresses[nr - 1]] if nr else []


def is_dynamic(found):
    return any(owner for _, owner in found)


def bare(name):
    """A compiler's clone and perf's offset do not count: name.cold, name+0x12"""
    return re.sub(r"\+(0x)?[0-9a-f]+$", "", name)


def judge(verdict, name, found):
    """Count the name that a tool gave to an address where these symbols are"""
    if name in ("", "[unknown]", "??"):
        verdict.unknown += 1
    elif bare(name) in {symbol for symbol, _ in found}:
        verdict.right += 1
    else:
        verdict.wrong += 1


def perf(kernel, suite, name):
    """Lines "ADDRESS SYMBOL (OBJECT)" for modules and programs"""
    symbols = Kallsyms(kernel.text(f"perf/{suite}/kallsyms"))
    verdict, mistakes = Verdict(), Counter()
    for line in kernel.lines(f"perf/{suite}/{name}"):
        match = re.match(r" *([0-9a-f]+) (\S+).*\((\S*)\)", line)
        if not match:
            raise Missing(f"a sample in {line!r}")
        found = symbols.at(int(match[1], 16))
        if not is_dynamic(found):
            continue
        before = verdict.right
        judge(verdict, match[2], found)
        if verdict.right == before:
            mistakes[f"{match[2]} in {match[3]} is {found[0][0]} [{found[0][1]}]"] += 1
    return verdict, mistakes


def programs(kernel, suite, name):
    """The same, of samples in BPF programs only: (right, all)"""
    symbols = Kallsyms(kernel.text(f"perf/{suite}/kallsyms"))
    right = total = 0
    for line in kernel.lines(f"perf/{suite}/{name}"):
        words = line.split()
        found = symbols.at(int(words[0], 16))
        if any(owner == "bpf" for _, owner in found):
            total += 1
            right += bare(words[1]) in {symbol for symbol, _ in found}
    return right, total


def elfutils(kernel, suite, what):
    """One line for each address, and one more with its file and line"""
    symbols = Kallsyms(kernel.text("kallsyms"))
    addresses = kernel.lines(f"elfutils/{suite}/{what}.addresses")
    answers = kernel.lines(f"elfutils/{suite}/{what}")[::2]
    if len(answers) != len(addresses):
        raise Missing(f"{len(addresses)} answers in elfutils/{suite}/{what}: {len(answers)}")
    verdict, mistakes = Verdict(), Counter()
    for address, answer in zip(addresses, answers):
        found = symbols.at(int(address, 16))
        before = verdict.right
        judge(verdict, answer.split()[0] if answer.split() else "", found)
        if verdict.right == before:
            mistakes[f"{answer} is {found[0][0]} [{found[0][1]}]"] += 1
    return verdict, mistakes


def lsmod(kernel, suite):
    """Modules whose size is not that of all their memory"""
    total = Counter()
    for line in kernel.lines("ranges"):
        module, kind, _, size = line.split()
        if not kind.startswith("init"):
            total[module] += int(size)
    shown = {words[0]: int(words[1])
             for words in map(str.split, kernel.lines(f"lsmod/{suite}")[1:])}
    verdict = Verdict()
    for module, size in total.items():
        if module not in shown:
            verdict.unknown += 1
        elif shown[module] == size:
            verdict.right += 1
        else:
            verdict.wrong += 1
    return verdict, Counter()


SUITES = {"bookworm": "Debian 12", "trixie": "Debian 13"}
TOOLS = []
for suite, debian in SUITES.items():
    TOOLS += [(f"{debian}, perf script, {text}",
               lambda k, suite=suite, name=name: perf(k, suite, name))
              for name, text in PERF.items()]
    TOOLS += [(f"{debian}, eu-addr2line -k, functions",
               lambda k, suite=suite: elfutils(k, suite, "text")),
              (f"{debian}, eu-addr2line -k, data",
               lambda k, suite=suite: elfutils(k, suite, "data")),
              (f"{debian}, lsmod, sizes", lambda k, suite=suite: lsmod(k, suite))]


def crash_modules(kernel):
    """Names that crash's command mod lists"""
    return sorted(words[1] for words in map(str.split, kernel.lines("crash"))
                  if len(words) > 3 and re.fullmatch("[0-9a-f]{16}", words[0])
                  and re.fullmatch("[0-9a-f]{16}", words[2]))


def line(what, kernel, tool):
    try:
        verdict, mistakes = tool(kernel)
    except Missing as error:
        print(f"  {what:<54} {kernel.label:<12} missing: {error}")
        return
    print(f"  {what:<54} {kernel.label:<12} {verdict.all:>7} {verdict.right:>7} "
          f"{verdict.wrong:>7} {verdict.unknown:>7}")
    for mistake, count in mistakes.most_common(3):
        print(f"      {count} x {mistake}")


def bad(tool, kernel):
    """The share of wrong and unknown answers, in percent"""
    verdict, _ = tool(kernel)
    if not verdict.all:
        raise Missing("answers")
    return round(100 * (verdict.wrong + verdict.unknown) / verdict.all, 1)


def report(tap, out):
    on, off, planted = (out.kernel(name) for name in ("execmem=on", "execmem=off", "planted"))

    print(f"  {'':<54} {'':<12} {'all':>7} {'right':>7} {'wrong':>7} {'unknown':>7}")
    for what, tool in TOOLS:
        for kernel in on, off, planted:
            line(what, kernel, tool)

    for what, tool in TOOLS:
        tap.at_least(f"{what}: answers", lambda: tool(on)[0].all, 20)
        tap.at_most(f"{what}: percent wrong or unknown, at most as with execmem=off",
                    lambda: bad(tool, on), lambda: bad(tool, off))
        tap.at_most(f"{what}: wrong names, at most as with execmem=off",
                    lambda: tool(on)[0].wrong, lambda: tool(off)[0].wrong)
    for suite, debian in SUITES.items():
        for name, text in PERF.items():
            what = f"{debian}, perf script, {text}"
            tap.at_least(f"{what}: samples in programs",
                         lambda: programs(on, suite, name)[1], 50)
            tap.at_least(f"{what}: percent of them right", lambda:
                         100 * programs(on, suite, name)[0] / programs(on, suite, name)[1], 99)
    tap.at_least("planted: tools that are worse than with execmem=off",
                 lambda: sum(bad(tool, planted) > bad(tool, off) for _, tool in TOOLS), 1)

    for k in on, off:
        print(f"  crash, {k.label}: {k.number('crash.end') - k.number('crash.start')} s")
        tap.equal(f"{k.label}: crash ends by itself", lambda: k.number("crash.status"), 0)
        tap.equal(f"{k.label}: crash lists all modules", lambda: crash_modules(k),
                  lambda: sorted(line.split()[0] for line in k.lines("modules")))
        tap.matches(f"{k.label}: crash disassembles a function of a module",
                    lambda: k.text("crash"), r"<hot_function_c\+\d+>:\s+ret")
        tap.matches(f"{k.label}: crash finds a function of a module", lambda: k.text("crash"),
                    r"^[0-9a-f]+ \(.\) hot_function_d")
