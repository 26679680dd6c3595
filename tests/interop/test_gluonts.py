"""GluonTS's data sets go in, its forecasts come out; frames, panels and our harness are oracles."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from gluonts.dataset.common import FileDataset, ListDataset, MetaData, TrainDatasets
from gluonts.dataset.pandas import PandasDataset
from gluonts.dataset.split import split
from gluonts.ev.metrics import MAE, MAPE, MASE, MSE, MSIS, ND, NRMSE, RMSE, SMAPE
from gluonts.ev.metrics import MeanWeightedSumQuantileLoss as WeightedQuantileLoss
from gluonts.evaluation import make_evaluation_predictions
from gluonts.model.evaluation import evaluate_model
from gluonts.model.forecast import QuantileForecast, SampleForecast
from gluonts.model.predictor import ParallelizedPredictor, Predictor

from tsformer.data.datasets import DatasetUnavailableError
from tsformer.evaluation.runner import evaluate
from tsformer.evaluation.suite import load_suite
from tsformer.evaluation.tasks import load_task
from tsformer.forecasters import (
    FORECASTERS,
    ConformalForecaster,
    Differencing,
    DLinearForecaster,
    EnsembleForecaster,
    ITransformerForecaster,
    LLMForecaster,
    NLinearForecaster,
    PatchTSTForecaster,
    RecurrentForecaster,
    SeasonalNaiveForecaster,
    TrainedTSFormerForecaster,
    TransformedForecaster,
    TSFormerForecaster,
)
from tsformer.interop.gluonts import LEVELS, ForecasterEstimator, ForecasterPredictor

HORIZON, SEASON = 4, 4
DECILES = tuple(k / 10 for k in range(1, 10))
SHARED = {"horizon": HORIZON, "season_length": SEASON}
LINEAR = {**SHARED, "context_length": 16, "max_steps": 2}
SMALL = {**LINEAR, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8}
Entry = dict[str, Any]

pytestmark = pytest.mark.filterwarnings("ignore:Period:FutureWarning")  # of business days


def naive(**parameters: Any) -> SeasonalNaiveForecaster:
    return SeasonalNaiveForecaster(**{**SHARED, **parameters})


def tsformer(**parameters: Any) -> TSFormerForecaster:
    return TSFormerForecaster(**{**SHARED, "context_length": 32, **parameters})


EACH = [
    naive(),
    tsformer(),
    LLMForecaster(**SHARED, model="ngram", n_samples=5),
    PatchTSTForecaster(**SMALL),
    ITransformerForecaster(**SMALL),
    TrainedTSFormerForecaster(**SMALL),
    RecurrentForecaster(**SMALL),
    DLinearForecaster(**LINEAR),
    NLinearForecaster(**LINEAR),
    ConformalForecaster(forecaster=naive(), n_windows=2),
    TransformedForecaster(forecaster=naive(), transformer=Differencing()),
    EnsembleForecaster(forecaster=naive(), others=[tsformer()]),
]


def make_entry(length: int = 40, *, freq: str = "h", seed: int = 0, **others: Any) -> Entry:
    target = np.random.default_rng(seed).normal(size=length).cumsum() + 10
    return {"start": pd.Period("2024-01-02", freq=freq), "target": target, **others}


def make_entries(ids: str = "cab", **others: Any) -> list[Entry]:
    return [make_entry(40 + n, seed=n, item_id=name, **others) for n, name in enumerate(ids)]


def as_frame(entries: list[Entry], **columns: Any) -> pd.DataFrame:
    """Return the entries as the long frame that a user of `fit` would have."""
    parts = []
    for entry in entries:
        length = entry["target"].shape[-1]
        times = pd.period_range(entry["start"], periods=length).to_timestamp()
        rows = {name: entry[field][row][:length] for name, (field, row) in columns.items()}
        values = {"item_id": entry["item_id"], "timestamp": times, "target": entry["target"]}
        parts.append(pd.DataFrame({**values, **rows}))
    return pd.concat(parts, ignore_index=True)


def train(forecaster: Any, data: Any, validation: Any = None, **settings: Any) -> Any:
    return ForecasterEstimator(forecaster=forecaster, **settings).train(data, validation)


def assert_same(ours: list[Any], theirs: list[Any]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert type(one) is type(other)
        assert (one.start_date, one.item_id) == (other.start_date, other.item_id)
        key = "samples" if isinstance(one, SampleForecast) else "forecast_array"
        np.testing.assert_allclose(getattr(one, key), getattr(other, key), rtol=1e-5, atol=1e-5)


def assert_equals_frame(forecasts: list[QuantileForecast], frame: pd.DataFrame) -> None:
    for forecast, (name, rows) in zip(forecasts, frame.groupby("item_id", sort=False), strict=True):
        assert forecast.item_id == name
        times = forecast.index.to_timestamp().to_numpy()
        np.testing.assert_array_equal(times, rows["timestamp"].to_numpy())
        for column in ("mean", "0.1", "0.5", "0.9"):
            np.testing.assert_allclose(forecast[column], rows[column], rtol=1e-5, atol=1e-5)


def test_every_forecaster_is_tried_here() -> None:
    assert {type(forecaster).__name__ for forecaster in EACH} == {*FORECASTERS}


@pytest.mark.parametrize("forecaster", EACH, ids=lambda f: type(f).__name__)
def test_when_trained_on_entries_then_forecasts_are_those_of_a_frame(forecaster: Any) -> None:
    entries = make_entries()
    predictor = train(forecaster, entries)
    frame = type(forecaster)(**forecaster.get_params(deep=False)).fit(as_frame(entries)).predict()
    assert_equals_frame(list(predictor.predict(entries)), frame)
    assert not hasattr(forecaster, "panel_")  # a copy was fitted
    assert predictor.prediction_length == HORIZON


@pytest.mark.parametrize("forecaster", EACH[1:3], ids=lambda f: type(f).__name__)
def test_when_no_fit_is_needed_then_predictor_forecasts_without_training(forecaster: Any) -> None:
    entries = make_entries()
    forecasts = ForecasterPredictor(forecaster=forecaster).predict(entries)
    assert_equals_frame(list(forecasts), forecaster.predict(as_frame(entries)))


def test_when_fitted_to_a_frame_then_predictor_takes_it_as_it_is() -> None:
    entries = make_entries()
    fitted = naive().fit(as_frame(entries))
    later = make_entries("xy")
    forecasts = ForecasterPredictor(forecaster=fitted).predict(later)
    assert_equals_frame(list(forecasts), fitted.predict(as_frame(later)))


def test_levels_are_deciles_the_tails_of_msis_and_the_forecasters_own() -> None:
    predictor = train(naive(quantiles=[0.05, 0.5]), make_entries())
    forecast = next(predictor.predict(make_entries()))
    keys = ["mean", *map(str, sorted({*LEVELS, 0.05}))]
    assert forecast.forecast_keys == keys
    assert {*DECILES, 0.025, 0.975} == {*LEVELS}
    quantiles = np.stack([forecast.quantile(key) for key in keys[1:]])
    assert (np.diff(quantiles, axis=0) > 0).all()
    assert (forecast.quantile(0.15) > forecast.quantile(0.1)).all()
    assert (forecast.quantile(0.15) < forecast.quantile(0.2)).all()


def windows_of(entries: list[Entry], windows: int = 3) -> Any:
    template = split(entries, offset=-windows * HORIZON)[1]
    return template.generate_instances(prediction_length=HORIZON, windows=windows)


@pytest.mark.parametrize("ids", ["aba", None], ids=["repeated ids", "no ids"])
@pytest.mark.parametrize("batch_size", [1, 2, 1024])
def test_each_window_of_a_series_gets_its_own_forecast_in_order(
    ids: str | None, batch_size: int
) -> None:
    entries = make_entries("aba")
    if ids is None:
        entries = [{k: v for k, v in entry.items() if k != "item_id"} for entry in entries]
    test_data = windows_of(entries)
    predictor = train(naive(), split(entries, offset=-12)[0], batch_size=batch_size)
    forecasts = list(predictor.predict(test_data.input))
    assert len(forecasts) == 9
    for (given, label), forecast in zip(test_data, forecasts, strict=True):
        assert forecast.item_id == given.get("item_id")
        assert forecast.start_date == label["start"]
        np.testing.assert_allclose(forecast.mean, given["target"][-SEASON:], rtol=1e-6)


def test_when_dataset_is_long_then_only_a_batch_of_it_is_read_ahead() -> None:
    read = 0

    def endless() -> Iterator[Entry]:
        nonlocal read
        while True:
            read += 1
            yield make_entry(seed=read, item_id=str(read))

    forecasts = ForecasterPredictor(forecaster=tsformer(), batch_size=3).predict(endless())
    assert [next(forecasts).item_id for _ in range(7)] == list("1234567")
    assert read == 10  # three batches, and the entry that ends the last of them


def test_when_entry_changes_then_info_follows_and_the_entry_stays() -> None:
    entry = make_entry(info={"place": "Ulm"}, item_id="a")
    before = entry["target"].copy()
    forecast = next(ForecasterPredictor(forecaster=tsformer()).predict([entry]))
    assert forecast.info == {"place": "Ulm"}
    np.testing.assert_array_equal(entry["target"], before)


@pytest.mark.parametrize(
    "freq", ["10s", "15min", "h", "6h", "D", "B", "W-TUE", "2W-SUN", "M", "Q-NOV", "Y-DEC"]
)
def test_forecasts_start_where_the_label_does_at_any_frequency(freq: str) -> None:
    entries = [make_entry(60, freq=freq, seed=seed, item_id=str(seed)) for seed in range(2)]
    training, template = split(entries, offset=-HORIZON)
    test_data = template.generate_instances(prediction_length=HORIZON)
    for forecaster in (naive(), tsformer()):
        forecasts = list(train(forecaster, training).predict(test_data.input))
        assert [f.start_date for f in forecasts] == [label["start"] for label in test_data.label]
        assert forecasts[0].freq == entries[0]["start"].freq


def test_when_no_fit_is_needed_then_frequencies_may_be_mixed() -> None:
    entries = [make_entry(freq=freq, item_id=freq) for freq in ("h", "D", "h", "M")]
    forecaster = TSFormerForecaster(horizon=HORIZON)
    forecasts = list(ForecasterPredictor(forecaster=forecaster).predict(entries))
    assert [forecast.item_id for forecast in forecasts] == ["h", "D", "h", "M"]
    alone = [next(ForecasterPredictor(forecaster=forecaster).predict([e])) for e in entries]
    assert_same(forecasts, alone)


def as_json_lines(entries: list[Entry], folder: Path) -> Any:
    lines = [{**e, "start": str(e["start"]), "target": e["target"].tolist()} for e in entries]
    text = "\n".join(map(json.dumps, lines))
    (folder / "data.json").write_text(text)
    return FileDataset(folder, freq="h")


def as_arrow(entries: list[Entry], folder: Path) -> Any:
    pytest.importorskip("pyarrow")
    from gluonts.dataset.arrow import ArrowWriter

    listed = [{**e, "start": str(e["start"]), "target": e["target"]} for e in entries]
    ArrowWriter(metadata={"freq": "h"}).write_to_folder(listed, folder)
    return FileDataset(folder, freq="h")


FORMS: dict[str, Any] = {
    "list": lambda entries, folder: entries,
    "ListDataset": lambda entries, folder: ListDataset(entries, freq="h"),
    "PandasDataset": lambda entries, folder: PandasDataset.from_long_dataframe(
        as_frame(entries), item_id="item_id", timestamp="timestamp", freq="h"
    ),
    "JsonLines": as_json_lines,
    "Arrow": as_arrow,
    "split": lambda entries, folder: (
        windows_of(
            [{**e, "target": np.append(e["target"], np.zeros(HORIZON))} for e in entries], 1
        ).input
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_data_set_gives_the_same_forecasts(form: str, tmp_path: Path) -> None:
    entries = make_entries("abc")
    dataset = FORMS[form](entries, tmp_path)
    expected = list(train(naive(), entries).predict(entries))
    assert_same(list(train(naive(), dataset).predict(dataset)), expected)
    zero_shot = ForecasterPredictor(forecaster=tsformer())
    assert_same(list(zero_shot.predict(dataset)), list(zero_shot.predict(entries)))


def test_when_train_datasets_are_given_then_its_train_is_learned() -> None:
    entries = make_entries()
    datasets = TrainDatasets(metadata=MetaData(freq="h"), train=entries, test=entries)
    predictor = train(naive(), datasets)
    assert sorted(predictor.forecaster.panel_.ids) == ["a", "b", "c"]
    with pytest.raises(TypeError, match=r"pass its \.train or its \.test"):
        list(predictor.predict(datasets))


MULTIVARIATE = [naive(), tsformer(), PatchTSTForecaster(**SMALL), ITransformerForecaster(**SMALL)]


@pytest.mark.parametrize("forecaster", MULTIVARIATE, ids=lambda f: type(f).__name__)
def test_when_target_has_variates_then_forecasts_have_them_last(forecaster: Any) -> None:
    entries = [
        {**e, "target": np.stack([e["target"], 100 - e["target"], e["target"] ** 2])}
        for e in make_entries("ab")
    ]
    test_data = windows_of(entries, 2)
    predictor = train(forecaster, split(entries, offset=-2 * HORIZON)[0])
    forecasts = list(predictor.predict(test_data.input))
    assert {forecast.mean.shape for forecast in forecasts} == {(HORIZON, 3)}
    assert {forecast.quantile("0.3").shape for forecast in forecasts} == {(HORIZON, 3)}
    samples = next(predictor.predict(test_data.input, num_samples=7)).samples
    assert samples.shape == (7, HORIZON, 3)
    metrics = [MASE(), ND(), WeightedQuantileLoss(quantile_levels=DECILES)]
    scores = evaluate_model(predictor, test_data=test_data, metrics=metrics, seasonality=SEASON)
    assert np.isfinite(scores.to_numpy()).all()


@pytest.mark.parametrize("forecaster", [naive(), tsformer()], ids=["naive", "tsformer"])
def test_when_variates_are_forecast_apart_then_each_is_as_if_alone(forecaster: Any) -> None:
    entries = [{**e, "target": np.stack([e["target"], 50 - e["target"]])} for e in make_entries()]
    together = list(train(forecaster, entries).predict(entries))
    for variate in range(2):
        alone = [{**e, "target": e["target"][variate]} for e in entries]
        expected = list(train(forecaster, alone).predict(alone))
        assert_same([forecast.copy_dim(variate) for forecast in together], expected)


def test_when_target_is_one_variate_of_two_axes_then_so_is_the_forecast() -> None:
    entries = [{**entry, "target": entry["target"][None]} for entry in make_entries()]
    forecast = next(train(naive(), entries).predict(entries))
    assert (forecast.mean.shape, forecast.dim()) == ((HORIZON, 1), 1)


@pytest.mark.parametrize("forecaster", EACH[:4], ids=lambda f: type(f).__name__)
def test_when_samples_are_asked_for_then_they_are_the_forecasters_paths(forecaster: Any) -> None:
    entries = make_entries("abc")
    predictor = train(forecaster, entries, samples=6)
    forecasts = list(predictor.predict(entries))
    fitted = type(forecaster)(**forecaster.get_params(deep=False)).fit(as_frame(entries))
    rows = fitted.predict_samples(n_samples=6)
    for forecast, (name, paths) in zip(forecasts, rows.groupby("item_id"), strict=True):
        assert isinstance(forecast, SampleForecast)
        assert forecast.item_id == name
        expected = paths["target"].to_numpy().reshape(6, HORIZON)
        np.testing.assert_allclose(forecast.samples, expected, rtol=1e-5, atol=1e-5)


def test_when_gluonts_makes_evaluation_predictions_then_it_gets_its_samples() -> None:
    entries = make_entries()
    made = make_evaluation_predictions(entries, ForecasterPredictor(forecaster=tsformer()), 9)
    forecasts, truths = (list(part) for part in made)
    assert {forecast.samples.shape for forecast in forecasts} == {(9, HORIZON)}
    assert [f.start_date for f in forecasts] == [t.index[-HORIZON] for t in truths]


def with_features(entries: list[Entry], horizon: int) -> list[Entry]:
    """Return entries with a feature of each kind, the target being moved by the future ones."""
    featured = []
    for number, entry in enumerate(entries):
        length = len(entry["target"])
        drawn = np.random.default_rng(100 + number).normal(size=(2, length + horizon))
        moved = entry["target"] + 3 * (drawn[0, :length] > 0)
        features = {
            "feat_dynamic_real": np.stack([drawn[0] > 0, drawn[1]]).astype(float),
            "past_feat_dynamic_real": drawn[1:, :length] - 1,
            "feat_static_real": [float(number)],
            "feat_static_cat": np.array([number % 2]),
        }
        featured.append({**entry, "target": moved, **features})
    return featured


def future_of(entries: list[Entry]) -> pd.DataFrame:
    parts = []
    for entry in entries:
        length = len(entry["target"])
        times = pd.period_range(entry["start"] + length, periods=HORIZON).to_timestamp()
        promo, price = entry["feat_dynamic_real"][:, length:]
        values = {"item_id": entry["item_id"], "timestamp": times, "promo": promo, "price": price}
        parts.append(pd.DataFrame(values))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("is_trained", [False, True])
def test_when_future_features_are_named_then_forecasts_are_those_of_future_df(
    is_trained: bool,
) -> None:
    entries = with_features(make_entries(), HORIZON)
    forecaster = tsformer(future_covariates=["promo", "price"])
    columns = {name: ("feat_dynamic_real", n) for n, name in enumerate(("promo", "price"))}
    frame = forecaster.predict(as_frame(entries, **columns), future_of(entries))
    predictor = ForecasterPredictor(forecaster=forecaster)
    if is_trained:
        predictor = train(forecaster, entries)
    forecasts = list(predictor.predict(entries))
    assert_equals_frame(forecasts, frame)
    plain = next(ForecasterPredictor(forecaster=tsformer()).predict(entries))
    assert np.abs(plain.mean - forecasts[0].mean).max() > 0.1


def test_when_all_kinds_of_features_are_named_then_forecasts_are_those_of_frames() -> None:
    entries = with_features(make_entries("abcd"), HORIZON)
    named = {
        "future_covariates": ["promo", "price"],
        "past_covariates": ["visits"],
        "static_covariates": ["size", "kind"],
    }
    forecaster = TrainedTSFormerForecaster(**{**SMALL, "max_steps": 20, **named})
    columns = {
        "promo": ("feat_dynamic_real", 0),
        "price": ("feat_dynamic_real", 1),
        "visits": ("past_feat_dynamic_real", 0),
    }
    static_df = pd.DataFrame(
        {"item_id": [*"abcd"], "size": [0.0, 1.0, 2.0, 3.0], "kind": [*"0101"]}
    )
    fitted = TrainedTSFormerForecaster(**forecaster.get_params())
    fitted.fit(as_frame(entries, **columns), static_df=static_df)
    predictor = train(forecaster, entries)
    forecasts = list(predictor.predict(entries))
    assert_equals_frame(forecasts, fitted.predict(future_df=future_of(entries)))
    for field in ("feat_static_cat", "feat_static_real", "past_feat_dynamic_real"):
        changed = {**entries[0], field: np.asarray(entries[0][field]) + 1}
        other = next(predictor.predict([changed]))
        assert not np.allclose(other.mean, forecasts[0].mean), field


def test_when_features_are_not_named_then_they_are_not_used() -> None:
    entries = make_entries()
    featured = with_features(entries, 0)
    bare = [{k: e[k] for k in ("start", "target", "item_id")} for e in featured]
    forecaster = TrainedTSFormerForecaster(**SMALL)
    forecasts = list(train(forecaster, featured).predict(featured))
    assert_same(forecasts, list(train(forecaster, bare).predict(bare)))


class Recorder(SeasonalNaiveForecaster):
    """Remembers what was held out."""

    def _learn(self, panel: Any, val_size: Any) -> Any:
        self.held_out_ = val_size
        self.learned_ = panel
        return super()._learn(panel, val_size)


@pytest.mark.parametrize("ids", ["cab", "aaa"])
def test_when_validation_data_go_on_then_what_they_add_is_held_out(ids: str) -> None:
    entries = make_entries(ids)
    training, template = split(entries, offset=-6)
    fitted = train(Recorder(**SHARED), training, entries[:2]).forecaster
    order = [1, 2, 0] if ids == "cab" else [0, 1, 2]  # by id, or by place
    assert fitted.held_out_.tolist() == [[6, 6, 0][number] for number in order]
    learned = [fitted.learned_.series(row)[0] for row in range(3)]
    whole = [entries[0]["target"], entries[1]["target"], entries[2]["target"][:-6]]
    for row, number in enumerate(order):
        np.testing.assert_allclose(learned[row], whole[number], rtol=1e-6)
    assert train(Recorder(**SHARED), training).forecaster.held_out_ is None


def test_when_trained_then_forecaster_goes_on_with_frames() -> None:
    entries = make_entries()
    forecaster = train(naive(), entries).forecaster
    frame = forecaster.predict()
    assert frame.columns[:3].tolist() == ["item_id", "timestamp", "mean"]
    assert frame["item_id"].unique().tolist() == [*"cab"]
    ends = {e["item_id"]: e["start"] + len(e["target"]) for e in entries}
    first = frame.groupby("item_id")["timestamp"].first().dt.to_period("h")
    assert first.to_dict() == ends


ODD = {
    "all missing": np.full(30, np.nan),
    "constant": np.full(30, 3.0),
    "one value": np.array([5.0]),
    "with gaps": np.where(np.arange(30) % 3, 1.0, np.nan),
    "begins late": np.r_[np.full(25, np.nan), np.arange(5.0)],
    "empty": np.empty(0),
    "whole numbers": np.arange(30),
    "a list": [1.0, None, 3.0] * 8,
}


@pytest.mark.parametrize("forecaster", [naive(), tsformer(), DLinearForecaster(**LINEAR)])
def test_no_series_stops_the_others(forecaster: Any) -> None:
    entries = [
        *make_entries(),
        *({"start": pd.Period("2024", "h"), "target": v, "item_id": k} for k, v in ODD.items()),
    ]
    predictors = [train(forecaster, entries)]
    if isinstance(forecaster, TSFormerForecaster):
        predictors.append(ForecasterPredictor(forecaster=forecaster))
    for predictor in predictors:
        for samples in (None, 5):
            forecasts = list(predictor.predict(entries, num_samples=samples))
            assert [forecast.item_id for forecast in forecasts] == [*"cab", *ODD]
            assert all(np.isfinite(forecast.quantile(0.3)).all() for forecast in forecasts)


def test_when_history_is_long_then_only_its_recent_part_counts_and_is_copied() -> None:
    entry = make_entry(3000)
    predictor = ForecasterPredictor(forecaster=tsformer())
    recent = {**entry, "start": entry["start"] + 2968, "target": entry["target"][2968:]}
    assert_same(list(predictor.predict([entry])), list(predictor.predict([recent])))


def fitted_naive() -> SeasonalNaiveForecaster:
    return naive().fit(as_frame(make_entries()))


def test_when_entries_have_no_names_then_none_is_taken_for_a_fitted_series() -> None:
    entries = [{k: v for k, v in e.items() if k != "item_id"} for e in make_entries()]
    fitted = train(Recorder(**SHARED), entries).forecaster
    asked = []
    fitted._forecast = lambda panel, *_: (
        asked.extend(panel.ids) or Recorder._forecast(fitted, panel, *_)
    )
    list(ForecasterPredictor(forecaster=fitted).predict(entries))
    assert asked == ["entry 0", "entry 1", "entry 2"]
    assert fitted.panel_.ids.tolist() == ["series 0", "series 1", "series 2"]


@pytest.mark.parametrize(
    ("entries", "error", "message"),
    [
        ([1.0, 2.0], TypeError, "entry 0 is a float, not a dictionary; of TestData.*pass .input"),
        (windows_of(make_entries()), TypeError, "entry 0 is a tuple, not a dictionary"),
        ([{"target": [1.0]}], ValueError, r"entry 0 has no 'start'; it has \['target'\]"),
        (
            [make_entry(), {"start": "2024", "target": [1.0], "item_id": "x"}],
            ValueError,
            r"entry 1 \('x'\): start is '2024', expected a pandas Period; .*ListDataset",
        ),
        (
            [{**make_entry(), "target": np.ones((1, 2, 3))}],
            ValueError,
            r"entry 0: target has shape \(1, 2, 3\), expected \[time\] or \[variate, time\]",
        ),
        (
            [make_entry(), {**make_entry(), "target": np.array([1.0, np.inf])}],
            ValueError,
            "'target' has inf at entry 1; replace it by NaN",
        ),
        (
            [make_entry(freq="D")],
            ValueError,
            "entry 0 has freq 'D', but the forecaster was fitted at 'h'; train one for each",
        ),
        (
            [{**make_entry(), "target": np.ones((2, 30))}],
            ValueError,
            "entry 0: target has 2 variates, but the forecaster was fitted to 1",
        ),
    ],
)
def test_when_entries_cannot_be_forecast_then_error_names_them(
    entries: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        list(ForecasterPredictor(forecaster=fitted_naive()).predict(entries))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({}, r"has 0 rows of feat_dynamic_real and feat_dynamic_cat.*names 1; name each row"),
        ({"feat_dynamic_real": np.ones((2, 44))}, "has 2 rows.*names 1"),
        (
            {"feat_dynamic_real": np.ones((1, 40))},
            r"entry 0: covariate 'promo' has 40 steps, but 44 are needed, 40 of the target and 4",
        ),
        ({"feat_dynamic_real": np.full((1, 44), np.inf)}, "'promo' has inf at entry 0"),
    ],
)
def test_when_features_do_not_fit_then_error_says_what_is_needed(
    features: dict[str, Any], message: str
) -> None:
    predictor = ForecasterPredictor(forecaster=tsformer(future_covariates=["promo"]))
    with pytest.raises(ValueError, match=message):
        list(predictor.predict([make_entry(40, **features)]))


@pytest.mark.parametrize(
    ("training", "validation", "parameters", "message"),
    [
        ([], None, {}, "no entry has a step of target; pass at least one series"),
        ([make_entry(0)], None, {}, "no entry has a step of target"),
        (
            [make_entry(), make_entry(freq="D")],
            None,
            {},
            "entry 1 has freq 'D' and 1 variates, but entry 0 has 'h' and 1; train on one kind",
        ),
        (make_entries("ab"), make_entries("ab"), {}, "no step later than training_data"),
        (make_entries("ab"), make_entries("ax"), {}, "has the series 'x', which training_data has"),
        (make_entries(), None, {"horizon": 0}, "horizon=0 must be at least 1"),
        (make_entries(), None, {"target_col": ["y", "z"]}, "1 variates, but target_col=.*names 2"),
    ],
)
def test_when_data_cannot_be_learned_then_error_says_why(
    training: Any, validation: Any, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train(naive(**parameters), training, validation)


def test_when_forecaster_cannot_be_used_then_error_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="PatchTSTForecaster has to be fitted first; use Forecast"):
        ForecasterPredictor(forecaster=PatchTSTForecaster(**SMALL))
    with pytest.raises(ValueError, match="TSFormerForecaster has to be fitted first"):
        ForecasterPredictor(forecaster=tsformer(finetune_steps=1))
    for kind in (ForecasterPredictor, ForecasterEstimator):
        with pytest.raises(TypeError, match="forecaster='naive' must be a forecaster of tsformer"):
            kind(forecaster="naive")
    for name in ("samples", "batch_size"):
        with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
            ForecasterPredictor(forecaster=tsformer(), **{name: 0})


SCRIPT = """
import sys
from pathlib import Path
import numpy as np, pandas as pd
from gluonts.model.predictor import Predictor
target = np.loadtxt(sys.argv[1])
entry = {"start": pd.Period("2024-01-02", freq="h"), "target": target, "item_id": "a"}
for folder in sys.argv[2:]:
    forecast = next(Predictor.deserialize(Path(folder)).predict([entry]))
    arrays = getattr(forecast, "samples", None)
    np.savetxt(f"{folder}.txt", forecast.forecast_array if arrays is None else arrays)
