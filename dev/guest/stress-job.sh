#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Threads that load and unload modules, each its own share of them, while BPF programs
# come and go.  Beside them two that load and unload the same modules, and one that
# kills who loads.  Afterwards nothing may be left, and the validator has to agree.
#
#	stress-job.sh SECONDS LEAST [THREADS]	modules of modules.list, fleet beside
#						it; the threads get LEAST or more
set -eu
. ./modules-lib.sh

TRACE=/sys/kernel/tracing
EVENTS=$TRACE/events/kprobes

seconds=$1 least=$2 threads=${3:-4}
late() { [ "$(cut -d . -f 1 /proc/uptime)" -ge $end ]; }

# leaving: of the names read, those that do not stay all the time
leaving() {
	awk '
	BEGIN { while ((getline m <"/tmp/stay") > 0) stays[m] = 1 }
	{ m = $0; gsub("-", "_", m) }
	!(m in stays)'
}

needs_of() { needs "$1" | leaving; }

# shares: "SHARE MODULE", in the order of the list.  Modules that need each other stay
# together, so that what one thread loads does not depend on another's.  Shares behind
# those of the threads are for two that interfere: they get a few that stand alone.
shares() {
	for m in $(names); do
		echo "$m" "$(echo "$m" | tr - _)" $(needs_of "$m")
	done | awk -v threads="$threads" '
	function root(m) { while (m in up && up[m] != m) m = up[m]; return m }
	function smallest(    i, s) {
		s = 0
		for (i = 1; i < threads; i++)
			if (sum[i] + 0 < sum[s] + 0)
				s = i
		return s
	}
	{
		file[NR] = $1
		name[NR] = $2
		for (i = 3; i <= NF; i++)
			if (root($i) != root($2))
				up[root($i)] = root($2)
	}
	END {
		for (i = 1; i <= NR; i++)
			size[root(name[i])]++
		for (i = 1; i <= NR; i++) {
			r = root(name[i])
			if (!(r in share)) {
				alone = size[r] == 1 && single < 6
				share[r] = alone ? threads + single++ % 2 : smallest()
				sum[share[r]] += size[r]
			}
			print share[r], file[i]
		}
	}' >/tmp/shares
}

share() { awk -v n="$1" '$1 == n { print $2 }' /tmp/shares; }

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
	[ $((rounds * 60)) -ge "$seconds" ]	# few, as its clock may be too fast
}

# Both racers have the same share, so any of their calls may fail, but not all.
racer() {
	loads=0 unloads=0
	while ! late; do
		for m in $(share "$threads"); do
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
		for m in $(share $((threads + 1))); do
			./loadkill "$m.ko" 20 >>/tmp/killed || { cat /tmp/killed; return 1; }
		done
		rounds=$((rounds + 1))
	done
	awk '{ n += $3 } END { print "@ stress.killer.killed", n }' /tmp/killed
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

# stays: read from /proc/modules, may it?  Two or more need it, or it is in use or has
# no exit.
stays() {
	awk '
	BEGIN { while ((getline m <"/tmp/hubs") > 0) hub[m] = 1 }
	!($1 in hub) && $3 == 0 && !/permanent/ { print $1, "does not go"; bad = 1 }
	END { exit bad }' /proc/modules
}

# once: what is allocated once and kept.  What several modules need stays, so that not
# all of them are in one share.
once() {
	./bpfload fleet load unload >/dev/null
	for m in $(names); do needs "$m"; done | sort | uniq -d >/tmp/hubs
	for m in $(names); do insmod "$m.ko"; done
	for m in $(names | awk '{ l = $0 " " l } END { print l }'); do
		grep -qx "$(echo "$m" | tr - _)" /tmp/hubs || rmmod "$m" || true
	done
	stays
	cut -d ' ' -f 1 /proc/modules >/tmp/stay
	names | leaving >/tmp/list
	mv /tmp/list modules.list
}

# What happens to the loads that loadkill.c kills: what the system call returns, and
# who gives back a module's memory
RETURNS='hist:keys=ret if comm == "victim"'
GIVEN_BACK='hist:keys=common_stacktrace if comm == "victim"'

watch_victims() {
	{
		echo 'r:load __x64_sys_finit_module ret=$retval:u16'
		echo 'p:given_back module_unstage'
	} >$TRACE/kprobe_events
	echo "$RETURNS" >$EVENTS/load/trigger
	echo "$GIVEN_BACK" >$EVENTS/given_back/trigger
}

# How many a signal interrupted (-ERESTARTSYS, -EINTR, or -ENOMEM where one allocates, as
# 16 bits), and how many pieces of memory they gave back, since the load did not succeed.
# Most are interrupted before they have any; loadfail-job.sh fails them behind that.
victims() {
	awk '
	/ret:/ && / (65024|65532|65524) / { n += $NF }
	END { print "@ stress.killer.interrupted " n + 0 }' $EVENTS/load/hist
	awk '
	/stacktrace:/	{ stack = "" }
	/\+0x/		{ stack = stack " " $1 }
	/hitcount:/ && stack ~ / free_mod_mem/ && stack ~ / load_module/ && stack !~ / do_init_module/ { n += $NF }
	END { print "@ stress.killer.given_back " n + 0 }' $EVENTS/given_back/hist
	echo "!$RETURNS" >$EVENTS/load/trigger
	echo "!$GIVEN_BACK" >$EVENTS/given_back/trigger
	echo >$TRACE/kprobe_events
}

dmesg -n 5
once
shares
dealt=$(awk -v of="$threads" '$1 < of' /tmp/shares | wc -l)
echo "@ stress.modules $dealt"
[ "$dealt" -ge "$least" ] || { echo "too few modules for the threads"; exit 1; }
watch_victims
used /tmp/before

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

victims >/tmp/victims
cat /tmp/victims
! grep 'interrupted 0$' /tmp/victims || { echo "no load was interrupted"; bad=1; }

# What both racers did not get to unload
for m in $(share "$threads"); do rmmod "$m" 2>/dev/null || true; done
cut -d ' ' -f 1 /proc/modules | cmp -s - /tmp/stay || { cat /proc/modules; bad=1; }

same_use /tmp/before || bad=1
echo 1 >/sys/kernel/debug/execmem/check || { echo "the validator complains"; bad=1; }
[ $bad = 0 ] || exit 1
echo "VERDICT ok"
