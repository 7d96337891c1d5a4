#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Get a newer QEMU than Debian 12 has, beside the one of this machine, from
# bookworm-backports or else from trixie, with all libraries that it needs:
#   dev/qemu.sh
# prints the name of the program, build/qemu/SUITE/run.  If no suite has it, it prints
# why, and exits with status 77.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ROOTS=$BUILD/qemu
LOG=$BUILD/logs/qemu.log
LEAST=10			# the oldest version that will do

# suites: those to try, each with all suites that its packages may depend on
suites() {
	echo "bookworm-backports bookworm"
	echo "trixie"
}

# sources SUITE...: lines for apt, with the mirror of this machine
sources() {
	local suite

	for suite; do echo "deb [signed-by=$KEYRING] $(debian_mirror) $suite main"; done
}

# unpack ROOT SUITE...: prefer packages of the first suite
unpack() {
	local root=$1

	shift
	mmdebstrap -q --variant=extract --include=qemu-system-x86 \
		--aptopt="APT::Default-Release \"$1\"" \
		--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr "${@: -1}" "$root" - \
		< <(sources "$@") >>"$LOG" 2>&1
}

# write_run ROOT: a script that starts it, with the loader and the libraries in ROOT
write_run() {
	cat >"$1/run.new" <<-'E'
	#!/bin/sh
	root=$(dirname "$(readlink -f "$0")")
	export QEMU_MODULE_DIR="$root/usr/lib/x86_64-linux-gnu/qemu"
	exec "$root/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" \
		"$root/usr/bin/qemu-system-x86_64" -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "$@"
	E
	chmod +x "$1/run.new"
}

# version PROGRAM: its major version
version() { "$1" --version 2>>"$LOG" | sed -n 's/.* version \([0-9]*\)\..*/\1/p'; }

get() {
	local root=$ROOTS/$1

	[ ! -x "$root/run" ] || return 0
	rm -rf "$root"
	unpack "$root" "$@" || return 1
	write_run "$root"
	[ "$(version "$root/run.new")" -ge $LEAST ] || return 1
	mv "$root/run.new" "$root/run"
}

main() {
	local suite

	needs qemu
	lock qemu
	mkdir -p "$ROOTS" "$BUILD/logs"
	while read -r -a suite; do
		! get "${suite[@]}" || { echo "$ROOTS/${suite[0]}/run"; return; }
	done < <(suites)
	echo "no QEMU $LEAST or newer from$(suites | awk '{ printf "%s%s", NR > 1 ? " or " : " ", $1 }'), see $LOG"
	return 77
}

main "$@"; exit
