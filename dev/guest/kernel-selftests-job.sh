#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The kernel's own selftests for kmod and livepatch, from selftests.tar, with the real
# programs that they ask for: "@ TEST 0", or another status than 0.  The output of a
# test that fails follows it.
set -eu

# run NAME COMMAND...: in its directory; again when it fails, for some depend on how
# fast the machine is
run() {
	name=$1
	shift
	for try in 1 2 3; do
		rc=0
		timeout 300 "$@" >/tmp/out 2>&1 || rc=$?
		[ $rc != 0 ] || break
	done
	echo "@ $name $rc"
	[ $rc = 0 ] || tail -n 20 /tmp/out
}

modules=/lib/modules/$(uname -r)
# The livepatch tests skip themselves without a build directory.
mkdir -p "$modules/build" /sbin
ln -s /bin/modprobe /sbin/modprobe
mv ./*.ko "$modules/"
touch "$modules/modules.order" "$modules/modules.builtin" "$modules/modules.builtin.modinfo"
/bin/depmod		# busybox runs its own otherwise, which makes no index

mkdir /tmp/selftests
tar -C /tmp/selftests -xf selftests.tar
dmesg -n 5

cd /tmp/selftests/livepatch
for t in test-*.sh; do
	run "livepatch.$t" bash "./$t"
done
# Those that start 50 modprobes at a time run 150 times otherwise.
cd ../kmod
for t in 0001 0002 0003 0004 0005 0006 0007 0008 0009 0010 0011 0012 0013; do
	run "kmod.$t" bash ./kmod.sh -c $t 3
done
echo "VERDICT ok"
