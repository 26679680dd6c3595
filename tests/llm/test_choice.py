"""The choice of settings against likelihoods by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tsformer.llm.choice import ways_likelihoods
from tsformer.llm.context import Context
from tsformer.llm.sampling import SamplingSettings
from tsformer.llm.scaler import fit_scaler
from tsformer.llm.serialize import SerializerSettings, preset
from tsformer.llm.value_model import ValueModel
from tsformer.llm.vocabulary import pieces_vocabulary

WALK = np.random.default_rng(0).normal(size=60).cumsum()
THREE = preset("plain-digits", fixed_width=True)
SIX = preset("plain-digits", fixed_width=True, digits=6)


class Even:
    """A `TokenModel` to which all tokens are alike; it remembers the texts it is asked about."""

    name = "even"
    settings: SerializerSettings | None = None

    def __init__(self, letters: str = "0123456789,", context_length: int = 10_000) -> None:
        self.vocabulary = pieces_vocabulary(letters)
        self.context_length = context_length
        self.scored: list[tuple[str, str]] = []

    def score(self, tokens: Sequence[int], first: int) -> Tensor:
        parts = tokens[:first], tokens[first:]
        self.scored.append(tuple(map(self.vocabulary.decode, parts)))  # type: ignore[arg-type]
        return torch.zeros(len(tokens) - first, len(self.vocabulary))


def make(model: Any) -> ValueModel:
    return ValueModel(
        model=model, settings=preset("llmtime-llama"), sampling=SamplingSettings(n_samples=1)
    )


def contexts(*series: Any) -> list[Context]:
    return [
        Context(values=np.asarray(values, dtype=float), label=f"series {number}")
        for number, values in enumerate(series)
    ]


def test_nats_are_those_of_the_held_out_end_in_raw_units() -> None:
    model, horizon = Even(), 7
    found = ways_likelihoods(make(model), contexts(WALK), horizon, {"three": THREE, "six": SIX})
    known = WALK[:-horizon]
    # an even model has an even density: over 2 of the quantile scaler, 8 deviations of the other
    by_quantile = math.log(2 * fit_scaler(known, "quantile").scale)
    by_deviation = math.log(8 * known.std())
    expected = {
        (name, kind): nats
        for name in ("three", "six")
        for kind, nats in (("quantile", by_quantile), ("standard", by_deviation))
    }
    assert found == pytest.approx(expected)
    assert [*found.values()] == sorted(found.values())
    before, held_out = model.scored[0]
    assert (before.count(","), held_out.count(",")) == (53, 7)


def test_no_more_than_a_quarter_is_held_out() -> None:
    model = Even()
    ways_likelihoods(make(model), contexts(WALK[:22]), 50, {"three": THREE}, ["quantile"])
    assert [text.count(",") for text in model.scored[0]] == [17, 5]


def test_a_model_that_foretells_one_way_best_is_written_to_in_this_way() -> None:
    class FondOfBlanks(Even):
        """Repeats itself where values are kept apart by a blank, and is lost elsewhere."""

        def score(self, tokens: Sequence[int], first: int) -> Tensor:
            logits = super().score(tokens, first)
            text = self.vocabulary.decode(tokens)
            period = text.find(" ", 1) + 1 if text.count(" ") else 0
            for row, place in enumerate(range(first, len(tokens))):
                if period:
                    logits[row, tokens[place - 2 * period]] = 10.0
            return logits

    blank = preset("plain-digits", fixed_width=True, value_separator=" ")
    ways = {"comma": THREE, "blank": blank, "six": SIX}
    repeating = np.tile([3.0, 4.0], 30)
    found = ways_likelihoods(make(FondOfBlanks("0123456789, ")), contexts(repeating), 8, ways)
    assert next(iter(found))[0] == "blank"
    assert found["blank", "quantile"] < found["comma", "quantile"] - 5


def test_a_way_that_cannot_write_a_series_is_left_out() -> None:
    ways = {"three": THREE, "bins": preset("binned"), "signed": preset("llmtime-llama")}
    found = ways_likelihoods(make(Even()), contexts(WALK), 4, ways)  # it has no blank, no minus
    assert {name for name, _ in found} == {"three"}
    holed = np.where(np.arange(60) == 30, np.nan, WALK)
    gapless = preset("plain-digits", missing=None)
    ways = {"three": THREE, "gapless": gapless}
    found = ways_likelihoods(make(Even("0123456789,na")), contexts(holed), 4, ways)
    assert {name for name, _ in found} == {"three"}


def test_when_no_way_can_be_used_then_the_error_says_why() -> None:
    with pytest.raises(ValueError, match="no settings can be used with this model .* b'"):
        ways_likelihoods(make(Even()), contexts(WALK), 4, {"bins": preset("binned")})


@pytest.mark.parametrize(
    "series",
    [[], [WALK[:6]], [WALK[:7], [1.0, *[np.nan] * 40]], [[np.nan, *WALK[:4], *[np.nan] * 9]]],
)
def test_when_no_series_is_long_enough_then_the_error_says_so(series: list[Any]) -> None:
    with pytest.raises(ValueError, match="no series has the 8 values"):
        ways_likelihoods(make(Even()), contexts(*series), 4, {"three": THREE})


def test_three_series_are_looked_at_evenly_spread_and_no_further_back_than_needed() -> None:
    model = Even()
    many = [np.arange(40.0) + number for number in range(11)] + [np.array([1.0, 2.0])]
    many[5] = np.random.default_rng(1).normal(size=1000)
    found = ways_likelihoods(make(model), contexts(*many), 4, {"three": THREE}, ["quantile"])
    assert [before.count(",") for before, _ in model.scored] == [36, 156, 36]
    scales = [
        fit_scaler(known[-160:-4], "quantile").scale for known in (many[0], many[5], many[10])
    ]
    assert found["three", "quantile"] == pytest.approx(np.mean(np.log(2 * np.array(scales))))


def test_missing_values_at_the_end_are_not_what_is_held_out() -> None:
    gaps = [np.nan] * 9
    one, other = (
        ways_likelihoods(make(Even()), contexts(values), 4, {"three": THREE})
        for values in (WALK, [*WALK, *gaps])
    )
    assert one == other


def test_a_window_too_small_for_what_is_looked_at_is_no_obstacle() -> None:
    model = Even(context_length=60)
    found = ways_likelihoods(make(model), contexts(WALK), 4, {"three": THREE})
    assert np.isfinite([*found.values()]).all()
