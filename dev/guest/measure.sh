#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What the kernel maps, splits, flushes and reserves, as "@ TAG.name value" lines.
#
#	measure.sh state TAG		page tables, direct map, executable memory
#	measure.sh trace-on		start counting broadcasts
#	measure.sh trace-off TAG	stop, and print them by kind and caller
#	measure.sh settle		wait until freed programs are really gone
#	measure.sh view			what tools/mm/execmem draws, behind "|"
#
# Never ask for the state while broadcasts are counted: the page-table dump
# holds init_mm's lock, and a block born meanwhile gets 4k pages for it.
set -eu

EVENT=/sys/kernel/tracing/events/csd/csd_queue_cpu
STATS=/sys/kernel/debug/execmem/stats
HIST=hist:keys=func.sym,common_stacktrace

# Present leaf entries.  Neighbours with equal permissions share a line, so the
# number of entries is the size of the range over the size of its level.
page_tables() {
	awk -v tag="$1" '
	BEGIN {
		unit["K"] = 1024; unit["M"] = 1024 * 1024; unit["G"] = 1024 * unit["M"]
		unit["B"] = 1; unit["T"] = 1024 * unit["G"]; unit["P"] = 1024 * unit["T"]
		leaf["pte"] = 4096; leaf["pmd"] = 512 * 4096; leaf["pud"] = 512 * leaf["pmd"]
		name["pte"] = "4k"; name["pmd"] = "2M"; name["pud"] = "1G"
	}
	/^---\[/ { image = /High Kernel Mapping/; next }
	/ (RW|ro) / {
		level = $NF
		if (level in leaf && / x /) {
			bytes = $2 * unit[substr($2, length($2))]
			entries = bytes / leaf[level]
			exec[image ? "image" : "outside", level] += entries
			if (/ RW /)
				wx += bytes / 4096
		}
	}
	END {
		for (level in name) {
			print "@ " tag ".exec_outside_" name[level] " " exec["outside", level] + 0
			print "@ " tag ".exec_image_" name[level] " " exec["image", level] + 0
		}
		print "@ " tag ".wx_pages " wx + 0
	}' /sys/kernel/debug/page_tables/kernel
}

direct_map() {
	awk -v tag="$1" '
	/^direct_map_level[23]_splits/ { print "@ " tag "." $1 " " $2 }' /proc/vmstat
	awk -v tag="$1" '
	/^DirectMap/ { sub(":", "", $1); print "@ " tag "." $1 " " $2 }' /proc/meminfo
}

# Memory behind the areas in the module region, whoever asked for it.  It is the
# same question for every kernel, with and without the series.
module_region() {
	awk -v tag="$1" '
	/^0xffffffff/ {
		for (i = 4; i <= NF; i++)
			if (split($i, kv, "=") == 2 && kv[1] == "pages") {
				areas++
				pages += kv[2]
			}
	}
	END {
		print "@ " tag ".region_areas " areas + 0
		print "@ " tag ".region_bytes " pages * 4096
	}' /proc/vmallocinfo
}

# "pool bpf: reserved 2097152 used ..." -> TAG.pool.reserved 2097152 ...
execmem_stats() {
	[ -r $STATS ] || return 0
	awk -v tag="$1" '
	$1 == "pool" && $2 == "bpf:" {
		for (i = 3; i < NF; i += 2)
			print "@ " tag ".pool." $i " " $(i + 1)
	}' $STATS
}

state() {
	page_tables "$1"
	direct_map "$1"
	module_region "$1"
	execmem_stats "$1"
}

# Every CPU that is asked to run a function leaves an event, whether it is idle or
# busy; a broadcast asks all but the one it comes from.
trace_on() {
	echo "$HIST" > $EVENT/trigger
}

# One line per kind of broadcast and caller.  Callers are named by the first rule
# that matches anywhere in the stack, so "execmem" means: execmem is to blame.
trace_off() {
	cat $EVENT/hist > "/tmp/$1.hist"
	echo "!$HIST" > $EVENT/trigger
	awk -v tag="$1" -v others=$(($(nproc --all) - 1)) '
	function whose(stack) {
		if (stack ~ / [a-z_0-9]*execmem_/)	return "execmem"
		if (stack ~ / (bpf_prog_pack_|bpf_jit_|alloc_new_pack)/) return "bpf_pack"
		if (stack ~ / (bpf_|__bpf_|sk_filter_)/) return "bpf_other"
		if (stack ~ / (load_module|free_module|do_init_module|do_free_init)/) return "module"
		if (stack ~ / [a-z_]*kprobe/)		return "kprobes"
		if (stack ~ / (jump_label_|__jump_label_|static_key_)/) return "jump_label"
		if (stack ~ / ftrace_/)			return "ftrace"
		if (stack ~ / (drain_vmap_area_work|vfree|vunmap|_vm_unmap_aliases)/) return "vmalloc"
		return "other"
	}
	function kind(callee) {
		if (callee ~ /^(do_flush_tlb_all|do_kernel_range_flush|__cpa_flush_(tlb|all))$/)
			return "tlb"
		if (callee == "do_sync_core")	return "sync_core"
		if (callee ~ /ibpb/)		return "ibpb"
		return ""	# user memory, or work for one CPU
	}
	/^[{] func:/	{ what = kind($4); stack = "" }
	/^ +[a-zA-Z_0-9.]+\+0x/ { stack = stack " " $1 }
	stack ~ /event_trigger_write/ { next }		# we are starting to measure
	/hitcount:/ && what != "" {
		sub(/.*hitcount:/, "")
		events[what "." whose(stack)] += $1
		total[what] += $1
	}
	/Dropped: [1-9]/ { lost = 1 }
	END {
		for (key in events)
			print "@ " tag "." key " " events[key] / others
		n = split("tlb sync_core ibpb", kinds, " ")
		for (i = 1; i <= n; i++)
			print "@ " tag "." kinds[i] "_total " total[kinds[i]] / others
		print "@ " tag ".lost_events " lost + 0
	}' "/tmp/$1.hist"
}

# Programs are freed by RCU and then by a worker: wait until nothing moves.
settle() {
	last=
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		sleep 1
		new=$(cat $STATS 2>/dev/null; grep -c ^0xffffffff /proc/vmallocinfo; grep Slab: /proc/meminfo)
		[ "$new" != "$last" ] || return 0
		last=$new
	done
}

view() { [ ! -e "${STATS%/*}/map" ] || ./execmem | sed 's/^/@ |/'; }

case $1 in
state)		state "$2" ;;
trace-on)	trace_on ;;
trace-off)	trace_off "$2" ;;
settle)		settle ;;
view)		view ;;
*)		echo "measure.sh: unknown verb $1"; exit 1 ;;
esac
