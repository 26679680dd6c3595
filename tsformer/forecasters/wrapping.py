"""Forecasters around another forecaster, which alone knows what all forecasters are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import clone

from tsformer.data.frame import Schema
from tsformer.data.panel import Panel
from tsformer.forecasters.base import Forecaster
from tsformer.forecasters.parameters import SharedParameters
from tsformer.forecasters.search_spaces import Range

SHARED = tuple(parameter.name for parameter in fields(SharedParameters))
_INSIDE = "forecaster."  # before the names of its tensors


@dataclass(kw_only=True, eq=False, repr=False)
class WrappingForecaster(Forecaster):
    """A forecaster around another one.

    The horizon, the quantiles, columns and all else that every forecaster is told are those of
    the forecaster inside: they are read here, and set there, as by
    `set_params(forecaster__horizon=12)`.

    Args:
        forecaster: the one inside; it is not fitted itself, but a copy of it, `forecaster_`.
    """

    forecaster: Forecaster
    horizon: int = field(init=False)
    quantiles: Sequence[float] = field(init=False)
    freq: str | None = field(init=False)
    season_length: int | None = field(init=False)
    id_col: str | None = field(init=False)
    time_col: str | None = field(init=False)
    target_col: str | Sequence[str] | None = field(init=False)
    random_state: int = field(init=False)

    _jointly: ClassVar[bool] = True  # the forecaster inside takes variates apart where it has to

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse what belongs inside."""
        for name in kwargs:
            if name in SHARED:
                raise TypeError(
                    f"{cls.__name__} takes no `{name}`: it has that of the forecaster inside; "
                    f"pass {name}= to that one"
                )
        return super().__new__(cls, *args, **kwargs)

    def _check_parameters(self) -> None:
        if not isinstance(self.forecaster, Forecaster):
            raise TypeError(
                f"forecaster={self.forecaster!r} must be a forecaster of tsformer, such as "
                "SeasonalNaiveForecaster(horizon=24)"
            )
        self.forecaster._check_parameters()

    @property
    def _schema(self) -> Schema:
        return self.forecaster._schema

    @property
    def _memory(self) -> int:
        return self.forecaster_._memory

    @property
    def _reach(self) -> int:
        return max(self._memory, self.forecaster_._reach)

    @property
    def _sight(self) -> int:
        return self.forecaster_._sight  # it is handed more, but says nothing of its own

    def _fit_inside(self, panel: Panel, val_size: int | np.ndarray | None) -> Forecaster:
        """Return a fitted copy of the forecaster inside."""
        return clone(self.forecaster).fit_panel(panel, val_size)

    def _inside(self, panel: Panel) -> Panel:
        """Return a panel as the forecaster inside sees it."""
        return panel

    def _handed_down(self) -> dict[str, Any]:
        """Return what a forecaster inside is told when it is restored, but for its panel."""
        names = ("pooled_", "naive_errors_")
        return {name: getattr(self, name) for name in names}

    def _search_space(self, panel: Panel) -> dict[str, Range]:
        inside = self.forecaster._search_space(panel)
        return {f"forecaster__{name}": values for name, values in inside.items()}

    def update_panel(self, panel: Panel) -> Self:
        """Go on with a panel that continues the fitted one, inside, too; return self."""
        self.forecaster_.update_panel(self._inside(panel))
        return super().update_panel(panel)

    def _state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        state, tensors = self.forecaster_._state()
        return {"forecaster_": state}, {_INSIDE + name: value for name, value in tensors.items()}

    def _restore(self, state: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        panel = self._inside(self.panel_)
        self.forecaster_ = self._restored(
            clone(self.forecaster), panel, state["forecaster_"], part_of(tensors, _INSIDE)
        )

    def _restored(
        self,
        forecaster: Forecaster,
        panel: Panel,
        state: dict[str, Any],
        tensors: dict[str, torch.Tensor],
    ) -> Forecaster:
        """Return a forecaster inside as it was when it was saved."""
        for name, value in {**self._handed_down(), "panel_": panel}.items():
            setattr(forecaster, name, value)
        forecaster.season_length_ = int(forecaster.season_length or self.season_length_)
        forecaster._restore(state, tensors)
        forecaster.panel_ = panel.tail(forecaster._memory)
        return forecaster


def part_of(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors whose names begin so, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def told(forecaster: Forecaster, **shared: Any) -> Forecaster:
    """Return a forecaster after it was told what all are told, or what is inside it was."""
    place, inside = "", forecaster
    while isinstance(inside, WrappingForecaster):
        place, inside = f"{place}forecaster__", inside.forecaster
    return forecaster.set_params(**{f"{place}{name}": value for name, value in shared.items()})


for _name in SHARED:
    setattr(WrappingForecaster, _name, property(attrgetter(f"forecaster.{_name}")))
