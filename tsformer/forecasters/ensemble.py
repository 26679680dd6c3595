"""A mean of several forecasters, which weigh the same or by what would have forecast best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.base import clone

from tsformer.data.frame import Schema
from tsformer.data.panel import Panel
from tsformer.forecasters.base import Forecaster
from tsformer.forecasters.checks import FitReport
from tsformer.forecasters.conformal_paths import transport
from tsformer.forecasters.conformal_scores import LEVELS
from tsformer.forecasters.defaults import held_out_sizes
from tsformer.forecasters.ensemble_judging import covariates_of, found_weights, seeing, seen_by
from tsformer.forecasters.fallback import forecast_all, sample_all
from tsformer.forecasters.wrapping import SHARED, WrappingForecaster, part_of, told
from tsformer.types import Forecast

_WORDS = ("equal", "held_out")


@dataclass(kw_only=True, eq=False, repr=False)
class EnsembleForecaster(WrappingForecaster):
    """Forecasts by a weighted mean of several forecasters.

    Means are averaged, and so are quantiles, level by level (Lichtendahl et al. 2013). A network
    that was trained on your series and TSFormer, which knows series in general, err differently,
    so that together they are often better than either.

    All are fitted alike. They weigh the same, which is hard to improve on (Clemen 1989), or, with
    `weights="held_out"`, what would have forecast best from cut-offs within the steps that are held
    out (`val_size`, `val_df`, or a tail of each series), all series together: ensemble selection
    (Caruana et al. 2004). That pays where some of them are much worse than others, and where there
    are many horizons to judge by. Those that are trained or calibrated with a look at the held out
    steps seem a little better by these than they are. Where less than a horizon is held out, all
    weigh the same.

    A forecaster has no say on a series that has no value among the latest steps that it looks at.

    Args:
        forecaster: the first one. Its horizon, quantiles and columns are those of all; so are its
            season, for those that name none, and its covariates, which the others may name, too,
            or do without.
        others: forecasters to average it with. The same one several times is as many networks:
            the k-th of the others has the `random_state` of the first, plus k.
        weights: `"equal"`, `"held_out"`, or numbers for `forecaster` and each of the others, of
            which the proportions count.
    """

    others: Sequence[Forecaster]
    weights: Literal["equal", "held_out"] | Sequence[float] = "equal"

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if isinstance(self.others, Forecaster | str) or not isinstance(self.others, Sequence):
            raise TypeError(f"others={self.others!r} must be a list of forecasters")
        if not self.others:
            raise ValueError("others is empty; give one forecaster or more")
        for number, other in enumerate(self.others):
            _check_other(f"others[{number}]", other, self._schema)
        _check_weights(self.weights, 1 + len(self.others))

    @property
    def _members(self) -> list[Forecaster]:
        return [self.forecaster_, *self.others_]

    @property
    def _memory(self) -> int:
        return max(member._memory for member in self._members)

    @property
    def _reach(self) -> int:
        return max(member._reach for member in self._members)

    @property
    def _sight(self) -> int:
        weighed = zip(self._members, self.weights_, strict=True)
        return max(member._sight for member, weight in weighed if weight > 0)

    def _learn(self, panel: Panel, val_size: int | np.ndarray | None) -> FitReport:
        members = self._unfitted()
        for member in members:
            member.fit_panel(seen_by(member, panel), val_size)
        self.forecaster_, *self.others_ = members
        if not isinstance(self.weights, str):
            weights = np.array(self.weights, dtype=np.float64)
            weights /= weights.max()  # a sum of the largest numbers would be infinite
            self.weights_ = weights / weights.sum()
        elif self.weights == "equal":
            self.weights_ = np.full(len(members), 1 / len(members))
        else:
            held_out = held_out_sizes(panel.lengths, self.horizon, val_size)
            self.weights_ = found_weights(members, panel, held_out)
        return self._report()

    def _unfitted(self) -> list[Forecaster]:
        """Return copies of all, which are told what all forecasters are told."""
        members = [clone(self.forecaster)]
        for number, other in enumerate(self.others, 1):
            shared = {name: getattr(self, name) for name in SHARED}
            shared["random_state"] += number
            shared["season_length"] = other.season_length or self.season_length
            members.append(told(clone(other), **shared))
        return members

    def _report(self) -> FitReport:
        """Return the first one's report, with the remarks of all and the first training."""
        reports = [member.fit_report_ for member in self._members]
        remarks: dict[str, list[Any]] = {}
        for name, found in chain.from_iterable(report.remarks.items() for report in reports):
            known = remarks.setdefault(name, [])
            known += [one for one in found if one not in known]
        trained = (report.training for report in reports if report.training is not None)
        return replace(reports[0], remarks=remarks, training=next(trained, None))

    def _row_weights(self, panel: Panel) -> np.ndarray:
        """Return the weights by variate, `[M, S * C]`: of those that have a recent value of it."""
        weights = self.weights_[:, None] * seeing(self._members, panel)
        total = weights.sum(axis=0)
        found: np.ndarray = np.where(total > 0, weights, self.weights_[:, None])
        return found / np.where(total > 0, total, 1.0)

    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        mean: Any = 0.0
        quantiles: Any = 0.0
        for member, weights in zip(self._members, self._row_weights(panel), strict=True):
            if not weights.any():
                continue
            forecast = forecast_all(member, seen_by(member, panel), horizon, levels)
            mean = mean + weights[:, None] * forecast.mean
            quantiles = quantiles + weights[:, None, None] * forecast.quantiles
        return Forecast(mean=mean, quantiles=quantiles, levels=levels)

    def _sample(self, panel: Panel, horizon: int, n_samples: int) -> np.ndarray:
        """Return paths of the one that weighs most, moved to the quantiles of all."""
        heaviest = self._row_weights(panel).argmax(axis=0)
        after = self._forecast(panel, horizon, LEVELS).quantiles
        paths = np.empty((len(heaviest), n_samples, horizon))
        for number in np.unique(heaviest):
            member, rows = self._members[number], heaviest == number
            seen = seen_by(member, panel)
            drawn = sample_all(member, seen, horizon, n_samples)[rows]
            before = forecast_all(member, seen, horizon, LEVELS).quantiles[rows]
            paths[rows] = transport(drawn, before, after[rows])
        return paths

    def update_panel(self, panel: Panel) -> Self:
        """Go on with a panel that continues the fitted one, inside, too; return self."""
        for other in self.others_:
            other.update_panel(seen_by(other, panel))
        return super().update_panel(panel)

    def _state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        state, tensors = super()._state()
        parts = [other._state() for other in self.others_]
        for number, (_, inside) in enumerate(parts):
            tensors |= {f"{_prefix(number)}{name}": value for name, value in inside.items()}
        state |= {"others_": [inside for inside, _ in parts], "weights_": self.weights_.tolist()}
        return state, tensors

    def _restore(self, state: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        super()._restore(state, tensors)
        self.weights_ = np.array(state["weights_"])
        others = zip(self._unfitted()[1:], state["others_"], strict=True)
        self.others_ = [
            self._restored(
                other, seen_by(other, self.panel_), inside, part_of(tensors, _prefix(number))
            )
            for number, (other, inside) in enumerate(others)
        ]


def _prefix(number: int) -> str:
    """Return what the names of the tensors of one of the others begin with."""
    return f"others.{number}."


def _check_other(name: str, other: Any, first: Schema) -> None:
    """Raise an error that names one of the others where it cannot be averaged with the first."""
    if not isinstance(other, Forecaster):
        raise TypeError(
            f"{name}={other!r} must be a forecaster of tsformer, such as TSFormerForecaster()"
        )
    try:
        other._check_parameters()
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from error
    named, known = covariates_of(other._schema), covariates_of(first)
    if any(named) and named != known:
        raise ValueError(
            f"{name} names past, future and static covariates {_words(named)}, but forecaster "
            f"{_words(known)}; name the same, or none"
        )


def _words(kinds: list[set[str]]) -> str:
    return ", ".join(str(sorted(names)) for names in kinds)


def _check_weights(weights: Any, n_members: int) -> None:
    """Raise an error that names `weights` unless they are a word or numbers."""
    if isinstance(weights, str) and weights in _WORDS:
        return
    if isinstance(weights, str) or not isinstance(weights, Sequence | np.ndarray):
        known = ", ".join(map(repr, _WORDS))
        raise TypeError(f"weights={weights!r} must be {known}, or a number for each forecaster")
    if not all(isinstance(one, Real) and not isinstance(one, bool) for one in weights):
        raise TypeError(f"weights={weights!r} must be numbers")
    if len(weights) != n_members:
        raise ValueError(
            f"weights={weights!r} are {len(weights)}; give {n_members}, of forecaster and of each "
            "of the others"
        )
    numbers = np.array([float(one) for one in weights])
    if not (np.isfinite(numbers).all() and numbers.min() >= 0 and numbers.max() > 0):
        raise ValueError(f"weights={weights!r} must be 0 or more, and one of them above 0")
