#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What executable memory costs, in instructions, without and with the series.
# One CPU under "-icount shift=0": a nanosecond is an instruction, and the
# numbers repeat.  Fails when 512 bytes cost more than 1.5 times bpf_prog_pack,
# or when a number is missing.  With --recorded only that is measured, and compared
# to what the last whole run found for bpf_prog_pack, which takes one kernel less.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

OUT=$BUILD/bench
SIZE=512 LIMIT_PERCENT=150
SIZES="64 512 2048 16384"
RECORDED=$DEV/bench/bpf_prog_pack.recorded

# build VARIANT: the kernel, and the module in a copy (objects land beside it)
build() {
	"$DEV/kernel.sh" "$1"
	mkdir -p "$OUT/$1"
	cp "$DEV"/bench/{Makefile,*.[ch]} "$OUT/$1/"
	"$DEV/kernel.sh" "$1" M="$OUT/$1" modules
}

# boot LABEL VARIANT KERNEL_ARGS VM_OPTION... -- JOB_ARG: values to $OUT/LABEL
boot() {
	local label=$1 variant=$2 args=$3

	shift 3
	"$DEV/vm.sh" "$variant" -m 2048 -a "nokaslr $args" -n "bench-$label" \
		-f "$OUT/$variant/execmem_bench.ko" "$@" >"$OUT/$label"
}

instructions() { boot "$@" -c 1 -q "-icount shift=0,sleep=off" -- bench-job.sh instructions; }
threads() { boot "threads-$1" "${@:2}" -c 8 -- bench-job.sh threads; }

# Each machine is one thread, so two at a time
boot_all() {
	instructions unpatched x86-base "" &
	instructions on x86 execmem=on
	wait $! || die "a VM failed"
	{
		threads unpatched x86-base ""
		threads on x86 execmem=on
	} &
	instructions off x86 execmem=off
	wait $! || die "a VM failed"
}

declare -A number

# read_numbers LABEL...: number[LABEL NAME] of all that was measured
read_numbers() {
	local label name value

	for label; do
		while read -r name value; do
			number[$label $name]=$value
		done <"$OUT/$label"
	done
}

# get LABEL NAME: the number to $REPLY.  A number that is not there ends the run.
get() {
	REPLY=${number[$1 $2]-}
	[[ $REPLY =~ ^[0-9]+$ ]] || die "no number $2 from '$1', see $OUT/$1"
}

