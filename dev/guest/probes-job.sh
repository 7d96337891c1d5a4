#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Kprobes and the function tracer on a module's functions, stacks through them, and
# probes that outlive the module: they are armed again while it is loaded once more.
# Calls are counted for retbleed=stuff.  Last, a module with a bad relocation.
set -eu
. ./modules-lib.sh

TRACE=/sys/kernel/tracing
FOO=/sys/kernel/kobject_example/foo	# read by foo_show(), which calls sysfs_emit()

# expect N WHAT REGEX: in the trace, N times
expect() {
	nr=$(grep -cE "$3" $TRACE/trace || true)
	echo "@ probes.$2 $nr"
	[ "$nr" -eq "$1" ] || { cat $TRACE/trace >&2; exit 1; }
}

read_foo() {
	echo >$TRACE/trace
	for i in $(seq "$1"); do [ "$(cat $FOO)" = 0 ]; done
}

kprobes() {
	# Where ftrace has its call, behind it where a jump may go, and the return
	echo 'p:entry kobject_example:foo_show' >$TRACE/kprobe_events
	echo 'p:behind kobject_example:foo_show+9' >>$TRACE/kprobe_events
	echo 'r:return kobject_example:foo_show' >>$TRACE/kprobe_events
	echo 1 >$TRACE/events/kprobes/enable
	sleep 1			# they are optimised late
	sed 's/^[^ ]* */@ |/' /sys/kernel/debug/kprobes/list
	grep -q 'foo_show+0x9.*OPTIMIZED' /sys/kernel/debug/kprobes/list
	read_foo 3
	for p in entry behind; do expect 3 $p "$p: \\(foo_show"; done
	expect 3 return 'return: \(.* <- foo_show'

	rmmod kobject_example
	insmod kobject-example.ko
	read_foo 2
	for p in entry behind; do expect 2 $p.again "$p: \\(foo_show"; done
	echo 0 >$TRACE/events/kprobes/enable
	echo >$TRACE/kprobe_events
	read_foo 1
	expect 0 none 'foo_show'
}

tracer() {
	echo foo_show sysfs_emit >$TRACE/set_ftrace_filter
	echo 1 >$TRACE/options/func_stack_trace
	echo function >$TRACE/current_tracer
	read_foo 2
	expect 2 traced 'foo_show( \[kobject_example\])? <-'
	# Both functions' stacks go through the module into its caller.
	expect 4 stack '^ => foo_show'
	expect 4 stack.caller '^ => sysfs_kf_seq_show'
	echo nop >$TRACE/current_tracer
	echo >$TRACE/set_ftrace_filter
}

round() {
	insmod kobject-example.ko
	kprobes
	tracer
	rmmod kobject_example
}

mitigated retbleed Stuffing
round >/dev/null	# ftrace and kprobes keep pages for the next time
used /tmp/before
round
# Its text is half relocated then.
if error=$(insmod broken.ko 2>&1); then echo "a bad relocation was not refused"; exit 1; fi
dmesg | grep 'Unknown rela relocation: 255'
echo "@ |$error"
same_use /tmp/before
echo 1 >/sys/kernel/debug/execmem/check
echo "VERDICT ok"
