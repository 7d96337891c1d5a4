#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What executable memory costs, in instructions, without and with the series.
# One CPU under "-icount shift=0": a nanosecond is an instruction, and the
# numbers repeat.  Fails when 512 bytes cost more than 1.5 times bpf_prog_pack.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

OUT=$BUILD/bench
SIZE=512 LIMIT_PERCENT=150

# build VARIANT: the kernel, and the module in a copy (objects land beside it)
build() {
	"$DEV/kernel.sh" "$1"
	mkdir -p "$OUT/$1"
	cp "$DEV/bench/Makefile" "$DEV/bench/execmem_bench.c" "$OUT/$1/"
	"$DEV/kernel.sh" "$1" M="$OUT/$1" modules
}

# boot LABEL VARIANT KERNEL_ARGS: the job's values end up in $OUT/LABEL
boot() {
	"$DEV/vm.sh" "$2" -m 2048 -c 1 -a "nokaslr $3" -n "bench-$1" \
		-q "-icount shift=0,sleep=off" \
		-f "$OUT/$2/execmem_bench.ko" -- bench-job.sh >"$OUT/$1"
}

value() { sed -n "s/^$2 //p" "$OUT/$1"; }

row() {
	printf '%s|%s|%s|%s\n' "$1" "$(value unpatched "$2")" "$(value on "$2")" "$(value off "$2")"
}

table() {
	local size step

	for size in 64 512 2048 16384; do
		for step in alloc fill seal free total; do
			row "$size bytes, $step" "bench.$size.$step.median"
		done
	done
	row "load a program of the fleet" load.ns_per_program
	row "load and unload it" churn.ns_per_program
}

main() {
	local unpatched on

	need_packages qemu-system-x86 busybox-static
	build x86-base
	build x86
	boot unpatched x86-base "" &
	boot on x86 execmem=on
	wait $! || die "a VM failed"
	boot off x86 execmem=off

	echo "Instructions (median of 1000) among $(value on live) live chunks of the fleet:" \
		"$(value unpatched allocator) without the series, $(value on allocator) with it."
	echo "The unpatched kernel has no seal: what is printed there is the cost of measuring."
	echo
	table | awk -F'|' '
	BEGIN	{ printf "  %-28s %10s %10s %6s %10s %6s\n", "", "unpatched", "on", "ratio", "off", "ratio" }
		{ printf "  %-28s %10d %10d %6.2f %10d %6.2f\n", $1, $2, $3, $3 / $2, $4, $4 / $2 }'
	echo

	unpatched=$(value unpatched bench.$SIZE.total.median)
	on=$(value on bench.$SIZE.total.median)
	if [ $((on * 100)) -gt $((unpatched * LIMIT_PERCENT)) ]; then
		echo "FAIL: $SIZE bytes cost $on instructions, more than 1.5 times $unpatched"
		return 1
	fi
	echo "pass: $SIZE bytes cost $on instructions, at most 1.5 times $unpatched"
}

main "$@"
