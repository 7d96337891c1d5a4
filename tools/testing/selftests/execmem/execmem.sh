#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests the allocator for dynamic kernel code from user space: statistics change
# and return to their values, page tables have no W+X pages, and BPF programs
# work.
#
# Other processes must not load or unload BPF programs during the test.

DIR="$(dirname "$(readlink -f "$0")")"
. "$DIR"/../kselftest/ktap_helpers.sh

DEBUGFS=/sys/kernel/debug
STATS=$DEBUGFS/execmem/stats
TABLES=$DEBUGFS/page_tables/kernel
FAULT=$DEBUGFS/fail_page_alloc
JIT=/proc/sys/net/core/bpf_jit_enable

NR_PROGS=200
PROG_LEN=100

# The pool that BPF programs are allocated from; their type may be merged
POOL=$(awk '$1 == "merged" && $2 == "bpf:" { pool = $3 }
	END { print pool ? pool : "bpf" }' "$STATS")

# stat KEY: print a number of that pool
stat()
{
	awk -v key="$1" -v pool="$POOL:" '$1 == "pool" && $2 == pool {
		for (i = 3; i < NF; i += 2)
			if ($i == key)
				print $(i + 1)
	}' "$STATS"
}

vm_event()
{
	awk -v key="$1" '$1 == key { print $2 }' /proc/vmstat
}

# start ARG...: run bpf_load in the background, until it has loaded everything
start()
{
	: >"$OUT"
	"$DIR"/bpf_load "$@" >"$OUT" 2>&1 &
	LOADER=$!
	while kill -0 "$LOADER" 2>/dev/null; do
		grep -q ready "$OUT" && return 0
		sleep 1
	done
	ktap_print_msg "$(cat "$OUT")"
	LOADER=
	return 1
}

# Programs are freed some time after their last user is gone: wait until the
# statistics do not change any more.
quiet()
{
	local before=

	while [ "$(stat frees)" != "$before" ]; do
		before=$(stat frees)
		sleep 1
	done
}

# settle NR: wait until there are at most NR chunks
settle()
{
	local tries=0

	while [ "$(stat chunks)" -gt "$1" ] && [ $tries -lt 200 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	[ "$(stat chunks)" -le "$1" ]
}

stop()
{
	[ -n "$LOADER" ] || return 0
	kill "$LOADER"
	wait "$LOADER" 2>/dev/null
	LOADER=
}

cleanup()
{
	stop
	set_faults 0
	echo "$OLD_JIT" >"$JIT"
	rm -f "$OUT"
}

# set_faults PERCENT: make this many allocations of huge pages fail
set_faults()
{
	[ -w "$FAULT/probability" ] || return 0
	echo 9 >"$FAULT/min-order"
	echo N >"$FAULT/ignore-gfp-wait"
	echo N >"$FAULT/ignore-gfp-highmem"
	echo 0 >"$FAULT/verbose"
	echo -1 >"$FAULT/times"
	echo "$1" >"$FAULT/probability"
}

# exec_4k: print how many kB of the module range 4 kB pages map executable
exec_4k()
{
	awk '/^---/ { modules = /Modules/ }
	     modules && / x .*pte/ {
		unit["K"] = 1; unit["M"] = 1024; unit["G"] = 1048576
		kb += substr($2, 1, length($2) - 1) * unit[substr($2, length($2))]
	     }
	     END { print kb + 0 }' "$TABLES"
}

exec_2m()
{
	awk '/^---/ { modules = /Modules/ }
	     modules && / ro .*PSE.* x .*pmd/ { nr++ }
	     END { print nr + 0 }' "$TABLES"
}

stats_add_up()
{
	awk '$1 == "pool" {
		for (i = 3; i < NF; i += 2)
			v[$i] = $(i + 1)
		if (v["reserved"] != v["used"] + v["free"] ||
		    v["largest_free"] > v["free"] ||
		    v["chunks"] != v["allocs"] - v["frees"] ||
		    v["blocks_huge"] + v["blocks_base"] != v["grown"] - v["shrunk"])
			bad = 1
		pools++
	}
	END { exit bad || !pools }' "$STATS"
}

programs_run()
{
	for len in 2 3 16 100 1000 4096; do
		"$DIR"/bpf_load run $len || return 1
	done
}

