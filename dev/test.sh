#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# All tests, or those named: dev/test.sh [NAME...].  A test is a function
# test_NAME; status 0 passed, 77 skipped, anything else failed.  As many run at a
# time as there are processors, see dev/tests.mk.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The kernel is built by the first, next to those that need none.
TESTS="smoke harness check fuzz kunit selftest run memory modules layout observe bench plumbing"

test_check() { "$DEV/check.sh"; }
test_plumbing() { "$DEV/tests/vm"; }
test_smoke() { "$DEV/kernel.sh" x86 && "$DEV/vm.sh" x86 -- smoke.sh; }

# The bookkeeping in user space, and how much of it these tests reach
test_harness() {
	make -s -C "$ROOT" harness SEED="${SEED:-1}"
	make -s -C "$ROOT" harness HARNESS=coverage
}

test_fuzz() {
	make -s -C "$ROOT" harness HARNESS=fuzz FUZZ_SECONDS=30
}

test_kunit() { "$DEV/jobs/kunit/host"; }

test_selftest_build() {
	local dir=$BUILD/selftests

	"$DEV/series.sh" tree --keep
	make -s -C "$LINUX/tools/testing/selftests" TARGETS=execmem INSTALL_PATH="$dir" install
	tar -C "$dir" -cf "$dir.tar" .
}

test_selftest() {
	"$DEV/kernel.sh" x86
	test_selftest_build
	"$DEV/vm.sh" x86 -t 600 -f "$BUILD/selftests.tar" -- selftest-job.sh execmem execmem.sh
}

# The main job, against the boot switch
test_run() { "$DEV/run.sh"; }
test_bench() { "$DEV/bench.sh" --recorded; }
test_observe() {
	"$DEV/kernel.sh" x86
	"$DEV/kernel.sh" x86 scripts_gdb
	"$DEV/tests/observe"
}
test_memory() { "$DEV/memory.sh"; }
test_modules() {
	"$DEV/modules.sh" --some
	"$DEV/modules.sh" --some --smp &
	"$DEV/modules.sh" --some --probes || { wait; false; }
	wait $!
}

# layout_of VARIANT: of structures that modules built elsewhere know
layout_of() {
	local s

	"$DEV/kernel.sh" "$1" >&2
	for s in module module_memory bpf_prog bpf_prog_aux ftrace_ops; do
		pahole -F btf -C $s "$BUILD/$1/vmlinux"
	done
}

# As without the series, which layout_base recorded
test_layout() {
	layout_of x86 >"$BUILD/layout"
	diff "$DEV/layout.expected" "$BUILD/layout"
}

test_layout_base() {
	layout_of x86-base >"$BUILD/layout-base"
	write_if_changed "$DEV/layout.expected" <"$BUILD/layout-base"
}

# test_bpf_on VARIANT: what it says, and on which version
test_bpf_on() {
	"$DEV/kernel.sh" "$1" >&2
	echo "# dev/test.sh arm64_base, on $(base_field version)"
	"$DEV/vm.sh" "$1" -t 1200 -- insmod test_bpf.ko
}

# Not among $TESTS, since it builds a kernel of its own: the same tests pass, and as
# many are JITed, as without the series; that was recorded by arm64_base.
test_arm64() {
	test_bpf_on arm64 >"$BUILD/test_bpf-arm64"
	[ "$(grep -c 'Summary:' "$BUILD/test_bpf-arm64")" = 3 ] || die "not all summaries are there"
	diff "$DEV/guest/test_bpf-arm64.expected" "$BUILD/test_bpf-arm64"
	tail -n 3 "$BUILD/test_bpf-arm64"
}

test_arm64_base() {
	test_bpf_on arm64-base >"$BUILD/test_bpf-arm64-base"
	write_if_changed "$DEV/guest/test_bpf-arm64.expected" <"$BUILD/test_bpf-arm64-base"
}

# cpu_time FILE: processor time of all children, from what `times` printed
cpu_time() {
	tail -n 1 "$1" | tr ' ' '\n' | awk -F '[ms]' '{ t += $1 * 60 + $2 } END { print int(t) }'
}

# run_test NAME: its output goes to build/logs/test-NAME.log
run_test() {
	local start=$SECONDS rc=0 log=$BUILD/logs/test-$1.log took

	# Not in a condition: bash would ignore the -e in all of it.
	set +e
	(set -e; "test_$1") >"$log" 2>&1
	rc=$?
	set -e
	times >"$BUILD/logs/times-$1"
	took="$((SECONDS - start)) s, $(cpu_time "$BUILD/logs/times-$1") s of processor time"
	case $rc in
	0)	echo "ok $1 ($took)"
		sed -n 's/^coverage /    &/p' "$log" ;;
	77)	echo "skip $1: $(tail -n 1 "$log")" ;;
	*)	echo "FAIL $1 ($took; see build/logs/test-$1.log)"
		tail -n 15 "$log" | sed 's/^/    /' ;;
	esac | tee -a "$results"
}

mkdir -p "$BUILD/logs"
if [ "${1:-}" = --one ]; then
	run_test "$2"
	exit
fi
results=$(mktemp)
trap 'rm -f "$results"' EXIT
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $TESTS
for t; do
	declare -F "test_$t" >/dev/null || die "no test '$t'; there are: $TESTS"
done
# With the packages of all of them there, none starts apt; "layout_base" needs those
# of layout.
needs "${@%%_*}"
export results DEV
make -s -j"$JOBS" -f "$DEV/tests.mk" TESTS="$*"

count() { grep -c "^$1 " "$results" || true; }
closing="$(count ok) passed, $(count FAIL) failed"
[ "$(count skip)" = 0 ] || closing+=", $(count skip) skipped"
echo "$closing ($SECONDS s)"
[ "$(count ok)" -gt 0 ] && [ "$(($(count ok) + $(count skip)))" = $# ]
