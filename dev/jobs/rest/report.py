# SPDX-License-Identifier: GPL-2.0-only
import re

NAME = "of (?:unloaded )?module execmem_leave"
LOADS = 45	# of 50; some are in use or permanent the second time
GROWTH = 256 << 10	# what a pool may grow at once while it has no huge page


def console(out, label):
    return (out.path / f"{label}.log").read_text(errors="replace")


def named(tap, out, label):
    """The lines of the report that names the module"""
    tap.at_least(f"{label}: an oops or a warning names the module that was unloaded",
                 lambda: len(re.findall(NAME, console(out, label))), 1)


def check_late(tap, out, label):
    named(tap, out, label)
    tap.at_least(f"{label}: loads of other modules before", lambda: loads(out, label), LOADS)


def loads(out, label):
    return out.kernel(label).number("loads")


def check_write(tap, out, label):
    named(tap, out, label)
    tap.equal("write: it is reported once", lambda: len(re.findall("module execmem_leave was written to", console(out, label))), 1)
    tap.matches("write: with the place", lambda: console(out, label),
                r"module_data of unloaded module execmem_leave was written to, at offset 0x[0-9a-f]*[26ae]4 of")
    tap.equal("write: it is counted",
              lambda: out.kernel(label).at("late").pools["module_data"]["rest_writes"], 1)
    tap.at_least("write: loads of other modules before", lambda: loads(out, label), LOADS)


def check_hold(tap, out, label):
    k = out.kernel(label)
    held = lambda tag: k.at(tag).pools["module_data"]["held"]
    tap.equal("hold: the page still has what its module wrote", lambda: k.at("held").text("page").strip(), "own page")
    tap.at_least("hold: bytes that are held", lambda: held("held"), 4096)
    tap.equal("hold: nothing is held when the reference is gone", lambda: held("dropped"), 0)
    tap.equal("hold: nothing rests then", lambda: k.at("dropped").pools["module_data"]["resting"], 0)


def check_bounds(tap, out, label):
    k = out.kernel(label)
    total = lambda tag, name: sum(p[name] for p in k.at(tag).pools.values())
    loops = [f"loop{i}" for i in range(1, 21)]
    tap.at_most("bounds: bytes that rest in a pool, at most, in 20 loops over the modules",
                lambda: max(p["resting"] for tag in loops for p in k.at(tag).pools.values()), 2 << 20)
    # How much rests at once depends on the speed of the machine, so pools may grow once
    # more later. Memory that is lost in each loop adds up to more than that.
    tap.at_most("bounds: bytes reserved in the second ten loops as in the first",
                lambda: max(total(tag, "reserved") for tag in loops[10:]),
                lambda: max(total(tag, "reserved") for tag in loops[:10]) + GROWTH)
    tap.equal("bounds: bytes that rest 10 s later", lambda: total("after", "resting"), 0)
    tap.equal("bounds: bytes used as before", lambda: total("after", "used"), lambda: total("before", "used"))


CHECKS = {"write": check_write, "hold": check_hold, "bounds": check_bounds}


def report(tap, out, *labels):
    for label in labels:
        CHECKS.get(label, check_late)(tap, out, label)