# A pool without allocations has no memory.
nothing_is_kept()
{
	[ "$(stat chunks)" -gt 0 ] || [ "$(stat reserved)" -eq 0 ]
}

# counters_move_and_return VERB ARG...
counters_move_and_return()
{
	local allocs chunks used

	allocs=$(stat allocs) chunks=$(stat chunks) used=$(stat used)
	start "$@" || return 1
	[ "$(stat allocs)" -ge $((allocs + NR_PROGS)) ] &&
		[ "$(stat chunks)" -ge $((chunks + NR_PROGS)) ] &&
		[ "$(stat used)" -ge $((used + NR_PROGS * 64)) ] &&
		stats_add_up || return 1
	stop
	settle "$chunks" && [ "$(stat used)" -le "$used" ] && stats_add_up &&
		nothing_is_kept
}

# with_programs COMMAND...: check that it succeeds while programs are loaded
with_programs()
{
	start hold $NR_PROGS $PROG_LEN && "$@"
}

no_wx()
{
	! grep -q ' RW .* x ' "$TABLES"
}

programs_are_in_huge_pages()
{
	local before chunks

	before=$(exec_4k) chunks=$(stat chunks)
	start hold $NR_PROGS $PROG_LEN || return 1
	no_wx && [ "$(exec_2m)" -ge 1 ] && [ "$(exec_4k)" -le "$before" ] ||
		return 1
	stop
	settle "$chunks"
}

churn_is_quiet()
{
	local grown splits chunks

	chunks=$(stat chunks)
	start hold 2 2 || return 1
	grown=$(stat grown) splits=$(vm_event direct_map_level2_splits)
	"$DIR"/bpf_load churn 500 $PROG_LEN || return 1
	[ "$(stat grown)" -le $((grown + 1)) ] &&
		[ "$(vm_event direct_map_level2_splits)" = "$splits" ] ||
		return 1
	stop
	settle "$chunks"
}

# Load more programs than the free memory has room for.
works_without_huge_pages()
{
	local fallbacks failures small chunks ok=1

	fallbacks=$(stat fallbacks) failures=$(stat failures)
	small=$(stat blocks_base) chunks=$(stat chunks)
	set_faults 100
	start hold 400 4096 && [ "$(stat fallbacks)" -gt "$fallbacks" ] &&
		[ "$(stat blocks_base)" -gt "$small" ] &&
		[ "$(stat failures)" -eq "$failures" ] &&
		"$DIR"/bpf_load run 4096 && ok=0
	set_faults 0
	stop
	settle "$chunks" && [ "$(stat blocks_base)" -le "$small" ] && return $ok
}

# given_back BYTES: wait a second until there is no spare and less is reserved
given_back()
{
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		sleep 0.1
		[ "$(stat spare)" = 0 ] && [ "$(stat reserved)" -lt "$1" ] &&
			return 0
	done
	return 1
}

# A spare block is kept while another one is in use, unless memory is short.
spare_is_given_back()
{
	local first chunks reserved ok=1

	chunks=$(stat chunks)
	"$DIR"/bpf_load hold 2 2 >/dev/null &
	first=$!
	# A spare is kept for three seconds only. On a slow machine it may be gone
	# before it is seen, or a worker may take long to give it back.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		start hold 400 4096 || break
		stop
		settle $((chunks + 2))
		reserved=$(stat reserved)
		[ "$(stat spare)" = 1 ] || continue
		echo 2 >/proc/sys/vm/drop_caches
		given_back "$reserved" && ok=0 && break
	done
	kill $first
	wait $first 2>/dev/null
	settle "$chunks" && return $ok
}

validator_agrees()
{
	start hold $NR_PROGS $PROG_LEN && echo 1 >"$DEBUGFS/execmem/check"
}

# The map and the list of chunks agree with the statistics.
lists_agree()
{
	start hold $NR_PROGS $PROG_LEN || return 1
	quiet
	[ "$(grep -cE ' (bpf|bpf_classic|module_text|module_init_text) ' \
		"$DEBUGFS/execmem/chunks")" = "$(stat chunks)" ] &&
		[ "$(awk -v pool="$POOL" '$1 == pool { nr += $6 }; END { print nr }' \
			"$DEBUGFS/execmem/map")" = "$(stat chunks)" ]
}

