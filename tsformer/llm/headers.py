"""What stands before the values of a prompt: a description, covariates, similar series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tsformer.llm.serialize import SerializerSettings

FIELDS = ("id", "start", "end", "step", "horizon")  # that a description may name in braces


def describe(description: str, given: Mapping[str, object]) -> str:
    """Return a description with its fields filled in, as a line.

    Raises:
        ValueError: for a field that is none of `FIELDS`.
    """
    if not description:
        return ""
    try:
        return description.format_map(given).rstrip() + "\n"
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        fields = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise ValueError(
            f"description={description!r} names a field that is not there ({error}); there are "
            f"{fields}, and braces that are meant as such are doubled"
        ) from error


def covariate_lines(
    names: Sequence[str], values: np.ndarray, levels: Mapping[str, Sequence[object]]
) -> str:
    """Return a line per covariate: its name and its values, those of the future included.

    Args:
        names: `[K]`.
        values: `[K, T + H]`; NaN = missing; a category is the number of its level.
        levels: of categorical covariates.
    """
    lines = []
    for name, row in zip(names, values, strict=True):
        known = levels.get(name)
        words = [
            "nan" if np.isnan(value) else str(known[int(value)]) if known else f"{value:.4g}"
            for value in row
        ]
        lines.append(f"{name}: {', '.join(words)}\n")
    return "".join(lines)


def example_lines(settings: SerializerSettings, series: Sequence[np.ndarray]) -> str:
    """Return a line per series, each written like the values that will follow.

    Args:
        settings: how values are written.
        series: `[T]` each, scaled values.
    """
    return "".join(
        settings.serialize(settings.clip(scaled)) + settings.terminator + "\n" for scaled in series
    )


def most_similar(target: np.ndarray, others: Sequence[np.ndarray], n: int) -> list[int]:
    """Return the numbers of the n series whose ends look most like that of `target`.

    Ends as long as half of the shorter one are standardised and correlated, at the best shift of
    all, since a series that was there before teaches most.

    Args:
        target: `[T]`, NaN = missing.
        others: `[T']` each.
        n: how many, at most.
    """
    scores = np.array([_best_correlation(target, other) for other in others])
    order = np.argsort(-scores, kind="stable")
    return [int(number) for number in order[:n] if np.isfinite(scores[number])]


def _best_correlation(target: np.ndarray, other: np.ndarray) -> float:
    size = max(4, min(len(target), len(other)) // 2)
    if len(target) < size or len(other) < size:
        return -np.inf
    windows = _standard(np.lib.stride_tricks.sliding_window_view(other, size))
    products = windows @ _standard(target[-size:]) / size
    return float(np.nanmax(products, initial=-1.0))


def _standard(values: np.ndarray) -> np.ndarray:
    """Return rows with mean 0 and deviation 1, missing values and flat rows as 0."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    filled = np.where(known, values, 0.0)
    centred = np.where(known, values - filled.sum(axis=-1, keepdims=True) / count, 0.0)
    deviation = np.sqrt(np.square(centred).sum(axis=-1, keepdims=True) / count)
    return centred / np.where(deviation > 0, deviation, 1.0)
