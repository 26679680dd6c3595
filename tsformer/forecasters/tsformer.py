"""TSFormer, which forecasts before any training, behind `fit` and `predict`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from tsformer.data.encoding import CovariateEncoder
from tsformer.data.frame import Schema
from tsformer.data.panel import Panel
from tsformer.data.windows import Windows, WindowSource, training_range, validation_range
from tsformer.forecasters.base import Forecaster
from tsformer.forecasters.checks import FitReport, inspect_panel, positive_integer
from tsformer.forecasters.defaults import held_out_sizes
from tsformer.forecasters.inference import DENSE, error_correlation, held_out_batches, sample_paths
from tsformer.forecasters.regression import explain
from tsformer.forecasters.search_spaces import Choice, FloatRange, Range
from tsformer.forecasters.words import known_words
from tsformer.forecasters.zero_shot import embed_unseen, forecast_unseen
from tsformer.hardware import Precision, half_precision
from tsformer.models.tsformer import TSFormerConfig
from tsformer.models.weights import read_weights, write_weights
from tsformer.models.zero_shot import AskedTSFormer, TSFormer
from tsformer.nn.adapters import add_adapters, merge_adapters
from tsformer.training.settings import TrainingSettings
from tsformer.types import Forecast

_PACKAGED = Path(__file__).parents[1] / "weights"
_KIND = "tsformer"
_SHORTEST, _TRAINED_CONTEXT = 16, 512  # steps of context that training looks at, for the time
_JUDGED = 256  # series that tell how errors of neighbouring steps hang together
_READOUT = ("readout", "mixture")  # what adapters leave to be trained as a whole


@dataclass(kw_only=True, eq=False, repr=False)
class TSFormerForecaster(Forecaster):
    """TSFormer with its pre-trained weights: forecasts any series without having seen it.

    The weights were trained on synthetic series alone (see `tsformer.prior`), so that no real
    series can have leaked into them. `predict(df)` works without `fit`, which only remembers the
    series unless `finetune_steps` are asked for. Targets are forecast each by its own past.

    Args:
        horizon: steps to forecast; `predict` may ask for any other number.
        weights: `"small"` or `"base"`, which come with the package, or a file of `save_weights`
            or of `scripts/pretrain.py`.
        context_length: steps that are looked back at most; None for as many as the weights allow,
            2,048 for those of the package, which is also the most.
        finetune_steps: steps of training on the fitted series; what is best on held out steps is
            kept, be it the weights as they were.
        future_covariates: columns of `df` that are known beyond its end, promotions for instance;
            `future_df` brings their future. A regression for each series takes out what they
            explain (see `explain`); what is left is forecast.
        adapter_rank: of low-rank adapters (Hu et al. 2022) that are trained instead of all weights;
            0 trains these.
        learning_rate, batch_size, weight_decay, gradient_clip, patience: of that training.
        accelerator, devices: as Lightning's `Trainer` takes them.
        precision: of the network's products when it forecasts: `"auto"` for bfloat16 where the
            processor has instructions for it, which is half as fast again and moves forecasts by
            some thousandths of their 90 % interval, or some hundredths at most; or always
            `"32-true"` or `"bf16-mixed"`.
    """

    horizon: int = 1
    weights: str | PathLike[str] = "small"
    context_length: int | None = None
    future_covariates: Sequence[str] = ()
    finetune_steps: int = 0
    adapter_rank: int = 0
    learning_rate: float = 2e-4
    batch_size: int = 32
    weight_decay: float = TrainingSettings.weight_decay
    gradient_clip: float = TrainingSettings.gradient_clip
    patience: int | None = TrainingSettings.patience
    accelerator: str = TrainingSettings.accelerator
    devices: Any = TrainingSettings.devices
    precision: Precision = "auto"

    @known_words
    def embed(self, df: Any = None) -> pd.DataFrame:
        """Return a vector for each series: D columns, those of several targets beside each other.

        The rows have the ids of the series, in their order. Series that go on alike lie close to
        each other, whatever their units: scikit-learn's `NearestNeighbors` finds them.
        """
        fitted = self._fitted(df)
        panel, layout = fitted._context(df)
        recent = panel.tail(fitted._memory).univariate()
        vectors = embed_unseen(fitted.model_, recent, fitted.season_length_)
        rows = vectors.reshape(len(panel), -1)[layout.order]
        return pd.DataFrame(rows, index=pd.Index(panel.ids[layout.order], name="unique_id"))

    def save_weights(self, path: str | PathLike[str]) -> None:
        """Write the network's weights, for `weights=` elsewhere."""
        model = self.model_ if hasattr(self, "model_") else _pretrained(self.weights)
        write_weights(path, model.state_dict(), _KIND, asdict(model.config))

    @property
    def _needs_fit(self) -> bool:
        return bool(self.finetune_steps)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.context_length is not None:
            positive_integer("context_length", self.context_length)
        for name in ("finetune_steps", "adapter_rank"):
            if getattr(self, name) != 0:
                positive_integer(name, getattr(self, name))
        if isinstance(self.future_covariates, str):
            raise TypeError(f"future_covariates={self.future_covariates!r} must be a list of names")
        self._settings()
        half_precision(self.precision, 1)

    @property
    def _schema(self) -> Schema:
        return replace(super()._schema, future_covariates=tuple(self.future_covariates))

    def _settings(self) -> TrainingSettings:
        return TrainingSettings(
            max_steps=max(1, self.finetune_steps),
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            gradient_clip=self.gradient_clip,
            patience=self.patience,
            validations=min(10, max(1, self.finetune_steps // 10)),
            accelerator=self.accelerator,
            devices=self.devices,
        )

    @property
    def _memory(self) -> int:
        model = self.model_ if hasattr(self, "model_") else _pretrained(self.weights)
        longest = model.config.longest_context
        return min(int(self.context_length or longest), longest)

    def _learn(self, panel: Panel, val_size: int | np.ndarray | None) -> FitReport:
        report = inspect_panel(panel, 2 * self.season_length_, "two seasons")
        self.model_ = _pretrained(self.weights)
        held_out = held_out_sizes(panel.lengths, self.horizon, val_size)
        known = panel.head(panel.lengths - held_out) if self.finetune_steps else panel
        self.encoder_ = CovariateEncoder.of(known, calendar=False)
        if self.finetune_steps:
            self._finetune(panel, held_out, report)
        return report

    def _finetune(self, panel: Panel, held_out: np.ndarray, report: FitReport) -> None:
        """Train a copy of the network, and keep it if it is better on what is held out."""
        from tsformer.training.train import train  # imports Lightning, which takes seconds

        lengths = panel.lengths - held_out
        if self.encoder_.n_future:
            panel = explain(panel, self.encoder_, 0, self.season_length_, lengths).rest
        typical = max(_SHORTEST, int(np.quantile(lengths, 0.75)))
        sizes = (min(self._memory, _TRAINED_CONTEXT, typical), self.horizon)
        training = Windows(
            source=WindowSource.of(panel, *sizes, lengths=lengths),
            range=training_range(lengths, *sizes),
        )
        validation = Windows(
            source=WindowSource.of(panel, *sizes),
            range=validation_range(panel.lengths, self.horizon, held_out),
        )
        if not len(training):
            report.remarks["too short to finetune"] = panel.ids.tolist()
            return
        model = copy.deepcopy(self.model_)
        if self.adapter_rank:
            model.requires_grad_(False)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(self.random_state))
                add_adapters(model.network, self.adapter_rank, but=_READOUT)
            for name in _READOUT:
                getattr(model.network, name).requires_grad_(True)
        before, after = (self._asked(m, *sizes) for m in (self.model_, model))
        report.training = train(
            after,
            training=training,
            validation=validation,
            settings=self._settings(),
            seed=int(self.random_state),
        )
        if self.adapter_rank:
            merge_adapters(model.network)
        model.requires_grad_(True)
        judged = list(held_out_batches(validation))
        with torch.inference_mode():
            losses = [
                sum(float(m.eval().loss(b)) * len(b) for b in judged) for m in (before, after)
            ]
        if not judged or losses[1] <= losses[0]:
            self.model_ = model

    def _asked(self, model: TSFormer, context_length: int, horizon: int) -> AskedTSFormer:
        return AskedTSFormer(
            model,
            context_length=context_length,
            horizon=horizon,
            season_length=self.season_length_,
        )

    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        if not self.encoder_.n_future:
            return self._forecast_alone(panel, horizon, levels)
        explained = explain(panel, self.encoder_, horizon, self.season_length_)
        rest = self._forecast_alone(explained.rest, horizon, levels)
        return Forecast(
            mean=rest.mean + explained.coming,
            quantiles=rest.quantiles + explained.coming[..., None],
            levels=levels,
        )

    def _forecast_alone(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        return forecast_unseen(
            self.model_,
            panel,
            horizon,
            levels,
            season_length=self.season_length_,
            longest=self._memory,
            precision=self.precision,
        )

    def _sample(self, panel: Panel, horizon: int, n_samples: int) -> np.ndarray:
        return sample_paths(
            self._forecast(panel, horizon, DENSE),
            n_samples=n_samples,
            correlation=self._correlation(panel, horizon),
            generator=self._generator(),
        )

    def _correlation(self, panel: Panel, horizon: int) -> float:
        """Return how errors of neighbouring steps hang together, if the ends had been forecast."""
        if self.encoder_.n_future:
            panel = explain(panel, self.encoder_, 0, self.season_length_).rest
        long = np.flatnonzero(panel.lengths > 2 * horizon)
        chosen = panel.select(long[:: 1 + len(long) // _JUDGED])
        if not len(chosen):
            return 0.0
        longest = int(chosen.lengths.max()) - horizon
        context_length = min(self._memory, _TRAINED_CONTEXT, longest)
        judged = np.clip(chosen.lengths // 2, horizon, 10 * horizon)
        windows = Windows(
            source=WindowSource.of(chosen, context_length, horizon),
            range=validation_range(chosen.lengths, horizon, judged),
        )
        asked = self._asked(self.model_, context_length, horizon)
        batches = list(held_out_batches(windows))
        with torch.inference_mode():
            return error_correlation((asked.predict(b, DENSE).quantiles for b in batches), batches)

    def _search_space(self, panel: Panel) -> dict[str, Range]:
        return {
            "finetune_steps": Choice([0, 50, 200]),
            "learning_rate": FloatRange(3e-5, 1e-3, log=True),
        }

    def _state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        state = {"sizes_": asdict(self.model_.config), "encoder_": self.encoder_.to_json()}
        return state, dict(self.model_.state_dict())

    def _restore(self, state: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        self.encoder_ = CovariateEncoder.from_json(state["encoder_"])
        self.model_ = _built(state["sizes_"], tensors)


def _pretrained(weights: str | PathLike[str]) -> TSFormer:
    """Return the network of these weights, shared by all that ask for it.

    Raises:
        FileNotFoundError: where there are none.
        ValueError: for a file of something else.
    """
    if not isinstance(weights, str | PathLike):
        raise TypeError(f"weights={weights!r} must be a name or a file")
    packaged = _PACKAGED / f"tsformer_{weights}.safetensors"
    named = isinstance(weights, str) and packaged.is_file()
    path = packaged if named else Path(weights)
    if not path.is_file():
        known = ", ".join(
            repr(file.stem.removeprefix("tsformer_"))
            for file in sorted(_PACKAGED.glob("tsformer_*.safetensors"))
        )
        raise FileNotFoundError(
            f"weights={str(weights)!r} is neither a file nor one of the package's: {known}"
        )
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> TSFormer:
    tensors, sizes = read_weights(path, _KIND)
    try:
        return _built(sizes, tensors)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"weights={str(path)!r} do not fit their own sizes: {error}") from error


def _built(sizes: dict[str, Any], tensors: dict[str, torch.Tensor]) -> TSFormer:
    with torch.random.fork_rng(devices=[]):
        model = TSFormer(TSFormerConfig(**sizes))
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return model.eval()
