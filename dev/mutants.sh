#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Break the allocator on purpose, in copies, and see that the tests notice each
# time: dev/mutants.sh [NAME...].  The mutants are in dev/mutants/list.  Those
# for the harness take seconds each, those for KUnit build and boot a kernel.
# With --check, only see that each of them still changes one place of its file.
. "$(dirname "${BASH_SOURCE[0]}")/kernel.sh"

LIST=$DEV/mutants/list
OUT=$BUILD/mutants
GOOD=$OUT/good				# what is broken, with all objects built
HARNESS=tools/testing/execmem
LIMIT=${LIMIT:-60}			# seconds; the good one needs about five

export ASAN_OPTIONS=symbolize=0:hard_rss_limit_mb=3000

# copy_good: the sources that the harness is built from, in the same places
copy_good() {
	rm -rf "$OUT"
	mkdir -p "$GOOD/mm" "$GOOD/include/linux" "$GOOD/$HARNESS"
	cp "$LINUX"/mm/execmem*.[ch] "$GOOD/mm/"
	cp "$LINUX"/include/linux/{execmem,rbtree_latch}.h "$GOOD/include/linux/"
	cp -r "$LINUX/$HARNESS"/{Makefile,*.[ch],linux} "$GOOD/$HARNESS/"
	ln -s "$LINUX/tools/include" "$LINUX/tools/lib" "$GOOD/tools/"
}

build() { make -s -C "$1/$HARNESS" OPT="-O0 -w" main; }
run() { timeout "$LIMIT" "$1/$HARNESS/main" -s 1 -o 20000 -x; }

prepare() {
	copy_good
	build "$GOOD" -j"$JOBS" || die "the harness does not build"
	run "$GOOD" >"$OUT/good.log" 2>&1 || die "the harness fails without any mutant, see $OUT/good.log"
}

# mutate DIR FILE SED: a mutation that changes nothing is a mistake
mutate() {
	sed -i "$3" "$1/$2" || return 1
	! cmp -s "$1/$2" "$GOOD/$2" || { echo "changes nothing"; return 1; }
}

# reason LOG STATUS: which test, or what else, noticed it
reason() {
	if [ "$2" = 124 ]; then
		echo "does not end"
	elif ! grep -m1 -oE '^FAIL [a-z0-9_]+|AddressSanitizer: [a-zA-Z-]+|LeakSanitizer|runtime error: .*' "$1"; then
		echo "status $2"
	fi
}

# A function kill_RUNNER NAME FILE SED prints what noticed the mutant.  It
# returns 1 when nothing did, and 2 when the mutant is none.
kill_harness() {
	local dir=$OUT/$1 log=$OUT/$1.log rc=0

	cp -al "$GOOD" "$dir"
	rm "$dir/$HARNESS"/{kernel.o,main}
	mutate "$dir" "$2" "$3" || return 2
	build "$dir" >"$log" 2>&1 || { echo "does not compile, see $log"; return 2; }
	run "$dir" >"$log" 2>&1 || rc=$?
	rm -r "$dir"
	[ $rc != 0 ] || { echo "nothing noticed it"; return 1; }
	reason "$log" $rc
}

# The kernel's tree for mutants: a worktree with objects of its own
TREE=$OUT-linux
build_kernel() { kmake -s bzImage >"$1" 2>&1; }
run_kunit() { "$DEV/jobs/kunit/suite" x86-mutant mutants-kunit -t 120; }

# Built on first use: without a mutant the suite has to pass.
prepare_kernel() {
	[ ! -e "$OUT/kernel-is-good" ] || return 0
	git -C "$LINUX" worktree prune
	[ -e "$TREE/.git" ] || git -C "$LINUX" worktree add -q --detach "$TREE" HEAD
	git -C "$TREE" checkout -q --force --detach "$(git -C "$LINUX" rev-parse HEAD)"
	mkdir -p "$out"
	configure x86
	ln -sfnT "${out#"$BUILD"/}" "$BUILD/x86-mutant"
	: >"$out/modules.order"
	build_kernel "$OUT/kernel.log" || die "the kernel does not build, see $OUT/kernel.log"
	run_kunit >"$OUT/kernel.log" 2>&1 || die "KUnit fails without any mutant, see $OUT/kernel.log"
	touch "$OUT/kernel-is-good"
}

kill_kunit() {
	local log=$OUT/$1.log rc=0

	lock mutants-kunit 2>/dev/null
	variant x86
	src=$TREE out=$TREE/out-x86
	prepare_kernel
	sed -i "$3" "$TREE/$2"
	if git -C "$TREE" diff --quiet; then
		echo "changes nothing"
		return 2
	fi
	build_kernel "$log" || { echo "does not compile, see $log"; rc=2; }
	[ $rc != 0 ] || { run_kunit >"$log" 2>&1 || rc=3; }
	git -C "$TREE" checkout -q -- .
	case $rc in
	0)	echo "nothing noticed it"; return 1 ;;
	2)	return 2 ;;
	esac
	grep -m1 -oE 'not ok [0-9]+ - [a-z0-9_]+|BUG: .*|WARNING: .*|time limit.*|Oops' "$log" || echo "see $log"
}

# try NAME RUNNER INVARIANT FILE SED: one line of output
try() {
	local rc=0 what verdict

	what=$("kill_$2" "$1" "$4" "$5") || rc=$?
	case $rc in
	0)	verdict=killed ;;
	1)	verdict=SURVIVES ;;
	*)	verdict=INVALID ;;
	esac
	printf '%-8s %-5s %-28s %s\n' $verdict "$3" "$1" "$what" | tee -a "$OUT/results"
}

# selected NAME: does the command line ask for it?
selected() { [ -z "$wanted" ] || [[ " $wanted " == *" $1 "* ]]; }

# With a list of names, each has to be there.
check_names() {
	local name

	for name; do
		grep -q "^$name|" "$LIST" || die "no mutant '$name' in $LIST"
	done
	name=$(sed '/^#/d; /^$/d; s/|.*//' "$LIST" | sort | uniq -d)
	[ -z "$name" ] || die "more than one mutant '$name' in $LIST"
}

# A mutation that matches nothing, or more than was meant, proves nothing.  Lines
# that are near each other count as one place.
check_places() {
	local name runner invariant file sed nr bad=0

	while IFS='|' read -r name runner invariant file sed; do
		[[ $name != '#'* && -n $name ]] || continue
		nr=$(sed "$sed" "$LINUX/$file" | diff -U3 "$LINUX/$file" - | grep -c '^@@' || true)
		[ "$nr" = 1 ] || { echo "$name changes $nr places of $file"; bad=1; }
	done <"$LIST"
	return $bad
}

count() { grep -c "^$1 " "$OUT/results" || true; }

main() {
	local name runner invariant file sed nr=0

	needs mutants
	lock mutants
	"$DEV/series.sh" tree --keep
	if [ "${1:-}" = --check ]; then
		check_names
		check_places
		return
	fi
	wanted=$*
	check_names "$@"
	check_places || die "$LIST does not fit the source"
	prepare
	: >"$OUT/results"
	while IFS='|' read -r name runner invariant file sed; do
		[[ $name != '#'* && -n $name ]] || continue
		selected "$name" || continue
		declare -F "kill_$runner" >/dev/null || die "no runner '$runner'"
		while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n || true; done
		try "$name" "$runner" "$invariant" "$file" "$sed" </dev/null &
		nr=$((nr + 1))
	done <"$LIST"
	wait
	echo "$(count killed) of $nr mutants killed ($SECONDS s)"
	[ $nr -gt 0 ] && [ "$(count killed)" = $nr ]
}

main "$@"; exit
