from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsformer.data.calendar import Frequency, parse_frequency
from tsformer.data.columns import Times
from tsformer.data.grid import Rows, build_panel, encode_categories
from tsformer.data.panel import Covariates

DAY = np.datetime64("2024-01-01", "us")


def rows(table: list[tuple[Any, int, float]], **others: Any) -> Rows:
    """Return rows of (series, day, value), the days counted from 2024-01-01."""
    codes, ids = pd.factorize(np.array([name for name, _, _ in table], dtype=object))
    days = np.array([day for _, day, _ in table], dtype="timedelta64[D]")
    return Rows(
        series=codes,
        ids=ids,
        times=Times(values=DAY + days),
        target=np.array([value for _, _, value in table], dtype=float),
        **others,
    )


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[str, int, float]]:
    """Draw rows of daily series with gaps, in any order; some values are missing."""
    table = []
    for name in draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True)):
        days = draw(st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True))
        value = st.one_of(st.integers(-9, 9).map(float), st.just(np.nan))
        table += [(name, day, draw(value)) for day in days]
    return draw(st.permutations(table))


def naive_panel(table: list[tuple[str, int, float]]) -> dict[str, tuple[int, list[float]]]:
    """Return each series' first day and its values day by day, by plain loops."""
    panel = {}
    for name in sorted({name for name, _, _ in table}):
        known = {day: value for other, day, value in table if other == name}
        observed = [day for day, value in known.items() if not np.isnan(value)]
        first = min(observed) if observed else min(known)
        days = range(first, max(known) + 1)
        panel[name] = first, [known.get(day, np.nan) for day in days]
    return panel


@given(tables())
def test_when_rows_come_in_any_order_then_panel_is_that_of_plain_loops(
    table: list[tuple[str, int, float]],
) -> None:
    panel, order, _ = build_panel(rows(table), "D")
    expected = naive_panel(table)
    assert panel.ids.tolist() == list(expected)
    for number, (first, values) in enumerate(expected.values()):
        assert panel.starts[number] == DAY + np.timedelta64(first, "D")
        np.testing.assert_array_equal(panel.series(number), [values])
    assert panel.ids[order].tolist() == list(dict.fromkeys(name for name, _, _ in table))
    assert panel.values.dtype == np.float32
    assert panel.values.flags.c_contiguous


@given(tables(), st.randoms(use_true_random=False))
def test_when_rows_are_permuted_then_same_panel(
    table: list[tuple[str, int, float]], random: Any
) -> None:
    panel, _, _ = build_panel(rows(table), "D")
    shuffled = random.sample(table, len(table))
    again, _, _ = build_panel(rows(shuffled), "D")
    assert panel.ids.tolist() == again.ids.tolist()
    for name in ("values", "offsets", "starts"):
        np.testing.assert_array_equal(getattr(panel, name), getattr(again, name))


def test_when_days_are_left_out_then_missing_values_stand_for_them() -> None:
    panel, _, _ = build_panel(rows([("a", 5, 3.0), ("a", 0, 1.0), ("a", 1, 2.0)]), None)
    np.testing.assert_array_equal(panel.values, [[1, 2, np.nan, np.nan, np.nan, 3]])
    assert panel.freq.alias == "D"


def test_when_series_begins_with_missing_values_then_they_are_cut_off_but_not_at_its_end() -> None:
    table = [("a", day, np.nan if day in (0, 1, 3, 5) else day) for day in range(6)]
    panel, _, _ = build_panel(rows(table), None)
    np.testing.assert_array_equal(panel.values, [[2, np.nan, 4, np.nan]])
    assert panel.starts.tolist() == [(DAY + np.timedelta64(2, "D")).item()]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_when_series_is_all_missing_then_kept_whole(place: int) -> None:
    names = "abc"
    table = [(n, day, np.nan if n == names[place] else 1.0) for n in names for day in range(3)]
    panel, _, _ = build_panel(rows(table), None)
    assert panel.lengths.tolist() == [3, 3, 3]
    assert panel.known_counts.tolist() == [0 if n == place else 3 for n in range(3)]


