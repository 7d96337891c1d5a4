#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Check what is in the repository, one line for each gate: dev/check.sh [GATE...]
# A gate is a function gate_NAME DIR.  If it fails, it prints why and returns 1.
# DIR is the repository; in dev/tests/gates, it is a damaged copy.
. "$(dirname "${BASH_SOURCE[0]}")/series.sh"
. "$DEV/kernel.sh"

READING="version markers apply owned whole edits size refresh export selftest checkpatch spelling kerneldoc mutants"
COMPILING="spdx build warnings"
CHECK=$BUILD/check			# worktree that the gates move through the series

# --- the series as text ------------------------------------------------------

# The base is the one that the series was made for.  For a newer one, print a note only.
gate_version() {
	[ "$version" = "$(base_field version)" ] || { echo "note: on $version"; return; }
	[ "$(gl rev-parse 'base^{tree}')" = "$(base_field tree)" ] || { echo "base tree differs"; return 1; }
}

# The series applies without fuzz and offset.  Assembling it twice gives the known commit.
gate_apply() {
	local first second

	first=$(assemble "$1")
	second=$(assemble "$1")
	[ "$first" = "$second" ] || { echo "two assemblies differ"; return 1; }
	[ "$first" = "$(known_tip "$1")" ] || { echo "the tip that is known differs"; return 1; }
}

# No file has a conflict that nobody resolved.  (Tests of the plumbing make some.)
gate_markers() {
	! git -C "$1" grep -nE --untracked '^(<<<<<<<|>>>>>>>) ' -- . ':!dev/tests'
}

# Each kernel file belongs to one patch, each patch has a line in the series, and each
# line of the series has its patch and its files.
gate_owned() {
	local out

	out=$(
		git -C "$1" ls-files -co --exclude-standard |
			awk '/\// && !/^(dev|patches|\.ci)\//' |
			while read -r f; do [ ! -e "$1/$f" ] || echo "$f"; done |
			sort -u >"$scratch/present"
		series_files "$1" | sort >"$scratch/listed"
		uniq -d "$scratch/listed" | sed 's/$/ is listed twice/'
		comm -23 "$scratch/present" "$scratch/listed" | sed 's/$/ is in no #files line/'
		comm -13 "$scratch/present" "$scratch/listed" | sed 's/$/ is listed, but not there/'
		(cd "$1/patches" && ls -- *.patch 2>/dev/null || true) | sort >"$scratch/present"
		series_patches "$1" | sort >"$scratch/listed"
		comm -3 "$scratch/present" "$scratch/listed" | sed 's/^\t*\(.*\)/patches\/\1 and the series disagree/'
		{ (cd "$1/patches/base" 2>/dev/null && find . -name '*.diff' -printf '%P\n') || true; } |
			sed 's/\.diff$//' | sort >"$scratch/present"
		series_files "$1" | while read -r f; do
			! gl cat-file -e "base:$f" 2>/dev/null || echo "$f"
		done | sort >"$scratch/listed"
		comm -23 "$scratch/present" "$scratch/listed" | sed 's/.*/patches\/base\/&.diff: no whole file that the base has/'
		comm -13 "$scratch/present" "$scratch/listed" | sed 's/.*/patches\/base\/&.diff is missing/'
	)
	[ -z "$out" ] || { echo "$out"; return 1; }
}

# A patch has hunks on a whole file only after the file entered, and adds no file.
gate_whole() {
	local p f bad=0

	: >"$scratch/entered"
	for p in $(series_patches "$1"); do
		for f in $(patch_paths "$1/patches/$p"); do
			if grep -qxF "$f" "$scratch/entered"; then
				continue
			elif series_files "$1" | grep -qxF "$f"; then
				echo "$p changes whole file $f, which enters later or with it"; bad=1
			elif ! gl cat-file -e "base:$f" 2>/dev/null; then
				echo "$p makes $f, which should be a whole file"; bad=1
			fi
		done
		files_of "$1" "$p" >>"$scratch/entered"
	done
	return $bad
}

# Each patch edits a file: a commit that only adds whole files would have no patch.
gate_edits() {
	local p bad=0

	for p in $(series_patches "$1"); do
		[ -n "$(patch_paths "$1/patches/$p")" ] || { echo "$p edits no file"; bad=1; }
	done
	return $bad
}

