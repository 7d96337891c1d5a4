#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# All modules of dev/modules.list are loaded and unloaded, once with execmem on and
# once with the boot switch off, side by side: dev/modules.sh [--some] [ACTION].
# With --some: the few modules of dev/modules.some, which the ordinary kernel has.
# What else can be done with them:
#   --base       a third column is the kernel without the series
#   --faults     load each with each of the allocations on its way failing once; those of
#                dev/modules.list do not all unload, so with --some
#   --stress N   for N seconds four threads load and unload 50 or more of the first 90,
#                beside BPF programs; two race for some more, and loads are killed
#   --count      instructions to load and unload them, against the kernel without the
#                series: at most 1.05 and 1.0 times as many
#   --smp        load them on a machine with one CPU, then bring up another one, with
#                indirect_target_selection=force
#   --probes     kprobes, tracing and stacks through functions of one of them (--some),
#                with retbleed=stuff
#   --selftests  the kernel's own for kmod and livepatch; on the kernel without the
#                series their results have to be the same
#   --kinds      those of dev/modules.some, signed and compressed, on a kernel made by
#                clang with kCFI and with FineIBT; one from outside the tree; refused
#                ones; one that goes by force
#   --list       make the list: of all modules that dev/config/modules.config builds,
#                but those of dev/modules.some, in the order of their dependencies,
#                those that the unpatched kernel loads on this machine without the
#                hardware
. "$(dirname "${BASH_SOURCE[0]}")/report.sh"

OUT=$BUILD/modules
LIST=$DEV/modules.list
VARIANT=x86-modules
LEAST=200				# modules that have to be in the list
CPUS=4 append='' warns='' qemu='' files=()
LIMIT=${LIMIT:-3000}			# seconds, for each VM

# boot LABEL VARIANT KERNEL_ARGS: the job's values end up in $OUT/LABEL.  All modules
# of a kernel are in its machine anyway.
boot() {
	"$DEV/vm.sh" "$2" -m 2048 -c $CPUS -t "$LIMIT" -a "$3" -n "${OUT##*/}-$1" \
		-f "$BUILD/plant/$2/execmem_scan.ko" -f "$LIST:modules.list" -- modules-job.sh >"$OUT/$1" 2>"$OUT/$1.err"
}

rows() {
	cat <<-'E'
	= The modules
	loaded | held.modules.loaded |
	  of them with data that is sealed after init | held.modules.ro_after_init |
	  stay, for they are in use | after.modules.in_use |
	  stay, for they have no exit | after.modules.permanent |
	bytes, says /proc/modules | held.modules.bytes | less
	  of the largest one | held.modules.largest |
	= Mappings added in the module region while all are held
	executable, 4k | held.region_exec_4k - before.region_exec_4k | less
	executable, 2M | held.region_exec_2M - before.region_exec_2M |
	read-only, 4k | held.region_ro_4k - before.region_ro_4k | less
	read-only, 2M | held.region_ro_2M - before.region_ro_2M |
	writable, 4k | held.region_rw_4k - before.region_rw_4k | less
	writable, 2M | held.region_rw_2M - before.region_rw_2M |
	all of them | held.region_exec_4k - before.region_exec_4k + held.region_exec_2M - before.region_exec_2M + held.region_ro_4k - before.region_ro_4k + held.region_ro_2M - before.region_ro_2M + held.region_rw_4k - before.region_rw_4k + held.region_rw_2M - before.region_rw_2M | less
	= Pages writable and executable
	all modules held | held.wx_pages | less
	while they come and go, at most | scan.wx_pages | less
	  times looked | scan.times |
	= Pages writable in the direct map, while they come and go, at most
	executable ones | scan.exec_aliases | less
	read-only ones | scan.ro_aliases | less
	kB read-only, but not in the direct map | held.region_ro_kb - before.region_ro_kb - held.linear_ro_kb + before.linear_ro_kb | less
	= Direct map, splits until all are loaded
	2M pages split | held.direct_map_level2_splits - before.direct_map_level2_splits | less
	1G pages split | held.direct_map_level3_splits - before.direct_map_level3_splits | less
	= Memory in the module region, bytes
	all held | held.region_bytes - before.region_bytes | less
	all unloaded | after.region_bytes - before.region_bytes | less
	all loaded and unloaded once more | again.region_bytes - before.region_bytes | less
	= TLB-flush broadcasts
	# module_code: asked for by init and exit functions of modules
	@ load tlb load them
	@ unload tlb unload them
	= sync_core broadcasts
	@ load sync_core load them
	@ unload sync_core unload them
	= Each that is not in use is unloaded and loaded again: broadcasts for one, at most
	with data sealed after init | cycle.sealed.times |
	  TLB flushes, with | cycle.sealed.tlb_most | less
	  sync_core, with | cycle.sealed.sync_most | less
	  how many of them synchronize, with | cycle.sealed.sync_times | less
	without | cycle.others.times |
	  TLB flushes, without | cycle.others.tlb_most | less
	  sync_core, without | cycle.others.sync_most | less
	  how many of them synchronize, without | cycle.others.sync_times | less
	= Time in seconds, by an emulated clock that may be far off
	load them | load.seconds | ratio
	unload them | unload.seconds | ratio
	E
}

