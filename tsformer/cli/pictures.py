"""Pictures of forecasts, in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tsformer.cli.command import UsageError
from tsformer.files import write_whole

if TYPE_CHECKING:
    import pandas as pd

    from tsformer.cli.series import ForecasterCommand

_KINDS = (".png", ".svg", ".pdf")


def check_picture(path: Path | None, option: str) -> None:
    """Raise a UsageError for a picture of another kind, before time is spent on it."""
    if path is not None and path.suffix.lower() not in _KINDS:
        raise UsageError(f"--{option}={path} must end in {', '.join(_KINDS[:-1])} or {_KINDS[-1]}")


def write_picture(
    command: ForecasterCommand, forecast: pd.DataFrame, path: Path, ids: Sequence[str] | None = None
) -> None:
    """Draw a forecast after the series of a command.

    Args:
        command: says where the series are.
        forecast: what `predict` returned, or `cross_validation`.
        path: the file to write.
        ids: the series to show; None for the first ones.

    Raises:
        UsageError: for several targets, which a picture does not take.
    """
    target = command.schema.target_col
    if not (target is None or isinstance(target, str)):
        raise UsageError("pictures show one target; name one as --target_col")
    from tsformer.data.frame import read_panel
    from tsformer.plotting import plot_cross_validation, plot_forecast

    shown = None
    if ids is not None:  # the words of the command line are texts, names of series need not be
        names = read_panel(command.frame, command.schema)[0].ids.tolist()
        shown = [{str(name): name for name in names}.get(word, word) for word in ids]
    if "cutoff" in forecast.columns:
        figure = plot_cross_validation(command.frame, forecast, ids=shown)
    else:
        figure = plot_forecast(command.frame, forecast, ids=shown, target_col=target)
    write_whole(path, figure.savefig)
