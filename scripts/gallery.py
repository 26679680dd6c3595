"""Draw a page of synthetic series per family, one of all together, and one of real series.

    python scripts/gallery.py --output results/gallery

The pages of the prior should look like those of real series: what these show and no page of the
prior does, the network cannot learn.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch

from tsformer.data.datasets import (
    DatasetUnavailableError,
    dataset_info,
    list_datasets,
    load_dataset,
)
from tsformer.prior import FAMILIES, draw_series
from tsformer.prior.augment import CHANGES
from tsformer.prior.draws import standardise

_ROWS, _COLUMNS = 8, 5


def main() -> None:
    """Draw all pages."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--length", type=int, default=320, help="steps of a series")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)

    generator = torch.Generator().manual_seed(given.seed)
    n = _ROWS * _COLUMNS
    for name, (family, _) in FAMILIES.items():
        values = family(generator, n, given.length).values
        _page(given.output / f"family_{name}.png", name, [(v, "") for v in values])
    walks = standardise(draw_series(generator, n, given.length).values)
    for change, _ in CHANGES:
        pairs = [(v, "") for v in change(generator, walks)]
        _page(given.output / f"change_{change.__name__}.png", change.__name__, pairs)
    drawn = draw_series(generator, n, given.length)
    titles = [f"season {season}" if season > 1 else "" for season in drawn.season.tolist()]
    pairs = list(zip(drawn.values, titles, strict=True))
    _page(given.output / "all_families.png", "All families, changed", pairs)
    _page(given.output / "real.png", "Real series", _real(n, given.length))


def _real(n: int, length: int) -> list[tuple[Any, str]]:
    """Return the ends of real series that may be looked at: embedded ones, and M3's."""
    names = [
        name
        for name in list_datasets()["name"].tolist()
        if "quick" in dataset_info(name).tags or name.startswith("m3_")
    ]
    found: list[list[tuple[Any, str]]] = []
    for name in names:
        try:
            frame = load_dataset(name)
        except DatasetUnavailableError:
            continue
        groups = [group["y"].to_numpy() for _, group in frame.groupby("unique_id", sort=False)]
        chosen = np.linspace(0, len(groups) - 1, min(len(groups), 8)).round().astype(int)
        found.append([(groups[k][-length:], name) for k in chosen])
    turns = [series[turn] for turn in range(8) for series in found if turn < len(series)]
    return turns[:n]


def _page(path: Path, title: str, series: list[tuple[Any, str]]) -> None:
    figure, axes = plt.subplots(_ROWS, _COLUMNS, figsize=(15, 14), layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (values, name) in zip(axes.flat, series, strict=False):
        axis.plot(np.asarray(values), linewidth=0.8, color="#1f4e79")
        axis.set_title(name, fontsize=8)
    figure.suptitle(title)
    figure.savefig(path, dpi=60)
    plt.close(figure)
    print(path)


if __name__ == "__main__":
    main()
