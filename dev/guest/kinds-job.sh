#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Modules as distributions ship them, from kinds.tar: signed, compressed (the kernel
# unpacks them), one of them from outside the tree; on a kernel that enforces
# signatures.  And one without an exit function, that goes by force.
set -eu
. ./modules-lib.sh

say() { echo "@ |$*"; }

# refused WHY FILE
refused() {
	if answer=$(/bin/insmod "$2" 2>&1); then echo "$2 was not refused"; exit 1; fi
	case $answer in
	*"$1"*)	say "refused: ${answer#*: }" ;;
	*)	echo "$answer, not: $1"; exit 1 ;;
	esac
}

modules=$(names)
load() { (cd kinds && ../modload load $modules); }
unload() { ./modload unload $modules; [ -z "$(cat /proc/modules)" ]; }

dmesg -n 5
tar -xf kinds.tar
found=$(dmesg | grep -i "using $(sed 's/.*cfi=\([a-z]*\).*/\1/' /proc/cmdline)")
say "${found#*] }"
[ "$(cat /sys/module/compression)" = xz ]
[ "$(cat /sys/module/module/parameters/sig_enforce)" = Y ]

# What is allocated once and kept
load
unload
./bpfload fleet load unload >/dev/null
used /tmp/before

load
echo "@ loaded $(wc -l </proc/modules)"
grep -q '^pool module_text:.* blocks_huge [1-9]' "$STATS"
./bpfload fleet load churn:200 unload >/dev/null
unload

refused "Key was rejected by service" execmem_stays.ko
xz -dc kinds/crc8.ko.xz >broken.ko
# A byte somewhere in it
printf '\001' | dd of=broken.ko bs=1 seek=128 conv=notrunc 2>/dev/null
refused 'Key was rejected by service' broken.ko
same_use /tmp/before

/bin/insmod kinds/execmem_stays.ko.xz
if /bin/rmmod execmem_stays 2>/dev/null; then echo "it has no exit function, but went"; exit 1; fi
/bin/rmmod -f execmem_stays
same_use /tmp/before
echo 1 >/sys/kernel/debug/execmem/check
echo "VERDICT ok"
