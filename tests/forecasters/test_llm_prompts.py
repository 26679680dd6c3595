"""What a language model is told before the values: a description, covariates, similar series."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tsformer import load
from tsformer.forecasters import LLMForecaster
from tsformer.llm.context import scaler_for
from tsformer.llm.serialize import SerializerSettings, preset

SETTINGS = preset("llmtime-llama")
STEPS = np.arange(30)
RANDOM = np.random.default_rng(0)
WAVES: dict[str, np.ndarray] = {
    "slow": np.sin(STEPS / 5),
    "fast": np.sin(STEPS * 1.7),
    "slow too": 40 + 9 * np.sin(STEPS / 5 + 0.3),
    "noise": RANDOM.normal(size=30),
    "fast too": 3 * np.sin(STEPS * 1.7 + 1),
}
SKIES = np.array(["sun", "rain", "snow"])


class Elsewhere:
    """A `TextModel` that answers by a rule, and remembers the prompts."""

    name = "elsewhere"

    def __init__(self, n_valid: int | None = None) -> None:
        self.prompts: dict[str, list[str]] = {}
        self.n_valid = n_valid

    def complete(
        self,
        prompt: str,
        *,
        n_samples: int,
        horizon: int,
        settings: SerializerSettings,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int = 0,
        label: str = "",
    ) -> list[str]:
        """Return the last value, and steps up by one more per sample."""
        self.prompts.setdefault(label, []).append(prompt)
        last = settings.deserialize(prompt.splitlines()[-1])[-1]
        answers = []
        for number in range(n_samples):
            values = last + settings.step * (number + 1) * (1 + np.arange(horizon))
            answers.append(settings.lead + settings.serialize(values) + settings.terminator)
        valid = n_samples if self.n_valid is None else self.n_valid
        return answers[:valid] + ["I cannot know."] * (n_samples - valid)

    def log_probabilities(
        self, prompt: str, continuation: str, label: str = ""
    ) -> list[tuple[str, float]]:
        self.prompts.setdefault(label, []).append(prompt)
        return [(letter, -0.5) for letter in continuation]

    def prompt(self, name: Any) -> str:
        """Return the only prompt for a series."""
        (prompt,) = self.prompts[f"series {name!r}"]
        return prompt


def quick(**parameters: Any) -> LLMForecaster:
    given = {"horizon": 3, "settings": SETTINGS, "scaler": "quantile", "n_samples": 5}
    return LLMForecaster(**{**given, **parameters})


def frame(length: int = 30, names: Any = WAVES) -> pd.DataFrame:
    pieces = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": pd.date_range("2024-01-31", periods=length, freq="D"),
                "y": WAVES[name][:length],
                "price": 5.0 + number + STEPS[:length] / 10,
                "sky": SKIES[(STEPS[:length] + number) % 3],
            }
        )
        for number, name in enumerate(names)
    ]
    return pd.concat(pieces, ignore_index=True)


def values_line(values: np.ndarray) -> str:
    """Return a series as it stands in a prompt."""
    known = values.astype(np.float32).astype(float)
    scaled = scaler_for(SETTINGS, known, "quantile").transform(known)
    return SETTINGS.serialize(SETTINGS.clip(scaled)) + SETTINGS.terminator


# the answers of a model elsewhere


def test_a_model_elsewhere_gets_values_and_its_samples_are_the_forecast() -> None:
    model, df = Elsewhere(), frame(names=["slow", "noise"])
    forecaster = quick(model=model).fit(df)
    assert not model.prompts  # nothing is chosen by asking
    paths = forecaster.predict_samples(n_samples=5)
    for name in ("slow", "noise"):
        assert model.prompt(name) == values_line(WAVES[name])
        known = WAVES[name].astype(np.float32).astype(float)
        scaler = scaler_for(SETTINGS, known, "quantile")
        last = SETTINGS.deserialize(SETTINGS.serialize(scaler.transform(known)))[-1]
        ahead = SETTINGS.step * np.outer(1 + np.arange(5), 1 + np.arange(3))
        found = paths[paths["unique_id"] == name].pivot(index="sample", columns="ds", values="y")
        np.testing.assert_allclose(found, scaler.inverse(last + ahead), rtol=1e-9)


def test_a_model_elsewhere_reads_five_hundred_steps_unless_told_otherwise() -> None:
    model = Elsewhere()
    long = np.random.default_rng(1).normal(size=900).cumsum()
    quick(model=model).predict(long)
    quick(model=model, context_length=7).predict(long)
    assert [prompt.count(",") for prompt in model.prompts["series 0"]] == [500, 7]


def test_when_fewer_samples_are_valid_then_the_shape_is_right_and_a_warning_tells_how_many() -> (
    None
):
    forecaster = quick(model=Elsewhere(n_valid=2)).fit(frame(names=["slow"]))
    with pytest.warns(UserWarning, match="series 'slow': 2 of 5 samples were valid"):
        answer = forecaster.predict()
    assert len(answer) == 3
    with pytest.warns(UserWarning, match="2 of 7 samples were valid"):
        paths = forecaster.predict_samples(n_samples=7).pivot(index="sample", columns="ds")["y"]
    assert paths.shape == (7, 3)
    assert len(np.unique(paths.to_numpy()[:, 0])) == 2
    assert np.isfinite(answer.select_dtypes("number").to_numpy()).all()


def test_when_no_sample_is_valid_then_the_error_names_the_series() -> None:
    with pytest.raises(ValueError, match="series 'slow': none of 5 answers of elsewhere holds 3"):
        quick(model=Elsewhere(n_valid=0)).predict(frame(names=["slow"]))


def test_an_endpoint_may_be_described_and_has_no_way_of_writing_of_its_own() -> None:
    http = pytest.importorskip("tsformer.llm.backends.http")
    address = "http://127.0.0.1:9/v1"  # nobody is asked
    for given in ({"model": http.HTTPModel(address, "tiny")}, {"model_name": "tiny"}):
        parameters = {"model": address, "description": "Load", "n_examples": 1, **given}
        forecaster = quick(**parameters, settings="binned", scaler="minmax").fit(frame())
        assert (forecaster.settings_, forecaster.scaler_) == (preset("binned"), "minmax")
        usual = quick(**parameters, settings=None).fit(frame())
        assert usual.settings_ == preset("llmtime-llama")
        assert (forecaster.estimate_cost()["tokens_in"] > 60).all()


# descriptions


def test_the_fields_of_a_description_are_filled_in() -> None:
    model = Elsewhere()
    text = "{id}, from {start} to {end}, step {step}; {horizon} to come, in {{MW}}"
    quick(model=model, description=text).predict(frame(names=["slow", "fast"]), horizon=2)
    for name in ("slow", "fast"):
        assert model.prompt(name) == (
            f"{name}, from 2024-01-31 to 2024-02-29, step D; 2 to come, in {{MW}}\n"
            f"{values_line(WAVES[name])}"
        )


def test_times_of_a_description_are_those_of_what_is_read() -> None:
    model, df = Elsewhere(), frame(names=["slow"])
    df["ds"] = pd.date_range("2024-01-01 05:00", periods=30, freq="30min")
    df.loc[24, "y"] = np.nan
    quick(model=model, description="{start} {end} {step}", context_length=6).predict(df)
    first = "2024-01-01T17:30 2024-01-01T19:30 30min"
    assert model.prompt("slow").splitlines()[0] == first
    array = Elsewhere()
    quick(model=array, description="{id} {start} {end} {step}").predict(WAVES["slow"])
    assert array.prompt(0).splitlines()[0] == "0 0 29 1"


@pytest.mark.parametrize("field", ["{unit}", "{start.year}", "{}", "{id"])
def test_when_a_description_names_an_unknown_field_then_the_error_lists_the_known(
    field: str,
) -> None:
    with pytest.raises(ValueError, match="there are {id}, {start}, {end}, {step}, {horizon}"):
        quick(model=Elsewhere(), description=f"Load of {field}").predict(frame(names=["slow"]))


# future covariates


def with_covariates(**parameters: Any) -> LLMForecaster:
    given = {"model": Elsewhere(), "future_covariates": ["price", "sky"], "context_length": 4}
    return quick(**{**given, **parameters})


PAST, LATER = frame(25), frame().groupby("unique_id").tail(5)


def lines_of(name: str, begin: int, end: int) -> str:
    """Return the covariates of a series' steps as they stand before its values."""
    number = [*WAVES].index(name)
    prices = ", ".join(f"{5 + number + step / 10:.4g}" for step in range(begin, end))
    skies = ", ".join(SKIES[(step + number) % 3] for step in range(begin, end))
    return f"price: {prices}\nsky: {skies}\n"


