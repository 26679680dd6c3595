"""The same work done by tsformer and by other packages, each in a process of its own.

`scripts/bench_speed.py` starts a process per package, `python scripts/speed_peers.py NAME THREADS`,
and asks it for pieces of work, a line of JSON each; it answers with what they took.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # see scripts/benchmark.py

import numpy as np
import pandas as pd
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

CHANNELS, ROWS, TRAINING_ROWS, TEST_ROWS = 7, 14_400, 8_640, 2_880
LAYERS, DROPOUT, BATCH = 3, 0.2, 128  # windows of all channels
UNTIMED = 3  # steps at the beginning of a training


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is forecast, and by how large a network."""

    context: int
    horizon: int
    patch: int = 16
    stride: int = 8
    width: int
    heads: int
    hidden: int
    panel: bool = False

    @property
    def batch_size(self) -> int:
        """Windows of one series each in a step."""
        return 256 if self.panel else BATCH * CHANNELS

    @property
    def training_rows(self) -> int | None:
        """How many rows are trained on; None for all."""
        return None if self.panel else TRAINING_ROWS

    @property
    def flops(self) -> float:
        """Products and sums of numbers in a step's matrix products, forwards and backwards."""
        n_patches = (self.context - self.patch) // self.stride + 2
        token = 4 * self.width**2 + 2 * self.width * self.hidden + 2 * n_patches * self.width
        window = n_patches * (LAYERS * token + self.width * (self.patch + self.horizon))
        return 3 * 2.0 * self.batch_size * window


CASES = {
    "small": Case(context=336, horizon=96, width=16, heads=4, hidden=128),
    "wide": Case(context=336, horizon=96, width=128, heads=16, hidden=256),
    "panel": Case(context=72, horizon=18, width=16, heads=4, hidden=128, panel=True),
}


@cache
def series(panel: bool) -> np.ndarray:
    """Return waves with noise: 7 channels as long as ETTh1's, or 10,000 series of 200 steps."""
    n, length = (10_000, 200) if panel else (CHANNELS, ROWS)
    generator = np.random.default_rng(0)
    wave = np.sin(np.arange(length) / 24 * 2 * np.pi + generator.uniform(0, 6, size=(n, 1)))
    return (wave + generator.normal(size=(n, length))).astype(np.float32)


@cache
def frame(panel: bool, rows: int | None = None) -> pd.DataFrame:
    """Return them as a long frame, hourly."""
    values = series(panel)[:, :rows]
    times = pd.date_range("2020-01-01", periods=values.shape[1], freq="h")
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{number:05}" for number in range(len(values))], len(times)),
            "ds": np.tile(times, len(values)),
            "y": values.ravel(),
        }
    )


def test_windows(case: Case) -> torch.Tensor:
    """Return the contexts of the test part, `[2785, 7, L]`."""
    views = np.lib.stride_tricks.sliding_window_view(series(False), case.context, axis=1)
    count = TEST_ROWS - case.horizon + 1
    return torch.from_numpy(views[:, -count:].transpose(1, 0, 2).copy())


class Ours:
    """tsformer."""

    def __init__(self) -> None:
        import tsformer.training.train  # noqa: F401  (imports Lightning, as fit would)
        from tsformer import PatchTSTForecaster

        self.forecaster = PatchTSTForecaster

    def train(self, case: Case, steps: int, **changes: Any) -> Any:
        """Return a forecaster after so many steps."""
        parameters = {
            "horizon": case.horizon,
            "context_length": case.context,
            "patch_length": case.patch,
            "stride": case.stride,
            "d_model": case.width,
            "n_heads": case.heads,
            "d_ff": case.hidden,
            "n_layers": LAYERS,
            "dropout": DROPOUT,
            "head": "mse",
            "batch_size": case.batch_size,
            "max_steps": steps,
            "patience": None,
            "accelerator": "cpu",
            "quantiles": [0.5],
            "precision": "32-true",
            **changes,
        }
        df = frame(case.panel, case.training_rows)
        return self.forecaster(**parameters).fit(df, val_size=0)

    def train_without_dropout(self, case: Case, steps: int) -> None:
        """Train with nothing left out."""
        self.train(case, steps, dropout=0.0)

    def train_in_bfloat16(self, case: Case, steps: int) -> None:
        """Train with products in 16 bits."""
        self.train(case, steps, precision="bf16-mixed")

    def whole(self, case: Case, steps: int) -> None:
        """Train and forecast, frame to frame."""
        self.train(case, steps).predict()

    def forecast(self, case: Case) -> Callable[[], Any]:
        """Return what forecasts every series from its end, frame to frame."""
        forecaster, df = self.train(case, 1), frame(case.panel)
        return lambda: forecaster.predict(df)

    def roll(self, case: Case) -> Callable[[], Any]:
        """Return what forecasts from each row of the test part, frame to frame."""
        forecaster, df = self.train(case, 1), frame(case.panel)
        count = TEST_ROWS - case.horizon + 1
        return lambda: forecaster.cross_validation(df, n_windows=count, step_size=1, refit=None)

    def network(self, case: Case) -> Callable[[], Any]:
        """Return what sends the windows of the test part through the network."""
        from tsformer.types import Batch

        model, windows = self.train(case, 1).model_.eval(), test_windows(case)
        observed = torch.ones_like(windows[:BATCH], dtype=torch.bool)

        def run() -> None:
            with torch.inference_mode():
                for part in windows.split(BATCH):
                    model.predict(Batch(target=part, observed=observed[: len(part)]), (0.5,))

        return run


