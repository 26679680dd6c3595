"""Tables in and out: CSV and Parquet files, the standard input and output."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsformer.cli.command import UsageError
from tsformer.cli.outputs import check_file
from tsformer.files import write_text, write_whole

if TYPE_CHECKING:
    import pandas as pd

PIPE = "-"
_PARQUET = (".parquet", ".pq")
_ID_NAMES = ("unique_id", "item_id")
_PARTS = {*_ID_NAMES, "y", "target"}  # of which a long table has one at least


def read_table(file: str, id_col: str | None = None, wide: bool = False) -> pd.DataFrame:
    """Return a file as a frame, one row per series and time.

    Ids of a CSV are the texts that stand there, `007` for instance, but for plain whole numbers.

    Args:
        file: CSV or Parquet; `"-"` reads CSV from the standard input.
        id_col: the column of ids, where it has no usual name.
        wide: whether the first column holds times, and each other one a series. Without being
            told, a CSV is read so whose first column has no name and holds dates, all others
            numbers: what pandas writes for a frame with times as its index.
    """
    if file.endswith(_PARQUET):
        frame = _read_parquet(file)
        wide = wide and frame.index.dtype.kind != "M"  # that is read as wide anyway
    else:
        frame = _read_csv(file, id_col)
        wide = wide or _looks_wide(frame)
    return _melted(frame) if wide else frame


def check_output(output: str | None, inputs: Iterable[str] = ()) -> None:
    """Raise an error for a table that cannot be written, before time is spent.

    Args:
        output: CSV or Parquet; `"-"` or None for the standard output.
        inputs: files that are read.
    """
    if output is None or output == PIPE:
        return
    if not output.endswith((*_PARQUET, ".csv")):
        raise UsageError(f"--output={output} must end in .csv or .parquet, or be - for the screen")
    if output.endswith(_PARQUET):
        _require_parquet()
    check_file(Path(output), "output", inputs)


def write_table(frame: pd.DataFrame, output: str | None) -> None:
    """Write a frame to a file, CSV or Parquet, or as CSV to the standard output."""
    if output is None or output == PIPE:
        sys.stdout.write(as_csv(frame))
    elif output.endswith(_PARQUET):
        _require_parquet()
        write_whole(Path(output), frame.to_parquet)
    else:
        write_text(Path(output), as_csv(frame))


def as_csv(frame: pd.DataFrame) -> str:
    """Return a frame as CSV: numbers with the digits that tell them from others, and no more.

    Forecasts have the digits of float32, in which networks compute: 431.2 and not
    431.20001220703125. Whole numbers have no point.
    """
    frame = frame.copy()
    for name in frame.columns[[kind.kind == "f" for kind in frame.dtypes]]:
        frame[name] = _shortest(frame[name], single=_is_forecast(str(name)))
    has_times = frame.index.dtype.kind == "M"
    text: str = frame.to_csv(index=has_times, index_label="ds" if has_times else None)
    return text


def _read_csv(file: str, id_col: str | None) -> pd.DataFrame:
    import pandas as pd

    source: Any = file
    called = "the standard input" if file == PIPE else file
    try:
        if file == PIPE:
            source = io.StringIO(_standard_input())
        header = pd.read_csv(source, nrows=0).columns
        _refuse_other_separators([*map(str, header)], called)
        if file == PIPE:
            source.seek(0)
        ids = [name for name in (id_col or "", *_ID_NAMES) if name in header][:1]
        # As text, "NA" is a name and "007" keeps its zeros.
        frame = pd.read_csv(source, converters=dict.fromkeys(ids, _text_or_none))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{called} is not text in UTF-8; convert it to that, or, if it is Parquet, pass a name "
            "that ends in .parquet: it cannot come through a pipe"
        ) from error
    except pd.errors.EmptyDataError as error:
        raise ValueError(
            f"{called} is empty; it needs a line with the names of the columns, and a row per "
            "series and time"
        ) from error
    for name in ids:
        frame[name] = _plain_numbers(frame[name])
    return frame


def _refuse_other_separators(header: list[str], called: str) -> None:
    """Raise a ValueError for names of columns that commas do not part."""
    for separator, shown in ((";", "';'"), ("\t", "tabs")):
        if "".join(header).count(separator) >= len(header):
            raise ValueError(
                f"{called} is separated by {shown}; convert it to commas, and its numbers to "
                "decimal points where they have commas"
            )


def _standard_input() -> str:
    """Return all of it as UTF-8, whatever the locale takes it for."""
    binary = getattr(sys.stdin, "buffer", None)
    return sys.stdin.read() if binary is None else binary.read().decode("utf-8-sig")


def _text_or_none(text: str) -> str | None:
    return text or None


def _plain_numbers(ids: pd.Series) -> pd.Series:
    """Return ids as numbers where these are written in no other way, else as they are."""
    import pandas as pd

    numbers = pd.to_numeric(ids, errors="coerce")
    whole = numbers.dtype.kind == "i" and (numbers.astype(str) == ids).all()
    return numbers if whole else ids


def _looks_wide(frame: pd.DataFrame) -> bool:
    """Return True for times without a name, and beside them series of numbers with names."""
    if frame.shape[1] < 2 or _PARTS & {*frame.columns}:
        return False
    times, *others = frame.dtypes
    unnamed = str(frame.columns[0]).startswith("Unnamed: 0")
    return unnamed and times.kind == "O" and all(kind.kind in "if" for kind in others)


def _melted(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with times in its first column and a series in each other one as long."""
    import numpy as np
    import pandas as pd

    times, values = frame.iloc[:, 0].to_numpy(), frame.iloc[:, 1:]
    return pd.DataFrame(
        {
            "unique_id": np.repeat(values.columns.to_numpy(), len(frame)),
            "ds": np.tile(times, values.shape[1]),
            "y": values.to_numpy().T.reshape(-1),
        }
    )


def _read_parquet(file: str) -> pd.DataFrame:
    import pandas as pd

    _require_parquet()
    return pd.read_parquet(file)


def _require_parquet() -> None:
    if find_spec("pyarrow") is None:
        raise ImportError("Parquet needs pyarrow: pip install 'tsformer[polars]'")


def _is_forecast(name: str) -> bool:
    return name == "mean" or name.replace(".", "", 1).isdecimal()


def _shortest(values: pd.Series, *, single: bool) -> pd.Series:
    """Return the shortest text that is read as the same number; None for a missing one.

    Args:
        values: numbers.
        single: whether they are meant to float32; others may be, and are then written so.
    """
    import numpy as np
    import pandas as pd

    numbers = values.to_numpy(dtype=np.float64)
    with np.errstate(over="ignore"):
        halves = numbers.astype(np.float32)
    single = single or np.array_equal(halves, numbers, equal_nan=True)
    texts = [text.removesuffix(".0") for text in (halves if single else numbers).astype(str)]
    return pd.Series(texts, values.index, dtype=object).mask(np.isnan(numbers))
