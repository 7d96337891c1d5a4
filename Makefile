# SPDX-License-Identifier: GPL-2.0-only
# Front end: each target is a script in dev/ or one line.  See README.md.

V ?= x86
VERSION ?= 1
HARNESS ?= run
TIME ?= 300
export VERSION FORCE JOBS CONFIG

.PHONY: help run run-base test job fresh tree port continue refresh export diff check kernel shell kunit harness bench debug mutants memory \
	layout-base abi deb deb-test modules modules-base modules-count modules-stress modules-faults modules-selftests modules-kinds tools parallel \
	modules-list together arm64 arm64-base check-full
.DEFAULT_GOAL := help

help:		## this list
	@sed -n 's/^\([a-z0-9-]*\):[\t ]*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

run:		## build the kernel, boot it, load programs and modules, print a report
	@dev/jobs/run/host

run-base:	## the same, also against the kernel without the series; records the results of test_bpf
	@dev/jobs/run/host --base

job:		## run one job of dev/jobs: make job J=NAME ARGS="..."
	@dev/jobs/$(J)/host $(ARGS)

test:		## all tests, one line each
	@dev/test.sh $(T)

fresh:		## make run and make test in a new minimal Debian (T= for some tests, ONLY=run or test)
	@T="$(T)" ANEW="$(ANEW)" dev/fresh.sh $(ONLY)

tree:		## assemble build/linux: the base and one commit per patch
	@dev/series.sh tree

port:		## the series on another version of linux-source: assemble, build, boot, KUnit (V=6.12.107)
	@dev/port.sh $(V)

continue:	## continue make tree after a conflict with another base was resolved in build/linux
	@dev/series.sh continue

refresh:	## commits of build/linux back into patches/ and whole files
	@dev/series.sh refresh

export:		## patches to mail, with cover letter, into build/export (VERSION=n)
	@dev/series.sh export

diff:		## what the series changes in a file (F=mm/execmem.c)
	@dev/series.sh diff $(F)

check:		## gates: round trip, style, each patch compiles (G=NAME for one)
	@dev/check.sh $(G)

check-full:	## every patch builds as a whole kernel and boots, the allocator for other architectures and configurations (an hour)
	@dev/check.sh cross configs full

arm64:		## test_bpf on arm64 has the same results as without the series
	@dev/jobs/arm64/host

arm64-base:	## record the results of test_bpf on arm64 without the series
	@dev/jobs/arm64/host --base

memory:		## memory that the first programs reserve, on a small and on a larger machine
	@dev/jobs/memory/host

layout-base:	## record the layouts of structures without the series
	@dev/jobs/layout/host --base

abi:		## CRCs of exported symbols are those of the base, but for listed ones (CONFIG=FILE)
	@dev/jobs/abi/host

deb:		## Debian packages of the kernel, into build/deb (CONFIG=FILE)
	@dev/deb.sh

deb-test:	## make them, install them in a minimal Debian, build a module with dkms, boot
	@dev/jobs/deb/host

modules:	## load and unload 352 real modules
	@dev/jobs/modules/host --all

modules-base:	## the same, also against the kernel without the series
	@dev/jobs/modules/host --all --base

modules-count:	## instructions to load and unload them
	@dev/jobs/count/host --all

modules-stress:	## load and unload some of them in threads, beside BPF programs (TIME=300, in seconds)
	@dev/jobs/stress/host $(TIME) --all

modules-faults:	## load 25 modules; each allocation fails once
	@dev/jobs/faults/host

modules-selftests: ## the kernel's own selftests for kmod and livepatch
	@dev/jobs/kernel-selftests/host

parallel:	## does QEMU with a thread for each CPU execute breakpoints that were replaced? (TIME=300, in seconds)
	@dev/jobs/parallel/host $(TIME)

tools:		## what perf, elfutils, lsmod and crash of Debian 12 and 13 say of modules and BPF programs
	@dev/jobs/tools/host

modules-kinds:	## signed, compressed, out-of-tree and forcibly unloaded modules, with kCFI and FineIBT
	@dev/jobs/kinds/host

modules-list:	## make the list of modules again
	@dev/jobs/modules-list/host

together:	## ftrace, kprobes, BPF and modules at the same time, 20 rounds, also without the series
	@dev/jobs/together/host --base 20

kernel:		## build a kernel (V=x86, arm64, each also with -base; the head of dev/kernel.sh lists all variants)
	@dev/kernel.sh $(V)

shell:		## boot a kernel to a shell (V=x86; leave with "exit")
	@dev/packages.sh shell
	@dev/kernel.sh $(V)
	@dev/vm.sh $(V) -i

kunit:		## the KUnit suite, by the kernel's kunit.py
	@dev/jobs/kunit/own-kernel

harness:	## the bookkeeping in user space, under sanitizers (HARNESS=quick)
	@dev/packages.sh $(if $(filter fuzz,$(HARNESS)),fuzz,harness)
	@dev/series.sh tree --keep
	@$(MAKE) -s -C build/linux/tools/testing/execmem $(HARNESS)

debug:		## KUnit, selftests and modules under KASAN, kmemleak, lockdep and guard pages (STEPS="klp kgdb" for some)
	@dev/jobs/debug/host $(STEPS)

mutants:	## deliberate errors in the code; a test must fail for each
	@dev/jobs/mutants/host

bench:		## count instructions of allocations and of program loads
	@dev/jobs/bench/host --all