@pytest.mark.parametrize("kind", [lambda df: df, pl.from_pandas])
@pytest.mark.parametrize("fitted", [False, True])
def test_covariates_of_past_and_future_stand_before_the_values(kind: Any, fitted: bool) -> None:
    forecaster = with_covariates()
    past, later = kind(PAST), kind(LATER.drop(columns="y"))
    if fitted:
        forecaster.fit(past).predict(future_df=later)
    else:
        forecaster.predict(past, later)
    for name in WAVES:
        expected = lines_of(name, 21, 28) + values_line(WAVES[name][21:25])
        assert forecaster.model.prompt(name) == expected


def test_samples_and_other_horizons_get_their_covariates_too() -> None:
    forecaster = with_covariates(description="Sales of {id}").fit(PAST)
    forecaster.predict_samples(future_df=LATER, horizon=5, n_samples=2)
    expected = "Sales of fast\n" + lines_of("fast", 21, 30)
    assert forecaster.model.prompt("fast") == expected + values_line(WAVES["fast"][21:25])


def test_covariates_begin_where_the_values_do() -> None:
    forecaster, df = with_covariates(), PAST.copy()
    df.loc[df["ds"].isin(sorted(set(df["ds"]))[21:23]), "y"] = np.nan
    forecaster.predict(df, LATER)
    lines = forecaster.model.prompt("noise").splitlines()
    assert lines[:2] == lines_of("noise", 23, 28).splitlines()
    assert lines[2].count(",") == 2


