"""Forecasters that can learn from other series first: `pretrain`, then `fit`."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal, Self, get_args

import numpy as np
from sklearn.base import clone
from torch import Tensor, nn

from tsformer.data.panel import Panel
from tsformer.data.windows import Windows
from tsformer.forecasters.checks import positive_integer, refuse_all_missing
from tsformer.forecasters.covariates import CovariateForecaster
from tsformer.forecasters.defaults import held_out_sizes
from tsformer.forecasters.history import read_training
from tsformer.forecasters.search_spaces import Range, context_lengths, encoder_sizes
from tsformer.forecasters.words import known_words
from tsformer.models.scaled import ScaledModel
from tsformer.models.weights import load_matching, read_weights, task_parts, write_weights
from tsformer.nn.adapters import add_adapters, merge_adapters
from tsformer.training.settings import TrainingReport

FineTune = Literal["full", "head", "gradual", "adapters"]


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """What `pretrain` learned.

    Attributes:
        tensors: of the network, by name.
        sizes: of the network.
        report: how training went; None for weights from a file.
    """

    tensors: dict[str, Tensor]
    sizes: dict[str, Any]
    report: TrainingReport | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class PretrainedForecaster(CovariateForecaster):
    """A forecaster whose network may begin with weights that other series have taught.

    They come from `pretrain`, or from a file that `save_weights` wrote. The network then has the
    sizes that it was pre-trained with.

    Args:
        weights: such a file.
        fine_tune: what `fit` learns then: `"full"`, all weights; `"head"`, those of the forecast
            alone (linear probing); `"gradual"`, these in the first third of the steps and all
            afterwards; `"adapters"`, these and low-rank adapters (Hu et al. 2022) of all others.
        adapter_rank: their rank.
    """

    weights: str | PathLike[str] | None = None
    fine_tune: FineTune = "full"
    adapter_rank: int = 8

    def _check_parameters(self) -> None:
        super()._check_parameters()
        positive_integer("adapter_rank", self.adapter_rank)
        if self.fine_tune not in get_args(FineTune):
            known = ", ".join(map(repr, get_args(FineTune)))
            raise ValueError(f"fine_tune={self.fine_tune!r} is unknown; choose one of {known}")

    @known_words
    def pretrain(
        self, df: Any, *, static_df: Any = None, val_df: Any = None, val_size: int | None = None
    ) -> Self:
        """Learn from other series, which need no relation to those of `fit`; return self.

        The arguments are those of `fit`. What is learned is what `fit` begins with, and what
        copies of this forecaster begin with.
        """
        self._check_parameters()
        panel, layout, held_out = read_training(df, val_df, val_size, self._schema)
        panel = self._with_static(panel, layout, static_df, self._schema)
        return self.pretrain_panel(panel, held_out)

    def pretrain_panel(self, panel: Panel, val_size: int | np.ndarray | None = None) -> Self:
        """Learn from the series of a panel first; return self."""
        refuse_all_missing(panel)
        learner = clone(self).set_params(warm_start=False, weights=None)
        learner.__dict__.pop("pretrained_", None)
        learner.season_length_ = self.season_length or panel.freq.season_length
        held_out = held_out_sizes(panel.lengths, self.horizon, val_size)
        learner.context_length_ = learner._suitable_context_length(panel.lengths - held_out)
        learner.encoder_ = learner._encoder(panel.head(panel.lengths - held_out))
        learner.sizes_ = learner._pretraining_sizes()
        model = learner._initial_model()
        training, validation = learner._windows(panel, held_out)
        if not len(training):
            raise ValueError("no series has the two steps that pretrain needs; pass longer ones")
        report = learner._pretrain(model, training, validation)
        tensors = {name: t.detach().clone() for name, t in model.network.state_dict().items()}
        self.pretrained_ = Pretrained(tensors=tensors, sizes=learner.sizes_, report=report)
        return self

    def _pretraining_sizes(self) -> dict[str, Any]:
        """Return the sizes of the network to pre-train."""
        return self._sizes()

    def _pretrain(
        self, model: ScaledModel, training: Windows, validation: Windows
    ) -> TrainingReport:
        """Teach the network in place; here by the forecasts it is made for."""
        return CovariateForecaster._train(self, model, training, validation)

    def save_weights(self, path: str | PathLike[str]) -> None:
        """Write the network's weights, of `fit` or else of `pretrain`, for `weights=` elsewhere."""
        if hasattr(self, "model_"):
            tensors, sizes = self.model_.network.state_dict(), self.sizes_
        elif hasattr(self, "pretrained_"):
            tensors, sizes = self.pretrained_.tensors, self.pretrained_.sizes
        else:
            raise ValueError("there are no weights yet; call fit or pretrain first")
        write_weights(path, tensors, type(self).__name__, sizes)

    def _known_weights(self) -> Pretrained | None:
        """Return what a network begins with, if anything."""
        if hasattr(self, "pretrained_"):
            return self.pretrained_
        if self.weights is None:
            return None
        tensors, sizes = read_weights(self.weights, type(self).__name__)
        return Pretrained(tensors=tensors, sizes=sizes)

    def _suitable_context_length(self, lengths: np.ndarray) -> int:
        known = self._known_weights()
        if known is None:
            return super()._suitable_context_length(lengths)
        return int(known.sizes["context_length"])

    def _sizes_as_learned(self, sizes: dict[str, Any]) -> dict[str, Any]:
        """Return a network's sizes, those of what it begins with where a task does not set them."""
        known = self._known_weights()
        if known is None:
            return sizes
        own = ("horizon", "head", "levels", "n_covariates", "n_static", "dropout")
        return {**known.sizes, **{name: sizes[name] for name in own}}

    def _initial_model(self) -> ScaledModel:
        model = super()._initial_model()
        known = self._known_weights()
        if known is not None and not (self.warm_start and hasattr(self, "model_")):
            load_matching(model.network, known.tensors, task_parts(model.network))
        return model

    def _train(self, model: ScaledModel, training: Windows, validation: Windows) -> TrainingReport:
        if self._known_weights() is None or self.fine_tune == "full":
            return super()._train(model, training, validation)
        if self.fine_tune == "gradual":
            return self._train_gradually(model, training, validation)
        with _frozen(model.network, rank=self.adapter_rank if self.fine_tune == "adapters" else 0):
            return super()._train(model, training, validation)

    def _train_gradually(
        self, model: ScaledModel, training: Windows, validation: Windows
    ) -> TrainingReport:
        """Teach the parts of the task alone, then all; keep the best weights of both."""
        steps = max(1, self.max_steps // 3)
        with _frozen(model.network, rank=0):
            first = self._train_for(steps, model, training, validation, watched=False)
        kept = copy.deepcopy(model.state_dict())
        model.train()  # where training ends, it is in evaluation mode
        later = self._train_for(max(1, self.max_steps - steps), model, training, validation)
        best_loss, best_step = later.best_loss, first.steps + later.best_step
        if first.best_loss is not None and (best_loss is None or first.best_loss <= best_loss):
            model.load_state_dict(kept)
            best_loss, best_step = first.best_loss, first.best_step
        return TrainingReport(
            steps=first.steps + later.steps,
            best_step=best_step,
            best_loss=best_loss,
            history=[*first.history, *((first.steps + s, loss) for s, loss in later.history)],
            seconds=first.seconds + later.seconds,
        )

    def _state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        state, tensors = super()._state()
        if not hasattr(self, "pretrained_"):
            return state, tensors
        known = {f"pretrained.{name}": t for name, t in self.pretrained_.tensors.items()}
        return {**state, "pretrained": self.pretrained_.sizes}, {**tensors, **known}

    def _restore(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        prefix = "pretrained."
        known = {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
        super()._restore(state, {k: t for k, t in tensors.items() if not k.startswith(prefix)})
        if known:
            self.pretrained_ = Pretrained(tensors=known, sizes=state["pretrained"])

    def _search_space(self, panel: Panel) -> dict[str, Range]:
        own: Any = self
        shortest = own.patch_length or 6 * (own.stride or 0) + 1
        space = {
            **super()._search_space(panel),
            "context_length": context_lengths(self, panel, shortest=shortest),
            **encoder_sizes(self),
        }
        fixed = ("context_length", "d_model", "n_layers") if self._known_weights() else ()
        return {name: values for name, values in space.items() if name not in fixed}

    def __sklearn_clone__(self) -> Self:
        copy = type(self)(**{k: clone(v, safe=False) for k, v in self.get_params(False).items()})
        if hasattr(self, "pretrained_"):
            copy.pretrained_ = self.pretrained_
        return copy


@contextmanager
def _frozen(network: nn.Module, rank: int) -> Iterator[None]:
    """Freeze all parts of a network but those of the task for a while, adapters beside them."""
    own = task_parts(network)
    parts = [part for name, part in network.named_children() if name not in own]
    for part in parts:
        part.requires_grad_(False).eval()  # running statistics stay as they are, too
    if rank:
        add_adapters(network, rank, but=own)
    try:
        yield
    finally:
        merge_adapters(network)
        for part in parts:
            part.requires_grad_(True)
