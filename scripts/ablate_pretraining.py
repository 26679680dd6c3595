"""What do the parts of pre-training give? Short trainings, each with one part changed.

    python scripts/ablate_pretraining.py --steps 400 --output results/ablation.csv

Each has the same seed, steps and shapes; scores are those of the suites `quick` and M3, relative to
seasonal naive, and the error on held out series of the whole prior, a geometric mean. A part that
is not worth its place shows in a line that is no worse without it.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # see scripts/benchmark.py

import torch

from tsformer.evaluation.zero_shot import RealSeries
from tsformer.models import description
from tsformer.models.tsformer import TSFormerConfig
from tsformer.prior import augment, mixture, windows
from tsformer.training.trials import held_out, try_out

_KEY = ("variant", "network", "steps", "tokens", "seed")


@contextmanager
def without_family(name: str) -> Iterator[None]:
    """Leave one family of series out."""
    left = {other: family for other, family in mixture.FAMILIES.items() if other != name}
    with mock.patch.object(mixture, "FAMILIES", left):
        yield


@contextmanager
def without_echoes() -> Iterator[None]:
    """Tell the network the last value only, and forecast from it or from the mean."""

    def last_only(*arguments: Any) -> Any:
        told = echoes(*arguments)
        number = torch.arange(told.values.shape[1], device=told.values.device)
        first = number[:, None] == 0
        return type(told)(told.values * first, told.valid & first)

    echoes = description.echoes
    with mock.patch.object(description, "echoes", last_only):
        yield


@contextmanager
def without_changes() -> Iterator[None]:
    """Leave series as their families made them."""
    with mock.patch.object(augment, "CHANGES", ()):
        yield


@contextmanager
def without_short_series() -> Iterator[None]:
    """Draw as many short series, but as ends of long ones only."""
    late = windows._SHORT + (1 - windows._SHORT) * windows._CUT
    with mock.patch.multiple(windows, _SHORT=0.0, _CUT=late):
        yield


@contextmanager
def as_it_is() -> Iterator[None]:
    """Change nothing."""
    yield


def main() -> None:
    """Train each variant that has no line yet, and write its line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=400, help="of each training")
    parser.add_argument("--tokens", type=int, default=4096, help="patches of a step")
    parser.add_argument("--seed", type=int, default=0, help="of weights and series")
    parser.add_argument("--variants", nargs="+", help="only these; an unknown one lists all")
    parser.add_argument(
        "--output", type=Path, required=True, help="CSV file that lines are added to"
    )
    given = parser.parse_args()

    variants: dict[str, Callable[[], Any]] = {
        "as it is": as_it_is,
        "without echoes": without_echoes,
        "without changes": without_changes,
        "without short series": without_short_series,
        **{f"without {name}": partial(without_family, name) for name in mixture.FAMILIES},
    }
    real = RealSeries({"quick": [], "competition": ["M3"]})
    given.output.parent.mkdir(parents=True, exist_ok=True)
    if unknown := set(given.variants or ()) - set(variants):
        parser.error(f"--variants {sorted(unknown)} are unknown; known are {', '.join(variants)}")
    network = " ".join(map(str, asdict(TSFormerConfig()).values()))
    done = set()
    if given.output.exists():
        with given.output.open(newline="", encoding="utf-8") as file:
            done = {tuple(row[: len(_KEY)]) for row in csv.reader(file)}
        if tuple(_KEY) not in done:
            parser.error(f"--output {given.output} has other columns; name another file")
    for name, variant in variants.items():
        key = (name, network, str(given.steps), str(given.tokens), str(given.seed))
        if key in done or (given.variants and name not in given.variants):
            continue
        scores = _train(variant, given, real)
        fresh = not given.output.exists()
        with given.output.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow([*_KEY, *scores])
            values = [f"{value:.4f}" for value in scores.values()]
            writer.writerow([*key, *values])
        print(name, *(f"{key} {value:.3f}" for key, value in scores.items()), flush=True)


def _train(variant: Callable[[], Any], given: Any, real: RealSeries) -> dict[str, float]:
    config = TSFormerConfig()
    judged = held_out(config, given.seed)
    with variant():
        trial = try_out(
            config,
            steps=given.steps,
            tokens_per_batch=given.tokens,
            seed=given.seed,
            judged=judged,
        )
        scores = real.scores(trial.model)
    # without echoes, errors are counted in other units: they say nothing beside the others
    error = trial.error if variant is not without_echoes else float("nan")
    return {"held out": error, **scores}


if __name__ == "__main__":
    main()
