"""Two panels become one: against dictionaries from time to value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsformer.data.calendar import Frequency
from tsformer.data.joining import concatenate, extend, known_statics
from tsformer.data.panel import Covariates, Panel

KINDS = ("past_covariates", "future_covariates")
Known = dict[int, tuple[float, ...]]


def make_panel(spans: dict[str, tuple[int, int]], seed: int) -> Panel:
    """Return series by start and length: two targets and a covariate of each kind, holed.

    The static covariate of a series is `10 * seed` and its place in the alphabet.
    """
    names = sorted(spans)
    lengths = np.array([spans[name][1] for name in names])
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(4, int(lengths.sum()))).astype(np.float32)
    values[generator.random(values.shape) < 0.3] = np.nan
    static = np.array([[10.0 * seed + "abcd".index(name) for name in names]])
    return Panel(
        values=values[:2],
        offsets=np.r_[0, np.cumsum(lengths)],
        ids=np.array(names, dtype=object),
        starts=np.array([spans[name][0] for name in names]),
        freq=Frequency(unit="integer", step=2),
        past_covariates=Covariates(names=("p",), values=values[2:3], levels={"p": ("x", "y")}),
        future_covariates=Covariates(names=("f",), values=values[3:]),
        static_covariates=Covariates(names=("s",), values=static),
    )


def known(panel: Panel, number: int) -> Known:
    """Return all that a panel knows of a series along time, by time."""
    stack = np.concatenate([panel.values, *(getattr(panel, kind).values for kind in KINDS)])
    steps = range(panel.offsets[number], panel.offsets[number + 1])
    times = panel.times(number).tolist()
    return {time: tuple(stack[:, step].tolist()) for time, step in zip(times, steps, strict=True)}


def merged(earlier: Known, later: Known) -> Known:
    """Return both, the later one's counting where it is not missing, without a gap."""
    nothing = (np.nan,) * 4
    times = sorted([*earlier, *later])
    both: Known = {}
    for time in range(times[0], times[-1] + 1, 2):
        old, new = earlier.get(time, nothing), later.get(time, nothing)
        both[time] = tuple(o if np.isnan(n) else n for o, n in zip(old, new, strict=True))
    return both


def assert_known(found: Known, expected: Known) -> None:
    assert list(found) == list(expected)
    np.testing.assert_array_equal([*found.values()], [*expected.values()])


SPANS = st.dictionaries(
    st.sampled_from("abcd"),
    st.tuples(st.integers(0, 6).map(lambda start: 2 * start), st.integers(1, 7)),
    min_size=1,
)


@given(SPANS, SPANS)
def test_extended_panels_know_what_both_knew(earlier: Any, later: Any) -> None:
    old, new = make_panel(earlier, 1), make_panel(later, 2)
    both = extend(old, new)
    assert both.ids.tolist() == sorted({*earlier, *later})
    for number, name in enumerate(both.ids):
        one, other = (
            known(panel, panel.ids.tolist().index(name)) if name in panel.ids else {}
            for panel in (old, new)
        )
        assert_known(known(both, number), merged(one, other))
    assert both.past_covariates is not None
    assert both.past_covariates.levels == {"p": ("x", "y")}


@given(SPANS, SPANS)
def test_concatenated_panels_know_the_past_of_the_later_ones_series(
    earlier: Any, later: Any
) -> None:
    old, new = make_panel(earlier, 1), make_panel(later, 2)
    both = concatenate(old, new)
    assert both.ids.tolist() == sorted(later)
    for number, name in enumerate(both.ids):
        one = known(old, old.ids.tolist().index(name)) if name in old.ids else {}
        other = known(new, number)
        end = max(other)
        expected = {time: row for time, row in merged(one, other).items() if time <= end}
        assert_known(known(both, number), expected)


@given(SPANS, SPANS)
def test_static_covariates_are_the_later_ones_own(earlier: Any, later: Any) -> None:
    old, new = make_panel(earlier, 1), make_panel(later, 2)
    both = extend(old, new)
    assert both.static_covariates is not None
    for name, value in zip(both.ids, both.static_covariates.values[0], strict=True):
        assert value == (20 if name in later else 10) + "abcd".index(name)


def test_static_covariates_of_known_series_are_remembered_and_of_new_ones_missing() -> None:
    old = make_panel({"a": (0, 3), "c": (0, 2)}, 1)
    new = replace(make_panel({"b": (2, 3), "c": (2, 4)}, 2), static_covariates=None)
    for both, expected in (
        (extend(old, new), [10, np.nan, 12]),
        (concatenate(old, new), [np.nan, 12]),
        (known_statics(old, new), [np.nan, 12]),
    ):
        assert both.static_covariates is not None
        np.testing.assert_array_equal(both.static_covariates.values, [expected])
    bare = replace(old, static_covariates=None)
    assert known_statics(bare, new) is new
    assert extend(bare, new).static_covariates is None


@pytest.mark.parametrize("kind", KINDS)
def test_covariates_that_one_panel_lacks_are_left_out(kind: str) -> None:
    old, new = make_panel({"a": (0, 3), "b": (0, 2)}, 1), make_panel({"a": (4, 3)}, 2)
    lacking: Any = {kind: None}
    other = next(name for name in KINDS if name != kind)
    for pair in ((replace(old, **lacking), new), (old, replace(new, **lacking))):
        for both in (extend(*pair), concatenate(*pair)):
            assert getattr(both, kind) is None
            assert getattr(both, other).values.shape == (1, both.values.shape[1])


def test_what_was_to_come_has_come() -> None:
    old, new = make_panel({"a": (0, 3)}, 1), make_panel({"a": (6, 3)}, 2)
    assert extend(replace(old, coming=np.zeros((1, 1, 2))), new).coming is None


def test_panels_stay_as_they_are() -> None:
    old, new = make_panel({"a": (0, 4)}, 1), make_panel({"a": (4, 3), "b": (0, 2)}, 2)
    before = [known(old, 0), known(new, 0), known(new, 1)]
    extend(old, new)
    concatenate(old, new)
    for found, expected in zip([known(old, 0), known(new, 0), known(new, 1)], before, strict=True):
        assert_known(found, expected)


def test_other_rhythms_and_times_off_the_grid_are_refused() -> None:
    old, new = make_panel({"a": (0, 4)}, 1), make_panel({"a": (5, 3)}, 2)
    with pytest.raises(ValueError, match="series 'a': the new data begin at 5, which is not on"):
        extend(old, new)
    other = replace(new, freq=Frequency(unit="integer", step=1))
    with pytest.raises(ValueError, match="freq 1 of the new data is not the fitted 2"):
        concatenate(old, other)
