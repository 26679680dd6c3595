"""How fast are forecasts without training, beside an equally large Chronos-Bolt?

    pip install chronos-forecasting
    python scripts/bench_zero_shot.py

414 series of 512 steps, 48 ahead, as many as M4's hourly ones; random walks, whose values make no
difference to the time. All take turns; Chronos-Bolt (Ansari et al. 2024) has random weights, which
make none either. Then one forecast in a fresh process, imports and all.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # see scripts/benchmark.py

import numpy as np
import torch
from sklearn.base import clone

from tsformer import TSFormerForecaster
from tsformer.data.frame import Schema, read_panel
from tsformer.evaluation.runner import peak_memory
from tsformer.hardware import half_precision

N_SERIES, CONTEXT, HORIZON = 414, 512, 48
FRESH = """
from tsformer import TSFormerForecaster, load_dataset
df = load_dataset("air_passengers")
print(TSFormerForecaster().predict(df, horizon=12)["mean"].mean())
"""


def main() -> None:
    """Print medians, their ratio, memory, and the time of a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", default="small", help="of the package, or a file")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()

    values = np.random.default_rng(0).normal(size=(N_SERIES, CONTEXT)).cumsum(axis=1)
    panel, _ = read_panel(values, Schema())
    forecaster = TSFormerForecaster(horizon=HORIZON, weights=given.weights).fit(values)
    n_parameters = sum(p.numel() for p in forecaster.model_.parameters())
    bits = 16 if half_precision("auto", forecaster.model_.config.d_model) else 32
    full = clone(forecaster).set_params(precision="32-true").fit(values)
    ours = f"TSFormer, {n_parameters:,} parameters"
    runs: dict[str, Callable[[], Any]] = {
        f"{ours}, in {bits} bits": lambda: forecaster.predict_panel(panel),
        f"{ours}, in 32 bits throughout": lambda: full.predict_panel(panel),
        f"{ours}, in {bits} bits, to a frame": lambda: forecaster.predict(values),
    }
    context = torch.from_numpy(values).float()
    for bits, dtype in ((32, torch.float32), (16, torch.bfloat16)):
        bolt = _bolt(n_parameters, dtype)
        if bolt is None:
            break
        size = sum(p.numel() for p in bolt.model.parameters())
        runs[f"Chronos-Bolt, {size:,} parameters, in {bits} bits"] = partial(
            bolt.predict_quantiles, context, prediction_length=HORIZON
        )
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    with peak_memory() as memory:
        for _ in range(1 + given.rounds):  # the first one warms up
            for name, run in runs.items():
                began = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - began)
    first = statistics.median(next(iter(seconds.values()))[1:])
    print(f"{torch.get_num_threads()} threads, medians of {given.rounds} rounds")
    for name, taken in seconds.items():
        median = statistics.median(taken[1:])
        print(f"{name}: {median:.2f} s, {median / first:.2f} times the first")
    print(f"peak memory {memory['peak'] / 2**20:.0f} MB, of all of them")
    fresh = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", FRESH], check=True, stdout=subprocess.DEVNULL)
        fresh.append(time.perf_counter() - began)
    print(f"AirPassengers in a fresh process: {statistics.median(fresh):.2f} s")


def _bolt(n_parameters: int, dtype: torch.dtype) -> Any:
    """Return a Chronos-Bolt of about this size with random weights, None without its package."""
    try:
        from chronos.chronos_bolt import ChronosBoltModelForForecasting, ChronosBoltPipeline
        from transformers import T5Config
    except ImportError:
        print("chronos-forecasting is not installed: TSFormer alone")
        return None
    width = 128 if n_parameters < 3e6 else 256
    candidates = []
    for layers in range(1, 13):
        config = T5Config(
            d_model=width,
            d_kv=width // 4,
            d_ff=2 * width,
            num_layers=layers,
            num_decoder_layers=layers,
            num_heads=4,
            feed_forward_proj="relu",
            is_encoder_decoder=True,
            use_cache=False,
            pad_token_id=0,
            decoder_start_token_id=0,
        )
        config.chronos_config = {
            "context_length": 2048,
            "prediction_length": 64,
            "input_patch_size": 16,
            "input_patch_stride": 16,
            "quantiles": [round(0.1 * k, 1) for k in range(1, 10)],
            "use_reg_token": True,
        }
        model = ChronosBoltModelForForecasting(config).eval()
        size = sum(p.numel() for p in model.parameters())
        candidates.append((abs(size - n_parameters), layers, model))
    return ChronosBoltPipeline(min(candidates, key=lambda c: c[:2])[2].to(dtype))


if __name__ == "__main__":
    main()
