#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Threads that load and unload modules, each its own share of them, while BPF programs
# come and go.  Beside them two that load and unload the same modules, and one that
# kills who loads.  Afterwards nothing may be left, and the validator has to agree.
#
#	stress-job.sh SECONDS [THREADS]		modules of modules.list, fleet beside it
set -eu
. ./modules-lib.sh

seconds=$1 threads=${2:-4}
late() { [ "$(cut -d . -f 1 /proc/uptime)" -ge $end ]; }

# share N: groups of modules that need each other stay together, so that what one
# thread loads does not depend on another's
share() { awk -v n="$1" -v of=$((threads + 2)) '$1 % of == n { print $2 }' /tmp/groups; }

# Those that stay are there for all.
needs_of() { needs "$1" | grep -vxFf /tmp/stay || true; }

# NUMBER MODULE, in the order of the list
groups() {
	for m in $(names); do
		echo "$m $(echo "$m" | tr - _) $(needs_of "$m")"
	done | awk '
	function root(m) { while (m in up && up[m] != m) m = up[m]; return m }
	{
		file[NR] = $1
		name[NR] = $2
		for (i = 3; i <= NF; i++)
			if (root($i) != root($2))
				up[root($i)] = root($2)
	}
	END {
		for (i = 1; i <= NR; i++) {
			r = root(name[i])
			if (!(r in number))
				number[r] = nr++
			print number[r] + 0, file[i]
		}
	}' >/tmp/groups
}

# One round loads the share, in order, and unloads it backwards.
thread() {
	rounds=0
	[ -n "$(share "$1")" ] || { echo "nothing to do for thread $1"; return 1; }
	while ! late; do
		loaded=''
		for m in $(share "$1"); do
			insmod "$m.ko" || { echo "$m does not load"; return 1; }
			loaded="$m $loaded"
		done
		for m in $loaded; do
			rmmod "$m" || { echo "$m does not unload"; return 1; }
		done
		rounds=$((rounds + 1))
	done
	echo "@ stress.rounds.$1 $rounds"
	[ $rounds -gt 0 ]
}

# alone N: of the share those that need no others
alone() { for m in $(share "$1"); do [ -n "$(needs_of "$m")" ] || echo "$m"; done; }

# Both racers have the same share, so any of their calls may fail, but not all.
racer() {
	loads=0 unloads=0
	while ! late; do
		for m in $(alone "$threads"); do
			! insmod "$m.ko" 2>/dev/null || loads=$((loads + 1))
			! rmmod "$m" 2>/dev/null || unloads=$((unloads + 1))
		done
	done
	echo "@ stress.racer.loads $loads"
	echo "@ stress.racer.unloads $unloads"
	[ $loads -gt 0 ] && [ $unloads -gt 0 ]
}

killer() {
	rounds=0
	while ! late; do
		for m in $(alone $((threads + 1))); do
			./loadkill "$m.ko" 20 >>/tmp/killed || { cat /tmp/killed; return 1; }
		done
		rounds=$((rounds + 1))
	done
	awk '{ sub(/.*[.]/, "", $2); n[$2] += $3 }
	END { for (i in n) print "@ stress.killer." i, n[i] }' /tmp/killed
	[ $rounds -gt 0 ]
}

churn() {
	rounds=0
	while ! late; do
		./bpfload fleet load churn:200 unload >/dev/null
		rounds=$((rounds + 1))
	done
	echo "@ stress.rounds.bpf $rounds"
	[ $rounds -gt 0 ]
}

# once: what is allocated once and kept.  A module without an exit function stays, and
# is none of those that come and go.
once() {
	./bpfload fleet load unload >/dev/null
	for m in $(names); do insmod "$m.ko"; done
	for m in $(names | awk '{ l = $0 " " l } END { print l }'); do rmmod "$m" || true; done
	cut -d ' ' -f 1 /proc/modules >/tmp/stay
	names | tr - _ | grep -nxFf /tmp/stay | sed 's/:.*/d/' >/tmp/script
	names | sed -f /tmp/script >/tmp/list
	mv /tmp/list modules.list
}

dmesg -n 5
once
groups
used /tmp/before
echo "@ stress.modules $(i=0; while [ $i -lt "$threads" ]; do share $i; i=$((i + 1)); done | wc -l)"

pids=''
i=0
end=$(($(cut -d . -f 1 /proc/uptime) + seconds))
while [ $i -lt "$threads" ]; do
	thread $i & pids="$pids $!"
	i=$((i + 1))
done
racer & pids="$pids $!"
racer & pids="$pids $!"
killer & pids="$pids $!"
churn & pids="$pids $!"
bad=0
for p in $pids; do wait "$p" || bad=1; done

# What both racers did not get to unload
for m in $(alone "$threads"); do rmmod "$m" 2>/dev/null || true; done
cut -d ' ' -f 1 /proc/modules | cmp -s - /tmp/stay || { cat /proc/modules; bad=1; }

same_use /tmp/before || bad=1
echo 1 >/sys/kernel/debug/execmem/check || { echo "the validator complains"; bad=1; }
[ $bad = 0 ] || exit 1
echo "VERDICT ok"
