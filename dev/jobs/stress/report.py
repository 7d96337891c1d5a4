# SPDX-License-Identifier: GPL-2.0-only
import re

# -ERESTARTSYS, -EINTR, or -ENOMEM where one allocates, as 16 bits
INTERRUPTED = "65024", "65532", "65524"
THREADS = 4


def hits(hist: str):
    """(the lines of an entry of a histogram, times that it was counted)..."""
    return [(entry, int(n)) for entry, n in
            re.findall(r"^\{ (.*?)hitcount: *(\d+)", hist, re.M | re.S)]


def interrupted(k) -> int:
    """Loads that a signal interrupted"""
    return sum(n for entry, n in hits(k.text("load/hist"))
               if re.match(r"ret: *(\d+)", entry)[1] in INTERRUPTED)


def given_back(k) -> int:
    """Pieces of memory that a load gave back since it did not succeed.  Most are
    interrupted before they have any; the job faults fails them after that."""
    return sum(n for entry, n in hits(k.text("given_back/hist"))
               if " free_mod_mem" in entry and " load_module" in entry
               and " do_init_module" not in entry)


def killed(k) -> int:
    return sum(int(line.split()[-1]) for line in k.lines("killed") if line.startswith("@"))


def may_stay(k) -> set[str]:
    """Lines of /proc/modules before: needed by two or more, in use, or without an exit"""
    hubs = set(k.lines("before/hubs"))
    rows = (line.split() for line in k.lines("before/modules"))
    return {w[0] for w in rows if w[0] in hubs or int(w[2]) or "permanent" in " ".join(w)}


def module_names(k, tag):
    return sorted(m.name for m in k.at(tag).modules)


def report(tap, out, seconds, least):
    k = out.kernel("stress")
    shares = [line.split() for line in k.lines("shares")]

    tap.equal("modules that stay are needed, in use or permanent",
              lambda: [m for m in module_names(k, "before") if m not in may_stay(k)], [])
    tap.at_least("modules for the threads",
                 sum(int(share) < THREADS for share, _ in shares), int(least))
    for nr in range(THREADS):
        tap.at_least(f"thread {nr}: rounds, one a minute or more, as the clock may be fast",
                     lambda: 60 * k.number(f"rounds.{nr}"), int(seconds))
        tap.at_least(f"thread {nr}: modules", sum(s == str(nr) for s, _ in shares), 1)
    for nr in 1, 2:
        for what in "loads", "unloads":
            tap.at_least(f"racer {nr}: {what}",
                         lambda: k.number(f"racer{nr}.{what}"), 1)
    for who in "killer", "bpf":
        tap.at_least(f"{who}: rounds", lambda: k.number(f"rounds.{who}"), 1)
    tap.at_least("loads were interrupted", lambda: interrupted(k), 1)
    tap.note([f"loads killed: {killed(k)}; pieces of memory given back: {given_back(k)}"])
    tap.equal("the modules that are loaded are those of before",
              lambda: module_names(k, "now"), lambda: module_names(k, "before"))
    tap.same_use(k)