def test_a_category_that_was_not_known_and_a_missing_value_are_nan() -> None:
    later = LATER.reset_index(drop=True)
    later.loc[0, "sky"] = "aurora"
    later.loc[1, "price"] = np.nan
    forecaster = with_covariates()
    forecaster.predict(PAST, later)
    price, sky = (line.split(", ") for line in forecaster.model.prompt("slow").splitlines()[:2])
    assert price[4:] == ["7.5", "nan", "7.7"]
    assert sky[4:] == ["nan", "snow", "sun"]


def test_cross_validation_knows_the_covariates_to_come_and_no_target_to_come() -> None:
    df = frame()
    forecaster = with_covariates()
    found = forecaster.cross_validation(df, n_windows=2, step_size=2)
    assert len(found) == 2 * 3 * len(WAVES)
    for name in WAVES:
        assert forecaster.model.prompts[f"series {name!r}"] == [
            lines_of(name, end - 4, end + 3) + values_line(WAVES[name][end - 4 : end])
            for end in (25, 27)
        ]
    changed = df.assign(y=np.where(df["ds"] > df["ds"].max() - pd.Timedelta(days=3), 1e6, df["y"]))
    other = with_covariates()
    other.cross_validation(changed)
    once = with_covariates()
    once.cross_validation(df)
    assert other.model.prompts == once.model.prompts


@pytest.mark.parametrize(
    ("later", "message"),
    [
        (None, "future_df is needed: it brings future_covariates=['price', 'sky'] for 'fast' from"),
        (LATER.drop(columns="sky"), "future_df lacks the columns ['sky']"),
        (LATER[LATER["unique_id"] != "noise"], "future_df has no row of series 'noise'; it needs"),
        (LATER.drop(LATER.index[1]), "future_df has no row of series 'slow' at 2024-02-26"),
    ],
)
@pytest.mark.parametrize("ask", ["predict", "predict_samples"])
def test_when_the_future_is_not_known_then_the_error_names_columns_series_and_times(
    ask: str, later: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(with_covariates().fit(PAST), ask)(future_df=later)
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(with_covariates(), ask)(PAST, later)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda f: f.predict_panel(), "not known for the steps to come"),
        (lambda f: f.fit(PAST.drop(columns="sky")), "future_covariates='sky' is not a column"),
        (lambda f: f.fit(WAVES["slow"]), "are columns of a long frame"),
    ],
)
def test_what_cannot_be_done_with_covariates_is_refused_and_not_done_without(
    ask: Any, message: str
) -> None:
    forecaster = with_covariates().fit(PAST)
    with pytest.raises(ValueError, match=re.escape(message)):
        ask(forecaster)


def test_score_knows_the_covariates_of_the_last_horizon() -> None:
    forecaster = with_covariates().fit(PAST)
    forecaster.score(frame())
    expected = lines_of("slow", 23, 30) + values_line(WAVES["slow"][23:27])
    assert forecaster.model.prompt("slow") == expected


