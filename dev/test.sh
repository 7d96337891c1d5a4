#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# All tests, or those named: dev/test.sh [NAME...].  A test is a function
# test_NAME; status 0 passed, 77 skipped, anything else failed.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

TESTS="check plumbing smoke"

test_check() { "$DEV/check.sh"; }
test_plumbing() { "$DEV/tests/vm"; }
test_smoke() { "$DEV/kernel.sh" x86 && "$DEV/vm.sh" x86 -- smoke.sh; }

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
