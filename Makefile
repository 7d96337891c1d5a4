# SPDX-License-Identifier: GPL-2.0-only
# Front end: each verb is a script in dev/ or one line.  See README.md.

V ?= x86
VERSION ?= 1
HARNESS ?= run
export VERSION FORCE JOBS

.PHONY: help run test tree continue refresh export diff check kernel shell kunit harness bench debug mutants memory modules arm64 check-full
.DEFAULT_GOAL := help

help:		## this list
	@sed -n 's/^\([a-z0-9-]*\):\t*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

run:		## build the kernel, boot it, do the main job, print the report
	@dev/run.sh

test:		## all tests, one line each
	@dev/test.sh $(T)

tree:		## assemble build/linux: the base and one commit per patch
	@dev/series.sh tree

continue:	## go on with make tree after a conflict with another base was resolved in build/linux
	@dev/series.sh continue

refresh:	## commits of build/linux back into patches/ and whole files
	@dev/series.sh refresh

export:		## patches to mail, with cover letter, into build/export (VERSION=n)
	@dev/series.sh export

diff:		## what the series changes in a file (F=mm/execmem.c)
	@dev/series.sh diff $(F)

check:		## gates: round trip, style, what a patch touches compiles (G=NAME for one)
	@dev/check.sh $(G)

check-full:	## every patch builds as a whole kernel and boots, the allocator for other architectures and configurations (an hour)
	@dev/check.sh cross configs full

arm64:		## test_bpf on arm64 says what it said without the series
	@dev/test.sh arm64

memory:		## what the first programs cost, on a small and on a larger machine
	@dev/memory.sh

modules:	## some 350 real modules are loaded and unloaded (ACTION=--base, --count, --selftests, ...)
	@dev/modules.sh $(ACTION)

kernel:		## build a kernel (V=x86, arm64, each also with -base; x86-debug, x86-clang, x86-modules, x86-modules-base)
	@dev/kernel.sh $(V)

shell:		## boot a kernel to a shell (V=x86; leave with "exit")
	@dev/packages.sh shell
	@dev/kernel.sh $(V)
	@dev/vm.sh $(V) -i

kunit:		## the KUnit suite, by the kernel's kunit.py
	@dev/kunit.sh

harness:	## the bookkeeping in user space, under sanitizers (HARNESS=quick)
	@dev/packages.sh $(if $(filter fuzz,$(HARNESS)),fuzz,harness)
	@dev/series.sh tree --keep
	@$(MAKE) -s -C build/linux/tools/testing/execmem $(HARNESS)

debug:		## KUnit and selftests under KASAN, kmemleak, lockdep and guard pages
	@dev/debug.sh

mutants:	## mutations of the code, each of which a test must catch
	@dev/mutants.sh

bench:		## what it costs, in instructions
	@dev/bench.sh
