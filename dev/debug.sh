#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Under the checkers: KUnit, the kselftest, test_bpf and the modules of
# dev/modules.some must pass on a kernel with KASAN, kmemleak, lockdep and the
# validator after each allocation and free; KUnit and the kselftest on the ordinary
# kernel with a guard page behind each chunk (execmem=guard), too; KUnit
# there and the modules under the checkers with memory cleared when it is allocated and
# freed.  Mistakes made on purpose must be reported.  dev/debug.sh [STEP...]
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

OUT=$BUILD/debug

# step NAME COMMAND...
step() {
	local start=$SECONDS

	known+=" $1 "
	[ -z "$wanted" ] || [[ " $wanted " == *" $1 "* ]] || return 0
	if "${@:2}" >"$OUT/$1.log" 2>&1; then
		echo "ok - $1 ($((SECONDS - start)) s)"
	else
		echo "not ok - $1 ($((SECONDS - start)) s)"
		tail -n 20 "$OUT/$1.log" | sed 's/^/     /'
		failed=$((failed + 1))
	fi
}

vm() { "$DEV/vm.sh" "$1" -m 3072 -t 1800 -n "debug/console-$2" "${@:3}"; }

kunit() { "$DEV/jobs/kunit/suite" "$1" "debug/console-$2" -m 3072 -t 1800 "${@:3}"; }

# plant VARIANT MISTAKE REGEX [KERNEL ARGS]: the report that must be there
plant() {
	vm "$1" "plant-$1-$2" ${3:+-w "$3"} -a "${4:-}" \
		-f "$BUILD/plant/$1/execmem_plant.ko" -- plant-job.sh "$2"
}

# job NAME ARGUMENT...: another job, on the kernel that the arguments choose
job() { "$DEV/jobs/$1/host" "${@:2}"; }

klp() {
	local m files=()

	for m in target patch hold; do files+=(-f "$BUILD/plant/$1/execmem_$m.ko"); done
	vm "$1" klp "${files[@]}" -- klp-job.sh
}

main() {
	failed=0 known='' wanted=$*
	mkdir -p "$OUT"
	needs debug
	"$DEV/kernel.sh" x86-debug
	"$DEV/kernel.sh" x86
	"$DEV/kernel.sh" x86-debug plant
	"$DEV/kernel.sh" x86 plant
	step kunit kunit x86-debug kunit
	step selftest job selftest x86-debug
	step test_bpf job run --checkers
	step modules job modules --checkers
	step faults job faults --checkers
	step klp klp x86-debug
	# To write to read-only text kgdb takes a page table's lock, with and without the
	# series, where lockdep would not.
	step kgdb "$DEV/tests/kgdb" x86-debug -W kgdb_arch_set_breakpoint
	step kunit-guard kunit x86 kunit-guard -a execmem=guard
	step selftest-guard job selftest x86 execmem=guard
	step kunit-init kunit x86 kunit-init -a "init_on_alloc=1 init_on_free=1"
	step modules-init job modules --checkers "init_on_alloc=1 init_on_free=1"
	step plant-none plant x86-debug none ""
	step plant-overflow plant x86-debug overflow 'KASAN: vmalloc-out-of-bounds in plant_overflow'
	step plant-uaf plant x86-debug uaf 'KASAN: .* in plant_uaf'
	step plant-leak plant x86-debug leak ""
	step plant-timer plant x86-debug timer 'ODEBUG: free active'
	step plant-page plant x86-debug page 'func:plant_page has .* allocated at module unload'
	step plant-uaf-guard plant x86 uaf 'unable to handle page fault' execmem=guard
	for name; do [[ $known == *" $name "* ]] || die "there is no step '$name'"; done
	[ $failed = 0 ] || die "$failed failed, see build/debug"
}

main "$@"; exit