# kind_runs KIND KEPT: it works and frees what it allocated, except KEPT chunks
kind_runs()
{
	local allocs chunks rc

	allocs=$(stat allocs) chunks=$(stat chunks)
	"$DIR"/bpf_kinds "$1"
	rc=$?
	[ $rc = 0 ] || return $rc
	[ "$(stat allocs)" -gt $((allocs + 1)) ] && settle $((chunks + $2))
}

# load_test_bpf: load the module $TEST_BPF, which may include parameters. By
# default, load test_bpf from the installed modules.
load_test_bpf()
{
	if [ -n "$TEST_BPF" ]; then
		# shellcheck disable=SC2086
		insmod $TEST_BPF
	else
		modprobe -q test_bpf
	fi
}

# check CONDITION REASON NAME COMMAND...: run a test. Skip it if CONDITION fails
# or the command returns 4.
check()
{
	local condition="$1" reason="$2" name="$3" rc

	shift 3
	quiet
	if eval "$condition"; then
		"$@"
		rc=$?
	else
		rc=$KSFT_SKIP
	fi
	case $rc in
	0)
		ktap_test_pass "$name"
		;;
	"$KSFT_SKIP")
		ktap_test_skip "$name: $reason"
		;;
	*)
		ktap_print_msg "$(grep "pool $POOL" "$STATS")"
		ktap_test_fail "$name"
		;;
	esac
	stop
}

run_test_bpf()
{
	local chunks

	chunks=$(stat chunks)
	load_test_bpf && rmmod test_bpf && settle "$chunks"
}

has_test_bpf()
{
	[ -n "$TEST_BPF" ] || modprobe -n -q test_bpf 2>/dev/null
}

skip_all()
{
	ktap_skip_all "$@"
	exit "$KSFT_SKIP"
}

ktap_print_header
[ "$(id -u)" = 0 ] || skip_all "must be run as root"
[ -r "$STATS" ] || skip_all "no $STATS"
[ -x "$DIR"/bpf_load ] || skip_all "no bpf_load"
[ -w "$JIT" ] || skip_all "no BPF JIT"

OUT=$(mktemp)
LOADER=
OLD_JIT=$(cat "$JIT")
trap cleanup EXIT
echo 1 >"$JIT"

is_x86='[ "$(uname -m)" = x86_64 ] && [ -r "$TABLES" ]'
start hold 2 2
huge=$(stat blocks_huge)
stop

ktap_set_plan 16
check true '' 'statistics add up' stats_add_up
check true '' 'programs compute what they should' programs_run
check true '' 'counters move and return' \
	counters_move_and_return hold $NR_PROGS $PROG_LEN
check true '' 'the same with classic filters' \
	counters_move_and_return classic $NR_PROGS
check true 'not supported' 'a trampoline works' kind_runs trampoline 0
check true 'not supported' 'struct_ops work' kind_runs struct_ops 0
check true 'not supported' 'a dispatcher works' kind_runs dispatcher 1
check "$is_x86" 'cannot read page tables' 'no page is writable and executable' \
	with_programs no_wx
check '[ -r "$DEBUGFS"/check_wx_pages ]' 'no check_wx_pages' \
	'check_wx_pages succeeds' \
	with_programs grep -q SUCCESS "$DEBUGFS"/check_wx_pages
check "$is_x86"' && [ "$huge" -gt 0 ]' 'no huge pages in use' \
	'programs are in huge pages only' programs_are_in_huge_pages
check '[ "$huge" -gt 0 ]' 'no huge pages in use' \
	'loading and unloading grows and splits nothing' churn_is_quiet
check '[ "$huge" -gt 0 ] && [ -w "$FAULT/probability" ]' \
	'no huge pages in use or no fault injection' \
	'programs load when there is no huge page' works_without_huge_pages
check '[ "$huge" -gt 0 ]' 'no huge pages in use' \
	'a spare is given back under memory pressure' spare_is_given_back
check true '' 'the validator agrees' validator_agrees
check true '' 'map and list agree with the statistics' lists_agree
check has_test_bpf 'no test_bpf module' 'test_bpf passes' run_test_bpf
ktap_finished
