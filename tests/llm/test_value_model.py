"""Values in, values out: exact shapes, bounds, windows that are too small, densities by hand."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

import tsformer.llm.value_model as value_model
from tsformer.llm.backends.ngram import NGram
from tsformer.llm.context import Context, scaler_for
from tsformer.llm.sampling import SamplingSettings
from tsformer.llm.scaler import KINDS, Kind, fit_scaler
from tsformer.llm.serialize import PRESETS, SerializerSettings, preset
from tsformer.llm.value_model import ValueModel
from tsformer.llm.vocabulary import pieces_vocabulary

VOCABULARY = pieces_vocabulary("0123456789, -nNa")
DIGITS = preset("plain-digits", fixed_width=True)  # four tokens per value: `042,`
WALK = np.random.default_rng(0).normal(size=40).cumsum()
WAVE = 50 + 30 * np.sin(np.arange(60) * 0.7) + np.random.default_rng(1).normal(size=60)


class Told:
    """A `TokenModel` whose logits are a function of all tokens so far; it counts what it reads."""

    name = "told"
    settings: SerializerSettings | None = None
    vocabulary = VOCABULARY

    def __init__(
        self, logits: Callable[[tuple[int, ...]], Tensor], context_length: int = 100_000
    ) -> None:
        self.logits = logits
        self.context_length = context_length
        self.prompts: list[list[int]] = []
        self.scored: list[int] = []
        self.n_written = 0

    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Any]:
        self.prompts += [list(prompt) for prompt in prompts]
        state = [[tuple(prompt)] for prompt in prompts]
        return torch.stack([self.logits(row[0]) for row in state]), state

    def step(self, tokens: Tensor, parents: Tensor, state: Any) -> Tensor:
        self.n_written += tokens.numel()
        for row, before in enumerate(state):
            one = len(before) == 1
            pairs = zip(tokens[row].tolist(), parents[row].tolist(), strict=True)
            state[row] = [(*before[0 if one else at], token) for token, at in pairs]
        return torch.stack([torch.stack([self.logits(text) for text in row]) for row in state])

    def score(self, tokens: Sequence[int], first: int) -> Tensor:
        self.scored.append(len(tokens))
        places = range(first, len(tokens))
        return torch.stack([self.logits(tuple(tokens[:place])) for place in places])


def even(tokens: tuple[int, ...]) -> Tensor:
    return torch.zeros(len(VOCABULARY))


def whimsical(tokens: tuple[int, ...]) -> Tensor:
    """Return logits that depend on the last five tokens."""
    generator = torch.Generator().manual_seed(hash(tokens[-5:]) % 2**31)
    return 2 * torch.randn(len(VOCABULARY), generator=generator)


def onwards(tokens: tuple[int, ...]) -> Tensor:
    """Return logits that let a series go on by its last step, or by 1 or 2 after a pause."""
    *before, begun = VOCABULARY.decode(tokens).split(",")
    last, step = int(before[-1]), int(before[-1]) - int(before[-2])
    logits = torch.full((len(VOCABULARY),), -50.0)
    for following in [last + step] if step else [last + 1, last + 2]:
        text = f"{following:03d},"
        if text.startswith(begun):
            logits[VOCABULARY.encode(text[len(begun)])[0]] = 0.0
    return logits


def make(model: Any, settings: SerializerSettings = DIGITS, **changes: Any) -> ValueModel:
    sampling = SamplingSettings(n_samples=changes.pop("n_samples", 5), seed=changes.pop("seed", 0))
    return ValueModel(model=model, settings=settings, sampling=sampling, **changes)


def context(values: Any = WALK, **changes: Any) -> Context:
    return Context(values=np.asarray(values, dtype=float), label="series 'load'", **changes)


# samples


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("horizon", [1, 7])
def test_samples_are_exactly_as_many_finite_values_as_asked_for(
    name: str, kind: Kind, horizon: int
) -> None:
    model = make(Told(whimsical), PRESETS[name], scaler=kind)
    paths = model.sample([context(), context(WAVE)], horizon)
    assert paths.shape == (2, 5, horizon)
    assert np.isfinite(paths).all()
    assert len(np.unique(paths)) > 1


def test_the_same_seed_gives_the_same_and_another_one_another() -> None:
    one, same, other = (
        make(Told(whimsical), seed=seed).sample([context()], 6) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_samples_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    contexts = [context(WALK[: 20 + k]) for k in range(5)] + [context(np.full(4, 2.5))]
    model = make(NGram())
    together = model.sample(contexts, 4)
    np.testing.assert_array_equal(
        together, np.concatenate([model.sample([c], 4) for c in contexts])
    )
    for name, size in (("_ROWS_AT_ONCE", 11), ("_TOKENS_AT_ONCE", 170)):
        monkeypatch.setattr(value_model, name, size)
        np.testing.assert_array_equal(model.sample(contexts, 4), together)


def test_prompts_are_read_together_as_far_as_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    told, contexts = Told(whimsical), [context(WALK[: 20 + k]) for k in range(5)]
    sizes: list[int] = []
    prefill = told.prefill

    def watched(prompts: Any) -> Any:
        sizes.append(len(prompts))
        return prefill(prompts)

    monkeypatch.setattr(told, "prefill", watched)
    make(told).sample(contexts, 2)
    monkeypatch.setattr(value_model, "_ROWS_AT_ONCE", 10)
    make(told).sample(contexts, 2)
    make(told, lower=-1.0).sample(contexts, 2)
    assert sizes == [5, 2, 2, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("value", [0.1, 0.0, -3e200, 1e-300])
def test_a_constant_series_goes_on_exactly_and_the_model_is_not_asked(value: float) -> None:
    told = Told(whimsical)
    paths = make(told).sample(
        [context([np.nan, value, np.nan, value, np.nan]), context([value])], 3
    )
    np.testing.assert_array_equal(paths, np.full((2, 5, 3), value))
    assert not told.prompts


@pytest.mark.parametrize("size", [1e-300, 1e-12, 1.0, 1e12, 1e300])
def test_values_of_any_size_are_forecast_in_their_own_size(size: float) -> None:
    holed = np.where(np.arange(40) % 7 == 3, np.nan, WALK)
    for settings in PRESETS.values():
        paths = make(Told(even), settings).sample([context(holed * size)], 3)
        assert np.isfinite(paths).all()
        if size == 1e300:  # digits of the tiny ones are lost in the smallest floats
            expected = make(Told(even), settings).sample([context(holed * 1e12)], 3)
            np.testing.assert_allclose(paths / 1e300, expected / 1e12, rtol=1e-6)


def test_an_outlier_far_beyond_what_can_be_written_is_moved_to_the_last_that_can() -> None:
    told = Told(even)
    make(told).sample([context([*np.tile([1.0, 2.0, 3.0], 30), 1e9])], 2)
    assert VOCABULARY.decode(told.prompts[0]).endswith(",999,")


# bounds


@pytest.mark.parametrize(
    ("lower", "upper"),
    [(0.0, None), (None, 0.5), (-1.0, 1.0), (0.3, 0.3001), (500.0, None), (None, -500.0)],
)
@pytest.mark.parametrize("name", PRESETS)
def test_every_sample_is_within_its_bounds(
    name: str, lower: float | None, upper: float | None
) -> None:
    model = make(Told(whimsical), PRESETS[name], lower=lower, upper=upper)
    paths = model.sample([context(), context(WAVE), context(np.full(9, 700.0))], 4)
    assert np.isfinite(paths).all()
    assert lower is None or paths.min() >= lower
    assert upper is None or paths.max() <= upper


def test_bounds_leave_all_that_lies_between() -> None:
    free = make(Told(even), n_samples=400).sample([context()], 1)
    bounded = make(Told(even), n_samples=400, lower=-1.0, upper=2.0).sample([context()], 1)
    assert free.min() < -1.5
    assert free.max() > 2.5
    assert bounded.min() < -0.98
    assert bounded.max() > 1.98
    assert np.diff(np.unique(bounded)).max() < 0.2  # a bin is 0.019 wide


def test_when_bounds_lie_beyond_what_can_be_written_then_the_nearest_is_forecast() -> None:
    paths = make(Told(whimsical), lower=1e6).sample([context()], 3)
    np.testing.assert_array_equal(paths, np.full((1, 5, 3), 1e6))


# the window


def test_a_horizon_beyond_the_window_is_written_in_parts_and_each_sample_goes_on() -> None:
    told = Told(onwards, context_length=40)  # ten values: five to read, five to write
    paths = make(told, scaler="identity", n_samples=8).sample([context([3, 9, 9])], 17)
    steps = np.diff(paths[0] - 0.5, prepend=9.0)
    assert set(steps[:, 0]) == {1.0, 2.0}
    np.testing.assert_array_equal(steps, np.repeat(steps[:, :1], 17, axis=1))
    assert len(told.prompts) == 1 + 8 * 3
    assert max(map(len, told.prompts)) == 40 - 2 * 4  # before the last part, of two values


def test_samples_that_were_alike_so_far_part_ways_in_the_next_part() -> None:
    def forks(tokens: tuple[int, ...]) -> Tensor:
        """Return logits of steps by 1, from 20 on by 1 or 2."""
        *before, begun = VOCABULARY.decode(tokens).split(",")
        last = int(before[-1])
        logits = torch.full((len(VOCABULARY),), -50.0)
        for following in [last + 1, last + 2] if last >= 20 else [last + 1]:
            text = f"{following:03d},"
            if text.startswith(begun):
                logits[VOCABULARY.encode(text[len(begun)])[0]] = 0.0
        return logits

    model = make(Told(forks, context_length=40), scaler="identity", n_samples=8)
    paths = model.sample([context([13, 14, 15])], 10)[0]
    assert (paths[:, :5] == paths[0, :5]).all()
    assert len(np.unique(paths[:, 5:], axis=0)) > 4


def test_a_whole_forecast_is_the_same_in_parts_and_at_once() -> None:
    known = context([0, 20, 40])
    small, large = (
        make(Told(onwards, context_length=size), scaler="identity", n_samples=3)
        for size in (32, 100_000)
    )
    np.testing.assert_array_equal(small.sample([known], 30), large.sample([known], 30))


def test_the_warning_says_once_how_many_values_did_not_fit() -> None:
    told = Told(onwards, context_length=40)
    model = make(told, scaler="identity", n_samples=3)
    with pytest.warns(UserWarning, match="do not fit") as caught:
        model.sample([context(np.arange(12.0)), context(np.arange(3.0))], 12)
    assert [str(w.message).split("; ")[0] for w in caught] == [
        "series 'load': the first 7 values do not fit into the model's window and are left out"
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.sample([context(np.arange(5.0))], 12)


def test_only_the_last_values_that_fit_are_read() -> None:
    model = make(Told(whimsical, context_length=60))
    older = WALK.copy()
    older[:20] += 1000
    with pytest.warns(UserWarning, match="do not fit"):
        one = model.sample([context()], 3)
    with pytest.warns(UserWarning, match="do not fit"):
        np.testing.assert_array_equal(model.sample([context(older)], 3), one)


def test_when_the_window_holds_nothing_but_a_gap_then_what_was_before_it_is_read() -> None:
    told = Told(whimsical, context_length=60)
    with pytest.warns(UserWarning, match="do not fit"):
        paths = make(told).sample([context([*WALK, *np.full(30, np.nan)])], 3)
    assert np.isfinite(paths).all()
    assert "nan" not in VOCABULARY.decode(told.prompts[0])
    with pytest.warns(UserWarning, match="do not fit"):
        np.testing.assert_array_equal(paths, make(told).sample([context()], 3))


def test_when_the_window_has_no_room_then_the_error_names_the_series() -> None:
    model = make(Told(even, context_length=12))
    with pytest.raises(ValueError, match="series 'load': the model's window of 12 tokens"):
        model.sample([context(header="7" * 9)], 2)


# densities


def test_the_density_of_an_even_model_is_that_of_its_range() -> None:
    truth = np.array([[-2.0, 0.1, np.nan, 3.0]])
    by_quantile = fit_scaler(WALK, "quantile")  # 0 … 2 of it can be written
    nats = make(Told(even)).nats([context()], truth)
    np.testing.assert_allclose(
        nats, np.where(np.isnan(truth), np.nan, math.log(2 * by_quantile.scale)), rtol=1e-12
    )
    bent = make(Told(even), scaler="arcsinh").nats([context()], truth)
    slope = 8 * WALK.std() * np.sqrt(1 + ((truth - WALK.mean()) / WALK.std()) ** 2)
    np.testing.assert_allclose(bent, np.log(slope), rtol=1e-9)


@pytest.mark.parametrize("kind", ["quantile", "standard", "minmax"])
@pytest.mark.parametrize("name", ["plain-digits", "pattern-machine"])
def test_densities_of_all_bins_add_up_to_one(name: str, kind: Kind) -> None:
    settings = replace(PRESETS[name], digits=2) if name == "plain-digits" else PRESETS[name]
    model = make(Told(whimsical), settings, scaler=kind)
    scaler = scaler_for(settings, WALK, kind)
    codes = np.arange(settings.base**settings.n_digits)
    centres = scaler.inverse([settings.value_of(code) for code in codes])
    width = settings.step * scaler.scale / scaler.multiplier
    shares = np.exp(-model.nats([context()] * len(centres), centres[:, None])) * width
    assert shares.sum() == pytest.approx(1)
    assert shares.max() > 2 * shares.mean()  # the model is not even


def test_each_value_is_scored_given_those_before_and_a_missing_one_as_if_nothing_changed() -> None:
    truth = np.array([1.0, -0.5, np.nan, 0.7, np.nan])
    model = make(Told(whimsical))
    nats = model.nats([context()], truth[None])[0]
    np.testing.assert_array_equal(np.isnan(nats), np.isnan(truth))
    filled = np.array([1.0, -0.5, -0.5, 0.7, 0.7])
    expected = model.nats([context()], filled[None])[0]
    np.testing.assert_allclose(nats[[0, 1, 3]], expected[[0, 1, 3]])
    changed = model.nats([context()], np.array([[1.0, -0.5, 9.0, 0.7, 0.7]]))[0]
    np.testing.assert_allclose(changed[:2], expected[:2])
    assert changed[3] != pytest.approx(expected[3])


def test_values_beyond_what_can_be_written_are_scored_as_the_last_that_can() -> None:
    model, scaler = make(Told(whimsical)), scaler_for(DIGITS, WALK, "quantile")
    last = scaler.inverse(999.5)
    nats = model.nats([context()] * 3, [[last], [last + 100], [1e30]])
    np.testing.assert_allclose(nats, nats[0, 0])


def test_bounds_do_not_count_where_values_are_scored() -> None:
    truth = [[-5.0, 0.2, 90.0]]
    free, bounded = make(Told(whimsical)), make(Told(whimsical), lower=0.0, upper=1.0)
    np.testing.assert_array_equal(bounded.nats([context()], truth), free.nats([context()], truth))


def test_scores_are_the_same_in_parts_and_at_once() -> None:
    def last_value(tokens: tuple[int, ...]) -> Tensor:  # and what has been written of the next
        before = tokens[-4 - len(tokens) % 4 :]
        generator = torch.Generator().manual_seed(hash(before) % 2**31)
        return torch.randn(len(VOCABULARY), generator=generator)

    small, large = Told(last_value, context_length=32), Told(last_value)
    truth = np.array([[60.0, 70, np.nan, 80, 90, 95, 99, 98, 97, 50]])
    pieces, whole = (
        make(told, scaler="identity").nats([context(WAVE)], truth) for told in (small, large)
    )
    np.testing.assert_allclose(pieces, whole)
    assert len(small.scored) == 3
    assert max(small.scored) <= 32
    assert len(large.scored) == 1


def test_when_what_came_is_longer_than_what_was_known_then_older_values_make_room() -> None:
    settings = preset("llmtime-llama")
    told = Told(even, context_length=56)
    flat = np.tile([1.0, 2.0, 3.0], 10)
    nats = make(told, settings).nats([context(flat)], [[-100.0, 200.0, -3.0]])
    assert np.isfinite(nats).all()
    assert 50 < told.scored[0] <= 56


@hypothesis_settings(max_examples=40)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12), st.integers(1, 4))
def test_any_series_can_be_scored_and_continued(values: list[float], horizon: int) -> None:
    for settings in (DIGITS, preset("llmtime-llama")):
        model = make(Told(even, context_length=80), settings, n_samples=2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            assert np.isfinite(model.sample([context(values)], horizon)).all()
        truth = np.resize(values, (1, horizon))
        assert np.isfinite(model.nats([context(values)], truth)).all()


# costs


@pytest.mark.parametrize("horizon", [3, 5, 17])
def test_counted_tokens_are_those_that_are_read_and_written(horizon: int) -> None:
    told = Told(whimsical, context_length=40)
    model = make(told, scaler="identity", n_samples=3)
    known = context([200, 100, 400], header="12,")
    read, written = model.count_tokens(known, horizon)
    assert not told.prompts
    model.sample([known], horizon)
    assert read == sum(map(len, told.prompts))
    n_parts = -(-horizon // 5)
    assert written == told.n_written + 3 * n_parts  # the last token of a part is not read again
    assert written == 3 * horizon * 4


def test_a_constant_series_costs_nothing() -> None:
    assert make(Told(even)).count_tokens(context([4.0, np.nan, 4.0]), 9) == (0, 0)


# a model elsewhere


class Elsewhere:
    """A `TextModel` that answers what it is told to, and remembers what it was asked."""

    name = "elsewhere"

    def __init__(self, *answers: str) -> None:
        self.answers = answers
        self.asked: list[dict[str, Any]] = []

    def complete(self, prompt: str, **given: Any) -> list[str]:
        self.asked.append({"prompt": prompt, **given})
        return list(self.answers)

    def log_probabilities(
        self, prompt: str, continuation: str, label: str = ""
    ) -> list[tuple[str, float]]:
        self.asked.append({"prompt": prompt, "label": label})
        return [(letter, -0.25) for letter in continuation]


def test_a_model_elsewhere_is_asked_for_all_samples_at_once() -> None:
    model = Elsewhere("100,200,", "300,400,")
    known = context([1, 2, np.nan, 3], header="Load:\n")
    paths = make(model, n_samples=2, seed=7).sample([known], 2)
    scaler = scaler_for(DIGITS, known.values, "quantile")
    np.testing.assert_allclose(paths[0], scaler.inverse([[100.5, 200.5], [300.5, 400.5]]))
    asked = model.asked[0]
    scaled = scaler.transform(known.values)
    assert asked["prompt"] == "Load:\n" + DIGITS.serialize(scaled) + ","
    assert {key: asked[key] for key in ("n_samples", "horizon", "seed", "label")} == {
        "n_samples": 2,
        "horizon": 2,
        "seed": 7,
        "label": "series 'load'",
    }
    assert asked["settings"] == DIGITS


def test_when_fewer_samples_are_valid_then_the_forecast_rests_on_these_and_says_so() -> None:
    answers = ["100,200,", "no numbers", "", "300,", "300,nan,", "500,600,700,", "30"]
    with pytest.warns(UserWarning, match="series 'load': 2 of 5 samples were valid"):
        paths = make(Elsewhere(*answers)).sample([context()], 2)
    expected = scaler_for(DIGITS, WALK, "quantile").inverse([[100.5, 200.5], [500.5, 600.5]])
    np.testing.assert_allclose(paths[0], expected[[0, 1, 0, 1, 0]])


@pytest.mark.parametrize("answers", [(), ("one, two",), ("100,",)])
def test_when_no_sample_is_valid_then_the_error_names_series_and_model(
    answers: tuple[str, ...],
) -> None:
    with pytest.raises(ValueError, match=r"'load': none of \d answers of elsewhere holds 2 values"):
        make(Elsewhere(*answers)).sample([context()], 2)


def test_answers_from_elsewhere_are_moved_to_the_bounds() -> None:
    model = make(Elsewhere("000,999,"), n_samples=1, lower=-1.0, upper=2.0)
    np.testing.assert_array_equal(model.sample([context()], 2), [[[-1.0, 2.0]]])


def test_densities_from_elsewhere_count_all_letters_of_a_value() -> None:
    model = Elsewhere()
    nats = make(model).nats([context()], [[0.0, np.nan, 1.0]])[0]
    width = fit_scaler(WALK, "quantile").scale / 500
    expected = 4 * 0.25 + math.log(width)
    np.testing.assert_allclose(nats, [expected, np.nan, expected])
    assert model.asked[0]["label"] == "series 'load'"


def test_letters_are_counted_for_a_model_elsewhere() -> None:
    model = Elsewhere("100,200,", "300,400,")
    read, written = make(model, n_samples=2).count_tokens(context(header="Load: "), 2)
    assert not model.asked
    make(model, n_samples=2).sample([context(header="Load: ")], 2)
    assert read == len(model.asked[0]["prompt"])
    assert written == sum(map(len, model.answers))


# scalers


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("kind", ["quantile", "standard", "minmax", "arcsinh"])
def test_scaled_values_can_be_written_with_room_around(name: str, kind: Kind) -> None:
    settings = PRESETS[name]
    for values in (WALK, WAVE, 1e8 + WALK, -WAVE):
        scaled = scaler_for(settings, values, kind).transform(values)
        wider = np.array([scaled.min() - 0.2 * np.ptp(scaled), scaled.max() + 0.2 * np.ptp(scaled)])
        if kind == "minmax" and not settings.signed:
            wider[0] = 0.0  # begins at the smallest value
        np.testing.assert_array_equal(settings.clip(wider), wider)
        codes = settings.codes(scaled)
        assert len(np.unique(codes)) > 15  # not all in the same few bins


def test_unsigned_settings_have_zero_of_centred_scalers_in_their_middle() -> None:
    for kind in ("standard", "arcsinh"):
        scaler = scaler_for(preset("plain-digits"), WALK, kind)  # type: ignore[arg-type]
        assert scaler.transform(WALK.mean()) == pytest.approx(500)
    assert scaler_for(preset("llmtime-llama"), WALK, "standard").shift == 0
    assert scaler_for(DIGITS, WALK, "identity").transform(7.5) == 7.5


def test_a_model_with_a_scaler_of_its_own_is_asked_for_it() -> None:
    class Own(Told):
        def fit_scaler(self, values: np.ndarray) -> Any:
            return fit_scaler(values, "minmax", multiplier=10.0)

    own = make(Own(even), scaler="standard")
    plain = make(Told(even), scaler="minmax")
    np.testing.assert_allclose(
        own.nats([context()], [[0.0]]) - plain.nats([context()], [[0.0]]), math.log(50)
    )


def test_contexts_of_equal_content_get_draws_of_their_own_by_number() -> None:
    one = context()
    paths = make(Told(whimsical), n_samples=3).sample([one, one, replace(one, number=1)], 8)
    np.testing.assert_array_equal(paths[0], paths[1])
    assert (paths[0] != paths[2]).any()
