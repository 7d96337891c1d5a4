# SPDX-License-Identifier: GPL-2.0-only
"""Output of kernel selftests: "ok 1 - name", "not ok 2 name", "ok 3 name # SKIP why" """
import re
from dataclasses import dataclass


@dataclass
class Case:
    good: bool
    name: str
    skipped: bool


def parse(text: str) -> list[Case]:
    found = re.findall(r"^(not )?ok \d+ (?:- )?(.*?)( # SKIP.*)?$", text, re.M)
    return [Case(not bad, name, bool(skip)) for bad, name, skip in found]
