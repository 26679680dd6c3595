"""Two files of results beside each other: what became better, what worse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tsformer.evaluation.results import LOGARITHMS, SCORES, finished

_METRICS = [name for name in SCORES if not name.startswith(("coverage", "width"))]
_WORTH = 0.01  # a change of a score by so much is shown by task
_SMALL = f"{_WORTH:.0%} (NLL: by {_WORTH})"
_SHOWN = 20


def compare_files(old: Path, new: Path) -> str:
    """Return what differs between two `results.csv` (or Parquet) of the benchmark, as text.

    Scores are means over seeds, compared where both files have the task and the model.

    Raises:
        FileNotFoundError, ValueError: for files that are not such results.
    """
    before, after = read_results(old), read_results(new)
    scores = _both(before, after)
    parts = [_overall(scores), _by_task(scores), *_only(before, after, old, new)]
    return "\n\n".join(parts)


def read_results(path: Path) -> pd.DataFrame:
    """Return a file of results as a frame, a row per run.

    Raises:
        FileNotFoundError: where there is none.
        ValueError: where it holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file; pass a results.csv")
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
    else:  # a model may be called "None"
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
    needed = ["task", "model", "status", "MASE", "CRPS"]
    if missing := [name for name in needed if name not in frame]:
        raise ValueError(
            f"{path} has no column {missing[0]!r}; pass the results.csv of a benchmark's folder"
        )
    return frame


def _both(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Return (task, model, metric) × `old`, `new`, `change`: relative, of densities absolute."""
    sides = {"old": _scores(before), "new": _scores(after)}
    table = pd.concat(sides, axis="columns", join="inner").dropna()
    differ = table.index.get_level_values("metric").isin(list(LOGARITHMS))
    with np.errstate(divide="ignore", invalid="ignore"):  # a perfect score
        ratio = (table["new"] / table["old"]).where(table["new"] != table["old"], 1.0)
    return table.assign(change=np.where(differ, table["new"] - table["old"], ratio - 1))


def _scores(results: pd.DataFrame) -> pd.Series:
    done = finished(results)
    known = [name for name in _METRICS if name in done and done[name].notna().any()]
    by_model = done.groupby(["task", "model"], sort=False)[known].mean()
    long = by_model.rename_axis(columns="metric").reset_index()
    return long.melt(["task", "model"], var_name="metric").set_index(["task", "model", "metric"])[
        "value"
    ]


def _overall(scores: pd.DataFrame) -> str:
    """Return each model's mean change, a column per metric."""
    if scores.empty:
        return "The two files have no task and model in common."
    rows = []
    for (model, metric), group in scores.groupby(["model", "metric"], sort=False):
        difference = metric in LOGARITHMS
        change = group["change"].mean() if difference else _geometric(group["change"])
        shown = f"{change:+.3f}" if difference else f"{change:+.1%}"
        rows.append({"model": model, "metric": metric, "change": shown, "tasks": len(group)})
    frame = pd.DataFrame(rows)
    table = frame.pivot_table(
        index="model", columns="metric", values="change", aggfunc="first", sort=False
    )
    table.insert(0, "tasks", frame.groupby("model", sort=False)["tasks"].max())
    text = table.rename_axis(index=None, columns=None).fillna("–").to_string()
    return (
        "Change from old to new, geometric means over tasks (of NLL the plain mean of the "
        f"difference); below 0 is better:\n\n{text}"
    )


def _geometric(changes: pd.Series) -> float:
    with np.errstate(divide="ignore"):  # a perfect score
        return float(np.expm1(np.log1p(changes).mean()))


def _by_task(scores: pd.DataFrame) -> str:
    """Return the largest changes by task."""
    moved = scores[scores["change"].abs() >= _WORTH]
    if moved.empty:
        return f"No score of a task changed by {_SMALL} or more."
    order = moved["change"].abs().sort_values(ascending=False, kind="stable").index[:_SHOWN]
    table = moved.loc[order].reset_index()
    table["change"] = [
        f"{change:+.3f}" if metric in LOGARITHMS else f"{change:+.1%}"
        for metric, change in zip(table["metric"], table["change"], strict=True)
    ]
    text = table.to_string(index=False, float_format=lambda value: f"{value:.4g}")
    shown = f"the {_SHOWN} largest of {len(moved)}" if len(moved) > _SHOWN else str(len(moved))
    return f"Scores of tasks that changed by {_SMALL} or more, {shown}:\n\n{text}"


def _only(before: pd.DataFrame, after: pd.DataFrame, old: Path, new: Path) -> list[str]:
    """Return a line for each side that has finished runs which the other lacks."""
    lines = []
    for path, own, other in ((old, before, after), (new, after, before)):
        if alone := sorted(_runs(own) - _runs(other)):
            names = ", ".join(f"{task}: {model}" for task, model in alone[:_SHOWN])
            more = f" and {len(alone) - _SHOWN} more" if len(alone) > _SHOWN else ""
            lines.append(f"Only in {path}: {names}{more}.")
    return lines


def _runs(results: pd.DataFrame) -> set[tuple[str, str]]:
    done = finished(results)
    return set(zip(done["task"].astype(str), done["model"].astype(str), strict=True))
