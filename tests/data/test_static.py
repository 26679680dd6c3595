"""Static covariates: found by id, whatever else their frame holds."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tsformer.data.frame import Schema, read_panel
from tsformer.data.panel import Covariates
from tsformer.data.static import read_static

NAMES = ("size", "region")
SCHEMA = Schema(static_covariates=NAMES)
STATIC = pd.DataFrame(
    {"unique_id": ["c", "a", "b"], "size": [30.0, 10.0, 20.0], "region": ["north", "south", None]}
)


def long_frame(ids: Any = ("b", "a", "c")) -> pd.DataFrame:
    days = pd.date_range("2024-01-01", periods=3)
    return pd.DataFrame(
        {"unique_id": np.repeat(list(ids), 3), "ds": [*days] * len(ids), "y": 1.0},
    )


def read(static_df: Any, df: Any = None, schema: Schema = SCHEMA) -> Covariates:
    panel, layout = read_panel(long_frame() if df is None else df, schema)
    found = read_static(static_df, panel, layout, schema)
    assert panel.static_covariates is None
    assert found.static_covariates is not None
    return found.static_covariates


def assert_is_static(found: Covariates) -> None:
    """Check what `STATIC` says of the series a, b and c."""
    assert found.names == NAMES
    assert found.levels == {"region": ("north", "south")}
    np.testing.assert_array_equal(found.values, [[10, 20, 30], [1, np.nan, 0]])


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f,
        lambda f: f.iloc[::-1],
        lambda f: f.set_index(pd.Index([5, 5, 1])),
        lambda f: f[["region", "unique_id", "size"]],
        lambda f: pd.concat([f, f.assign(unique_id=["z", None, "y"])]).query(
            "region.notna() or unique_id == 'b'"
        ),
        lambda f: f.assign(other=object()),
        lambda f: f.astype({"unique_id": "category", "region": "category", "size": "int8"}),
        lambda f: f.convert_dtypes(),
        pl.from_pandas,
        lambda f: pl.from_pandas(f).cast({"unique_id": pl.Categorical, "region": pl.Categorical}),
    ],
    ids=range(10),
)
def test_order_types_and_extra_rows_and_columns_do_not_matter(change: Any) -> None:
    assert_is_static(read(change(STATIC)))
    assert_is_static(read(change(STATIC), pl.from_pandas(long_frame())))


@pytest.mark.parametrize("ids", [[3, 1, 2], [2.5, -1.5, 0.5], [(1, "x"), (0, "x"), (0, "y")]])
def test_ids_may_be_of_any_type(ids: list[Any]) -> None:
    table = STATIC.assign(unique_id=ids)
    df = long_frame(range(3))
    df["unique_id"] = [ids[number] for number in df["unique_id"]]
    found = read(table, df)
    order = sorted(range(3), key=lambda number: ids[number])
    np.testing.assert_array_equal(found.values[0], STATIC["size"].to_numpy()[order])
    as_category = df.astype({"unique_id": "category"})
    np.testing.assert_array_equal(read(table, as_category).values, found.values)


def test_missing_numbers_and_yes_or_no_are_numbers() -> None:
    for values in ([None, True, False], [np.nan, 1.0, 0.0]):
        for make in (pd.DataFrame, pl.DataFrame):
            table = make({"unique_id": ["a", "b", "c"], "size": values, "region": values})
            if isinstance(table, pd.DataFrame):
                table = table.convert_dtypes()
            found = read(table)
            assert found.levels == {}
            np.testing.assert_array_equal(found.values, [[np.nan, 1, 0]] * 2)


def test_levels_are_numbered_as_they_were_and_unknown_ones_are_missing() -> None:
    known = replace(SCHEMA, levels={"region": ("east", "north", "south"), "unused": ("x",)})
    found = read(STATIC, schema=known)
    assert found.levels == {"region": ("east", "north", "south")}
    np.testing.assert_array_equal(found.values[1], [2, np.nan, 1])
    other = replace(SCHEMA, levels={"region": ("south",)})
    np.testing.assert_array_equal(read(STATIC, schema=other).values[1], [0, np.nan, np.nan])


def test_one_series_without_an_id_takes_the_only_row() -> None:
    df = long_frame(["a"]).drop(columns="unique_id")
    found = read(STATIC.iloc[[0]].drop(columns="unique_id"), df)
    np.testing.assert_array_equal(found.values, [[30], [0]])
    with pytest.raises(ValueError, match="static_df has 3 rows, but the data are one series"):
        read(STATIC, df)


def test_columns_may_have_other_names() -> None:
    df = long_frame().rename(columns={"unique_id": "shop"})
    schema = replace(SCHEMA, id_col="shop")
    assert_is_static(read(STATIC.rename(columns={"unique_id": "shop"}), df, schema))


def test_wide_frames_and_arrays_have_static_covariates_too() -> None:
    wide = long_frame().pivot(columns="unique_id", index="ds", values="y")
    assert_is_static(read(STATIC, wide))
    assert_is_static(read(STATIC.assign(unique_id=[2, 0, 1]), np.ones((3, 4))))


@pytest.mark.parametrize(
    ("static_df", "message"),
    [
        (
            None,
            "static_df is needed: it brings static_covariates=['size', 'region']; pass a frame "
            "with the columns ['unique_id', 'size', 'region'] and one row per series",
        ),
        (
            STATIC.drop(columns=["unique_id", "size"]),
            "static_df lacks the columns ['unique_id', 'size']; it has ['region']",
        ),
        (STATIC.iloc[:2], "static_df has no row of series 'b'; it needs one per series"),
        (pd.concat([STATIC, STATIC.iloc[[1]]]), "static_df has two rows of series 'a'; keep one"),
        (STATIC.assign(size=[1.0, np.inf, 2.0]), "column 'size' has inf at row 1 of static_df"),
    ],
)
def test_when_something_is_missing_then_the_error_names_columns_and_series(
    static_df: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read(static_df)


def test_when_a_number_becomes_text_then_the_error_names_the_row() -> None:
    known = replace(SCHEMA, levels={"region": ("north", "south")})
    with pytest.raises(ValueError, match="column 'size' has 'small' at row 0 of static_df"):
        read(STATIC.assign(size=["small", "tall", "tall"]), schema=known)
