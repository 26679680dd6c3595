"""Short pre-trainings, to be compared with each other."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tsformer.models.tsformer import TSFormerConfig
from tsformer.models.zero_shot import TSFormer
from tsformer.prior.windows import WindowDraw
from tsformer.training.prior_fitting import PretrainingSettings, PriorFitting, typical_error
from tsformer.training.synthetic_windows import Shape, SyntheticBatches

_SHAPES = (  # patches of 32 steps: contexts of 64 to 1,024, horizons of 32 to 128
    Shape(context=2, horizon=1, share=0.2),
    Shape(context=4, horizon=1, share=0.25),
    Shape(context=8, horizon=2, share=0.25),
    Shape(context=16, horizon=2, share=0.2),
    Shape(context=32, horizon=4, share=0.1),
)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A network after a short pre-training.

    Attributes:
        model: the network.
        error: `TSFormer.errors` on held out synthetic series, geometric mean.
        seconds: that training took.
        series: that it saw.
    """

    model: TSFormer
    error: float
    seconds: float
    series: int


def held_out(config: TSFormerConfig, seed: int) -> list[WindowDraw]:
    """Return synthetic series that no trial with this seed learns from."""
    batches = SyntheticBatches(
        _SHAPES,
        tokens_per_batch=1,
        patch_length=config.patch_length,
        seed=seed,
        device=torch.device("cpu"),
    )
    return batches.held_out()


def try_out(
    config: TSFormerConfig,
    *,
    steps: int,
    tokens_per_batch: int,
    seed: int,
    judged: list[WindowDraw],
) -> Trial:
    """Pre-train a network of these sizes, with a decay over the last third of the steps."""
    settings = PretrainingSettings(
        steps=steps,
        decay=max(1, steps // 3),
        warmup=50,
        tokens_per_batch=tokens_per_batch,
        shapes=_SHAPES,
        averaging=0.98,
        compile=False,
        seed=seed,
        judge_every=steps + 1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = TSFormer(config)
    with tempfile.TemporaryDirectory() as folder:
        fitting = PriorFitting(model, settings, Path(folder), notify=lambda line: None)
        fitting.run()
    errors = [typical_error(model, batch) for batch in judged]
    return Trial(
        model=model,
        error=float(np.exp(np.mean(np.log(errors)))),
        seconds=fitting.seconds,
        series=fitting.series,
    )
