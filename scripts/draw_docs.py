"""Draw the pictures of the documentation: the same ones each time.

python scripts/draw_docs.py
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy.stats import norm

from tsformer import (
    ITransformerForecaster,
    PatchTSTForecaster,
    TSFormerForecaster,
    load_dataset,
)
from tsformer.llm.backends.ngram import NGram
from tsformer.llm.grammar import Grammar
from tsformer.llm.likelihood import next_value
from tsformer.llm.prompts import write_prompt
from tsformer.llm.scaler import Scaler
from tsformer.llm.serialize import SerializerSettings
from tsformer.nn.attention import SelfAttention
from tsformer.nn.scaling import instance_norm
from tsformer.plotting import plot_patches
from tsformer.plotting.style import BLUE, GREEN, KNOWN, ORANGE, SMALL, dress, new_figure, tint
from tsformer.prior import FAMILIES

TARGET = Path(__file__).parents[1] / "docs" / "ideas"
WIDTH = 9.0  # inches


def main() -> None:
    """Draw all pictures."""
    draw_attention()
    draw_patches()
    draw_channels()
    draw_scaling()
    draw_prior()
    draw_random_walks()
    draw_digits()
    draw_quantiles()
    draw_page(TARGET.parent / "how-to" / "pictures.md")


def draw_page(page: Path) -> None:
    """Run the code of a page where the page lies, beside which its pictures are written."""
    code = re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    with contextlib.chdir(page.parent):
        exec(compile("".join(code), page.name, "exec"), {})


def draw_attention() -> None:
    """Draw what six tokens take from each other: as they are, shuffled, and with positions."""
    torch.manual_seed(0)
    plain = SelfAttention(d_model=16, n_heads=1).eval()
    turned = SelfAttention(d_model=16, n_heads=1, rotary=True).eval()
    turned.load_state_dict(plain.state_dict())
    tokens = 2.5 * torch.randn(1, 6, 16)
    order = [3, 0, 5, 1, 4, 2]
    places = torch.arange(6)
    panels = [
        ("as they are", range(6), plain.attention_weights(tokens)),
        ("shuffled: the same weights, moved", order, plain.attention_weights(tokens[:, order])),
        (
            "shuffled, with positions: other weights",
            order,
            turned.attention_weights(tokens[:, order], positions=places),
        ),
    ]
    figure = new_figure(WIDTH, 3.6)
    for axis, (title, names, weights) in zip(figure.subplots(1, 3), panels, strict=True):
        letters = ["ABCDEF"[number] for number in names]
        shares = weights[0, 0].detach()
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=0.6)
        for row in range(6):
            for column in range(6):
                share = float(shares[row, column])
                colour = "white" if share > 0.35 else "black"
                axis.text(
                    column,
                    row,
                    f"{100 * share:.0f}",
                    ha="center",
                    va="center",
                    size=7,
                    color=colour,
                )
        axis.set_xticks(range(6), letters)
        axis.set_yticks(range(6), letters)
        axis.tick_params(length=0)
        axis.set_title(title, size=9)
        axis.set_xlabel("takes from (%)", size=SMALL)
    save(figure, "attention.png")


def draw_patches() -> None:
    """Draw which steps of four days become one token."""
    load = load_dataset("pjm_load").query("unique_id == 'COMED'").tail(96)
    save(plot_patches(load, patch_length=16, stride=8), "patches.png")


def draw_channels() -> None:
    """Draw forecasts of a series that repeats another one four steps later."""
    rng = np.random.default_rng(0)
    leader = pd.Series(rng.normal(size=1200)).rolling(3, min_periods=1).mean()
    follower = leader.shift(4).fillna(0) + 0.1 * rng.normal(size=1200)
    hours = pd.date_range("2024-01-01", periods=1200, freq="h")
    df = pd.DataFrame({"ds": hours, "leader": leader, "follower": follower})
    figure = new_figure(WIDTH, 2.8)
    axis = figure.subplots()
    shown = follower[-60:]
    axis.plot(shown.index, shown, color=KNOWN, lw=1.2, label="follower")
    axis.plot(leader.index[-60:], leader[-60:], color="0.7", lw=1, ls=":", label="leader")
    kinds = (
        (PatchTSTForecaster, "PatchTST, each by itself", ORANGE, "--"),
        (ITransformerForecaster, "iTransformer, together", BLUE, "-"),
    )
    for kind, label, colour, dashes in kinds:
        made = kind(horizon=4, context_length=48, target_col=["leader", "follower"], max_steps=200)
        backtest = made.cross_validation(df, n_windows=12).query("variate == 'follower'")
        for number, (_, window) in enumerate(backtest.groupby("cutoff")):
            begin = 1200 - 4 * (12 - number)
            axis.plot(
                range(begin, begin + 4),
                window["0.5"],
                color=colour,
                ls=dashes,
                lw=1.8,
                label=label if number == 0 else None,
            )
    dress(axis)
    axis.set_xlabel("hours; a new forecast of four steps every four", size=SMALL)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=SMALL)
    save(figure, "channels.png")


def draw_scaling() -> None:
    """Draw three windows of different units, and the same three after instance normalisation."""
    weather = load_dataset("melbourne_temperature")["y"].to_numpy()[-365:]
    taxi = load_dataset("nyc_taxi")["y"].to_numpy()[-48 * 7 :]
    air = load_dataset("air_passengers")["y"].to_numpy()
    windows = (("°C", weather, GREEN), ("passengers", taxi, BLUE), ("thousands", air, ORANGE))
    figure = new_figure(WIDTH, 3.4)
    axes = figure.subplots(2, 3)
    for column, (unit, values, colour) in enumerate(windows):
        raw = torch.tensor(values, dtype=torch.float32).reshape(1, 1, -1)
        z, _ = instance_norm(raw, torch.ones_like(raw, dtype=torch.bool))
        axes[0, column].plot(values, color=colour, lw=0.9)
        axes[1, column].plot(z[0, 0], color=colour, lw=0.9)
        axes[0, column].set_ylabel(unit, size=SMALL)
        axes[1, column].set_ylim(-3.6, 3.6)
        for row in (0, 1):
            dress(axes[row, column])
            axes[row, column].set_xticks([])
    axes[1, 0].set_ylabel("deviations", size=SMALL)
    save(figure, "scaling_windows.png")


def draw_prior() -> None:
    """Draw a series of each family of the prior."""
    generator = torch.Generator().manual_seed(4)
    figure = new_figure(WIDTH, 4.4)
    names = [*FAMILIES, "templates"]
    for axis, name in zip(figure.subplots(3, 4).flat, names, strict=True):
        family, _ = FAMILIES[name]
        axis.plot(family(generator, 1, 200).values[0], color=BLUE, lw=0.9)
        axis.set_title(name.replace("_", " "), size=SMALL)
        dress(axis)
        axis.set_xticks([])
        axis.set_yticks([])
    save(figure, "prior.png")


def draw_random_walks() -> None:
    """Draw how wide intervals for random walks are, and how wide they should be."""
    walks = np.random.default_rng(0).normal(size=(200, 256)).cumsum(axis=1)
    forecaster = TSFormerForecaster(season_length=1)
    forecast = forecaster.predict(walks, horizon=32, level=[50, 80])
    step = np.arange(1, 33)
    figure = new_figure(WIDTH * 0.62, 2.9)
    axis = figure.subplots()
    for level, low, high, colour in ((80, "0.1", "0.9", BLUE), (50, "0.25", "0.75", ORANGE)):
        width = (forecast[high] - forecast[low]).groupby(np.tile(step, 200)).mean()
        exact = 2 * norm.ppf(0.5 + level / 200) * np.sqrt(step)
        axis.plot(step, exact, color="black", lw=1, ls="--", label="exact" if level == 80 else None)
        axis.plot(step, width, color=colour, lw=1.8, label=f"TSFormer, {level} %")
    dress(axis)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("steps ahead", size=SMALL)
    axis.set_ylabel("width of the interval\n(deviations of a step)", size=SMALL)
    axis.legend(frameon=False, fontsize=SMALL)
    save(figure, "random_walks.png")


def draw_digits() -> None:
    """Draw how likely each digit of the next value is, given those before it."""
    carbon = load_dataset("mauna_loa_co2")["y"].dropna().round().to_numpy()
    settings = SerializerSettings(precision=3, digits=0, signed=False, fixed_width=True)
    model, scaler = NGram(), Scaler(scale=1000.0)
    prompt = write_prompt(model.vocabulary, settings, scaler.transform(carbon[-700:-1]))
    found = next_value(model, Grammar(settings, model.vocabulary), prompt)
    mass = np.zeros((10, 10, 10))
    mass.flat[(1000 * found.centres).astype(int)] = found.probabilities
    truth = [int(digit) for digit in f"{carbon[-1]:03.0f}"]
    figure = new_figure(WIDTH, 2.4)
    for number, axis in enumerate(figure.subplots(1, 3, sharey=True)):
        shares = mass[tuple(truth[:number])].reshape(10, -1).sum(axis=1)
        shares = shares / shares.sum()
        colours = [ORANGE if digit == truth[number] else BLUE for digit in range(10)]
        axis.bar(range(10), shares, color=colours, width=0.7)
        dress(axis)
        axis.set_xticks(range(10))
        before = "".join(map(str, truth[:number]))
        axis.set_title(f"after “{before}”" if before else "first digit", size=9)
        axis.text(
            truth[number],
            shares[truth[number]],
            f"{shares[truth[number]]:.2f}",
            ha="center",
            va="bottom",
            size=SMALL,
            color=ORANGE,
        )
    figure.axes[0].set_ylabel("probability", size=SMALL)
    save(figure, "digits.png")


def draw_quantiles() -> None:
    """Draw the pinball loss, and the CRPS as an area."""
    figure = new_figure(WIDTH, 3.0)
    loss, score = figure.subplots(1, 2)
    errors = np.linspace(-1, 1, 201)
    for level, colour, dashes in ((0.1, GREEN, "-."), (0.5, ORANGE, "--"), (0.9, BLUE, "-")):
        pinball = np.maximum(level * errors, (level - 1) * errors)
        loss.plot(errors, pinball, color=colour, ls=dashes, label=f"level {level}")
    loss.set_xlabel("truth minus quantile", size=SMALL)
    loss.set_title("pinball loss", size=9)
    values = np.linspace(-3, 3, 400)
    score.plot(values, norm.cdf(values), color=BLUE, label="forecast")
    score.step([-3, 1.3, 3], [0, 0, 1], where="pre", color="black", lw=1.2, label="truth")
    area = (norm.cdf(values) - (values >= 1.3)) ** 2
    score.fill_between(values, area, color=tint(ORANGE, 0.5), lw=0, label="CRPS")
    score.set_title("CRPS: area of the squared distance", size=9)
    for axis in (loss, score):
        dress(axis)
        axis.set_yticks([0, 0.5, 1])
        axis.legend(frameon=False, fontsize=7, loc="upper center" if axis is loss else "upper left")
    save(figure, "quantiles.png")


def save(figure: Figure, name: str) -> None:
    """Write a picture that has the same bytes each time."""
    figure.savefig(TARGET / name, dpi=130, metadata={"Software": None})
    print(TARGET / name)


if __name__ == "__main__":
    main()
