"""`tsformer evaluate`: how well a forecaster would have done on the series of a file."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from tsformer.cli.command import FILE
from tsformer.cli.series import ForecasterCommand
from tsformer.cli.tables import PIPE, check_output, write_table

if TYPE_CHECKING:
    import pandas as pd

    from tsformer.data.layout import Layout
    from tsformer.data.panel import Panel
    from tsformer.forecasters import Forecaster

_SHOWN = ("MASE", "CRPS", "coverage80", "width80")
_BASELINE = "seasonal naive"


@dataclass(frozen=True, kw_only=True)
class Evaluate(ForecasterCommand):
    """Score a forecaster on past cut-offs of the series of a file.

    It forecasts from cut-offs near the end of each series, knowing nothing later, and so does the
    seasonal naive forecast. The table has, over all windows: MASE, the error of the median in
    errors of the seasonal naive forecast before the cut-off; CRPS, the error of the quantiles
    divided by the mean value; the share of values within the 80 percent interval, and its width
    divided by the mean value.

    Args:
        n_windows: cut-offs per series, the last one a horizon before its end.
        step_size: steps between cut-offs; a horizon where not given.
        refit: false fits before the first cut-off only, true at every one, k at every k-th. A saved
            forecaster is asked as it is where not given, a class fitted once.
        output: also write the forecasts of all windows, with cutoff and truth, .csv or .parquet.

    Examples:
        tsformer evaluate sales.csv --horizon 14 --n_windows 3
        tsformer evaluate sales.csv --forecaster fitted --refit true --output windows.csv
    """

    group: ClassVar[str] = "what to score"

    n_windows: int = 1
    step_size: int | None = None
    refit: bool | int | None = None
    output: str | None = field(default=None, metadata=FILE)

    def run(self) -> int:
        """Print the table."""
        self.check_inputs()
        check_output(self.output, self.inputs.values())
        frame = self.frame
        forecaster, refit = self._asked()
        options: dict[str, Any] = {"n_windows": self.n_windows, "step_size": self.step_size}
        found = forecaster.cross_validation(
            frame, static_df=self.static_frame, refit=refit, **options
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the same as of the other
            naive = self._baseline(forecaster).cross_validation(frame, **options)
        rows = {self.forecaster: found, _BASELINE: naive}
        aside = self.output == PIPE
        print(self._table(rows, forecaster.horizon), file=sys.stderr if aside else sys.stdout)
        if self.output is not None:
            write_table(found, self.output)
        return 0

    def _asked(self) -> tuple[Forecaster, bool | int | None]:
        """Return the forecaster, and when it is fitted."""
        from tsformer.forecasters.parameters import DECILES
        from tsformer.forecasters.wrapping import told

        if not self.is_saved:
            refit = False if self.refit is None else self.refit
            return told(self.unfitted(), quantiles=DECILES), refit
        horizon = self.saved.horizon if self.horizon is None else self.horizon
        return told(self.saved, quantiles=DECILES, horizon=horizon), self.refit

    def _baseline(self, forecaster: Forecaster) -> Forecaster:
        from tsformer.forecasters import SeasonalNaiveForecaster

        shared = ("horizon", "season_length", "id_col", "time_col", "target_col", "freq")
        return SeasonalNaiveForecaster(**{name: getattr(forecaster, name) for name in shared})

    def _table(self, found: dict[str, pd.DataFrame], horizon: int) -> str:
        """Return the scores of each forecaster's windows, as text."""
        import pandas as pd

        from tsformer.data.frame import read_panel

        panel, layout = read_panel(self.frame, self.schema)
        scores = {name: window_scores(panel, layout, f, horizon) for name, f in found.items()}
        table = pd.DataFrame(scores).T[list(_SHOWN)]
        ratio = table.iloc[0] / table.iloc[1]
        table.loc["ratio"] = ratio.where(table.columns.isin(["MASE", "CRPS"]))
        return table.to_string(float_format="{:.3f}".format, na_rep="")


def window_scores(
    panel: Panel, layout: Layout, windows: pd.DataFrame, horizon: int
) -> dict[str, float]:
    """Return the scores of the forecasts that `cross_validation` returned.

    Args:
        panel: the series, as they were read, with `layout`.
        windows: rows of windows, one after the other, those of a window's variates together.
        horizon: H.
    """
    import numpy as np

    from tsformer.data.columns import read_times
    from tsformer.evaluation.metrics import Scores
    from tsformer.types import Forecast

    first = windows.iloc[:: horizon * panel.n_variates]
    cutoffs = read_times(first["cutoff"], "cutoff", str)
    place = {name: number for number, name in enumerate(panel.ids.tolist())}
    ids = first[layout.id_col].tolist() if layout.id_col else panel.ids.tolist() * len(first)
    numbers = np.array([place[name] for name in ids])
    known = cutoffs.on_the_wall if layout.wall else cutoffs.values
    ends = panel.freq.index(panel.starts[numbers], known)[0] + 1
    history = panel.excerpts(numbers, ends, int(ends.max()), horizon).univariate()
    scores = Scores(panel.freq.season_length)
    names = [f"{level:g}" for level in scores.levels]
    quantiles = windows[names].to_numpy().reshape(-1, horizon, len(names))
    mean, truth = (
        windows[name].to_numpy().reshape(-1, horizon) for name in ("mean", layout.target_col)
    )
    scores.update(history, truth, Forecast(mean=mean, quantiles=quantiles, levels=scores.levels))
    return scores.result()
