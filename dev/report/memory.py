# SPDX-License-Identifier: GPL-2.0-only
"""/proc/vmstat, /proc/vmallocinfo"""
from report.missing import Missing

REGION = "0xffffffff"	# where x86 has modules, and nothing else of vmalloc
PAGE_SIZE = 4096


def numbers(text: str) -> dict[str, int]:
    """NAME VALUE"""
    return {name: int(value) for name, value in map(str.split, text.splitlines())}


def region_bytes(text: str) -> int:
    """Memory of the areas in the region of modules, for whatever they are.  It is the
    same question for every kernel, with and without the series."""
    if not text:
        raise Missing("all of vmallocinfo")
    return sum(int(word[6:]) * PAGE_SIZE
               for line in text.splitlines() if line.startswith(REGION)
               for word in line.split() if word.startswith("pages="))
