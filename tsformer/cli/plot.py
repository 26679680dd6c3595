"""`tsformer plot`: series and their forecasts, drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from tsformer.cli.command import FILE, argument
from tsformer.cli.pictures import check_picture, write_picture
from tsformer.cli.predict import ForecastCommand


@dataclass(frozen=True, kw_only=True)
class Plot(ForecastCommand):
    """Draw series and their forecasts.

    Args:
        forecast: CSV or Parquet of `tsformer predict`, or of `tsformer evaluate`; where not given,
            the forecasts are made first, as predict makes them.
        output: file to write, .png, .svg or .pdf.
        ids: names of the series to show; the first ones where not given.

    Examples:
        tsformer plot sales.csv --output sales.png
        tsformer plot sales.csv forecast.csv --output sales.pdf --ids north south
    """

    group: ClassVar[str] = "what to draw"

    forecast: str | None = argument("FORECAST", None)
    output: Path = field(metadata=FILE)
    ids: list[str] | None = None

    def run(self) -> int:
        """Write the picture."""
        self.check_inputs()
        check_picture(self.output, "output", self.inputs.values())
        made = None if self.forecast is None else self.read(self.forecast)
        forecast = self.forecasts() if made is None else made
        write_picture(self, forecast, self.output, self.ids)
        return 0