# What must hold on every kernel
checks_all() {
	echo "modules in the list | $LEAST | <= | list.modules"
	cat <<-'E'
	all of them are loaded | held.modules.loaded | == | list.modules
	those that stay are in use or permanent | after.modules.loaded | == | after.modules.in_use + after.modules.permanent
	the direct map was looked at: pages that may be writable there | 1 | <= | scan.rw_aliases
	  and executable ones were seen | 1 | <= | scan.exec_pages
	broadcasts are all counted | load.lost_events + unload.lost_events + cycle.lost_events | == | 0
	unloaded and loaded again, or in use, or permanent: all | cycle.sealed.times + cycle.others.times + cycle.in_use.times + cycle.permanent.times | == | list.modules
	  some of those with data that is sealed | 1 | <= | cycle.sealed.times
	  and some without | 5 | <= | cycle.others.times
	someone looked while they were loaded | 10 | <= | scan.times
	pages writable and executable, at any time | before.wx_pages + held.wx_pages + cycled.wx_pages + scan.wx_pages + after.wx_pages + again.wx_pages | == | 0
	kB read-only, but not in the direct map | held.region_ro_kb - before.region_ro_kb | <= | held.linear_ro_kb - before.linear_ro_kb
	E
}

# What must hold with execmem on.  In pages_4k are those of data that is sealed after
# init, of ftrace and kprobes, and of blocks that could not be huge.
checks_on() {
	cat <<-'E'
	executable pages writable in the direct map, at any time | scan.exec_aliases | == | 0
	read-only ones | scan.ro_aliases | == | 0
	4k executable mappings added, but for ftrace and kprobes | held.exec_outside_4k - before.exec_outside_4k + held.exec_image_4k - before.exec_image_4k | <= | held.pools.exec_4k - before.pools.exec_4k
	4k mappings that the statistics do not explain | held.region_exec_4k + held.region_ro_4k + held.region_rw_4k | <= | held.pools.pages_4k
	blocks beyond those needed and one per pool | held.pools.excess_blocks | == | 0
	blocks of 4k pages, but for data sealed after init: the statistics say why | held.pools.small_blocks | <= | held.pools.fallbacks
	2M pages of the direct map split, no more than otherwise | held.direct_map_level2_splits - before.direct_map_level2_splits | <= | other.held.direct_map_level2_splits - other.before.direct_map_level2_splits
	and one for each page sealed at most | held.direct_map_level2_splits - before.direct_map_level2_splits | <= | held.pools.sealed_pages
	broadcasts are seen: otherwise each load causes some | list.modules | <= | other.load.tlb.execmem + other.load.tlb.module
	and each load synchronizes processors | 1 | <= | load.sync_core.module
	load: TLB flushes, one for each seal and split and two for each new block | load.tlb.execmem + load.tlb.module | <= | held.modules.ro_after_init + held.direct_map_level2_splits - before.direct_map_level2_splits + 2 * held.pools.grown - 2 * before.pools.grown
	unload: TLB flushes, three for each block given back | unload.tlb.execmem + unload.tlb.module | <= | 3 * after.pools.shrunk - 3 * cycled.pools.shrunk
	load and unload: sync_core for that | load.sync_core.execmem + load.sync_core.module + unload.sync_core.execmem + unload.sync_core.module | <= | list.modules
	unloaded and loaded again, with data sealed after init: TLB flushes | cycle.sealed.tlb_most | <= | 2
	  without: TLB flushes | cycle.others.tlb_most | <= | 0
	  sync_core, with | cycle.sealed.sync_most | <= | 1
	  sync_core, without | cycle.others.sync_most | <= | 1
	  otherwise there are flushes, with | 1 | <= | other.cycle.sealed.tlb_most
	  and without | 1 | <= | other.cycle.others.tlb_most
	bytes of modules, says /proc/modules: at most 0.95 times as many | 100 * held.modules.bytes | <= | 95 * other.held.modules.bytes
	loaded and unloaded once more: bytes reserved | again.region_bytes | <= | after.region_bytes
	E
}

