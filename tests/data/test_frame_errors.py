from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tsformer.data.frame import Schema, read_panel

LONG = pd.DataFrame(
    {
        "unique_id": ["a", "a", "a", "b", "b"],
        "ds": pd.to_datetime(
            ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-01", "2024-01-02"]
        ),
        "y": [1.0, 2.0, 3.0, 4.0, 5.0],
    }
)
BOTH = pytest.mark.parametrize("backend", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])


def read(data: Any, **schema: Any) -> None:
    read_panel(data, Schema(**schema))


def changed(column: str, row: int, value: Any) -> pd.DataFrame:
    frame = LONG.copy()
    if not isinstance(value, float):
        frame[column] = frame[column].astype(object)
    frame.loc[row, column] = value
    return frame


@BOTH
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.inf, "column 'y' has inf at series 'b', row 3; replace it by NaN"),
        (-np.inf, "column 'y' has -inf at series 'b', row 3; replace it by NaN"),
        (1e36, r"column 'y' has 1e\+36 at series 'b', row 3; rescale the column"),
    ],
)
def test_when_value_cannot_be_forecast_then_error_names_series_and_row(
    backend: Any, value: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(backend(changed("y", 3, value)))


@BOTH
def test_when_target_is_text_then_error_names_series_and_row(backend: Any) -> None:
    with pytest.raises(ValueError, match="column 'y' has '1.0' at series 'a', row 0, which is not"):
        read(backend(LONG.astype({"y": str})))


def test_when_one_value_is_text_then_error_names_its_row() -> None:
    with pytest.raises(ValueError, match="column 'y' has 'n/a' at series 'b', row 4, which is not"):
        read(changed("y", 4, "n/a"))


@BOTH
def test_when_time_is_missing_then_error_names_series_and_row(backend: Any) -> None:
    frame = LONG.assign(ds=LONG["ds"].where(LONG.index != 4))
    with pytest.raises(ValueError, match="column 'ds' has no time at series 'b', row 4; drop the"):
        read(backend(frame))


@BOTH
def test_when_text_is_no_time_then_error_names_series_and_row(backend: Any) -> None:
    frame = LONG.assign(ds=LONG["ds"].dt.strftime("%Y-%m-%d"))
    frame.loc[3, "ds"] = "yesterday"
    with pytest.raises(ValueError, match="column 'ds' has 'yesterday' at series 'b', row 3, which"):
        read(backend(frame))


@BOTH
def test_when_time_comes_twice_then_error_names_series_and_rows(backend: Any) -> None:
    frame = pd.concat([LONG, LONG.iloc[[3]]], ignore_index=True)
    message = "series 'b', row 5 has the same time, 2024-01-01T.*, as row 3; drop duplicates"
    with pytest.raises(ValueError, match=message):
        read(backend(frame))


def test_when_ids_were_forgotten_then_error_suggests_them() -> None:
    with pytest.raises(ValueError, match="has the same time.*name their column by id_col="):
        read(LONG.drop(columns="unique_id"))


@BOTH
def test_when_time_is_off_the_grid_then_error_names_series_and_row(backend: Any) -> None:
    frame = LONG.assign(ds=LONG["ds"].where(LONG.index != 4, pd.Timestamp("2024-01-02 07:00")))
    with pytest.raises(ValueError, match="series 'b', row 4: 2024-01-02T07.*of freq='D' after"):
        read(backend(frame))


@BOTH
def test_when_id_is_missing_then_error_names_row(backend: Any) -> None:
    with pytest.raises(ValueError, match="column 'unique_id' has no id in row 2; name the series"):
        read(backend(LONG.assign(unique_id=["a", "a", None, "b", "b"])))


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_when_id_is_missing_among_series_one_after_the_other_then_error_names_row(
    missing: Any,
) -> None:
    ids = pd.Series(["a"] * 4 + [missing] + ["b"] * 4, dtype=object)
    frame = pd.DataFrame({"unique_id": ids, "ds": range(9), "y": 1.0})
    with pytest.raises(ValueError, match="column 'unique_id' has no id in row 4"):
        read(frame)


@BOTH
@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"id_col": "shop"}, "id_col='shop' is not a column; there are .'unique_id', 'ds', 'y'."),
        ({"time_col": "day"}, "time_col='day' is not a column"),
        ({"target_col": "sales"}, "target_col='sales' is not a column"),
        ({"past_covariates": ["price"]}, "past_covariates='price' is not a column"),
        ({"future_covariates": ["promo"]}, "future_covariates='promo' is not a column"),
    ],
)
def test_when_named_column_is_not_there_then_error_lists_columns(
    backend: Any, schema: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(backend(LONG), **schema)


@pytest.mark.parametrize("schema", [{"id_col": "shop"}, {"target_col": "sales"}])
def test_when_column_is_named_then_frame_is_not_taken_for_a_wide_one(
    schema: dict[str, str],
) -> None:
    wide = pd.DataFrame({"x": [1.0, 2.0]}, index=pd.date_range("2024", periods=2))
    with pytest.raises(ValueError, match="is not a column"):
        read(wide, **schema)


@BOTH
@pytest.mark.parametrize(
    ("column", "usual", "parameter"),
    [("ds", "'ds' or 'timestamp'", "time_col="), ("y", "'y' or 'target'", "target_col=")],
)
def test_when_column_has_an_unusual_name_then_error_asks_for_it(
    backend: Any, column: str, usual: str, parameter: str
) -> None:
    frame = LONG.rename(columns={column: "x"})
    with pytest.raises(ValueError, match=f"no column {usual} among .*; name yours by {parameter}"):
        read(backend(frame))


def test_when_column_comes_twice_then_error_names_it() -> None:
    with pytest.raises(ValueError, match="column 'y' comes twice; give every column its own name"):
        read(pd.concat([LONG, LONG[["y"]]], axis=1))


@pytest.mark.parametrize("frame", [LONG.head(0), pl.from_pandas(LONG).head(0), pd.DataFrame()])
def test_when_frame_is_empty_then_error(frame: Any) -> None:
    with pytest.raises(ValueError, match="the frame is empty; it needs at least one row"):
        read(frame)


def test_when_frame_is_lazy_then_error_says_collect() -> None:
    with pytest.raises(TypeError, match=r"the frame is lazy; pass df.collect\(\)"):
        read(pl.from_pandas(LONG).lazy())


@pytest.mark.parametrize("data", [None, 3, "data.csv", b"1", Path("data.csv"), {"y": [1.0]}])
def test_when_data_are_of_another_type_then_error_lists_the_types(data: Any) -> None:
    message = f"data of type {type(data).__name__} cannot be read; pass a pandas or polars frame"
    with pytest.raises(TypeError, match=message):
        read(data)


def test_when_covariate_holds_infinity_then_error_names_it() -> None:
    frame = LONG.assign(price=[1.0, 2.0, np.inf, 1.0, 1.0])
    with pytest.raises(ValueError, match="column 'price' has inf at series 'a', row 2"):
        read(frame, past_covariates=["price"])
