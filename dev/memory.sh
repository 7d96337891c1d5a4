#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# How much memory a few BPF programs take, on a small and on a larger machine.
# Fails when the first one takes more than 64 kB on the small one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

OUT=$BUILD/memory
LIMIT=$((64 * 1024))

boot() { "$DEV/vm.sh" x86 -m "$1" -n "memory-$1" -- memory-job.sh | grep '^[0-9e]' >"$OUT/$1"; }

# reserved MACHINE PROGRAMS
reserved() { awk -v nr="$2" '$1 == nr { print $2 }' "$OUT/$1"; }

main() {
	local m one

	needs memory
	"$DEV/kernel.sh" x86
	mkdir -p "$OUT"
	for m in 512 2048; do boot $m; done
	echo "Memory for BPF programs, in kilobytes (in blocks of 2 MB + smaller ones)"
	printf '%10s %10s %22s %22s\n' programs used "reserved, 512 MB RAM" "reserved, 2048 MB RAM"
	paste -d ' ' "$OUT/512" "$OUT/2048" | awk '{
		printf "%10s %10d %13d (%d + %2d) %13d (%d + %2d)\n",
			$1, $3 / 1024, $2 / 1024, $4, $5, $7 / 1024, $9, $10
	}'
	one=$(($(reserved 512 1) - $(reserved 512 0)))
	[ $one -gt 0 ] && [ $one -le $LIMIT ] ||
		die "one program takes $one bytes on a small machine, allowed are $LIMIT"
	[ "$(reserved 512 end)" = "$(reserved 512 0)" ] || die "not everything was given back"
}

main "$@"; exit
