#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Each module named is loaded with each of the allocations on its way failing once.
# What the allocator has handed out afterwards must be what it was before.
#
#	loadfail-job.sh [REGEX]		modules of modules.list; warnings that match are
#					those of the kernel without the series
set -eu
. ./modules-lib.sh

# What it needs is loaded beforehand and stays.
file_of() { for f in *.ko; do [ "$(echo "$f" | tr - _)" != "$1.ko" ] || echo "$f"; done; }

dmesg -n 4	# no lines about allocations that fail, with their stacks
for f in failslab fail_page_alloc; do
	echo N >/sys/kernel/debug/$f/ignore-gfp-wait
	echo 0 >/sys/kernel/debug/$f/verbose
done
echo 0 >/sys/kernel/debug/fail_page_alloc/min-order
echo N >/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem

bad=''
for m in $(names); do
	for d in $(needs "$m"); do
		[ -d "/sys/module/$d" ] || insmod "$(file_of "$d")"
	done
	insmod "$m.ko"		# what is allocated once and kept
	rmmod "$m"
	used /tmp/before
	./loadfail "$m.ko" || bad="$bad $m"
	same_use /tmp/before || { echo "$m left something"; bad="$bad $m"; }
done
if dmesg | grep -E 'BUG: |WARNING: |Oops' | grep -vE "${1:-^$}"; then exit 1; fi
[ -z "$bad" ] || { echo "bad:$bad"; exit 1; }
echo "VERDICT ok"
