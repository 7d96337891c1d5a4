#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Cost of executable memory in instructions: the VM runs with one CPU and
# "-icount shift=0", so a nanosecond of its time is one instruction.
set -eu

echo 1 > /proc/sys/net/core/bpf_jit_enable

# The module does its work while it is loaded; the results are in the log.
insmod execmem_bench.ko sizes="$(./bpfload fleet sizes)"
rmmod execmem_bench
dmesg | awk '
	!/execmem_bench: / { next }
	{ sub(/.*execmem_bench: /, "") }
	/^allocator /	{ print "@ allocator " $2; print "@ live " $4 }
	/^result /	{ for (i = 4; i < NF; i += 2) print "@ bench." $2 "." $3 "." $i " " $(i + 1) }'

# The same question asked from user space, with verifier and JIT included.
./bpfload fleet load churn:1000
echo "VERDICT ok"
