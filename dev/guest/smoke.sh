# SPDX-License-Identifier: GPL-2.0-only
# Does the machine boot, and is what the other jobs rely on there?

fail() { echo "smoke: $*"; echo "VERDICT fail"; exit 1; }

echo "@ kernel $(uname -r), $(nproc) CPUs, up $(cut -d' ' -f1 /proc/uptime) s"
[ -e /sys/kernel/debug/page_tables/kernel ] || fail "no page table dump"
grep -q nr_tlb_remote_flush /proc/vmstat || fail "no TLB flush counters"
[ -e /sys/kernel/btf/vmlinux ] || fail "no BTF"
[ -e /sys/kernel/tracing/kprobe_events ] || fail "no kprobe events"
insmod test_bpf.ko test_name=TAX || fail "test_bpf does not run"
rmmod test_bpf
dmesg | grep 'test_bpf: Summary' | sed 's/.*test_bpf/@ test_bpf/'
echo "VERDICT ok"
