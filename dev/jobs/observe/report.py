# SPDX-License-Identifier: GPL-2.0-only
"""All who show the same memory show the same.  The lists are of words, so that only
what is shown counts and not how it is laid out."""
import re

from report.guest import Folder
from report.pools import BASE_BLOCKS, parse_stats

REASONS = "fallbacks", "not_huge", "no_room", "split", "small_start"
# Trace event, and the counters that together count the same
EVENTS = {"alloc": ["allocs"], "fill": ["fills"], "free": ["frees"],
          "grow": ["grown", "enlarged"], "shrink": ["shrunk"]}


def percent(used, reserved):
    return f"{used * 100 // reserved}%" if reserved else "-"


# --- as the files of debugfs have it ---------------------------------------

def pools(held):
    return list(parse_stats(held.text("stats")))


def types_of_stats(held):
    return [" ".join(map(str, (name, n["reserved"], n["used"], percent(n["used"], n["reserved"]),
                               n["largest_free"], n["chunks"], n["blocks_huge"], n[BASE_BLOCKS],
                               n["spare"], n["failures"]))) for name, n in pools(held)]


def reasons_of_stats(held):
    """Those that are not zero"""
    lines = (", ".join(f"{r} {n[r]}" for r in REASONS if n[r]) for _, n in pools(held))
    return [line for line in lines if line] + ["end"]


def blocks_of_map(held):
    blocks = []
    for line in held.lines("map"):
        if not line.startswith("#"):
            words, picture = line.split("[")[0].split(), line[line.index("["):]
            words[2] = str(int(words[2].rstrip("K")) * 1024)
            blocks.append(" ".join(words + [picture]))
    return blocks


def sum_of_stats(held):
    def total(counter):
        return sum(n[counter] for _, n in pools(held))

    used, reserved = total("used"), total("reserved")
    return [f"{used} used of {reserved} ({percent(used, reserved)}), chunks {total('chunks')},"
            f" blocks {total('blocks_huge')} huge, {total(BASE_BLOCKS)} base"]


def pools_of_stats(held):
    """What gdb shows of those in use"""
    return [" ".join(map(str, (name, n["reserved"], n["used"], n["chunks"], n["blocks_huge"],
                               n[BASE_BLOCKS]))) for name, n in pools(held) if n["reserved"]]


def chunks(held):
    return [line for line in held.lines("chunks") if not line.startswith("#")]


def counted(k):
    """By the statistics, from before until after"""
    def total(tag, counters):
        return sum(n[c] for _, n in parse_stats(k.at(tag).text("stats")) for c in counters)

    return [f"{event} {total('after', counters) - total('before', counters)}"
            for event, counters in EVENTS.items()]


def traced(k):
    trace = k.at("after").text("trace")
    return [f"{event} {trace.count(f' execmem_{event}: ')}" for event in EVENTS]


# --- as the viewer has it --------------------------------------------------

def types_of_view(held):
    """The table ends with an empty line; lines with blanks before are of the one above."""
    table = held.text("view").split("\n\n")[0].splitlines()
    return [" ".join(line.split()) for line in table[1:] if not line.startswith(" ")]


def reasons_of_view(held):
    return re.findall(r"(?m)^  since boot: (.*)$", held.text("view")) + ["end"]


def blocks_of_view(held):
    """TYPE START SIZE LEAF used PERCENT chunks NUMBER, and a line with the picture"""
    blocks, before = [], ""
    for line in held.lines("view"):
        if line.startswith("  ["):
            words = before.split()
            blocks.append(" ".join(words[:4] + [words[5], words[7], line.strip()]))
        before = line
    return blocks


def check_viewer(tap, k, ordinary):
    held, errors = k.at("held"), k.at("error")
    tap.same_lines("viewer: the numbers are those of stats",
                   lambda: types_of_view(held), lambda: types_of_stats(held))
    tap.same_lines("viewer: the fallbacks are those of stats",
                   lambda: reasons_of_view(held), lambda: reasons_of_stats(held))
    if ordinary:
        tap.matches("viewer: and there are some", lambda: held.text("view"), " fallbacks [1-9]")
    tap.same_lines("viewer: the blocks are those of map",
                   lambda: blocks_of_view(held), lambda: blocks_of_map(held))
    tap.same_lines("viewer: the summary is the sum",
                   lambda: held.lines("view")[-1:], lambda: sum_of_stats(held))
    tap.matches("viewer: it reads debugfs, sizes have units",
                lambda: held.text("live"), "^module_text +[0-9.]+M ")
    tap.contains("viewer: an error for a wrong directory",
                 lambda: errors.text("directory"), "/nowhere/stats: No such file")
    tap.contains("viewer: an error without debugfs",
                 lambda: errors.text("debugfs"), "mount debugfs first: mount -t")


# --- as gdb has it ---------------------------------------------------------

class Gdb:
    """What gdb printed, by section"""

    def __init__(self, text):
        self.sections = {}
        for part in re.split(r"(?m)^@ ", text)[1:]:
            name, _, lines = part.partition("\n")
            self.sections[name] = lines.splitlines()

    def lines(self, name):
        return self.sections.get(name, [])

    def pools(self):
        return [" ".join(line.split()) for line in self.lines("pools")[1:]]


def without_offset(lines):
    """Callers without offsets, which gdb and the kernel write in two ways"""
    words = (line.split() for line in lines)
    return [" ".join(w[:4] + [w[4].split("+")[0]]) for w in words]


def check_gdb(tap, k, gdb, start, size):
    held = k.at("held")
    tap.same_lines("gdb: the pools are those of stats", gdb.pools, lambda: pools_of_stats(held))
    tap.same_lines("gdb: the chunks are those of debugfs",
                   lambda: without_offset(gdb.lines("chunks")[1:]),
                   lambda: without_offset(chunks(held)))
    tap.same_lines("gdb: each chunk is found by its addresses only", lambda: gdb.lines("each"),
                   lambda: ["chunk {} size {}".format(*c.split()[:2]) for c in chunks(held)])
    expression = "\n".join(gdb.lines("expression"))
    tap.matches("gdb: an address may be an expression", expression,
                f"^chunk {start} size {size} state [a-z]+ type bpf caller [a-z_]+")
    tap.matches("gdb: it tells the pool", expression, "^pool  module_text$")
    tap.contains("gdb: an error for another address", "\n".join(gdb.lines("outside")),
                 "is in no block")


def report(tap, out, start, size, *args):
    """start and size of a chunk of BPF; args of the kernel, if it is not booted as usual"""
    k = out.kernel("observe")
    check_viewer(tap, k, not args)
    check_gdb(tap, k, Gdb(Folder(out.path).text("gdb")), start, size)
    tap.same_lines("events: as many of each as the statistics count",
                   lambda: traced(k), lambda: counted(k))
    tap.equal("events: and each was there",
              lambda: [line for line in traced(k) if line.endswith(" 0")], [])
