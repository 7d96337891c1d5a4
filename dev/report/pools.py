# SPDX-License-Identifier: GPL-2.0-only
"""/sys/kernel/debug/execmem: stats and map

	pool module_text: reserved 2097152 used 65536 ... blocks_huge 1 blocks_base 0 ...
	merged bpf: module_text

	# type start size leaf used chunks [picture]
	module_text 0xffffffffc0000000 2048K huge 65536 12 [1...]
"""
import re
from dataclasses import dataclass

from report.missing import Missing

HUGE_PAGE = 2 << 20
# Shared pools whose blocks are executable
EXECUTABLE = "module_text", "bpf"
# Leaf of a block of base pages in the map, and the counter of such blocks in stats
BASE_LEAF, BASE_BLOCKS = "base", "blocks_base"


def parse_stats(text: str):
    """(pool's name, its counters)..."""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["pool"]:
            yield words[1].rstrip(":"), {k: int(v) for k, v in zip(words[2::2], words[3::2])}


def parse_merged(text: str) -> dict[str, str]:
    """Types without a pool of their own, and whose they use"""
    return dict(re.findall(r"^merged (\w+): (\w+)", text, re.M))


def parse_kept(text: str) -> dict[str, dict[str, int]]:
    """By pool: what trampolines use in it. ftrace keeps those of its own ftrace_ops."""
    found = re.findall(r"^merged ftrace: (\w+) used (\d+) chunks (\d+)", text, re.M)
    return {pool: {"used": int(used), "chunks": int(chunks)} for pool, used, chunks in found}


class Pools(dict):
    """Counters by the pool's name"""

    def __init__(self, pools, merged: dict[str, str], kept=None):
        super().__init__(pools)
        self.merged = merged
        self.kept = kept or {}

    def __missing__(self, name: str):
        raise Missing(f"pool {name} in stats")

    def of(self, kind: str):
        """The pool that chunks of this type are in"""
        return self[self.merged.get(kind, kind)]

    def but_kept(self, kind: str, name: str) -> int:
        """The pool's "used" or "chunks" without trampolines that ftrace keeps"""
        pool = self.merged.get(kind, kind)
        return self[pool][name] - self.kept.get(pool, {}).get(name, 0)

    def only_kept(self, kind: str) -> bool:
        """Does the pool hold such trampolines, and nothing else?"""
        pool = self.merged.get(kind, kind)
        return pool in self.kept and self.kept[pool]["chunks"] == self[pool]["chunks"] > 0

    @property
    def bpf(self):
        return self.of("bpf")

    @property
    def used(self) -> dict[str, tuple[int, int]]:
        """What each pool has handed out: to compare before and after a job"""
        if not self:
            raise Missing("pools in stats")
        return {name: (n["used"], n["chunks"]) for name, n in self.items()}


@dataclass
class Block:
    pool: str
    start: int
    kb: int
    leaf: str


def parse_map(text: str) -> list[Block]:
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return [Block(w[0], int(w[1], 16), int(w[2].rstrip("K")), w[3]) for w in rows if w]


def excess(pool) -> int:
    """Blocks beyond those that are needed and one for the next request"""
    needed = -(-pool["used"] // HUGE_PAGE)
    return max(0, pool["blocks_huge"] + pool[BASE_BLOCKS] - 1 - needed)


def explain(pools: Pools, blocks: list[Block]) -> dict[str, int]:
    """What mappings the statistics of all pools explain:

    sealed_pages    change their permissions one by one after they were mapped
    pages_4k        in blocks of base pages, or of a type whose chunks have pages of
                    their own
    exec_4k         executable pages of ftrace and kprobes
    excess_blocks   beyond those needed and one for each pool
    small_blocks    of base pages, in pools that should have huge ones
    fallbacks       times that there was no huge page
    grown, shrunk   blocks that came and went, but for those of ftrace and kprobes
    """
    shared = {block.pool for block in blocks}
    n = dict.fromkeys(("exec_kb", "sealed_kb", "excess_blocks", "small_blocks",
                       "fallbacks", "grown", "shrunk"), 0)
    kb = sum(block.kb for block in blocks if block.leaf == BASE_LEAF)
    n["exec_kb"] = sum(block.kb for block in blocks
                       if block.leaf == BASE_LEAF and block.pool in EXECUTABLE)
    for name, pool in pools.items():
        own_pages = name in ("ftrace", "kprobes")
        sealed = own_pages or name.endswith("ro_after_init")
        # A pool may also start small on purpose.
        n["fallbacks"] += pool["fallbacks"] + pool["small_start"]
        n["sealed_kb"] += sealed * pool["used"] // 1024
        n["exec_kb"] += own_pages * pool["reserved"] // 1024
        if not own_pages:
            # Memory that was added in place takes as many broadcasts as a block.
            n["grown"] += pool["grown"] + pool.get("enlarged", 0)
            n["shrunk"] += pool["shrunk"]
        if name not in shared:
            kb += sealed * pool["reserved"] // 1024
        elif not name.endswith("ro_after_init"):
            n["small_blocks"] += pool[BASE_BLOCKS]
            n["excess_blocks"] += excess(pool)
    return n | {"pages_4k": kb / 4, "sealed_pages": n["sealed_kb"] / 4,
                "exec_4k": n["exec_kb"] / 4}