class HuggingFace:
    """PatchTST of transformers, in a plain loop."""

    def __init__(self) -> None:
        from transformers import PatchTSTConfig, PatchTSTForPrediction

        self.config, self.network_type = PatchTSTConfig, PatchTSTForPrediction

    def model(self, case: Case) -> Any:
        """Return an untrained network."""
        return self.network_type(
            self.config(
                num_input_channels=CHANNELS,
                context_length=case.context,
                prediction_length=case.horizon,
                patch_length=case.patch,
                patch_stride=case.stride,
                d_model=case.width,
                num_attention_heads=case.heads,
                ffn_dim=case.hidden,
                num_hidden_layers=LAYERS,
                positional_dropout=DROPOUT,
                path_dropout=DROPOUT,
                ff_dropout=DROPOUT,
                attention_dropout=0.0,
                head_dropout=0.0,
                scaling="std",
                loss="mse",
            )
        )

    def train(self, case: Case, steps: int) -> None:
        """Train on windows that are gathered a whole batch at a time."""
        model = self.model(case).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        values = torch.from_numpy(series(False)[:, :TRAINING_ROWS].T.copy())  # [T, C]
        reach = torch.arange(case.context + case.horizon)
        for _ in range(steps):
            begins = torch.randint(TRAINING_ROWS - len(reach), (BATCH, 1))
            windows = values[begins + reach]
            past, future = windows[:, : case.context], windows[:, case.context :]
            model(past_values=past, future_values=future).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    def network(self, case: Case) -> Callable[[], Any]:
        """Return what sends the windows of the test part through the network."""
        model = self.model(case).eval()
        windows = test_windows(case).transpose(1, 2).contiguous()

        def run() -> None:
            with torch.inference_mode():
                for part in windows.split(BATCH):
                    model(past_values=part)

        return run


class NeuralForecast:
    """PatchTST of neuralforecast."""

    def __init__(self) -> None:
        from neuralforecast import NeuralForecast
        from neuralforecast.losses.pytorch import MSE
        from neuralforecast.models import PatchTST

        self.fitting, self.loss, self.model = NeuralForecast, MSE, PatchTST

    def train(self, case: Case, steps: int, accelerator: str = "cpu") -> Any:
        """Return a fitted one."""
        model = self.model(
            h=case.horizon,
            input_size=case.context,
            encoder_layers=LAYERS,
            n_heads=case.heads,
            hidden_size=case.width,
            linear_hidden_size=case.hidden,
            dropout=DROPOUT,
            fc_dropout=DROPOUT,
            patch_len=case.patch,
            stride=case.stride,
            loss=self.loss(),
            max_steps=steps,
            batch_size=256 if case.panel else CHANNELS,
            windows_batch_size=case.batch_size,
            inference_windows_batch_size=1024,
            val_check_steps=steps + 1,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            logger=False,
            accelerator=accelerator,
        )
        fitting = self.fitting(models=[model], freq="h")
        fitting.fit(df=frame(case.panel, case.training_rows))
        return fitting

    def whole(self, case: Case, steps: int) -> None:
        """Train and forecast, frame to frame."""
        self.train(case, steps).predict()

    def forecast(self, case: Case) -> Callable[[], Any]:
        """Return what forecasts every series from its end, frame to frame."""
        fitting, df = self.train(case, 1), frame(case.panel)
        return lambda: fitting.predict(df=df)

    def roll(self, case: Case) -> Callable[[], Any]:
        """Return what forecasts from each row of the test part, frame to frame."""
        fitting, df = self.train(case, 1), frame(case.panel)
        return lambda: fitting.cross_validation(
            df=df, n_windows=None, test_size=TEST_ROWS, step_size=1, use_fitted=True
        )


