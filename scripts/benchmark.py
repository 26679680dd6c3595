"""Run a benchmark suite: fit, forecast, score, report.

    python scripts/benchmark.py configs/quick.yaml

Each finished run is stored at once; the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

# Threads that spin for long while they wait hold each other up as soon as another program wants a
# core, at ten times the time; spinning for some microseconds is as fast as spinning on where none
# does (docs/log.md). Read when torch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

from tsformer.evaluation.report import results_frame, screen_table, write_report
from tsformer.evaluation.runner import run_suite
from tsformer.evaluation.suite import load_suite, restrict


def main() -> int:
    """Return 0 when every run succeeded or was skipped for want of data, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config", help="YAML file of the suite, or its name, such as 'quick'")
    parser.add_argument("--output", type=Path, default=Path("results"), help="folder of results")
    parser.add_argument("--tasks", nargs="+", help="only tasks whose name contains one of these")
    parser.add_argument("--models", nargs="+", help="only these models, and the baseline")
    parser.add_argument("--fresh", action="store_true", help="forget stored results first")
    arguments = parser.parse_args()

    suite = restrict(load_suite(arguments.config), arguments.tasks, arguments.models)
    folder = arguments.output / suite.name
    if arguments.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    records = run_suite(suite, folder, notify=lambda line: print(line, flush=True))
    report = write_report(suite, records, folder)
    print(f"\n{suite.title}: scores divided by those of {suite.baseline}, geometric means\n")
    print(screen_table(suite, results_frame(records)))
    print(f"\nReport: {report}")
    return int(any(record["status"] == "failed" for record in records))


if __name__ == "__main__":
    sys.exit(main())
