"""A mean of several forecasters, which weigh the same or by what would have forecast best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from tsformer.forecasters.ensemble_selection import select_weights
from tsformer.forecasters.fallback import forecast_all, sample_all
from tsformer.forecasters.score import naive_errors
from tsformer.forecasters.wrapping import SHARED, WrappingForecaster, part_of, told
from tsformer.types import Forecast

_JUDGED = (0.1, 0.5, 0.9)  # levels that weights are found by
_MOST_CUTOFFS = 100  # of a series
_MOST_ROWS = 2000  # series times cut-offs, which each forecaster is asked for
_MOST_VALUES = 200_000  # that these forecasts are compared with


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
    are many horizons to judge by; where nothing is held out, all weigh the same.

    Args:
        forecaster: the first one. Its horizon, quantiles and columns are those of all, and so are
            its covariates, which the others may name, too, or do without.
        others: forecasters to average it with. The same one several times is as many networks:
            the k-th of the others has the `random_state` of the first, plus k.
        weights: `"equal"`, `"held_out"`, or numbers for `forecaster` and each of the others, of
            which the proportions count.
    """

    others: Sequence[Forecaster]
    weights: Literal["equal", "held_out"] | Sequence[float] = "equal"

    def _check_parameters(self) -> None:
        super()._check_parameters()
        for number, other in enumerate(_listed("others", self.others)):
            if not isinstance(other, Forecaster):
                raise TypeError(
                    f"others[{number}]={other!r} must be a forecaster of tsformer, such as "
                    "TSFormerForecaster()"
                )
            _refuse_unshared_covariates(number, other._schema, self._schema)
        for member in self._unfitted():
            member._check_parameters()
        if not isinstance(self.weights, str):
            _check_weights(self.weights, 1 + len(self.others))
        elif self.weights not in ("equal", "held_out"):
            raise ValueError(
                f"weights={self.weights!r} is unknown; choose 'equal', 'held_out', or a number for "
                "each forecaster"
            )

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
        return max(member._sight for member in self._members)

    def _learn(self, panel: Panel, val_size: int | np.ndarray | None) -> FitReport:
        members = self._unfitted()
        for member in members:
            member.fit_panel(_seen_by(member, panel), val_size)
        self.forecaster_, *self.others_ = members
        if self.weights == "held_out":
            held_out = held_out_sizes(panel.lengths, self.horizon, val_size)
            self.weights_ = self._found_weights(panel, held_out)
        else:
            weights = np.ones(len(members)) if self.weights == "equal" else np.array(self.weights)
            self.weights_ = weights / weights.sum()
        return self._report()

    def _unfitted(self) -> list[Forecaster]:
        """Return copies of all, which are told what all forecasters are told."""
        shared = {name: getattr(self, name) for name in SHARED}
        others = (
            told(clone(other), **{**shared, "random_state": self.random_state + number})
            for number, other in enumerate(self.others, 1)
        )
        return [clone(self.forecaster), *others]

    def _found_weights(self, panel: Panel, held_out: np.ndarray) -> np.ndarray:
        """Return the weights that forecast best from cut-offs within the held out steps."""
        numbers, cutoffs = _cutoffs(panel, held_out, self.horizon)
        if not len(numbers):
            return np.full(len(self._members), 1 / len(self._members))
        forecasts = []
        for member in self._members:
            seen = _seen_by(member, panel)
            history = seen.excerpts(numbers, cutoffs, member._reach, self.horizon)
            forecasts.append(forecast_all(member, history, self.horizon, _JUDGED).quantiles)
        variates = np.arange(panel.n_variates)
        rows = (numbers[:, None] * panel.n_variates + variates).reshape(-1)
        begins = panel.offsets[:-1][numbers] + cutoffs
        steps = begins[:, None, None] + np.arange(self.horizon)
        truth = panel.values[variates[:, None], steps].reshape(len(rows), self.horizon)
        return select_weights(np.stack(forecasts), truth, _JUDGED, naive_errors(panel)[rows])

    def _report(self) -> FitReport:
        """Return the first one's report, with the remarks of all."""
        reports = [member.fit_report_ for member in self._members]
        remarks = dict(chain.from_iterable(report.remarks.items() for report in reports[::-1]))
        return replace(reports[0], remarks=remarks)

    def _weighted(self) -> Iterator[tuple[Forecaster, float]]:
        """Yield the forecasters that have a weight, with it."""
        for member, weight in zip(self._members, self.weights_.tolist(), strict=True):
            if weight > 0:
                yield member, weight

    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        mean: Any = 0.0
        quantiles: Any = 0.0
        for member, weight in self._weighted():
            forecast = forecast_all(member, _seen_by(member, panel), horizon, levels)
            mean = mean + weight * forecast.mean
            quantiles = quantiles + weight * forecast.quantiles
        return Forecast(mean=mean, quantiles=quantiles, levels=levels)

    def _sample(self, panel: Panel, horizon: int, n_samples: int) -> np.ndarray:
        """Return paths of the one that weighs most, moved to the quantiles of all."""
        member, _ = max(self._weighted(), key=lambda pair: pair[1])
        seen = _seen_by(member, panel)
        paths = sample_all(member, seen, horizon, n_samples)
        before = forecast_all(member, seen, horizon, LEVELS)
        return transport(paths, before.quantiles, self._forecast(panel, horizon, LEVELS).quantiles)

    def update_panel(self, panel: Panel) -> Self:
        """Go on with a panel that continues the fitted one, inside, too; return self."""
        for other in self.others_:
            other.update_panel(_seen_by(other, panel))
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
                other, _seen_by(other, self.panel_), inside, part_of(tensors, _prefix(number))
            )
            for number, (other, inside) in enumerate(others)
        ]


