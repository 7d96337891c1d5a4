# SPDX-License-Identifier: GPL-2.0-only
"""/proc/modules, and what rmmod says of those that stay"""
from dataclasses import dataclass


@dataclass
class Module:
    name: str
    size: int


def parse(text: str) -> list[Module]:
    """NAME SIZE USERS NEEDED_BY STATE ADDRESS"""
    return [Module(words[0], int(words[1])) for words in map(str.split, text.splitlines())]


def kernel_name(name: str) -> str:
    """Of a file's name, without .ko: the module's"""
    return name.replace("-", "_")


def sealed(text: str) -> set[str]:
    """Paths /sys/module/NAME/sections/SECTION"""
    return {path.split("/")[3] for path in text.split()}


def why_stays(answer: str) -> str:
    """Of rmmod's answer"""
    if "temporarily unavailable" in answer:
        return "in_use"
    if "resource busy" in answer:
        return "permanent"
    return f"unknown ({answer})"


def names(text: str) -> list[str]:
    """A list of modules, as in dev/guest/modules.some"""
    return [line for line in text.splitlines() if line and not line.startswith("#")]
