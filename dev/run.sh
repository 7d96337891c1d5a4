#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The main job (BPF programs, modules, test_bpf), once with execmem on and once with the boot switch off, side by
# side: dev/run.sh [--base].  With --base a third column is the kernel without the
# series, and the result of its test suite is recorded as the one to reach.
. "$(dirname "${BASH_SOURCE[0]}")/report.sh"

OUT=$BUILD/run
EXPECTED=$DEV/guest/test_bpf.expected	# what test_bpf says on the unpatched kernel
CPUS=4
LIMIT=${LIMIT:-600}			# seconds, for each VM

# boot LABEL VARIANT KERNEL_ARGS: the job's values end up in $OUT/LABEL.  The test
# suite gets a machine of its own with one CPU: its code runs on one anyway, and
# emulating four of them costs twice as much.  The fleet's often waits.
boot() {
	boot_part fleet $CPUS "$@" &
	boot_part suite 1 "$@" && wait $! || { wait; return 1; }
	cat "$OUT/$1".{fleet,suite} >"$OUT/$1"
}

# boot_part PART CPUS LABEL VARIANT KERNEL_ARGS
boot_part() {
	"$DEV/vm.sh" "$4" -m 2048 -c "$2" -t "$LIMIT" -a "$5" -n "run-$3-$1" \
		-f "$OUT/execmem" -f "$DEV/modules.some:modules.list" -- main-job.sh "$1" >"$OUT/$3.$1" 2>"$OUT/$3.$1.err"
}

# See report() and check() in dev/report.sh for the format.
rows() {
	cat <<-'E'
	= The fleet
	programs held | fleet.programs |
	  of them classic BPF | fleet.classic |
	  smaller than 500 bytes | fleet.under_500 |
	  smaller than 2 kB | fleet.under_2000 |
	JITed bytes | fleet.jited_bytes |
	  the same in 64-byte chunks | fleet.chunk_bytes |
	= Mappings added while the fleet is held
	executable, 4k, outside the image | held.exec_outside_4k - before.exec_outside_4k |
	executable, 2M, outside the image | held.exec_outside_2M - before.exec_outside_2M |
	executable, 4k, inside the image | held.exec_image_4k - before.exec_image_4k |
	executable, 2M, inside the image | held.exec_image_2M - before.exec_image_2M |
	executable, all of them | held.exec_outside_4k - before.exec_outside_4k + held.exec_outside_2M - before.exec_outside_2M + held.exec_image_4k - before.exec_image_4k + held.exec_image_2M - before.exec_image_2M | less
	writable and executable pages, in all | held.wx_pages | less
	direct map: 2M pages split | held.direct_map_level2_splits - before.direct_map_level2_splits | less
	direct map: 1G pages split | held.direct_map_level3_splits - before.direct_map_level3_splits | less
	= Memory for the fleet, bytes
	reserved in the module region | held.region_bytes - before.region_bytes | less
	reserved, says the BPF pool | held.pool.reserved - before.pool.reserved | less
	used of it | held.pool.used - before.pool.used | less
	still reserved after unloading all | after.region_bytes - before.region_bytes | less
	= TLB-flush broadcasts, by whose memory it was
	# vmalloc: data unmapped lazily, now and then, by chance of timing
	@ load tlb load 1000 and hold them
	@ churn tlb load and unload 2000 more
	@ unload tlb unload the 1000
	= Other broadcasts
	sync_core, load 1000 | load.sync_core_total | less
	sync_core, load and unload 2000 more | churn.sync_core_total | less
	predictor flush, load 1000 | load.ibpb_total | less
	predictor flush, 2000 more | churn.ibpb_total | less
	= Modules of dev/modules.some beside all of it
	modules | modules.load.count |
	executable mappings added, 4k | all.region_exec_4k - churned.region_exec_4k | less
	  2M | all.region_exec_2M - churned.region_exec_2M | less
	read-only, 4k | all.region_ro_4k - churned.region_ro_4k | less
	  2M | all.region_ro_2M - churned.region_ro_2M |
	writable, 4k | all.region_rw_4k - churned.region_rw_4k | less
	  2M | all.region_rw_2M - churned.region_rw_2M |
	bytes reserved for them | all.region_bytes - churned.region_bytes | less
	@ modules tlb TLB-flush broadcasts, load them
	sync_core, load them | modules.sync_core_total | less
	= Time in microseconds, noisy (emulated); make bench counts instructions
	load one program | load.ns_per_program / 1000 | ratio
	load and unload one | churn.ns_per_program / 1000 | ratio
	= The kernel's own test_bpf
	test_bpf: passed | suite.test_bpf.passed |
	test_bpf: failed | suite.test_bpf.failed | less
	test_bpf: JITed/run | suite.test_bpf.jited |
	test_tail_calls: passed | suite.test_tail_calls.passed |
	test_tail_calls: JITed/run | suite.test_tail_calls.jited |
	test_skb_segment: passed | suite.test_skb_segment.passed |
	E
}

