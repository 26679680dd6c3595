"""A single number per step, and the spread of its past errors as intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tsformer.nn.heads.levels import mean_weights, normal_quantiles
from tsformer.nn.heads.quantile import TRAINED_LEVELS, spread_out
from tsformer.nn.scaling import Scale, normalise
from tsformer.types import Prediction

POINT_LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
}


class PointHead(nn.Module):
    """A point forecast trained on squared, absolute or Huber error.

    Trained on squared errors, the point is the mean; otherwise the mean is the point plus the mean
    of its errors on held out windows, by which a point in the middle of skewed values misses it.
    A point knows no uncertainty: quantiles are the point plus the quantiles of its errors on held
    out windows, by step, which `calibrate` gathers; before that, those of a normal distribution
    as wide as the window.
    """

    errors: Tensor
    location = 0

    def __init__(self, loss: str) -> None:
        super().__init__()
        self.elementwise = POINT_LOSSES[loss]
        self.output_size = 1
        self.trained_on_squares = loss == "mse"
        self.loss_power = 2 if loss == "mse" else 1
        self.register_buffer("errors", normal_quantiles(TRAINED_LEVELS))

    def loss(
        self, output: Float[Tensor, "B C H 1"], target: Float[Tensor, "B C H"], scale: Scale
    ) -> Float[Tensor, "B C H"]:
        """Return the loss of each step, in units of the scaled series."""
        return self.elementwise(output[..., 0], normalise(target, scale), reduction="none")

    def calibrate(
        self,
        output: Float[Tensor, "M C H 1"],
        target: Float[Tensor, "M C H"],
        scale: Scale,
        known: Bool[Tensor, "M C H"],
    ) -> None:
        """Take the quantiles of errors on held out windows, pooled over steps, as the spread.

        Args:
            output, target, scale: of held out windows, as in `loss`.
            known: True where `target` is known.
        """
        pooled = (normalise(target, scale) - output[..., 0])[known].double()
        if len(pooled) >= len(TRAINED_LEVELS):
            levels = torch.tensor(TRAINED_LEVELS, dtype=torch.float64)
            errors = torch.quantile(pooled[:10_000_000], levels).to(self.errors)
            if self.trained_on_squares:  # what was held out is too little to know better by
                errors = errors - errors @ mean_weights(TRAINED_LEVELS).to(errors)
            self.errors = errors

    def predict(
        self, output: Float[Tensor, "B C H 1"], scale: Scale, levels: Sequence[float]
    ) -> Prediction:
        """Return the mean and the quantiles, in raw units."""
        # the spread is the same for all points: quantiles of the errors, added to each
        spread = Scale(self.errors.new_zeros(()), self.errors.new_ones(()))
        errors = spread_out(self.errors[None], TRAINED_LEVELS, spread, levels)
        return Prediction(
            mean=(output[..., 0] + errors.mean) * scale.scale + scale.loc,
            quantiles=(output + errors.quantiles) * scale.scale[..., None] + scale.loc[..., None],
        )
