from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tsformer.data.frame import Schema, read_panel
from tsformer.data.panel import Panel

# Two daily series, unsorted: "b" lacks 3 January, "a" has a missing value on 2 January.
IDS = ["b", "a", "b", "a", "b", "a"]
DAYS = pd.to_datetime(
    ["2024-01-04", "2024-01-03", "2024-01-01", "2024-01-01", "2024-01-02", "2024-01-02"]
)
VALUES = [40.0, 3.0, 10.0, 1.0, 20.0, np.nan]
LONG = pd.DataFrame({"unique_id": IDS, "ds": DAYS, "y": VALUES})
GLUONTS_NAMES = {"unique_id": "item_id", "ds": "timestamp", "y": "target"}
OWN_NAMES = {"unique_id": "shop", "ds": "day", "y": "sales"}
OWN = {"id_col": "shop", "time_col": "day", "target_col": "sales"}


def assert_is_long(panel: Panel, ids: list[Any] | None = None) -> None:
    """Check the panel of `LONG`."""
    assert panel.ids.tolist() == (ids or ["a", "b"])
    assert panel.lengths.tolist() == [3, 4]
    nan = np.nan
    np.testing.assert_array_equal(panel.values, [[1, nan, 3, 10, 20, nan, 40]])
    np.testing.assert_array_equal(panel.starts, np.array(["2024-01-01"] * 2, "datetime64[us]"))
    assert panel.freq.alias == "D"
    assert panel.past_covariates is panel.future_covariates is panel.static_covariates is None


def read(data: Any, **schema: Any) -> Panel:
    return read_panel(data, Schema(**schema))[0]


@pytest.mark.parametrize("backend", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
@pytest.mark.parametrize(
    ("names", "schema"),
    [
        ({}, {}),
        (GLUONTS_NAMES, {}),
        (OWN_NAMES, OWN),
        ({"y": "sales"}, {"target_col": "sales"}),
        ({"unique_id": "item_id", "ds": "day"}, {"time_col": "day"}),
    ],
)
def test_when_frame_is_long_then_columns_are_found_or_named(
    backend: Any, names: dict[str, str], schema: dict[str, str]
) -> None:
    assert_is_long(read(backend(LONG.rename(columns=names)), **schema))


def test_when_both_conventions_are_there_then_named_columns_win() -> None:
    both = LONG.assign(item_id="x", timestamp=pd.Timestamp(2000, 1, 1), target=0.0)
    assert_is_long(read(both))
    other = LONG.rename(columns=GLUONTS_NAMES).assign(unique_id="x", ds=1, y=0)
    named = {"id_col": "item_id", "time_col": "timestamp", "target_col": "target"}
    assert_is_long(read(other, **named))


@pytest.mark.parametrize(
    "index",
    [
        ["unique_id"],
        ["ds"],
        ["unique_id", "ds"],
        ["ds", "unique_id"],
    ],
)
def test_when_columns_are_in_the_index_then_found_there(index: list[str]) -> None:
    assert_is_long(read(LONG.set_index(index)))
    assert_is_long(read(LONG.set_index(index, drop=False)))


def test_when_frame_was_filtered_then_its_index_of_row_numbers_means_nothing() -> None:
    assert_is_long(read(LONG.set_index(pd.Index([7, 7, 3, 2, 1, 0]))))
    assert_is_long(read(LONG.set_index(pd.Index([7, 7, 3, 2, 1, 0], name="row"))))


@pytest.mark.parametrize("name", [None, "ds", "timestamp", "day"])
def test_when_long_frame_has_times_as_index_then_they_are_its_times(name: str | None) -> None:
    assert_is_long(read(LONG.set_index("ds").rename_axis(name)))


@pytest.mark.parametrize("name", [None, "ds", "day"])
@pytest.mark.parametrize("target", ["y", "target"])
def test_when_frame_has_no_ids_then_it_is_one_series(name: str | None, target: str) -> None:
    index = pd.date_range("2024-01-01", periods=3, name=name)
    frame = pd.DataFrame({target: [1.0, 2.0, 3.0], "other": 0.0}, index=index)
    panel = read(frame)
    assert panel.ids.tolist() == ["y"]
    assert panel.values.tolist() == [[1.0, 2.0, 3.0]]
    assert panel.freq.alias == "D"
    if name is not None:
        frame = frame.reset_index().rename(columns={name: "ds"})
        assert read(frame).values.tolist() == [[1.0, 2.0, 3.0]]
        assert read(pl.from_pandas(frame)).values.tolist() == [[1.0, 2.0, 3.0]]


@pytest.mark.parametrize(
    ("ids", "dtype"),
    [
        (["x", "y"], "category"),
        (["x", "y"], "string"),
        (["x", "y"], "string[pyarrow]"),
        ([7, 8], "int64"),
        ([7, 8], "Int64"),
        ([7, 8], "category"),
        ([0.5, 1.5], "float64"),
        ([False, True], "bool"),
        ([2, "a"], "object"),
        ([(1, "a"), (1, "b")], "object"),
    ],
)
def test_when_ids_are_of_any_type_then_panel_has_them_as_python_does(
    ids: list[Any], dtype: str
) -> None:
    column = pd.Series([ids[name == "b"] for name in IDS], dtype="object").astype(dtype)
    frame = LONG.assign(unique_id=column)
    assert_is_long(read(frame), ids)
    one_after_the_other = LONG["unique_id"].argsort(kind="stable")
    assert_is_long(read(frame.iloc[one_after_the_other]), ids)


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["b", "a"]), pl.String])
def test_when_polars_ids_are_categories_then_read_as_text(dtype: Any) -> None:
    frame = pl.from_pandas(LONG).with_columns(pl.col("unique_id").cast(dtype))
    assert_is_long(read(frame))