# A patch as mailed, including its whole files, adds and removes at most MAX_LINES lines,
# so that it can be reviewed.  This does not apply to tests, documentation and tools, and
# to the lines that build them.
MAX_LINES=900
LONG_PATHS='^(lib/test_execmem|tools/testing/|tools/mm/|scripts/gdb/|Documentation/)'
GLUE='(^|/)(MAINTAINERS|Makefile|Kconfig[^/]*|\.gitignore)$'

gate_size() {
	local tip c lines bad=0

	tip=$(known_tip "$1")
	for c in $(gl rev-list --reverse "base..$tip"); do
		gl diff-tree -r --numstat --no-renames "$c^" "$c" >"$scratch/numstat"
		cut -f 3 "$scratch/numstat" | grep -qvE "$LONG_PATHS|$GLUE" || continue
		lines=$(awk '{ n += $1 + $2 } END { print n }' "$scratch/numstat")
		[ "$lines" -le $MAX_LINES ] || {
			echo "$lines lines, more than $MAX_LINES, in $(gl log -1 --format=%s "$c")"; bad=1; }
	done
	return $bad
}

# make refresh right after make tree changes nothing.
gate_refresh() {
	local tip

	tip=$(known_tip "$1")
	rm -rf "$scratch/new"
	generate "$1" "$tip" "$scratch/new"
	(cd "$scratch/new" && find . -type f -printf '%P\n') | while read -r f; do
		same_file "$scratch/new/$f" "$1/$f" || { echo "refresh would change $f"; false; }
	done
}

# git am of the exported mails onto the base gives the same commits.
gate_export() {
	local tip work=$scratch/am rc=0

	tip=$(known_tip "$1")
	[ "$tip" != "$(gl rev-parse base)" ] || return 0
	export_series "$1" "$tip" "$scratch/mails"
	rm -f "$scratch/mails/"*cover-letter.patch
	gl worktree prune
	gl worktree add -q --no-checkout --detach "$work" base
	{
		git -C "$work" sparse-checkout set --no-cone /Kbuild
		git -C "$work" read-tree -m -u HEAD
		commit_as check check@localhost '' git -C "$work" am -q "$scratch/mails/"*.patch
		diff <(gl log --format='%T %an <%ae> %at%n%B' "base..$tip") \
			<(git -C "$work" log --format='%T %an <%ae> %at%n%B' base..HEAD)
	} >"$scratch/am.log" 2>&1 || { tail -n 5 "$scratch/am.log"; rc=1; }
	gl worktree remove --force "$work"
	return $rc
}

# The gates above fail when they should.  (Job plumbing runs the other tests in dev/tests.)
gate_selftest() {
	"$DEV/tests/gates" >"$scratch/selftest" 2>&1 || { tail -n 8 "$scratch/selftest"; return 1; }
}

# Each mutation still applies to one place of the source.
gate_mutants() { "$DEV/jobs/mutants/host" --check; }

# --- style -------------------------------------------------------------------

