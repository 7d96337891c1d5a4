# SPDX-License-Identifier: GPL-2.0-only
# Sourced by the guest parts of all jobs.  A guest reports to the host in two ways:
#	echo "@ NAME VALUE"	prints a value
#	keep TAG/NAME [FILE]	keeps a copy of a file, or of stdin
# report.py on the host reads both, computes, compares and checks.
# shellcheck shell=sh

DEBUGFS=/sys/kernel/debug
STATS=$DEBUGFS/execmem/stats
PAGE_TABLES=$DEBUGFS/page_tables/kernel
TRACE=/sys/kernel/tracing

# keep NAME [FILE]: append to the copy.  A file that this kernel does not have is not
# kept; then checks on the host that need it fail.
keep() {
	mkdir -p "/tmp/out/$(dirname "$1")"
	if [ $# = 1 ]; then
		cat >>"/tmp/out/$1"
	elif [ -e "$2" ]; then
		cat "$2" >>"/tmp/out/$1"
	fi
}

# state TAG: keep page tables, direct map, memory and modules.  Do not call this while
# broadcasts are counted: the dump of page tables holds the mmap lock of init_mm, and a
# block that is added during that time gets 4k pages.
state() {
	keep "$1/page_tables" $PAGE_TABLES
	keep "$1/vmstat" /proc/vmstat
	keep "$1/vmallocinfo" /proc/vmallocinfo
	keep "$1/stats" $STATS
	keep "$1/map" "${STATS%/*}/map"
	keep "$1/modules" /proc/modules
	sealed_sections | keep "$1/sections"
}

# Sections that are made read-only after a module's init
sealed_sections() {
	ls -d /sys/module/*/sections/.data..ro_after_init \
		/sys/module/*/sections/__jump_table 2>/dev/null || true
}

# settle: wait until memory that is freed late, by RCU and a worker, is freed, and memory
# of unloaded modules has rested
settle() {
	last=
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
		sleep 1
		! grep -qs ' resting [1-9]' $STATS || continue
		new=$(cat $STATS 2>/dev/null; grep -c ^0xffffffff /proc/vmallocinfo; grep Slab: /proc/meminfo)
		[ "$new" != "$last" ] || return 0
		last=$new
	done
}

# names: print the names of the modules in modules.list
names() { sed '/^#/d; /^$/d' modules.list; }

# needs MODULE: print the modules that it depends on, with underscores, one per line
needs() { tr '\0' '\n' <"$1.ko" | sed -n 's/^depends=\(.\)/\1/p' | tr ',-' '\n_'; }

# used TAG: keep how much every pool has handed out, after memory that is freed late was
# freed.  The host compares two of these.
used() {
	settle
	keep "$1/stats" $STATS
}

# validate: fail if the allocator's validator finds an error
validate() {
	[ ! -e "${STATS%/*}/check" ] || echo 1 >"${STATS%/*}/check"
}
