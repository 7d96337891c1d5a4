#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Loads the modules of modules.list in order, holds them, and unloads what can be
# unloaded, with all CPUs busy; in between, each one alone.  Then once more, while
# another CPU looks for pages that are writable and executable, there or in the direct
# map (that with execmem_scan.ko).  Prints "@ name value" lines; dev/modules.sh compares them.
#
#	modules-job.sh			fails when a module does not load, or cannot be
#					unloaded although nothing uses it
#	modules-job.sh idle		the same, but CPUs are idle
#	modules-job.sh try		just load them: "@ loads NAME" for each that does
set -eu
. ./modules-lib.sh

ALIASES=/sys/module/execmem_scan/parameters/aliases

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

# remove MODULE: unloads it, or says why it stays
remove() {
	if answer=$(rmmod "$1" 2>&1); then
		echo gone
		return
	fi
	case $answer in
	*'temporarily unavailable'*)	echo in_use ;;
	*'resource busy'*)		echo permanent ;;
	*)				echo "$answer" ;;
	esac
}

# The last one loaded first, until none goes any more: what one module holds may be
# let go late.  Of those that stay, the last answer counts.
unload() {
	going=1
	while [ $going = 1 ]; do
		going=0 in_use='' permanent=''
		for m in $(cut -d ' ' -f 1 /proc/modules | grep -v '^execmem_scan$'); do
			answer=$(remove "$m")
			case $answer in
			gone)		going=1 ;;
			in_use)		in_use="$in_use $m" ;;
			permanent)	permanent="$permanent $m" ;;
			*)		echo "$answer"; bad="$bad -$m" ;;
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
	nr=0
	for m in /sys/module/*/sections; do ! sealed "$m" || nr=$((nr + 1)); done
	echo "@ $1.modules.ro_after_init $nr"
}

# sealed SECTIONS: does this module have data that is sealed after its init?
sealed() { [ -e "$1/.data..ro_after_init" ] || [ -e "$1/__jump_table" ]; }

# cycle MODULE: unloads and loads it, says of which kind it is and what that causes
cycle() {
	kind=others
	! sealed "/sys/module/$(echo "$1" | tr - _)/sections" || kind=sealed
	./measure.sh trace-anew
	answer=$(remove "$1")
	case $answer in
	gone)			insmod "$1.ko" || { kind=lost; bad="$bad $1"; } ;;
	in_use|permanent)	kind=$answer ;;
	*)			kind=unknown; echo "$answer"; bad="$bad -$1" ;;
	esac
	echo "module $kind $1"
	./measure.sh trace-read cycle
}

# cycles: modules that are not in use are unloaded and loaded again, one at a time, while
# the others are held: the most broadcasts for one, TLB flushes and sync_core, and how
# many modules
cycles() {
	./measure.sh trace-on
	for m in $(names); do cycle "$m"; done >/tmp/cycles
	./measure.sh trace-off cycle >/dev/null
	awk '
	BEGIN { times["sealed"] = times["others"] = times["in_use"] = times["permanent"] = 0 }
	/^module/ { kind = $2; times[kind]++; tried++; tlb = sync = 0 }
	/ cycle.tlb.(execmem|module) / {
		tlb += $3
		if (tlb > tlb_most[kind]) tlb_most[kind] = tlb
	}
	/ cycle.sync_core.(execmem|module) / {
		if (!sync) sync_times[kind]++
		sync += $3
		if (sync > sync_most[kind]) sync_most[kind] = sync
	}
	/ cycle.lost_events / { lost += $3 }
	END {
		print "@ cycle.tried " tried + 0
		print "@ cycle.lost_events " lost + 0
		for (kind in times)
			print "@ cycle." kind ".times " times[kind]
		for (i = split("sealed others", kinds, " "); i; i--) {
			print "@ cycle." kinds[i] ".tlb_most " tlb_most[kinds[i]] + 0
			print "@ cycle." kinds[i] ".sync_most " sync_most[kinds[i]] + 0
			print "@ cycle." kinds[i] ".sync_times " sync_times[kinds[i]] + 0
		}
	}' /tmp/cycles
}

# state TAG
state() {
	./measure.sh state "$1"
	modules "$1"
}

# scan: until /tmp/scanned is there; the most pages seen in one go, and what
# execmem_scan.c says in the same way
scan() {
	while [ ! -e /tmp/scanned ]; do
		echo "$(./measure.sh wx) $(cat $ALIASES 2>/dev/null)"
	done | awk '
	{ for (i = 1; i <= 5; i++) if ($i > max[i]) max[i] = $i }
	END {
		print "@ scan.times " NR
		n = split("wx_pages exec_pages exec_aliases ro_aliases rw_aliases", name, " ")
		for (i = 1; i <= n; i++)
			print "@ scan." name[i] " " max[i] + 0
	}'
}

# busy COMMAND...: meanwhile each CPU has something to do
busy() {
	spinners=''
	[ "$mode" != idle ] || { "$@"; return; }
	for _ in $(seq "$(nproc)"); do
		while :; do :; done & spinners="$spinners $!"
		renice 19 -p $!
	done
	"$@"
	kill $spinners
}

main() {
	echo "@ kernel $(uname -r)"
	echo "@ list.modules $(names | wc -l)"
	state before
	./measure.sh trace-on
	busy timed load load
	./measure.sh settle
	./measure.sh trace-off load
	state held
	./measure.sh stats
	busy timed cycles cycles
	state cycled
	./measure.sh trace-on
	busy timed unload unload
	./measure.sh settle
	./measure.sh trace-off unload
	state after
	echo "@ after.modules.in_use $(count $in_use)"
	echo "@ after.modules.permanent $(count $permanent)"
	echo "@ |in use:$in_use"
	echo "@ |permanent:$permanent"

	[ ! -e execmem_scan.ko ] || insmod execmem_scan.ko
	scan &
	load
	unload
	touch /tmp/scanned
	wait $!
	[ ! -e $ALIASES ] || rmmod execmem_scan
	./measure.sh settle
	state again
}

echo 1 > /proc/sys/kernel/kptr_restrict		# real addresses, for root
dmesg -n 5		# no lines of drivers that say hello
bad='' mode=${1:-}
case $mode in
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
