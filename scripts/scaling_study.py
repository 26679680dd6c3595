"""Does accuracy follow compute, parameters or series? Three sizes, three budgets, one power law.

    python scripts/scaling_study.py --output results/scaling

Each training is short, with a decay of its own; each is stored at once, so that the same command
goes on where it stopped. The law is `error = floor + a * parameters ** -b + c * patches ** -d`
(Hoffmann et al. 2022), fitted to the logarithms of the errors on held out synthetic series.
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # see scripts/benchmark.py

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from scipy.optimize import least_squares

from tsformer.evaluation.zero_shot import RealSeries
from tsformer.models.tsformer import TSFormerConfig
from tsformer.models.zero_shot import TSFormer
from tsformer.training.trials import held_out, try_out

SIZES = {
    "64 x 3": TSFormerConfig(d_model=64, n_heads=2, n_layers=3, d_ff=128),
    "128 x 4": TSFormerConfig(d_model=128, n_heads=4, n_layers=4, d_ff=256),
    "192 x 4": TSFormerConfig(d_model=192, n_heads=6, n_layers=4, d_ff=384),
}
STEPS = (100, 250, 625)
TOKENS = 4096

_SCORES = ("quick MASE", "quick CRPS", "competition MASE", "competition CRPS")
_COLUMNS = [
    *("size", "parameters", "steps", "seed", "patches", "series", "seconds", "held out"),
    *_SCORES,
]


def main() -> None:
    """Train what is missing, fit the law, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of table and picture")
    parser.add_argument("--seed", type=int, default=0, help="of weights and series")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)

    path = given.output / "scaling.csv"
    rows = _read(path)
    if rows and list(rows[0]) != _COLUMNS:
        parser.error(f"{path} has other columns; name another folder")
    real = RealSeries({"quick": [], "competition": ["M3"]})
    for size, config in SIZES.items():
        for steps in STEPS:
            n_parameters = sum(parameter.numel() for parameter in TSFormer(config).parameters())
            wanted = {
                "size": size,
                "parameters": str(n_parameters),
                "steps": str(steps),
                "seed": str(given.seed),
            }
            if any(wanted.items() <= row.items() for row in rows):
                continue
            row = {**wanted, **_train(config, steps, given.seed, real)}
            rows.append({key: str(value) for key, value in row.items()})
            _write(path, rows)
            print(*(f"{key} {value}" for key, value in row.items()), flush=True)
    rows = [row for row in rows if row["size"] in SIZES and row["seed"] == str(given.seed)]
    law = _fit(rows)
    print("error = {:.3f} + {:.3g} N^-{:.2f} + {:.3g} D^-{:.2f}".format(*law))
    _draw(given.output / "scaling.png", rows)


def _train(config: TSFormerConfig, steps: int, seed: int, real: RealSeries) -> dict[str, Any]:
    judged = held_out(config, seed)
    trial = try_out(config, steps=steps, tokens_per_batch=TOKENS, seed=seed, judged=judged)
    scores = real.scores(trial.model)
    return {
        "patches": steps * TOKENS,
        "series": trial.series,
        "seconds": round(trial.seconds),
        "held out": f"{trial.error:.4f}",
        **{name: f"{scores[name]:.4f}" for name in _SCORES},
    }


def _fit(rows: list[dict[str, str]]) -> np.ndarray:
    """Return floor, a, b, c, d."""
    size, patches, error = (
        np.array([float(row[key]) for row in rows]) for key in ("parameters", "patches", "held out")
    )

    def law(logs: np.ndarray) -> np.ndarray:
        floor, a, b, c, d = np.exp(logs)
        return floor + a * (size / 1e6) ** -b + c * (patches / 1e6) ** -d

    found = least_squares(
        lambda logs: np.log(law(logs)) - np.log(error),
        np.log([error.min() / 2, 0.3, 0.3, 0.3, 0.3]),
    )
    return np.exp(found.x)


def _draw(path: Path, rows: list[dict[str, str]]) -> None:
    """Draw error against compute, six operations per parameter and patch, a line per size."""
    figure = Figure(figsize=(8, 3.6), layout="constrained", dpi=120)
    for axis, key in zip(figure.subplots(1, 2), ("held out", "quick CRPS"), strict=True):
        for size, colour in zip(SIZES, ("#E69F00", "#0072B2", "#009E73"), strict=True):
            own = [row for row in rows if row["size"] == size]
            compute = [6 * float(row["parameters"]) * float(row["patches"]) for row in own]
            axis.loglog(compute, [float(row[key]) for row in own], "o-", color=colour, label=size)
        for plain in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
            plain(ScalarFormatter())
        axis.set_xlabel("operations")
        axis.set_ylabel({"held out": "error on synthetic series"}.get(key, key))
        axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, title="width x layers")
    figure.savefig(path)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
