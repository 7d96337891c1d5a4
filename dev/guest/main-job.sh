#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The main job: a fleet of BPF programs, modules beside it, then the kernel's own BPF test suite.
# Prints "@ name value" lines; dev/run.sh compares them between kernels.
#
#	main-job.sh [PART...]		parts: fleet, suite (default: both)
set -eu
. ./modules-lib.sh

uptime_of() { awk -v what="$1" '{ print "@ seconds." what " " $1 }' /proc/uptime; }

# The fleet alone, as the figures for it are those of a machine without modules; then
# some modules beside it.
fleet() {
	modules=$(names | paste -sd ' ')
	echo "@ list.modules $(names | wc -l)"
	./bpfload fleet \
		"sh:./measure.sh state before" \
		"sh:./measure.sh trace-on" \
		load \
		"sh:./measure.sh trace-off load" \
		"sh:./measure.sh state held" \
		"sh:./measure.sh trace-on" \
		churn:2000 \
		"sh:./measure.sh settle" \
		"sh:./measure.sh trace-off churn" \
		"sh:./measure.sh state churned" \
		"sh:./measure.sh trace-on" \
		"sh:./modload load $modules" \
		"sh:./measure.sh settle" \
		"sh:./measure.sh trace-off modules" \
		"sh:./measure.sh state all" \
		"sh:./measure.sh view" \
		"sh:./modload unload $modules" \
		"sh:./measure.sh settle" \
		"sh:./measure.sh state fewer" \
		"sh:./measure.sh trace-on" \
		unload \
		"sh:./measure.sh settle" \
		"sh:./measure.sh trace-off unload" \
		"sh:./measure.sh state after"
	uptime_of fleet
}

# insmod runs the suites; their result is in the log.  One line per test would
# keep the serial console busy for longer than the tests, so only warnings and
# worse go there meanwhile.  The workers that free the programs get what the tests
# leave them: emulated, code that is overwritten right after it ran takes twice the
# time of all the rest.
suite() {
	dmesg -n 5
	renice -20 -p $$
	if insmod test_bpf.ko; then
		rmmod test_bpf
		echo "@ test_bpf.insmod ok"
	else
		echo "@ test_bpf.insmod failed"
	fi
	renice 0 -p $$
	dmesg -n 7
	dmesg | awk '
	/test_bpf: .*FAIL/ && !/Summary/ { print "test_bpf:" $0 }
	/test_bpf: .*Summary: / {
		name = "test_bpf"
		for (i = 1; i < NF; i++)
			if ($i ~ /^test_[a-z_]+:$/)
				name = substr($i, 1, length($i) - 1)
		sub(/.*Summary: /, "")
		gsub(/[],[]/, "")
		print "@ suite." name ".passed " $1
		print "@ suite." name ".failed " $3
		print "@ suite." name ".jited " (NF > 4 ? $5 : "-")
	}'
	uptime_of suite
}

echo 1 > /proc/sys/net/core/bpf_jit_enable
echo 1 > /proc/sys/kernel/kptr_restrict		# real addresses, for root
echo "@ kernel $(uname -r)"
uptime_of boot
[ $# -gt 0 ] || set -- fleet suite
for part; do
	$part
done
echo "VERDICT ok"
