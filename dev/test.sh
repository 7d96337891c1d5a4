#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# All tests, or those named: dev/test.sh [NAME...].  A test is a function
# test_NAME; status 0 passed, 77 skipped, anything else failed.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

TESTS="harness smoke kunit selftest run base bench arm64 plumbing check"

test_check() { "$DEV/check.sh"; }
test_plumbing() { "$DEV/tests/vm"; }
test_smoke() { "$DEV/kernel.sh" x86 && "$DEV/vm.sh" x86 -- smoke.sh; }

# The bookkeeping in user space
test_harness() { make -s -C "$ROOT" harness SEED="${SEED:-1}"; }

# The suite runs while the kernel boots.
test_kunit() {
	"$DEV/kernel.sh" x86
	"$DEV/vm.sh" x86 -a "kunit.enable=1 kunit.filter_glob=execmem" -- kunit-job.sh execmem
}

test_selftest() {
	local dir=$BUILD/selftests

	need_packages rsync
	"$DEV/kernel.sh" x86
	make -s -C "$LINUX/tools/testing/selftests" TARGETS=execmem INSTALL_PATH="$dir" install
	tar -C "$dir" -cf "$dir.tar" .
	"$DEV/vm.sh" x86 -t 600 -f "$dir.tar" -- selftest-job.sh execmem execmem.sh
}

# The main job, against the boot switch and against the unpatched kernel
test_run() { "$DEV/run.sh"; }
test_base() { "$DEV/run.sh" --base; }
test_bench() { "$DEV/bench.sh"; }

# The same tests pass, and as many are JITed, as without the series.
test_arm64() {
	local v out=$BUILD/test_bpf

	for v in arm64-base arm64; do
		"$DEV/kernel.sh" "$v"
		"$DEV/vm.sh" "$v" -t 1200 -- insmod test_bpf.ko | tee "$out-$v"
		[ "$(grep -c 'Summary:' "$out-$v")" = 3 ] || die "not all summaries are there"
	done
	diff "$out-arm64-base" "$out-arm64"
}

# run_test NAME: its output goes to build/logs/test-NAME.log
run_test() {
	local start=$SECONDS rc=0 log=$BUILD/logs/test-$1.log

	("test_$1") >"$log" 2>&1 || rc=$?
	case $rc in
	0)	passed=$((passed + 1)); echo "ok $1 ($((SECONDS - start)) s)" ;;
	77)	skipped=$((skipped + 1)); echo "skip $1: $(tail -n 1 "$log")" ;;
	*)	failed=$((failed + 1)); echo "FAIL $1 ($((SECONDS - start)) s, see build/logs/test-$1.log)" ;;
	esac
}

passed=0 failed=0 skipped=0
mkdir -p "$BUILD/logs"
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $TESTS
for t; do run_test "$t"; done
closing="$passed passed, $failed failed"
[ $skipped = 0 ] || closing+=", $skipped skipped"
echo "$closing"
[ $failed = 0 ]
