#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What it costs to load the modules of modules.list and to unload what can be, for a
# machine with one CPU under "-icount shift=0", where a nanosecond is an instruction.
#
#	count-job.sh		all of it
#	count-job.sh split	by function, "@ FUNCTION.ns N".  Tracing costs, so the
#				sums are of no use; functions call others of them.
set -eu
. ./modules-lib.sh

TRACE=/sys/kernel/tracing
# What one of the two kernels does not have is not counted.
FUNCTIONS="load_module free_module
	apply_relocate_add module_finalize blocking_notifier_call_chain_robust
	module_memory_alloc module_memory_free execmem_alloc execmem_alloc_aligned execmem_free
	module_stage module_publish_rodata module_publish_text
	set_memory_ro set_memory_nx set_memory_x set_memory_rw set_memory_rox
	sort_extable unwind_module_init ftrace_process_locs do_one_initcall"

trace_functions() {
	echo 100000 >$TRACE/buffer_size_kb
	for f in $FUNCTIONS; do
		echo "$f" >>$TRACE/set_ftrace_filter 2>/dev/null || echo "@ |cannot be traced: $f"
	done
	echo function_graph >$TRACE/current_tracer
	# Tasks take turns, so a return has to say of what; what they sleep is no cost.
	echo 1 >$TRACE/options/funcgraph-tail
	echo 0 >$TRACE/options/sleep-time
}

# The lines of leaves and those of returns have the duration and the function's name.
print_functions() {
	echo 0 >$TRACE/tracing_on
	awk '
	match($0, /[0-9.]+ us/) {
		ns = substr($0, RSTART, RLENGTH - 3) * 1000
		if (!sub(/.*} \/\* /, ""))
			sub(/.*\| */, "")
		sub(/[( ].*/, "")
		sum[$0] += ns
	}
	END { for (f in sum) printf "@ %s.ns %.0f\n", f, sum[f] }' $TRACE/trace
}

dmesg -n 5
[ "${1:-}" != split ] || trace_functions
# shellcheck disable=SC2046
./modload load $(names)
# shellcheck disable=SC2046
./modload unload $(names)
[ "${1:-}" != split ] || print_functions
echo "VERDICT ok"
