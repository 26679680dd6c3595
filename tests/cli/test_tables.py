"""Tables in and out: ids as they stand there, digits that matter, files whole or not at all."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer.cli.command import UsageError
from tsformer.cli.tables import as_csv, check_output, read_table, write_table

DATES = pd.date_range("2024-01-01", periods=3)


@pytest.mark.parametrize("id_col", ["unique_id", "item_id", "shop"])
@pytest.mark.parametrize(
    ("texts", "ids"),
    [
        (["007", "8"], ["007", "8"]),
        (["7", "8"], [7, 8]),
        (["NA", "nan"], ["NA", "nan"]),
        (["1.0", "2"], ["1.0", "2"]),
        (["1e3", "+2"], ["1e3", "+2"]),
        (["-7", "0"], [-7, 0]),
        (["", "a"], [None, "a"]),
    ],
)
def test_ids_are_the_texts_that_stand_there_or_plain_whole_numbers(
    tmp_path: Path, id_col: str, texts: list[str], ids: list[Any]
) -> None:
    path = tmp_path / "a.csv"
    rows = "".join(f"{text},2024-01-0{n + 1},{n}\n" for n, text in enumerate(texts))
    path.write_text(f"{id_col},ds,y\n{rows}")
    assert read_table(str(path), id_col if id_col == "shop" else None)[id_col].tolist() == ids


def test_values_may_be_missing_where_ids_may_not(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("unique_id,ds,y\nNA,2024-01-01,NA\nNA,2024-01-02,\nNA,2024-01-03,3\n")
    frame = read_table(str(path))
    assert frame["unique_id"].tolist() == ["NA"] * 3
    np.testing.assert_array_equal(frame["y"], [np.nan, np.nan, 3])


def test_a_mark_of_byte_order_is_not_part_of_the_first_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = "ds,y\n2024-01-01,3\n".encode("utf-8-sig")
    (tmp_path / "a.csv").write_bytes(content)
    assert list(read_table(str(tmp_path / "a.csv"))) == ["ds", "y"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), "ascii"))
    assert list(read_table("-")) == ["ds", "y"]


def test_what_is_not_text_is_refused_and_parquet_named_as_not_for_pipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    pd.DataFrame({"y": np.random.default_rng(0).normal(size=99)}).to_parquet(tmp_path / "a.pq")
    content = (tmp_path / "a.pq").read_bytes()
    (tmp_path / "a.csv").write_bytes(content)
    stream = io.TextIOWrapper(io.BytesIO(content), "ascii", errors="surrogateescape")
    monkeypatch.setattr(sys, "stdin", stream)
    for name in ("-", str(tmp_path / "a.csv")):
        with pytest.raises(ValueError, match=r"is not text in UTF-8.*cannot come through a pipe"):
            read_table(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ds;y\n2024-01-01;3,5\n", "is separated by ';'; convert it to commas, and its numbers to"),
        ("id;ds;y\na;2024-01-01;3\n", "is separated by ';'; convert it to commas"),
        ("ds\ty\n2024-01-01\t3\n", "is separated by tabs; convert it to commas"),
        ("", "is empty; it needs a line with the names"),
        ("\n\n", "is empty; it needs a line with the names"),
    ],
)
def test_what_is_no_csv_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    (tmp_path / "a.csv").write_text(text)
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    for name, called in (("-", "the standard input"), (str(tmp_path / "a.csv"), "a.csv")):
        with pytest.raises(ValueError, match=f"{called} {message}"):
            read_table(name)


def test_a_name_may_hold_a_semicolon(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ds,y;z\n2024-01-01,3\n")
    assert list(read_table(str(tmp_path / "a.csv"))) == ["ds", "y;z"]


def long_of(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(frame[["unique_id", "ds", "y"]].itertuples(index=False, name=None))


def test_a_table_that_pandas_wrote_with_times_as_index_is_read_as_wide(tmp_path: Path) -> None:
    wide = pd.DataFrame({"b": [1, 2, 3], "a": [4.5, np.nan, 6]}, index=DATES)
    wide.to_csv(tmp_path / "a.csv")
    read = read_table(str(tmp_path / "a.csv"))
    expected = [("b", f"2024-01-0{n}", float(n)) for n in (1, 2, 3)]
    assert long_of(read.dropna()) == [*expected, ("a", "2024-01-01", 4.5), ("a", "2024-01-03", 6.0)]


@pytest.mark.parametrize(
    "text",
    [
        "date,a,b\n2024-01-01,3,1\n2024-01-02,4,1\n",  # a and b may be one series and a covariate
        "ds,a,b\n2024-01-01,3,1\n2024-01-02,4,1\n",
        ",a,b\n0,3,1\n1,4,1\n",  # the index of a long frame
        ",a,b\n2024-01-01,x,1\n2024-01-02,y,1\n",
        ",y,b\n2024-01-01,3,1\n2024-01-02,4,1\n",
        ",unique_id,b\n2024-01-01,3,1\n2024-01-02,4,1\n",
    ],
)
def test_what_may_be_something_else_is_read_as_wide_only_when_told(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert len(read_table(str(tmp_path / "a.csv"))) == 2
    told = read_table(str(tmp_path / "a.csv"), wide=True)
    assert list(told) == ["unique_id", "ds", "y"]
    assert len(told) == 4


def test_parquet_is_read_as_it_was_written_and_as_wide_when_told(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"unique_id": ["007"] * 3, "ds": DATES, "y": [1.0, 2, 3]})
    write_table(frame, str(tmp_path / "a.parquet"))
    pd.testing.assert_frame_equal(read_table(str(tmp_path / "a.parquet")), frame)
    wide = pd.DataFrame({"times": DATES, "a": [1.0, 2, 3]})
    wide.to_parquet(tmp_path / "w.parquet")
    assert list(read_table(str(tmp_path / "w.parquet"), wide=True)) == ["unique_id", "ds", "y"]
    wide.set_index("times").to_parquet(tmp_path / "i.parquet")
    read = read_table(str(tmp_path / "i.parquet"), wide=True)
    pd.testing.assert_frame_equal(read, wide.set_index("times"))


def test_without_pyarrow_parquet_is_an_error_with_the_install_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tsformer.cli.tables.find_spec", lambda name: None)
    for step in (
        lambda: read_table(str(tmp_path / "a.parquet")),
        lambda: write_table(pd.DataFrame({"y": [1]}), str(tmp_path / "a.parquet")),
    ):
        with pytest.raises(ImportError, match=r"pip install 'tsformer\[polars\]'"):
            step()
    assert list(tmp_path.iterdir()) == []


def test_forecasts_are_written_with_the_digits_of_float32_and_all_else_exactly() -> None:
    frame = pd.DataFrame(
        {
            "unique_id": ["a", "b", "c"],
            "ds": DATES,
            "y": [1234567.89, 0.1, np.nan],
            "mean": [np.float64(np.float32(431.2)), 432.0, np.nan],
            "0.025": [1 / 3, -2.5e-7, 1e30],
            "n": [1, 2, 3],
        }
    )
    assert as_csv(frame).splitlines() == [
        "unique_id,ds,y,mean,0.025,n",
        "a,2024-01-01,1234567.89,431.2,0.33333334,1",
        "b,2024-01-02,0.1,432,-2.5e-07,2",
        "c,2024-01-03,,,1e+30,3",
    ]


def test_numbers_come_back_as_they_were(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=500) * 10.0 ** generator.integers(-20, 20, size=500)
    single = values.astype(np.float32).astype(np.float64)
    frame = pd.DataFrame({"y": values, "x": single, "mean": single, "0.5": values})
    write_table(frame, str(tmp_path / "a.csv"))
    read = pd.read_csv(tmp_path / "a.csv", float_precision="round_trip")
    np.testing.assert_array_equal(read["y"], values)
    for name in ("x", "mean"):
        np.testing.assert_array_equal(read[name].astype(np.float32), single.astype(np.float32))
    np.testing.assert_array_equal(read["0.5"].astype(np.float32), values.astype(np.float32))


def test_times_that_are_an_index_become_a_column() -> None:
    frame = pd.DataFrame({"mean": [1.5, 2, 3]}, index=DATES)
    assert as_csv(frame).splitlines()[:2] == ["ds,mean", "2024-01-01,1.5"]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.pq", "-", None])
def test_kinds_of_files_that_can_be_written(name: str | None) -> None:
    check_output(name)


@pytest.mark.parametrize("name", ["a", "a.xlsx", "a.csv.gz", "csv"])
def test_other_kinds_are_refused_before_time_is_spent(name: str) -> None:
    with pytest.raises(UsageError, match="must end in .csv or .parquet, or be -"):
        check_output(name)
