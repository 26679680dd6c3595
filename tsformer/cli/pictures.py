"""Pictures of forecasts, in files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tsformer.cli.command import UsageError
from tsformer.cli.outputs import check_file
from tsformer.files import write_whole

if TYPE_CHECKING:
    import pandas as pd

    from tsformer.cli.series import ForecasterCommand

_KINDS = (".png", ".svg", ".pdf")


def check_picture(path: Path | None, option: str, inputs: Iterable[str] = ()) -> None:
    """Raise a UsageError for a picture that cannot be written, before time is spent on it."""
    if path is None:
        return
    if path.suffix.lower() not in _KINDS:
        raise UsageError(f"--{option}={path} must end in {', '.join(_KINDS[:-1])} or {_KINDS[-1]}")
    check_file(path, option, inputs)


def write_picture(
    command: ForecasterCommand, forecast: pd.DataFrame, path: Path, ids: Sequence[str] | None = None
) -> None:
    """Draw a forecast after the series of a command.

    Args:
        command: says where the series are.
        forecast: what `predict` returned, or `cross_validation`.
        path: the file to write.
        ids: the series to show; None for the first ones.
    """
    from tsformer.data.frame import read_panel
    from tsformer.plotting import plot_cross_validation, plot_forecast

    shown = None
    if ids is not None:  # the words of the command line are texts, names of series need not be
        names = read_panel(command.frame, command.schema)[0].ids.tolist()
        shown = [{str(name): name for name in names}.get(word, word) for word in ids]
    if "cutoff" in forecast.columns:
        figure = plot_cross_validation(command.frame, forecast, ids=shown)
    else:
        target = command.schema.target_col
        figure = plot_forecast(command.frame, forecast, ids=shown, target_col=target)
    write_whole(path, figure.savefig)
