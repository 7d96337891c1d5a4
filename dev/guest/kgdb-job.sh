#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# For dev/tests/kgdb: stop and wait for gdb, which sets a breakpoint in a module, lets
# the machine go on until it gets there, removes it and leaves.
set -eu
. ./modules-lib.sh

FOO=/sys/kernel/kobject_example/foo	# read by foo_show()

# first_byte: of the function, as the kernel sees it
first_byte() { ./kcore "$(address)"; }
address() { sed -n 's/^\([0-9a-f]*\) t foo_show\t.*/\1/p' /proc/kallsyms; }

echo 1 >/proc/sys/kernel/kptr_restrict		# addresses, for root
insmod kobject-example.ko
rmmod kobject_example
used /tmp/before
insmod kobject-example.ko
was=$(first_byte)

echo ttyS2 >/sys/module/kgdboc/parameters/kgdboc
echo "BREAK $(address)"
echo g >/proc/sysrq-trigger
# gdb goes on from there, and stops the machine in the middle of this.
[ "$(cat $FOO)" = 0 ]
[ "$(first_byte)" = "$was" ]
[ "$(cat $FOO)" = 0 ]

rmmod kobject_example
same_use /tmp/before
echo "@ the breakpoint is gone, first byte $was"
echo "VERDICT ok"