class GluonTS:
    """PatchTST of GluonTS."""

    def __init__(self) -> None:
        from gluonts.dataset.pandas import PandasDataset
        from gluonts.torch import PatchTSTEstimator

        self.data, self.estimator = PandasDataset, PatchTSTEstimator

    def read(self, df: pd.DataFrame) -> Any:
        """Return a long frame as GluonTS has it."""
        return self.data.from_long_dataframe(
            df, item_id="unique_id", timestamp="ds", target="y", freq="h"
        )

    def train(self, case: Case, steps: int) -> Any:
        """Return a trained one."""
        estimator = self.estimator(
            prediction_length=case.horizon,
            context_length=case.context,
            patch_len=case.patch,
            stride=case.stride,
            d_model=case.width,
            nhead=case.heads,
            dim_feedforward=case.hidden,
            dropout=DROPOUT,
            num_encoder_layers=LAYERS,
            batch_size=case.batch_size,
            num_batches_per_epoch=steps,
            trainer_kwargs={
                "max_epochs": 1,
                "accelerator": "cpu",
                "enable_progress_bar": False,
                "enable_model_summary": False,
                "enable_checkpointing": True,  # it insists
                "logger": False,
            },
        )
        return estimator.train(self.read(frame(case.panel, case.training_rows)))

    def whole(self, case: Case, steps: int) -> None:
        """Train and forecast, frame to frame."""
        self.answer(self.train(case, steps), frame(case.panel))

    def answer(self, predictor: Any, df: pd.DataFrame) -> pd.DataFrame:
        """Return the medians as a frame."""
        rows = [
            pd.DataFrame({"unique_id": one.item_id, "median": one.quantile(0.5)})
            for one in predictor.predict(self.read(df))
        ]
        return pd.concat(rows)

    def forecast(self, case: Case) -> Callable[[], Any]:
        """Return what forecasts every series from its end, frame to frame."""
        predictor, df = self.train(case, 1), frame(case.panel)
        return lambda: self.answer(predictor, df)


PEERS: dict[str, Callable[[], Any]] = {
    "tsformer": Ours,
    "neuralforecast": NeuralForecast,
    "Hugging Face": HuggingFace,
    "GluonTS": GluonTS,
}


def peak_memory() -> int:
    """Return the bytes that this process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fastest(run: Callable[[], Any]) -> float:
    """Return the seconds of the fastest of a few runs, one alone where it takes long.

    While the others had their turn, what this process needs left the caches.
    """
    taken: list[float] = []
    began = time.perf_counter()
    while not taken or (len(taken) < 5 and time.perf_counter() - began < 2):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


def main() -> None:
    """Answer pieces of work, line by line, until there are no more."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    answers, sys.stdout = sys.stdout, sys.stderr  # what packages print is no answer
    torch.set_num_threads(int(sys.argv[2]))
    peer = PEERS[sys.argv[1]]()
    imported = peak_memory()
    print("ready", file=answers, flush=True)
    stamps: list[float] = []
    register_optimizer_step_post_hook(lambda *_: stamps.append(time.perf_counter()))
    prepared: dict[tuple[str, str], Callable[[], Any]] = {}
    for line in sys.stdin:
        work = json.loads(line)
        case, name, key = CASES[work["case"]], work["work"], (work["work"], work["case"])
        frame(case.panel, case.training_rows)
        stamps.clear()
        if "steps" in work:
            began = time.perf_counter()
            getattr(peer, name)(case, work["steps"] + UNTIMED * name.startswith("train"))
            seconds = time.perf_counter() - began
            if name.startswith("train"):
                seconds = statistics.median(np.diff(stamps[UNTIMED - 1 :]))
        else:
            if key not in prepared:
                prepared[key] = getattr(peer, name)(case)
                prepared[key]()  # the first one warms up
            seconds = fastest(prepared[key])
        answer = {"seconds": seconds, "imported": imported, "peak": peak_memory()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
