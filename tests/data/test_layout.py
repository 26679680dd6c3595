from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tsformer.data.frame import Schema, read_panel
from tsformer.data.layout import Layout
from tsformer.data.panel import Panel

LONG = pd.DataFrame(
    {
        "unique_id": ["b", "a", "b", "a"],
        "ds": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-02", "2024-01-02"]),
        "y": [1.0, 2.0, 3.0, 4.0],
    }
)
NEXT = pd.to_datetime(["2024-01-03", "2024-01-04"] * 2)


def reread(layout: Layout) -> Layout:
    """Return the layout after a detour through JSON text."""
    return Layout.from_json(json.loads(json.dumps(layout.to_json())), layout.order)


def answer(panel: Panel, layout: Layout) -> Any:
    """Return two steps of each series, as forecasts are written: their values are 0, 1, …."""
    ids = np.repeat(panel.ids[layout.order], 2)
    times = panel.future_times(2)[layout.order].reshape(-1)
    cutoffs = np.repeat(panel.freq.times(panel.starts, panel.lengths - 1)[layout.order], 2)
    values = np.arange(len(ids), dtype=float)
    return layout.write(ids, times, {"cutoff": cutoffs, "mean": values, "0.5": values})


def write(data: Any, **schema: Any) -> Any:
    """Return an answer to `data`, having checked that JSON keeps what it depends on."""
    panel, layout = read_panel(data, Schema(**schema))
    written, again = answer(panel, layout), answer(panel, reread(layout))
    assert type(again) is type(written)
    if isinstance(written, pd.DataFrame):
        pd.testing.assert_frame_equal(written, again)
    else:
        assert written.equals(again)
        assert written.schema == again.schema
    return written


