#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Loads the modules of modules.list in order, holds them, and unloads what can be
# unloaded; then once more while another CPU looks for pages that are writable and
# executable.  Prints "@ name value" lines; dev/modules.sh compares them.
#
#	modules-job.sh			fails when a module does not load, or cannot be
#					unloaded although nothing uses it
#	modules-job.sh try		just load them: "@ loads NAME" for each that does
set -eu
. ./modules-lib.sh

is_loaded() { [ -d "/sys/module/$(echo "$1" | tr - _)" ]; }
uptime() { cut -d ' ' -f 1 /proc/uptime; }

# timed NAME COMMAND...
timed() {
	name=$1 start=$(uptime)
	shift
	"$@"
	echo "@ $name.seconds $(uptime) $start" | awk '{ print $1, $2, int($3 - $4 + 0.5) }'
}

load() {
	for m in $(names); do
		is_loaded "$m" || insmod "$m.ko" || bad="$bad $m"
	done
}

# The last one loaded first, until none goes any more: what one module holds may be
# let go late.  Of those that stay, the last answer counts.
unload() {
	going=1
	while [ $going = 1 ]; do
		going=0 in_use='' permanent=''
		for m in $(cut -d ' ' -f 1 /proc/modules); do
			if answer=$(rmmod "$m" 2>&1); then
				going=1
				continue
			fi
			case $answer in
			*'temporarily unavailable'*)	in_use="$in_use $m" ;;
			*'resource busy'*)		permanent="$permanent $m" ;;
			*)				echo "$answer"; bad="$bad -$m" ;;
			esac
		done
	done
}

count() { echo $#; }

# What /proc/modules and sysfs say of them, as $1.modules.*
modules() {
	awk -v tag="$1" '
	{ bytes += $2; if ($2 > max) max = $2 }
	END {
		print "@ " tag ".modules.loaded " NR
		print "@ " tag ".modules.bytes " bytes + 0
		print "@ " tag ".modules.largest " max + 0
	}' /proc/modules
	# These have data that is sealed after their init.
	nr=0
	for m in /sys/module/*/sections; do
		if [ -e "$m/.data..ro_after_init" ] || [ -e "$m/__jump_table" ]; then
			nr=$((nr + 1))
		fi
	done
	echo "@ $1.modules.ro_after_init $nr"
}

# state TAG
state() {
	./measure.sh state "$1"
	modules "$1"
}

# scan: until /tmp/scanned is there; the most pages seen in one go
scan() {
	nr=0 max=0
	while [ ! -e /tmp/scanned ]; do
		pages=$(./measure.sh wx)
		[ "$pages" -le $max ] || max=$pages
		nr=$((nr + 1))
	done
	echo "@ scan.times $nr"
	echo "@ scan.wx_pages $max"
}

main() {
	echo "@ kernel $(uname -r)"
	echo "@ list.modules $(names | wc -l)"
	state before
	./measure.sh trace-on
	timed load load
	./measure.sh settle
	./measure.sh trace-off load
	state held
	./measure.sh stats
	./measure.sh trace-on
	timed unload unload
	./measure.sh settle
	./measure.sh trace-off unload
	state after
	echo "@ after.modules.in_use $(count $in_use)"
	echo "@ after.modules.permanent $(count $permanent)"
	echo "@ |in use:$in_use"
	echo "@ |permanent:$permanent"

	scan &
	load
	unload
	touch /tmp/scanned
	wait
	./measure.sh settle
	state again
}

echo 1 > /proc/sys/kernel/kptr_restrict		# real addresses, for root
dmesg -n 5		# no lines of drivers that say hello
bad=''
case ${1:-} in
try)	for m in $(names); do
		if insmod "$m.ko"; then
			echo "@ loads $m"
		fi
	done
	;;
*)	main ;;
esac
[ -z "$bad" ] || { echo "@ |bad:$bad"; echo "VERDICT fail"; exit 1; }
echo "VERDICT ok"
