"""Saved forecasters: equal predictions, two plain files, nothing half written."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest

import tsformer.forecasters.patchtst as patchtst_module
from tsformer import load
from tsformer.forecasters.defaults import default_patches

Make = Callable[..., Any]
STEPS = 30
VALUES = np.random.default_rng(0).normal(size=(2, STEPS)).cumsum(axis=1)
HOURS = pd.date_range("2024-03-30", periods=STEPS, freq="h")


def long_frame(ids: Any, times: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "unique_id": np.repeat(np.asarray(ids), STEPS),
            "ds": pd.concat([pd.Series(times)] * 2, ignore_index=True),
            "y": VALUES.reshape(-1),
        }
    )


GLUONTS = [
    {"item_id": name, "start": pd.Period("2024-01", freq="M"), "target": target}
    for name, target in zip("ba", VALUES, strict=True)
]
KINDS: dict[str, Any] = {
    "long": long_frame(["b", "a"], HOURS),
    "time zone": long_frame(["b", "a"], HOURS.tz_localize("UTC").tz_convert("Europe/Berlin")),
    "days in a zone": long_frame(
        ["b", "a"], pd.date_range("2024-03-20", periods=STEPS, freq="D", tz="America/New_York")
    ),
    "integer ids": long_frame([7, 3], HOURS),
    "number ids": long_frame([0.5, -1.5], HOURS),
    "mixed ids": long_frame(np.array([7, "x"], dtype=object), HOURS),
    "categorical ids": long_frame(["b", "a"], HOURS).astype({"unique_id": "category"}),
    "integer time": long_frame(["b", "a"], np.arange(STEPS)),
    "ends of months": long_frame(["b", "a"], pd.date_range("2024-01-31", periods=STEPS, freq="ME")),
    "business days": long_frame(["b", "a"], pd.date_range("2024-01-01", periods=STEPS, freq="B")),
    "polars": pl.from_pandas(long_frame(["b", "a"], HOURS)),
    "polars dates": pl.from_pandas(long_frame(["b", "a"], HOURS)).with_columns(
        pl.concat([pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 1, 30), eager=True)] * 2).alias(
            "ds"
        )
    ),
    "wide": pd.DataFrame(VALUES.T, columns=["b", "a"], index=HOURS),
    "series": pd.Series(VALUES[0], index=HOURS, name="load"),
    "array": VALUES,
    "vector": VALUES[0],
    "gluonts": GLUONTS,
}


def assert_equal_answers(one: Any, other: Any) -> None:
    if isinstance(one, pl.DataFrame):
        assert one.schema == other.schema
        assert one.equals(other)
    else:
        pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_forecaster_answers_as_the_saved_one(
    make_forecaster: Make, tmp_path: Path, kind: str
) -> None:
    data = KINDS[kind]
    forecaster = make_forecaster(quantiles=[0.1, 0.75]).fit(data)
    forecaster.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert type(loaded) is type(forecaster)
    assert_equal_answers(loaded.predict(), forecaster.predict())
    assert_equal_answers(loaded.predict(horizon=7), forecaster.predict(horizon=7))
    assert_equal_answers(loaded.predict(data, level=[98]), forecaster.predict(data, level=[98]))
    assert_equal_answers(
        loaded.predict_samples(n_samples=2), forecaster.predict_samples(n_samples=2)
    )
    assert loaded.score(data) == forecaster.score(data)


@pytest.mark.parametrize(
    "head", ["quantile", "mse", "mae", "huber", "student_t", "normal", "laplace"]
)
def test_every_head_survives_saving(make_patchtst: Make, tmp_path: Path, head: str) -> None:
    forecaster = make_patchtst(head=head).fit(VALUES)
    forecaster.save(tmp_path / "saved")
    assert_equal_answers(load(tmp_path / "saved").predict(), forecaster.predict())


def test_a_loaded_forecaster_can_be_updated_fitted_and_saved_again(
    make_forecaster: Make, make_frame: Make, tmp_path: Path
) -> None:
    df, newer = make_frame(), make_frame(["a"], 10, start="2024-01-03")
    forecaster = make_forecaster().fit(df)
    forecaster.save(tmp_path / "one")
    loaded = load(tmp_path / "one")
    assert_equal_answers(loaded.update(newer).predict(), forecaster.update(newer).predict())
    loaded.save(tmp_path / "two")
    again = load(tmp_path / "two")
    assert_equal_answers(again.predict(), forecaster.predict())
    assert again.score(df) == forecaster.score(df)
    assert_equal_answers(loaded.fit(df).predict(), make_forecaster().fit(df).predict())


def test_parameters_come_back(make_single: Make, tmp_path: Path) -> None:
    given = {"quantiles": (0.2, 0.4), "season_length": np.int64(3), "freq": None, "random_state": 5}
    forecaster = make_single(**given).fit(VALUES)
    forecaster.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert loaded.get_params() == forecaster.get_params()
    learned = {name for name in vars(forecaster) if name.endswith("_")} - {"fit_report_"}
    assert {name for name in vars(loaded) if name.endswith("_")} == learned


def test_numbers_and_arrays_of_numpy_come_back_as_plain_ones(
    make_single: Make, tmp_path: Path
) -> None:
    levels = np.array([0.2, 0.4])
    forecaster = make_single(quantiles=levels, horizon=np.int64(3)).fit(VALUES)
    forecaster.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert loaded.quantiles == (0.2, 0.4)
    assert type(loaded.horizon) is int
    assert_equal_answers(loaded.predict(), forecaster.predict())


def test_parameters_set_after_fit_do_not_spoil_what_was_learned(
    make_patchtst: Make, tmp_path: Path
) -> None:
    forecaster = make_patchtst().fit(VALUES)
    before = forecaster.predict(horizon=3)
    forecaster.set_params(d_model=32, horizon=3, quantiles=(0.3,), head="mse").save(tmp_path / "s")
    loaded = load(tmp_path / "s")
    assert loaded.d_model == 32
    assert_equal_answers(loaded.predict(), before[["unique_id", "ds", "mean", "0.3", "0.5"]])


def test_a_save_does_not_depend_on_later_defaults(
    make_patchtst: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecaster = make_patchtst(context_length=None).fit(VALUES)
    forecaster.save(tmp_path / "saved")
    monkeypatch.setattr(patchtst_module, "default_patches", lambda length: (length, length))
    assert default_patches(12) != (12, 12)
    assert_equal_answers(load(tmp_path / "saved").predict(), forecaster.predict())


def test_the_folder_holds_one_json_and_one_safetensors_file(
    make_forecaster: Make, tmp_path: Path
) -> None:
    make_forecaster().fit(VALUES).save(str(tmp_path / "new" / "folder"))
    files = sorted(path.name for path in (tmp_path / "new" / "folder").iterdir())
    assert files == ["config.json", "model.safetensors"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["folder"]  # no draft left
    config = json.loads((tmp_path / "new" / "folder" / "config.json").read_text("utf-8"))
    assert config["class"] == type(make_forecaster()).__name__
    header = (tmp_path / "new" / "folder" / "model.safetensors").read_bytes()[8:]
    assert header.startswith(b"{")  # safetensors: eight bytes of length, then JSON


def test_saving_twice_writes_the_same_bytes(make_forecaster: Make, tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_forecaster().fit(VALUES).save(tmp_path / name)
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_an_earlier_save_is_replaced(make_forecaster: Make, tmp_path: Path) -> None:
    make_forecaster().fit(VALUES).save(tmp_path)
    later = make_forecaster().fit(VALUES + 100)
    later.save(tmp_path)
    assert_equal_answers(load(tmp_path).predict(), later.predict())
    assert len(list(tmp_path.iterdir())) == 2


def through_a_worker(forecaster: Any) -> Any:
    """Return what comes back from one of scikit-learn's worker processes."""
    jobs = [joblib.delayed(copy.deepcopy)(forecaster)]
    return joblib.Parallel(n_jobs=2, prefer="processes")(jobs)[0]


@pytest.mark.parametrize("copied", [copy.deepcopy, through_a_worker])
def test_copies_and_what_workers_return_answer_the_same_and_live_on_their_own(
    make_single: Make, make_frame: Make, copied: Callable[[Any], Any]
) -> None:
    unfitted = copied(make_single(horizon=3))
    assert unfitted.get_params() == make_single(horizon=3).get_params()
    assert not hasattr(unfitted, "panel_")
    forecaster = make_single().fit(make_frame())
    before = forecaster.predict()
    other = copied(forecaster)
    assert_equal_answers(other.predict(), before)
    other.fit(make_frame(seed=9))
    assert_equal_answers(forecaster.predict(), before)