# What must hold with execmem on
checks() {
	cat <<-'E'
	every program has exactly the listed size | fleet.wrong_size | == | 0
	1000 held: no 4k executable mapping added | held.exec_outside_4k - before.exec_outside_4k + held.exec_image_4k - before.exec_image_4k | == | 0
	1000 held: at most one 2M executable mapping | held.exec_outside_2M - before.exec_outside_2M + held.exec_image_2M - before.exec_image_2M | <= | 1
	1000 held: bytes reserved by the pool | held.pool.reserved - before.pool.reserved | <= | 2097152
	1000 held: bytes reserved in the module region | held.region_bytes - before.region_bytes | <= | 2097152
	1000 held: 2M pages of the direct map split | held.direct_map_level2_splits - before.direct_map_level2_splits | == | 0
	2000 more: TLB flushes caused by execmem | churn.tlb.execmem + churn.tlb.bpf_pack | == | 0
	2000 more: bytes used are those of before | churned.pool.used | == | held.pool.used
	all unloaded: chunks left | after.pool.chunks - before.pool.chunks | == | 0
	all unloaded: nothing reserved but the spare | after.pool.reserved - before.pool.reserved | <= | 2097152 * after.pool.spare
	pages writable and executable, at any time | before.wx_pages + held.wx_pages + churned.wx_pages + all.wx_pages + after.wx_pages | == | 0
	modules in the list | 20 | <= | list.modules
	all modules are loaded | modules.load.count | == | list.modules
	all of them go | modules.unload.count | == | modules.load.count
	modules: no 4k executable mapping but for ftrace and kprobes | all.region_exec_4k - churned.region_exec_4k | <= | all.pools.exec_4k - churned.pools.exec_4k
	modules: 2M executable mappings beyond the one of the fleet | all.region_exec_2M - churned.region_exec_2M | == | 0
	modules gone: bytes used are those of before | fewer.pool.used | == | churned.pool.used
	broadcasts are all counted | load.lost_events + churn.lost_events + modules.lost_events + unload.lost_events | == | 0
	test_bpf: failed | suite.test_bpf.failed + suite.test_tail_calls.failed + suite.test_skb_segment.failed | == | 0
	E
}

suite_of() { grep '^suite\.' "$OUT/$1" | sort; }

# The suite must end as it does on the unpatched kernel, whose result is recorded.
check_suite() {
	local difference

	if difference=$(diff "$EXPECTED" <(suite_of "$1")); then
		echo "  pass  $1: test_bpf as on the unpatched kernel"
	else
		echo "  FAIL  $1: test_bpf not as on the unpatched kernel (marked <)"
		grep '^[<>]' <<<"$difference" | sed 's/^/        /'
		return 1
	fi
}

main() {
	local on=execmem=on off=execmem=off columns bad=0 start c

	columns=($on $off)
	[ "${1:-}" != --base ] || columns+=(unpatched)
	needs run
	"$DEV/kernel.sh" x86
	[ ${#columns[@]} = 2 ] || "$DEV/kernel.sh" x86-base

	rm -rf "$OUT"
	mkdir -p "$OUT"
	gcc -static -O2 -Wall -o "$OUT/execmem" "$LINUX/tools/mm/execmem.c"
	start=$SECONDS
	boot_all x86 "${columns[@]}"

	echo "1000 BPF programs, modules and test_bpf on $CPUS CPUs (QEMU TCG), kernel" \
		"$(sed -n 's/^kernel //p;T;q' "$OUT/$on")"
	echo
	rows | report "${columns[@]}"
	[ ${#columns[@]} = 2 ] || suite_of unpatched >"$EXPECTED"
	echo
	echo "With $on, as tools/mm/execmem shows it"
	sed -n 's/^|/  /p' "$OUT/$on"
	echo
	echo "Checks"
	checks | check $on || bad=1
	for c in "${columns[@]}"; do check_suite "$c" || bad=1; done
	echo
	echo "Took $((SECONDS - start)) s.  Verdict: $([ $bad = 0 ] && echo pass || echo FAIL)"
	return $bad
}

main "$@"; exit
