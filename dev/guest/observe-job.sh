#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# For dev/tests/observe: hold some programs and a probe, print what debugfs and
# the viewer say of them, then wait until gdb on the host has looked, too.
set -eu

DEBUGFS=/sys/kernel/debug/execmem
FAULT=/sys/kernel/debug/fail_page_alloc
TRACING=/sys/kernel/tracing

print() { sed "s/^/@ $1 /"; }

# fails ARG...: what the viewer says when it fails
fails() {
	if ./execmem "$@" >/tmp/error 2>&1; then
		echo "@ error none"
	else
		print error </tmp/error
	fi
}

# The viewer gets copies, so that all numbers are of one moment.
report() {
	./measure.sh settle
	cp $DEBUGFS/stats $DEBUGFS/map $DEBUGFS/chunks /tmp
	print stats </tmp/stats
	print map </tmp/map
	print chunk </tmp/chunks
	./execmem -a -b -d /tmp | print view
	./execmem | print live

	fails -d /nowhere
	umount /sys/kernel/debug
	fails
	mount -t debugfs debug /sys/kernel/debug
}

# gdb sets a variable that has no effect on a machine without swap.
wait_for_gdb() {
	echo READY
	for _ in $(seq 60); do
		[ "$(cat /proc/sys/vm/page-cluster)" != 7 ] || return 0
		sleep 0.5
	done
	echo "gdb does not come"
	return 1
}

# A fleet is loaded without huge pages, another one with them, and the first one
# leaves: there are holes, blocks of each kind, and a reason for the small ones.
hold() {
	touch /tmp/loaded
	while [ ! -e /tmp/leave ]; do sleep 0.1; done
}

# huge_pages Y|N: are there any?
huge_pages() {
	echo 9 >$FAULT/min-order
	echo N >$FAULT/ignore-gfp-wait
	echo N >$FAULT/ignore-gfp-highmem
	echo 0 >$FAULT/verbose
	echo -1 >$FAULT/times
	[ "$1" = Y ] || echo 100 >$FAULT/probability
	[ "$1" = N ] || echo 0 >$FAULT/probability
}

# What the statistics have counted until now: events and numbers
counted() {
	awk '/^pool/ { for (i = 3; i < NF; i += 2) sum[$i] += $(i + 1) }
	END {
		print "alloc", sum["allocs"]
		print "fill", sum["fills"]
		print "free", sum["frees"]
		print "grow", sum["grown"]
		print "shrink", sum["shrunk"]
	}' $DEBUGFS/stats
}

# The same from the trace
traced() {
	for e in alloc fill free grow shrink; do
		echo "$e $(grep -c " execmem_$e: " $TRACING/trace)"
	done
}

main() {
	counted >/tmp/until
	echo 1 >$TRACING/events/execmem/enable
	echo 'p:probe vfs_read' >$TRACING/kprobe_events
	echo 1 >$TRACING/events/kprobes/probe/enable
	huge_pages N
	printf 'ebpf 30 100 3000\n' >/tmp/first
	printf 'ebpf 40 65536 65536\nebpf 100 100 3000\n' >/tmp/second
	./bpfload /tmp/first load "sh:$0 hold" &
	while [ ! -e /tmp/loaded ]; do sleep 0.1; done
	huge_pages Y
	./bpfload /tmp/second load "sh:touch /tmp/leave" "sh:$0 report" "sh:$0 wait_for_gdb"
	wait
	./measure.sh settle
	# The probe would go on while the trace is read.
	echo 0 >$TRACING/events/enable
	traced | print traced
	counted | paste -d ' ' - /tmp/until | awk '{ print $1, $2 - $4 }' | print counted
	echo "VERDICT ok"
}

"${1:-main}"
