#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run fuzz/fuzz, starting with the inputs that earlier runs found. The arguments
# are the number of seconds and the seed.

cd "$(dirname "$0")" || exit 1

mkdir -p fuzz/corpus
fuzz/fuzz -seed="$2" -max_total_time="$1" -max_len=512 -len_control=0 -timeout=20 \
	-print_final_stats=1 -artifact_prefix=fuzz/ fuzz/corpus >fuzz/log 2>&1
status=$?

awk -v seed="$2" '
/^#.* ft: /			{ features = $0; sub(/.* ft: /, "", features) }
/stat::number_of_executed_units/ { runs = $2 }
/stat::average_exec_per_sec/	{ rate = $2 }
END {
	printf "fuzz: %d executions, %d per second, %d features, seed %d\n",
	       runs, rate, features, seed
	exit !(runs > 0 && features > 0)
}' fuzz/log
fuzzed=$?

[ "$status" = 0 ] && [ "$fuzzed" = 0 ] && exit 0
grep -v '^#' fuzz/log | tail -n 40
file=$(sed -n 's/.*Test unit written to //p' fuzz/log | tail -n 1)
if [ -n "$file" ]; then
	echo "fuzz: failed, to repeat it: cd $PWD && fuzz/fuzz $file"
fi
exit 1
