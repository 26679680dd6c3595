"""What forecasters with a trained network share: training, prediction, state."""

from __future__ import annotations

import copy
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from tsformer.cores import side_by_side
from tsformer.data.encoding import CovariateEncoder
from tsformer.data.grid import as_python
from tsformer.data.panel import Panel
from tsformer.data.windows import (
    CovariateSource,
    Windows,
    WindowSource,
    training_range,
    validation_range,
)
from tsformer.forecasters.base import Forecaster
from tsformer.forecasters.checks import (
    FitReport,
    inspect_panel,
    positive_integer,
    series_deviations,
)
from tsformer.forecasters.defaults import default_context_length, held_out_sizes
from tsformer.forecasters.inference import (
    DENSE,
    error_correlation,
    forecast_panel,
    held_out_batches,
    sample_paths,
)
from tsformer.forecasters.search_spaces import Choice, FloatRange, Range, context_lengths
from tsformer.hardware import Precision, training_precision
from tsformer.models.scaled import ScaledModel
from tsformer.nn.heads.distribution import COUNTS
from tsformer.training.settings import TrainingReport, TrainingSettings
from tsformer.types import Forecast


@dataclass(kw_only=True, eq=False, repr=False)
class TrainedForecaster(Forecaster):
    """A forecaster around a network.

    Args:
        context_length: steps that a forecast looks back; by season and data where None.
        head: `"quantile"`, a point trained by `"mse"`, `"mae"` or `"huber"`, or a distribution:
            `"student_t"`, `"normal"`, `"laplace"`, `"negative_binomial"`.
        max_steps: optimiser steps.
        max_epochs: passes over all windows, at most `max_steps`; None draws windows at random.
        batch_size: windows per step.
        learning_rate: its highest value.
        weight_decay: of AdamW.
        gradient_clip: largest norm of the gradient.
        patience: looks at the held out windows, of twenty in all, without improvement before
            training stops; None never stops early.
        accelerator, devices: as Lightning's `Trainer` takes them; more than one device starts the
            caller's script anew in each.
        precision: `"32-true"`; `"bf16-mixed"` or `"16-mixed"` where the accelerator is good at it,
            or `"auto"` for bfloat16 where it pays.
        compile: let torch compile the network before it is trained, which takes half a minute and
            a C++ compiler; for long training of wide networks.
        progress_bar: show one while training.
        loss_units: what errors are counted in while training: `"window"`, the deviation of each
            context, so that calm and lively times weigh alike; `"series"`, that of the whole
            series, as measures of error do.
        warm_start: continue from the weights of the last `fit`.
    """

    _jointly = True
    _watch: ClassVar[Any] = None  # told the share of the training that is done, at each look

    context_length: int | None = None
    head: str = "quantile"
    max_steps: int = TrainingSettings.max_steps
    max_epochs: int | None = TrainingSettings.max_epochs
    batch_size: int = TrainingSettings.batch_size
    learning_rate: float = TrainingSettings.learning_rate
    weight_decay: float = TrainingSettings.weight_decay
    gradient_clip: float = TrainingSettings.gradient_clip
    patience: int | None = TrainingSettings.patience
    accelerator: str = TrainingSettings.accelerator
    devices: Any = TrainingSettings.devices
    precision: Precision = "32-true"
    compile: bool = TrainingSettings.compile
    progress_bar: bool = TrainingSettings.progress_bar
    loss_units: Literal["window", "series"] = "window"
    warm_start: bool = False

    @abstractmethod
    def _sizes(self) -> dict[str, Any]:
        """Return what `_build` needs, for `context_length_` and `horizon`, as JSON can hold it."""

    @abstractmethod
    def _build(self, sizes: dict[str, Any]) -> ScaledModel:
        """Return an untrained network."""

    @property
    def _memory(self) -> int:
        return self.context_length_

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.context_length is not None:
            positive_integer("context_length", self.context_length)
        if self.loss_units not in ("window", "series"):
            raise ValueError(f"loss_units={self.loss_units!r} must be 'window' or 'series'")
        self._settings()

    def _settings(self) -> TrainingSettings:
        width = getattr(self, "sizes_", {}).get("d_model", 0)
        return TrainingSettings(
            max_steps=self.max_steps,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            gradient_clip=self.gradient_clip,
            patience=self.patience,
            accelerator=self.accelerator,
            devices=self.devices,
            precision=training_precision(self.precision, width, self.accelerator),
            compile=self.compile,
            progress_bar=self.progress_bar,
        )

    def _learn(self, panel: Panel, val_size: int | np.ndarray | None) -> FitReport:
        if self.head in COUNTS:
            _refuse_other_than_counts(panel, self.head)
        held_out = held_out_sizes(panel.lengths, self.horizon, val_size)
        self.context_length_ = self._suitable_context_length(panel.lengths - held_out)
        report = inspect_panel(panel, self.context_length_, "context_length")
        self.encoder_ = self._encoder(panel.head(panel.lengths - held_out))
        self.sizes_ = self._sizes()
        model = self._initial_model()
        training, validation = self._windows(panel, held_out)
        if len(training):
            report.training = self._train(model, training, validation)
        self.model_ = model
        judged = list(held_out_batches(validation if len(validation) else training))
        model.eval()
        runs = side_by_side(torch.inference_mode()(model.run), judged)
        with torch.inference_mode():
            if judged:
                model.calibrate(judged, held_out=len(validation) > 0, runs=runs)
            quantiles = (model.read_head(*run, DENSE).quantiles for run in runs)
            self.correlation_ = error_correlation(quantiles, judged)
        return report

    def _suitable_context_length(self, lengths: np.ndarray) -> int:
        if self.context_length is not None:
            return int(self.context_length)
        if self.warm_start and hasattr(self, "model_"):
            return self.model_.context_length
        return default_context_length(lengths, self.horizon, self.season_length_)

    def _windows(self, panel: Panel, held_out: np.ndarray) -> tuple[Windows, Windows]:
        """Return the windows to train on, which know nothing held out, and the held out ones."""
        lengths, sizes = panel.lengths - held_out, (self.context_length_, self.horizon)
        extras: dict[str, Any] = {}
        if self.encoder_.size:
            encoded = self.encoder_.encode(panel, self.horizon)
            extras["covariates"] = CovariateSource.of(panel, encoded, self.horizon)
        # held out errors count as measures of error do, whatever is good to learn from
        series_scale = torch.from_numpy(series_deviations(panel.head(lengths)))
        learned_scale = series_scale if self.loss_units == "series" else None
        source = WindowSource.of(panel, *sizes, lengths=lengths)
        training = Windows(
            source=replace(source, series_scale=learned_scale, **extras),
            range=training_range(lengths, *sizes),
        )
        validation = Windows(
            source=replace(WindowSource.of(panel, *sizes), series_scale=series_scale, **extras),
            range=validation_range(panel.lengths, self.horizon, held_out),
        )
        return training, validation

    def _search_space(self, panel: Panel) -> dict[str, Range]:
        return {
            "context_length": context_lengths(self, panel),
            "learning_rate": FloatRange(3e-4, 1e-2, log=True),
            "batch_size": Choice([16, 32, 64, 128]),
        }

    def _encoder(self, panel: Panel) -> CovariateEncoder:
        """Return how covariates become numbers, learned from what may be known."""
        return CovariateEncoder()

    def _train(self, model: ScaledModel, training: Windows, validation: Windows) -> TrainingReport:
        """Teach the network in place."""
        return self._train_for(self.max_steps, model, training, validation)

    def _train_for(
        self,
        max_steps: int,
        model: ScaledModel,
        training: Windows,
        validation: Windows,
        *,
        watched: bool = True,
    ) -> TrainingReport:
        from tsformer.training.train import train  # imports Lightning, which takes seconds

        return train(
            model,
            training=training,
            validation=validation,
            settings=replace(self._settings(), max_steps=max_steps),
            seed=int(self.random_state),
            watch=self._show if watched and self._watch is not None else None,
        )

    def _show(self, done: float, model: Any) -> None:
        """Let who watches forecast with the network as it is."""
        self.model_ = copy.deepcopy(model).cpu()
        self._watch(done)

    def _initial_model(self) -> ScaledModel:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            model = self._build(self.sizes_)
        if self.warm_start and hasattr(self, "model_"):
            try:
                model.network.load_state_dict(self.model_.network.state_dict())
            except RuntimeError as error:
                raise ValueError(
                    "warm_start=True needs the horizon, the head and the sizes of the last fit; "
                    "set them as they were, or warm_start=False"
                ) from error
        return model

    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        return forecast_panel(self.model_, panel, horizon, levels, self.encoder_)

    def _sample(self, panel: Panel, horizon: int, n_samples: int) -> np.ndarray:
        return sample_paths(
            self._forecast(panel, horizon, DENSE),
            n_samples=n_samples,
            correlation=self.correlation_,
            generator=self._generator(),
        )

    def _state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        learned = ("context_length_", "correlation_", "sizes_")
        state = {name: getattr(self, name) for name in learned}
        state["encoder_"] = self.encoder_.to_json()
        return state, dict(self.model_.state_dict())

    def _restore(self, state: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        self.context_length_ = state["context_length_"]
        self.correlation_ = state["correlation_"]
        self.sizes_ = state["sizes_"]
        self.encoder_ = CovariateEncoder.from_json(state["encoder_"])
        self.model_ = self._build(self.sizes_)
        self.model_.load_state_dict(tensors)
        self.model_.eval()


def _refuse_other_than_counts(panel: Panel, head: str) -> None:
    values = panel.values
    wrong = np.isfinite(values) & ((values < 0) | (values % 1 != 0))
    if wrong.any():
        variate, place = (int(index) for index in np.argwhere(wrong)[0])
        number = int(np.searchsorted(panel.offsets, place, side="right")) - 1
        raise ValueError(
            f"head={head!r} is for counts, but series {as_python(panel.ids[number])!r} holds "
            f"{values[variate, place]:g}; choose head='quantile'"
        )