# Every module after all those it needs, softly or not, as modprobe would load them
in_order() {
	local version

	version=$(cat "$BUILD/x86-modules-base/include/config/kernel.release")
	# shellcheck disable=SC2046
	modprobe -d "$OUT/root" -S "$version" -C /dev/null -a --show-depends \
		$(find "$OUT/root" -name '*.ko' -printf '%f\n' | sed 's/\.ko$//' | sort) |
		sed -n 's|^insmod .*/\([^/ ]*\)\.ko *$|\1|p' | awk '!seen[$0]++'
}

make_list() {
	mkdir -p "$OUT"
	"$DEV/kernel.sh" x86-modules-base
	rm -rf "$OUT/root"
	"$DEV/kernel.sh" x86-modules-base INSTALL_MOD_PATH="$OUT/root" modules_install
	# What loads first in make test has its own list, and is not in this one.
	in_order | grep -vxFf "$DEV/modules.some" >"$OUT/modules.list"
	"$DEV/vm.sh" x86-modules-base -m 2048 -t "$LIMIT" -n modules-try \
		-f "$OUT/modules.list" -- modules-job.sh try >"$OUT/try"
	{
		echo "# dev/modules.sh --list: what make modules loads, in this order"
		sed -n 's/^loads //p' "$OUT/try"
	} | write_if_changed "$LIST"
	echo "$(grep -vc '^#' "$LIST") of $(wc -l <"$OUT/modules.list") modules load; the others:"
	grep -vxFf "$LIST" "$OUT/modules.list" | paste -sd ' ' | fold -s -w 78 | sed 's/^/  /'
}

# job NAME ARGUMENT...: another job than the main one, with execmem on
job() {
	"$DEV/vm.sh" $VARIANT -m 2048 -c $CPUS -t "$LIMIT" -a "execmem=on $append" -q "$qemu" -W "$warns" \
		-n "${OUT##*/}-$1" "${files[@]}" -f "$LIST:modules.list" -- "$1-job.sh" "${@:2}"
}

# count LABEL VARIANT [SPLIT]: instructions, into $OUT/LABEL
count() {
	"$DEV/vm.sh" "$2" -m 2048 -c 1 -t "$LIMIT" -q "-icount shift=0,sleep=off" \
		-a "nokaslr $([ "$2" != $VARIANT ] || echo "${1%%-*}")" -n "modules-count-$1" \
		-f "$LIST:modules.list" -- count-job.sh ${3:-} >"$OUT/$1" 2>"$OUT/$1.err"
}

