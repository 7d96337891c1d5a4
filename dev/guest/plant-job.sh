#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A mistake made on purpose: plant-job.sh MISTAKE.  Whether the kernel reports it
# is seen on its console, a leak also here.
leaks=/sys/kernel/debug/kmemleak

[ "$1" != leak ] || echo clear >$leaks
insmod execmem_plant.ko "mistake=$1" || [ "$1" = uaf ] || exit 1
[ "$1" != timer ] || rmmod execmem_plant
if [ "$1" = leak ]; then
	# What was allocated less than five seconds ago is no leak yet.
	sleep 6
	echo scan >$leaks
	echo scan >$leaks
	# Not to the console, where it would be a splat
	nr=$(grep -c plant_leak $leaks)
	echo "@ $nr leaks reported"
	# The last one may be found on a stack.
	[ "$nr" -ge 9 ] || exit 1
	echo clear >$leaks
fi
# The module goes, but its data stays: the tag of what it forgot is there.
page() {
	page=$(cat /sys/module/execmem_plant/parameters/page) &&
	grep 'execmem_plant.*func:plant_page' /proc/allocinfo &&
	rmmod execmem_plant &&
	insmod execmem_plant.ko "page=$page" &&
	rmmod execmem_plant
}
[ "$1" != page ] || page || exit 1
echo "VERDICT ok"
