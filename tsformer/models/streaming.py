"""The recurrent transformer with its head: windows read in parallel, series read as they come."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tsformer.models.recurrent import RecurrentConfig, RecurrentNetwork
from tsformer.models.scaled import ScaledModel
from tsformer.models.states import State
from tsformer.nn.heads import make_head
from tsformer.nn.scaling import Scale
from tsformer.types import Batch, Prediction

_AT_ONCE = 64  # patches of a long series that are read in parallel


class RecurrentModel(ScaledModel):
    """The network with its head: a `ForecastModel` for windows that can also go on from a state."""

    network: RecurrentNetwork

    def read(
        self, state: State, values: Float[Tensor, "R T"], observed: Bool[Tensor, "R T"]
    ) -> State:
        """Return the state after further whole patches, if there are any."""
        if values.shape[1] == 0:
            return state
        patch_length = self.network.patch_length
        for part, known in zip(
            values.split(_AT_ONCE * patch_length, dim=1),
            observed.split(_AT_ONCE * patch_length, dim=1),
            strict=True,
        ):
            patches, seen = (x.unflatten(1, (-1, patch_length)) for x in (part, known))
            nobody = (len(part), 0, 0)
            _, _, state = self.network(
                state, patches, seen, part.new_zeros(nobody), known.new_zeros(nobody)
            )
        return state

    def ask(
        self,
        state: State,
        values: Float[Tensor, "R p"],
        observed: Bool[Tensor, "R p"],
        levels: Sequence[float],
    ) -> Prediction:
        """Return mean and quantiles, `[R, 1, H, …]`, of the steps after a patch that has begun."""
        begun, seen = values[:, None], observed[:, None]
        no_patch = (len(values), 0, self.network.patch_length)
        output, scale, _ = self.network(
            state, values.new_zeros(no_patch), observed.new_zeros(no_patch), begun, seen
        )
        return self.read_head(output, scale, levels)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean loss; in training over forecasts from all patches of the later half.

        How many steps of a patch are known is drawn anew for each batch in training.
        """
        if not self.training or batch.future is None or batch.future_observed is None:
            return super().loss(batch)
        length, patch_length = self.context_length, self.network.patch_length
        n_known = int(torch.randint(min(patch_length, length - patch_length + 1), ()))
        n_patches = (length - n_known) // patch_length
        n_asked = -(-n_patches // 2)
        output, scale = self._outputs(batch, n_known, n_asked)
        begin = length - (n_asked - 1) * patch_length
        truth, known = (
            torch.cat(parts, dim=-1).flatten(0, 1)[:, begin:].unfold(1, self.horizon, patch_length)
            for parts in ([batch.target, batch.future], [batch.observed, batch.future_observed])
        )  # [R, M, H]
        counts = known & (scale.scale > 0)
        target = torch.where(counts, truth, scale.loc)
        losses = torch.where(counts, self.head.loss(output, target, scale), 0.0)
        if batch.series_scale is not None:
            units = scale.scale / batch.series_scale.flatten(0, 1)[..., None]
            losses = losses * units**self.head.loss_power
        return losses.sum() / counts.sum().clamp(min=1)

    def run(self, batch: Batch) -> tuple[Tensor, Scale]:
        """Return the head's parameters, `[B, C, H, K]`, and the windows' scales."""
        output, scale = self._outputs(batch, n_known=0, n_asked=1)
        shape = batch.target.shape[:2]
        loc, size = (part[:, 0].unflatten(0, shape) for part in scale)
        return output[:, 0].unflatten(0, shape), Scale(loc, size)

    def _outputs(self, batch: Batch, n_known: int, n_asked: int) -> tuple[Tensor, Scale]:
        """Return what is said at the end of a window and at the ends of patches before, `[R, M]`.

        The oldest steps, which do not fill a patch, are left out.
        """
        values, observed = batch.target.flatten(0, 1), batch.observed.flatten(0, 1)
        patch_length, length = self.network.patch_length, values.shape[1]
        n_patches = (length - n_known) // patch_length
        first = length - n_known - n_patches * patch_length
        patches, seen = (
            x[:, first : length - n_known].unflatten(1, (n_patches, patch_length))
            for x in (values, observed)
        )
        begin = length - n_known - (n_asked - 1) * patch_length
        begun, begun_seen = (
            x[:, begin:].unfold(1, n_known, patch_length)
            if n_known
            else x[:, None, :0].expand(-1, n_asked, -1)
            for x in (values, observed)
        )
        output, scale, _ = self.network(
            self.network.start(values), patches, seen, begun, begun_seen
        )
        return output, scale


def recurrent(config: RecurrentConfig) -> RecurrentModel:
    """Return an untrained recurrent transformer, its head chosen by `config.head`."""
    head = make_head(config.head, levels=config.levels)
    network = RecurrentNetwork(config, head.output_size)
    return RecurrentModel(
        network, head, context_length=config.context_length, horizon=config.horizon
    )
