"""How accuracy and speed change when attention heads are removed from a trained PatchTST.

    TSFORMER_DATA=data python scripts/bench_pruning.py --output results/pruning

Trains it as the suite `ltsf` does, judges its heads on the validation part, removes the least
important ones, share by share, and trains what is left for some more steps. Scores are of the test
part; seconds are medians of rounds in which all networks take turns. Writes pruning.csv and
pruning.png.
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
from tsformer.evaluation.runner import make_forecaster
from tsformer.evaluation.suite import load_suite
from tsformer.evaluation.tasks import Task, load_task
from tsformer.forecasters.inspection import head_importance, held_out_windows, prune_heads
from tsformer.models.inspection import attention_layers, mean_loss
from tsformer.plotting.style import BLUE, ORANGE, SMALL, dress, new_figure


def trained(task: Task, seed: int, max_steps: int | None) -> Any:
    """Return PatchTST, fitted to the task as the suite does, or for other steps."""
    suite = load_suite("ltsf_etth1")
    spec = next(model for model in suite.models if model.name == "PatchTST")
    if max_steps is not None:
        parameters = {**spec.parameters_for(task.spec), "max_steps": max_steps}
        spec = replace(spec, parameters=parameters, tasks={})
    forecaster = make_forecaster(spec, task.spec, seed)
    return forecaster.fit_panel(task.training_panel, val_size=task.val_size)


def tuned(forecaster: Any, task: Task, steps: int, learning_rate: float) -> Any:
    """Return a copy whose network was trained for some more steps."""
    copy = prune_heads(forecaster, heads=[])
    copy.set_params(warm_start=True, max_steps=steps, learning_rate=learning_rate)
    return copy.fit_panel(task.training_panel, val_size=task.val_size)


def errors(task: Task, forecaster: Any) -> dict[str, float]:
    """Return MSE and MAE of the mean forecast over all test windows."""
    pieces = [
        windows.truth - forecaster.predict_panel(windows.history).mean
        for windows in task.windows(forecaster.context_length_)
    ]
    error = np.concatenate(pieces)
    return {"MSE": float(np.square(error).mean()), "MAE": float(np.abs(error).mean())}


def seconds(forecasters: dict[Any, Any], histories: Panel, rounds: int) -> dict[Any, list[float]]:
    """Return how long each forecaster takes for the same windows, round by round."""
    taken: dict[Any, list[float]] = {name: [] for name in forecasters}
    for number in range(rounds + 1):
        for name, forecaster in forecasters.items():
            began = time.perf_counter()
            forecaster.predict_panel(histories, quantiles=(0.5,))
            if number:  # the first round warms up
                taken[name].append(time.perf_counter() - began)
    return taken


def describe(task: Task, forecaster: Any) -> dict[str, float]:
    """Return sizes and errors of a forecaster."""
    model = forecaster.model_
    judged = held_out_windows(forecaster, task.training_panel, task.val_size, 2048)
    return {
        "heads": sum(layer.n_heads for layer in attention_layers(model).values()),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "validation_loss": mean_loss(model, judged),
        **errors(task, forecaster),
    }


def draw(table: pd.DataFrame, title: str, path: Path) -> None:
    """Write the picture: error against seconds, both relative to the unpruned network's."""
    figure = new_figure(6.4, 4.0, dpi=130)
    axis = figure.subplots()
    for more, colour, label in ((False, ORANGE, "pruned"), (True, BLUE, "pruned, then trained on")):
        rows = table[table["trained_on"] == more].sort_values("heads")
        axis.plot(rows["relative_seconds"], rows["relative_MSE"], "o-", color=colour, label=label)
        for row in rows.itertuples():
            place = (row.relative_seconds, row.relative_MSE)
            offset = (0, -14) if more else (0, 8)
            style: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL}
            axis.annotate(f"{row.heads}", place, offset, ha="center", **style)
    axis.axhspan(0.98, 1.02, color="0.9", zorder=0, label="within 2 %")
    axis.set_xlabel("time of a forecast, relative (number of heads left beside each point)")
    axis.set_ylabel("test MSE, relative")
    axis.set_title(title, fontsize=10)
    dress(axis)
    axis.legend(frameon=False, fontsize=SMALL)
    figure.savefig(path, metadata={"Software": None})


def main() -> None:
    """Train, prune, measure and write the table and its picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", default="ETTh1 96", help="of the suite ltsf")
    parser.add_argument("--shares", nargs="+", type=float, default=[0, 0.25, 0.5, 0.75, 1])
    parser.add_argument("--steps", type=int, default=300, help="of training after pruning")
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="of these steps")
    parser.add_argument("--max-steps", type=int, help="of the training before; as in the suite")
    parser.add_argument("--rounds", type=int, default=9, help="of measuring seconds")
    parser.add_argument("--windows", type=int, default=1024, help="forecast in each round")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("results/pruning"))
    given = parser.parse_args()

    task = load_task(next(t for t in load_suite("ltsf_etth1").tasks if t.name == given.task))
    began = time.perf_counter()
    whole = trained(task, given.seed, given.max_steps)
    print(f"trained in {time.perf_counter() - began:.0f} s", flush=True)
    judged, val_size = task.training_panel, task.val_size
    importance = head_importance(whole, judged, val_size=val_size)
    print(importance.to_string(index=False), flush=True)

    forecasters, rows = {}, []
    for share in given.shares:
        pruned = prune_heads(whole, share=share, df=judged, val_size=val_size)
        forecasters[share, False] = pruned
        forecasters[share, True] = tuned(pruned, task, given.steps, given.learning_rate)
        for more in (False, True):
            row = {"share": share, "trained_on": more, **describe(task, forecasters[share, more])}
            rows.append(row)
            print(row, flush=True)

    windows = next(iter(task.windows(whole.context_length_)))
    chosen = np.linspace(0, len(windows.history) - 1, given.windows).round().astype(int)
    taken = seconds({"whole": whole, **forecasters}, windows.history.select(chosen), given.rounds)
    table = pd.DataFrame(rows)
    table["relative_MSE"] = table["MSE"] / errors(task, whole)["MSE"]
    keys = list(forecasters)
    table["seconds"] = [np.median(taken[key]) for key in keys]
    ratios = [np.divide(taken[key], taken["whole"]) for key in keys]
    table["relative_seconds"] = [np.median(ratio) for ratio in ratios]
    given.output.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.output / "pruning.csv", index=False)
    draw(table, f"PatchTST on {given.task}", given.output / "pruning.png")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))


if __name__ == "__main__":
    main()
