"""`tsformer predict`: forecasts of the series in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tsformer.cli.command import FILE, UsageError
from tsformer.cli.pictures import check_picture, write_picture
from tsformer.cli.series import ForecasterCommand
from tsformer.cli.tables import check_output, write_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class ForecastCommand(ForecasterCommand):
    """A command that forecasts.

    Args:
        level: widths of central intervals in percent: 80 95 gives the quantiles 0.025, 0.1, 0.5,
            0.9 and 0.975; nine quantiles, 0.1 to 0.9, where neither this nor --quantiles is given.
        quantiles: probabilities instead of widths: 0.1 0.5 0.9.
        future: file with the future_covariates of the steps to come.
    """

    group: ClassVar[str] = "what to answer"

    level: list[float] | None = None
    quantiles: list[float] | None = None
    future: str | None = field(default=None, metadata=FILE)

    def forecasts(self) -> pd.DataFrame:
        """Return the forecasts as a frame.

        Raises:
            UsageError: for options that exclude each other.
        """
        if self.level is not None and self.quantiles is not None:
            raise UsageError("--level and --quantiles say the same in two ways; pass one of them")
        future = None if self.future is None else self.read(self.future)
        asked: dict[str, Any] = {"level": self.level, "quantiles": self.quantiles}
        frame, static = self.frame, self.static_frame
        answer: pd.DataFrame
        if self.is_saved:
            asked |= {"horizon": self.horizon, "static_df": static}
            answer = self.saved.predict(frame, future, **asked)
        else:
            fitted = self.unfitted().fit(frame, static_df=static)
            answer = fitted.predict(future_df=future, **asked)
        return answer


@dataclass(frozen=True, kw_only=True)
class Predict(ForecastCommand):
    """Forecast the series of a file.

    Without options, TSFormer forecasts, which needs no fitting; a class that learns is fitted to
    the file first. The answer has a row per series and step: id, time, mean and quantiles.

    Args:
        output: file to write, .csv or .parquet; CSV on the standard output where not given.
        plot: also draw series and forecasts, into a file that ends in .png, .svg or .pdf.

    Examples:
        tsformer predict sales.csv
        tsformer predict sales.csv --horizon 14 --level 80 95 --output forecast.parquet
        tsformer predict sales.csv --time_col date --id_col store --target_col sales
        tsformer predict sales.csv --forecaster PatchTSTForecaster --parameters.max_steps 200
        cat sales.csv | tsformer predict - --forecaster fitted | head
    """

    group: ClassVar[str] = "what to answer"

    output: str | None = field(default=None, metadata=FILE)
    plot: Path | None = field(default=None, metadata=FILE)

    def run(self) -> int:
        """Write the forecasts."""
        self.check_inputs()
        check_output(self.output, self.inputs.values())
        check_picture(self.plot, "plot", self.inputs.values())
        forecast = self.forecasts()
        write_table(forecast, self.output)  # first: it is what was asked for
        if self.plot is not None:
            write_picture(self, forecast, self.plot)
        return 0
