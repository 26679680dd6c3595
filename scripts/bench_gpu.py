"""How fast is training on a GPU, and how much of what the GPU can multiply does it use?

    pip install neuralforecast
    python scripts/bench_gpu.py

Training steps of PatchTST in three sizes, in 32 bits and in bfloat16, plain and compiled, and
neuralforecast's of the smallest where it is installed. Utilisation is the share of the rate at
which the device multiplies large matrices in the same precision; products of the forward and the
backward pass count, not what is computed again. `--accelerator cpu` tries the script itself. Writes
`gpu.csv` into the folder of results.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from speed_peers import BATCH, CASES, CHANNELS, UNTIMED, Case, NeuralForecast, Ours
from torch.optim.optimizer import register_optimizer_step_post_hook

SIZES = {
    "small": CASES["small"],
    "wide": CASES["wide"],
    "8 million": Case(context=336, horizon=96, width=512, heads=8, hidden=1024),  # weights
}
DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}


def synchronise(accelerator: str) -> None:
    """Wait for what the device has been asked for."""
    if accelerator == "gpu":
        torch.cuda.synchronize()


def seconds_per_step(train: Callable[[int], Any], steps: int, accelerator: str) -> float:
    """Return the mean over `steps`, after some in which things are compiled and allocated."""
    taken, marks = 0, []

    def mark(*_: Any) -> None:
        nonlocal taken
        taken += 1
        if taken in (UNTIMED, UNTIMED + steps):
            synchronise(accelerator)
            marks.append(time.perf_counter())

    hook = register_optimizer_step_post_hook(mark)
    try:
        train(UNTIMED + steps)
    finally:
        hook.remove()
    first, last = marks
    return (last - first) / steps


def peak(precision: str, accelerator: str) -> float:
    """Return the most products and sums a second that large square matrices reach."""
    size, device = (8192, "cuda") if accelerator == "gpu" else (1024, "cpu")
    left, right = torch.randn(2, size, size, device=device).to(DTYPES[precision])
    best = float("inf")
    for _ in range(10):
        synchronise(accelerator)
        began = time.perf_counter()
        torch.mm(left, right)
        synchronise(accelerator)
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def runs(given: argparse.Namespace) -> dict[tuple[str, str, str], Callable[[int], Any]]:
    """Return what trains for a number of steps, by size, package and precision."""
    found: dict[tuple[str, str, str], Callable[[int], Any]] = {}
    ours = Ours()
    for size in given.sizes:
        for precision in given.precisions:
            for compiled in (False, True) if given.compile else (False,):
                name = "tsformer, compiled" if compiled else "tsformer"
                settings = {"accelerator": given.accelerator, "precision": precision}
                train = partial(ours.train, SIZES[size], compile=compiled, **settings)
                found[size, name, precision] = train
    if "small" in given.sizes and importlib.util.find_spec("neuralforecast") is not None:
        train = partial(NeuralForecast().train, SIZES["small"], accelerator=given.accelerator)
        found["small", "neuralforecast", "32-true"] = train
    return found


def main() -> None:
    """Measure, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--accelerator", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--precisions", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3, help="in which all take turns")
    parser.add_argument("--output", type=Path, default=Path("results"))
    given = parser.parse_args()
    if given.accelerator == "gpu" and not torch.cuda.is_available():
        parser.error("torch finds no GPU here; --accelerator cpu tries the script")

    trainings = runs(given)
    seconds: dict[tuple[str, str, str], list[float]] = {key: [] for key in trainings}
    for number in range(given.rounds):
        for key, train in trainings.items():
            seconds[key].append(seconds_per_step(train, given.steps, given.accelerator))
            print(f"round {number + 1}:", *key, f"{seconds[key][-1]:.4f} s", flush=True)
    peaks = {precision: peak(precision, given.accelerator) for precision in given.precisions}
    rows = []
    for (size, name, precision), taken in seconds.items():
        median = statistics.median(taken)
        utilisation = SIZES[size].flops / median / peaks.get(precision, float("nan"))
        rows.append(
            {
                "size": size,
                "package": name,
                "precision": precision,
                "seconds": median,
                "windows_per_second": BATCH * CHANNELS / median,
                "utilisation": utilisation,
            }
        )
    table = pd.DataFrame(rows)
    given.output.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.output / "gpu.csv", index=False)
    print(table.to_string(index=False, float_format="{:.4g}".format))


if __name__ == "__main__":
    main()
