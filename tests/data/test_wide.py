from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer.data.frame import Schema, read_panel
from tsformer.data.panel import Panel

MATRIX = np.array([[np.nan, 10.0], [2.0, 20.0], [np.nan, 30.0], [4.0, np.nan]])


def read(data: Any, **schema: Any) -> Panel:
    return read_panel(data, Schema(**schema))[0]


def assert_is_matrix(panel: Panel, ids: list[Any]) -> None:
    """Check the panel of `MATRIX`, its first column called `ids[0]`."""
    assert panel.ids.tolist() == ids
    nan = np.nan
    assert panel.lengths.tolist() == [3, 4]  # the first begins with a missing value
    np.testing.assert_array_equal(panel.values, [[2, nan, 4, 10, 20, 30, nan]])


@pytest.mark.parametrize("ids", [["a", "b"], [1, 2], [("x", 1), ("x", 2)], [2, "a"]])
def test_when_frame_is_wide_then_each_column_is_a_series(ids: list[Any]) -> None:
    index = pd.date_range("2024-01-01", periods=4, freq="h")
    panel = read(pd.DataFrame(dict(zip(ids, MATRIX.T, strict=True)), index=index))
    assert_is_matrix(panel, ids)
    assert panel.freq.alias == "h"
    np.testing.assert_array_equal(panel.times(1), index.to_numpy())


def test_when_columns_and_rows_of_wide_frame_are_permuted_then_same_panel() -> None:
    frame = pd.DataFrame(MATRIX, columns=["a", "b"], index=pd.date_range("2024", periods=4))
    assert_is_matrix(read(frame.iloc[[2, 0, 3, 1], [1, 0]]), ["a", "b"])


def test_when_rows_of_wide_frame_are_left_out_then_filled_as_missing() -> None:
    frame = pd.DataFrame({"a": range(5)}, index=pd.date_range("2024", periods=5))
    np.testing.assert_array_equal(read(frame.drop(frame.index[2])).values, [[0, 1, np.nan, 3, 4]])


@pytest.mark.parametrize(
    ("freq", "alias"), [("M", "MS"), ("Q-DEC", "QS"), ("Y", "YS"), ("h", "h"), ("W-SUN", "W-SUN")]
)
def test_when_index_holds_periods_then_their_first_moments_are_the_times(
    freq: str, alias: str
) -> None:
    index = pd.period_range("2024-01-01", periods=4, freq=freq)
    panel = read(pd.DataFrame(MATRIX, columns=["a", "b"], index=index))
    assert_is_matrix(panel, ["a", "b"])
    assert panel.freq.alias == alias
    np.testing.assert_array_equal(panel.times(1), index.to_timestamp().to_numpy())
    np.testing.assert_array_equal(
        panel.future_times(2)[1], pd.period_range(index[-1] + 1, periods=2).to_timestamp()
    )


@pytest.mark.parametrize("dtypes", [{"a": "Float64", "b": "Int64"}, {"b": "int64[pyarrow]"}])
def test_when_columns_are_nullable_then_missing_is_missing(dtypes: dict[str, str]) -> None:
    frame = pd.DataFrame(MATRIX, columns=["a", "b"], index=pd.date_range("2024", periods=4))
    assert_is_matrix(read(frame.astype(dtypes)), ["a", "b"])


@pytest.mark.parametrize("name", ["sales", None, 3])
@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2024-01-31", periods=4, freq="ME"),
        pd.period_range("2024-01", periods=4, freq="M"),
        pd.Index(["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]),
    ],
)
def test_when_series_has_times_as_index_then_read(index: pd.Index, name: Any) -> None:
    panel = read(pd.Series(MATRIX[:, 1], index=index, name=name))
    assert panel.ids.tolist() == ["y" if name is None else str(name)]
    assert panel.values[0, :3].tolist() == [10, 20, 30]
    assert (panel.freq.unit, panel.freq.step) == ("month", 1)


