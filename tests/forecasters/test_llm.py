"""The forecaster that lets a language model write: whole, finite, repeatable, blind to the rest."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import ParameterGrid
from torch import Tensor

from tsformer import load
from tsformer.forecasters import LLMForecaster
from tsformer.forecasters.llm import _BUILT_IN_SAMPLES, _SAMPLES
from tsformer.llm.backends.ngram import NGram
from tsformer.llm.context import scaler_for
from tsformer.llm.scaler import KINDS
from tsformer.llm.serialize import PRESETS, SerializerSettings, preset, with_symbols
from tsformer.llm.vocabulary import Vocabulary, pieces_vocabulary

Make = Callable[..., Any]
LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzN, -"
STEPS = np.arange(48)
WAVE = np.sin(STEPS * np.pi / 6) + np.random.default_rng(0).normal(size=48) / 10


class Told:
    """A `TokenModel` of single letters whose logits are a function of the text so far."""

    name = "told"

    def __init__(
        self,
        logits: Callable[[str], Tensor] | None = None,
        *,
        context_length: int = 100_000,
        settings: SerializerSettings | None = None,
        letters: str = LETTERS,
    ) -> None:
        self.vocabulary = pieces_vocabulary(letters)
        self.logits = logits or (lambda text: torch.zeros(len(letters)))
        self.context_length = context_length
        self.settings = settings
        self.read: list[str] = []
        self.n_written = 0

    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Any]:
        state = [[self.vocabulary.decode(prompt)] for prompt in prompts]
        self.read += [row[0] for row in state]
        self.n_written += len(prompts)
        return torch.stack([self.logits(row[0]) for row in state]), state

    def step(self, tokens: Tensor, parents: Tensor, state: Any) -> Tensor:
        for row, before in enumerate(state):
            one = len(before) == 1
            state[row] = [
                before[0 if one else at] + self.vocabulary.decode([token])
                for token, at in zip(tokens[row].tolist(), parents[row].tolist(), strict=True)
            ]
        return torch.stack([torch.stack([self.logits(text) for text in row]) for row in state])

    def score(self, tokens: Sequence[int], first: int) -> Tensor:
        places = range(first, len(tokens))
        return torch.stack([self.logits(self.vocabulary.decode(tokens[:p])) for p in places])


class Mute:
    """A `TokenModel` that must not be asked."""

    name = "mute"
    vocabulary: Vocabulary = pieces_vocabulary(LETTERS)
    context_length = 200
    settings: SerializerSettings | None = None

    def prefill(self, prompts: Any) -> Any:
        raise AssertionError("the model was asked")

    step = score = prefill


def quick(**parameters: Any) -> LLMForecaster:
    return LLMForecaster(**{"horizon": 4, "model": "ngram", "n_samples": 5, **parameters})


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


def numbers(answer: pd.DataFrame) -> np.ndarray:
    return answer.select_dtypes("number").to_numpy()


# without fit, and with


@pytest.mark.parametrize("kind", ["long", "polars", "array", "wide"])
def test_without_fit_the_answer_is_that_of_a_forecaster_fitted_to_the_same(kind: str) -> None:
    df: Any = {
        "long": frame(b=WAVE, a=10 * WAVE[:30]),
        "polars": pl.from_pandas(frame(b=WAVE, a=10 * WAVE[:30])),
        "array": np.stack([WAVE, -WAVE]),
        "wide": pd.DataFrame(
            {"b": WAVE, "a": -WAVE}, index=pd.date_range("2024", periods=48, freq="h")
        ),
    }[kind]
    fresh = quick()
    answers = [fresh.predict(df), quick().fit(df).predict(), quick().fit(df).predict(df)]
    samples = [fresh.predict_samples(df, n_samples=3), quick().fit(df).predict_samples(n_samples=3)]
    assert not hasattr(fresh, "panel_")
    for found in (answers, samples):
        for other in found[1:]:
            if kind == "polars":
                assert found[0].equals(other)
            else:
                pd.testing.assert_frame_equal(found[0], other, check_exact=True)


@pytest.mark.parametrize("ask", ["predict", "predict_samples", "estimate_cost"])
def test_before_fit_there_is_nothing_to_continue(ask: str) -> None:
    with pytest.raises(NotFittedError):
        getattr(quick(), ask)()


def test_a_fitted_forecaster_keeps_its_settings_for_other_data() -> None:
    forecaster = quick(model=Told(), settings=None, context_length=24).fit(frame(a=WAVE))
    before = forecaster.settings_, forecaster.scaler_
    forecaster.predict(frame(c=1000 + 300 * WAVE))
    assert (forecaster.settings_, forecaster.scaler_) == before


@pytest.mark.parametrize("horizon", [1, 4, 9])
def test_there_are_exactly_horizon_rows_per_series_and_paths_of_the_same_length(
    horizon: int,
) -> None:
    df = frame(b=WAVE, a=WAVE[:20], c=[3.0])
    answer = quick(horizon=3).predict(df, horizon=horizon, level=[80])
    assert answer["unique_id"].tolist() == [name for name in "bac" for _ in range(horizon)]
    assert [*answer] == ["unique_id", "ds", "mean", "0.1", "0.5", "0.9"]
    first = answer.groupby("unique_id", sort=False)["ds"].first()
    assert first["a"] == pd.Timestamp("2024-01-01 20:00")
    paths = quick().predict_samples(df, n_samples=7, horizon=horizon)
    assert len(paths) == 3 * 7 * horizon


def test_quantiles_and_mean_are_those_of_the_samples() -> None:
    levels = (0.1, 0.3, 0.5, 0.7, 0.9)  # the middles of five equal parts: each sample is one
    forecaster = quick(quantiles=levels).fit(frame(a=WAVE))
    paths = forecaster.predict_samples(n_samples=5).pivot(index="sample", columns="ds", values="y")
    answer = forecaster.predict()
    np.testing.assert_allclose(answer[[f"{q:g}" for q in levels]].T, np.sort(paths, axis=0))
    np.testing.assert_allclose(answer["mean"], paths.mean(axis=0))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"model": "ngram", "n_samples": None}, _BUILT_IN_SAMPLES),
        ({"model": Told(), "n_samples": None}, _SAMPLES),
        ({"n_samples": 7}, 7),
    ],
)
def test_so_many_samples_are_drawn(parameters: dict[str, Any], expected: int) -> None:
    forecaster = quick(**parameters)
    counted: list[int] = []
    value_model = forecaster._value_model

    def watch(settings: Any, kind: Any, n_samples: int) -> Any:
        counted.append(n_samples)
        return value_model(settings, kind, n_samples)

    forecaster.fit(frame(a=WAVE))
    forecaster._value_model = watch  # type: ignore[method-assign]
    forecaster.predict()
    assert counted == [expected]


# what may stand in a series


ODD: dict[str, Any] = {
    "missing inside": np.where(STEPS % 5 == 1, np.nan, WAVE),
    "missing at the end": np.where(STEPS > 40, np.nan, WAVE),
    "missing at the beginning": np.where(STEPS < 7, np.nan, WAVE),
    "one known": np.where(STEPS == 20, 3.0, np.nan),
    "one value": [5.0],
    "two values": [5.0, 7.0],
    "large": WAVE * 1e34,
    "tiny": WAVE * 1e-30,
    "smaller than tiny": WAVE * 1e-42,
    "outlier": np.where(STEPS == 30, 1e9, WAVE),
    "outliers of all sizes": np.where(STEPS % 7 == 0, 10.0 ** (STEPS / 2 - 9), WAVE),
    "far from zero": 1e6 + WAVE,
    "negative": -100 + WAVE,
    "counts": np.round(np.abs(3 * WAVE)),
    "mostly zero": np.where(STEPS % 9 == 0, 4.0, 0.0),
    "nearly constant": 1 + 1e-7 * WAVE,
}


@pytest.mark.parametrize("what", ODD)
def test_no_series_brings_anything_but_finite_numbers(what: str) -> None:
    df = frame(odd=ODD[what], plain=WAVE)
    answer = quick().predict(df)
    assert len(answer) == 8
    assert np.isfinite(numbers(answer)).all()
    assert np.isfinite(numbers(quick().predict_samples(df, n_samples=3))).all()


@pytest.mark.parametrize("settings", PRESETS)
@pytest.mark.parametrize("scaler", KINDS)
def test_no_settings_bring_anything_but_finite_numbers(settings: str, scaler: Any) -> None:
    df = frame(**{name.replace(" ", "_"): values for name, values in ODD.items()})
    forecaster = quick(
        model=Told(), settings=settings, scaler=scaler, horizon=2, n_samples=2, context_length=12
    )
    with pytest.warns(UserWarning, match="no value in their last 12 steps") as caught:
        answer = forecaster.predict(df)
    assert len(caught) == 1
    assert len(answer) == 2 * len(ODD)
    assert np.isfinite(numbers(answer)).all()


@pytest.mark.parametrize("value", [0.0, 7.25, -3e30, 1e-30])
def test_a_constant_series_is_forecast_by_its_constant_exactly(value: float) -> None:
    series = np.where(STEPS % 4 == 3, np.nan, value)
    answer = quick(model=Told()).predict(frame(a=series, b=WAVE)).iloc[:4]
    np.testing.assert_array_equal(numbers(answer), np.float32(value))


def test_a_series_without_a_recent_value_gets_what_the_others_teach() -> None:
    df = frame(a=WAVE, b=np.full(48, np.nan))
    with pytest.warns(UserWarning, match="1 series have no value in their last"):
        answer = quick().predict(df)
    assert np.isfinite(numbers(answer)).all()


@pytest.mark.parametrize(("lower", "upper"), [(0.0, None), (None, 0.2), (-0.1, 0.1), (50.0, 60.0)])
@pytest.mark.parametrize("model", ["ngram", Told()])
def test_all_samples_respect_the_bounds(model: Any, lower: Any, upper: Any) -> None:
    df = frame(a=WAVE, b=100 * WAVE, c=np.full(9, 30.0))
    forecaster = quick(model=model, lower=lower, upper=upper, settings=None, context_length=24)
    paths = forecaster.predict_samples(df, n_samples=20)["y"]
    assert lower is None or paths.min() >= lower
    assert upper is None or paths.max() <= upper
    answer = numbers(forecaster.predict(df))
    assert lower is None or answer.min() >= lower
    assert upper is None or answer.max() <= upper


# randomness, and what else is in the frame


def test_the_same_seed_gives_the_same_answer_and_another_one_another() -> None:
    df = frame(a=WAVE)
    one, same, other = (quick(random_state=seed).predict(df) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(one, same, check_exact=True)
    assert not one.equals(other)
    forecaster = quick().fit(df)
    pd.testing.assert_frame_equal(forecaster.predict(), forecaster.predict(), check_exact=True)


def test_temperature_zero_knows_no_chance() -> None:
    df = frame(a=WAVE)
    answers = [quick(temperature=0.0, random_state=seed).predict(df) for seed in (0, 1)]
    pd.testing.assert_frame_equal(*answers, check_exact=True)
    assert (answers[0]["0.1"] == answers[0]["0.9"]).all()


@pytest.mark.parametrize("parameters", [{}, {"lower": -0.5}, {"temperature": 0.7, "top_p": 0.9}])
def test_a_forecast_does_not_depend_on_what_else_is_in_the_frame(
    parameters: dict[str, Any],
) -> None:
    series = {f"s{n}": (1 + n) * WAVE[n : 30 + 2 * n] for n in range(9)}
    forecaster = quick(**parameters)
    together = forecaster.predict(frame(**series))
    for name, values in series.items():
        alone = forecaster.predict(frame(**{name: values}))
        found = together[together["unique_id"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(found, alone, check_exact=True)


def test_no_more_than_the_context_is_read() -> None:
    forecaster = quick(context_length=20)
    older = WAVE.copy()
    older[:28] = 1000 + np.arange(28) ** 2
    one, other = (forecaster.predict(frame(a=values)) for values in (WAVE, older))
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    older[28] += 1
    assert not one.equals(forecaster.predict(frame(a=older)))


def test_nothing_after_the_cutoff_is_read() -> None:
    df = frame(a=WAVE, b=2 * WAVE)
    changed = df.copy()
    changed.loc[changed.groupby("unique_id").tail(4).index, "y"] += 1000
    for model in ("ngram", Told()):
        forecaster = quick(model=model, context_length=24)
        one, other = (forecaster.cross_validation(data) for data in (df, changed))
        pd.testing.assert_frame_equal(one.drop(columns="y"), other.drop(columns="y"))
        np.testing.assert_allclose(other["y"] - one["y"], 1000, rtol=1e-4)


def test_cross_validation_forecasts_like_a_forecaster_that_ends_there() -> None:
    df = frame(a=WAVE)
    found = quick().cross_validation(df, n_windows=2, step_size=3)
    for end, (_, window) in zip((41, 44), found.groupby("cutoff"), strict=True):
        answer = quick().predict(df.iloc[:end])
        expected = answer.drop(columns=["unique_id", "ds"]).to_numpy()
        np.testing.assert_array_equal(window[[*answer][2:]].to_numpy(), expected)
        np.testing.assert_array_equal(window["y"], np.float32(WAVE[end : end + 4]))


# a small window


def onwards(text: str) -> Tensor:
    """Return logits that let a series go on by its last step, or by 1 or 2 after a pause."""
    *before, begun = text.split(",")
    last, step = int(before[-1]), int(before[-1]) - int(before[-2])
    logits = torch.full((len(LETTERS),), -50.0)
    for following in [last + step] if step else [last + 1, last + 2]:
        word = f"{following:03d},"
        if word.startswith(begun):
            logits[LETTERS.index(word[len(begun)])] = 0.0
    return logits


def test_when_the_horizon_is_beyond_the_window_then_each_sample_goes_on_from_itself() -> None:
    settings = preset("plain-digits", fixed_width=True)
    forecaster = quick(
        model=Told(onwards, context_length=40), settings=settings, scaler="identity", horizon=33
    )
    paths = forecaster.predict_samples(frame(a=[3, 9, 9]), n_samples=6)
    steps = paths.pivot(index="sample", columns="ds", values="y").diff(axis=1).iloc[:, 1:]
    assert set(steps.iloc[:, 0]) == {1.0, 2.0}
    assert (steps.to_numpy() == steps.to_numpy()[:, :1]).all()


def test_the_warning_says_how_many_values_do_not_fit() -> None:
    settings = preset("plain-digits", fixed_width=True)
    forecaster = quick(model=Told(context_length=60), settings=settings, scaler="quantile")
    df = frame(a=WAVE, b=WAVE[:11], c=WAVE[:13])
    with pytest.warns(UserWarning, match="do not fit") as caught:
        forecaster.predict(df)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert message.startswith("series 'a': the first 37 values do not fit into the model's window")
    assert "and some of 1 other series" in message
    forecaster.set_params(context_length=11).predict(df)  # without a warning, which would fail


# the choice of settings


def fond_of(name: str) -> Callable[[str], Tensor]:
    """Return logits that repeat the value of 12 steps before where values are written this way."""
    settings = PRESETS[name]

    def logits(text: str) -> Tensor:
        scores = torch.zeros(len(LETTERS))
        *written, begun = text.split(settings.terminator)
        own_way = len(written) >= 12 and (" " in text) == (" " in settings.value_separator)
        if own_way and ("," in text) == ("," in settings.value_separator):
            expected = settings.lead + written[-12].strip() + settings.terminator
            if expected.startswith(begun):
                scores[LETTERS.index(expected[len(begun)])] = 9.0
        return scores

    return logits


@pytest.mark.parametrize("name", ["llmtime-gpt3", "binned"])
def test_without_settings_the_way_is_chosen_that_the_model_foretells_best(name: str) -> None:
    df = frame(a=np.tile(WAVE[:12], 4))
    forecaster = quick(model=Told(fond_of(name))).fit(df)
    ways = forecaster.ways_
    assert len(ways) == 2 * len(PRESETS)
    assert [*ways.values()] == sorted(ways.values())
    best = next(iter(ways))
    assert best == f"{name}, {forecaster.scaler_}"
    assert forecaster.settings_ == preset(name)
    others = [nats for way, nats in ways.items() if not way.startswith(name)]
    assert min(others) > ways[best] + 1
    expected = np.float32(WAVE[:4])
    np.testing.assert_allclose(forecaster.predict()["0.5"], expected, atol=0.02)


def test_settings_are_chosen_by_what_is_read_only() -> None:
    older = np.r_[np.full(20, 1e4), WAVE[20:]]
    one, other = (
        quick(model=Told(fond_of("binned")), context_length=28).fit(frame(a=values)).ways_
        for values in (WAVE, older)
    )
    assert one == other


def test_nothing_is_chosen_where_both_are_given() -> None:
    forecaster = quick(model=Mute(), settings="pattern-machine", scaler="minmax")
    forecaster.fit(frame(a=WAVE))
    assert (forecaster.settings_, forecaster.scaler_) == (preset("pattern-machine"), "minmax")
    assert forecaster.ways_ == {}


@pytest.mark.parametrize(
    ("parameters", "ways"),
    [
        ({"scaler": "minmax"}, {f"{name}, minmax" for name in PRESETS}),
        ({"settings": "binned"}, {"given, quantile", "given, standard"}),
        ({"settings": preset("binned", base=50)}, {"given, quantile", "given, standard"}),
    ],
)
def test_what_is_given_is_not_chosen(parameters: dict[str, Any], ways: set[str]) -> None:
    forecaster = quick(model=Told(), **parameters).fit(frame(a=WAVE))
    assert set(forecaster.ways_) == ways
    assert forecaster.scaler_ == parameters.get("scaler", forecaster.scaler_)
    if "settings" in parameters:
        base = 1024 if parameters["settings"] == "binned" else 50
        assert forecaster.settings_ == preset("binned", base=base)


def test_series_too_short_for_a_choice_get_usual_settings() -> None:
    forecaster = quick(model=Told()).fit(frame(a=WAVE[:5], b=[np.nan] * 9))
    assert (forecaster.settings_, forecaster.scaler_) == (preset("llmtime-llama"), "quantile")
    assert forecaster.ways_ == {}


def test_a_model_with_one_way_of_writing_is_written_to_in_this_way() -> None:
    forecaster = quick().fit(frame(a=WAVE))
    assert forecaster.settings_ == NGram().settings
    assert forecaster.ways_ == {}
    same = quick(settings=NGram().settings, scaler="standard").fit(frame(a=WAVE))
    assert (same.settings_, same.scaler_) == (forecaster.settings_, "standard")
    with pytest.raises(ValueError, match="model='ngram' was made for one way of writing values"):
        quick(settings="binned").fit(frame(a=WAVE))


# parameters


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"settings": "nope"}, ValueError, "preset='nope' is none of llmtime-gpt3, llmtime-llama"),
        ({"settings": 3}, TypeError, "settings=3 must be a preset's name (llmtime-gpt3, "),
        ({"scaler": "nope"}, ValueError, "scaler='nope' is none of quantile, minmax, standard"),
        ({"lower": 2.0, "upper": 1}, ValueError, "lower=2.0 must be less than upper=1"),
        ({"n_samples": 0}, ValueError, "n_samples=0 must be at least 1"),
        ({"n_samples": 2.5}, TypeError, "n_samples=2.5 must be a whole number"),
        ({"context_length": -1}, ValueError, "context_length=-1 must be at least 1"),
        ({"n_examples": -2}, ValueError, "n_examples=-2 must be at least 1"),
        ({"n_examples": 1}, ValueError, "model='ngram' reads numbers only; leave n_examples out"),
        ({"description": "MW"}, ValueError, "reads numbers only; leave description out"),
        ({"future_covariates": ["heat"]}, ValueError, "numbers only; leave future_covariates out"),
        ({"future_covariates": "y"}, TypeError, "future_covariates='y' must be a list of names"),
        ({"temperature": -1}, ValueError, "temperature=-1 must not be negative"),
        ({"top_p": 0}, ValueError, "top_p=0 must lie in (0, 1]"),
        ({"model": object()}, TypeError, "is no language model; pass 'nanogpt', 'ngram'"),
        ({"model": "http://127.0.0.1:9/v1"}, ValueError, "say which of its models: model_name"),
        ({"model": "no/such/folder"}, FileNotFoundError, "no/such/folder: there is no such model"),
        ({"horizon": 0}, ValueError, "horizon=0 must be at least 1"),
        ({"random_state": None}, TypeError, "random_state=None must be a whole number"),
    ],
)
@pytest.mark.parametrize("ask", ["fit", "predict"])
def test_a_wrong_parameter_is_named_when_it_is_first_used(
    ask: str, parameters: dict[str, Any], error: type[Exception], message: str
) -> None:
    if "folder" in message:
        pytest.importorskip("transformers")
    with pytest.raises(error, match=re.escape(message)):
        getattr(quick(**parameters), ask)(frame(a=WAVE).assign(heat=1.0))


@pytest.mark.parametrize(
    ("word", "meant"),
    [("num_samples", "n_samples"), ("seed", "random_state"), ("settigns", "settings")],
)
def test_a_word_of_another_library_is_answered_with_ours(word: str, meant: str) -> None:
    with pytest.raises(TypeError, match=f"did you mean `{meant}`"):
        quick(**{word: 3})


def test_parameters_are_those_of_scikit_learn() -> None:
    model = Told()
    given = {"model": model, "settings": preset("binned"), "lower": 0.0, "horizon": 3}
    forecaster = LLMForecaster(**given)
    assert given.items() <= forecaster.get_params().items()
    assert forecaster.set_params(n_samples=3, scaler="minmax").n_samples == 3
    fitted = forecaster.fit(frame(a=WAVE))
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    assert not hasattr(copied, "panel_")
    assert copied.model is model  # which may be large
    assert "LLMForecaster(" in repr(fitted)
    for changes in ParameterGrid({"temperature": [0.0, 1.0], "settings": ["binned"]}):
        assert clone(forecaster).set_params(**changes).temperature == changes["temperature"]


def test_a_model_given_as_an_object_is_used_itself_and_not_a_copy() -> None:
    told, df = Told(), frame(a=WAVE)
    forecaster = quick(model=told, settings="binned", scaler="quantile")
    forecaster.predict(df)
    assert len(told.read) == 1
    forecaster.cross_validation(df, n_windows=2, refit=True)
    assert len(told.read) == 3


# saving


SYMBOLS = with_symbols(preset("plain-digits", precision=1), "αβγδ")


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"scaler": "standard", "lower": 0.5, "context_length": 20, "n_samples": None},
        {"model": "ngram", "settings": NGram().settings},
    ],
)
def test_a_loaded_forecaster_answers_as_the_saved_one(
    tmp_path: Path, parameters: dict[str, Any]
) -> None:
    df = frame(b=WAVE, a=10 * WAVE[:30])
    forecaster = quick(**parameters).fit(df)
    forecaster.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert loaded.get_params() == forecaster.get_params()
    for name in ("settings_", "scaler_", "ways_"):
        assert getattr(loaded, name) == getattr(forecaster, name)
    for ask in ("predict", "predict_samples", "estimate_cost"):
        pd.testing.assert_frame_equal(getattr(loaded, ask)(), getattr(forecaster, ask)())
    pd.testing.assert_frame_equal(loaded.predict(df), forecaster.predict(df))


def test_settings_with_symbols_of_their_own_survive_saving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told(letters="αβγδ, na")
    monkeypatch.setattr("tsformer.forecasters.llm.load_model", lambda model, name: told)
    df = frame(a=WAVE)
    forecaster = quick(model="greek", settings=SYMBOLS).fit(df)
    assert set(forecaster.ways_) == {"given, quantile", "given, standard"}
    forecaster.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert loaded.settings == loaded.settings_ == SYMBOLS
    assert loaded.ways_ == forecaster.ways_
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict())
    pd.testing.assert_frame_equal(loaded.fit(df).predict(), forecaster.predict())


def test_a_model_given_as_a_path_is_saved_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tsformer.forecasters.llm.load_model", lambda model, name: Told())
    forecaster = quick(model=Path("models/tiny.gguf"), settings="binned").fit(frame(a=WAVE))
    forecaster.save(tmp_path / "saved")
    assert load(tmp_path / "saved").model == str(Path("models/tiny.gguf"))


def test_a_model_given_as_an_object_cannot_be_saved_and_the_error_says_so(tmp_path: Path) -> None:
    forecaster = quick(model=Told(), settings="binned", scaler="quantile").fit(frame(a=WAVE))
    with pytest.raises(ValueError, match="cannot be saved; use numbers, text or lists"):
        forecaster.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


# costs


@pytest.mark.parametrize("fitted", [False, True])
def test_the_cost_is_told_without_asking_the_model(fitted: bool) -> None:
    df = frame(b=WAVE, a=WAVE[:30], c=np.full(20, 2.0))
    forecaster = quick(
        model=Mute(), settings="llmtime-gpt3", scaler="quantile", context_length=9, n_samples=3
    )
    cost = forecaster.fit(df).estimate_cost() if fitted else forecaster.estimate_cost(df)
    assert [*cost] == ["unique_id", "tokens_in", "tokens_out", "seconds", "price"]
    assert cost["unique_id"].tolist() == ["b", "a", "c"]
    assert (cost.loc[:1, "tokens_in"] > 9 * 4).all()
    assert cost["tokens_out"].tolist() == [
        3 * 4 * len(" - 9 9 9 9 9 ,"),
    ] * 2 + [0]
    assert cost["seconds"].isna().all()
    assert (cost["price"] == 0).all()


@pytest.mark.parametrize(("context_length", "horizon"), [(400, 4), (80, 33)])
def test_costs_are_what_is_really_read_and_written(context_length: int, horizon: int) -> None:
    settings = preset("plain-digits", fixed_width=True)
    told = Told(context_length=context_length)
    forecaster = quick(model=told, settings=settings, scaler="standard", horizon=horizon)
    df = frame(b=WAVE, a=WAVE[:9], c=np.full(20, 2.0), d=[np.nan] * 3, e=[1.0, 2.0])
    forecaster.fit(df)
    cost = forecaster.estimate_cost()
    pd.testing.assert_frame_equal(cost, forecaster.estimate_cost(df))
    assert not told.read
    told.read.clear()
    with pytest.warns(UserWarning, match="do not fit|no value"):
        forecaster.predict()
    assert cost["tokens_in"].sum() == sum(map(len, told.read))
    assert cost["tokens_out"].sum() == 3 * 5 * horizon * 4
    assert (cost.iloc[2:4, 1:3] == 0).all(axis=None)


def test_prices_are_of_a_million_tokens_and_speed_is_of_all_samples_together() -> None:
    forecaster = quick().fit(frame(a=WAVE))
    cost = forecaster.estimate_cost(price_in=2.0, price_out=10.0, tokens_per_second=50.0).iloc[0]
    tokens = 48 * 4, 5 * 4 * 4
    assert (cost["tokens_in"], cost["tokens_out"]) == tokens
    assert cost["price"] == pytest.approx((2 * tokens[0] + 10 * tokens[1]) / 1e6)
    assert cost["seconds"] == pytest.approx(sum(tokens) / 50)
    assert math.isnan(forecaster.estimate_cost()["seconds"].iloc[0])


def test_scalers_are_fitted_to_what_is_read_only() -> None:
    told = Told()
    forecaster = quick(model=told, settings="binned", scaler="minmax", context_length=10)
    forecaster.predict(frame(a=np.r_[1e6, WAVE]))
    read = preset("binned").deserialize(told.read[0])
    scaler = scaler_for(preset("binned"), WAVE[-10:], "minmax")
    np.testing.assert_allclose(read, scaler.transform(np.float32(WAVE[-10:])), atol=0.51)
