"""What commands share that read series and ask a forecaster: where the series are, who forecasts.

Parameters have the names that they have in Python, and in the suites' YAML.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tsformer.cli.command import FILE, Command, UsageError, argument, say
from tsformer.cli.making import check_name, make_forecaster
from tsformer.cli.tables import PIPE, read_table
from tsformer.cli.times import with_dates

if TYPE_CHECKING:
    import pandas as pd

    from tsformer.data.frame import Schema
    from tsformer.forecasters import Forecaster

_COLUMNS = ("id_col", "time_col", "target_col")
_READ = ("file", "forecast", "future", "static")  # fields that name tables
_COVARIATES = ("past_covariates", "future_covariates", "static_covariates")


@dataclass(frozen=True, kw_only=True)
class SeriesCommand(Command):
    """A command on the series of a file.

    Args:
        file: CSV or Parquet, one row per series and time; - reads CSV from the standard input.
        id_col: column of the series' names; found where it is called unique_id or item_id; without
            one, all rows are of one series.
        time_col: column of times; found where it is called ds or timestamp.
        target_col: column of values, found where it is called y or target; or several, which are
            forecast together.
        freq: step between times, as pandas calls it: h, D, W-SUN, MS; read from the times where not
            given.
        wide: the first column holds times, each other one a series; found by itself where the first
            column holds dates and has no name.
    """

    group: ClassVar[str] = "what the columns of FILE are"

    file: str = argument("FILE")
    id_col: str | None = None
    time_col: str | None = None
    target_col: list[str] | None = None
    freq: str | None = None
    wide: bool = False

    @property
    def columns(self) -> dict[str, Any]:
        """What was said about the columns, as forecasters take it."""
        target = self.target_col
        single = target[0] if target and len(target) == 1 else target
        said = dict(zip(_COLUMNS, (self.id_col, self.time_col, single), strict=True))
        return {name: value for name, value in said.items() if value is not None}

    @property
    def inputs(self) -> dict[str, str]:
        """The files that are read, by what they are called on the command line."""
        known = {f.name: f.metadata.get("metavar", f"--{f.name}") for f in fields(self)}
        given = {known[name]: getattr(self, name) for name in _READ if name in known}
        return {called: file for called, file in given.items() if file is not None}

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """The table in the file."""
        table = read_table(self.file, self._id_col, self.wide)
        return with_dates(table, self._time_col)

    @property
    def _id_col(self) -> str | None:
        return self.id_col

    @property
    def _time_col(self) -> str | None:
        return self.time_col

    def check_inputs(self) -> None:
        """Raise a UsageError for two tables from the standard input, which holds one."""
        piped = [called for called, file in self.inputs.items() if file == PIPE]
        if len(piped) > 1:
            raise UsageError(
                f"{piped[0]} and {piped[1]} are both -, but the standard input holds one table; "
                "name a file for one of them"
            )


@dataclass(frozen=True, kw_only=True)
class ForecasterCommand(SeriesCommand):
    """A command that asks a forecaster.

    Args:
        forecaster: name of a class, such as PatchTSTForecaster, SeasonalNaiveForecaster or
            LLMForecaster; or a folder in which a fitted one was saved.
        horizon: steps to forecast; what is usual for the frequency where not given, or what a
            saved forecaster was fitted for.
        parameters: parameters of the forecaster, by name: --parameters.max_steps 200
            --parameters.random_state 1. ConformalForecaster and TransformedForecaster wrap another
            one, --parameters.forecaster NAME, or with parameters of its own
            --parameters.forecaster.forecaster NAME --parameters.forecaster.parameters.max_steps
            200; the latter transforms by --parameters.transformer LogTransform, in YAML by a list
            of several, too. EnsembleForecaster averages it with --parameters.others NAME, or a list
            of several.
        static: file with one row per series, for static_covariates.
        static_covariates: columns of the file --static.
        past_covariates: columns of FILE that are known up to its end.
        future_covariates: columns of FILE that are known beyond its end, too.
    """

    group: ClassVar[str] = "who forecasts, and from what"

    forecaster: str = "TSFormerForecaster"
    horizon: int | None = None
    parameters: dict[str, Any] | None = None
    static: str | None = field(default=None, metadata=FILE)
    static_covariates: list[str] | None = None
    past_covariates: list[str] | None = None
    future_covariates: list[str] | None = None

    @property
    def is_saved(self) -> bool:
        """True where the forecaster is a folder."""
        return Path(self.forecaster).is_dir()

    @functools.cached_property
    def schema(self) -> Schema:
        """What is known of the columns, by a saved forecaster, too."""
        from tsformer.data.frame import Schema

        if not self.is_saved:
            return Schema(**self.columns, freq=self.freq)
        return Schema(**{name: getattr(self.saved, name) for name in _COLUMNS})

    @functools.cached_property
    def static_frame(self) -> pd.DataFrame | None:
        """The table of static covariates."""
        return None if self.static is None else read_table(self.static, self._id_col)

    def read(self, file: str) -> pd.DataFrame:
        """Return another table of the same series."""
        return with_dates(read_table(file, self._id_col), self._time_col, like=self.frame)

    @property
    def _id_col(self) -> str | None:
        # A new forecaster need not be known, whose import takes longer than a wrong name should.
        return self.schema.id_col if self.is_saved else self.id_col

    @property
    def _time_col(self) -> str | None:
        return self.schema.time_col if self.is_saved else self.time_col

    def unfitted(self) -> Forecaster:
        """Return a new forecaster with all that was said, the usual horizon where none was."""
        given = {name: getattr(self, name) for name in (*_COVARIATES, "freq")}
        shared = {name: value for name, value in given.items() if value is not None} | self.columns
        parameters = dict(self.parameters or {})
        check_name(self.forecaster)
        said = parameters.pop("horizon", None) if self.horizon is None else self.horizon
        shared["horizon"] = self._usual_horizon() if said is None else said
        return make_forecaster(self.forecaster, shared, parameters)

    @functools.cached_property
    def saved(self) -> Forecaster:
        """The fitted forecaster of a folder, which may look at other columns.

        Raises:
            UsageError: for parameters, which it has already.
        """
        names = ("parameters", "freq", *_COVARIATES)
        settled = [name for name in names if getattr(self, name) is not None]
        if settled:
            raise UsageError(
                f"--{settled[0]} was settled when {self.forecaster} was fitted; leave it out, or "
                "name a class as --forecaster"
            )
        from tsformer.forecasters import load
        from tsformer.forecasters.wrapping import told

        return told(load(self.forecaster), **self.columns)

    def _usual_horizon(self) -> int:
        from tsformer.data.frame import read_panel

        freq = read_panel(self.frame, self.schema)[0].freq
        step = f"a step of {freq.alias!r}" if freq.alias else "times without dates"
        say(f"horizon={freq.usual_horizon}, which is usual for {step}; others by --horizon")
        return freq.usual_horizon
