#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the KUnit suite did, as TAP: a line for each of its cases.

	results.py [--all] LINUX CONSOLE

LINUX is the kernel tree: its tools/testing/kunit parses the console, and lib/ says
which cases there must be.  With --all a case that was skipped is a failure.
"""
import argparse
import importlib
import os
import re
import sys
from pathlib import Path

SUITE = "execmem"


def wanted_cases(linux: Path) -> list[str]:
    """The cases that the sources of the suite list"""
    sources = sorted((linux / "lib").glob("test_execmem*.c"))
    return [name for file in sources
            for name in re.findall(r"KUNIT_CASE(?:_\w+)?\((\w+)", file.read_text())]


def parse(linux: Path, console: str):
    """The kernel's own parser reads the console; what it prints is not needed."""
    sys.path.insert(0, str(linux / "tools/testing/kunit"))
    parser = importlib.import_module("kunit_parser")
    printer = importlib.import_module("kunit_printer")
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        parser.stdout = printer.Printer(nowhere)
        return parser.parse_run_tests(console.splitlines())


def worst(test) -> str:
    """Status of a case with all its parameters.

    The parser takes the status of a case from its last line and does not look at it
    again where parameters have passed, so all of them count here.
    """
    names = {test.status.name} | {worst(sub) for sub in test.subtests}
    for bad in ("TEST_CRASHED", "FAILURE", "FAILURE_TO_PARSE_TESTS", "NO_TESTS", "SKIPPED"):
        if bad in names:
            return bad
    return "SUCCESS"


def logs(test) -> list[str]:
    """What the case printed, such as the expectation that failed"""
    return test.log + [line for sub in test.subtests for line in logs(sub)]


def skips(console: str) -> dict[str, str]:
    """Why cases were skipped, which the parser drops"""
    return dict(re.findall(r"ok \d+ (\w+) # SKIP (.*)", console))


class Results:
    def __init__(self, all_must_run: bool, reasons: dict[str, str], write=print):
        self.reasons = reasons
        self.accepted = {"SUCCESS"} if all_must_run else {"SUCCESS", "SKIPPED"}
        self.write = write
        self.number = 0
        self.failed = 0

    def line(self, good: bool, what: str) -> None:
        self.number += 1
        self.failed += not good
        self.write(f"{'ok' if good else 'not ok'} {self.number} - {what}")

    def case(self, name: str, found: list) -> None:
        """A case that the sources list has to be there, once."""
        if len(found) != 1:
            self.line(False, f"{name}: {len(found)} results")
            return
        status = worst(found[0])
        good = status in self.accepted
        if good and status == "SKIPPED":
            name += " # SKIP " + self.reasons.get(name, "some parameters")
        what = f"{name}: {status} {self.reasons.get(name, '')}".rstrip()
        self.line(good, name if good else what)
        if not good:
            for text in logs(found[0]):
                self.write(f"# {text.strip()}")

    def report(self, top, wanted: list[str]) -> int:
        """Exit status: 0 only if the suite ran, and all its cases are good"""
        suites = [test for test in top.subtests if test.name == SUITE]
        cases = [case for suite in suites for case in suite.subtests]
        for name in wanted:
            self.case(name, [case for case in cases if case.name == name])
        for case in cases:
            if case.name not in wanted:
                self.line(False, f"{case.name or 'a case without a name'}: not in the sources")
        self.line(bool(wanted), f"the sources list {len(wanted)} cases")
        self.line([suite.status.name for suite in suites] == ["SUCCESS"], f"suite {SUITE}")
        self.line(top.status.name == "SUCCESS" and not top.counts.errors,
                  f"kunit_parser: {top.counts}")
        self.write(f"1..{self.number}")
        return 1 if self.failed else 0


def main() -> int:
    args = argparse.ArgumentParser()
    args.add_argument("--all", action="store_true")
    args.add_argument("linux", type=Path)
    args.add_argument("console", type=Path)
    given = args.parse_args()
    console = given.console.read_text(errors="backslashreplace")
    results = Results(given.all, skips(console))
    return results.report(parse(given.linux, console), wanted_cases(given.linux))


if __name__ == "__main__":
    sys.exit(main())
