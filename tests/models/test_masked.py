from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tsformer.models.masked import MaskedModel
from tsformer.models.patchtst import PatchTSTConfig, patchtst
from tsformer.nn.patching import patch_count
from tsformer.types import Batch

PATCH, WIDTH = 4, 8
LENGTHS = [8, 21, 23, 24]  # multiples of the patch or not, the shortest of two patches


class Recorder(nn.Module):
    """Keeps what it sees; its tokens are the same for every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Batch] = []

    def encode(self, batch: Batch) -> tuple[Tensor, None]:
        self.seen.append(batch)
        n_batch, n_variates, length = batch.target.shape
        shape = (n_batch, n_variates, patch_count(length, PATCH, PATCH), WIDTH)
        tokens = torch.randn(shape, generator=torch.Generator().manual_seed(3))
        return tokens.to(batch.target.device), None


def make_recorder(share: float = 0.4) -> MaskedModel:
    torch.manual_seed(0)
    return MaskedModel(Recorder(), d_model=WIDTH, patch_length=PATCH, share=share).eval()


def make_masked(norm: str = "layer", d_model: int = WIDTH, **sizes: int) -> MaskedModel:
    """Return a PatchTST to pre-train."""
    torch.manual_seed(0)
    config = PatchTSTConfig(
        context_length=24,
        horizon=3,
        patch_length=PATCH,
        stride=PATCH,
        d_model=d_model,
        n_heads=2,
        n_layers=1,
        d_ff=16,
        dropout=0.0,
        norm=norm,
        **sizes,
    )
    return MaskedModel(patchtst(config).network, d_model=d_model, patch_length=PATCH)


def make_batch(length: int = 24, missing: float = 0.0, n_batch: int = 5) -> Batch:
    generator = torch.Generator().manual_seed(1)
    values = 30 + 5 * torch.randn(n_batch, 2, length, generator=generator)
    observed = torch.rand(values.shape, generator=generator) >= missing
    return Batch(target=torch.where(observed, values, 0.0), observed=observed)


def seen_by(model: MaskedModel, batch: Batch) -> Batch:
    """Return what the network of a recorder sees of a batch."""
    model.loss(batch)
    recorder: Recorder = model.network  # type: ignore[assignment]
    return recorder.seen[-1]


def hidden_patches(model: MaskedModel, batch: Batch) -> Tensor:
    """Return which patches a recorder was not shown, `[B, C, N]`, of complete windows."""
    hidden = ~seen_by(model, batch).observed
    length = hidden.shape[-1]
    padded = nn.functional.pad(hidden, (0, -length % PATCH)).unflatten(-1, (-1, PATCH))
    return padded.any(dim=-1)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_hidden_values_change_nothing_that_the_network_sees(length: int, missing: float) -> None:
    model, batch = make_recorder(), make_batch(length, missing)
    seen = seen_by(model, batch)
    hidden = batch.observed & ~seen.observed
    assert hidden.any()
    target = torch.where(hidden, 1e3 - 7 * batch.target, batch.target)
    other = seen_by(model, replace(batch, target=target))
    assert torch.equal(other.target, seen.target)
    assert torch.equal(other.observed, seen.observed)
    assert (seen.target[~seen.observed] == 0).all()


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_tokens_have_no_gradient_by_hidden_values(norm: str) -> None:
    model, batch = make_masked(norm).eval(), make_batch()
    hidden = ~seen_by(make_recorder(), batch).observed  # the same ones: it is no training
    target = batch.target.clone().requires_grad_(True)
    tokens = []
    encode = model.network.encode

    def recorded(batch: Batch) -> tuple[Tensor, Tensor | None]:
        encoded = encode(batch)
        tokens.append(encoded[0])
        return encoded

    model.network.encode = recorded  # type: ignore[method-assign]
    model.loss(replace(batch, target=target))
    direction = torch.randn(tokens[0].shape, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad((tokens[0] * direction).sum(), target)
    assert (gradient[hidden] == 0).all()
    assert (gradient[~hidden] != 0).all()


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("share", [0.05, 0.4, 0.9])
def test_so_many_patches_are_hidden_and_all_of_their_steps(length: int, share: float) -> None:
    hidden = hidden_patches(make_recorder(share), make_batch(length))
    n_patches = -(-length // PATCH)
    expected = min(max(1, round(share * n_patches)), n_patches - 1)
    assert (hidden.sum(dim=-1) == expected).all()
    steps = hidden.repeat_interleave(PATCH, dim=-1)[..., :length]
    seen = seen_by(make_recorder(share), make_batch(length))
    assert torch.equal(steps, ~seen.observed)


def test_every_patch_has_its_turn() -> None:
    hidden = hidden_patches(make_recorder(), make_batch(21, n_batch=200))
    frequency = hidden.float().mean(dim=(0, 1))
    assert frequency.min() > 0.25
    assert frequency.max() < 0.42  # two of six


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_loss_is_the_mean_squared_error_of_observed_hidden_steps(
    length: int, missing: float
) -> None:
    model, batch = make_recorder(), make_batch(length, missing)
    seen = seen_by(model, batch)
    tokens, _ = model.network.encode(batch)
    output = model.reconstruction(tokens).detach().double().numpy()
    errors = []
    for window, variate in np.ndindex(5, 2):
        values = batch.target[window, variate].double().numpy()
        known = batch.observed[window, variate].numpy()
        shown = seen.observed[window, variate].numpy()
        if not shown.any():
            continue
        loc, scale = values[shown].mean(), values[shown].std()
        for step in range(length):
            if known[step] and not shown[step] and scale > 0:
                guess = output[window, variate, step // PATCH, step % PATCH] * scale + loc
                errors.append((guess - values[step]) / values[known].std())
    assert model.loss(batch).item() == pytest.approx(np.square(errors).mean(), rel=1e-4)


def test_the_unit_and_the_level_of_a_series_make_no_difference() -> None:
    model, batch = make_recorder(), make_batch(missing=0.2)
    moved = replace(batch, target=torch.where(batch.observed, 1000 * batch.target - 5e4, 0.0))
    torch.testing.assert_close(model.loss(moved), model.loss(batch), rtol=1e-4, atol=1e-5)


def test_what_stands_at_missing_places_has_no_influence() -> None:
    model, batch = make_masked().eval(), make_batch(missing=0.3)
    garbage = replace(batch, target=torch.where(batch.observed, batch.target, -1e9))
    assert torch.equal(model.loss(garbage), model.loss(batch))


def test_windows_that_are_constant_or_empty_do_not_count() -> None:
    model, batch = make_recorder(), make_batch()
    counted = model.loss(batch)
    target, observed = batch.target.clone(), batch.observed.clone()
    target[3], observed[4] = 5.0, False
    partly = replace(batch, target=torch.where(observed, target, 0.0), observed=observed)
    assert model.loss(partly).isfinite()
    assert model.loss(partly) != counted
    target[3] = 1e6
    again = replace(partly, target=torch.where(observed, target, 0.0))
    assert torch.equal(model.loss(again), model.loss(partly))
    nothing = replace(batch, observed=torch.zeros_like(observed))
    assert model.loss(nothing) == 0


def test_outside_training_the_same_is_hidden_each_time() -> None:
    model, batch = make_masked().eval(), make_batch()
    state = torch.get_rng_state()
    first = model.loss(batch)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert torch.equal(model.loss(batch), first)
    model.train()
    assert len({model.loss(batch).item() for _ in range(4)}) == 4


def test_covariates_reach_the_network() -> None:
    model, batch = make_recorder(), make_batch()
    covariates = torch.randn(5, 3, 30)
    given = replace(
        batch,
        covariates=covariates,
        covariates_observed=torch.ones_like(covariates, dtype=torch.bool),
        static=torch.randn(5, 2),
    )
    seen = seen_by(model, given)
    assert seen.covariates is covariates
    assert seen.covariates_observed is given.covariates_observed
    assert seen.static is given.static
    assert make_masked(n_covariates=3, n_static=2).loss(given).isfinite()


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_the_loss_reaches_every_weight_but_those_of_the_forecast(norm: str) -> None:
    model = make_masked(norm).train()
    model.loss(make_batch(missing=0.2)).backward()
    for name, parameter in model.named_parameters():
        if name.startswith("network.flatten_head"):
            assert parameter.grad is None
        elif not name.endswith("query_key_value.bias"):  # the keys' bias cancels in the softmax
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_hidden_patches_of_a_wave_are_filled_in(norm: str) -> None:
    """The window's mean, which an untrained network fills in, misses by one deviation."""
    model = make_masked(norm, d_model=32).train()
    generator = torch.Generator().manual_seed(0)

    def waves(n_batch: int) -> Batch:
        phase = torch.randint(0, 8, (n_batch, 1, 1), generator=generator)
        values = torch.sin((torch.arange(24) + phase) * 2 * torch.pi / 8)
        return Batch(target=values, observed=torch.ones_like(values, dtype=torch.bool))

    held_out = waves(64)
    before = model.eval().loss(held_out).item()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    model.train()
    for _ in range(120):
        optimizer.zero_grad()
        model.loss(waves(32)).backward()
        optimizer.step()
    assert before > 0.8
    assert model.eval().loss(held_out).item() < 0.3


def test_nothing_is_left_behind_on_another_device() -> None:
    """A meta tensor refuses to meet one of the CPU, as one of a GPU does."""
    model = make_recorder().to("meta")
    batch = make_batch().to("meta")
    assert model.loss(batch).device.type == "meta"
    assert model.train().loss(batch).device.type == "meta"


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5])
def test_a_share_that_hides_nothing_or_all_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=f"mask_share={share} must lie between 0 and 1"):
        make_recorder(share)