# Lines of dev/checkpatch-waivers are "TYPE|PATH GLOB|reason".  A waiver that waives
# nothing is an error.  A message without a path gets the path of the patch.
gate_checkpatch() {
	local tip p bad=0 rc file type waivers=$DEV/checkpatch-waivers line

	tip=$(known_tip "$1")
	[ "$tip" != "$(gl rev-parse base)" ] || return 0
	export_series "$1" "$tip" "$scratch/mails"
	: >"$scratch/used"
	for p in "$scratch/mails/"*.patch; do
		case $p in *cover-letter*) continue ;; esac
		# GIT_DIR: in a git tree it calls scripts/spdxcheck.py for each new
		# file, which takes longer than the rest, and is a gate of its own.
		(cd "$LINUX" && GIT_DIR=/nonexistent perl scripts/checkpatch.pl --strict --no-signoff --terse \
			--showfile --show-types --no-summary "$p") >"$scratch/cp" 2>&1 && rc=0 || rc=$?
		[ $rc = 0 ] || grep -qE '(ERROR|WARNING|CHECK):' "$scratch/cp" || { cat "$scratch/cp"; bad=1; }
		while IFS= read -r line; do
			type=$(sed -nE 's/.*(ERROR|WARNING|CHECK):([A-Z0-9_]+): .*/\2/p' <<<"$line")
			[ -n "$type" ] || continue
			file=${line%%:*}
			file=${file:-${p##*/}}
			waived "$type" "$file" "$waivers" || { echo "$file:${line#*:}"; bad=1; }
		done <"$scratch/cp"
	done
	while IFS= read -r line; do
		grep -qxF "$line" "$scratch/used" || { echo "waiver not needed: $line"; bad=1; }
	done < <(grep -v -e '^#' -e '^$' "$waivers")
	return $bad
}

waived() {
	local t glob reason

	while IFS='|' read -r t glob reason; do
		# shellcheck disable=SC2053
		if [ "$t" = "$1" ] && [[ $2 == $glob ]] && [ -n "$reason" ]; then
			echo "$t|$glob|$reason" >>"$scratch/used"
			return 0
		fi
	done < <(grep -v -e '^#' -e '^$' "$3")
	return 1
}

# Words that codespell knows to be misspelled, in messages and in lines that are added.
# (checkpatch --codespell compiles the same dictionary into one pattern for each patch,
# which takes longer than all its other checks.)
gate_spelling() {
	local tip p

	tip=$(known_tip "$1")
	[ "$tip" != "$(gl rev-parse base)" ] || return 0
	export_series "$1" "$tip" "$scratch/spelling.mails"
	mkdir "$scratch/spelling"
	for p in "$scratch/spelling.mails/"*.patch; do
		sed -n '/^diff --git/,$!p; /^diff --git/,${/^+/p}' "$p" >"$scratch/spelling/${p##*/}"
	done
	(cd "$scratch/spelling" && /usr/bin/codespell --quiet-level 2 .) 2>&1
}

gate_kerneldoc() {
	local f bad=0

	for f in $(series_files "$1" | grep '\.[ch]$'); do
		perl "$LINUX/scripts/kernel-doc" -Werror -Wall -none "$1/$f" 2>&1 || bad=1
	done
	return $bad
}

gate_spdx() {
	local files tip

	mapfile -t files < <(series_files "$1")
	[ ${#files[@]} -gt 0 ] || return 0
	tip=$(known_tip "$1")
	checkout_at "$tip"
	(cd "$CHECK" && python3 scripts/spdxcheck.py "${files[@]}") 2>&1
}

# --- building ------------------------------------------------------------------

# checkout_at COMMIT: move the worktree; files that do not differ keep their time stamps
checkout_at() {
	if [ ! -e "$CHECK/.git" ] || ! git -C "$CHECK" rev-parse -q --verify HEAD >/dev/null 2>&1; then
		rm -rf "$CHECK"
		gl worktree prune
		gl worktree add -q --detach "$CHECK" "$1"
	fi
	git -C "$CHECK" checkout -q --force --detach "$1"
	git -C "$CHECK" clean -qfd
}

# prepare VARIANT [DIR LINE...]: configure the commit that is checked out, in out-DIR,
# with LINEs added to the configuration and `extra_args` for make.  Lost symbols are not
# an error, since symbols of later commits do not exist yet.
extra_args=()
prepare() {
	case $1 in
	riscv|powerpc)
		src=$CHECK arch=$1 fragments=(common "$1")
		case $1 in
		riscv)	cross=riscv64-linux-gnu- ;;
		*)	cross=powerpc64le-linux-gnu- ;;
		esac
		make_args=("CROSS_COMPILE=$cross" "CC=ccache ${cross}gcc")
		;;
	*)	variant "$1" ;;
	esac
	make_args+=("${extra_args[@]}")
	src=$CHECK out=$CHECK/out-${2:-$1}
	mkdir -p "$out"
	{
		for f in "${fragments[@]}"; do cat "$DEV/config/$f.config"; done
		printf '%s\n' "${@:3}"
	} >"$out/wanted.config"
	kmake -s KCONFIG_ALLCONFIG="$out/wanted.config" KCONFIG_CONFIG="$out/new.config" \
		allnoconfig >/dev/null 2>&1
	write_if_changed "$out/.config" <"$out/new.config"
}