"""


def test_when_read_in_another_process_then_forecasts_are_the_same(tmp_path: Path) -> None:
    entry = make_entry(item_id="a")
    static = TrainedTSFormerForecaster(**SMALL)
    predictors = {
        "fitted": train(static, make_entries(), batch_size=7),
        "calibrated": train(ConformalForecaster(forecaster=naive(), n_windows=2), make_entries()),
        "zero_shot": ForecasterPredictor(forecaster=tsformer(quantiles=[0.2]), samples=3),
        "llm": ForecasterPredictor(forecaster=LLMForecaster(**SHARED, model="ngram", n_samples=3)),
    }
    for name, predictor in predictors.items():
        predictor.serialize(tmp_path / name)
    kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors"}
    np.savetxt(tmp_path / "target", entry["target"])
    folders = [str(tmp_path / name) for name in predictors]
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "target"), *folders],
        check=True,
        cwd=tmp_path,
    )
    for name, predictor in predictors.items():
        forecast = next(predictor.predict([entry]))
        expected = forecast.samples if name == "zero_shot" else forecast.forecast_array
        read = np.loadtxt(tmp_path / f"{name}.txt")
        np.testing.assert_allclose(read, expected, rtol=1e-6, atol=1e-6)


def test_when_serialised_twice_then_the_later_one_is_read(tmp_path: Path) -> None:
    train(naive(), make_entries()).serialize(tmp_path)
    ForecasterPredictor(forecaster=tsformer(horizon=3), samples=2, batch_size=5).serialize(tmp_path)
    read = Predictor.deserialize(tmp_path)
    assert isinstance(read, ForecasterPredictor)
    assert (read.samples, read.batch_size, read.prediction_length) == (2, 5, 3)
    train(naive(), make_entries()).serialize(tmp_path)
    again = ForecasterPredictor.deserialize(tmp_path)
    assert type(again.forecaster) is SeasonalNaiveForecaster
    assert again.samples is None
    with pytest.raises(FileNotFoundError):
        ForecasterPredictor.deserialize(tmp_path / "nowhere")


@pytest.mark.slow
def test_when_gluonts_predicts_in_parallel_then_forecasts_are_the_same() -> None:
    entries = make_entries()
    predictor = ForecasterPredictor(forecaster=tsformer())
    parallel = ParallelizedPredictor(predictor, num_workers=2, chunk_size=2)
    assert_same(list(parallel.predict(entries)), list(predictor.predict(entries)))


class GiftDataset:
    """A data set with the attributes that GIFT-Eval's has, and missing values."""

    prediction_length, windows = HORIZON, 2

    def __init__(self) -> None:
        self.entries = make_entries("abca")
        self.entries[1]["target"][[3, 17, -3, -6]] = np.nan
        self.entries.append({**make_entry(), "target": np.r_[np.full(30, np.nan), np.arange(10.0)]})

    @property
    def training_dataset(self) -> Any:
        return split(self.entries, offset=-HORIZON * (self.windows + 1))[0]

    @property
    def validation_dataset(self) -> Any:
        return split(self.entries, offset=-HORIZON * self.windows)[0]

    @property
    def test_data(self) -> Any:
        return windows_of(self.entries, self.windows)


