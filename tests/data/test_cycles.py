"""Calendar features against pandas' own reading of the calendar."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsformer.data.calendar import Frequency, parse_frequency
from tsformer.data.cycles import calendar_features, cycles

ALL = ("minute", "hour", "day", "week", "month", "year")
ALIASES = {
    "10s": ALL,
    "30s": ALL,
    "45s": ALL[1:],
    "5min": ALL[1:],
    "30min": ALL[1:],
    "h": ALL[2:],
    "12h": ALL[2:],
    "D": ALL[3:],
    "B": ALL[3:],
    "3D": ALL[3:],
    "W-TUE": ALL[4:],
    "MS": ALL[5:],
    "ME": ALL[5:],
    "QS": ALL[5:],
    "YS": (),
}
TIMES = st.datetimes(pd.Timestamp("1890-01-01"), pd.Timestamp("2150-01-01"))


def phases(times: pd.DatetimeIndex) -> dict[str, np.ndarray]:
    """Return each time's place in each cycle, 0 to 1, by pandas."""
    days = times.normalize()
    since = {"minute": times.floor("min"), "hour": times.floor("h"), "day": days}
    spans = {"minute": "1min", "hour": "1h", "day": "1D"}
    found = {
        name: np.asarray((times - start) / pd.Timedelta(spans[name]))
        for name, start in since.items()
    }
    return found | {
        "week": times.dayofweek.to_numpy() / 7,
        "month": (times.day.to_numpy() - 1) / 31,
        "year": (times.dayofyear.to_numpy() - 1) / 365.25,
    }


@given(st.lists(TIMES, min_size=1, max_size=5))
def test_features_are_sine_and_cosine_of_the_place_in_each_cycle(times: list[pd.Timestamp]) -> None:
    index = pd.DatetimeIndex(times).as_unit("us")
    found = calendar_features(index.to_numpy(), ALL)
    assert found.dtype == np.float32
    for name, (sine, cosine) in zip(ALL, found.reshape(len(ALL), 2, -1), strict=True):
        angle = 2 * np.pi * phases(index)[name]
        np.testing.assert_allclose(sine, np.sin(angle), atol=1e-6, err_msg=name)
        np.testing.assert_allclose(cosine, np.cos(angle), atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("alias", "expected"), ALIASES.items())
def test_a_step_has_the_cycles_that_it_moves_on_in(alias: str, expected: tuple[str, ...]) -> None:
    assert cycles(parse_frequency(alias)) == expected


@pytest.mark.parametrize("alias", ALIASES)
def test_no_feature_stays_the_same_throughout(alias: str) -> None:
    freq = parse_frequency(alias)
    start = pd.date_range("2024-02-27", periods=1, freq=alias)[0].to_datetime64()
    start = start.astype("datetime64[us]")
    in_two_years = int(np.timedelta64(730, "D") / (freq.times(start, np.array([1])) - start)[0])
    times = freq.times(start, np.random.default_rng(0).integers(0, in_two_years, 200))
    for sine, cosine in calendar_features(times, cycles(freq)).reshape(-1, 2, 200):
        assert np.hypot(sine - sine[0], cosine - cosine[0]).max() > 1


def test_whole_numbers_have_no_calendar() -> None:
    assert cycles(Frequency(unit="integer", step=1)) == ()


def test_times_may_lie_in_any_shape() -> None:
    times = np.arange("2024-01-01", "2024-01-07", dtype="datetime64[D]").astype("datetime64[us]")
    flat = calendar_features(times, ("week", "year"))
    assert np.array_equal(
        calendar_features(times.reshape(2, 3), ("week", "year")), flat.reshape(4, 2, 3)
    )
    assert calendar_features(times.reshape(2, 3), ()).shape == (0, 2, 3)
