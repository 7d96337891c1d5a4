#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# An installed kselftest: selftest-job.sh [-s] COLLECTION SCRIPT, from
# selftests.tar.  Everything is there that a case could want, so a skipped one has
# failed, but for -s.
may_skip=
[ "$1" != -s ] || { may_skip=1; shift; }
mkdir /tmp/selftests
tar -C /tmp/selftests -xf selftests.tar
# The main job runs all of it.
export TEST_BPF="$PWD/test_bpf.ko test_suite=test_bpf test_range=0,199"
cd /tmp/selftests/"$1" || exit 1
sh "./$2" >/tmp/ktap
rc=$?
cat /tmp/ktap
awk '/^not ok/ { print "@ " $0 } /# SKIP/ { print "@ " $0 } /^# Totals/ { print "@ " $0 }' /tmp/ktap
grep -q '^ok' /tmp/ktap || rc=1
[ -n "$may_skip" ] || ! grep -q '# SKIP' /tmp/ktap || rc=1
[ $rc = 0 ] && echo "VERDICT ok" || echo "VERDICT fail"
exit $rc
