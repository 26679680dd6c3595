"""The report of a suite: one HTML page, a shorter one as Markdown, and all results."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from tsformer.evaluation.report_html import report_page
from tsformer.evaluation.report_markdown import report_text
from tsformer.evaluation.report_pictures import draw_overview, draw_tasks
from tsformer.evaluation.results import results_frame, summary
from tsformer.evaluation.suite import SuiteSpec
from tsformer.evaluation.tables import number_text
from tsformer.files import write_text, write_whole


def screen_table(suite: SuiteSpec, results: pd.DataFrame) -> str:
    """Return the summary as plain text."""
    table = summary(suite, results)
    if table.empty:
        return "No run came to an end; what was said of each stands in the report."
    return table.to_string(float_format=lambda value: number_text(value, 3), na_rep="–")


def write_report(suite: SuiteSpec, records: Sequence[dict[str, Any]], folder: Path) -> Path:
    """Write the report of a suite into a folder, and return the path of its page.

    - `report.html`: one page with all tables and pictures, which needs no other file and no
      network;
    - `report.md` and `pictures/`: most of it for those who read text;
    - `results.csv`, and `results.parquet` where pyarrow is installed: a row per run.

    Args:
        suite: what was run.
        records: what `tsformer.evaluation.runner.run_suite` returned.
        folder: is made where there is none.
    """
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    results = results_frame(records)
    overview = draw_overview(suite, records, results, pictures)
    by_task = draw_tasks(suite, records, results, pictures)
    write_text(folder / "report.md", report_text(suite, records, results, overview, by_task))
    write_text(folder / "report.html", report_page(suite, records, results, overview, by_task))
    write_text(folder / "results.csv", results.to_csv(index=False))
    if find_spec("pyarrow"):
        write_whole(folder / "results.parquet", results.to_parquet)
    return folder / "report.html"
