"""Draw the picture of the README: a forecast, its intervals and what came.

python scripts/draw_readme.py
"""

from __future__ import annotations

from pathlib import Path

from tsformer import PatchTSTForecaster, load_dataset
from tsformer.plotting import plot_forecast

TARGET = Path(__file__).parents[1] / "docs" / "forecast.png"
HORIZON, SHOWN = 48, 24 * 9


def main() -> None:
    """Fit on all but the last two days of the load of one zone, and draw these."""
    load = load_dataset("pjm_load")
    zone = load[load["unique_id"] == "COMED"]
    known = zone.iloc[:-HORIZON]
    forecaster = PatchTSTForecaster(horizon=HORIZON).fit(load[load["ds"] <= known["ds"].iloc[-1]])
    forecast = forecaster.predict(df=known, quantiles=[0.02, 0.1, 0.25, 0.75, 0.9, 0.98])

    figure = plot_forecast(zone, forecast, n_history=SHOWN)
    figure.set_dpi(130)
    (axis,) = figure.axes
    axis.set_ylabel("MW")
    title = "Electric load of one zone, two days ahead (PatchTST, default settings)"
    axis.set_title(title, loc="left", fontsize=10)
    TARGET.parent.mkdir(exist_ok=True)
    figure.savefig(TARGET, metadata={"Software": None})


if __name__ == "__main__":
    main()
