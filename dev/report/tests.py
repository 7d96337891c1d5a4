# SPDX-License-Identifier: GPL-2.0-only
"""The report's own tests: dev/tests/report.

samples/JOB.tar.xz is what the machines of a job sent, once.  Each test changes it in
one way, and then just these checks have to fail.
"""
import contextlib
import io
import re
import tarfile
import tempfile
import unittest
from pathlib import Path

from report import broadcasts, memory, page_tables, pools
from report.__main__ import run
from report.guest import Kernel
from report.missing import Missing
from report.table import LESS, Heading, Row, Table
from report.tap import Tap

SAMPLES = Path(__file__).with_name("samples")
W_X = "0xffffffffc0000000-0xffffffffc0001000   4K  RW  GLB x  pte\n"
FULL_DUMP = "".join(f"---[ {s} ]---\n" for s in
                    ("Low Kernel Mapping", "High Kernel Mapping", "Modules"))


class Sample:
    """Unpacked in a directory of its own, to be changed"""

    def __init__(self, job: str):
        self.job = job
        self.dir = tempfile.TemporaryDirectory()
        self.path = Path(self.dir.name)
        with tarfile.open(SAMPLES / f"{job}.tar.xz") as tar:
            tar.extractall(self.path)

    def edit(self, file: str, rule: str, text: str) -> None:
        path = self.path / file
        old = path.read_text()
        new = re.sub(rule, text, old, flags=re.M)
        assert new != old, f"{file} has nothing like {rule}"
        path.write_text(new)

    def append(self, file: str, text: str) -> None:
        with (self.path / file).open("a") as f:
            f.write(text)

    def remove(self, file: str) -> None:
        (self.path / file).unlink()

    def report(self, *args: str) -> tuple[int, list[str]]:
        """(exit status, names of the checks that fail)"""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = run(self.job, self.path, *args)
        failed = re.findall(r"^not ok \d+ - (.*)", out.getvalue(), re.M)
        return status, failed


class JobTest(unittest.TestCase):
    job, args = "", ()

    def setUp(self):
        if not self.job:
            self.skipTest("common part")
        self.sample = Sample(self.job)
        self.addCleanup(self.sample.dir.cleanup)

    def fails(self, *expected: str):
        """These checks fail, each named by how it begins, and no others"""
        status, failed = self.sample.report(*self.args)
        self.assertEqual(status, 1)
        for name in failed:
            self.assertTrue(name.strip().startswith(expected), f"{name} fails, too")
        for name in expected:
            self.assertTrue(any(f.strip().startswith(name) for f in failed),
                            f"'{name}' passes, {failed} fail")


class Run(JobTest):
    job, args = "run", ("execmem=on",)

    def test_good(self):
        self.assertEqual(self.sample.report(*self.args), (0, []))

    def test_no_file(self):
        self.sample.remove("execmem=on/fewer/stats")
        self.fails("modules gone")

    def test_no_page_tables(self):
        self.sample.remove("execmem=on/after/page_tables")
        self.fails("pages writable and executable")

    def test_cut_page_tables(self):
        self.sample.edit("execmem=on/after/page_tables", r"---\[ Modules[\s\S]*", "")
        self.fails("pages writable and executable")

    def test_no_counter(self):
        self.sample.edit("execmem=on/after/stats", r" spare \d+", "")
        self.fails("all unloaded: nothing reserved")

    def test_no_vmstat_counter(self):
        self.sample.edit("execmem=on/held/vmstat", "^direct_map_level2_splits.*\n", "")
        self.fails("1000 held: 2M pages of the direct map")

    def test_wx_page(self):
        self.sample.append("execmem=on/all/page_tables", W_X)
        self.fails("pages writable and executable")

    def test_lost_event(self):
        self.sample.edit("execmem=on/load/hist", r"Dropped: 0", "Dropped: 7")
        self.fails("broadcasts are all counted")

    def test_cut_histogram(self):
        self.sample.edit("execmem=on/unload/hist", r"Totals:[\s\S]*", "")
        self.fails("broadcasts are all counted")

    def test_no_histogram(self):
        self.sample.remove("execmem=on/modules/hist")
        self.fails("broadcasts are all counted")

    def test_flush(self):
        self.sample.edit("execmem=on/churn/hist", r"\A", """\
{ func: [ffffffff81000000] do_flush_tlb_all        , common_stacktrace:
         smp_call_function_many_cond+0x1/0x2
         execmem_alloc+0x1/0x2
} hitcount:          3
""")
        self.fails("2000 more: TLB flushes")

    def test_leak(self):
        self.sample.edit("execmem=on/after/stats", r"(pool module_text:.* chunks) \d+", r"\1 77")
        self.fails("all unloaded: chunks left")

    def test_small_pages(self):
        self.sample.edit("execmem=on/held/page_tables", r"^---\[ Modules \]---$",
                         "---[ Modules ]---\n" + W_X.replace("RW", "ro").strip())
        self.fails("1000 held: no 4k executable")

    def test_wrong_size(self):
        self.sample.edit("execmem=on/said", "^fleet.wrong_size 0", "fleet.wrong_size 1")
        self.fails("every program has exactly")

    def test_nothing_said(self):
        self.sample.edit("execmem=on/said", "^modules.unload.count.*\n", "")
        self.fails("all of them go")

    def test_suite_fails(self):
        self.sample.edit("execmem=on.suite/suite/dmesg", "1049 PASSED, 0 FAILED",
                         "1048 PASSED, 1 FAILED")
        self.fails("test_bpf: failed", "execmem=on: test_bpf as on")

    def test_suite_is_cut(self):
        self.sample.edit("execmem=on.suite/suite/dmesg", ".*test_tail_calls: Summary.*\n", "")
        self.fails("test_bpf: failed", "execmem=on: test_bpf as on")

    def test_less_is_jited(self):
        self.sample.edit("execmem=on.suite/suite/dmesg", "1037/1037", "1036/1037")
        self.fails("execmem=on: test_bpf as on")


