"""Every kind of index and of forecasting horizon; panels and hierarchies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sktime")

from sktime.forecasting.base import ForecastingHorizon

from tsformer import PatchTSTForecaster, SeasonalNaiveForecaster
from tsformer.interop.sktime import SktimeForecaster

SMALL = {"context_length": 16, "max_steps": 2, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8}


def forecast(index: pd.Index, fh: Any) -> pd.Series:
    """Return the forecast of 0, 1, 2, …, whose season is 10: step k after n is n - 10 + k."""
    y = pd.Series(np.arange(len(index), dtype=float), index=index)
    inside = SeasonalNaiveForecaster(horizon=1, season_length=10)
    return SktimeForecaster(inside).fit(y).predict(fh=fh)


def absolute(times: pd.Index) -> ForecastingHorizon:
    return ForecastingHorizon(times, is_relative=False)


def panel(*keys: Any, lengths: dict[Any, int] | None = None) -> pd.DataFrame:
    """Return 20 days of each series, or fewer, series number k at level 100 k."""
    days = pd.date_range("2024-01-01", periods=20, freq="D")
    parts = {
        key: pd.DataFrame({"y": 100.0 * number + np.arange(20) % 7}, index=days).iloc[
            : (lengths or {}).get(key, 20)
        ]
        for number, key in enumerate(keys)
    }
    names = ["region", "shop"] if isinstance(keys[0], tuple) else ["shop"]
    return pd.concat(parts, names=[*names, "day"])


def naive() -> SktimeForecaster:
    return SktimeForecaster(SeasonalNaiveForecaster(horizon=1))


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(20),
        pd.Index(np.arange(5, 25)),
        pd.period_range("2024-01", periods=20, freq="M"),
        pd.period_range("2024-01-01", periods=20, freq="W-WED"),
        pd.date_range("2024-01-31", periods=20, freq="ME"),
        pd.date_range("2024-01-01", periods=20, freq="15min"),
        pd.date_range("2024-03-20", periods=20, freq="D", tz="Europe/Berlin"),
        pd.date_range("2024-03-30 12:00", periods=20, freq="h", tz="Europe/Berlin"),
        pd.date_range("2024-01-01", periods=20, freq="B"),
    ],
    ids=lambda index: f"{type(index).__name__}-{getattr(index, 'freqstr', '')}",
)
def test_index_goes_on(index: pd.Index) -> None:
    known, coming = index[:15], index[15:]
    relative = forecast(known, [1, 3, 5])
    pd.testing.assert_index_equal(relative.index, coming[[0, 2, 4]], exact="equiv")
    assert relative.tolist() == [5, 7, 9]
    freq = {"freq": index.freqstr} if isinstance(index, pd.DatetimeIndex) else {}
    asked = ForecastingHorizon(coming[[0, 2, 4]], is_relative=False, **freq)
    pd.testing.assert_series_equal(forecast(known, asked), relative)


def test_few_business_days_keep_to_their_rhythm() -> None:
    week = pd.date_range("2024-01-01", periods=5, freq="B")  # no weekend that would tell
    assert forecast(week, [1]).index.tolist() == [pd.Timestamp("2024-01-08")]


def test_days_without_a_row_are_missing() -> None:
    days = pd.date_range("2024-01-01", periods=15, freq="D").delete([8, 9])
    result = forecast(days, [1, 3])
    assert result.index.tolist() == [pd.Timestamp("2024-01-16"), pd.Timestamp("2024-01-18")]
    assert result.tolist() == [5, 7]


def test_every_second_number_is_a_step() -> None:
    index = pd.Index(np.arange(0, 30, 2))
    assert forecast(index, [1, 3]).to_dict() == {30: 5, 34: 7}
    assert forecast(index, absolute(pd.Index([30, 34]))).to_dict() == {30: 5, 34: 7}
    with pytest.raises(ValueError, match="fh asks for 31, which is none of the times to come"):
        forecast(index, absolute(pd.Index([31])))


def test_durations_are_steps() -> None:
    days = pd.date_range("2024-01-01", periods=15, freq="D")
    fh = ForecastingHorizon(pd.to_timedelta([1, 3], unit="D"), is_relative=True)
    pd.testing.assert_series_equal(forecast(days, fh), forecast(days, [1, 3]))


def test_series_of_a_panel_are_learned_together() -> None:
    y = panel("b", "a", "c")
    forecaster = SktimeForecaster(PatchTSTForecaster(horizon=3, **SMALL)).fit(y, fh=[1, 3])
    rows = y.rename_axis(index=["unique_id", "ds"]).reset_index()
    own = PatchTSTForecaster(horizon=3, **SMALL).fit(rows).predict(quantiles=[0.1, 0.9])
    own = own.set_index(["unique_id", "ds"]).rename_axis(index=["shop", "day"])
    own = own.drop(pd.Timestamp("2024-01-22"), level="day")
    pd.testing.assert_frame_equal(forecaster.predict(), own[["mean"]].set_axis(["y"], axis=1))
    np.testing.assert_array_equal(
        forecaster.predict_quantiles(alpha=[0.1, 0.9]), own[["0.1", "0.9"]]
    )


def test_keys_of_a_hierarchy_come_back() -> None:
    keys = [("north", 2), ("north", 1), ("south", 2)]
    result = naive().fit(panel(*keys), fh=[1, 2]).predict()
    assert result.index.names == ["region", "shop", "day"]
    assert result.index.droplevel("day").unique().tolist() == keys
    assert result["y"].tolist() == [6, 0, 106, 100, 206, 200]


def test_each_series_goes_on_from_its_own_end() -> None:
    y = panel("a", "b", lengths={"b": 18})
    result = naive().fit(y, fh=[1]).predict()
    ends = [("a", pd.Timestamp("2024-01-21")), ("b", pd.Timestamp("2024-01-19"))]
    assert result.index.tolist() == ends
    assert result["y"].tolist() == [6, 104]
    asked = absolute(pd.date_range("2024-01-22", periods=2, freq="D"))
    by_date = naive().fit(y).predict(fh=asked)["y"].unstack("day")
    np.testing.assert_array_equal(by_date, [[0, 1], [100, 101]])
