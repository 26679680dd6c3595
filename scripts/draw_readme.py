"""Draw the picture of the README: a forecast, its intervals and what came.

python scripts/draw_readme.py
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.dates import DateFormatter, DayLocator
from matplotlib.figure import Figure

from tsformer import PatchTSTForecaster, load_dataset

TARGET = Path(__file__).parents[1] / "docs" / "forecast.png"
HORIZON, SHOWN = 48, 24 * 9


def main() -> None:
    """Fit on all but the last two days of the load of one zone, and draw these."""
    load = load_dataset("pjm_load")
    zone = load[load["unique_id"] == "COMED"]
    known, truth = zone.iloc[:-HORIZON], zone.iloc[-HORIZON:]
    forecaster = PatchTSTForecaster(horizon=HORIZON).fit(load[load["ds"] <= known["ds"].iloc[-1]])
    forecast = forecaster.predict(df=known, quantiles=[0.02, 0.1, 0.25, 0.75, 0.9, 0.98])

    figure = Figure(figsize=(9, 3.2), layout="constrained", dpi=130)
    axis = figure.subplots()
    axis.plot(
        known["ds"].iloc[-SHOWN:], known["y"].iloc[-SHOWN:], color="0.35", lw=1, label="known"
    )
    for low, high, alpha, label in (
        ("0.02", "0.98", 0.15, "96 %"),
        ("0.1", "0.9", 0.25, "80 %"),
        ("0.25", "0.75", 0.4, "50 %"),
    ):
        axis.fill_between(
            forecast["ds"],
            forecast[low],
            forecast[high],
            color="#0072B2",
            alpha=alpha,
            lw=0,
            label=f"{label} interval",
        )
    axis.plot(forecast["ds"], forecast["0.5"], color="#0072B2", lw=1.6, label="median")
    axis.plot(truth["ds"], truth["y"], color="black", lw=1, label="truth")
    axis.set_ylabel("MW")
    axis.xaxis.set_major_locator(DayLocator(interval=2))
    axis.xaxis.set_major_formatter(DateFormatter("%d %b %Y"))
    axis.set_title(
        "Electric load of one zone, two days ahead (PatchTST, default settings)", size=10
    )
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8, ncols=6, loc="upper left")
    axis.set_ylim(top=axis.get_ylim()[1] * 1.08)
    TARGET.parent.mkdir(exist_ok=True)
    figure.savefig(TARGET, metadata={"Software": None})


if __name__ == "__main__":
    main()
