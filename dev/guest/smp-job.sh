#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# On a machine that was booted with maxcpus=1 the modules of modules.list are loaded,
# without their lock prefixes; then a second CPU comes up, and they get them.  Returns
# are those for indirect_target_selection=force.
set -eu
. ./modules-lib.sh

# prefix BYTE: what the instruction begins with
prefix() {
	found=$(cat /sys/module/execmem_locks/parameters/prefix)
	echo "@ |$(cat /sys/devices/system/cpu/online): prefix $found"
	[ "$found" = "$1" ]
	# The same from outside
	addr=$(sed -n 's/^\([0-9a-f]*\) . execmem_locked_insn\t.*/\1/p' /proc/kallsyms)
	[ "$(./kcore "$addr")" = "$1" ]
}

mitigated indirect_target_selection 'Aligned branch/return thunks'
echo 1 >/proc/sys/kernel/kptr_restrict		# addresses, for root
modules="$(names) execmem_locks"
# What is allocated once and kept
./modload load $modules
./modload unload $modules
used /tmp/before
./modload load $modules
prefix 3e
echo 1 >/sys/devices/system/cpu/cpu1/online
dmesg | grep 'SMP alternatives: switching to SMP code' || {
	echo "no lock prefix was patched"
	exit 1
}
prefix f0
./modload unload $modules
same_use /tmp/before
echo 1 >/sys/kernel/debug/execmem/check
echo "VERDICT ok"
