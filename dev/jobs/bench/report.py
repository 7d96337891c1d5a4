# SPDX-License-Identifier: GPL-2.0-only
"""Instructions, from lines of execmem_bench.ko in the log: "result NAME KEY VALUE..." """
import re
from functools import cache
from pathlib import Path

from report.guest import Counters

SIZE, LIMIT = 512, 1.0		# bytes may cost so many times what bpf_prog_pack costs
SIZES = 64, 512, 2048, 16384
TOTAL = f"fleet.{SIZE}.total.median"
RECORDED = Path(__file__).with_name("bpf_prog_pack.recorded")


def results(text: str) -> dict[str, int]:
    found = {}
    for name, pairs in re.findall(r"execmem_bench: result (\S+) (.*)", text):
        words = pairs.split()
        found |= {f"{name}.{key}": int(v) for key, v in zip(words[::2], words[1::2])}
    return found


@cache
def numbers(k) -> Counters:
    return Counters(f"{k.label}/dmesg", results(k.text("dmesg")))


def spread(k, name) -> str:
    return "/".join(str(numbers(k)[f"{name}.{stat}"]) for stat in ("min", "median", "p99"))


def program(name):
    return lambda k: k.number(f"{name}.ns_per_program")


def measured(name):
    return lambda k: numbers(k)[name]


COSTS = [(f"{size} bytes, {step}", measured(f"fleet.{size}.{step}.median"))
         for size in SIZES for step in ("alloc", "fill", "seal", "free", "total")]
COSTS += [("load a program of the fleet", program("load")),
          ("load and unload it", program("churn"))]

WAITING = [
    ("fill 64 kB", measured("fill65536.median")),
    ("  longest wait of an interrupt", measured("irqsoff.longest")),
    ("  text_mutex, longest hold", measured("hold.text_mutex.65536.fill.longest")),
    ("  text_mutex, times held", measured("hold.text_mutex.65536.fill.times")),
    ("alloc, fill and free 64 kB", measured("total65536.median")),
    ("  text_mutex, longest hold", measured("hold.text_mutex.65536.all.longest")),
    ("  pack_mutex, longest hold", measured("hold.pack_mutex.65536.all.longest")),
    ("alloc, fill, seal, free 512 bytes", measured("fleet.512.total.median")),
    ("  text_mutex, all holds", measured("hold.text_mutex.512.all.sum")),
    ("  pack_mutex, all holds", measured("hold.pack_mutex.512.all.sum")),
]


def side_by_side(kernels, rows) -> None:
    print(f"  {'':38} {'unpatched':>10} {'on':>10} {'ratio':>6} {'off':>10} {'ratio':>6}")
    for what, value in rows:
        old, *new = [value(k) for k in kernels]
        cells = (f" {n:>10} {f'{n / old:.2f}' if old else '-':>6}" for n in new)
        print(f"  {what:38} {old:>10}{''.join(cells)}")
    print()


def costs(kernels) -> None:
    on = numbers(kernels[1])
    print(f"""\
Instructions (median of {on['fleet.rounds']}) among {on['fleet.live']} live chunks of the fleet: bpf_prog_pack
without the series, execmem with it.
Execmem is filled and sealed by execmem_publish(), as the JIT does; neither kernel has a seal
of its own in this table, so what is printed there is the cost of measuring.
""")
    side_by_side(kernels, COSTS)


def by_live(kernels) -> None:
    print(f"""\
By number of live chunks, min/median/p99.  Before each round one live chunk is replaced
by another, so that the holes change.  Among none, only {numbers(kernels[1])['live0.rounds']} rounds: bpf_prog_pack, and
execmem without huge pages, make a block and give it back each time; with huge pages the
text of this module is in the block already.
""")
    print(f"  {'live':>6} {'bytes':>6}  {'step':6} {'unpatched':>23} {'on':>23} {'off':>23}")
    for live in 0, 1000, 10000:
        for size in SIZES:
            for step in "alloc", "fill", "free", "total":
                cells = (f" {spread(k, f'live{live}.{size}.{step}'):>23}" for k in kernels)
                print(f"  {live:>6} {size:>6}  {step:6}{''.join(cells)}")
    print()


def pages(kernels) -> None:
    unpatched, on, _ = kernels
    n = numbers(unpatched)
    print(f"""\
Pages for each chunk, as the unpatched kernel has them for all but BPF: execmem_alloc,
memcpy, set_memory_rox (the seal), execmem_free, among {n['pages.live']} such chunks, {n['pages.rounds']} rounds.
One CPU: the TLB flushes need no IPIs.  The median total is so many times the one above:
""")
    print(f"  {'':20} {'min/median/p99':>22} {'bpf_prog_pack':>12} {'execmem, on':>12}")
    for size in SIZES:
        for step in "alloc", "fill", "seal", "free", "total":
            line = f"  {f'{size} bytes, {step}':20} {spread(unpatched, f'pages.{size}.{step}'):>22}"
            if step == "total":
                total = n[f"pages.{size}.total.median"]
                line += "".join(f" {total / numbers(k)[f'fleet.{size}.total.median']:>12.1f}"
                                for k in (unpatched, on))
            print(line)
    print()


def waiting(kernels) -> None:
    print("""\
How long others are kept waiting, in instructions.
Mutexes: from mutex_lock() to mutex_unlock(), seen by probes whose own cost is taken off;
median of 100 rounds.  pack_mutex is bpf_prog_pack's.  Spinlocks cannot be seen like this.
Interrupts: a timer is made due at every moment of the fill, 100 instructions apart; this
is how much later than with interrupts enabled its handler ran, at worst.
""")
    side_by_side(kernels, WAITING)


def scaling(unpatched, on) -> None:
    print("""\
Threads that alloc, fill and free 512 bytes, each on one of 8 CPUs: acquisitions of a lock
for which the thread had to wait, and sleeps (voluntary context switches), per 1000
operations.  All CPUs are emulated in turn by one thread of the host, so more of them do
not get more done, and a lock that is handed to a CPU whose turn is yet to come keeps all
others waiting, most of all a spinlock ("other").  Compare the kernels, and no more.
""")
    waits = "text_mutex", "pack_mutex", "other", "sleeps"
    print(f"  {'threads':>7}  {'':10}", *(f"{w:>10}" for w in waits), f"{'us/op (noisy)':>14}")
    for threads in 1, 2, 4, 8:
        for label, k in ("unpatched", unpatched), ("on", on):
            n = numbers(k)
            ops = n[f"threads{threads}.ops"]
            cells = (f"{n[f'threads{threads}.{w}'] * 1000 / ops:>10.1f}" for w in waits)
            print(f"  {threads:>7}  {label:10}", *cells,
                  f"{n[f'threads{threads}.ns_per_op'] // 1000:>14}")
    print()


def report(tap, out, what=""):
    on = out.kernel("execmem=on")
    if what == "--all":
        kernels = out.kernels("unpatched", "execmem=on", "execmem=off")
        for table in costs, by_live, pages, waiting:
            table(kernels)
        scaling(*out.kernels("unpatched.threads", "execmem=on.threads"))
    recorded = Counters(RECORDED.name, results(RECORDED.read_text()))
    tap.at_most(f"{SIZE} bytes: at most {LIMIT} times the instructions of bpf_prog_pack",
                lambda: numbers(on)[TOTAL], lambda: LIMIT * recorded[TOTAL])