def test_when_every_series_is_all_missing_then_kept_whole() -> None:
    panel, _, _ = build_panel(rows([(n, day, np.nan) for n in "ab" for day in range(2)]), None)
    assert panel.lengths.tolist() == [2, 2]


def test_when_ids_are_integers_then_ordered_as_numbers() -> None:
    table = Rows(
        series=np.array([0, 1, 2]),
        ids=np.array([10, 9, 100]),
        times=Times(values=np.array([0, 0, 0])),
        target=np.array([1.0, 2.0, 3.0]),
    )
    panel, order, _ = build_panel(table, None)
    assert panel.ids.tolist() == [9, 10, 100]
    assert panel.values.tolist() == [[2.0, 1.0, 3.0]]
    assert order.tolist() == [1, 0, 2]


def test_when_ids_are_of_mixed_types_then_ordered_by_type_and_text() -> None:
    panel, _, _ = build_panel(rows([("b", 0, 1.0), (2, 0, 2.0), (10, 0, 3.0)]), "D")
    assert panel.ids.tolist() == [10, 2, "b"]
    assert panel.values.tolist() == [[3.0, 2.0, 1.0]]


def test_when_time_comes_twice_then_error_names_series_both_rows_and_remedy() -> None:
    table = [("a", 0, 1.0), ("b", 1, 1.0), ("b", 0, 1.0), ("b", 1, 2.0)]
    message = "series 'b', row 3 has the same time, 2024-01-02T.*, as row 1; drop duplicates"
    with pytest.raises(ValueError, match=message) as caught:
        build_panel(rows(table), None)
    assert "id_col=" not in str(caught.value)


def test_when_time_comes_twice_in_the_only_series_then_error_suggests_a_column_of_ids() -> None:
    with pytest.raises(ValueError, match="series 'y', row 1 has the same time.*id_col="):
        build_panel(rows([("y", 0, 1.0), ("y", 0, 2.0)]), None)


def test_when_clock_shows_an_hour_twice_by_days_then_error_and_by_hours_none() -> None:
    twice = pd.DatetimeIndex(["2024-10-27 00:30", "2024-10-27 01:30"])  # 02:30 in Berlin
    table = Rows(
        series=np.zeros(2, dtype=int),
        ids=np.array(["a"], dtype=object),
        times=Times(values=twice.to_numpy().astype("datetime64[us]"), zone="Europe/Berlin"),
        target=np.array([1.0, 2.0]),
    )
    with pytest.raises(ValueError, match="series 'a', row 1 has the same time, 2024-10-27T02:30"):
        build_panel(table, "D")
    assert build_panel(table, "h")[0].lengths.tolist() == [2]


def test_when_time_off_the_grid_then_error_names_series_row_time_and_freq() -> None:
    table = [("a", 0, 1.0), ("b", 3, 1.0), ("b", 6, 1.0), ("b", 0, 1.0), ("b", 4, 1.0)]
    message = r"series 'b', row 1: 2024-01-04T.*freq='2D' after.*2024-01-01T.*pass the right freq="
    with pytest.raises(ValueError, match=message):
        build_panel(rows(table), "2D")


def counted_rows(*times: int) -> Rows:
    n = len(times)
    return Rows(
        series=np.zeros(n, dtype=int),
        ids=np.array(["a"], dtype=object),
        times=Times(values=np.array(times)),
        target=np.arange(n, dtype=float),
    )


def test_when_time_is_counted_then_gaps_are_filled_too() -> None:
    panel, _, _ = build_panel(counted_rows(7, 3, 5, 13), None)
    assert (panel.freq.unit, panel.freq.step) == ("integer", 2)
    np.testing.assert_array_equal(panel.values, [[1, 2, 0, np.nan, np.nan, 3]])
    assert panel.starts.tolist() == [3]


def test_when_calendar_meets_whole_numbers_then_error() -> None:
    with pytest.raises(ValueError, match="freq='D' does not fit times that are whole numbers"):
        build_panel(counted_rows(1, 2), "D")