@pytest.mark.parametrize("dtype", ["Int64", "Float32", "int64[pyarrow]"])
def test_when_target_is_a_nullable_pandas_column_then_missing_is_missing(dtype: str) -> None:
    assert_is_long(read(LONG.astype({"y": dtype})))


@pytest.mark.parametrize("dtype", [pl.Int16, pl.Float32, pl.Decimal(10, 2)])
def test_when_target_is_a_polars_number_then_null_is_missing(dtype: Any) -> None:
    frame = pl.from_pandas(LONG).with_columns(pl.col("y").fill_nan(None).cast(dtype))
    assert_is_long(read(frame))


def test_when_target_is_decimal_or_bool_then_read_as_numbers() -> None:
    decimals = [None if np.isnan(v) else Decimal(v) for v in VALUES]
    assert_is_long(read(LONG.assign(y=pd.Series(decimals, dtype=object))))
    flags = read(LONG.assign(y=LONG["y"] > 5))
    np.testing.assert_array_equal(flags.values, [[0, 0, 0, 1, 1, np.nan, 1]])
    polars = pl.from_pandas(LONG).with_columns(pl.col("y").fill_nan(None) > 5)
    np.testing.assert_array_equal(read(polars).values, [[0, np.nan, 0, 1, 1, np.nan, 1]])


def test_when_times_are_dates_text_or_periods_then_the_same_panel() -> None:
    text = LONG.assign(ds=LONG["ds"].dt.strftime("%Y-%m-%d"))
    assert_is_long(read(text))
    assert_is_long(read(pl.from_pandas(text)))
    assert_is_long(read(pl.from_pandas(LONG).with_columns(pl.col("ds").cast(pl.Date))))
    assert_is_long(read(LONG.assign(ds=LONG["ds"].dt.date)))
    assert_is_long(read(LONG.assign(ds=LONG["ds"].dt.to_period("D"))))


def test_when_columns_are_not_asked_for_then_they_may_hold_anything() -> None:
    assert_is_long(read(LONG.assign(note=[object()] * 6, size=np.inf)))


