"""Readers of the file formats in which public data sets come.

Each returns a long pandas frame: `unique_id`, `ds` (dates, or step numbers where there is no
calendar) and `y` (float64, NaN = missing).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tsformer.data.calendar import MICROSECONDS, parse_frequency

_TSF_STEP = {
    "yearly": "YS",
    "quarterly": "QS",
    "monthly": "MS",
    "weekly": "7D",
    "daily": "D",
    "hourly": "h",
    "half_hourly": "30min",
    "10_minutes": "10min",
    "minutely": "min",
    "4_seconds": "4s",
}


def read_long_csv(files: Sequence[Path]) -> pd.DataFrame:
    """Return a CSV whose columns are `unique_id, ds, y` already."""
    return pd.read_csv(files[0], parse_dates=["ds"], dtype={"unique_id": str, "y": float})


def read_wide_csv(
    files: Sequence[Path],
    *,
    time: str = "",
    dates: bool = True,
    times: bool = True,
    header: bool = True,
    start: str = "",
    freq: str = "",
) -> pd.DataFrame:
    """Return a CSV with one column per series; what is no number is missing.

    Args:
        files: one file.
        time: the column of times, `""` for the first.
        dates: False counts the rows instead of trusting their dates.
        times: False for a file without times: they begin at `start` and go on by `freq`; without
            these the rows are counted.
        header: False for a file whose first row holds values: the columns are numbered.
        start, freq: see `times`.
    """
    index = (time or 0) if times else None
    first = 0 if header else None
    table = pd.read_csv(files[0], index_col=index, header=first, encoding_errors="replace")
    table = table.apply(pd.to_numeric, errors="coerce").rename(columns=str)
    if times and dates:
        table.index = pd.to_datetime(table.index)
        return _melt(table.sort_index())
    counted = pd.RangeIndex(len(table))
    return _melt(
        table.set_axis(pd.date_range(start, periods=len(table), freq=freq) if freq else counted)
    )


def read_wide_parquet(files: Sequence[Path]) -> pd.DataFrame:
    """Return a Parquet file with one column per series and times as its index.

    Times become naive. Of a time that comes twice (the hour when summer time ends) the first row
    is kept.

    Raises:
        ImportError: without pyarrow.
    """
    try:
        table = pd.read_parquet(files[0])
    except ImportError as error:
        raise ImportError("reading Parquet needs pyarrow: pip install pyarrow") from error
    table.index = pd.DatetimeIndex(table.index).tz_localize(None)
    return _melt(table[~table.index.duplicated()].sort_index())


def read_m4(files: Sequence[Path]) -> pd.DataFrame:
    """Return an M4 training file joined with its test file: one row per series, no dates."""
    parts = [pd.read_csv(path, index_col=0, header=0) for path in files]
    values = [part.to_numpy(dtype=float) for part in parts]
    names = parts[0].index.to_numpy()
    rows = [np.concatenate([v[i][np.isfinite(v[i])] for v in values]) for i in range(len(names))]
    return _stack(names, rows)


def read_competition_json(files: Sequence[Path], period: str) -> pd.DataFrame:
    """Return one group of the M3 or tourism competition, training joined with test, no dates.

    Args:
        files: one JSON file: name -> `x` (training), `xx` (test), `period`.
        period: `"YEARLY"`, `"QUARTERLY"`, `"MONTHLY"` or `"OTHER"`.
    """
    content = json.loads(Path(files[0]).read_text(encoding="utf-8"))
    chosen = {name: entry for name, entry in content.items() if entry["period"][0] == period}
    rows = [np.array([*entry["x"], *entry["xx"]], dtype=float) for entry in chosen.values()]
    return _stack(np.array([*chosen], dtype=object), rows)


def read_tsf(files: Sequence[Path]) -> pd.DataFrame:
    """Return a file of the Monash archive (Godahewa et al. 2021), also inside a ZIP.

    The text may be UTF-8 or Windows-1252.

    Raises:
        ValueError: for a file without `@data`, or with a line that cannot be read.
    """
    lines = iter(_tsf_text(Path(files[0])).splitlines())
    attributes, frequency = _tsf_header(lines, files[0])
    names, starts, rows = [], [], []  # type: list[str], list[str], list[np.ndarray]
    for number, line in enumerate(line for line in lines if line.strip()):
        *fields, values = line.split(":")
        if len(fields) != len(attributes):
            raise ValueError(
                f"{Path(files[0]).name}: series {number + 1} has {len(fields)} attributes, "
                f"expected {len(attributes)}"
            )
        entry = dict(zip(attributes, fields, strict=True))
        names.append(entry.get("series_name", f"T{number + 1}"))
        starts.append(entry.get("start_timestamp", ""))
        rows.append(_tsf_values(values, f"{Path(files[0]).name}: series {names[-1]!r}"))
    frame = _stack(np.array(names, dtype=object), rows)
    step = _TSF_STEP.get(frequency)
    if step is None or not all(starts):
        return frame
    lengths = [len(row) for row in rows]
    frame["ds"] = _tsf_times(np.repeat(_tsf_starts(starts), lengths), frame["ds"].to_numpy(), step)
    return frame


def _tsf_text(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name = next((name for name in archive.namelist() if name.endswith(".tsf")), None)
            if name is None:
                raise ValueError(f"{path.name} holds no .tsf file, only {archive.namelist()[:5]}")
            content = archive.read(name)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("windows-1252")


def _tsf_header(lines: Iterator[str], path: Path) -> tuple[list[str], str]:
    """Return the names of the attributes and the frequency, having read up to `@data`."""
    attributes, frequency = [], ""
    for line in lines:
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "@attribute":
            attributes.append(words[1])
        elif words[0] == "@frequency":
            frequency = words[1]
        elif words[0] == "@data":
            return attributes, frequency
    raise ValueError(f"{Path(path).name} has no line @data; it is not a .tsf file")


def _tsf_values(text: str, where: str) -> np.ndarray:
    try:
        return np.array(text.strip().replace("?", "nan").split(","), dtype=float)
    except ValueError as error:
        raise ValueError(
            f"{where} has a value that is neither a number nor '?': {error}"
        ) from error


def _tsf_starts(starts: Sequence[str]) -> np.ndarray:
    """Return times of the form `1998-06-30 14-00-00`."""
    parts = [start.partition(" ") for start in starts]
    iso = [f"{day}T{clock.replace('-', ':') or '00'}" for day, _, clock in parts]
    return np.array(iso, dtype=MICROSECONDS)


def _tsf_times(starts: np.ndarray, positions: np.ndarray, step: str) -> np.ndarray:
    """Return a calendar that may reach beyond what nanoseconds hold (M4 yearly does)."""
    return parse_frequency(step).times(starts, positions)


def _melt(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with one column per series as a long one, series after series."""
    return pd.DataFrame(
        {
            "unique_id": np.repeat(table.columns.to_numpy().astype(object), len(table)),
            "ds": np.tile(table.index.to_numpy(), table.shape[1]),
            "y": table.to_numpy(dtype=float).T.reshape(-1),
        }
    )


def _stack(names: np.ndarray, rows: Sequence[np.ndarray]) -> pd.DataFrame:
    """Return series without dates as a long frame."""
    lengths = [len(row) for row in rows]
    return pd.DataFrame(
        {
            "unique_id": np.repeat(names.astype(object), lengths),
            "ds": np.concatenate([np.arange(length) for length in lengths]),
            "y": np.concatenate(rows),
        }
    )


READERS: dict[str, Callable[..., pd.DataFrame]] = {
    "long_csv": read_long_csv,
    "wide_csv": read_wide_csv,
    "wide_parquet": read_wide_parquet,
    "m4": read_m4,
    "competition_json": read_competition_json,
    "tsf": read_tsf,
}