class Modules(JobTest):
    job, args = "modules", ("20", "execmem=on", "execmem=off")

    def test_good(self):
        self.assertEqual(self.sample.report(*self.args), (0, []))

    def test_module_does_not_load(self):
        self.sample.append("execmem=off/failed", "crc4\n")
        self.fails("modules that did not load")

    def test_module_stays(self):
        self.sample.append("execmem=on/after/modules", "plum 4096 0 - Live 0x0\n")
        self.fails("those that stay")

    def test_unknown_answer(self):
        self.sample.append("execmem=on/after/modules", "plum 4096 0 - Live 0x0\n")
        self.sample.append("execmem=on/after/answers", "plum: it is Sunday\n")
        self.fails("those that stay")

    def test_module_in_use(self):
        self.sample.append("execmem=on/after/modules", "plum 4096 0 - Live 0x0\n")
        self.sample.append("execmem=on/after/answers",
                           "plum: rmmod: Resource temporarily unavailable\n")
        self.assertEqual(self.sample.report(*self.args), (0, []))

    def test_cycle_is_refused(self):
        self.sample.edit("execmem=on/cycles/hist", "^module crc4 ", "module crc4 crc4: no")
        self.fails("unloaded and loaded again, or")

    def test_wx_for_a_moment(self):
        self.sample.append("execmem=off/scan/looks", "look\n" + W_X)
        self.fails("pages writable and executable")

    def test_no_looks(self):
        self.sample.remove("execmem=on/scan/looks")
        self.fails("the page tables were looked at", "pages writable and executable")

    def test_writable_alias(self):
        self.sample.append("execmem=on/scan/aliases", "0 1 0 0\n")
        self.fails("executable pages writable in the direct map")

    def test_no_scan(self):
        self.sample.remove("execmem=on/scan/aliases")
        self.fails("the direct map was looked at", "and executable ones", "executable pages w",
                   "read-only pages w")

    def test_lost_in_a_cycle(self):
        self.sample.edit("execmem=on/cycles/hist", "Dropped: 0(?![\\s\\S]*Dropped)", "Dropped: 1")
        self.fails("broadcasts are all counted")

    def test_cut_cycles(self):
        self.sample.edit("execmem=on/cycles/hist", r"Totals:(?![\s\S]*Totals:)[\s\S]*", "")
        self.fails("broadcasts are all counted", "unloaded and loaded again", "some of those",
                   "and some", "with: both", "without", "TLB flushes, with", "sync_core")

    def test_one_broadcast_more_in_a_cycle(self):
        self.sample.edit("execmem=on/cycles/hist",
                         r"(^module crc4 [\s\S]*?module_enter_text[\s\S]*?hitcount: +)\d+", r"\g<1>9")
        self.fails("without: both kinds", "sync_core, without")

    def test_flushes_without_the_series_are_not_seen(self):
        self.sample.edit("execmem=off/load/hist", "do_flush_tlb_all|do_kernel_range_flush", "plum")
        self.fails("broadcasts are seen")

    def test_unexplained_pages(self):
        self.sample.edit("execmem=on/held/map", " base ", " huge ")
        self.fails("4k mappings that the statistics do not", "and one for each 4k page")


