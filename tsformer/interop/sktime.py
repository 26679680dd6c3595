"""Any forecaster of tsformer as a forecaster of sktime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from tsformer.forecasters import (
    Forecaster,
    PatchTSTForecaster,
    SeasonalNaiveForecaster,
    TSFormerForecaster,
)
from tsformer.forecasters.wrapping import WrappingForecaster
from tsformer.interop.sktime_covariates import coming_rows, future_frame
from tsformer.interop.sktime_frames import (
    INSTANCE,
    TIME,
    covariate_label,
    is_newer,
    series_ends,
    target_label,
    training_frame,
    up_to,
)
from tsformer.interop.sktime_horizon import Wanted, on_index

try:
    from sktime.datatypes import update_data
    from sktime.forecasting.base import BaseForecaster
except ImportError as error:
    raise ImportError("SktimeForecaster needs sktime: pip install 'tsformer[sktime]'") from error

_FRAMES = ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"]


class SktimeForecaster(BaseForecaster):
    """A forecaster of tsformer with the interface of sktime.

    `predict` answers with means, `predict_quantiles` and `predict_interval` with the quantiles of
    the forecaster inside. All series of a panel or hierarchy, and all columns of y, come to it
    together. It is told by sktime which columns and which horizon there are: the latest step of
    `fh` where `fit` knows one, else its own.

    The columns of X are its `future_covariates`, where it takes them: those that it names, or else
    all but what it names as `past_covariates`. `predict` needs them for the times that `fh` asks
    for; of times between these they may be missing. A forecaster that takes none leaves X alone,
    as its tag `capability:exogenous` says.

    `update(y, update_params=False)` goes on from newer values with what was learned;
    `update_params=True`, which is sktime's default, learns anew from all values.

    Args:
        forecaster: any forecaster of tsformer; it is not fitted itself, but a copy of it,
            `forecaster_`.

    Examples:
        >>> from sktime.datasets import load_airline
        >>> from tsformer import TSFormerForecaster
        >>> from tsformer.interop.sktime import SktimeForecaster
        >>> forecaster = SktimeForecaster(TSFormerForecaster()).fit(load_airline())
        >>> forecaster.predict_interval(fh=[1, 2, 3], coverage=0.8).shape
        (3, 2)
    """

    _tags: ClassVar[dict[str, Any]] = {
        "authors": "The tsformer authors",
        "maintainers": "The tsformer authors",
        "y_inner_mtype": _FRAMES,
        "X_inner_mtype": _FRAMES,
        "requires-fh-in-fit": False,
        "X-y-must-have-same-index": True,
        "capability:multivariate": True,
        "capability:exogenous": True,
        "capability:categorical_in_X": True,
        "capability:missing_values": True,
        "capability:unequal_length": True,
        "capability:pred_int": True,
        "capability:insample": False,
        "capability:pred_int:insample": False,
        "capability:update": True,
    }
    # the values are remembered here: sktime's own memory of them goes away in its version 1.3
    _config: ClassVar[dict[str, Any]] = {"remember_data": False}

    def __init__(self, forecaster: Forecaster) -> None:
        self.forecaster = forecaster
        super().__init__()

    def __dynamic_tags__(self) -> None:
        """Say whether the forecaster inside takes covariates."""
        takes = hasattr(_innermost(self.forecaster), "future_covariates")
        self.set_tags(**{"capability:exogenous": takes})

    def __post_init__(self) -> None:
        """Prepare for `set_config(remember_data=True)`, with which sktime asks for these."""
        self._y = self._X = None

    def _fit(self, y: pd.DataFrame, X: pd.DataFrame | None, fh: Any) -> Self:
        if not isinstance(self.forecaster, Forecaster):
            raise TypeError(
                f"forecaster={self.forecaster!r} must be a forecaster of tsformer, such as "
                "SeasonalNaiveForecaster(horizon=24)"
            )
        forecaster = self.clone().forecaster
        _tell(forecaster, y, X, self._horizon(fh))
        self.forecaster_ = forecaster.fit(training_frame(y, X))
        self._cur_y, self._cur_X, self._went_back = y, X, False
        return self

    def _horizon(self, fh: Any) -> int:
        """Return the last step ahead that is asked for, or else the forecaster's own horizon."""
        last = 0 if fh is None else int(fh.to_relative(self.cutoff).to_numpy().max())
        return last if last > 0 else self.forecaster.horizon  # updates may have passed all of fh

    def _predict(self, fh: Any, X: pd.DataFrame | None) -> pd.DataFrame:
        index, values = self._ask(fh, X, ["mean"], levels=[0.5])
        return pd.DataFrame(values[..., 0], index, self._get_varnames())

    def _predict_quantiles(
        self, fh: Any, X: pd.DataFrame | None, alpha: Sequence[float]
    ) -> pd.DataFrame:
        index, values = self._ask(fh, X, [f"{level:g}" for level in alpha], levels=alpha)
        columns = self._get_columns("predict_quantiles", alpha=alpha)
        return pd.DataFrame(values.reshape(-1, len(columns)), index, columns)

    def _ask(
        self, fh: Any, X: pd.DataFrame | None, columns: Sequence[str], levels: Sequence[float]
    ) -> tuple[pd.Index, np.ndarray]:
        """Return the index of what fh asks for, and columns of the forecast, `[S * n, C, Q]`."""
        wanted = Wanted.of(fh, series_ends(self._cur_y.index))
        forecast = self.forecaster_.predict(
            training_frame(self._cur_y, self._cur_X) if self._went_back else None,
            self._future(X, wanted),
            horizon=wanted.horizon,
            quantiles=levels,
        )
        return on_index(
            forecast,
            columns,
            wanted=wanted,
            like=self._cur_y.index,
            n_variates=self._cur_y.shape[1],
        )

    def _future(self, X: pd.DataFrame | None, wanted: Wanted) -> pd.DataFrame | None:
        """Return the covariates to come as the forecaster inside reads them.

        Raises:
            ValueError: where X or a row of it is needed and not given, or fit was given none.
        """
        names = getattr(_innermost(self.forecaster_), "future_covariates", ())
        if X is None and names:
            raise ValueError(
                f"X is needed: it brings {list(names)} for the steps to come; pass X to predict"
            )
        if X is not None and self._cur_X is None:
            raise ValueError("X was not given to fit; pass it to both, or to neither")
        if X is None or not names:
            return None
        rows = coming_rows(self.forecaster_, series_ends(self._cur_y.index), wanted.horizon)
        return future_frame(X, names, rows, wanted)

    def _update(
        self, y: pd.DataFrame, X: pd.DataFrame | None = None, update_params: bool = True
    ) -> Self:
        if (X is None) != (self._cur_X is None):
            raise ValueError("X was given to one of fit and update; pass it to both, or to neither")
        newer = is_newer(y.index, self._cur_y.index)
        known_y, known_X = update_data(self._cur_y, y), update_data(self._cur_X, X)
        if not newer:
            known_y = up_to(known_y, y.index)
        if update_params:
            return self._fit(known_y, known_X, self._fh)
        self._cur_y, self._cur_X = known_y, known_X
        self._went_back |= not newer
        if not self._went_back:
            self.forecaster_.update(training_frame(y, X))
        return self

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return small forecasters for sktime's tests: trained, without training, and naive."""
        patchtst = PatchTSTForecaster(
            horizon=3, context_length=8, max_steps=2, d_model=8, n_heads=2, n_layers=1, d_ff=8
        )
        return [
            {"forecaster": patchtst},
            {"forecaster": TSFormerForecaster(horizon=3)},
            {"forecaster": SeasonalNaiveForecaster(horizon=3)},
        ]