@pytest.mark.parametrize("backend", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
def test_when_covariates_are_named_then_numbers_and_categories_lie_on_their_steps(
    backend: Any,
) -> None:
    frame = LONG.assign(
        price=[4.0, 3.0, 1.0, 1.5, 2.0, np.nan],
        promo=[True, False, False, True, True, False],
        weather=["sun", "rain", None, "sun", "fog", "rain"],
    )
    panel = read(backend(frame), past_covariates=["price", "weather"], future_covariates=["promo"])
    past, future = panel.past_covariates, panel.future_covariates
    assert past is not None
    assert future is not None
    nan = np.nan
    assert (past.names, future.names) == (("price", "weather"), ("promo",))
    assert past.levels == {"weather": ("fog", "rain", "sun")}
    assert future.levels == {}
    expected = [[1.5, nan, 3, 1, 2, nan, 4], [2, 1, 1, nan, 0, nan, 2]]
    np.testing.assert_array_equal(past.values, expected)
    np.testing.assert_array_equal(future.values, [[1, 0, 0, 0, 1, nan, 1]])


@pytest.mark.parametrize(
    "frame",
    [LONG, LONG.set_index("ds"), LONG.pivot(columns="unique_id", index="ds", values="y")],
    ids=["long", "indexed", "wide"],
)
def test_when_frame_is_read_then_it_is_left_as_it_was(frame: pd.DataFrame) -> None:
    before = frame.copy(deep=True)
    read(frame)
    pd.testing.assert_frame_equal(frame, before)


TWO = LONG.assign(other=[7.0, np.nan, 5.0, 6.0, np.nan, 8.0])


@pytest.mark.parametrize("backend", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
def test_when_several_targets_are_named_then_each_is_a_variate_in_that_order(backend: Any) -> None:
    panel, layout = read_panel(backend(TWO), Schema(target_col=["other", "y"]))
    nan = np.nan
    expected = [[6, 8, nan, 5, nan, nan, 7], [1, nan, 3, 10, 20, nan, 40]]
    np.testing.assert_array_equal(panel.values, expected)
    assert (layout.variates, layout.target_col) == (("other", "y"), "y")
    assert_is_long(read(backend(TWO), target_col=["y"]))
    assert read_panel(TWO, Schema(target_col=["y"]))[1].variates == ("y",)
    assert read_panel(TWO, Schema())[1].variates == ()


def test_when_a_series_begins_with_one_target_alone_then_that_is_its_beginning() -> None:
    late = TWO.assign(y=TWO["y"].where(TWO["ds"] > "2024-01-02"))
    panel = read(late, target_col=["y", "other"])
    assert panel.lengths.tolist() == [3, 4]
    assert np.isnan(panel.values[0, :2]).all()


def test_when_several_targets_stand_beside_each_other_in_time_then_they_are_one_series() -> None:
    wide = pd.DataFrame(
        {"a": [1.0, 2, 3], "b": [4.0, 5, 6]}, index=pd.date_range("2024-01-01", periods=3)
    )
    assert read(wide).values.tolist() == [[1, 2, 3, 4, 5, 6]]
    panel = read(wide, target_col=["b", "a"])
    assert panel.values.tolist() == [[4, 5, 6], [1, 2, 3]]
    assert len(panel) == 1


def test_when_levels_are_known_then_categories_are_numbered_by_them_and_the_rest_are_numbers() -> (
    None
):
    frame = LONG.assign(
        sky=["sun", "fog", "sun", "rain", "fog", None], promo=[1, 0, 1, 0, 1, 0], code=1
    )
    known = {"sky": ("sun", "fog"), "code": (1, 2), "unused": (1,)}
    schema = Schema(past_covariates=["sky", "code"], future_covariates=["promo"], levels=known)
    panel = read_panel(frame, schema)[0]
    assert panel.past_covariates is not None
    assert panel.past_covariates.levels == {"sky": ("sun", "fog"), "code": (1, 2)}
    nan = np.nan
    expected = [[nan, nan, 1, 0, 1, nan, 0], [0, 0, 0, 0, 0, nan, 0]]
    np.testing.assert_array_equal(panel.past_covariates.values, expected)
    assert panel.future_covariates is not None
    assert panel.future_covariates.levels == {}
    with pytest.raises(ValueError, match="column 'promo' has 'yes' at series 'b', row 0"):
        read_panel(frame.assign(promo="yes"), schema)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"target_col": ["y", "y"]}, "column 'y' is named twice among ids, times, targets and"),
        ({"target_col": ["y", "other"], "past_covariates": ["other"]}, "column 'other' is named"),
        ({"future_covariates": ["y"]}, "column 'y' is named twice"),
        ({"past_covariates": ["ds"]}, "column 'ds' is named twice"),
        ({"future_covariates": ["unique_id"]}, "column 'unique_id' is named twice"),
        ({"past_covariates": ["other"], "future_covariates": ["other"]}, "column 'other' is named"),
        ({"target_col": []}, r"target_col=\[\] names no column"),
        ({"target_col": ["y", "z"]}, "target_col='z' is not a column; there are"),
    ],
)
def test_when_a_column_has_two_roles_or_none_then_it_is_named(
    schema: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(TWO, **schema)


@pytest.mark.parametrize(
    "data",
    [
        np.ones((2, 5)),
        pd.Series([1.0, 2.0], index=pd.date_range("2024-01-01", periods=2)),
        [{"start": pd.Period("2024-01", freq="M"), "target": [1.0], "item_id": "a"}],
    ],
    ids=["array", "series", "gluonts"],
)
def test_when_several_targets_are_named_then_data_without_columns_are_refused(data: Any) -> None:
    with pytest.raises(ValueError, match=r"target_col=\['a', 'b'\] are columns of a long frame"):
        read(data, target_col=["a", "b"])