def test_when_count_meets_dates_then_error() -> None:
    with pytest.raises(ValueError, match="freq=1 does not fit times that are dates"):
        build_panel(rows([("a", 0, 1.0)]), Frequency(unit="integer", step=1))


def test_when_grid_would_be_nearly_empty_then_error_names_series_and_date() -> None:
    table = [("a", 0, 1.0), ("a", 1, 1.0), ("b", 0, 1.0), ("b", 200_000, 1.0)]
    message = r"series 'b' would span 200,001 steps of freq='D'.*2571-08-0.*check its dates"
    with pytest.raises(ValueError, match=message):
        build_panel(rows(table), None)


def test_when_periods_meet_their_own_alias_then_their_first_moments_count() -> None:
    months = np.array(["2024-01-01", "2024-02-01"], dtype="datetime64[us]")
    table = Rows(
        series=np.zeros(2, dtype=int),
        ids=np.array(["a"], dtype=object),
        times=Times(values=months, freq=parse_frequency("MS")),
        target=np.zeros(2),
    )
    panel, _, _ = build_panel(table, "ME")
    np.testing.assert_array_equal(panel.times(0), months)
    with pytest.raises(ValueError, match="not a whole number of steps of freq='2ME'"):
        build_panel(table, "2ME")


@pytest.mark.parametrize("leading", [0, 1])
def test_when_covariates_come_along_then_on_the_steps_of_their_rows(leading: int) -> None:
    table = [("b", 0, 1.0), ("a", 3, 2.0), ("a", 0, np.nan if leading else 0.0), ("a", 1, 3.0)]
    past = Covariates(names=("x", "z"), values=np.array([[1.0, 2, 3, 4], [5, 6, 7, np.nan]]))
    future = Covariates(names=("f",), values=np.array([[9.0, 8, 7, 6]]))
    panel, _, _ = build_panel(rows(table, past_covariates=past, future_covariates=future), "D")
    assert panel.past_covariates is not None
    assert panel.future_covariates is not None
    assert panel.past_covariates.names == ("x", "z")
    nan = np.nan
    np.testing.assert_array_equal(
        panel.past_covariates.values,
        np.array([[3, 4, nan, 2, 1], [7, nan, nan, 6, 5]])[:, leading:],
    )
    np.testing.assert_array_equal(
        panel.future_covariates.values, np.array([[7, 6, nan, 8, 9]])[:, leading:]
    )


def test_when_categories_are_encoded_then_levels_are_sorted_and_missing_stays_missing() -> None:
    codes, levels = encode_categories(["red", None, "blue", "red"], None)
    np.testing.assert_array_equal(codes, [1, np.nan, 0, 1])
    assert levels == ("blue", "red")


def test_when_levels_are_remembered_then_kept_and_a_new_value_is_missing() -> None:
    _, levels = encode_categories(["red", "blue"], None)
    codes, again = encode_categories(["green", "red", "blue"], levels)
    np.testing.assert_array_equal(codes, [np.nan, 1, 0])
    assert again == levels


@given(st.lists(st.one_of(st.integers(0, 3), st.sampled_from(["a", "b", "1"])), min_size=1))
def test_when_values_are_of_any_kind_then_codes_lead_back_to_them(values: list[Any]) -> None:
    codes, levels = encode_categories(pd.Series(values, dtype=object), None)
    assert [levels[int(code)] for code in codes] == values
    assert len(set(levels)) == len(levels)


@pytest.mark.parametrize("table", [[("a", 0, 1.0), ("a", 1, 2.0)], [("a", 0, 1.0), ("a", 2, 2.0)]])
def test_values_of_several_variates_are_contiguous_with_gaps_and_without(
    table: list[tuple[Any, int, float]],
) -> None:
    both = replace(rows(table), target=np.array([[1.0, 2.0], [3.0, 4.0]]))
    panel, _, _ = build_panel(both, "D")
    assert panel.values.flags.c_contiguous
    np.testing.assert_array_equal(panel.values[:, [0, -1]], both.target)
