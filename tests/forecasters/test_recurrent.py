"""The recurrent forecaster: what comes in pieces is read as if it had come at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsformer import load
from tsformer.data.frame import Schema, read_panel
from tsformer.forecasters import ConformalForecaster, RecurrentForecaster
from tsformer.forecasters.reading import Reading
from tsformer.forecasters.search_spaces import search_space

Make = Callable[..., Any]
SMALL = {
    "horizon": 3,
    "season_length": 4,
    "context_length": 16,
    "patch_length": 4,
    "d_model": 8,
    "n_heads": 2,
    "n_layers": 2,
    "d_ff": 8,
    "max_steps": 40,
}
NUMBERS = ["mean", "0.1", "0.5", "0.9"]


def make(**parameters: Any) -> RecurrentForecaster:
    return RecurrentForecaster(**{**SMALL, **parameters})


def frame(lengths: dict[str, int], seed: int = 0, begin: int = 0) -> pd.DataFrame:
    """Return random walks with a season; the same seed gives the same values of each step."""
    parts = []
    for number, (name, length) in enumerate(lengths.items()):
        generator = np.random.default_rng([seed, number])
        values = generator.normal(size=400).cumsum() + 5 * np.sin(np.arange(400) * np.pi / 2)
        times = pd.date_range("2024-01-01", periods=400, freq="h")
        part = pd.DataFrame({"unique_id": name, "ds": times, "y": values})
        parts.append(part.iloc[begin:length])
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def fitted() -> RecurrentForecaster:
    return make().fit(frame({"a": 90, "b": 67}))


def copy_of(forecaster: RecurrentForecaster, folder: Path) -> RecurrentForecaster:
    forecaster.save(folder)
    return load(folder)


def assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, rtol=1e-5, atol=1e-5)


@settings(max_examples=12, deadline=None)
@given(pieces=st.lists(st.integers(1, 11), min_size=1, max_size=5))
def test_updates_in_pieces_are_as_one_reading(
    fitted: RecurrentForecaster, tmp_path_factory: Any, pieces: list[int]
) -> None:
    forecaster = copy_of(fitted, tmp_path_factory.mktemp("saved") / "it")
    a, b = 90, 67
    for piece in pieces:
        later = pd.concat(
            [
                frame({"a": a + piece}, begin=a),
                frame({"a": 0, "b": b + 2 * piece}, begin=b),
            ]
        )
        forecaster.update(later)
        a, b = a + piece, b + 2 * piece
    whole = frame({"a": a, "b": b})
    assert_same(forecaster.predict(), forecaster.predict(whole))
    assert forecaster.states_.lengths.tolist() == [a, b]


def patches_read(forecaster: RecurrentForecaster, later: pd.DataFrame) -> int:
    """Return how many patches an update and a forecast after it read."""
    counts = []
    forecaster.model_.network.register_forward_pre_hook(
        lambda network, inputs: counts.append(inputs[1].shape[1])
    )
    forecaster.update(later).predict()
    return sum(counts)


def test_an_update_costs_what_is_new_and_not_what_is_known() -> None:
    short, long = (make(max_steps=1).fit(frame({"a": length})) for length in (60, 380))
    assert patches_read(short, frame({"a": 69}, begin=60)) == 2
    assert patches_read(long, frame({"a": 389}, begin=380)) == 2
    assert long.panel_.values.shape == short.panel_.values.shape
    assert long.states_.state.memory.shape == short.states_.state.memory.shape


def test_far_back_is_remembered_by_the_state_and_not_by_rows(fitted: RecurrentForecaster) -> None:
    whole = frame({"a": 90, "b": 67})
    assert fitted.panel_.lengths.max() == 16
    assert_same(fitted.predict(), fitted.predict(whole))
    recent = whole.groupby("unique_id").tail(24)
    difference = fitted.predict()["mean"] - fitted.predict(recent)["mean"]
    assert 1e-6 < difference.abs().max() < 2.0


def test_series_that_are_new_join(fitted: RecurrentForecaster, tmp_path: Path) -> None:
    forecaster = copy_of(fitted, tmp_path / "saved")
    forecaster.update(frame({"c": 31}))
    expected = fitted.predict(frame({"c": 31}))
    answer = forecaster.predict()
    assert_same(answer[answer["unique_id"] == "c"].reset_index(drop=True), expected)
    assert_same(answer[answer["unique_id"] != "c"].reset_index(drop=True), fitted.predict())


@pytest.mark.parametrize("length", [1, 3, 4, 17])
def test_series_shorter_than_a_patch_are_forecast(fitted: RecurrentForecaster, length: int) -> None:
    answer = fitted.predict(frame({"new": length}))
    assert np.isfinite(answer[NUMBERS]).all(axis=None)


def test_beyond_the_horizon_paths_are_read_on(fitted: RecurrentForecaster) -> None:
    answer, short = fitted.predict(horizon=14), fitted.predict()
    first = answer.groupby("unique_id").head(3).reset_index(drop=True)
    assert_same(first, short)
    assert np.isfinite(answer[NUMBERS]).all(axis=None)
    assert (answer["0.1"] < answer["0.9"]).all()


def test_values_made_up_are_read_as_if_they_had_come(fitted: RecurrentForecaster) -> None:
    df = frame({"a": 86})  # half of a patch has begun
    panel = read_panel(df, Schema())[0]
    reading = Reading.of(fitted._network, panel, memory=16)
    later = frame({"a": 95}, begin=86)["y"].to_numpy(dtype=np.float32)
    origin = next(reading.origins())[1].repeat(2)
    for step in range(0, 9, 3):
        origin = origin.append(torch.from_numpy(later[step : step + 3]).expand(2, 1, 3))
    with torch.inference_mode():
        found = origin.predict((0.1, 0.9))
    expected = fitted.predict(frame({"a": 95}), quantiles=[0.1, 0.9])
    for row in range(2):
        np.testing.assert_allclose(found.mean[row, 0], expected["mean"], rtol=1e-5)
        np.testing.assert_allclose(found.quantiles[row, 0, :, 0], expected["0.1"], rtol=1e-5)


def test_a_loaded_one_goes_on_from_its_state(fitted: RecurrentForecaster, tmp_path: Path) -> None:
    loaded, other = (copy_of(fitted, tmp_path / name) for name in ("one", "two"))
    pd.testing.assert_frame_equal(loaded.predict(), fitted.predict(), check_exact=True)
    assert loaded.states_.lengths.tolist() == [90, 67]
    later = frame({"a": 95}, begin=90)
    pd.testing.assert_frame_equal(loaded.update(later).predict(), other.update(later).predict())


def test_several_targets_are_read_side_by_side(make_frame: Make) -> None:
    df = make_frame(length=60).assign(z=lambda d: -d["y"])
    early = df.groupby("unique_id").head(50)
    both = make(target_col=["y", "z"]).fit(early)
    assert_same(both.update(df).predict(), both.predict(df))
    memory = both.states_.state.memory
    assert memory.shape[0] == 4


def test_missing_values_are_read_as_missing(fitted: RecurrentForecaster, tmp_path: Path) -> None:
    later = frame({"a": 120}, begin=90)
    later.loc[later.index % 3 == 1, "y"] = np.nan
    forecaster = copy_of(fitted, tmp_path / "saved").update(later)
    whole = pd.concat([frame({"a": 90}), later])
    expected = forecaster.predict(whole)
    answer = forecaster.predict()
    assert_same(answer[answer["unique_id"] == "a"].reset_index(drop=True), expected)


def test_updates_within_conformal_intervals(make_frame: Make) -> None:
    df = make_frame(length=70)
    early = df.groupby("unique_id").head(60)
    within = ConformalForecaster(forecaster=make(), n_windows=3, refit=True)
    answer = within.fit(early).update(df).predict()
    assert np.isfinite(answer[NUMBERS]).all(axis=None)


def test_it_learns_a_season_that_no_window_of_a_patch_shows() -> None:
    steps = np.arange(600)
    df = pd.DataFrame(
        {
            "unique_id": "a",
            "ds": pd.date_range("2024-01-01", periods=600, freq="h"),
            "y": 10 + np.where(steps % 12 < 3, 5.0, 0.0),
        }
    )
    forecaster = make(horizon=12, season_length=12, context_length=48, d_model=16, max_steps=300)
    answer = forecaster.fit(df.head(578)).predict()
    assert np.abs(answer["mean"].to_numpy() - df["y"].iloc[578:590].to_numpy()).mean() < 0.8


def test_a_patch_longer_than_the_context_is_refused(make_frame: Make) -> None:
    with pytest.raises(ValueError, match="patch_length=17 must be from 1 to context_length=16"):
        make(patch_length=17).fit(make_frame())


def test_the_search_space_holds_no_context_shorter_than_a_patch(make_frame: Make) -> None:
    contexts = search_space(make(patch_length=10), make_frame(length=100))["context_length"]
    assert min(length for length in contexts.values) >= 10
