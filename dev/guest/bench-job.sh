#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What executable memory costs, as "@ bench.NAME value" lines.
#
#	bench-job.sh instructions	one CPU under "-icount shift=0", so that a
#					nanosecond of its time is an instruction
#	bench-job.sh threads		eight CPUs that compete
set -eu

# The module does its work while it is loaded; the results are in the log.
measure() {
	insmod execmem_bench.ko "$@" sizes="$(./bpfload fleet sizes)"
	rmmod execmem_bench
	dmesg | awk '
		!/execmem_bench: result / { next }
		{ sub(/.*execmem_bench: result /, "") }
		{ for (i = 2; i < NF; i += 2) print "@ bench." $1 "." $i " " $(i + 1) }'
}

echo 1 > /proc/sys/net/core/bpf_jit_enable
case $1 in
instructions)
	measure
	# The same question asked from user space, with verifier and JIT included
	./bpfload fleet load churn:1000
	;;
threads)
	measure threads=1 rounds=3000
	;;
esac
echo "VERDICT ok"
