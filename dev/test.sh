#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Run all tests, or those named: dev/test.sh [NAME...].  A test is dev/jobs/NAME/host.
# The tests of make test have a line "#test: WHEN":
#	first	builds the kernel, and runs before those that need it
#	kernel	needs the kernel
#	alone	needs no kernel, and runs beside the others
# A host prints TAP, or nothing that looks like TAP.  Its exit status is one more check.
# Its output is in build/logs/test-NAME.log.  If it fails, the last lines are shown.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

host_of() { echo "dev/jobs/$1/host"; }

# tests WHEN: print the names of these tests
tests() { grep -lx "#test: $1" dev/jobs/*/host | cut -d / -f 3; }

# rules: print the rules for prove: which tests may run in parallel
rules() {
	local t

	printf -- '---\npar:\n  - seq:\n    - par:\n'
	for t in $(tests first); do echo "      - $(host_of "$t")"; done
	printf '    - par:\n'
	for t in $(tests kernel); do echo "      - $(host_of "$t")"; done
	printf "  - par: '**'\n"
}

# The tests and the compilers that they start share one jobserver, so that no more of
# them run than there are processors; otherwise all take half as long again.  It is a
# pipe with one byte, the token, for each processor.  make finds it through MAKEFLAGS,
# and each test takes one token.
open_jobserver() {
	local pipe=$BUILD/.jobserver

	rm -f "$pipe"
	mkfifo "$pipe"
	exec {tokens}<>"$pipe"
	printf "%${JOBS}s" '' | tr ' ' + >&"$tokens"
	export JOBSERVER=$tokens MAKEFLAGS="-j$JOBS --jobserver-auth=$tokens,$tokens"
}

# Retry, since make may have set the pipe to O_NONBLOCK.
take_token() {
	until read -r -N 1 -t 5 token <&"$JOBSERVER" 2>/dev/null; do sleep 0.1; done
	trap 'printf %s "$token" >&"$JOBSERVER" || true' EXIT
}

# run_test HOST: print TAP for prove, with new numbers, since the status is one more test
run_test() {
	local start=$SECONDS rc=0 log nr

	log=build/logs/test-$(cut -d / -f 3 <<<"$1").log
	take_token
	"./$1" >"$log" 2>&1 || rc=$?
	! grep -qa '^not ok' "$log" || [ $rc != 0 ] || rc=1
	echo $rc >"$log.status"
	grep -aE '^(not )?ok\b' "$log" | sed -E 's/^((not )?ok)( +[0-9]+)?( -)?/\1 -/' || true
	nr=$(grep -acE '^(not )?ok\b' "$log" || true)
	[ $rc = 0 ] || { printf 'not '; failure "$log" >&2; }
	printf 'ok - ends with status 0\n1..%d\n' $((nr + 1))
	times >"$log.times"
	echo "$((SECONDS - start)) s, $(cpu_time "$log.times") s of processor time" >>"$log"
	return $rc
}

failure() {
	{ echo "the last lines of $1:"; grep -a '^not ok' "$1" || true; tail -n 15 "$1"; } |
		sed 's/^/#   /'
}

# cpu_time FILE: processor time of all children in seconds, from the output of `times`
cpu_time() {
	tail -n 1 "$1" | tr ' ' '\n' | awk -F '[ms]' '{ t += $1 * 60 + $2 } END { print int(t) }'
}

# passed NAME...: print how many of these passed
passed() {
	local t nr=0

	for t; do
		[ "$(cat "build/logs/test-$t.log.status" 2>/dev/null)" != 0 ] || nr=$((nr + 1))
	done
	echo $nr
}

main() {
	local t hosts=() rc=0

	mkdir -p build/logs
	# shellcheck disable=SC2046
	[ $# -gt 0 ] || set -- $(tests first) $(tests alone) $(tests kernel)
	for t; do
		[ -x "$(host_of "$t")" ] || die "no test '$t'; there are: $(cd dev/jobs && ls -d */ | tr -d / | paste -sd " ")"
		hosts+=("$(host_of "$t")")
	done
	needs "$@"
	for t; do rm -f "build/logs/test-$t.log.status"; done
	rules >build/test.rules
	open_jobserver
	HARNESS_RULESFILE=build/test.rules prove --jobs "$JOBS" --timer \
		--exec "dev/test.sh --one" "${hosts[@]}" || rc=1
	t=$(passed "$@")
	echo "$t passed, $(($# - t)) failed ($SECONDS s)"
	[ "$t" = $# ] && return $rc
}

cd "$ROOT"
if [ "${1:-}" = --one ]; then
	run_test "$2"
else
	main "$@"
fi
exit