# count_both [SPLIT]: on both kernels, side by side
count_both() {
	local pids=() bad=0 p

	count "execmem=on${1:+-$1}" $VARIANT "${1:-}" & pids+=($!)
	count "unpatched${1:+-$1}" $VARIANT-base "${1:-}" & pids+=($!)
	for p in "${pids[@]}"; do wait "$p" || bad=1; done
	[ $bad = 0 ] || { cat "$OUT"/*.err >&2; die "a VM failed"; }
}

count_rows() {
	cat <<-'E'
	= Instructions
	load them, the loader's thread | modules.load.ns | less
	  all of the machine, in millions | modules.load.busy_ms | less
	  the one that takes longest | modules.load.longest_ns | less
	unload them, that thread | modules.unload.ns | less
	  all of the machine, in millions | modules.unload.busy_ms | less
	E
}

# Names of functions, by what they do and in the order of what they cost
split_rows() {
	echo "= By function, with those it calls; traced, which costs, too"
	sed -n 's/^\([a-z_0-9]*\)\.ns \([0-9]*\)$/\2 \1/p' "$OUT"/*-split | sort -k2,2 -k1,1nr |
		sort -u -k2,2 | awk '
		{ kind = "all, or something else" }
		$2 ~ /relocate|finalize|notifier|ftrace/	{ kind = "patching" }
		$2 ~ /_stage$|publish/			{ kind = "copying" }
		$2 ~ /set_memory|execmem|module_memory/	{ kind = "memory and permissions" }
		{ print kind "\t" $1 "\t" $2 }' | sort -t '	' -k1,1 -k2,2nr |
		awk -F '\t' '{ print $1 ": " $3 " | " $3 ".ns | ratio" }'
}

count_checks() {
	cat <<-'E'
	load: at most 1.05 times as many instructions | 100 * modules.load.ns | <= | 105 * unpatched.modules.load.ns
	unload: no more instructions | modules.unload.ns | <= | unpatched.modules.unload.ns
	as many modules | modules.load.count | == | unpatched.modules.load.count
	as many unloaded | modules.unload.count | == | unpatched.modules.unload.count
	E
}

count_all() {
	local bad=0

	"$DEV/kernel.sh" $VARIANT-base
	OUT=$OUT/count
	rm -rf "$OUT"
	mkdir -p "$OUT"
	count_both
	count_both split
	sed 's/^/unpatched./' "$OUT/unpatched" >>"$OUT/execmem=on"
	count_rows | report execmem=on unpatched
	split_rows | report execmem=on-split unpatched-split
	echo
	count_checks | check execmem=on || bad=1
	return $bad
}

# selftests_of VARIANT: the scripts with modules and a program built for it, packed
selftests_of() {
	local dir=$OUT/$1 src=$LINUX/tools/testing/selftests

	rm -rf "$dir"
	mkdir -p "$dir"
	cp -r "$src/livepatch" "$src/kmod" "$dir/"
	"$DEV/kernel.sh" "$1" M="$dir/livepatch/test_modules" modules
	gcc -static -O2 -o "$dir/livepatch/test_klp-call_getpid" "$dir/livepatch/test_klp-call_getpid.c"
	tar -C "$dir" -cf "$OUT/$1.tar" livepatch kmod
}

# selftest LABEL VARIANT
selftest() {
	local p programs=()

	for p in bash modprobe insmod rmmod lsmod modinfo depmod kmod sysctl dmesg date stat \
		getconf find grep sed diff seq capsh; do
		programs+=(-x "$p")
	done
	"$DEV/vm.sh" "$2" -m 2048 -c $CPUS -t "$LIMIT" -a "$([ "$2" != $VARIANT ] || echo "$1")" \
		-n "${OUT##*/}-selftests-$1" "${programs[@]}" -f "$OUT/$2.tar:selftests.tar" \
		-- kernel-selftests-job.sh >"$OUT/selftests-$1" 2>"$OUT/selftests-$1.err"
}

selftests() {
	local bad=0 all passed

	"$DEV/kernel.sh" $VARIANT-base
	selftests_of $VARIANT
	selftests_of $VARIANT-base
	selftest execmem=on $VARIANT & selftest unpatched $VARIANT-base || bad=1
	wait $! || bad=1
	sed 's/^/  /' "$OUT/selftests-execmem=on"
	[ $bad = 0 ] || { cat "$OUT"/selftests-*.err >&2; die "a VM failed"; }
	all=$(wc -l <"$OUT/selftests-unpatched")
	diff "$OUT"/selftests-{execmem=on,unpatched} || die "not as on the unpatched kernel (>)"
	# What fails in the same way everywhere has tested nothing.
	passed=$(grep -c ' 0$' "$OUT/selftests-unpatched" || true)
	[ "$all" -ge 20 ] && [ "$passed" -ge $((all * 9 / 10)) ] || die "only $passed of $all pass on the unpatched kernel"
	echo "pass: as on the unpatched kernel, $passed of $all good"
}

# Trace events of a module may warn, on the unpatched kernel as well, when there is no
# memory for their fields or when they are given back half made.
faults() {
	! grep -qx trace-events-sample "$LIST" || warns='at event_(define_fields|file_put)'
	job loadfail "$warns"
}

# stress SECONDS: modules that others need come first in the list, so it can be cut
stress() {
	local least=50

	[ $VARIANT = x86-modules ] || least=12
	grep -v '^#' "$LIST" | head -n 90 >"$OUT/first"
	LIST=$OUT/first
	LIMIT=$((LIMIT + $1)) job stress "$1" $least
}

# old_cpu MITIGATION: the processor needs one, which goes with retpolines
old_cpu() { qemu='-cpu Skylake-Client' append="spectre_v2=retpoline $1"; }

# break_module: one with a relocation of a type that there is not, the last one of its text
break_module() {
	local offset size

	cp "$BUILD/$VARIANT/lib/crc8.ko" "$OUT/broken.ko"
	read -r offset size < <(readelf -SW "$OUT/broken.ko" |
		sed -n 's/.*\.rela\.text *RELA *[0-9a-f]* \([0-9a-f]*\) \([0-9a-f]*\) .*/0x\1 0x\2/p')
	printf '\377' | dd of="$OUT/broken.ko" bs=1 seek=$((offset + size - 16)) conv=notrunc status=none
	files=(-f "$OUT/broken.ko")
}

