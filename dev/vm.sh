#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Boot a kernel under QEMU (no KVM needed) and run a job in it:
#   dev/vm.sh VARIANT [OPTION...] -- JOB [ARG...]
#   dev/vm.sh VARIANT [OPTION...] -i          interactive shell
# JOB is a script in dev/guest/; it runs as root in /job, where dev/guest and
# all modules of the kernel are.  Its lines "@ text" are printed as "text".
# On arm64 the one job is "insmod MODULE [PARAMETERS]".
# The run is good when the job's last line is "VERDICT ok", it exits with 0 and
# the console (build/VARIANT-JOB.log) shows no splat.
#   -m MB -c CPUS -t SECONDS    memory, processors, time limit
#   -a "ARGS" -q "ARGS"         more kernel, more QEMU arguments
#   -f FILE[:NAME]              one more file for /job (repeatable)
#   -x PROGRAM                  this machine's instead of busybox's (repeatable)
#   -w REGEX                    a warning that is expected: the reports that
#                               match are ignored, and one must be there
#   -W REGEX                    the same, but none has to be there
#   -n NAME                     name of the log instead of VARIANT-JOB
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mem=1024 cpus=2 limit=300 append='' qemu_args='' files=() programs=() expected='' needed=1 name='' interactive=''

parse_options() {
	local o

	while getopts m:c:t:a:q:f:x:w:W:n:i o; do
		case $o in
		m)	mem=$OPTARG ;;
		c)	cpus=$OPTARG ;;
		t)	limit=$OPTARG ;;
		a)	append+=" $OPTARG" ;;
		q)	qemu_args+=" $OPTARG" ;;
		f)	files+=("$OPTARG") ;;
		x)	programs+=("$OPTARG") ;;
		w)	expected=$OPTARG ;;
		W)	expected=$OPTARG needed='' ;;
		n)	name=$OPTARG ;;
		i)	interactive=1 ;;
		*)	exit 2 ;;
		esac
	done
}

# compile_guest DIR CC...: every C program of dev/guest, static, into DIR
compile_guest() {
	local c dir=$1

	shift
	for c in "$DEV"/guest/*.c; do
		[ -e "$c" ] && [ "${c##*/}" != init.c ] || continue
		"$@" -static -O2 -Wall -o "$dir/$(basename "$c" .c)" "$c"
	done
}

fill_job_dir() {
	local f ko

	for f in "$DEV"/guest/*; do
		case $f in
		*.c)	;;
		*)	cp "$f" "$root/job/" ;;
		esac
	done
	while read -r ko; do
		cp "$BUILD/$variant/${ko%.o}.ko" "$root/job/"
	done < <(cat "$BUILD/$variant/modules.order" 2>/dev/null)
	for f in "${files[@]}"; do
		case $f in
		*:*)	cp "${f%:*}" "$root/job/${f##*:}" ;;
		*)	cp "$f" "$root/job/" ;;
		esac
	done
}

# add_programs: with the libraries they need; busybox leaves what is there
add_programs() {
	local p path

	for p in "${programs[@]}"; do
		path=$(command -v "$p") || die "this machine has no '$p'"
		cp -L "$path" "$root/bin/"
		ldd "$path" | grep -o '/[^ ]*' | xargs cp -nL --parents -t "$root"
	done
}

make_initramfs() {
	root=$work/root
	mkdir -p "$root"/{bin,dev,job,proc,sys,tmp}
	fill_job_dir
	case $variant in
	x86*)
		cp /bin/busybox "$root/bin/"
		cp "$DEV/guest/init" "$root/init"
		compile_guest "$root/job" gcc
		add_programs
		printf '%q ' sh "/job/$job" "$@" >"$root/run-job"
		[ -z "$interactive" ] || touch "$root/interactive"
		;;
	arm64*)
		[ "$job" = insmod ] || die "arm64 guests have no shell, the one job is insmod"
		aarch64-linux-gnu-gcc -static -O2 -Wall -o "$root/init" "$DEV/guest/init.c"
		echo "$*" >"$root/run-job"
		;;
	esac
	chmod -R +x "$root/job" "$root/init"
	(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) >"$work/initramfs"
}

start_qemu() {
	local qemu kernel args="panic=-1 kunit.enable=0 $append"

	case $variant in
	x86*)
		kernel=$BUILD/$variant/arch/x86/boot/bzImage
		qemu=(qemu-system-x86_64 -M pc)
		args="console=ttyS0,115200 tsc=reliable no_timer_check reboot=t $args"
		;;
	arm64*)
		kernel=$BUILD/$variant/arch/arm64/boot/Image
		qemu=(qemu-system-aarch64 -M virt)
		args="console=ttyAMA0 $args"
		;;
	esac
	[ -e "$kernel" ] || die "no kernel, run: dev/kernel.sh $variant"
	# One thread for all CPUs: with one each, QEMU 7.2 now and then runs the int3
	# of a text poke after it was replaced, which ends in an oops.
	qemu+=(-accel tcg,thread=single,tb-size=128 -cpu max -m "$mem" -smp "$cpus,sockets=$cpus" -nodefaults
		-display none -no-reboot -kernel "$kernel" -initrd "$work/initramfs")
	if [ -n "$interactive" ]; then
		# shellcheck disable=SC2086
		exec "${qemu[@]}" -append "$args" -serial mon:stdio $qemu_args
	fi
	# shellcheck disable=SC2086
	timeout -k 5 "$limit" "${qemu[@]}" -append "$args" -serial "file:$log" \
		-serial "file:$work/job" $qemu_args </dev/null >"$work/qemu" 2>&1 || rc=$?
}

verdict() {
	local splats took=$1 why=''

	# arm64 has one port only
	[ -s "$work/job" ] || grep -a -v '^\[' "$log" >"$work/job" || true
	tr -d '\r' <"$work/job" | sed -n 's/^@ //p'

	splats=$(awk -v expected="$expected" -f "$DEV/splat.awk" "$log")
	if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then
		why="time limit of $limit s"
	elif [ "$rc" != 0 ]; then
		why="QEMU failed: $(tail -n 1 "$work/qemu")"
	elif [ -n "$splats" ]; then
		why="splat on the console"
	elif [ -n "$expected" ] && [ -n "$needed" ] && ! grep -aqE "$expected" "$log"; then
		why="the expected '$expected' is missing"
	elif [ "$(tr -d '\r' <"$work/job" | tail -n 2)" != $'VERDICT ok\nEXIT 0' ]; then
		why="no good verdict from the job"
		tail -n 15 "$work/job" >&2
	fi
	[ -z "$splats" ] || head -n 40 <<<"$splats" >&2
	[ -n "$why" ] || { say "ok   $name ($took s)"; return 0; }
	say "FAIL $name ($took s): $why; console: $log"
	return 1
}

main() {
	local start rc=0

	variant=${1:?variant missing}
	shift
	parse_options "$@"
	shift $((OPTIND - 1))
	job=${1:-}
	[ $# = 0 ] || shift
	[ -n "$interactive" ] || [ -f "$DEV/guest/$job" ] || die "no job '$job' in dev/guest"
	needs "vm-${variant%%-*}"
	name=${name:-$variant-${job%.sh}}
	log=$BUILD/$name.log
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT

	make_initramfs "$@"
	: >"$log"
	start=$SECONDS
	start_qemu
	verdict $((SECONDS - start))
}

main "$@"; exit
