"""`tsformer datasets`: the registry as the screen shows it, and series as files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tsformer import dataset_info, list_datasets, load_dataset


def test_the_list_has_a_line_for_each_with_what_one_chooses_by(call: Any) -> None:
    code, out, err = call("datasets")
    assert (code, err) == (0, "")
    head, *lines = out.splitlines()
    assert head.split() == ["name", "freq", "n_series", "at", "hand", "title", "licence"]
    known = list_datasets()
    assert [line.split()[0] for line in lines] == known["name"].tolist()
    for line, row in zip(lines, known.itertuples(), strict=True):
        assert str(row.title) in line
        assert line.endswith(str(row.licence))
        assert line[head.index("at hand") :].startswith("yes" if row.available else "no")


def test_one_is_described(call: Any) -> None:
    code, out, err = call("datasets", "us_births")
    assert (code, err) == (0, "")
    info = dataset_info("us_births")
    for shown in (info.title, info.source, info.licence, info.description, "at hand:   yes"):
        assert shown in out


def test_one_is_written_exactly(call: Any, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    expected = load_dataset("us_macro")
    for name in ("a.csv", "a.parquet"):
        words = ["datasets", "us_macro", "--output", tmp_path / name]
        assert call(*words) == (0, "", "")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), expected)
    read = pd.read_csv(tmp_path / "a.csv", parse_dates=["ds"], float_precision="round_trip")
    pd.testing.assert_frame_equal(read, expected, check_dtype=False, check_exact=True)
    assert call("datasets", "us_macro", "--output", "-").out == (tmp_path / "a.csv").read_text()


def test_the_list_can_be_written_too(call: Any) -> None:
    out = call("datasets", "--output", "-").out
    assert pd.read_csv(io.StringIO(out))["name"].tolist() == list_datasets()["name"].tolist()


def test_an_unknown_name_gets_those_that_are_close(call: Any) -> None:
    code, _, err = call("datasets", "us_birth")
    assert code == 1
    assert "there is no data set 'us_birth'; did you mean 'us_births'" in err
    _, _, err = call("datasets", "air")
    assert "did you mean 'air_passengers'? `tsformer datasets` lists them\n" in err
    _, _, err = call("datasets", "x", "--output", "-")
    assert err == "tsformer: there is no data set 'x'; `tsformer datasets` lists them\n"
