#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# On a machine that was booted with maxcpus=1 the modules of modules.list are loaded,
# without their lock prefixes; then a second CPU comes up, and they get them.
set -eu
. ./modules-lib.sh

modules=$(names)
# What is allocated once and kept
./modload load $modules
./modload unload $modules
used /tmp/before
./modload load $modules
echo 1 >/sys/devices/system/cpu/cpu1/online
dmesg | grep 'SMP alternatives: switching to SMP code' || {
	echo "no lock prefix was patched"
	exit 1
}
./modload unload $modules
same_use /tmp/before
echo 1 >/sys/kernel/debug/execmem/check
echo "VERDICT ok"
