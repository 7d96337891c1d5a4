# SPDX-License-Identifier: GPL-2.0-only
# Sourced by dev/jobs/NAME/host instead of lib.sh.  See dev/README.md.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

JOB=$(basename "$(cd "$(dirname "$0")" && pwd)")
HERE=$DEV/jobs/$JOB
OUT=$BUILD/out/$JOB			# what each machine sends is in $OUT/LABEL
CPUS=4
LIMIT=${LIMIT:-600}			# seconds, for each machine
guest=$JOB				# which job's guest runs; another one's may do

needs "$JOB"

# kernel VARIANT [TARGET...]
kernel() { "$DEV/kernel.sh" "$@"; }

# fresh_output: remove the output of earlier runs
fresh_output() { rm -rf "$OUT"; mkdir -p "$OUT"; }

# boot LABEL VARIANT VM_OPTION... [-- ARGUMENT...]: run the guest script in a VM.  Its
# "@" lines are only in $OUT/LABEL/said.  The reason of a failure is on stderr.
boot() {
	local label=$1 variant=$2 options=()

	shift 2
	while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
	"$DEV/vm.sh" "$variant" -t "$LIMIT" -n "$JOB/$label" "${options[@]}" \
		-- "$guest" "${@:2}" >/dev/null
}

# each COMMAND LABEL...: run COMMAND for each label, two at a time
each() {
	local command=$1 label pids=() rc=0

	shift
	for label; do
		[ ${#pids[@]} -lt 2 ] || { wait "${pids[0]}" || rc=$?; pids=("${pids[@]:1}"); }
		$command "$label" & pids+=($!)
	done
	for label in "${pids[@]}"; do wait "$label" || rc=$?; done
	return $rc
}

# variant_of VARIANT LABEL: which kernel a label means.  "unpatched" is the kernel
# without the series; any other label is a boot argument of the kernel with the series.
variant_of() { [ "$2" = unpatched ] && echo "$1-base" || echo "$1"; }
argument_of() { [ "$1" = unpatched ] || echo "$1"; }

# A processor that needs the mitigations indirect_target_selection and retbleed
OLD_CPU=(-q "-cpu Skylake-Client")
RETPOLINES=spectre_v2=retpoline

# choose_modules [--all]: set variant, and list to the modules that the guest loads
choose_modules() {
	variant=x86 list=$DEV/modules.some
	[ "$1" != --all ] || { variant=x86-modules list=$DEV/modules.list; }
}

# record FILE VERB [COMPILER]: write stdin to FILE as the new expected values, after
# lines that say how they were recorded.  VERB is the command that records them anew.
record() {
	{
		echo "# Recorded by: $2"
		echo "# on: $(base_field package) $(cat "$LINUX/.git/base-version"), without the series"
		echo "# with: $("${3:-gcc}" --version | head -n 1)"
		echo "# at: $(date +%F)"
		cat
	} | write_if_changed "$1"
}

# viewer: build tools/mm/execmem.c for the guest, as $VIEWER
viewer() {
	VIEWER=$BUILD/out/execmem
	gcc -static -O2 -Wall -o "$VIEWER" "$LINUX/tools/mm/execmem.c"
}

# report [ARGUMENT...]: run report.py of this folder; its output contains TAP
report() { PYTHONPATH=$DEV python3 -BP -m report "$JOB" "$OUT" "$@"; }
