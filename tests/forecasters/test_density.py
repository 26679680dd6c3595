"""Log densities of what came: by hand, by SciPy, and in the frame of the caller."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.exceptions import NotFittedError
from torch import Tensor

from tsformer.data.frame import Schema, read_panel
from tsformer.forecasters import LLMForecaster, SeasonalNaiveForecaster
from tsformer.llm.scaler import fit_scaler
from tsformer.llm.serialize import SerializerSettings, preset
from tsformer.llm.vocabulary import pieces_vocabulary

HORIZON = 4
WAVE = 10 + np.sin(np.arange(40) * np.pi / 4) + np.random.default_rng(0).normal(size=40) / 5
DIGITS = preset("plain-digits", fixed_width=True)


class Even:
    """A `TokenModel` to which all tokens are alike: every bin has the same probability."""

    name = "even"
    vocabulary = pieces_vocabulary("0123456789,na")
    settings: SerializerSettings | None = None

    def __init__(self, context_length: int = 10_000) -> None:
        self.context_length = context_length
        self.scored: list[str] = []

    def prefill(self, prompts: Any) -> Any:
        raise AssertionError("nothing is to be written")

    step = prefill

    def score(self, tokens: Sequence[int], first: int) -> Tensor:
        self.scored.append(self.vocabulary.decode(tokens))
        return torch.zeros(len(tokens) - first, len(self.vocabulary))


class Elsewhere:
    """A `TextModel` that gives each letter the same log probability."""

    name = "elsewhere"

    def complete(self, prompt: str, **given: Any) -> list[str]:
        raise AssertionError("nothing is to be written")

    def log_probabilities(
        self, prompt: str, continuation: str, label: str = ""
    ) -> list[tuple[str, float]]:
        return [(letter, -1.5) for letter in continuation]


def llm(model: Any, **parameters: Any) -> LLMForecaster:
    given = {"horizon": HORIZON, "settings": DIGITS, "scaler": "quantile"}
    return LLMForecaster(model=model, **{**given, **parameters})


def naive(**parameters: Any) -> SeasonalNaiveForecaster:
    return SeasonalNaiveForecaster(**{"horizon": HORIZON, "season_length": 4, **parameters})


MAKE: dict[str, Any] = {"llm": lambda **given: llm(Even(), **given), "naive": naive}


@pytest.fixture(params=MAKE)
def make(request: pytest.FixtureRequest) -> Any:
    return MAKE[request.param]


def frame(**series: Any) -> pd.DataFrame:
    pieces = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": pd.date_range("2024-01-01", periods=len(values), freq="h"),
                "y": np.asarray(values, dtype=float),
            }
        )
        for name, values in series.items()
    ]
    return pd.concat(pieces, ignore_index=True)


def panel_of(rows: Any) -> Any:
    return read_panel(np.asarray(rows, dtype=float), Schema())[0]


# language models


@pytest.mark.parametrize("scaler", ["quantile", "standard"])
def test_an_even_model_spreads_its_density_over_what_can_be_written(scaler: Any) -> None:
    df = frame(a=WAVE, b=1000 * WAVE)
    found = llm(Even(), scaler=scaler).fit(df).log_density(df)
    for name, rows in found.groupby("unique_id"):
        known = np.float32(WAVE[:-HORIZON] * (1 if name == "a" else 1000)).astype(float)
        by_quantile = 2 * fit_scaler(known, "quantile").scale
        width = by_quantile if scaler == "quantile" else 8 * known.std()
        np.testing.assert_allclose(rows["log_density"], -math.log(width), rtol=1e-6)


def test_a_model_elsewhere_is_scored_letter_by_letter() -> None:
    df = frame(a=WAVE)
    found = llm(Elsewhere()).fit(df).log_density(df)
    known = np.float32(WAVE[:-HORIZON]).astype(float)
    width = fit_scaler(known, "quantile").scale / 500  # of a bin; values have four letters
    np.testing.assert_allclose(found["log_density"], -4 * 1.5 - math.log(width), rtol=1e-6)


@pytest.mark.parametrize("model", ["ngram", Even()])
def test_another_unit_moves_densities_by_its_logarithm(model: Any) -> None:
    parameters = {"settings": None} if model == "ngram" else {}
    small, large = (
        llm(model, **parameters).fit(df).log_density(df)
        for df in (frame(a=WAVE), frame(a=WAVE * 1024))
    )
    moved = small["log_density"] - large["log_density"]
    np.testing.assert_allclose(moved, math.log(1024), rtol=1e-5)


def test_a_model_that_learns_from_the_series_finds_what_repeats_more_likely() -> None:
    repeating = np.tile([1.0, 5.0, 2.0, 8.0], 12)
    forecaster = llm("ngram", settings=None)
    usual = forecaster.fit(repeating).log_density(repeating)
    other = np.r_[repeating[:-4], [5.0, 1.0, 8.0, 2.0]]
    unusual = forecaster.fit(other).log_density(other)
    assert usual["log_density"].min() > unusual["log_density"].max() + 1


def test_bounds_and_chance_do_not_matter_to_densities() -> None:
    df = frame(a=WAVE)
    plain = llm("ngram", settings=None).fit(df).log_density(df)
    for changes in ({"lower": 10.0, "upper": 10.1}, {"random_state": 3, "n_samples": 7}):
        changed = llm("ngram", settings=None, **changes).fit(df).log_density(df)
        pd.testing.assert_frame_equal(changed, plain)


# the seasonal naive forecast


def density_by_loop(known: np.ndarray, truth: np.ndarray, season: int) -> np.ndarray:
    """Return log densities step by step, each value given the season before it."""
    for lag in (season, 1):
        changes = np.array([known[t] - known[t - lag] for t in range(lag, len(known))])
        changes = changes[np.isfinite(changes)]
        if len(changes):
            break
    sigma = np.sqrt(np.mean(changes**2)) if len(changes) else 0.0
    path = list(known)
    for step in range(len(known) - season, len(known)):  # the last value seen of each phase
        place = step
        while place >= 0 and np.isnan(known[place]):
            place -= season
        path[step] = known[place] if place >= 0 else known[np.isfinite(known)][-1]
    seen = [*path[-season:], *truth[np.isfinite(truth)]]
    for value in truth:
        path.append(path[-season] if np.isnan(value) else value)
    expected = path[len(known) - season : len(path) - season]
    sigma = max(sigma, 1e-6 * max(*np.abs(seen), 1e-300))
    return stats.norm.logpdf(truth, expected, sigma)


numbers = st.one_of(st.just(math.nan), st.floats(-100, 100, width=32))


@given(
    st.lists(numbers, min_size=5, max_size=20),
    st.lists(numbers, min_size=1, max_size=7),
    st.integers(1, 5),
)
def test_densities_of_the_naive_forecast_are_those_of_a_loop(
    known: list[float], truth: list[float], season: int
) -> None:
    values = np.array(known)
    if not np.isfinite(values).any():
        return
    values = values[np.isfinite(values).argmax() :]
    if len(values) < season:
        return
    panel = panel_of([values])
    forecaster = naive(season_length=season).fit_panel(panel)
    came = np.float32(truth).astype(float)
    found = forecaster.log_density_panel(panel, came[None])[0]
    expected = density_by_loop(panel.values[0].astype(float), came, season)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_a_series_that_repeats_itself_exactly_has_a_density_with_a_bound() -> None:
    rows = np.tile([2.0, 4.0, 1.0, 3.0], 6)
    found = naive().fit(rows).log_density(rows)["log_density"]
    np.testing.assert_allclose(found, stats.norm.logpdf(0, 0, 4e-6))
    zeros = np.zeros(24)
    assert np.isfinite(naive().fit(zeros).log_density(zeros)["log_density"]).all()


# what both have in common


def test_the_frame_is_like_the_callers(make: Any) -> None:
    df = frame(b=WAVE, a=WAVE[:20]).rename(columns={"unique_id": "shop", "y": "sales"})
    columns = {"id_col": "shop", "target_col": "sales"}
    found = make(**columns).fit(df).log_density(df)
    assert [*found] == ["shop", "ds", "sales", "log_density"]
    ends = df.groupby("shop", sort=False).tail(HORIZON).reset_index(drop=True)
    pd.testing.assert_frame_equal(found[["shop", "ds"]], ends[["shop", "ds"]])
    np.testing.assert_allclose(found["sales"], ends["sales"], rtol=1e-6)
    in_polars = make(**columns).fit(df).log_density(pl.from_pandas(df))
    assert isinstance(in_polars, pl.DataFrame)
    pd.testing.assert_frame_equal(in_polars.to_pandas(), found)


def test_a_series_is_scored_alike_alone_and_among_others(make: Any) -> None:
    series = {"c": WAVE, "a": 3 * WAVE[:17], "b": WAVE[5:]}
    found = make().fit(frame(**series)).log_density(frame(**series))
    for name, values in series.items():
        alone = make().fit(frame(**{name: values})).log_density(frame(**{name: values}))
        rows = found[found["unique_id"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, alone)


def test_what_follows_does_not_matter_to_the_density_of_what_came_first(make: Any) -> None:
    df, changed = frame(a=WAVE), frame(a=np.r_[WAVE[:-1], 11.5])
    forecaster = make(scaler="standard") if make is MAKE["llm"] else make()
    one, other = (forecaster.fit(df).log_density(data) for data in (df, changed))
    np.testing.assert_allclose(one["log_density"][:3], other["log_density"][:3])


def test_no_more_than_the_memory_is_read() -> None:
    older = np.r_[np.full(20, 1e3), WAVE[20:]]
    for forecaster in (llm(Even(), context_length=8), naive(max_history=8)):
        one, other = (
            forecaster.fit_panel(panel_of([rows[:-4]])).log_density_panel(
                panel_of([rows[:-4]]), rows[None, -4:]
            )
            for rows in (WAVE, older)
        )
        np.testing.assert_array_equal(one, other)


def test_missing_truth_has_no_density(make: Any) -> None:
    values = np.where(np.arange(40) == 37, np.nan, WAVE)
    found = make().fit(frame(a=values)).log_density(frame(a=values))
    assert found["log_density"].isna().tolist() == [False, True, False, False]
    assert found["y"].isna().tolist() == [False, True, False, False]


def test_series_of_which_nothing_recent_is_known_have_no_density() -> None:
    gone = np.r_[1.0, 2.0, np.full(30, np.nan), np.ones(8)]
    df = frame(gone=gone, a=WAVE, short=[1.0, 2.0, 3.0], empty=np.full(9, np.nan))
    for forecaster in (llm(Even(), context_length=4), naive(max_history=4)):
        truncated = frame(gone=np.r_[gone[:32], np.full(4, np.nan), np.ones(4)], a=WAVE)
        found = forecaster.fit(df).log_density(truncated).set_index("unique_id")["log_density"]
        assert found["gone"].isna().all()
        assert np.isfinite(found["a"]).all()
        rest = forecaster.log_density(df)
        assert rest["unique_id"].unique().tolist() == ["gone", "a"]  # others have no history


def test_it_is_asked_after_fit_of_data_at_the_same_rhythm(make: Any) -> None:
    with pytest.raises(NotFittedError):
        make().log_density(frame(a=WAVE))
    days = frame(a=WAVE).assign(ds=pd.date_range("2024-01-01", periods=40, freq="D"))
    with pytest.raises(ValueError, match="look like freq='D'"):
        make().fit(frame(a=WAVE)).log_density(days)
    with pytest.raises(ValueError, match="no series has values before its last horizon=4"):
        make().fit(frame(a=WAVE)).log_density(frame(a=WAVE[:3]))


def test_a_window_that_is_too_small_is_used_part_by_part() -> None:
    small, large = Even(context_length=48), Even()
    densities = [
        llm(model, scaler="identity", horizon=20).fit(WAVE * 30).log_density(WAVE * 30)
        for model in (small, large)
    ]
    pd.testing.assert_frame_equal(*densities)
    assert len(large.scored) == 1
    assert len(small.scored) > 1
    assert max(map(len, small.scored)) <= 48
