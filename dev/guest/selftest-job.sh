#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# An installed kselftest: selftest-job.sh COLLECTION SCRIPT, from selftests.tar
mkdir /tmp/selftests
tar -C /tmp/selftests -xf selftests.tar
export TEST_BPF=$PWD/test_bpf.ko
cd /tmp/selftests/"$1" || exit 1
sh "./$2" >/tmp/ktap
rc=$?
cat /tmp/ktap
awk '/^not ok/ { print "@ " $0 } /# SKIP/ { print "@ " $0 } /^# Totals/ { print "@ " $0 }' /tmp/ktap
grep -q '^ok' /tmp/ktap || rc=1
[ $rc = 0 ] && echo "VERDICT ok" || echo "VERDICT fail"
exit $rc