# series_objects DIR ARCH: print the objects of those C files that the series touches,
# that exist at this commit and that belong to the kernel of ARCH
series_objects() {
	local f

	{ series_files "$1"; for f in $(series_patches "$1"); do patch_paths "$1/patches/$f"; done; } |
	sort -u | grep '\.c$' | while read -r f; do
		case $f in
		arch/"$2"/*32.c)			continue ;;
		arch/"$2"/*)				;;
		arch/*|tools/*|samples/*|scripts/*)	continue ;;
		# configured in gate_configs only
		kernel/livepatch/*|mm/kasan/*|mm/usercopy.c)	continue ;;
		# not configured elsewhere
		kernel/static_call_inline.c|kernel/trace/*|fs/proc/kcore.c|mm/execmem_oops.c)
			[ "$2" = x86 ] || continue ;;
		kernel/kprobes.c|lib/test_execmem*)	[ "$2" != arm64 ] || continue ;;
		esac
		[ ! -e "$CHECK/$f" ] || echo "${f%.c}.o"
	done
}

# build_objects LIST: compile the objects that LIST, a command, prints
build_objects() {
	local objects

	mapfile -t objects < <("$@")
	[ ${#objects[@]} -gt 0 ] || return 0
	kmake -s "${objects[@]}" 2>&1
}

# changed_objects DIR COMMIT: those of series_objects whose C file COMMIT changes, or that
# include a header that it changes.  A private header counts as changed if it includes one.
changed_objects() {
	local f headers

	gl diff --name-only "$2^" "$2" >"$scratch/changed"
	grep '^\(mm\|lib\|kernel\)/.*\.h$' "$scratch/changed" | while read -r f; do
		(cd "$CHECK" && grep -l "^#include \"${f##*/}\"" "${f%/*}"/*.h) || true
	done >>"$scratch/changed"
	headers=$(sed -nE '/\.h$/{ s|^(arch/x86/)?include/||; s|^(mm\|lib\|kernel)/(.*/)?||; p }' "$scratch/changed" |
		sort -u | paste -sd '|')
	series_objects "$1" x86 | while read -r f; do
		if grep -qxF "${f%.o}.c" "$scratch/changed" || { [ -n "$headers" ] &&
			grep -qE "^#include [<\"]($headers)[>\"]" "$CHECK/${f%.o}.c"; }; then
			echo "$f"
		fi
	done
}

# changes_kernel COMMIT: does it change anything that an x86 kernel is built from?
changes_kernel() {
	! gl diff --quiet "$1^" "$1" -- . ':!Documentation' ':!tools' ':!scripts/gdb' ':!MAINTAINERS' \
		':!arch/arm64' ':!arch/powerpc' ':!arch/riscv'
}

# After every patch, all files compile without warnings that it changes, or that include
# a header that it changes.  (Headers include headers, so this is not everything that the
# patch can break.  For the tip, gate warnings compiles the rest; for each patch, gate full.)
gate_build() {
	local c tip out=

	tip=$(known_tip "$1")
	for c in $(gl rev-list --reverse "base..$tip"); do
		changes_kernel "$c" || continue
		checkout_at "$c"
		# Configuring takes longer than most patches take to compile.
		[ -n "$out" ] && gl diff --quiet "$c^" "$c" -- '*Kconfig*' || prepare x86
		build_objects changed_objects "$1" "$c" >"$scratch/build" ||
			{ gl log -1 --format='at %s' "$c"; grep -m 5 -A3 'error' "$scratch/build" || tail -n 9 "$scratch/build"; return 1; }
		! grep -m 5 -A3 'warning:' "$scratch/build" || { gl log -1 --format='at %s' "$c"; return 1; }
	done
}

