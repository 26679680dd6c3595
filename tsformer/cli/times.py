"""Times as files have them: dates without hyphens, and offsets that change with the clocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsformer.cli.command import say

if TYPE_CHECKING:
    import pandas as pd

_USUAL = ("ds", "timestamp")
_OFFSET = r"(?:[+-]\d\d:?\d\d|Z)$"


def with_dates(
    frame: pd.DataFrame, time_col: str | None = None, like: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return a table whose columns of times hold what forecasters read as such.

    Dates that are written as whole numbers (20240131, 202401) become dates. Texts with several
    offsets, as a time zone with summer time has them, become times in UTC; or, where all have one
    time of day by their own clocks, what these show.

    Args:
        frame: as it was read.
        time_col: the column of times, where it has no usual name.
        like: another table of the same series, as it came back from here, whose times lead.
    """
    name = _time_column(frame, time_col)
    if name is None:
        return frame
    leading = None if like is None else _time_column(like, time_col)
    known = None if like is None or leading is None else like[leading]
    for column in (name, "cutoff"):
        if column in frame.columns:
            frame = frame.assign(**{column: _with_dates(frame[column], known)})
    return frame


def _time_column(frame: pd.DataFrame, time_col: str | None) -> str | None:
    names = _USUAL if time_col is None else (time_col,)
    return next((name for name in names if name in frame.columns), None)


def _with_dates(column: pd.Series, like: pd.Series | None) -> pd.Series:
    if column.dtype.kind in "iu":
        return _from_numbers(column, like)
    texts = column.dtype.kind == "O" and len(column) > 0 and isinstance(column.iloc[0], str)
    return _from_offsets(column, like) if texts else column


def _from_numbers(column: pd.Series, like: pd.Series | None) -> pd.Series:
    """Return dates where all numbers are dates, several of them, or as many as the others' are."""
    import pandas as pd

    from tsformer.data.calendar import compact_dates

    found = compact_dates(column.to_numpy(dtype="int64"))
    counts = column.nunique() < 2 if like is None else like.dtype.kind in "iuf"
    if found is None or counts:
        return column
    dates, _ = found
    if like is None:
        say(f"column {column.name!r} has dates: {column.iloc[0]} is read as {dates[0]}")
    return pd.Series(dates.astype("datetime64[us]"), column.index, name=column.name)


def _from_offsets(column: pd.Series, like: pd.Series | None) -> pd.Series:
    """Return times where texts differ in their offsets, in the time zone of the others if any."""
    import re

    import pandas as pd

    zone = None if like is None else getattr(like.dtype, "tz", None)
    if not re.search(_OFFSET, column.iloc[0].strip()):
        return column
    texts = column.astype(str).str.strip()
    offsets = texts.str.extract(f"({_OFFSET})", expand=False)
    dropped = like is not None and like.dtype.kind == "M" and zone is None
    if offsets.isna().any() or (offsets.nunique() == 1 and zone is None and not dropped):
        return column
    times = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
    clocks = texts.str.replace(_OFFSET, "", regex=True)
    shown = pd.to_datetime(clocks, format="ISO8601", errors="coerce")
    if times.isna().any() or shown.isna().any():
        return column
    if zone is not None:
        return times.dt.tz_convert(zone)
    if dropped or (like is None and (shown - shown.dt.normalize()).nunique() == 1):
        _tell(like, f"column {column.name!r} has offsets that change; they are left out")
        return shown
    _tell(like, f"column {column.name!r} has offsets that change; its times are read as UTC")
    return times


def _tell(like: pd.Series | None, line: str) -> None:
    """Say a line about the first table that is read, and none about those that follow it."""
    if like is None:
        say(line)
