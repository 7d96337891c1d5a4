# SPDX-License-Identifier: GPL-2.0-only
# The same job on several kernels, side by side: boots them, prints the table, checks
# what must hold.  Sourced by dev/run.sh and dev/modules.sh, instead of lib.sh; they
# set OUT, where the values of each column are, as lines "name value".
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# boot_all VARIANT LABEL...: two at a time.  The label is the kernel's argument, too,
# but for "unpatched", which is VARIANT-base.  The script that sources this has a
# boot LABEL VARIANT KERNEL_ARGS, after which the values are in $OUT/LABEL.
boot_all() {
	local label patched=$1 variant pids=() bad=0

	shift
	for label; do
		variant=$patched
		[ "$label" != unpatched ] || variant=$patched-base
		[ ${#pids[@]} -lt 2 ] || { wait "${pids[0]}" || bad=1; pids=("${pids[@]:1}"); }
		boot "$label" "$variant" "$([ "$variant" != "$patched" ] || echo "$label")" &
		pids+=($!)
	done
	for label in "${pids[@]}"; do wait "$label" || bad=1; done
	[ $bad = 0 ] || { cat "$OUT"/*.err >&2; die "a VM failed"; }
}

# Read by report() and check(): value[column, name] from the jobs, and expressions
# over them, "x", "x - y + 2 * z" or "x / 1000".  Broadcasts are printed by the
# job only where there were some, so these names count as 0; any other missing
# name makes the result empty and is noted in `missing`.
AWK_VALUES='
function read_values(file, column,    line, w) {
	while ((getline line < file) > 0) {
		split(line, w, " ")
		value[column, w[1]] = w[2]
		seen[w[1]] = 1
	}
}
function term(name, column) {
	if (name ~ /^[0-9]+$/)
		return name
	if ((column, name) in value)
		return value[column, name]
	if (name !~ /\.(tlb|sync_core|ibpb)\./)
		missing = missing " " name
	return 0
}
function compute(expr, column,    w, n, i, sum, sign, product) {
	missing = ""
	n = split(expr, w, " ")
	sign = 1
	sum = 0
	for (i = 1; i <= n; i++) {
		if (w[i] == "+" || w[i] == "-") {
			sign = w[i] == "+" ? 1 : -1
			continue
		}
		product = term(w[i], column)
		if (w[i + 1] == "*")
			product *= term(w[i + 2], column)
		else if (w[i + 1] == "/")
			product = int(product / w[i + 2])
		if (w[i + 1] ~ /^[*\/]$/)
			i += 2
		sum = n == 1 ? product : sum + sign * product
	}
	return missing == "" ? sum : ""
}
function trim(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }
'

# rows | report LABEL...: the table, with the ratio of the first column to the last one,
# and in plain words where the first is worse than the last.  Rows are
#	what | expression | "less" when less is better, "ratio" to print just that
# "@ PHASE KIND WHAT" stands for one row per caller, "# TEXT" is a remark, "= TEXT" a
# heading.
report() {
	awk -F'|' -v labels="$*" -v dir="$OUT" "$AWK_VALUES"'
	function row(what, expr, kind,    i, v, any, line, ratio, x, y) {
		for (i = 1; i <= nr; i++) {
			v = compute(expr, label[i])
			any = any v
			line = line sprintf(" %12s", v == "" ? "n/a" : v)
			if (i == 1)
				x = v
			y = v
		}
		if (any == "")
			return
		if (kind != "" && x != "" && y != "" && y + 0 != 0)
			ratio = sprintf("%.2f", x / y)
		printf "  %-42s%s %8s\n", what, line, ratio
		if (kind == "less" && x != "" && y != "" && x + 0 > y + 0)
			worse[++nr_worse] = where ", " trim(what) ": " x " against " y
	}
	function callers(phase, kind, title,    prefix, name, n, i, j, t) {
		prefix = phase "." kind "."
		where = (kind == "tlb" ? "TLB flushes, " : kind ", ") title
		print "  " title
		for (t in seen)
			if (index(t, prefix) == 1)
				name[++n] = substr(t, length(prefix) + 1)
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && name[j] < name[j - 1]; j--) {
				t = name[j]; name[j] = name[j - 1]; name[j - 1] = t
			}
		for (i = 1; i <= n; i++)
			row("    " name[i], prefix name[i], "ratio")
		row("    all together", phase "." kind "_total", "less")
	}
	BEGIN {
		nr = split(labels, label, " ")
		printf "%-44s", ""
		for (i = 1; i <= nr; i++) {
			read_values(dir "/" label[i], label[i])
			printf " %12s", label[i]
		}
		printf " %8s\n", "ratio"
	}
	/^# / { print "  (" substr($0, 3) ")"; next }
	/^= / { where = substr($0, 3); print "\n" where; next }
	/^@ / {
		split($0, w, " ")
		sub(/^@ [^ ]+ [^ ]+ /, "")
		callers(w[2], w[3], $0)
		next
	}
	{ sub(/ +$/, "", $1); row($1, $2, trim($3)) }
	END {
		print "\nWhere " label[1] " is worse than " label[nr]
		for (i = 1; i <= nr_worse; i++)
			print "  " worse[i]
		if (!nr_worse)
			print "  nowhere, in what is counted here"
	}'
}

# checks | check LABEL: does it hold?  Lines are
#	what | expression | "==" or "<=" | expression
check() {
	awk -F'|' -v a="$1" -v dir="$OUT" "$AWK_VALUES"'
	BEGIN { read_values(dir "/" a, a) }
	{
		x = compute($2, a); lost = missing
		y = compute($4, a); lost = lost missing
		good = lost == "" && (trim($3) == "==" ? x == y : x <= y)
		printf "  %s  %-46s %s %s %s%s\n", good ? "pass" : "FAIL", $1, x, trim($3), y,
			lost == "" ? "" : "(missing:" lost ")"
		bad += !good
	}
	END { exit bad > 0 }'
}
