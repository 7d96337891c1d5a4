# SPDX-License-Identifier: GPL-2.0-only
"""Programs in unused text of the kernel image: what they take, and who finds them"""
import re

from report.missing import Missing

ROOM = "image_room"
ENOUGH = 512		# kilobytes: acceptance of the room
ALL = "920"
CASES = 8		# of lib/execmem_room_test.c


def address(k, name):
    return int(k.said[name], 16)


def symbol(k, name):
    found = re.search(rf"(?m)^([0-9a-f]+) \w {name}$", k.text("asked/kallsyms"))
    return int(found[1], 16) if found else 0


def in_text(k, name):
    """Is the program between the symbols that enclose the text of the image?"""
    return symbol(k, "_stext") <= address(k, name) < symbol(k, "_etext")


def traced(k):
    """The caller of the helper that the program calls, and the stack of that call"""
    found = re.search(r"bpf_ktime_get_ns <-(\S+)\n((?:.* => .*\n|.*<stack trace>\n)*)",
                      k.text("asked/trace"))
    if not found:
        raise Missing("the helper in the trace")
    return found


def size_of_room(k):
    """In kilobytes, as the kernel log says"""
    found = re.search(r"execmem: BPF programs may use (\d+) kB of unused text in the kernel image",
                      k.text("boot/dmesg"))
    if not found:
        raise Missing("the room in the kernel log")
    return int(found[1])


def added(k, tag, name):
    """By all pools but the room"""
    def total(state):
        return sum(pool[name] for kind, pool in state.pools.items() if kind != ROOM)
    return total(k.at(tag)) - total(k.at("0"))


def executable(state):
    return state.pages["exec_outside_4k"], state.pages["exec_outside_2M"]


def questions(tap, k, inside):
    """Everybody must answer as for a program elsewhere."""
    def say(what):
        return f"{k.label}: {what}"

    def caller():
        return traced(k)[1]

    def above():
        return traced(k)[2]

    for name in "stack.addr", "fault.addr":
        tap.equal(say(f"{name} is in the image"), lambda: in_text(k, name), inside)
    tap.equal(say("it runs"), lambda: k.number("stack.ran"), 42)
    tap.matches(say("the helper's caller has its name"), caller,
                r"^bpf_prog_[0-9a-f]{16}_room_stack")
    tap.matches(say("stacks have it"), above, "=> bpf_prog_[0-9a-f]{16}_room_stack")
    tap.matches(say("stacks go on to its caller"), above, "=> bpf_test_run")
    tap.matches(say("stacks go on to the system call"), above, "=> do_syscall_64")
    tap.equal(say("/proc/kallsyms has it"),
              lambda: symbol(k, r"bpf_prog_[0-9a-f]{16}_room_stack\s+\[bpf\]"),
              lambda: address(k, "stack.addr"))
    tap.equal(say("perf is told its address"), lambda: address(k, "ksymbol.addr"),
              lambda: address(k, "stack.addr"))
    tap.equal(say("perf is told its size"), lambda: k.number("ksymbol.len"),
              lambda: k.number("dump.bytes"))
    tap.equal(say("a load that faults yields zero"), lambda: k.number("fault.value"), 42)
    tap.at_least(say("its code can be dumped: bytes"), lambda: k.number("dump.bytes"), 10)
    tap.equal(say("/proc/kcore has the same"), lambda: k.number("dump.kcore"),
              lambda: k.number("dump.bytes"))
    for kind in "trampoline", "dispatcher", "struct_ops":
        tap.equal(say(f"it works: {kind}"), lambda: k.said[kind], "ok")
    tap.matches(say("KUnit"), lambda: k.text("kunit"),
                f"pass:{CASES} fail:0 skip:0" if inside else f"pass:0 fail:0 skip:{CASES}")
    tap.equal(say("KUnit ran when the room was open"),
              lambda: "the room is open" in k.text("kunit"), inside)


def costs(tap, k):
    room = size_of_room(k)
    print(f"{k.label}: {room} kB of room; {'programs':>8} {'in the room':>12} {'elsewhere':>10} "
          f"{'reserved':>9} {'mappings':>9}")
    for nr in "1", "140", ALL:
        at = k.at(nr).pools
        print(f"{nr:>31} {at[ROOM]['used']:>12} {added(k, nr, 'used'):>10} "
              f"{added(k, nr, 'reserved'):>9} {added(k, nr, 'mappings'):>9}")
    tap.at_least(f"{k.label}: kilobytes of room", room, ENOUGH)
    tap.equal(f"{k.label}: the statistics have them all",
              lambda: k.at("140").pools[ROOM]["reserved"] >> 10, room)
    for nr in "1", "140":
        tap.equal(f"{k.label}: programs in the room, with {nr}",
                  lambda: k.at(nr).pools[ROOM]["chunks"] - k.at("0").pools[ROOM]["chunks"], int(nr))
        tap.equal(f"{k.label}: {nr} programs reserve elsewhere",
                  lambda: added(k, nr, "reserved"), 0)
        tap.equal(f"{k.label}: {nr} programs add executable mappings",
                  lambda: executable(k.at(nr)), lambda: executable(k.at("0")))
        tap.equal(f"{k.label}: {nr} programs split pages of the direct map",
                  lambda: k.at(nr).splits_2m - k.at("0").splits_2m, 0)
    tap.equal(f"{k.label}: entries of the image's mapping are not split",
              lambda: k.at(ALL).pages["exec_image_4k"], lambda: k.at("boot").pages["exec_image_4k"])
    tap.equal(f"{k.label}: the room has as much in use at the end as before",
              lambda: k.at("end").pools[ROOM]["used"], lambda: k.at("0").pools[ROOM]["used"])
    tap.equal(f"{k.label}: pages writable and executable", lambda: k.at(ALL).pages["wx_pages"], 0)
    tap.matches(f"{k.label}: the map has it", lambda: k.text("asked/map"), rf"^{ROOM} .* huge ")
    tap.matches(f"{k.label}: the viewer shows it", lambda: k.text(f"{ALL}/view"),
                rf"^{ROOM} +[0-9.]+M ")


def report(tap, out):
    for label in "room", "thunks", "no-modules":
        k = out.kernel(label)
        questions(tap, k, True)
        costs(tap, k)
    questions(tap, out.kernel("on"), False)
    for label, reason in ("pti", r"page tables are isolated \(PTI\)"), ("rodata", "rodata=off"):
        k = out.kernel(label)
        tap.matches(f"{label}: there is no room", lambda: k.text("boot/dmesg"),
                    f"execmem: no room in the kernel image: {reason}")
        tap.equal(f"{label}: programs are elsewhere", lambda: in_text(k, "stack.addr"), False)
    on = out.kernel("on")
    tap.equal("on: nobody speaks of a room", lambda: "in the kernel image" in on.text("boot/dmesg"), False)
    tap.equal("on: the statistics have none", lambda: ROOM in on.at("140").pools, False)
