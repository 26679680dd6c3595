"""Readers of public formats, on small files written by hand and on the real ones."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tsformer.data.datasets import list_datasets, load_dataset
from tsformer.data.readers import (
    READERS,
    read_competition_json,
    read_long_csv,
    read_m4,
    read_tsf,
    read_wide_csv,
    read_wide_parquet,
)

TSF = """# 574\N{EN DASH}589
@relation tiny
@attribute series_name string
@attribute start_timestamp date
@frequency {frequency}
@missing true
@equallength false
@data
T1:2020-01-30 00-00-00:1,?,3.5
T2:1999-12-31 23-30-00:4
"""


def write(path: Path, content: str | bytes) -> list[Path]:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return [path]


def at_hand(*names: str) -> bool:
    return bool(list_datasets().set_index("name").loc[[*names], "available"].all())


def series(frame: pd.DataFrame) -> dict[str, list[float | None]]:
    """Return each series' values, in order of appearance; None = missing."""
    assert [*frame.columns] == ["unique_id", "ds", "y"]
    assert frame["y"].dtype == float
    groups = frame.groupby("unique_id", sort=False)["y"]
    return {name: [None if np.isnan(v) else v for v in values] for name, values in groups}


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_long_csv_keeps_ids_as_text_and_empty_cells_as_missing(tmp_path: Path, name: str) -> None:
    files = write(
        tmp_path / name, "unique_id,ds,y\n01,2020-01-01,1\n01,2020-01-02,\n2,2020-01-01,3\n"
    )
    frame = read_long_csv(files)
    assert series(frame) == {"01": [1, None], "2": [3]}
    assert frame["ds"].dtype.kind == "M"


def test_wide_csv_has_a_series_per_column_sorted_by_time(tmp_path: Path) -> None:
    files = write(tmp_path / "a.csv.gz", "date,x,y\n02/2/2020,3,\n02/1/2020,1,2\n")
    frame = read_wide_csv(files)
    assert series(frame) == {"x": [1, 3], "y": [2, None]}
    assert frame["ds"].tolist() == [pd.Timestamp("2020-02-01"), pd.Timestamp("2020-02-02")] * 2


def test_wide_csv_takes_times_from_the_column_named(tmp_path: Path) -> None:
    files = write(tmp_path / "a.csv", "y,date\n1,2020-01-01\n2,2020-04-01\n")
    frame = read_wide_csv(files, time="date")
    assert series(frame) == {"y": [1, 2]}
    assert frame["ds"].iloc[1] == pd.Timestamp("2020-04-01")


def test_wide_csv_counts_rows_whose_dates_are_not_trusted(tmp_path: Path) -> None:
    files = write(tmp_path / "a.csv", b"date,T (\xb0C)\nnonsense,1\nnonsense,n/a\n")
    frame = read_wide_csv(files, dates=False)
    assert frame["ds"].tolist() == [0, 1]
    assert [*series(frame).values()] == [[1, None]]


def test_wide_csv_without_times_is_counted_or_dated(tmp_path: Path) -> None:
    files = write(tmp_path / "a.csv", "x,y\n1,2\n3,4\n")
    counted = read_wide_csv(files, times=False)
    assert series(counted) == {"x": [1, 3], "y": [2, 4]}
    assert counted["ds"].tolist() == [0, 1, 0, 1]
    dated = read_wide_csv(files, times=False, start="2020-01-03", freq="B")
    assert dated["ds"].iloc[1] == pd.Timestamp("2020-01-06")


def test_wide_csv_without_header_numbers_its_columns(tmp_path: Path) -> None:
    files = write(tmp_path / "a.txt.gz", "1,2\n3,4\n")
    frame = read_wide_csv(files, times=False, header=False)
    assert series(frame) == {"0": [1, 3], "1": [2, 4]}


