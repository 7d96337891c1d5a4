#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A livepatch with late relocations is loaded before and after the module it patches,
# which comes back, too; and in the middle of its load.  It is disabled and unloaded.
set -eu
. ./modules-lib.sh

TRACE=/sys/kernel/tracing
PATCH=/sys/kernel/livepatch/execmem_patch

# value N: what the function returns, patched or not
value() {
	found=$(cat /sys/module/execmem_target/parameters/value)
	[ "$found" = "$1" ] || { echo "it returns $found, not $1"; exit 1; }
}

settled() { while [ "$(cat $PATCH/transition)" = 1 ]; do sleep 0.2; done; }

disable() {
	echo 0 >$PATCH/enabled
	while [ -e $PATCH ]; do sleep 0.2; done
	rmmod execmem_patch
}

round() {
	insmod execmem_patch.ko
	for _ in 1 2; do
		insmod execmem_target.ko
		settled
		value 42
		rmmod execmem_target
	done
	insmod execmem_target.ko
	value 42
	disable
	value 1

	# What is patched is there already.
	insmod execmem_patch.ko
	settled
	value 42
	disable
	value 1
	rmmod execmem_target
}

# The patch comes when the module that it patches is known to livepatches, but its text
# is fresh.  Its callbacks may call functions of the module, so that ends then.
between() {
	holds=/sys/module/execmem_hold/parameters/holds
	insmod execmem_hold.ko
	insmod execmem_target.ko &
	until [ "$(cat $holds)" = Y ]; do sleep 0.2; done
	echo 'p:entered module_text_entered' >$TRACE/kprobe_events
	echo 1 >$TRACE/events/kprobes/enable
	insmod execmem_patch.ko
	entered=$(grep -c entered: $TRACE/trace)
	echo 0 >$TRACE/events/kprobes/enable
	echo >$TRACE/kprobe_events
	echo 0 >$holds
	wait
	settled
	value 42
	disable
	rmmod execmem_target execmem_hold
	echo "@ text is entered while a load is stopped: $entered times"
	# The patch's own and that of the module
	[ "$entered" = 2 ]
}

round
between
used /tmp/before
round
between
same_use /tmp/before
[ ! -e "${STATS%/*}/check" ] || echo 1 >"${STATS%/*}/check"
echo "VERDICT ok"
