# SPDX-License-Identifier: GPL-2.0-only
# Sourced by the jobs that load the modules of modules.list.
# shellcheck shell=sh

STATS=/sys/kernel/debug/execmem/stats

names() { sed '/^#/d; /^$/d' modules.list; }

# needs MODULE: the names, with underscores, of the modules it depends on, a line each
needs() { tr '\0' '\n' <"$1.ko" | sed -n 's/^depends=\(.\)/\1/p' | tr ',-' '\n_'; }

# mitigated NAME TEXT: what the kernel does about a vulnerability, which says whether
# it took the mitigation that it was booted with
mitigated() {
	state=$(cat "/sys/devices/system/cpu/vulnerabilities/$1")
	echo "@ |$1: $state"
	case $state in *"$2"*) ;; *) return 1 ;; esac
}

# used FILE: what every pool has handed out when all that is freed late is freed
used() {
	./measure.sh settle
	[ -e "$STATS" ] || { : >"$1"; return; }	# without the series
	awk '/^pool/ {
		for (i = 3; i < NF; i += 2)
			if ($i ~ /^(used|chunks)$/)
				print $2, $i, $(i + 1)
	}' "$STATS" >"$1"
}

# same_use FILE: what is used now is what it was then, or the difference is shown
same_use() {
	used /tmp/now
	cmp -s "$1" /tmp/now || { diff "$1" /tmp/now || true; return 1; }
}
