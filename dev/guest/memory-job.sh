#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Memory for the first 0, 1, 20, 140 and 1000 programs of the fleet, as lines
# "@ programs reserved used blocks_huge blocks_base".
set -eu

# BPF has a pool of its own, or is merged into another one.
stats=/sys/kernel/debug/execmem/stats
pool=$(awk '$1 == "merged" && $2 == "bpf:" { print $3 }' $stats)
pool=${pool:-bpf}
show='awk -v nr=$nr '\''$1 == "pool" && $2 == "'$pool':" {
	for (i = 3; i < NF; i += 2)
		v[$i] = $(i + 1)
	print "@", nr, v["reserved"], v["used"], v["blocks_huge"], v["blocks_base"]
}'\'' '$stats
echo 1 > /proc/sys/net/core/bpf_jit_enable
set -- first:0 "sh:./measure.sh settle"
for nr in 0 1 20 140 1000; do
	set -- "$@" first:$nr "sh:nr=$nr; $show"
done
./bpfload fleet "$@" unload "sh:./measure.sh settle" "sh:nr=end; $show"
echo "VERDICT ok"