@pytest.mark.parametrize(
    "names",
    [["unique_id", "ds", "y"], ["item_id", "timestamp", "target"], ["shop", "day", "sales"]],
)
@pytest.mark.parametrize("backend", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
def test_when_frame_is_long_then_answer_has_its_kind_names_and_order(
    backend: Any, names: list[str]
) -> None:
    id_col, time_col, target_col = names
    frame = backend(LONG.set_axis(names, axis=1))
    written = write(frame, id_col=id_col, time_col=time_col, target_col=target_col)
    assert type(written) is type(frame)
    assert list(written.columns) == [id_col, time_col, "cutoff", "mean", "0.5"]
    assert list(written[id_col]) == ["b", "b", "a", "a"]
    assert list(written[time_col]) == list(NEXT)
    assert list(written["cutoff"]) == [pd.Timestamp("2024-01-02")] * 4
    assert list(written["mean"]) == [0.0, 1.0, 2.0, 3.0]
    assert written[time_col].dtype == frame[time_col].dtype == written["cutoff"].dtype


@pytest.mark.parametrize(
    "dtype",
    ["object", "string", "string[pyarrow]", pd.ArrowDtype(pl.Series(["a"]).to_arrow().type)],
    ids=str,
)
def test_when_pandas_ids_are_text_then_answer_has_their_dtype(dtype: Any) -> None:
    frame = LONG.astype({"unique_id": dtype})
    panel, layout = read_panel(frame, Schema())
    written = answer(panel, layout)
    assert written["unique_id"].dtype == frame["unique_id"].dtype
    assert written["unique_id"].tolist() == ["b", "b", "a", "a"]


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint32", "Int64", "UInt8", "int16[pyarrow]"])
def test_when_pandas_ids_are_integers_then_answer_has_their_dtype(dtype: str) -> None:
    frame = LONG.assign(unique_id=pd.Series([2, 1, 2, 1], dtype=dtype))
    written = write(frame)
    assert written["unique_id"].dtype == frame["unique_id"].dtype
    assert written["unique_id"].tolist() == [2, 2, 1, 1]


@pytest.mark.parametrize("values", [["b", "a", "b", "a"], [2, 1, 2, 1]])
def test_when_pandas_ids_are_categories_then_so_are_those_of_the_answer(values: list[Any]) -> None:
    written = write(LONG.assign(unique_id=pd.Categorical(values)))
    assert isinstance(written["unique_id"].dtype, pd.CategoricalDtype)
    assert written["unique_id"].tolist() == [values[0]] * 2 + [values[1]] * 2


@pytest.mark.parametrize(
    "ids",
    [
        pl.Series(["b", "a", "b", "a"], dtype=pl.Categorical),
        pl.Series(["b", "a", "b", "a"], dtype=pl.Enum(["a", "b", "c"])),
        pl.Series([2, 1, 2, 1], dtype=pl.UInt16),
        pl.Series([2, 1, 2, 1], dtype=pl.Int64),
        pl.Series([2.5, 1.5, 2.5, 1.5]),
        pl.Series([True, False, True, False]),
    ],
    ids=lambda series: str(series.dtype),
)
def test_when_polars_ids_have_a_type_then_answer_has_it(ids: pl.Series) -> None:
    frame = pl.from_pandas(LONG).with_columns(unique_id=ids)
    written = write(frame)
    assert written["unique_id"].dtype == ids.dtype
    assert written["unique_id"].to_list() == [ids[0], ids[0], ids[1], ids[1]]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_when_pandas_times_have_a_unit_then_answer_has_it(unit: str) -> None:
    written = write(LONG.astype({"ds": f"datetime64[{unit}]"}))
    assert written["ds"].dtype == written["cutoff"].dtype == np.dtype(f"datetime64[{unit}]")
    assert written["ds"].tolist() == NEXT.tolist()


@pytest.mark.parametrize("dtype", ["timestamp[ns][pyarrow]", "date32[pyarrow]"])
def test_when_pandas_times_are_of_arrow_then_those_of_the_answer_too(dtype: str) -> None:
    written = write(LONG.astype({"ds": "datetime64[ms]"}).astype({"ds": dtype}))
    assert written["ds"].dtype == dtype
    assert pd.to_datetime(written["ds"].astype(str)).tolist() == NEXT.tolist()


@pytest.mark.parametrize(
    "dtype", [pl.Date, pl.Datetime("ms"), pl.Datetime("us"), pl.Datetime("ns")]
)
def test_when_polars_times_have_a_type_then_answer_has_it(dtype: Any) -> None:
    written = write(pl.from_pandas(LONG).with_columns(pl.col("ds").cast(dtype)))
    assert written["ds"].dtype == written["cutoff"].dtype == dtype
    assert written["ds"].cast(pl.Datetime("us")).to_list() == NEXT.to_pydatetime().tolist()


@pytest.mark.parametrize("backend", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_when_times_are_whole_numbers_then_answer_has_their_type(backend: Any, dtype: str) -> None:
    frame = backend(LONG.assign(ds=np.array([1, 1, 2, 2], dtype=dtype)))
    written = write(frame)
    assert written["ds"].dtype == frame["ds"].dtype
    assert list(written["ds"]) == [3, 4, 3, 4]
    assert list(written["cutoff"]) == [2] * 4


@pytest.mark.parametrize("backend", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
def test_when_times_were_text_then_answer_has_times(backend: Any) -> None:
    written = write(backend(LONG.assign(ds=LONG["ds"].dt.strftime("%Y-%m-%d"))))
    assert list(written["ds"]) == list(NEXT)


def test_when_frame_has_no_ids_then_neither_has_the_answer() -> None:
    written = write(LONG.iloc[::2].drop(columns="unique_id"))
    assert list(written.columns) == ["ds", "cutoff", "mean", "0.5"]


def test_when_frame_is_wide_then_answer_is_long_and_ordered_as_its_columns() -> None:
    index = pd.date_range("2024-01-31", periods=3, freq="ME", name="month")
    written = write(pd.DataFrame({"b": [1.0, 2, 3], "a": [1.0, 2, 3]}, index=index))
    assert list(written.columns)[:2] == ["unique_id", "month"]
    assert written["unique_id"].tolist() == ["b", "b", "a", "a"]
    assert written["month"].tolist() == list(pd.to_datetime(["2024-04-30", "2024-05-31"] * 2))
    assert written["month"].dtype == index.dtype


def test_when_data_are_a_series_then_times_are_the_index_of_the_answer() -> None:
    written = write(pd.Series([1.0, 2.0], index=pd.date_range("2024-01-01", periods=2), name="x"))
    assert list(written.columns) == ["cutoff", "mean", "0.5"]
    assert isinstance(written.index, pd.DatetimeIndex)
    assert list(written.index) == list(NEXT[:2])
    written = write(pd.Series([1.0, 2.0], index=[5, 7]))
    assert written.index.tolist() == [9, 11]


@pytest.mark.parametrize(
    ("array", "columns"),
    [(np.arange(3.0), ["ds"]), (np.arange(6.0).reshape(2, 3), ["unique_id", "ds"])],
)
def test_when_data_are_an_array_then_answer_is_a_pandas_frame(
    array: np.ndarray, columns: list[str]
) -> None:
    written = write(array)
    assert list(written.columns) == [*columns, "cutoff", "mean", "0.5"]
    assert written["ds"].tolist() == [3, 4] * array[..., 0].size
    if "unique_id" in columns:
        assert written["unique_id"].tolist() == [0, 0, 1, 1]


def test_when_data_are_of_gluonts_then_answer_has_its_names() -> None:
    written = write([{"start": pd.Period("2024-01", freq="M"), "target": [1.0], "item_id": "a"}])
    assert list(written.columns)[:2] == ["item_id", "timestamp"]
    assert written["timestamp"].tolist() == list(pd.to_datetime(["2024-02-01", "2024-03-01"]))


def test_when_ids_mix_types_then_answer_keeps_each() -> None:
    written = write(LONG.assign(unique_id=["b", 1, "b", 1]))
    assert written["unique_id"].tolist() == ["b", "b", 1, 1]


@pytest.mark.parametrize("backend", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
@pytest.mark.parametrize("ids", [["b", "a"], [2, 1]])
def test_when_answer_is_joined_to_its_frame_then_columns_fit(backend: Any, ids: list[Any]) -> None:
    frame = backend(LONG.assign(unique_id=ids * 2))
    written = write(frame)
    if isinstance(frame, pd.DataFrame):
        both = frame.merge(written, on=["unique_id", "ds"], how="outer")
    else:
        both = frame.join(written, on=["unique_id", "ds"], how="full", coalesce=True)
    assert len(both) == 8
    assert list(both.columns)[:3] == ["unique_id", "ds", "y"]


@pytest.mark.parametrize(
    ("id_col", "named", "expected"),
    [("unique_id", None, "y"), ("item_id", None, "target"), ("shop", "shop", "y")],
)
def test_when_there_are_several_targets_then_their_values_have_one_name_beside_the_ids(
    id_col: str, named: str | None, expected: str
) -> None:
    frame = LONG.rename(columns={"unique_id": id_col}).assign(z=0.0)
    layout = read_panel(frame, Schema(id_col=named, target_col=["z", "y"]))[1]
    for known in (layout, reread(layout)):
        assert (known.target_col, known.variates) == (expected, ("z", "y"))
    one = read_panel(LONG, Schema())[1]
    assert reread(one).variates == one.variates == ()


def test_when_there_is_one_series_then_several_targets_are_called_y() -> None:
    frame = LONG.iloc[::2].drop(columns="unique_id").assign(z=0.0)
    layout = read_panel(frame, Schema(target_col=["z", "y"]))[1]
    assert (layout.id_col, layout.target_col) == (None, "y")


@pytest.mark.parametrize("last", ["2024-01-04", "1678-01-02", "2261-12-31", "2262-04-08"])
def test_answers_in_nanoseconds_are_exact_at_both_ends_of_what_they_count(last: str) -> None:
    times = pd.date_range(end=last, periods=4, freq="D")
    written = write(pd.DataFrame({"ds": times, "y": range(4)}))
    assert written["ds"].dtype == "datetime64[ns]"
    assert written["ds"].tolist() == [times[-1] + pd.Timedelta(days=step) for step in (1, 2)]
    assert (written["cutoff"] == times[-1]).all()


def test_times_that_nanoseconds_cannot_count_are_refused() -> None:
    times = pd.date_range(end="2262-04-10", periods=4, freq="D")
    panel, layout = read_panel(pd.DataFrame({"ds": times, "y": range(4)}), Schema())
    with pytest.raises(pd.errors.OutOfBoundsDatetime):
        answer(panel, layout)
