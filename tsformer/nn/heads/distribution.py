"""Parametric distributions, as GluonTS defines them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tsformer.nn.scaling import Scale
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

    def __init__(self, name: str) -> None:
        super().__init__()
        # imports Lightning, which takes seconds: only where it is wanted
        import gluonts.torch.distributions as gluonts_distributions

        self.name = name
        self.definition: Any = getattr(gluonts_distributions, DISTRIBUTIONS[name])()
        self.sizes = list(self.definition.args_dim.values())
        self.output_size = sum(self.sizes)

    def distribution(self, output: Float[Tensor, "B C H K"], scale: Scale) -> Any:
        """Return the distribution of each step, in raw units."""
        # float32: tails and log-gamma do not bear half precision
        parameters = self.definition.domain_map(*output.float().split(self.sizes, dim=-1))
        if self.name in COUNTS:
            mean = scale.loc.clamp(min=1e-3)
            return self.definition.distribution([p.clone() for p in parameters], scale=mean)
        return self.definition.distribution(parameters, loc=scale.loc, scale=scale.divisor)

    def loss(
        self, output: Float[Tensor, "B C H K"], target: Float[Tensor, "B C H"], scale: Scale
    ) -> Float[Tensor, "B C H"]:
        """Return the negative log-likelihood of each step, up to the window's constant."""
        log_likelihood = self.distribution(output, scale).log_prob(target)
        if self.name in COUNTS:
            return -log_likelihood
        return -log_likelihood - scale.divisor.log()

    def predict(
        self, output: Float[Tensor, "B C H K"], scale: Scale, levels: Sequence[float]
    ) -> Prediction:
        """Return mean and quantiles in raw units."""
        distribution = self.distribution(output, scale)
        quantiles = [distribution.icdf(torch.full_like(output[..., 0], level)) for level in levels]
        return Prediction(mean=distribution.mean, quantiles=torch.stack(quantiles, dim=-1).float())
