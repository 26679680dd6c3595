"""What is known of a series before a language model is asked, and how it is scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tsformer.llm.scaler import Kind, Scaler, fit_scaler
from tsformer.llm.serialize import SerializerSettings


@dataclass(frozen=True, kw_only=True)
class Context:
    """What is known of a series.

    Attributes:
        values: `[T]`, raw units, NaN = missing, at least one known.
        label: the name of the series, for warnings and errors.
        header: a text before the values.
        number: tells contexts of equal content apart, so that each gets draws of its own.
    """

    values: np.ndarray
    label: str = ""
    header: str = ""
    number: int = 0


def scaler_for(settings: SerializerSettings, values: Any, kind: Kind) -> Scaler:
    """Return a scaler that brings values to where settings can write them, with room around.

    Unsigned settings get zero of `standard` and `arcsinh` moved to the middle of their range.
    """
    if kind == "identity":
        return fit_scaler(values, kind)
    if kind in ("standard", "arcsinh") and not settings.signed:
        middle = settings.limit / 2
        return fit_scaler(values, kind, multiplier=middle / 4, shift=middle)
    return fit_scaler(values, kind, multiplier=settings.reference)


def filled(known: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return what was known and what came, a missing value of the latter as the one before."""
    values = np.concatenate([known, truth])
    for place in range(len(known), len(values)):
        if np.isnan(values[place]):
            before = values[:place][np.isfinite(values[:place])]
            values[place] = before[-1]
    return values
