#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run the tests of cov/main and print how many lines of the allocator they
# reach. The argument is the percentage that must be reached in each file.

set -e
min=$1
cd "$(dirname "$0")"

rm -f cov/*.gcda
cov/main -s 1 -o 20000 >cov/log || { cat cov/log; exit 1; }
${GCOV:-gcov} -t -o cov cov/kernel.gcda >cov/lines

# In the output of gcov, line 0 names the file. Lines that were not reached are
# marked by #####, lines without code by -.
report()
{
	awk -F: -v name="mm/$1" -v min="$2" '
	$2 + 0 == 0 && $3 == "Source" { wanted = $4 ~ name "$" }
	{ count = $1; gsub(/[ *]/, "", count) }
	!wanted || count == "-" { next }
	count ~ /^(#####|=====)$/ { missed[++nr_missed] = $0 }
	{ nr++ }
	END {
		percent = nr ? 100 * (nr - nr_missed) / nr : 0
		printf "coverage %s: %.1f %% of %d lines\n", name, percent, nr
		if (percent >= min)
			exit 0
		printf "less than %d %%, not reached:\n", min
		for (i = 1; i <= nr_missed; i++)
			print missed[i]
		exit 1
	}' cov/lines
}

status=0
for file in execmem.c execmem_pool.c execmem_chunk.c execmem_perm.c \
	    execmem_check.c execmem_lookup.c; do
	report "$file" "$min" || status=1
done
exit $status
