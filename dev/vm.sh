#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Boot a kernel under QEMU (no KVM needed) and run a job in it:
#   dev/vm.sh VARIANT [OPTION...] -- JOB [ARG...]
#   dev/vm.sh VARIANT [OPTION...] -i          interactive shell
# JOB is a folder in dev/jobs/, or a script in dev/guest/.  Its script "guest" runs as
# root in /job, which has the files of the folder and of dev/guest, and all modules of
# the kernel.  Its lines "@ text" are printed here as "text".  These lines (in the file
# "said") and the files that it kept with keep() of dev/guest/lib.sh are in
# build/out/NAME afterwards.  On arm64, the only job is "insmod MODULE [PARAMETERS]".
# The run passes if the last line of the job is "VERDICT ok", it exits with 0, and the
# console (build/out/NAME.log) has no splat.
#   -m MB -c CPUS -t SECONDS    memory, processors, time limit (1024, 2, 300)
#   -a "ARGS" -q "ARGS"         more arguments for the kernel, for QEMU
#   -f FILE[:NAME]              one more file for /job (repeatable)
#   -x PROGRAM                  take it from this machine, not from busybox (repeatable)
#   -k FILE                     kernel image, instead of the one that was built
#   -w REGEX                    expect a warning: reports that match are ignored, and
#                               there must be one
#   -W REGEX                    the same, but there need not be one
#   -p PROGRAM                  this QEMU, with a thread for each CPU
#   -n NAME                     name of the log and the output instead of VARIANT-JOB
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mem=1024 cpus=2 limit=300 append='' qemu_args='' files=() programs=() image='' expected='' needed=1 name='' interactive=''
parallel=''

parse_options() {
	local o

	while getopts m:c:t:a:q:f:x:k:w:W:n:p:i o; do
		case $o in
		m)	mem=$OPTARG ;;
		c)	cpus=$OPTARG ;;
		t)	limit=$OPTARG ;;
		a)	append+=" $OPTARG" ;;
		q)	qemu_args+=" $OPTARG" ;;
		f)	files+=("$OPTARG") ;;
		x)	programs+=("$OPTARG") ;;
		k)	image=$OPTARG ;;
		w)	expected=$OPTARG ;;
		W)	expected=$OPTARG needed='' ;;
		n)	name=$OPTARG ;;
		p)	parallel=$OPTARG ;;
		i)	interactive=1 ;;
		*)	exit 2 ;;
		esac
	done
}

# compile_guest DIR CC...: compile all C programs of dev/guest and of the job into DIR
compile_guest() {
	local c dir=$1

	shift
	for c in "$DEV"/guest/*.c "$DEV/jobs/$job"/*.c; do
		[ -e "$c" ] && [ "${c##*/}" != init.c ] || continue
		"$@" -static -O2 -Wall -o "$dir/$(basename "$c" .c)" "$c"
	done
}

fill_job_dir() {
	local f ko

	for f in "$DEV"/guest/* "$DEV/jobs/$job"/*; do
		[ -f "$f" ] || continue
		case $f in
		*.c|*/host|*/report.py)	;;
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

# add_programs: copy programs with their libraries; busybox does not replace them
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
		printf '%q ' sh "/job/$script" "$@" >"$root/run-job"
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
	local qemu kernel thread=single args="panic=-1 kunit.enable=0 $append"

	case $variant in
	x86*)
		kernel=$BUILD/$variant/arch/x86/boot/bzImage
		qemu=("${parallel:-qemu-system-x86_64}" -M pc)
		args="console=ttyS0,115200 tsc=reliable no_timer_check reboot=t $args"
		;;
	arm64*)
		[ -z "$parallel" ] || die "-p is for x86 only"
		kernel=$BUILD/$variant/arch/arm64/boot/Image
		qemu=(qemu-system-aarch64 -M virt)
		args="console=ttyAMA0 $args"
		;;
	esac
	kernel=${image:-$kernel}
	[ -e "$kernel" ] || die "no kernel, run: dev/kernel.sh $variant"
	# One thread emulates all CPUs.  With a thread for each, QEMU 7.2 and 10.0 execute
	# breakpoints that text patching has replaced already; see the job parallel.
	[ -z "$parallel" ] || thread=multi
	qemu+=(-accel "tcg,thread=$thread,tb-size=128" -cpu max -m "$mem" -smp "$cpus,sockets=$cpus" -nodefaults
		-display none -no-reboot -kernel "$kernel" -initrd "$work/initramfs")
	if [ -n "$interactive" ]; then
		# shellcheck disable=SC2086
		exec "${qemu[@]}" -append "$args" -serial mon:stdio $qemu_args
	fi
	# shellcheck disable=SC2086
	timeout -k 5 "$limit" "${qemu[@]}" -append "$args" -serial "file:$log" \
		-serial "file:$work/port" $qemu_args </dev/null >"$work/qemu" 2>&1 || rc=$?
}

# collect: write the "@" lines of the job to $out/said and stdout.  After a line FILES
# comes the archive of the files that it kept; unpack it there.
collect() {
	local at

	# arm64 has only one serial port.
	[ -s "$work/port" ] || grep -a -v '^\[' "$log" >"$work/port" || true
	rm -rf "$out"
	mkdir -p "$out"
	at=$({ grep -abx FILES "$work/port" || true; } | head -n 1 | cut -d : -f 1)
	head -c "${at:-$(stat -c %s "$work/port")}" "$work/port" | tr -d '\r' >"$work/job"
	[ -z "$at" ] || tail -c "+$((at + 7))" "$work/port" | tar -xmzf - -C "$out" ||
		echo "what the job kept is not complete" >>"$work/job"
	sed -n 's/^@ //p' "$work/job" | tee "$out/said"
}

verdict() {
	local splats took=$1 why=''

	collect

	splats=$(awk -v expected="$expected" -f "$DEV/splat.awk" "$log")
	if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then
		why="time limit of $limit s"
	elif [ "$rc" != 0 ]; then
		why="QEMU failed: $(tail -n 1 "$work/qemu")"
	elif [ -n "$splats" ]; then
		why="splat on the console"
	elif [ -n "$expected" ] && [ -n "$needed" ] && ! grep -aqE "$expected" "$log"; then
		why="the expected '$expected' is missing"
	elif [ "$(tail -n 2 "$work/job")" != $'VERDICT ok\nEXIT 0' ]; then
		why="no good verdict from the job"
		tail -n 15 "$work/job" >&2
	fi
	[ -z "$splats" ] || head -n 40 <<<"$splats" >&2
	[ -n "$why" ] || { say "ok - $name ($took s)"; return 0; }
	say "not ok - $name ($took s): $why; console: $log"
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
	script=$job
	[ ! -d "$DEV/jobs/$job" ] || [ -z "$job" ] || script=guest
	[ -n "$interactive" ] || [ $script = guest ] || [ -f "$DEV/guest/$job" ] || die "no job '$job'"
	needs "vm-${variant%%-*}"
	name=${name:-$variant-${job%.sh}}
	log=$BUILD/out/$name.log out=$BUILD/out/$name
	mkdir -p "$(dirname "$log")"
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT

	make_initramfs "$@"
	: >"$log"
	start=$SECONDS
	start_qemu
	verdict $((SECONDS - start))
}

main "$@"; exit
