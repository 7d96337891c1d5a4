# SPDX-License-Identifier: GPL-2.0-only
# Sourced by the guests of all jobs.  A job tells the host what it saw in two ways:
#	echo "@ NAME VALUE"	a line of what it "said"
#	keep TAG/NAME [FILE]	a copy of a file of the kernel's, or of stdin
# Both are read by report.py on the host, which computes, compares and checks.
# shellcheck shell=sh

DEBUGFS=/sys/kernel/debug
STATS=$DEBUGFS/execmem/stats
PAGE_TABLES=$DEBUGFS/page_tables/kernel
TRACE=/sys/kernel/tracing

# keep NAME [FILE]: appends; a file that this kernel does not have is not kept, and
# what needs it on the host fails
keep() {
	mkdir -p "/tmp/out/$(dirname "$1")"
	if [ $# = 1 ]; then
		cat >>"/tmp/out/$1"
	elif [ -e "$2" ]; then
		cat "$2" >>"/tmp/out/$1"
	fi
}

# state TAG: page tables, direct map, memory and modules, now.  Not while broadcasts
# are counted: the dump of page tables holds a lock of init_mm's, and a block that is
# made in that time gets 4k pages for it.
state() {
	keep "$1/page_tables" $PAGE_TABLES
	keep "$1/vmstat" /proc/vmstat
	keep "$1/vmallocinfo" /proc/vmallocinfo
	keep "$1/stats" $STATS
	keep "$1/map" "${STATS%/*}/map"
	keep "$1/modules" /proc/modules
	sealed_sections | keep "$1/sections"
}

# What a module seals after its init
sealed_sections() {
	ls -d /sys/module/*/sections/.data..ro_after_init \
		/sys/module/*/sections/__jump_table 2>/dev/null || true
}

# settle: wait until what is freed late, by RCU and then by a worker, is gone
settle() {
	last=
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		sleep 1
		new=$(cat $STATS 2>/dev/null; grep -c ^0xffffffff /proc/vmallocinfo; grep Slab: /proc/meminfo)
		[ "$new" != "$last" ] || return 0
		last=$new
	done
}

# names: of the modules in modules.list
names() { sed '/^#/d; /^$/d' modules.list; }

# needs MODULE: the names, with underscores, of the modules it depends on, a line each
needs() { tr '\0' '\n' <"$1.ko" | sed -n 's/^depends=\(.\)/\1/p' | tr ',-' '\n_'; }

# used TAG: keep what every pool has handed out when all that is freed late is freed;
# the host compares two of these
used() {
	settle
	keep "$1/stats" $STATS
}

# validate: fails when the allocator's own check does
validate() {
	[ ! -e "${STATS%/*}/check" ] || echo 1 >"${STATS%/*}/check"
}
