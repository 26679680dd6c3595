"""Parts of panels, and the covariates that come after them, against lists."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsformer.data.calendar import Frequency
from tsformer.data.panel import Covariates, Panel

LENGTHS = [7, 4, 12, 5]


def make_panel(horizon: int | None = None) -> Panel:
    """Return a panel whose values say which step they are, and whose covariates say it too."""
    steps = np.concatenate([100 * number + np.arange(n) for number, n in enumerate(LENGTHS)])
    rows = np.stack([steps, -steps]).astype(np.float32)
    panel = Panel(
        values=steps[None].astype(np.float32),
        offsets=np.r_[0, np.cumsum(LENGTHS)],
        ids=np.array(list("abcd"), dtype=object),
        starts=np.arange(4) * 50,
        freq=Frequency(unit="integer", step=1),
        past_covariates=Covariates(names=("p",), values=2 * rows[:1]),
        future_covariates=Covariates(names=("f", "g"), values=rows),
        static_covariates=Covariates(names=("s",), values=np.arange(4.0)[None]),
    )
    if horizon is None:
        return panel
    ends = np.array(LENGTHS)[:, None] + np.arange(horizon) + 100 * np.arange(4)[:, None]
    return replace(panel, coming=np.stack([ends, -ends]).astype(float))


def assert_consistent(panel: Panel) -> None:
    """Check that whatever belongs to a step or a series is still beside it."""
    assert panel.future_covariates is not None
    assert panel.past_covariates is not None
    assert panel.static_covariates is not None
    np.testing.assert_array_equal(panel.future_covariates.values[0], panel.values[0])
    np.testing.assert_array_equal(panel.future_covariates.values[1], -panel.values[0])
    np.testing.assert_array_equal(panel.past_covariates.values[0], 2 * panel.values[0])
    for number, name in enumerate(panel.ids):
        original = "abcd".index(name)
        values = panel.series(number)[0]
        assert panel.static_covariates.values[0, number] == original
        if len(values):
            assert panel.starts[number] == 50 * original + values[0] - 100 * original
        if panel.coming is not None and len(values):
            np.testing.assert_array_equal(panel.coming[0, number, 0], values[-1] + 1)


@pytest.mark.parametrize("horizon", [1, 3])
@given(data=st.data())
def test_a_cut_panel_knows_what_comes_then(horizon: int, data: st.DataObject) -> None:
    panel = make_panel()
    lengths = np.array([data.draw(st.integers(1, n - horizon)) for n in LENGTHS])
    cut = panel.cut(lengths, horizon)
    assert cut.lengths.tolist() == lengths.tolist()
    assert_consistent(cut)
    assert cut.coming is not None
    assert cut.coming.shape == (2, 4, horizon)
    for number, length in enumerate(lengths):
        coming = panel.series(number)[0, length : length + horizon]
        np.testing.assert_array_equal(cut.coming[:, number], [coming, -coming])
        np.testing.assert_array_equal(cut.series(number)[0], panel.series(number)[0, :length])


def test_a_cut_panel_without_covariates_knows_nothing() -> None:
    panel = replace(make_panel(), future_covariates=None)
    cut = panel.cut(np.array([3, 2, 6, 1]), 2)
    assert cut.coming is None
    np.testing.assert_array_equal(cut.values, panel.head(np.array([3, 2, 6, 1])).values)


def test_what_comes_stays_while_the_ends_stay() -> None:
    panel = make_panel(horizon=2)
    for part in (panel.tail(3), panel.tail(100), panel.slice(2, panel.lengths)):
        assert part.coming is panel.coming
        assert_consistent(part)


def test_all_steps_of_a_panel_are_the_panel() -> None:
    panel = make_panel(horizon=2)
    assert panel.slice(0, panel.lengths) is panel
    assert panel.tail(int(panel.lengths.max())) is panel


@pytest.mark.parametrize("cut", [[6, 4, 12, 5], [0, 0, 0, 0], [7, 4, 11, 5]])
def test_what_came_after_other_ends_is_forgotten(cut: list[int]) -> None:
    panel = make_panel(horizon=2)
    assert panel.head(np.array(cut)).coming is None
    assert panel.cut(np.array([5, 2, 10, 3]), 2).coming is not panel.coming


@given(st.lists(st.integers(0, 3), max_size=6))
def test_chosen_series_keep_what_is_theirs(numbers: list[int]) -> None:
    chosen = make_panel(horizon=3).select(numbers)
    assert chosen.ids.tolist() == ["abcd"[number] for number in numbers]
    assert_consistent(chosen)
    assert chosen.coming is not None
    assert chosen.coming.shape == (2, len(numbers), 3)


def test_levels_are_those_of_all_kinds() -> None:
    panel = make_panel()
    assert panel.levels == {}
    assert panel.past_covariates is not None
    assert panel.static_covariates is not None
    categorical = replace(
        panel,
        past_covariates=replace(panel.past_covariates, levels={"p": ("x",)}),
        static_covariates=replace(panel.static_covariates, levels={"s": (1, "y")}),
        future_covariates=None,
    )
    assert categorical.levels == {"p": ("x",), "s": (1, "y")}


def with_variates(panel: Panel, n: int) -> Panel:
    """Return a panel whose variates are 1000 apart."""
    return replace(panel, values=panel.values + 1000 * np.arange(n, dtype=np.float32)[:, None])


def test_variates_become_series_that_keep_what_is_theirs() -> None:
    panel = with_variates(make_panel(horizon=2), 3)
    apart = panel.univariate()
    assert apart.n_variates == 1
    assert apart.ids.tolist() == [name for name in "abcd" for _ in range(3)]
    assert apart.coming is not None
    assert apart.coming.shape == (2, 12, 2)
    for number in range(12):
        item, variate = divmod(number, 3)
        np.testing.assert_array_equal(apart.series(number), panel.series(item)[variate, None])
    steps = np.repeat(np.tile([0, 1000, 2000], 4), np.repeat(LENGTHS, 3))
    assert_consistent(replace(apart, values=apart.values - steps))
    assert panel.select([1]).univariate().ids.tolist() == ["b"] * 3
    single = make_panel()
    assert single.univariate() is single


def test_series_side_by_side_become_variates_and_come_apart_again() -> None:
    values = np.arange(15, dtype=np.float32)
    aligned = Panel(
        values=values[None],
        offsets=np.array([0, 5, 10, 15]),
        ids=np.array(["a", "b", "d"], dtype=object),
        starts=np.array([7, 7, 7]),
        freq=Frequency(unit="integer", step=1),
    )
    together = aligned.joined()
    assert together is not None
    assert (len(together), together.n_variates, together.ids.tolist()) == (1, 3, ["a"])
    np.testing.assert_array_equal(together.values, values.reshape(3, 5))
    np.testing.assert_array_equal(together.times(0), aligned.times(2))
    np.testing.assert_array_equal(together.univariate().values, aligned.values)
    assert replace(aligned, starts=np.array([7, 8, 7])).joined() is None
    assert replace(aligned, offsets=np.array([0, 5, 11, 15])).joined() is None
    assert together.joined() is None


def test_excerpts_are_cut_panels_and_their_tails() -> None:
    panel, numbers, ends = make_panel(), np.array([2, 0, 2, 3]), np.array([9, 3, 6, 4])
    excerpts = panel.excerpts(numbers, ends, length=5, horizon=1)
    assert_consistent(excerpts)
    for place, (number, end) in enumerate(zip(numbers, ends, strict=True)):
        alone = panel.select([number]).cut(np.array([end]), 1).tail(5)
        piece = excerpts.select([place])
        for name in ("values", "ids", "starts", "lengths", "coming"):
            np.testing.assert_array_equal(getattr(piece, name), getattr(alone, name))


def test_the_first_known_step_is_found_in_each_series() -> None:
    panel = make_panel()
    values = panel.values.copy()
    values[0, [0, 1]] = np.nan  # of the first
    values[0, 7:11] = np.nan  # all of the second
    values[0, -5:-1] = np.nan  # of the last
    assert replace(panel, values=values).first_known.tolist() == [2, 4, 0, 4]
    assert replace(panel, values=np.full_like(values, np.nan)).first_known.tolist() == LENGTHS


def test_means_and_changes_are_those_of_each_series() -> None:
    rows = [[1.0, np.nan, 4.0, 6.0], [], [np.nan, np.nan], [3.0], []]
    lengths = [len(row) for row in rows]
    panel = Panel(
        values=np.concatenate(rows).astype(np.float32)[None],
        offsets=np.r_[0, np.cumsum(lengths)],
        ids=np.arange(len(rows)),
        starts=np.zeros(len(rows), dtype=np.int64),
        freq=Frequency(unit="integer", step=1),
    )
    nan = np.nan
    np.testing.assert_array_equal(panel.known_counts, [3, 0, 0, 1, 0])
    np.testing.assert_allclose(panel.means(panel.values[0]), [11 / 3, nan, nan, 3.0, nan])
    np.testing.assert_array_equal(panel.changes(2), [[nan, nan, 3.0, nan, nan, nan, nan]])
    np.testing.assert_array_equal(panel.changes(1), [[nan, nan, nan, 2.0, nan, nan, nan]])
    np.testing.assert_array_equal(panel.changes(9), np.full((1, 7), nan))
    nothing = panel.select([])
    assert nothing.means(nothing.values[0]).shape == nothing.known_counts.shape == (0,)
