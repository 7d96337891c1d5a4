#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What the KUnit suites said that ran while this kernel booted: kunit-job.sh SUITE
results=/sys/kernel/debug/kunit/$1/results

[ -r "$results" ] || { echo "no results of suite $1"; echo "VERDICT fail"; exit 1; }
cat "$results"
# Cases are indented once, their parameters twice.
awk -v suite="$1" '
/^    ok .*# SKIP/	{ skipped++; print "@ skipped:" $0; next }
/^    ok /		{ passed++ }
/^    not ok /		{ failed++; print "@ failed:" $0 }
/^ok .*/		{ suite_ok = 1 }
END {
	printf "@ KUnit %s: %d passed, %d failed, %d skipped\n", suite, passed, failed, skipped
	good = suite_ok && passed && !failed
	print "VERDICT " (good ? "ok" : "fail")
	exit !good
}' "$results"
