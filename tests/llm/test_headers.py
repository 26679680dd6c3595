"""What stands before the values: descriptions, covariates, similar series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tsformer.llm.headers import FIELDS, covariate_lines, describe, example_lines, most_similar
from tsformer.llm.serialize import PRESETS, preset

GIVEN = {"id": "load", "start": "2024-01-01", "end": "2024-02-01", "step": "D", "horizon": 7}


def test_a_description_is_a_line_with_its_fields_filled_in() -> None:
    assert set(FIELDS) == set(GIVEN)
    text = "{id} from {start} to {end}, every {step}; {horizon:>3} to come, {{sic}}  \n"
    expected = "load from 2024-01-01 to 2024-02-01, every D;   7 to come, {sic}\n"
    assert describe(text, GIVEN) == expected
    assert describe("in MW", GIVEN) == "in MW\n"
    assert describe("", GIVEN) == ""


@pytest.mark.parametrize(
    "text", ["{unit}", "{}", "{0}", "{id", "{start.year}", "{id:d}", "{id[a]}"]
)
def test_when_a_field_is_not_there_then_the_error_lists_those_that_are(text: str) -> None:
    with pytest.raises(ValueError, match="there are {id}, {start}, {end}, {step}, {horizon}"):
        describe(f"Load of {text}", GIVEN)


def test_covariates_are_a_line_each_with_categories_by_name() -> None:
    values = np.array([[1.0, 2.5, np.nan, 12345.678], [0, 1, np.nan, 0], [1, 0, 1, 1]])
    levels = {"weather": ("rain", "sun"), "shop": (True, "other")}
    assert covariate_lines(["price", "weather", "shop"], values, levels) == (
        "price: 1, 2.5, nan, 1.235e+04\n"
        "weather: rain, sun, nan, rain\n"
        "shop: other, True, other, other\n"
    )
    assert covariate_lines([], np.empty((0, 4)), {}) == ""


@pytest.mark.parametrize("name", PRESETS)
def test_examples_are_lines_that_read_like_the_values_to_come(name: str) -> None:
    settings = PRESETS[name]
    series = [np.array([0.2, 0.4, np.nan]) * settings.reference, np.array([1e9, 0.0])]
    lines = example_lines(settings, series).split("\n")
    assert lines.pop() == ""
    for line, scaled in zip(lines, series, strict=True):
        assert line.endswith(settings.terminator)
        read = settings.deserialize(line)
        np.testing.assert_allclose(read, settings.clip(scaled), atol=settings.step / 2)
    assert example_lines(preset("binned"), []) == ""


def correlation_by_loop(target: np.ndarray, other: np.ndarray) -> float:
    """Return the best correlation of the target's end with any part of the other, step by step."""
    size = max(4, min(len(target), len(other)) // 2)
    end = target[len(target) - size :]
    found = [
        np.corrcoef(end, other[begin : begin + size])[0, 1]
        for begin in range(len(other) - size + 1)
    ]
    return max(found)


def test_the_most_similar_series_are_those_that_a_loop_finds() -> None:
    generator = np.random.default_rng(0)
    others = [generator.normal(size=size).cumsum() for size in (20, 31, 12, 40, 25, 8)]
    for length in (10, 24, 60):
        target = generator.normal(size=length).cumsum()
        scores = [correlation_by_loop(target, other) for other in others]
        expected = np.argsort(scores)[::-1].tolist()
        assert most_similar(target, others, 6) == expected
        assert most_similar(target, others, 2) == expected[:2]


def test_a_copy_is_found_wherever_it_is_whatever_its_size() -> None:
    generator = np.random.default_rng(1)
    target = generator.normal(size=20).cumsum()
    copy = np.r_[generator.normal(size=7), 1e6 + 50 * target, generator.normal(size=5)]
    others = [generator.normal(size=40) for _ in range(5)]
    assert most_similar(target, [*others, copy], 1) == [5]
    assert most_similar(target, [*others, -copy], 1) != [5]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (np.arange(12.0), [1, 0]),
        (np.full(12, 3.0), [0, 1]),  # nothing is like it: the first ones
        (np.array([1.0, 2.0, 3.0]), []),  # too short to tell
    ],
)
def test_flat_and_short_series_are_no_obstacle(target: np.ndarray, expected: list[int]) -> None:
    others: list[Any] = [np.zeros(9), np.arange(9.0), np.array([1.0, 2.0])]
    assert most_similar(target, others, 2) == expected


def test_missing_values_are_passed_over() -> None:
    target = np.sin(np.arange(40.0))
    holed = np.where(np.arange(40) % 5 == 2, np.nan, target)
    others = [np.full(40, np.nan), np.random.default_rng(0).normal(size=40), 3 * holed]
    assert most_similar(holed, others, 1) == [2]
    assert most_similar(target, others, 1) == [2]
    assert most_similar(np.full(40, np.nan), others, 3) == [0, 1, 2]
    assert most_similar(target, [], 3) == []
