# SPDX-License-Identifier: GPL-2.0-only
# The tests of dev/test.sh, which calls this.  It is a makefile so that the tests and
# the compilers they start have one jobserver: no more of them than processors, or they
# fight for caches and take half as long again.
NEED_KERNEL := kunit selftest run memory modules layout observe bench plumbing

export JOBSERVER := yes

.PHONY: all $(TESTS)
all: $(TESTS)

$(TESTS):
	+-@$(DEV)/test.sh --one $@

# Built by smoke, which has them wait
$(filter $(NEED_KERNEL),$(TESTS)): $(filter smoke,$(TESTS))