@pytest.mark.parametrize("later", [LATER, LATER.assign(sky=LATER["sky"].astype("category"))])
def test_update_moves_the_covariates_on(later: pd.DataFrame) -> None:
    forecaster = with_covariates().fit(PAST.replace("snow", "sun"))
    forecaster.update(later.groupby("unique_id").head(2)).predict(future_df=LATER)
    lines = forecaster.model.prompt("slow").splitlines()
    assert lines[0] == lines_of("slow", 23, 30).splitlines()[0]
    assert "snow" not in lines[1]  # what fit never saw is missing


def test_a_future_that_no_covariate_asks_for_is_refused() -> None:
    with pytest.raises(ValueError, match="given no future_covariates=; .* leave future_df out"):
        quick(model=Elsewhere()).fit(PAST).predict(future_df=LATER)


def test_costs_count_covariates_to_come_as_missing_ones() -> None:
    forecaster = with_covariates().fit(PAST)
    unknown = LATER.assign(price=np.nan, sky=None)
    cost = forecaster.estimate_cost().set_index("unique_id")["tokens_in"]
    assert not forecaster.model.prompts
    forecaster.predict(future_df=unknown)
    for name in WAVES:
        assert cost[name] == len(forecaster.model.prompt(name))


def test_covariates_survive_saving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Elsewhere()
    monkeypatch.setattr("tsformer.forecasters.llm.load_model", lambda given, name: model)
    forecaster = with_covariates(model="somewhere").fit(PAST)
    forecaster.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    answers = [one.predict(future_df=LATER) for one in (forecaster, loaded)]
    pd.testing.assert_frame_equal(*answers)
    for name in WAVES:
        expected = lines_of(name, 21, 28) + values_line(WAVES[name][21:25])
        assert model.prompts[f"series {name!r}"] == [expected, expected]
    assert loaded.get_params()["future_covariates"] == ("price", "sky")


# examples


def examples_of(prompt: str) -> list[str]:
    return prompt.splitlines()[:-1]


def test_the_most_similar_fitted_series_is_shown_before_the_values() -> None:
    model, df = Elsewhere(), frame()
    quick(model=model, n_examples=1, description="Sales").fit(df).predict()
    pairs = {"slow": "slow too", "slow too": "slow", "fast": "fast too", "fast too": "fast"}
    for name, shown in pairs.items():
        lines = ["Sales", values_line(WAVES[shown]), values_line(WAVES[name])]
        assert model.prompt(name).splitlines() == lines


def test_no_series_is_its_own_example_even_where_its_future_is_fitted() -> None:
    model = Elsewhere()
    forecaster = quick(model=model, n_examples=9).fit(frame())
    forecaster.predict(PAST)
    for name in WAVES:
        shown = examples_of(model.prompt(name))
        assert len(shown) == len(WAVES) - 1
        assert set(shown) == {values_line(WAVES[other]) for other in WAVES if other != name}


def test_a_new_series_is_shown_fitted_ones() -> None:
    model = Elsewhere()
    forecaster = quick(model=model, n_examples=1).fit(frame())
    new = frame(names=["slow"]).assign(unique_id="new", y=5 - 2 * np.sin(STEPS * 1.7 + np.pi))
    forecaster.predict(new)
    assert examples_of(model.prompt("new"))[0] in (
        values_line(WAVES["fast"]),
        values_line(WAVES["fast too"]),
    )


def test_alone_there_is_no_example() -> None:
    model = Elsewhere()
    quick(model=model, n_examples=3).predict(frame(names=["slow"]))
    assert model.prompt("slow") == values_line(WAVES["slow"])
    few = frame(names=["fast"])
    few.loc[1:, "y"] = np.nan  # one value teaches nothing
    both = pd.concat([frame(names=["noise"]), few])
    with_gap = quick(model=model, n_examples=3).fit(both)
    with_gap.predict()
    assert examples_of(model.prompt("noise")) == []


def test_in_cross_validation_examples_end_before_the_first_cutoff() -> None:
    df = frame()
    changed = df.assign(y=np.where(df["ds"] > df["ds"].max() - pd.Timedelta(days=5), 1e6, df["y"]))
    prompts = []
    for data in (df, changed):
        forecaster = quick(model=Elsewhere(), n_examples=2)
        forecaster.cross_validation(data, n_windows=2, step_size=2)
        prompts.append({name: asked[0] for name, asked in forecaster.model.prompts.items()})
    assert prompts[0] == prompts[1]
    lines = prompts[0]["series 'slow'"].splitlines()
    assert len(lines) == 3
    assert lines[0] == values_line(WAVES["slow too"][:25])
