"""`tsformer benchmark`: run a suite and report, or compare two results."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from tsformer.cli.command import FOLDER, Command, UsageError, argument, say


@dataclass(frozen=True, kw_only=True)
class Benchmark(Command):
    """Run a benchmark suite: fit, forecast, score, report.

    Each finished run is stored at once; the same command goes on where it stopped. The exit code is
    1 where a run failed, 0 where all succeeded or were skipped for want of data or packages.

    Args:
        suite: YAML file of the suite, or its name, such as gift or llm (default: quick).
        output: folder of results; the suite's are in a folder of its name.
        tasks: only tasks whose name contains one of these.
        models: only these models, and the baseline.
        fresh: forget stored results first.
        compare: two files results.csv, the older one first, to compare instead of running.

    Examples:
        tsformer benchmark
        tsformer benchmark configs/gift.yaml --models TSFormer --tasks electricity solar
        tsformer benchmark --compare results/old/results.csv results/quick/results.csv
    """

    group: ClassVar[str] = "what to run"

    suite: str | None = argument("CONFIG", None)
    output: Path = field(default=Path("results"), metadata=FOLDER)
    tasks: list[str] | None = None
    models: list[str] | None = None
    fresh: bool = False
    compare: list[Path] | None = None

    def run(self) -> int:
        """Print the summary, or the comparison."""
        if self.compare is not None:
            print(self._comparison(self.compare))
            return 0
        from tsformer.evaluation.report import results_frame, screen_table, write_report
        from tsformer.evaluation.runner import run_suite
        from tsformer.evaluation.suite import load_suite, restrict

        suite = restrict(load_suite(self.suite or "quick"), self.tasks, self.models)
        folder = self.output / suite.name
        if self.fresh:
            shutil.rmtree(folder, ignore_errors=True)
        records = run_suite(suite, folder, notify=say)
        report = write_report(suite, records, folder)
        print(f"{suite.title}: scores divided by those of {suite.baseline}, geometric means\n")
        print(screen_table(suite, results_frame(records)))
        print(f"\nReport: {report}")
        return int(any(record["status"] == "failed" for record in records))

    def _comparison(self, files: list[Path]) -> str:
        if len(files) != 2 or self.suite is not None:
            raise UsageError("--compare takes two files, the older one first, and no suite")
        from tsformer.evaluation.compare import compare_files

        return compare_files(*files)
