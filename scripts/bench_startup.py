"""How long do imports take, and the first forecast of a fresh process, beside other packages?

    pip install neuralforecast chronos-forecasting
    python scripts/bench_startup.py

Each import, and each first forecast of AirPassengers a year ahead, happens in a new process; all
take turns, and medians are printed. PatchTST, ours and that of neuralforecast and GluonTS, has to
be trained first, which is not part of it: one step is, without which it does not forecast.
Chronos-Bolt has random weights, as large as those of our pre-trained network. Torch and pandas
alone are what nobody avoids.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # see scripts/benchmark.py

from tsformer import load_dataset

DATA = """
import pandas as pd
df = pd.read_csv(FILE)
"""
QUIET = """
import logging, warnings
logging.disable(logging.WARNING); warnings.simplefilter("ignore")
"""
TRAINER = (
    "dict(enable_progress_bar=False, enable_model_summary=False, logger=False, accelerator='cpu')"
)
IMPORTS = {
    "torch": "import torch",
    "lightning": "import lightning",
    "tsformer": "import tsformer",
    "tsformer, its forecaster": "from tsformer import TSFormerForecaster",
    "neuralforecast": "import neuralforecast",
    "GluonTS": "import gluonts.torch",
    "Chronos": "import chronos",
}
FORECASTS = {
    "torch and pandas alone": DATA + "import torch\n",
    "tsformer": DATA
    + """
from tsformer import TSFormerForecaster
TSFormerForecaster().predict(df, horizon=12)
""",
    "tsformer's PatchTST": DATA
    + """
from tsformer import PatchTSTForecaster
PatchTSTForecaster(horizon=12, context_length=48, max_steps=1, accelerator="cpu").fit(df).predict()
""",
    "neuralforecast": QUIET
    + DATA
    + f"""
from neuralforecast import NeuralForecast
from neuralforecast.models import PatchTST
df["ds"] = pd.to_datetime(df["ds"])
model = PatchTST(h=12, input_size=48, max_steps=1, **{TRAINER}, enable_checkpointing=False)
forecaster = NeuralForecast(models=[model], freq="MS")
forecaster.fit(df)
forecaster.predict()
""",
    "GluonTS": QUIET
    + DATA
    + f"""
from gluonts.dataset.pandas import PandasDataset
from gluonts.torch import PatchTSTEstimator
df["ds"], df["y"] = pd.to_datetime(df["ds"]), df["y"].astype("float32")
data = PandasDataset.from_long_dataframe(
    df, item_id="unique_id", timestamp="ds", target="y", freq="M"
)
estimator = PatchTSTEstimator(
    prediction_length=12, context_length=48, patch_len=16, num_batches_per_epoch=1,
    trainer_kwargs=dict(max_epochs=1, **{TRAINER}),
)
list(estimator.train(data).predict(data))
""",
    "Chronos": QUIET
    + DATA
    + """
import torch
from chronos.chronos_bolt import ChronosBoltModelForForecasting, ChronosBoltPipeline
from transformers import T5Config
config = T5Config(
    d_model=128, d_kv=32, d_ff=256, num_layers=5, num_decoder_layers=5, num_heads=4,
    feed_forward_proj="relu", is_encoder_decoder=True, use_cache=False, pad_token_id=0,
    decoder_start_token_id=0,
)
config.chronos_config = {
    "context_length": 2048, "prediction_length": 64, "input_patch_size": 16,
    "input_patch_stride": 16, "quantiles": [0.1 * k for k in range(1, 10)], "use_reg_token": True,
}
pipeline = ChronosBoltPipeline(ChronosBoltModelForForecasting(config).eval())
pipeline.predict_quantiles(torch.tensor(df["y"].to_numpy()).float()[None], prediction_length=12)
""",
}
NEEDS = {"neuralforecast": "neuralforecast", "GluonTS": "gluonts", "Chronos": "chronos"}


def seconds(code: str) -> float:
    """Return how long a new process takes for it, in a folder where it may leave what it likes."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, "-c", code]
        subprocess.run(command, check=True, cwd=folder, capture_output=True)
        return time.perf_counter() - began


def compare(codes: dict[str, str], rounds: int) -> dict[str, float]:
    """Return medians; all take turns, after a round that does not count."""
    there = {n: c for n, c in codes.items() if n not in NEEDS or find_spec(NEEDS[n])}
    taken: dict[str, list[float]] = {name: [] for name in there}
    for _ in range(1 + rounds):
        for name, code in there.items():
            taken[name].append(seconds(code))
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()

    empty = statistics.median(seconds("pass") for _ in range(3))
    imports = compare(IMPORTS, given.rounds)
    alone = imports["torch"] - empty
    print(f"imports, beyond the {empty:.2f} s of an empty process; as a multiple of torch's")
    for name, taken in imports.items():
        print(f"  {name}: {taken - empty:.2f} s, {(taken - empty) / alone:.2f}")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "air_passengers.csv"
        load_dataset("air_passengers").to_csv(path, index=False)
        codes = {name: code.replace("FILE", repr(str(path))) for name, code in FORECASTS.items()}
        forecasts = compare(codes, given.rounds)
    best = min((t for n, t in forecasts.items() if n in NEEDS), default=None)
    print("first forecast of AirPassengers in a fresh process")
    for name, taken in forecasts.items():
        share = "" if best is None else f", {taken / best:.2f} of the best peer's"
        print(f"  {name}: {taken:.2f} s{share}")


if __name__ == "__main__":
    main()