@pytest.mark.parametrize("name", ["zero-shot", "naive", "trained"])
def test_gift_evals_loop_runs_unchanged(name: str) -> None:
    dataset = GiftDataset()
    if name == "zero-shot":
        predictor = ForecasterPredictor(forecaster=tsformer())
    else:
        forecaster = naive() if name == "naive" else PatchTSTForecaster(**SMALL)
        estimator = ForecasterEstimator(forecaster=forecaster)
        predictor = estimator.train(
            dataset.training_dataset, validation_data=dataset.validation_dataset
        )
    metrics = [
        MSE(forecast_type="mean"),
        MSE(forecast_type=0.5),
        MAE(),
        MASE(),
        MAPE(),
        SMAPE(),
        MSIS(),
        RMSE(),
        NRMSE(),
        ND(),
        WeightedQuantileLoss(quantile_levels=DECILES),
    ]
    scores = evaluate_model(
        predictor,
        test_data=dataset.test_data,
        metrics=metrics,
        batch_size=1024,
        axis=None,
        mask_invalid_label=True,
        allow_nan_forecast=False,
        seasonality=SEASON,
    )
    assert scores.shape == (1, len(metrics))
    assert np.isfinite(scores.to_numpy(dtype=float)).all()
    if name == "naive":
        errors = [
            label["target"] - last_season(given["target"]) for given, label in dataset.test_data
        ]
        expected = np.nanmean(np.square(errors))
        assert scores["MSE[mean]"].item() == pytest.approx(expected, rel=1e-5)


