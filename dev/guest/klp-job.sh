#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A livepatch with late relocations is loaded before and after the module it patches,
# which comes back, too; and is disabled and unloaded.
set -eu
. ./modules-lib.sh

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

round
used /tmp/before
round
same_use /tmp/before
[ ! -e "${STATS%/*}/check" ] || echo 1 >"${STATS%/*}/check"
echo "VERDICT ok"