def _prefix(number: int) -> str:
    """Return what the names of the tensors of one of the others begin with."""
    return f"others.{number}."


def _seen_by(member: Forecaster, panel: Panel) -> Panel:
    """Return a panel as one of the forecasters sees it: with covariates if it names any."""
    return panel if _covariates(member._schema) else panel.without_covariates()


def _covariates(schema: Schema) -> list[str]:
    named = (schema.past_covariates, schema.future_covariates, schema.static_covariates)
    return [*chain.from_iterable(named)]


def _refuse_unshared_covariates(number: int, schema: Schema, first: Schema) -> None:
    """Raise a ValueError for one of the others that names other covariates than the first."""
    named = _covariates(schema)
    if named and named != _covariates(first):
        raise ValueError(
            f"others[{number}] names the covariates {named}, forecaster {_covariates(first)}; "
            "name the same, or none"
        )


def _check_weights(weights: Any, n_members: int) -> None:
    for weight in _listed("weights", weights):
        if isinstance(weight, bool) or not isinstance(weight, Real):
            raise TypeError(f"weights={weights!r} must be numbers")
    if len(weights) != n_members:
        raise ValueError(
            f"weights={weights!r} are {len(weights)}; give {n_members}, of forecaster and of each "
            "of the others"
        )
    if not (np.isfinite(weights).all() and min(weights) >= 0 and sum(weights) > 0):
        raise ValueError(f"weights={weights!r} must be 0 or more, and one of them above 0")


def _listed(name: str, value: Any) -> Sequence[Any]:
    """Return a list that has something in it."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"{name}={value!r} must be a list")
    if not value:
        raise ValueError(f"{name} is empty; give one or more")
    return value


def _cutoffs(panel: Panel, held_out: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Return series and cut-offs, `[E]`, spread over the held out steps, at most 100 a series.

    Of many series some are taken, from all over the panel.
    """
    room = held_out - horizon  # steps between the first and the last cut-off of a series
    most = max(1, min(_MOST_ROWS, _MOST_VALUES // horizon) // panel.n_variates)
    known = panel.lengths - held_out > panel.first_known
    chosen = np.flatnonzero((room >= 0) & known)
    if not len(chosen):
        return chosen, chosen
    chosen = chosen[:: -(-len(chosen) // most)]
    n_cutoffs = min(most // len(chosen), _MOST_CUTOFFS)
    apart = max(1, -(-int(room.max()) // max(1, n_cutoffs - 1)))
    back = apart * np.arange(n_cutoffs)[:, None]  # from the last cut-off of each series
    places, columns = np.nonzero(back <= room[chosen])
    numbers = chosen[columns]
    return numbers, panel.lengths[numbers] - horizon - back[places, 0]