class Abi(JobTest):
    job = "abi"

    def test_good(self):
        self.assertEqual(self.sample.report(), (0, []))

    def new_crc(self, symbol: str, crc: str = "0x12345678"):
        self.sample.edit("series/Module.symvers", rf"^0x\w+\t{symbol}\t", f"{crc}\t{symbol}\t")

    def test_member_added(self):
        self.new_crc("register_kprobe")
        self.sample.edit("series/kernel/kprobes.symtypes", r"^(s#kprobe struct kprobe \{)",
                         r"\1 int planted ;")
        self.fails("differences that are not in the list")

    def test_listed_symbol_for_another_reason(self):
        self.sample.edit("series/arch/x86/mm/pat/set_memory.symtypes", r"^(s#page struct page \{)",
                         r"\1 int planted ;")
        self.fails("differences that are not in the list", "lines of the list")

    def test_crc_without_a_type(self):
        self.new_crc("static_key_enable")
        self.fails("CRCs that changed because of no type", "differences that are not in the list")

    def test_no_types(self):
        self.sample.remove("series/arch/x86/mm/pat/set_memory.symtypes")
        self.fails("CRCs that changed because of no type", "differences that are not in the list",
                   "lines of the list")

    def test_removed(self):
        self.sample.edit("series/Module.symvers", r"^.*\tunregister_kprobe\t.*\n", "")
        self.fails("differences that are not in the list")

    def test_added(self):
        self.sample.append("series/Module.symvers", "0x1\tplanted\tvmlinux\tEXPORT_SYMBOL\t\n")
        self.fails("differences that are not in the list")

    def test_gpl_only(self):
        self.sample.edit("series/Module.symvers", r"(\tset_pages_uc\tvmlinux\tEXPORT_SYMBOL)\t",
                         r"\1_GPL\t")
        self.fails("differences that are not in the list")

    def test_namespace(self):
        self.sample.edit("series/Module.symvers", r"\tDEVMEM$", "\t")
        self.fails("differences that are not in the list")

    def test_no_longer_different(self):
        for side in "base", "series":
            self.sample.edit(f"{side}/Module.symvers", r"^0x\w+\tset_pages_wb\t",
                             "0x12345678\tset_pages_wb\t")
        self.fails("lines of the list")

    def test_no_crcs(self):
        """As without CONFIG_MODVERSIONS: all are equal, and the check must not pass"""
        for side in "base", "series":
            self.sample.edit(f"{side}/Module.symvers", r"^0x\w+", "0x00000000")
        self.fails("symbols have CRCs, base", "symbols have CRCs, series", "lines of the list")

    def test_no_symbols(self):
        self.sample.remove("base/Module.symvers")
        self.fails("the report is complete")

    def test_no_reason(self):
        self.sample.edit("expected", r"\| linux/execmem.h.*", "| ")
        self.fails("the report is complete")


class EachFile(unittest.TestCase):
    """Jobs that need every file that their guest kept"""

    def check(self, job: str, *args: str):
        sample = Sample(job)
        self.addCleanup(sample.dir.cleanup)
        self.assertEqual(sample.report(*args), (0, []))
        for path in sorted(p for p in sample.path.rglob("*") if p.is_file()):
            if path.name == "said":		# but this one
                continue
            text = path.read_bytes()
            path.unlink()
            status, failed = sample.report(*args)
            self.assertEqual((status, bool(failed)), (1, True), f"without {path}")
            path.write_bytes(text)

    def test_smp(self):
        self.check("smp")

    def test_probes(self):
        self.check("probes", "16")


