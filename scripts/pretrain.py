"""Pre-train TSFormer on synthetic series.

    python scripts/pretrain.py configs/pretrain_small.yaml --output results/pretrain_small

Interrupt it when you like: the same command goes on where it stopped, and ends in the same weights.
To train for longer, raise `steps` in the configuration, delete `latest.pt` and run it again: it
goes on from `plateau.pt`, where the learning rate had not yet begun to fall.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # see scripts/benchmark.py

import pandas as pd
import torch
import yaml
from matplotlib.figure import Figure

from tsformer.evaluation.zero_shot import RealSeries
from tsformer.models.tsformer import TSFormerConfig
from tsformer.models.weights import write_weights
from tsformer.models.zero_shot import TSFormer
from tsformer.training.prior_fitting import PriorFitting, read_settings


def main() -> None:
    """Train, draw the learning curve, and write the weights in 16 bits."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config", type=Path, help="YAML file, such as configs/pretrain_small.yaml")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder of checkpoints and curve"
    )
    given = parser.parse_args()

    config = yaml.safe_load(given.config.read_text(encoding="utf-8"))
    settings = read_settings(config["training"])
    sizes = TSFormerConfig(**config["network"])
    torch.manual_seed(settings.seed)
    model = TSFormer(sizes)
    print(f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters")
    judged = RealSeries(config.get("judged", {}))
    fitting = PriorFitting(
        model,
        settings,
        given.output,
        judge=judged.scores,
        notify=lambda line: print(line, flush=True),
    )
    fitting.run()
    _draw(given.output / "curve.csv", given.output / "curve.png")
    tensors = {name: tensor.half() for name, tensor in model.state_dict().items()}
    write_weights(given.output / "weights.safetensors", tensors, "tsformer", asdict(sizes))


def _draw(table: Path, picture: Path) -> None:
    """Draw errors on held out synthetic series, and scores on real ones, against steps."""
    curve = pd.read_csv(table)
    figure = Figure(figsize=(10, 4), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2)
    for name in curve.filter(like="held out"):
        patches = str(name).removeprefix("held out ")
        left.plot(curve["step"], curve[name], "o-", ms=3, lw=1, label=patches)
    left.set_ylabel("error on synthetic series, in errors of the best echo")
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "frameon": False}
    left.legend(title="patches of context + horizon", fontsize=7, ncols=6, **above)
    for name in curve.filter(regex=r"^(quick|competition) "):
        right.plot(curve["step"], curve[name], "o-", ms=3, lw=1, label=name)
    right.set_ylabel("score on real series, relative to seasonal naive")
    right.legend(fontsize=8, ncols=2, **above)
    for axis in (left, right):
        axis.set_xlabel("step")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture)


if __name__ == "__main__":
    main()
