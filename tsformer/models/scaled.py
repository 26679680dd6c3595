"""What all forecasting networks share: scale the window, run the network, read the head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tsformer.cores import gather_pieces
from tsformer.nn.heads import AnyHead, DistributionHead, PointHead
from tsformer.nn.scaling import Scale, instance_norm
from tsformer.types import Batch, Prediction


class ScaledModel(nn.Module):
    """A network between instance normalisation and a head: a `ForecastModel`.

    A window whose known values are all the same has no scale: it is left out of the loss, and its
    forecast is that value.

    Args:
        network: maps a batch whose target is scaled to `[B, C, H, head.output_size]`.
        head: turns that into a loss and into quantiles.
        context_length: L.
        horizon: H.
    """

    def __init__(
        self,
        network: nn.Module,
        head: AnyHead,
        *,
        context_length: int,
        horizon: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.head = head
        self.context_length = context_length
        self.horizon = horizon

    @property
    def tokens_in_pieces(self) -> int:
        """Tokens of a variate's window that layers work on, if batches may come in pieces; else 0.

        A network says so which draws by `random_keep` alone, and in which windows have nothing in
        common but `TokenBatchNorm`.
        """
        return getattr(self.network, "tokens_in_pieces", 0)

    def forward(self, batch: Batch) -> Float[Tensor, "B C H K"]:
        """Return the head's parameters, in units of the scaled series."""
        return self.run(batch)[0]

    def run(self, batch: Batch) -> tuple[Tensor, Scale]:
        """Return the head's parameters, `[B, C, H, K]`, and the windows' scales."""
        z, scale = instance_norm(batch.target, batch.observed)
        return self.network(replace(batch, target=z)), scale

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean loss over the future values that are known.

        Of a batch in pieces each gives what it adds to that mean.

        Errors count in units of the window's deviation or, where the batch has `series_scale`, in
        those of the whole series: then a calm window weighs less than a lively one.

        Raises:
            ValueError: for a batch without a future.
        """
        if batch.future is None or batch.future_observed is None:
            raise ValueError("the batch has no future to compare with")
        output, scale = self.run(batch)
        counts = batch.future_observed & (scale.scale > 0)
        target = torch.where(counts, batch.future, scale.loc)
        losses = torch.where(counts, self.head.loss(output, target, scale), 0.0)
        if batch.series_scale is not None:
            losses = losses * (scale.scale / batch.series_scale) ** self.head.loss_power
        return losses.sum() / gather_pieces(counts.sum()).sum().clamp(min=1)

    def predict(self, batch: Batch, levels: Sequence[float]) -> Prediction:
        """Return the mean, `[B, C, H]`, and the quantiles, `[B, C, H, Q]`, in raw units."""
        return self.read_head(*self.run(batch), levels)

    def read_head(self, output: Tensor, scale: Scale, levels: Sequence[float]) -> Prediction:
        """Return the prediction, from what `run` has returned."""
        mean, quantiles = self.head.predict(output, scale, levels)
        flat = scale.scale == 0
        return Prediction(
            mean=torch.where(flat, scale.loc, mean),
            quantiles=torch.where(flat[..., None], scale.loc[..., None], quantiles),
        )

    def calibrate(
        self,
        batches: Sequence[Batch],
        *,
        held_out: bool,
        runs: Sequence[tuple[Tensor, Scale]] | None = None,
    ) -> None:
        """Let the head learn how wide its intervals have to be.

        Args:
            batches: windows with a future.
            held_out: whether they were kept from training. Windows that were not can only serve a
                point head, which knows no intervals otherwise.
            runs: what `run` returns for each batch, where that is known.
        """
        if isinstance(self.head, DistributionHead) or not (
            held_out or isinstance(self.head, PointHead)
        ):
            return
        outputs, futures, scales, known = [], [], [], []
        if runs is None:
            runs = [self.run(batch) for batch in batches]
        for batch, (output, scale) in zip(batches, runs, strict=True):
            assert batch.future is not None and batch.future_observed is not None
            outputs.append(output)
            futures.append(batch.future)
            scales.append(scale)
            known.append(batch.future_observed & (scale.scale > 0))
        scale = Scale(torch.cat([s.loc for s in scales]), torch.cat([s.scale for s in scales]))
        self.head.calibrate(torch.cat(outputs), torch.cat(futures), scale, torch.cat(known))
