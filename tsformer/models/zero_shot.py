"""TSFormer with its scaling: values in, forecasts out, in the units of the series."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tsformer.models.description import Described, describe
from tsformer.models.tsformer import LEVELS, TSFormerConfig, TSFormerNetwork
from tsformer.nn.heads.quantile import spread_out
from tsformer.nn.scaling import Scale, instance_norm, normalise
from tsformer.types import Batch, Prediction

_LEAST_ERROR = 1e-6  # whose logarithm still counts
_LEAST_WIDTH = 0.1  # of a forecast, in errors of the best echo, that a loss is measured by


class TSFormer(nn.Module):
    """The network with its scaling and its head."""

    def __init__(self, config: TSFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.network = TSFormerNetwork(config)

    def prepare(
        self,
        values: Float[Tensor, "B L"],
        observed: Bool[Tensor, "B L"],
        future: Float[Tensor, "B H"],
        season: Int[Tensor, " B"],
    ) -> tuple[Described, Float[Tensor, "B H"], Bool[Tensor, "B H"]]:
        """Return windows as `score` takes them: described, with their scaled future.

        L and H are multiples of the patch length; content at missing places does not matter.
        A context whose values are all the same has no scale and does not count.
        """
        z, scale = _standardised(values, observed)
        series = self._describe(z, observed, season, future.shape[1])
        counts = (scale.scale > 0).expand_as(future)
        target = torch.where(counts, normalise(future, scale), 0.0)
        return series, target, counts

    def score(self, series: Described, target: Tensor, counts: Tensor) -> Float[Tensor, ""]:
        """Return the loss to train by: twice the pinball loss in widths of the forecast itself.

        The width is that of the step's own 90 % interval, and no gradient flows through it: all
        series count alike, whatever their noise, and the first steps of a horizon as much as the
        last, while the least loss is still where the forecast is the distribution of what comes.
        """
        losses, quantiles = self._losses(series, target)
        width = (quantiles[..., -2] - quantiles[..., 1]).detach()
        weighed = losses / torch.maximum(width, _LEAST_WIDTH * series.error)
        return (weighed * counts).sum() / counts.sum().clamp(min=1)

    def errors(
        self, series: Described, target: Tensor, counts: Tensor
    ) -> tuple[Float[Tensor, " B"], Int[Tensor, " B"]]:
        """Return each series' mean of twice the pinball loss, in errors of its best echo.

        Networks can be compared by it. The second is how many steps it is a mean of.
        """
        losses, _ = self._losses(series, target)
        count = counts.sum(dim=1)
        return (losses * counts).sum(dim=1) / count.clamp(min=1) / series.error[:, 0], count

    def _losses(self, series: Described, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return twice the pinball loss of each step, and the quantiles."""
        quantiles = self.network(series, target.shape[1] // self.config.patch_length)
        error, level = target[..., None] - quantiles, self.network.head.level_tensor
        return 2 * torch.maximum(level * error, (level - 1) * error).mean(dim=-1), quantiles

    def embed(
        self, values: Float[Tensor, "B L"], observed: Bool[Tensor, "B L"], season_length: int = 1
    ) -> Float[Tensor, "B D"]:
        """Return a vector for each series: the mean of its known tokens, and those of what comes.

        Series that go on alike have similar ones, whatever their units.
        """
        series, _ = self._read(values, observed, season_length, self.config.patch_length)
        tokens = self.network.encode(series, 1)
        known = series.known[..., None]
        return (tokens * known).sum(dim=1) / known.sum(dim=1)

    def forecast(
        self,
        batch: Batch,
        levels: Sequence[float],
        horizon: int,
        season_length: int = 1,
        *,
        halves: bool = False,
    ) -> Prediction:
        """Return the mean, `[B, C, H]`, and the quantiles, `[B, C, H, Q]`, in raw units.

        Args:
            batch: contexts of any length.
            levels: of the quantiles.
            horizon: H.
            season_length: what the calendar suggests, in steps; 1 for nothing.
            halves: whether the network multiplies in bfloat16.
        """
        steps = self.config.patch_length
        n_horizon = -(-horizon // steps)
        values, observed = batch.target.flatten(0, 1), batch.observed.flatten(0, 1)
        series, scale = self._read(values, observed, season_length, n_horizon * steps)
        in_halves = torch.autocast(values.device.type, torch.bfloat16) if halves else nullcontext()
        with in_halves:
            quantiles = self.network(series, n_horizon)[:, :horizon]
        mean, spread = spread_out(quantiles, LEVELS, scale, levels)
        flat = scale.scale == 0
        mean = torch.where(flat, scale.loc, mean)
        spread = torch.where(flat[..., None], scale.loc[..., None], spread)
        shape = batch.target.shape[:2]
        return Prediction(mean=mean.unflatten(0, shape), quantiles=spread.unflatten(0, shape))

    def _read(
        self, values: Tensor, observed: Tensor, season_length: int, horizon: int
    ) -> tuple[Described, Scale]:
        """Return what the network is told of contexts of any length, and their scale."""
        short = -values.shape[1] % self.config.patch_length
        values, observed = F.pad(values, (short, 0)), F.pad(observed, (short, 0))
        z, scale = _standardised(values, observed)
        season = torch.full_like(z[:, 0], season_length, dtype=torch.long)
        return self._describe(z, observed, season, horizon), scale

    def _describe(self, z: Tensor, observed: Tensor, season: Tensor, horizon: int) -> Described:
        steps = self.config.patch_length
        return describe(z, observed, season, horizon=horizon, patch_length=steps)


class AskedTSFormer(nn.Module):
    """A TSFormer that is asked for a number of steps: a `ForecastModel`.

    Args:
        model: shared, not copied.
        context_length, horizon: L and H.
        season_length: what the calendar suggests; 1 for nothing.
        halves: whether the network multiplies in bfloat16 when it predicts.
    """

    def __init__(
        self,
        model: TSFormer,
        *,
        context_length: int,
        horizon: int,
        season_length: int,
        halves: bool = False,
    ) -> None:
        super().__init__()
        self.halves = halves
        self.model = model
        self.context_length = context_length
        self.horizon = horizon
        self.season_length = season_length

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return `TSFormer.score` of the future values that are known.

        In evaluation mode it is the mean logarithm of `TSFormer.errors`, by which networks can be
        compared, and which no single window decides.

        Raises:
            ValueError: for a batch without a future.
        """
        if batch.future is None or batch.future_observed is None:
            raise ValueError("the batch has no future to compare with")
        steps = self.model.config.patch_length
        short, more = -batch.target.shape[-1] % steps, -batch.future.shape[-1] % steps
        values = F.pad(batch.target.flatten(0, 1), (short, 0))
        observed = F.pad(batch.observed.flatten(0, 1), (short, 0))
        future = F.pad(batch.future.flatten(0, 1), (0, more))
        known = F.pad(batch.future_observed.flatten(0, 1), (0, more))
        season = torch.full_like(values[:, 0], self.season_length, dtype=torch.long)
        with torch.no_grad():
            series, target, counts = self.model.prepare(values, observed, future, season)
        counts = counts & known
        target = torch.where(counts, target, 0.0)
        if self.training:
            return self.model.score(series, target, counts)
        errors, count = self.model.errors(series, target, counts)
        logs = torch.where(count > 0, errors.clamp(min=_LEAST_ERROR).log(), 0.0)
        return logs.sum() / (count > 0).sum().clamp(min=1)

    def predict(self, batch: Batch, levels: Sequence[float]) -> Prediction:
        """Return the mean, `[B, C, H]`, and the quantiles, `[B, C, H, Q]`, in raw units."""
        return self.model.forecast(
            batch, levels, self.horizon, self.season_length, halves=self.halves
        )


def _standardised(values: Tensor, observed: Tensor) -> tuple[Tensor, Scale]:
    z, scale = instance_norm(values[:, None], observed[:, None])
    return z[:, 0], Scale(scale.loc[:, 0], scale.scale[:, 0])