@pytest.mark.parametrize(
    ("index", "start", "step"),
    [([0, 1, 2, 3], 0, 1), ([4, 6, 8, 12], 4, 2), ([3, 2, 1, 0], 0, 1)],
)
def test_when_series_has_whole_numbers_as_index_then_steps_are_counted(
    index: list[int], start: int, step: int
) -> None:
    panel = read(pd.Series([1.0, 2.0, 3.0, 4.0], index=index))
    expected = [[1, 2, 3, np.nan, 4]] if step == 2 else [sorted([1, 2, 3, 4], reverse=index[0] > 0)]
    np.testing.assert_array_equal(panel.values, expected)
    assert panel.starts.tolist() == [start]
    assert (panel.freq.unit, panel.freq.step) == ("integer", step)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, object])
def test_when_array_is_two_dimensional_then_each_row_is_a_series(dtype: Any) -> None:
    panel = read(MATRIX.T.astype(dtype))
    assert_is_matrix(panel, [0, 1])
    assert panel.starts.tolist() == [1, 0]


@pytest.mark.parametrize("array", [np.arange(3), np.arange(3.0), np.array([0, 1, 2], dtype=object)])
def test_when_array_is_one_dimensional_then_one_series(array: np.ndarray) -> None:
    panel = read(array)
    assert panel.values.tolist() == [[0, 1, 2]]
    assert panel.freq.unit == "integer"


def test_when_array_is_changed_afterwards_then_panel_is_not() -> None:
    array = np.ones((2, 3), dtype=np.float32)
    panel = read(array)
    array[:] = 9
    assert (panel.values == 1).all()


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (0, 2), (1, 2, 3)])
def test_when_array_has_no_series_of_values_then_error_tells_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"an array of shape \(.*\) cannot be read; pass \[time\]"):
        read(np.ones(shape))


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (np.array([[1.0, 2.0], [3.0, np.inf]]), "series 1, step 1"),
        (
            pd.DataFrame({"a": [1.0, 2], "b": [1, np.inf]}, index=pd.date_range("2024", periods=2)),
            "series 'b', row 1",
        ),
        (pd.Series([1.0, np.inf]), "row 1"),
    ],
)
def test_when_value_cannot_be_used_then_error_names_its_place(data: Any, place: str) -> None:
    with pytest.raises(ValueError, match=f"inf at {place}; replace it by NaN"):
        read(data)


def test_when_column_comes_twice_then_error_names_it() -> None:
    index = pd.date_range("2024", periods=4)
    with pytest.raises(ValueError, match="column 'a' comes twice"):
        read(pd.DataFrame(MATRIX, columns=["a", "a"], index=index))


def test_when_wide_frame_or_series_is_empty_then_error() -> None:
    days = pd.date_range("2024", periods=2)
    for frame in (pd.DataFrame(index=days), pd.DataFrame({"a": []}, index=days[:0])):
        with pytest.raises(ValueError, match="the frame is empty"):
            read(frame)
    with pytest.raises(ValueError, match="the series is empty"):
        read(pd.Series([], dtype=float))


def test_when_index_of_series_is_no_time_then_error() -> None:
    with pytest.raises(ValueError, match="column 'index' has 'a' at row 0, which is not a time"):
        read(pd.Series([1.0, 2.0], index=["a", "b"]))
    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])
    with pytest.raises(ValueError, match=r"MultiIndex cannot be read; pass series.reset_index\(\)"):
        read(pd.Series([1.0, 2.0], index=index))


@pytest.mark.parametrize("parameter", ["past_covariates", "future_covariates"])
@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"a": [1.0, 2.0]}, index=pd.date_range("2024", periods=2)),
        pd.Series([1.0, 2.0]),
        np.ones(3),
    ],
    ids=["wide", "series", "array"],
)
def test_when_covariates_are_named_but_the_data_are_not_long_then_error(
    data: Any, parameter: str
) -> None:
    with pytest.raises(ValueError, match=rf"{parameter}=\['price'\] are columns of a long frame"):
        read(data, **{parameter: ["price"]})