class Parsers(unittest.TestCase):
    def test_entries_by_size(self):
        n = page_tables.count(FULL_DUMP + """\
0xffffffffc0000000-0xffffffffc0200000    2M  ro  PSE  GLB x  pmd
0xffffffffc0200000-0xffffffffc0203000   12K  ro       GLB NX pte
0xffffffffc0203000-0xffffffffc0400000  2036K                  pte
""")
        self.assertEqual((n["region_exec_2M"], n["region_ro_4k"], n["region_rw_4k"]), (1, 3, 0))
        self.assertEqual((n["exec_outside_2M"], n["wx_pages"]), (1, 0))

    def test_wx(self):
        self.assertEqual(page_tables.count(FULL_DUMP + W_X)["wx_pages"], 1)
        self.assertEqual(page_tables.looks("look\nlook\n" + W_X), [0, 1])

    def test_no_dump(self):
        self.assertRaises(Missing, page_tables.count, "")
        self.assertRaises(Missing, memory.region_bytes, "")
        self.assertRaises(Missing, broadcasts.parse, "", 3)

    def test_region(self):
        self.assertEqual(memory.region_bytes(
            "0xffffffffc0000000-0xffffffffc0003000   12288 f+0x1/0x2 pages=2 vmalloc\n"
            "0xffffc90000000000-0xffffc90000003000   12288 f+0x1/0x2 pages=2 vmalloc\n"), 8192)

    def test_trampolines_that_ftrace_keeps(self):
        text = "merged ftrace: bpf used 256 chunks 1\n"
        some = pools.Pools({"bpf": {"used": 320, "chunks": 2}}, {}, pools.parse_kept(text))
        self.assertEqual(some.but_kept("bpf", "used"), 64)
        self.assertFalse(some.only_kept("bpf"))
        only = pools.Pools({"bpf": {"used": 256, "chunks": 1}}, {}, pools.parse_kept(text))
        self.assertTrue(only.only_kept("bpf"))
        none = pools.Pools({"bpf": {"used": 0, "chunks": 0}}, {}, pools.parse_kept(""))
        self.assertFalse(none.only_kept("bpf"))

    def test_merged_pool(self):
        merged = pools.parse_merged("merged bpf: module_text\n")
        self.assertIs(pools.Pools({"module_text": 1}, merged).bpf, 1)

    def test_no_pools(self):
        with self.assertRaises(Missing):
            _ = pools.Pools({}, {}).used
        with self.assertRaises(Missing):
            _ = pools.Pools({"module_text": {}}, {"bpf": "module_text"})["bpf"]

    def test_blame(self):
        for stack, caller in ((" execmem_free+0x1 load_module+0x2", "execmem"),
                              (" do_one_initcall+0x1 load_module+0x2", "module_code"),
                              (" free_mod_mem+0x1 __x64_sys_delete_module+0x1", "module"),
                              (" foo_exit+0x1 __x64_sys_delete_module+0x1", "module_code"),
                              (" bpf_prog_pack_free+0x1", "bpf_pack"),
                              (" vfree+0x1", "vmalloc"), (" plum+0x1", "other")):
            self.assertEqual(broadcasts.whose(stack), caller)


class Checks(unittest.TestCase):
    def setUp(self):
        self.lines = []
        self.tap = Tap(self.lines.append)

    def test_nothing_checked(self):
        self.assertEqual(self.tap.done(), 1)
        self.assertEqual(self.lines[-1], "1..0")

    def test_compare(self):
        self.tap.equal("a", 1, lambda: 1)
        self.tap.at_most("b", 2, 1)
        self.tap.at_least("c", 2, 1)
        self.assertEqual(self.lines, ["ok 1 - a: 1 == 1", "not ok 2 - b: 2 <= 1",
                                      "ok 3 - c: 2 >= 1"])
        self.assertEqual(self.tap.done(), 1)

    def test_missing(self):
        kernel = Kernel(Path("/nonexistent"))
        self.tap.equal("a", lambda: kernel.number("x"), 0)
        self.tap.matches("b", lambda: kernel.text("x"), "plum")
        self.tap.same_lines("c", lambda: kernel.lines("x"), ["1"])
        self.tap.same_use(kernel)
        self.assertEqual(self.tap.failed, 4)

    def test_lines(self):
        self.tap.same_lines("a", ["x"], ["x"])
        self.tap.same_lines("b", [], [])
        self.tap.same_lines("c", ["x", "y"], ["x"])
        self.tap.contains("d", "a plum.", "plum")
        self.tap.contains("e", "a pear.", "plum")
        self.assertEqual([line[:6] for line in self.lines if line[0] != "#"],
                         ["ok 1 -", "not ok", "not ok", "ok 4 -", "not ok"])


class Tables(unittest.TestCase):
    def test_worse(self):
        lines = []
        kernels = [Kernel(Path("new")), Kernel(Path("old"))]
        table = Table(kernels, write=lines.append)

        def missing(kernel):
            return kernel.number("x")

        table.print([Heading("Plums"), Row("eaten", lambda k: len(k.label + "s"), LESS),
                     Row("bad", lambda k: 3 if k.label == "new" else 2, LESS),
                     Row("lost", missing, LESS)])
        self.assertIn("  Plums, bad: 3 against 2", lines)
        self.assertFalse(any("eaten" in line and "against" in line for line in lines))
        self.assertFalse(any("lost" in line for line in lines))


    def test_one_kernel(self):
        """There is nothing to compare it with"""
        lines = []
        Table([Kernel(Path("new"))], write=lines.append).print(
            [Row("eaten", lambda k: 3, LESS)])
        self.assertFalse(any("worse" in line or "1.00" in line for line in lines))


class Recorded(unittest.TestCase):
    def test_origin(self):
        """Each recorded file says where it comes from and how to record it anew"""
        jobs = Path(__file__).parent.parent / "jobs"
        files = [*jobs.glob("*/*.expected"), *jobs.glob("*/*.recorded"),
                 jobs.parent / "modules.list"]
        self.assertGreaterEqual(len(files), 5)
        for file in files:
            head = [line.split(":")[0] for line in file.read_text().splitlines()[:4]]
            self.assertEqual(head, ["# Recorded by", "# on", "# with", "# at"], file)


if __name__ == "__main__":
    unittest.main()
