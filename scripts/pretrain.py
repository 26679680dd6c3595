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

import torch
import yaml

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
    tensors = {name: tensor.half() for name, tensor in model.state_dict().items()}
    write_weights(given.output / "weights.safetensors", tensors, "tsformer", asdict(sizes))


if __name__ == "__main__":
    main()
