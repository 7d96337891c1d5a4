#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What the kernel maps, splits, flushes and reserves, as "@ TAG.name value" lines.
#
#	measure.sh state TAG		page tables, direct map, executable memory
#	measure.sh trace-on		start counting broadcasts
#	measure.sh trace-anew		from zero, while they are counted
#	measure.sh trace-read TAG	print them by kind and caller
#	measure.sh trace-off TAG	stop, and do that
#	measure.sh settle		wait until freed programs are really gone
#	measure.sh view			what tools/mm/execmem draws, behind "|"
#	measure.sh stats		what execmem counts, behind "|"
#	measure.sh wx			pages that are writable and executable, now
#
# Never ask for the state while broadcasts are counted: the page-table dump
# holds init_mm's lock, and a block born meanwhile gets 4k pages for it.
set -eu

EVENT=/sys/kernel/tracing/events/csd/csd_queue_cpu
STATS=/sys/kernel/debug/execmem/stats
PAGE_TABLES=/sys/kernel/debug/page_tables/kernel
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
	/^---\[/ {
		image = /High Kernel Mapping/
		region = /\[ Modules \]/
		linear = /Low Kernel Mapping/
		next
	}
	/ (RW|ro) / {
		level = $NF
		if (!(level in leaf))
			next
		bytes = $2 * unit[substr($2, length($2))]
		entries = bytes / leaf[level]
		if (/ x /) {
			exec[image ? "image" : "outside", level] += entries
			if (/ RW /)
				wx += bytes / 4096
		}
		if (region)
			modules[/ x / ? "exec" : / ro / ? "ro" : "rw", level] += entries
		if (/ ro / && region)
			region_ro += bytes / 1024
		if (/ ro / && linear)
			linear_ro += bytes / 1024
	}
	END {
		for (level in name) {
			print "@ " tag ".exec_outside_" name[level] " " exec["outside", level] + 0
			print "@ " tag ".exec_image_" name[level] " " exec["image", level] + 0
		}
		print "@ " tag ".wx_pages " wx + 0
		n = split("exec ro rw", kinds, " ")
		for (i = 1; i <= n; i++) {
			print "@ " tag ".region_" kinds[i] "_4k " modules[kinds[i], "pte"] + 0
			print "@ " tag ".region_" kinds[i] "_2M " modules[kinds[i], "pmd"] + 0
		}
		# Read-only there, so read-only in the direct map as well?
		print "@ " tag ".region_ro_kb " region_ro + 0
		print "@ " tag ".linear_ro_kb " linear_ro + 0
	}' $PAGE_TABLES
}

# Without the rest of it, so that it takes less time
wx() {
	awk '
	BEGIN { kb["K"] = 1; kb["M"] = 1024; kb["G"] = 1024 * 1024 }
	/ RW .* x .* *(pte|pmd|pud)$/ { pages += $2 * kb[substr($2, length($2))] / 4 }
	END { print pages + 0 }' $PAGE_TABLES
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

# "pool bpf: reserved 2097152 used ..." -> TAG.pool.reserved 2097152 ..., of the
# pool that BPF programs are in, after "merged bpf: module_text" that one
execmem_stats() {
	[ -r $STATS ] || return 0
	awk -v tag="$1" '
	BEGIN { pool = "bpf:" }
	NR == FNR { if ($1 == "merged" && $2 == pool) pool = $3 ":"; next }
	$1 == "pool" && $2 == pool {
		for (i = 3; i < NF; i += 2)
			print "@ " tag ".pool." $i " " $(i + 1)
	}' $STATS $STATS
	pools "$1"
}

# All pools together:
#	sealed_pages	change their permissions one by one after they were mapped
#	pages_4k	are no wonder, for they are in blocks of shared types that the map
#			says have base pages, or of a type that should have pages of its own
#	excess_blocks	beyond those needed and one for each pool
#	grown, shrunk	blocks that came and went, but for those of ftrace and kprobes
#	exec_4k		executable pages of these two
pools() {
	awk -v tag="$1" '
	NR == FNR && /^#/ { next }
	NR == FNR {
		shared[$1] = 1
		if ($4 == "base")
			kb += $3
		next
	}
	$1 == "pool" {
		name = substr($2, 1, length($2) - 1)
		for (i = 3; i < NF; i += 2)
			v[$i] = $(i + 1)
		fallbacks += v["fallbacks"]
		if (name ~ /ro_after_init|ftrace|kprobes/)
			sealed_kb += v["used"] / 1024
		if (name ~ /ftrace|kprobes/)
			exec_kb += v["reserved"] / 1024
		else {
			grown += v["grown"]
			shrunk += v["shrunk"]
		}
		if (!(name in shared)) {
			if (name ~ /ro_after_init|ftrace|kprobes/)
				kb += v["reserved"] / 1024
		} else if (name !~ /ro_after_init/) {
			small += v["blocks_base"]
			excess = v["blocks_huge"] + v["blocks_base"] - 1
			excess -= int((v["used"] + 2097151) / 2097152)
			if (excess > 0)
				total += excess
		}
	}
	END {
		print "@ " tag ".pools.sealed_pages " sealed_kb / 4
		print "@ " tag ".pools.pages_4k " kb / 4
		print "@ " tag ".pools.exec_4k " exec_kb / 4
		print "@ " tag ".pools.excess_blocks " total + 0
		print "@ " tag ".pools.small_blocks " small + 0
		print "@ " tag ".pools.fallbacks " fallbacks + 0
		print "@ " tag ".pools.grown " grown + 0
		print "@ " tag ".pools.shrunk " shrunk + 0
	}' "${STATS%/*}/map" $STATS
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

trace_anew() {
	for verb in pause clear cont; do echo "$HIST:$verb" >> $EVENT/trigger; done
}

# One line per kind of broadcast and caller.  Callers are named by the first rule
# that matches anywhere in the stack, so "execmem" means: execmem is to blame.
# What a module's own init or exit function asks for is "module_code", what it
# costs to load and unload it is "module", but for "tracing": trace events of the
# module that are enabled.
trace_read() {
	cat $EVENT/hist > "/tmp/$1.hist"
	[ "${2:-}" != off ] || echo "!$HIST" > $EVENT/trigger
	# The last calls of free_module() are jumps, so it is not in the stack itself.
	unload=' (free_mod|[a-z_]*module_notify|ftrace_release_mod)|vfree[^ ]* [^ ]*sys_delete_module'
	awk -v tag="$1" -v others=$(($(nproc --all) - 1)) -v OF_UNLOAD="$unload" '
	function whose(stack) {
		if (stack ~ / [a-z_0-9]*execmem_/)	return "execmem"
		if (stack ~ / do_one_initcall/)		return "module_code"
		if (stack ~ / tracepoint_(probe|add|remove)_/)	return "tracing"
		if (stack ~ /sys_delete_module/)
			return stack ~ OF_UNLOAD ? "module" : "module_code"
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

stats() { [ ! -e $STATS ] || sed 's/^/@ |/' $STATS; }
view() { [ ! -e "${STATS%/*}/map" ] || ./execmem | sed 's/^/@ |/'; }

case $1 in
state)		state "$2" ;;
trace-on)	trace_on ;;
trace-anew)	trace_anew ;;
trace-read)	trace_read "$2" ;;
trace-off)	trace_read "$2" off ;;
settle)		settle ;;
view)		view ;;
stats)		stats ;;
wx)		wx ;;
*)		echo "measure.sh: unknown verb $1"; exit 1 ;;
esac
