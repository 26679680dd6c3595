"""Scalers: series of any size into the range that few digits cover, and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

Kind = Literal["quantile", "minmax", "standard", "arcsinh", "identity"]
KINDS: tuple[Kind, ...] = ("quantile", "minmax", "standard", "arcsinh", "identity")
_LARGEST = 1e307  # the range of larger ones is more than a float holds
_FLAT = 1e-9  # a spread below this share of the values' size is that of a constant


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """`multiplier * f((x - loc) / scale) + shift`, f being the identity or arcsinh.

    Attributes:
        kind: how it was fitted; only `"arcsinh"` bends the values.
        loc, scale: of the values.
        multiplier, shift: of the result.
    """

    kind: Kind = "identity"
    loc: float = 0.0
    scale: float = 1.0
    multiplier: float = 1.0
    shift: float = 0.0

    def transform(self, values: Any) -> np.ndarray:
        """Return scaled values, NaN where they are missing."""
        numbers = np.asarray(values, dtype=np.float64)
        # both divided first: the difference of two numbers may exceed the largest float
        standard = numbers / self.scale - self.loc / self.scale
        return self.multiplier * self._bend(standard) + self.shift

    def inverse(self, scaled: Any) -> np.ndarray:
        """Return values in their own units."""
        standard = (np.asarray(scaled, dtype=np.float64) - self.shift) / self.multiplier
        standard = np.sinh(standard) if self.kind == "arcsinh" else standard
        return standard * self.scale + self.loc

    def log_derivative(self, values: Any) -> np.ndarray:
        """Return the logarithm of how much longer a small distance becomes by `transform`.

        A density of scaled values becomes one of the values by adding this to its logarithm.
        """
        numbers = np.asarray(values, dtype=np.float64)
        slope = np.full(numbers.shape, np.log(self.multiplier) - np.log(self.scale))
        if self.kind == "arcsinh":
            standard = numbers / self.scale - self.loc / self.scale
            slope -= np.log(np.hypot(1.0, standard))  # a square might exceed the largest float
        return slope

    def to_json(self) -> dict[str, Any]:
        """Return it as plain words and numbers."""
        return asdict(self)

    def _bend(self, standard: np.ndarray) -> np.ndarray:
        return np.arcsinh(standard) if self.kind == "arcsinh" else standard


def fit_scaler(
    values: Any,
    kind: Kind = "quantile",
    *,
    alpha: float = 0.95,
    beta: float = 0.3,
    multiplier: float = 1.0,
    shift: float = 0.0,
) -> Scaler:
    """Return a scaler for values like these. Missing and infinite ones are not looked at.

    - `quantile`: as LLMTime (Gruver et al. 2023, section 3): the minimum less beta times the range
      goes to 0, and the alpha quantile to 1.
    - `minmax`: the range goes to 0 … 1.
    - `standard`: mean 0, deviation 1.
    - `arcsinh`: the same, then bent by arcsinh: far values need few digits more.
    - `identity`: the values as they are.

    A constant series is only moved, and a scale is never so small that it overflows.

    Args:
        values: `[T]`.
        kind: see above.
        alpha: of `quantile`: share of the values that come below 1.
        beta: of `quantile`: room below the smallest value, in ranges.
        multiplier, shift: applied to the result.

    Raises:
        ValueError: where no value is finite, one is beyond 1e307, or a parameter is out of range.
    """
    numbers = np.asarray(values, dtype=np.float64).ravel()
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        raise ValueError("no value is finite: there is nothing to fit a scaler to")
    if not 0 < alpha <= 1 or beta < 0 or multiplier <= 0:
        raise ValueError(
            f"alpha={alpha} must lie in (0, 1], beta={beta} must not be negative and "
            f"multiplier={multiplier} must be positive"
        )
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is none of {', '.join(KINDS)}")
    size = float(np.abs(numbers).max()) or 1.0
    if size > _LARGEST:
        raise ValueError(f"a value of {size:g} is too large to be scaled; change its unit")
    loc, scale = _loc_and_scale(numbers / size, kind, alpha, beta)
    if kind != "identity":
        spread = max(scale * size, float(np.finfo(np.float64).tiny))
        loc, scale = loc * size, spread if scale > _FLAT else max(size * _FLAT, 1.0)
    return Scaler(kind=kind, loc=loc, scale=scale, multiplier=multiplier, shift=shift)


def _loc_and_scale(
    numbers: np.ndarray, kind: Kind, alpha: float, beta: float
) -> tuple[float, float]:
    """Return them for values between -1 and 1."""
    low, high = float(numbers.min()), float(numbers.max())
    if kind == "quantile":
        loc = low - beta * (high - low)
        return loc, float(np.quantile(numbers - loc, alpha))
    if kind == "minmax":
        return low, high - low
    if kind in ("standard", "arcsinh"):
        return float(numbers.mean()), float(numbers.std())
    return 0.0, 1.0