def test_parquet_is_sorted_naive_and_keeps_the_first_of_repeated_times(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    times = pd.to_datetime(["2020-01-02", "2020-01-01", "2020-01-01"], utc=True)
    pd.DataFrame({"x": [3.0, np.nan, 7.0]}, index=times).to_parquet(tmp_path / "a.parquet")
    frame = read_wide_parquet([tmp_path / "a.parquet"])
    assert series(frame) == {"x": [None, 3]}
    assert frame["ds"].iloc[0] == pd.Timestamp("2020-01-01")


def test_parquet_without_pyarrow_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(path: Path) -> None:
        raise ImportError("no engine")

    monkeypatch.setattr(pd, "read_parquet", fail)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        read_wide_parquet([tmp_path / "a.parquet"])


def test_m4_joins_training_with_test(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", "V1,V2,V3,V4\nH1,1,2,3\nH2,4,,\n")
    test = write(tmp_path / "test.csv.gz", "V1,V2,V3\nH1,5,6\nH2,7,8\n")
    frame = read_m4([*train, *test])
    assert series(frame) == {"H1": [1, 2, 3, 5, 6], "H2": [4, 7, 8]}
    assert frame["ds"].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]


def test_competition_json_holds_one_group_joined(tmp_path: Path) -> None:
    content = {
        "Y1": {"period": ["YEARLY"], "x": [1, 2], "xx": [3]},
        "M1": {"period": ["MONTHLY"], "x": [9], "xx": [9]},
    }
    files = write(tmp_path / "a.json", json.dumps(content))
    assert series(read_competition_json(files, "YEARLY")) == {"Y1": [1, 2, 3]}


@pytest.mark.parametrize("encoding", ["utf-8", "windows-1252"])
@pytest.mark.parametrize("zipped", [False, True])
def test_tsf_of_either_encoding_is_read_from_a_zip_too(
    tmp_path: Path, encoding: str, zipped: bool
) -> None:
    content = TSF.format(frequency="daily").encode(encoding)
    path = tmp_path / ("a.zip" if zipped else "a.tsf")
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("about.txt", "first, but no series")
            archive.writestr("a.tsf", content)
    else:
        path.write_bytes(content)
    frame = read_tsf([path])
    assert series(frame) == {"T1": [1, None, 3.5], "T2": [4]}
    assert frame["ds"].dt.strftime("%m-%d %H:%M").tolist() == [
        "01-30 00:00", "01-31 00:00", "02-01 00:00", "12-31 23:30",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("frequency", "second"),
    [
        ("yearly", "2021-01-30 00:00"),
        ("quarterly", "2020-04-30 00:00"),
        ("monthly", "2020-02-29 00:00"),
        ("weekly", "2020-02-06 00:00"),
        ("hourly", "2020-01-30 01:00"),
        ("half_hourly", "2020-01-30 00:30"),
        ("10_minutes", "2020-01-30 00:10"),
        ("4_seconds", "2020-01-30 00:00"),
    ],
)
def test_tsf_calendar_follows_the_frequency(tmp_path: Path, frequency: str, second: str) -> None:
    frame = read_tsf(write(tmp_path / "a.tsf", TSF.format(frequency=frequency)))
    assert frame["ds"].dt.strftime("%Y-%m-%d %H:%M").iloc[1] == second
    assert frame["ds"].is_unique


def test_tsf_calendar_reaches_beyond_nanoseconds(tmp_path: Path) -> None:
    values = ",".join(map(str, range(800)))
    text = TSF.format(frequency="yearly").split("T1")[0] + f"T1:1791-01-01 12-00-00:{values}\n"
    frame = read_tsf(write(tmp_path / "a.tsf", text))
    assert str(frame["ds"].to_numpy()[-1]).startswith("2590-01-01T12")


def test_tsf_without_frequency_or_start_is_counted(tmp_path: Path) -> None:
    text = "@attribute series_name string\n@data\nT1:1,2\nT2:3\n"
    frame = read_tsf(write(tmp_path / "a.tsf", text))
    assert frame["ds"].tolist() == [0, 1, 0]
    assert series(read_tsf(write(tmp_path / "b.tsf", "@data\n1\n2\n"))) == {"T1": [1], "T2": [2]}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("@data", "no line @data"),
        ("T1:2020-01-30 00-00-00:1,?,3.5", r"series 1 has 0 attributes, expected 2"),
        ("1,?,3.5", r"'T1' has a value that is neither a number"),
    ],
)
def test_tsf_that_cannot_be_read_says_where(tmp_path: Path, line: str, message: str) -> None:
    broken = {"@data": "", "1,?,3.5": "1,x"}.get(line, "1,2")
    files = write(tmp_path / "a.tsf", TSF.format(frequency="daily").replace(line, broken))
    with pytest.raises(ValueError, match=rf"a\.tsf.*{message}"):
        read_tsf(files)


def test_zip_without_tsf_says_what_it_holds(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("b.csv", "")
    with pytest.raises(ValueError, match=r"a\.zip holds no \.tsf file.*b\.csv"):
        read_tsf([tmp_path / "a.zip"])


def test_every_reader_is_registered() -> None:
    assert len(READERS) == len(set(READERS.values())) == 6


def test_two_carriers_of_tourism_monthly_agree(shared_data: Path) -> None:
    path = shared_data / "tourism_monthly_dataset.tsf"
    if not path.is_file() or not at_hand("tourism_monthly"):
        pytest.skip(f"not all files are in {shared_data}")
    from_tsf, from_json = read_tsf([path]), load_dataset("tourism_monthly", download=False)
    lengths = [f.groupby("unique_id", sort=False).size().to_numpy() for f in (from_tsf, from_json)]
    np.testing.assert_array_equal(*lengths)
    np.testing.assert_allclose(from_tsf["y"], from_json["y"])


def test_two_carriers_of_exchange_rate_agree(shared_data: Path) -> None:
    names = ("exchange_rate", "exchange_rate_ltsf")
    if not at_hand(*names):
        pytest.skip(f"not all files are in {shared_data}")
    wide = [load_dataset(name, download=False)["y"].to_numpy().reshape(8, -1) for name in names]
    np.testing.assert_allclose(wide[0][[*range(6), 7, 6]], wide[1])


def test_embedded_births_are_those_of_the_origin(shared_data: Path) -> None:
    path = shared_data / "us_births.csv"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {shared_data}")
    origin = pd.read_csv(path, parse_dates=["date"])
    frame = load_dataset("us_births")
    assert frame["ds"].tolist() == origin["date"].tolist()
    np.testing.assert_array_equal(frame["y"], origin["births"])