# warnings_at COMMIT FILE OBJECT...: what W=1 and sparse say there, without lines
warnings_at() {
	: >"$2"
	[ $# -gt 2 ] || return 0
	checkout_at "$1"
	prepare x86
	kmake -s -k W=1 C=2 CF=-D__CHECK_ENDIAN__ "${@:3}" >"$scratch/w" 2>&1 || true
	grep -E '(warning|error):' "$scratch/w" | sed -E 's/:[0-9]+(:[0-9]+)?:/:/; s|^\.\./||' |
		sort -u >"$2" || true
}

# warned_objects FILE DIR: those that are named; when a header is, all of them
warned_objects() {
	if grep -q '^[^:]*\.h:' "$1"; then
		series_objects "$2" x86
	else
		sed -n 's/^\([^:]*\)\.[coS]:.*/\1.o/p' "$1" | sort -u
	fi
}

# W=1 and sparse report nothing that they do not report for the base.
gate_warnings() {
	local tip

	tip=$(known_tip "$1")
	[ "$tip" != "$(gl rev-parse base)" ] || return 0
	checkout_at "$tip"
	# shellcheck disable=SC2046
	warnings_at "$tip" "$scratch/warnings.new" $(series_objects "$1" x86)
	# shellcheck disable=SC2046
	warnings_at base "$scratch/warnings.old" $(warned_objects "$scratch/warnings.new" "$1")
	comm -13 "$scratch/warnings.old" "$scratch/warnings.new" >"$scratch/w"
	[ ! -s "$scratch/w" ] || { head -n 20 "$scratch/w"; return 1; }
}

# Runs only by name, and in make check-full: the other architectures that the series
# touches compile.
gate_cross() {
	local tip a

	tip=$(known_tip "$1")
	[ "$tip" != "$(gl rev-parse base)" ] || return 0
	checkout_at "$tip"
	for a in arm64 riscv powerpc; do
		gl diff --quiet base "$tip" -- "arch/$a" && continue
		prepare "$a"
		build_objects series_objects "$1" "$a" >"$scratch/build" || { grep -m 5 -A3 error "$scratch/build" || tail -n 9 "$scratch/build"; return 1; }
		! grep -m 5 -A3 'warning:' "$scratch/build" || return 1
	done
}

# NAME|VARIANT|MAKE ARGUMENTS|CONFIGURATION: lines separated by ";".  The first one is
# what is tested, and must be in the final configuration.
configs() {
	cat <<-'E'
	kasan-modules|x86||# CONFIG_KASAN_VMALLOC is not set;CONFIG_KASAN=y;CONFIG_KASAN_GENERIC=y;CONFIG_HARDENED_USERCOPY=y
	kmsan|x86|CC=clang|CONFIG_KMSAN=y
	clang|x86|CC=clang LD=ld.lld|CONFIG_X86_KERNEL_IBT=y
	livepatch|x86||CONFIG_LIVEPATCH=y
	alloc-tag|x86||CONFIG_MEM_ALLOC_PROFILING=y
	small|x86||# CONFIG_EXECMEM_HUGE is not set;# CONFIG_EXECMEM_DEBUG is not set
	no-modules|x86||# CONFIG_MODULES is not set
	no-debugfs|x86||# CONFIG_DEBUG_FS is not set;# CONFIG_KUNIT is not set
	32bit|x86|ARCH=i386|CONFIG_X86_32=y;# CONFIG_64BIT is not set
	nommu|riscv||# CONFIG_MMU is not set;CONFIG_NONPORTABLE=y
	E
}

# execmem_objects: print the objects of the allocator that this configuration has
execmem_objects() {
	local f

	(cd "$CHECK" && printf '%s\n' mm/execmem*.c) | while read -r f; do
		case $f in
		*_oops.c)	grep -q '^CONFIG_EXECMEM_HUGE_MODULES=y' "$out/.config" || continue ;;
		*_debugfs.c)	grep -q '^CONFIG_EXECMEM_STATS=y' "$out/.config" || continue ;;
		esac
		echo "${f%.c}.o"
	done
}

