# SPDX-License-Identifier: GPL-2.0-only
LEAKS = 10	# the module's; the last one may be found on a stack

# A page fault in it is the end of insmod.
STATUS = {"uaf-guard": range(1, 256)}


def check_leak(tap, k):
    tap.at_least("leak: reported by kmemleak", lambda: k.text("leaks").count("plant_leak"), LEAKS - 1)


def check_page(tap, k):
    tap.matches("page: the tag of what it forgot is there", lambda: k.text("allocinfo"),
                "execmem_plant.*func:plant_page")
    for step in "removed", "inserted_again", "removed_again":
        tap.equal(f"page: {step}, status", lambda step=step: k.number(step), 0)


CHECKS = {"leak": check_leak, "page": check_page}


def report(tap, out, *labels):
    """What is reported on the console is checked by vm.sh."""
    for label in labels:
        k = out.kernel(label)
        tap.compare(f"{label}: the module is inserted, status", lambda k=k: k.number("inserted"),
                    "in", STATUS.get(label, (0,)), lambda x, y: x in y)
        if label in CHECKS:
            CHECKS[label](tap, k)