# spread LABEL NAME: min/median/p99 to $REPLY
spread() {
	local stat all=''

	for stat in min median p99; do
		get "$1" "$2.$stat"
		all+=/$REPLY
	done
	REPLY=${all#/}
}

# row TEXT NAME: the three kernels side by side
row() {
	local label line=$1

	for label in unpatched on off; do
		get "$label" "$2"
		line+="|$REPLY"
	done
	echo "$line"
}

# side_by_side: print what row() made, with ratios; nothing divides by nothing
side_by_side() {
	awk -F'|' '
	function ratio(x) { return $2 ? sprintf("%.2f", x / $2) : "-" }
	BEGIN	{ printf "  %-38s %10s %10s %6s %10s %6s\n", "", "unpatched", "on", "ratio", "off", "ratio" }
		{ printf "  %-38s %10d %10d %6s %10d %6s\n", $1, $2, $3, ratio($3), $4, ratio($4) }'
	echo
}

cost_rows() {
	local size step

	for size in $SIZES; do
		for step in alloc fill seal free total; do
			row "$size bytes, $step" "bench.fleet.$size.$step.median"
		done
	done
	row "load a program of the fleet" load.ns_per_program
	row "load and unload it" churn.ns_per_program
}

costs() {
	local live rounds

	get on bench.fleet.live; live=$REPLY
	get on bench.fleet.rounds; rounds=$REPLY
	cat <<-E
	Instructions (median of $rounds) among $live live chunks of the fleet: bpf_prog_pack
	without the series, execmem with it.
	The unpatched kernel has no seal: what is printed there is the cost of measuring.

	E
	cost_rows | side_by_side
}

# live_row LIVE SIZE STEP
live_row() {
	local label

	printf '  %6s %6s  %-6s' "$1" "$2" "$3"
	for label in unpatched on off; do
		spread $label "bench.live$1.$2.$3"
		printf ' %23s' "$REPLY"
	done
	echo
}

by_live() {
	local live size step

	get on bench.live0.rounds
	cat <<-E
	By number of live chunks, min/median/p99.  Before each round one live chunk is replaced
	by another, so that the holes change.  Among none, only $REPLY rounds: bpf_prog_pack, and
	execmem without huge pages, make a block and give it back each time; with huge pages the
	text of this module is in the block already.

	E
	printf '  %6s %6s  %-6s %23s %23s %23s\n' live bytes step unpatched on off
	for live in 0 1000 10000; do
		for size in $SIZES; do
			for step in alloc fill free total; do
				live_row $live "$size" $step
			done
		done
	done
	echo
}

# against LABEL SIZE TOTAL: how many times what LABEL takes is TOTAL?
against() {
	get "$1" "bench.fleet.$2.total.median"
	awk -v x="$3" -v y="$REPLY" 'BEGIN { printf " %12.1f", x / y }'
}

# pages_rows SIZE
pages_rows() {
	local step total

	for step in alloc fill seal free total; do
		spread unpatched "bench.pages.$1.$step"
		printf '  %-20s %22s' "$1 bytes, $step" "$REPLY"
		[ $step = total ] || echo
	done
	get unpatched "bench.pages.$1.total.median"
	total=$REPLY
	against unpatched "$1" "$total"
	against on "$1" "$total"
	echo
}

pages() {
	local live size

	get unpatched bench.pages.live; live=$REPLY
	get unpatched bench.pages.rounds
	cat <<-E
	Pages for each chunk, as the unpatched kernel has them for all but BPF: execmem_alloc,
	memcpy, set_memory_rox (the seal), execmem_free, among $live such chunks, $REPLY rounds.
	One CPU: the TLB flushes need no IPIs.  The median total is so many times the one above:

	E
	printf '  %-20s %22s %12s %12s\n' "" min/median/p99 bpf_prog_pack "execmem, on"
	for size in $SIZES; do
		pages_rows "$size"
	done
	echo
}

waiting_rows() {
	local hold=bench.hold.text_mutex

	row "fill 64 kB" bench.fill65536.median
	row "  longest wait of an interrupt" bench.irqsoff.longest
	row "  text_mutex, longest hold" $hold.65536.fill.longest
	row "  text_mutex, times held" $hold.65536.fill.times
	row "alloc, fill and free 64 kB" bench.total65536.median
	row "  text_mutex, longest hold" $hold.65536.all.longest
	row "  pack_mutex, longest hold" bench.hold.pack_mutex.65536.all.longest
	row "alloc, fill, seal, free 512 bytes" bench.fleet.512.total.median
	row "  text_mutex, all holds" $hold.512.all.sum
	row "  pack_mutex, all holds" bench.hold.pack_mutex.512.all.sum
}

waiting() {
	cat <<-E
	How long others are kept waiting, in instructions.
	Mutexes: from mutex_lock() to mutex_unlock(), seen by probes whose own cost is taken off;
	median of 100 rounds.  pack_mutex is bpf_prog_pack's.  Spinlocks cannot be seen like this.
	Interrupts: a timer is made due at every moment of the fill, 100 instructions apart; this
	is how much later than with interrupts enabled its handler ran, at worst.

	E
	waiting_rows | side_by_side
}

# per_1000 LABEL THREADS WHAT: to $REPLY
per_1000() {
	local ops

	get "threads-$1" "bench.threads$2.ops"
	ops=$REPLY
	get "threads-$1" "bench.threads$2.$3"
	REPLY=$(awk -v n="$REPLY" -v ops="$ops" 'BEGIN { printf "%.1f", n * 1000 / ops }')
}

# threads_row LABEL THREADS
threads_row() {
	local what

	printf '  %7s  %-10s' "$2" "$1"
	for what in text_mutex pack_mutex other sleeps; do
		per_1000 "$1" "$2" $what
		printf ' %10s' "$REPLY"
	done
	get "threads-$1" "bench.threads$2.ns_per_op"
	printf ' %14s\n' "$((REPLY / 1000))"
}

scaling() {
	local n label

	cat <<-E
	Threads that alloc, fill and free 512 bytes, each on one of 8 CPUs: acquisitions of a lock
	for which the thread had to wait, and sleeps (voluntary context switches), per 1000
	operations.  All CPUs are emulated in turn by one thread of the host, so more of them do
	not get more done, and a lock that is handed to a CPU whose turn is yet to come keeps all
	others waiting, most of all a spinlock ("other").  Compare the kernels, and no more.

	E
	printf '  %7s  %-10s %10s %10s %10s %10s %14s\n' threads "" text_mutex pack_mutex other sleeps "us/op (noisy)"
	for n in 1 2 4 8; do
		for label in unpatched on; do
			threads_row $label $n
		done
	done
	echo
}

judge() {
	local unpatched on

	get unpatched bench.fleet.$SIZE.total.median; unpatched=$REPLY
	get on bench.fleet.$SIZE.total.median; on=$REPLY
	if [ $((on * 100)) -gt $((unpatched * LIMIT_PERCENT)) ]; then
		echo "FAIL: $SIZE bytes cost $on instructions, more than 1.5 times $unpatched"
		return 1
	fi
	echo "pass: $SIZE bytes cost $on instructions, at most 1.5 times $unpatched"
}

judge_recorded() {
	build x86
	instructions on x86 execmem=on
	read_numbers on
	read -r _ "number[unpatched bench.fleet.$SIZE.total.median]" <"$RECORDED"
	judge
}

main() {
	needs bench
	if [ "${1:-}" = --recorded ]; then
		judge_recorded
		return
	fi
	build x86-base
	build x86
	boot_all
	read_numbers unpatched on off threads-unpatched threads-on
	grep "^bench.fleet.$SIZE.total.median " "$OUT/unpatched" | write_if_changed "$RECORDED"

	costs
	by_live
	pages
	waiting
	scaling
	judge
}

main "$@"; exit