# Runs only by name, and in make check-full: the allocator compiles in other
# configurations.
gate_configs() {
	local tip name variant args lines line objects bad=0

	tip=$(known_tip "$1")
	checkout_at "$tip"
	while IFS='|' read -r name variant args lines; do
		IFS=';' read -ra line <<<"$lines"
		IFS=' ' read -ra extra_args <<<"$args"
		prepare "$variant" "config-$name" "${line[@]}"
		if ! grep -qxF "${line[0]}" "$out/.config"; then
			echo "$name: '${line[0]}' did not survive"; bad=1; continue
		fi
		mapfile -t objects < <(execmem_objects)
		objects+=(kernel/bpf/core.o)
		[ "$variant" != x86 ] || objects+=(arch/x86/mm/execmem.o arch/x86/kernel/alternative.o)
		case $name in
		no-modules|nommu)	;;
		livepatch)		objects+=(kernel/livepatch/core.o) ;;
		kasan-modules)		objects+=(mm/kasan/common.o mm/usercopy.o kernel/module/main.o kernel/module/staging.o) ;;
		*)			objects+=(kernel/module/main.o kernel/module/staging.o) ;;
		esac
		kmake -s "${objects[@]}" >"$scratch/build" 2>&1 || { echo "$name:"; grep -m 5 -A3 error "$scratch/build" || tail -n 9 "$scratch/build"; bad=1; }
		! grep -m 5 -A3 'warning:' "$scratch/build" || { echo "$name warns"; bad=1; }
	done < <(configs)
	return $bad
}

# build_whole COMMIT: build the kernel and its modules, and boot it
build_whole() {
	checkout_at "$1"
	prepare x86
	kmake -s "$image" modules >"$scratch/build" 2>&1 ||
		{ grep -m 5 -A3 'error' "$scratch/build" || tail -n 9 "$scratch/build"; return 1; }
	ln -sfnT "${out#"$BUILD"/}" "$BUILD/x86-check"
	"$DEV/vm.sh" x86-check -- smoke
}

# Runs only by name, and in make check-full: the whole kernel builds and boots after each
# patch that changes it.  FROM=NUMBER starts at that patch, to continue a run that stopped
# there; the base is number 0.  build/logs/check-full.log shows how far it is.
gate_full() {
	local c tip nr=-1 log=$BUILD/logs/check-full.log

	tip=$(known_tip "$1")
	mkdir -p "$BUILD/logs"
	: >"$log"
	for c in base $(gl rev-list --reverse "base..$tip"); do
		nr=$((nr + 1))
		[ $nr -ge "${FROM:-0}" ] || continue
		[ "$c" = base ] || changes_kernel "$c" || continue
		gl log -1 --format="at $nr, %h: %s" "$c" | tee -a "$log"
		build_whole "$c" 2>&1 | tee -a "$log"
	done
}

# --- all of them -----------------------------------------------------------------

# run_gate NAME DIR: the gate fails if any command in it fails.  Do not call this in a
# condition, where bash ignores -e.
run_gate() (
	set -e
	"gate_$1" "$2"
)

# lane GATE...: run gates one after the other; returns 1 if one failed
lane() {
	local g start rc failed=0 scratch=$scratch/$1

	mkdir "$scratch"
	for g; do
		start=$SECONDS
		set +e
		run_gate "$g" "$ROOT" >"$scratch/out" 2>&1
		rc=$?
		set -e
		[ $rc = 0 ] || failed=1
		{
			echo "$([ $rc = 0 ] && echo "ok  " || echo FAIL) $g ($((SECONDS - start)) s)"
			sed 's/^/     /' "$scratch/out"
		} >"$scratch/lines"
		cat "$scratch/lines"
	done
	return $failed
}

# packages_for [GATE...]: print the entry of dev/packages for these gates
packages_for() {
	case " $* " in
	*\ full\ *|*\ cross\ *|*\ configs\ *)	echo check-full ;;
	*)					echo check ;;
	esac
}

# Gates that are named run in that order.  Otherwise, the gates that compile, which use
# the worktree, run in parallel to those that only read.  (They run in the background,
# since a condition would disable set -e.)
main_check() {
	local rc=0 lane lanes=() begin=$SECONDS

	needs "$(packages_for "$@")"
	"$DEV/series.sh" tree --keep
	find_tarball
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	if [ $# -gt 0 ]; then
		lane "$@" & lanes+=($!)
	else
		lane $COMPILING & lanes+=($!)
		lane $READING & lanes+=($!)
	fi
	for lane in "${lanes[@]}"; do
		wait "$lane" || rc=1
	done
	echo "gates: $([ $rc = 0 ] && echo all passed || echo FAILED) ($((SECONDS - begin)) s)"
	return $rc
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	lock check
	main_check "$@"
fi