# smp: with a module that has a lock prefix to look at
smp() {
	"$DEV/kernel.sh" $VARIANT plant
	old_cpu indirect_target_selection=force
	append+=" maxcpus=1" files=(-f "$BUILD/plant/$VARIANT/execmem_locks.ko")
	job smp
}

# kinds_of DIR: all modules installed, thus signed and compressed, in one directory and
# packed; some that are not from the tree beside them
kinds_of() {
	rm -rf "$1"
	mkdir -p "$1/kinds"
	"$DEV/kernel.sh" x86-clang INSTALL_MOD_PATH="$1" modules_install
	"$DEV/kernel.sh" x86-clang plant
	"$DEV/kernel.sh" x86-clang M="$BUILD/plant/x86-clang" INSTALL_MOD_PATH="$1" modules_install
	find "$1/lib" -name '*.ko.xz' -exec cp -t "$1/kinds" {} +
	tar -C "$1" -cf "$1.tar" kinds
}

kinds() {
	local cfi p programs=()

	for p in insmod rmmod; do programs+=(-x "$p"); done
	kinds_of "$OUT/kinds"
	for cfi in kcfi fineibt; do
		say "$cfi:"
		"$DEV/vm.sh" x86-clang -c $CPUS -t "$LIMIT" -a "cfi=$cfi module.sig_enforce=1" \
			-n "modules-$cfi" "${programs[@]}" -f "$LIST:modules.list" \
			-f "$BUILD/plant/x86-clang/execmem_stays.ko" -f "$OUT/kinds.tar" -- kinds-job.sh
	done
}

main() {
	local columns=(execmem=on execmem=off)

	if [ "${1:-}" = --some ]; then
		LIST=$DEV/modules.some VARIANT=x86 LEAST=20 OUT=$OUT-some
		shift
	fi
	case ${1:-} in
	--list)	[ $VARIANT = x86-modules ] || die "--list makes the long list"
		needs modules--list
		make_list; return ;;
	--base)	columns+=(unpatched) ;;
	--stress)	: "${2:?for how many seconds?}" ;;
	--kinds)	LIST=$DEV/modules.some VARIANT=x86-clang ;;
	''|--faults|--count|--smp|--probes|--selftests)	;;
	*)	sed -n '3,28s/^# *//p' "$0" >&2; exit 2 ;;
	esac
	needs "modules${1:-}"
	mkdir -p "$OUT"
	[ -e "$LIST" ] || die "there is no $LIST yet: dev/modules.sh --list makes it"
	"$DEV/kernel.sh" $VARIANT
	case ${1:-} in
	--faults)	faults ;;
	--count)	count_all ;;
	--smp)	smp ;;
	--probes)	old_cpu retbleed=stuff; break_module; job probes ;;
	--selftests)	selftests ;;
	--kinds)	kinds ;;
	--stress)	stress "$2" ;;
	*)		compare "${columns[@]}" ;;
	esac
}

# compare LABEL...: a column each
compare() {
	local on=execmem=on columns=("$@") bad=0 start c

	"$DEV/kernel.sh" $VARIANT plant
	if [[ " $* " == *" unpatched "* ]]; then
		"$DEV/kernel.sh" $VARIANT-base
		"$DEV/kernel.sh" $VARIANT-base plant
	fi
	rm -f "$OUT"/{execmem=*,unpatched}*
	start=$SECONDS
	boot_all $VARIANT "${columns[@]}"
	# To be compared with: the kernel without the series, or the boot switch off
	sed 's/^/other./' "$OUT/${columns[-1]}" >>"$OUT/$on"

	echo "$(grep -vc '^#' "$LIST") modules on $CPUS CPUs (QEMU TCG), kernel" \
		"$(sed -n 's/^kernel //p;T;q' "$OUT/$on")"
	echo
	rows | report "${columns[@]}"
	for c in "${columns[@]}"; do
		echo
		echo "With $c"
		sed -n 's/^|/  /p' "$OUT/$c" | fold -s -w 110
	done
	for c in "${columns[@]}"; do
		echo
		echo "Checks, $c"
		checks_all | check "$c" || bad=1
		[ "$c" != $on ] || checks_on | check "$c" || bad=1
	done
	echo
	echo "Took $((SECONDS - start)) s.  Verdict: $([ $bad = 0 ] && echo pass || echo FAIL)"
	return $bad
}

main "$@"; exit
