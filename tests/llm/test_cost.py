"""The guess of how fast a model is."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch

import tsformer.llm.cost as cost
from tsformer.llm.backends.ngram import NGram


class Named:
    """What a model looks like to the guess."""

    name = "named"

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def prefill(self, prompts: Any) -> Any:
        raise AssertionError("the model is not to be asked")


NETWORK = torch.nn.Linear(30, 40)


@pytest.mark.parametrize("attribute", ["gpt", "model"])
def test_the_guess_is_a_tenth_of_what_products_of_large_matrices_reach(
    monkeypatch: pytest.MonkeyPatch, attribute: str
) -> None:
    ticks = itertools.accumulate([0.0, 0.3, 1.0, 0.2, 1.0, 0.4])
    monkeypatch.setattr(cost, "perf_counter", lambda: next(ticks))
    model: Any = Named(**{attribute: NETWORK})
    products_per_second = 2 * 1024**3 / 0.2  # the fastest of three
    expected = 0.1 * products_per_second / (2 * (30 * 40 + 40))
    assert cost.guessed_speed(model) == pytest.approx(expected)


def test_a_larger_model_is_slower() -> None:
    small: Any = Named(model=NETWORK)
    large: Any = Named(model=torch.nn.Linear(3000, 4000))
    assert 0 < cost.guessed_speed(large) < cost.guessed_speed(small)


@pytest.mark.parametrize("model", [NGram(), Named(), Named(model="served-elsewhere")])
def test_the_speed_of_a_model_that_cannot_be_seen_is_not_known(model: Any) -> None:
    assert math.isnan(cost.guessed_speed(model))
