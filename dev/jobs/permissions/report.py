# SPDX-License-Identifier: GPL-2.0-only
"""Who changes permissions of memory"""
import re
from pathlib import Path

from report.guest import Kernel

# A step, and the function by which its user changes permissions with execmem=off.  BPF is in
# blocks of the allocator also then.
STEPS = {
    "modules": "load_module",
    "programs": None,
    "trampolines": None,
    "ftrace": "arch_ftrace_update_trampoline",
    "kprobes": "alloc_insn_page",
}
# The hooks, and the functions themselves
HOOKS = ["arch/x86/include/asm/set_memory.h", "arch/x86/mm/execmem.c",
         "arch/x86/mm/pat/set_memory.c"]
# These clear _PAGE_NX, or do not set it.
OTHER_WAYS = ["arch/x86/platform/efi/efi_64.c", "arch/x86/power/hibernate.c"]


def stacks(k: Kernel, step: str) -> list[list[str]]:
    """The stack of each change, the function that was called last first"""
    found: list[list[str]] = []
    for line in k.lines(f"{step}/trace"):
        if "__change_page_attr_set_clr <-" in line:
            found.append([])
        elif found and line.startswith(" => "):
            found[-1].append(line.removeprefix(" => ").split()[0])
    return found


def by_users(k: Kernel, step: str, allocator: set[str]) -> list[str]:
    """The changes that no function of the allocator asks for"""
    return [" <- ".join(stack) for stack in stacks(k, step) if not allocator & set(stack)]


def lost(k: Kernel, step: str) -> int:
    return sum(int(line.split()[-1]) for line in k.lines(f"{step}/lost"))


def documented(path: Path) -> set[str]:
    """Files in the table of the documentation"""
    text = path.read_text()
    table = text.split("\nWho makes memory executable on x86-64\n")[1].split("\n1. ")[0]
    return set(re.findall(r"\S+/\S+\.[chS]", table))


def callers(out) -> set[str]:
    """Files that make memory executable, without the allocator and the functions for it"""
    files = set((out.path / "callers").read_text().split())
    return {f for f in files if "execmem" not in f and f != "arch/x86/mm/pat/set_memory.c"}


def report(tap, out, documentation):
    on, off = out.kernel("execmem=on"), out.kernel("execmem=off")
    listed, found = documented(Path(documentation)), callers(out)
    allocator = set((out.path / "allocator").read_text().split())
    for step, function in STEPS.items():
        tap.equal(f"{step}: changes by others than the allocator",
                  lambda step=step: by_users(on, step, allocator), [])
        if function:
            tap.at_least(f"{step}: with execmem=off, changes by {function}() and no allocator",
                         lambda step=step, function=function:
                         sum(function in stack.split(" <- ")
                             for stack in by_users(off, step, allocator)), 1)
        else:
            tap.equal(f"{step}: with execmem=off, changes by others than the allocator",
                      lambda step=step: by_users(off, step, allocator), [])
        for k in on, off:
            tap.equal(f"{step}: {k.label}: events that were lost",
                      lambda k=k, step=step: lost(k, step), 0)
    tap.equal("who makes memory executable and is not documented", sorted(found - listed), [])
    tap.equal("who is documented and does it in another way", sorted(listed - found), OTHER_WAYS)
    tap.equal("who calls functions that are for hooks",
              (out.path / "hooks").read_text().split(), HOOKS)
    for k in on, off:
        tap.equal(f"{k.label}: BPF trampolines", lambda k=k: k.number("trampolines"), 60)
        tap.same_use(k)