def last_season(values: np.ndarray) -> list[float]:
    """Return the last known value of each phase, or the last one where there is none."""
    known = values[np.isfinite(values)]
    phases = [values[len(values) - SEASON + phase :: -SEASON] for phase in range(SEASON)]
    phases = [phase[np.isfinite(phase)] for phase in phases]
    return [phase[0] if len(phase) else known[-1] for phase in phases]


def m4_hourly() -> Any:
    spec = next(task for task in load_suite("gift").tasks if task.name == "m4_hourly/H/short")
    try:
        return load_task(spec)
    except DatasetUnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("naive", np.float64),
        ("naive", np.float32),
        ("tsformer", np.float32),
        ("tsformer as it is", np.float64),
    ],
)
def test_gluonts_scores_are_those_of_our_harness(shared_data: Path, name: str, dtype: Any) -> None:
    task = m4_hourly()
    horizon, season = task.spec.horizon, task.spec.season_length
    kind = SeasonalNaiveForecaster if name == "naive" else TSFormerForecaster
    forecaster = kind(horizon=horizon, season_length=season)
    expected = evaluate(task, kind(**forecaster.get_params()))["scores"]
    start = pd.Period("2024-01-01", freq="h")
    entries = [
        {"start": start, "target": task.panel.series(n)[0].astype(dtype), "item_id": str(item_id)}
        for n, item_id in enumerate(task.panel.ids)
    ]
    training, template = split(entries, offset=-horizon)
    predictor = (
        ForecasterPredictor(forecaster=forecaster)
        if name == "tsformer as it is"
        else train(forecaster, training)
    )
    metrics = {
        "MASE": MASE(),
        "CRPS": WeightedQuantileLoss(quantile_levels=DECILES),
        "ND": ND(),
        "MSE": MSE(forecast_type="mean"),
        "MAE": MAE(forecast_type="mean"),
    }
    scores = evaluate_model(
        predictor,
        test_data=template.generate_instances(prediction_length=horizon),
        metrics=[*metrics.values()],
        axis=None,
        seasonality=season,
    )
    found = dict(zip(metrics, scores.iloc[0], strict=True))
    for metric, value in found.items():
        assert value == pytest.approx(expected[metric], rel=1e-6), metric
