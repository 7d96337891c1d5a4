# SPDX-License-Identifier: GPL-2.0-only
"""What the guests sent, read, compared and printed.  See dev/README.md.

	python3 -P -m report JOB OUT [ARGUMENT...]

runs report() of dev/jobs/JOB/report.py on the output of its machines, which is in
the directories OUT/LABEL, a label for each machine.
"""
