"""The picture of a forecast as a method of forecasters; Matplotlib is imported when it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tsformer.forecasters.words import known_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tsformer.forecasters.base import Forecaster

_LEVEL = (50, 80, 95)  # percent, of the intervals of a forecast that is made for the picture


@known_words
def plot(
    forecaster: Forecaster,
    df: Any = None,
    forecast: Any = None,
    *,
    ids: Sequence[Any] | None = None,
    truth: Any = None,
    n_history: int | None = None,
    max_series: int = 12,
    show_mean: bool = False,
) -> Figure:
    """Return a picture of series and their forecasts, see `tsformer.plotting.plot_forecast`.

    Args:
        forecaster: which forecasts.
        df: the series; None for what the fitted forecaster still knows of its own: as many steps
            as a forecast needs.
        forecast: what `predict` returned for them; None asks for intervals of 50, 80 and 95 %.
            What needs a `future_df` has to be forecast before.
        ids: the series to show, up to 50, in this order; None for the first ones.
        truth: what came, in the form of `df`.
        n_history: steps to show before the forecast; None for four horizons, two seasons at least.
        max_series: how many series are shown where `ids` names none, up to 50.
        show_mean: draw the mean, too.

    Raises:
        NotFittedError: before `fit`.
        ValueError: for frames that do not belong together, and for forecasts from several cut-offs.
    """
    from tsformer.plotting.forecast import forecast_figure, read_truth
    from tsformer.plotting.panels import View

    view = View(ids=ids, n_history=n_history, max_series=max_series, show_mean=show_mean)
    panel, layout = forecaster._fitted(df)._context(df)
    forecast = forecaster.predict(df, level=_LEVEL) if forecast is None else forecast
    came = read_truth(truth, forecaster._schema, panel, layout)
    return forecast_figure(panel, layout, forecast, came, view)
