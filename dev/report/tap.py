# SPDX-License-Identifier: GPL-2.0-only
"""Checks, one TAP line each.

Values may be functions without arguments; what they cannot find in the output of a
machine makes the check fail.
"""
import re

from report.missing import Missing


def value_of(x):
    return x() if callable(x) else x


class Tap:
    def __init__(self, write=print):
        self.write = write
        self.number = 0
        self.failed = 0

    def line(self, good: bool, what: str, details: str = "") -> bool:
        self.number += 1
        self.failed += not good
        self.write(f"{'ok' if good else 'not ok'} {self.number} - {what}"
                   + (f": {details}" if details else ""))
        return good

    def compare(self, what: str, x, sign: str, y, holds) -> bool:
        try:
            x, y = value_of(x), value_of(y)
        except Missing as error:
            return self.line(False, what, f"missing: {error}")
        return self.line(holds(x, y), what, f"{x} {sign} {y}")

    def equal(self, what: str, x, y) -> bool:
        return self.compare(what, x, "==", y, lambda x, y: x == y)

    def at_most(self, what: str, x, limit) -> bool:
        return self.compare(what, x, "<=", limit, lambda x, y: x <= y)

    def at_least(self, what: str, x, limit) -> bool:
        return self.compare(what, x, ">=", limit, lambda x, y: x >= y)

    def matches(self, what: str, text, rule: str) -> bool:
        """Is there a line in the text that matches the regular expression?"""
        try:
            found = re.search(f"(?m)^.*(?:{rule}).*$", value_of(text))
        except Missing as error:
            return self.line(False, what, f"missing: {error}")
        return self.line(bool(found), what, found[0].strip() if found else f"no line like {rule}")

    def contains(self, what: str, text, part: str) -> bool:
        return self.matches(what, text, re.escape(part))

    def same_use(self, kernel, before: str = "before", now: str = "now") -> bool:
        """Every pool has handed out what it had before; see used() in dev/guest/lib.sh."""
        what = f"what is allocated is what was before ({now})"
        try:
            old, new = kernel.at(before).pools.used, kernel.at(now).pools.used
        except Missing as error:
            return self.line(False, what, f"missing: {error}")
        self.note(f"{pool}: (bytes, chunks) {new.get(pool)}, before {old.get(pool)}"
                  for pool in old | new if new.get(pool) != old.get(pool))
        return self.line(old == new, what)

    def same_lines(self, what: str, found, expected) -> bool:
        """Two lists of lines; no lines at all are no good either."""
        try:
            found, expected = value_of(found), value_of(expected)
        except Missing as error:
            return self.line(False, what, f"missing: {error}")
        if not expected:
            return self.line(False, what, "there is nothing to compare with")
        self.note([f"< {line}" for line in expected if line not in found]
                  + [f"> {line}" for line in found if line not in expected])
        return self.line(found == expected, what)

    def note(self, lines) -> None:
        for line in lines:
            self.write(f"# {line}")

    def done(self) -> int:
        """The plan, and the exit status: nothing checked is a failure."""
        self.write(f"# {self.number - self.failed} of {self.number} checks hold")
        self.write(f"1..{self.number}")
        return 0 if self.number and not self.failed else 1
