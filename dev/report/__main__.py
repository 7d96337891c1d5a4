# SPDX-License-Identifier: GPL-2.0-only
"""python3 -P -m report JOB OUT [ARGUMENT...]"""
import importlib.util
import sys
from pathlib import Path

from report.guest import Output
from report.missing import Missing
from report.tap import Tap

JOBS = Path(__file__).resolve().parent.parent / "jobs"


def load(job: str):
    """dev/jobs/JOB/report.py as a module"""
    path = JOBS / job / "report.py"
    spec = importlib.util.spec_from_file_location("job_" + job.replace("-", "_"), path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(job: str, out: Path, *args: str) -> int:
    """The report of a job, printed; the exit status"""
    tap = Tap()
    try:
        load(job).report(tap, Output(out), *args)
    except Missing as error:
        tap.line(False, "the report is complete", f"missing: {error}")
    return tap.done()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
