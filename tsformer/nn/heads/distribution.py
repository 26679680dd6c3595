"""Parametric distributions, as GluonTS defines them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tsformer.nn.scaling import Scale, divisor
from tsformer.types import Prediction

DISTRIBUTIONS = {
    "student_t": "StudentTOutput",
    "normal": "NormalOutput",
    "laplace": "LaplaceOutput",
    "negative_binomial": "NegativeBinomialOutput",
}
COUNTS = ("negative_binomial",)


class DistributionHead(nn.Module):
    """The parameters of a distribution, trained on the negative log-likelihood in nats.

    Distributions on the real line are moved and stretched by the window's scale. Those of counts
    are scaled by the window's mean, as DeepAR does (Salinas et al. 2020): their parameters must
    stay those of counts.
    """

    loss_power = 0

    def __init__(self, name: str) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*json.*")  # it would like a faster one
            # imports Lightning, which takes seconds: only where it is wanted
            import gluonts.torch.distributions as gluonts_distributions

        self.name = name
        self.definition: Any = getattr(gluonts_distributions, DISTRIBUTIONS[name])()
        self.sizes = list(self.definition.args_dim.values())
        self.output_size = sum(self.sizes)
        names = list(self.definition.args_dim)
        self.location = names.index("loc") if "loc" in names else None

    def distribution(self, output: Float[Tensor, "B C H K"], scale: Scale) -> Any:
        """Return the distribution of each step, in raw units."""
        parameters = self.definition.domain_map(*self._wide(output).split(self.sizes, dim=-1))
        if self.name in COUNTS:
            mean = self._wide(scale.loc).clamp(min=1e-3)
            return self.definition.distribution([p.clone() for p in parameters], scale=mean)
        return self.definition.distribution(parameters, loc=scale.loc, scale=divisor(scale))

    def _wide(self, values: Tensor) -> Tensor:
        """Return values in the precision that tails (single) and large counts (double) need."""
        exact = self.name in COUNTS and values.device.type != "mps"  # which has no double
        return values.double() if exact else values.float()

    def loss(
        self, output: Float[Tensor, "B C H K"], target: Float[Tensor, "B C H"], scale: Scale
    ) -> Float[Tensor, "B C H"]:
        """Return the negative log-likelihood of each step, up to the window's constant."""
        distribution = self.distribution(output, scale)
        if self.name in COUNTS:
            counts = self._wide(target).round().clamp(min=0)  # at unknown steps it need not be one
            return -distribution.log_prob(counts).float()
        return -distribution.log_prob(target) - divisor(scale).log()

    def predict(
        self, output: Float[Tensor, "B C H K"], scale: Scale, levels: Sequence[float]
    ) -> Prediction:
        """Return mean and quantiles in raw units."""
        distribution = self.distribution(output, scale)
        mean = distribution.mean
        quantiles = [distribution.icdf(torch.full_like(mean, level)) for level in levels]
        return Prediction(mean=mean.float(), quantiles=torch.stack(quantiles, dim=-1).float())