def _innermost(forecaster: Any) -> Any:
    """Return the forecaster that is told columns and horizon, which may be wrapped by others."""
    while isinstance(forecaster, WrappingForecaster):
        forecaster = forecaster.forecaster
    return forecaster


def _tell(forecaster: Forecaster, y: pd.DataFrame, X: pd.DataFrame | None, horizon: int) -> None:
    """Set the horizon, the frequency where y knows it, and the columns of `training_frame`."""
    inside = _innermost(forecaster)
    targets = [target_label(name) for name in y.columns]
    times = y.index.get_level_values(-1)
    inside.set_params(
        horizon=horizon,
        freq=inside.freq or (times.freqstr if isinstance(times, pd.DatetimeIndex) else None),
        id_col=INSTANCE if y.index.nlevels > 1 else None,
        time_col=TIME,
        target_col=targets if len(targets) > 1 else targets[0],
    )
    _relabel(forecaster)
    if not hasattr(inside, "future_covariates") or inside.future_covariates or X is None:
        return
    past = getattr(inside, "past_covariates", ())
    labels = map(covariate_label, X.columns)
    inside.set_params(future_covariates=[name for name in labels if name not in past])


def _relabel(forecaster: Any) -> None:
    """Name covariates as `training_frame` does, where a forecaster, or one inside, names any."""
    inside = _innermost(forecaster)
    for kind in ("past_covariates", "future_covariates"):
        if names := getattr(inside, kind, ()):
            inside.set_params(**{kind: [covariate_label(name) for name in names]})
    while isinstance(forecaster, WrappingForecaster):
        for other in getattr(forecaster, "others", ()):
            _relabel(other)
        forecaster = forecaster.forecaster
