from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tsformer.nn.covariates import CovariateEmbedding, CovariateReadout
from tsformer.nn.patching import patch_count
from tsformer.types import Batch

N_BATCH, K, F, D = 2, 3, 2, 6
CONTEXT, HORIZON = 11, 7
SIZES = [(4, 4), (4, 2), (3, 1)]  # patch_length and stride, which all need end padding


def make_embedding(
    n_covariates: int = K, n_static: int = F, *, patch_length: int = 4, stride: int = 2
) -> CovariateEmbedding:
    """Return one that adds something: a new one adds nothing."""
    torch.manual_seed(0)
    sizes = {"patch_length": patch_length, "stride": stride}
    embedding = CovariateEmbedding(n_covariates, n_static, **sizes, d_model=D)
    for parameter in embedding.parameters():
        torch.nn.init.normal_(parameter)
    return embedding


def make_readout() -> CovariateReadout:
    torch.manual_seed(0)
    readout = CovariateReadout(K, d_model=D, output_size=2)
    torch.nn.init.normal_(readout.output.weight)
    return readout


def make_batch() -> Batch:
    """Return two variates with covariates of which a third is unknown."""
    generator = torch.Generator().manual_seed(1)
    shape = (N_BATCH, K, CONTEXT + HORIZON)
    known = torch.rand(shape, generator=generator) > 0.3
    return Batch(
        target=torch.zeros(N_BATCH, 2, CONTEXT),
        observed=torch.ones(N_BATCH, 2, CONTEXT, dtype=torch.bool),
        covariates=torch.randn(shape, generator=generator) * known,
        covariates_observed=known,
        static=torch.randn(N_BATCH, F, generator=generator),
    )


def make_summary() -> Tensor:
    return torch.randn(N_BATCH, 2, D, generator=torch.Generator().manual_seed(2))


def test_a_new_embedding_adds_nothing() -> None:
    assert (CovariateEmbedding(K, F, patch_length=4, stride=2, d_model=D)(make_batch()) == 0).all()


@pytest.mark.parametrize(("patch_length", "stride"), SIZES)
def test_a_token_gets_what_each_step_of_its_patch_says_and_what_is_known_of_it(
    patch_length: int, stride: int
) -> None:
    embedding = make_embedding(patch_length=patch_length, stride=stride)
    batch = make_batch()
    assert batch.covariates is not None
    assert batch.covariates_observed is not None
    assert batch.static is not None
    got = embedding(batch)
    n_patches = patch_count(CONTEXT, patch_length, stride)
    assert got.shape == (N_BATCH, 1, n_patches, D)
    weight = embedding.by_patch.weight.unflatten(1, (2, K, patch_length))
    for window in range(N_BATCH):
        for token in range(n_patches):
            expected = embedding.by_series.weight @ batch.static[window]
            for covariate in range(K):
                for step in range(patch_length):
                    time = min(stride * token + step, CONTEXT - 1)  # the last one is repeated
                    place = window, covariate, time
                    expected = expected + weight[:, 0, covariate, step] * batch.covariates[place]
                    if batch.covariates_observed[place]:
                        expected = expected + weight[:, 1, covariate, step]
            torch.testing.assert_close(got[window, 0, token], expected, rtol=1e-4, atol=1e-5)


def test_what_comes_after_the_context_is_not_embedded() -> None:
    embedding, batch = make_embedding(), make_batch()
    assert batch.covariates is not None
    assert batch.covariates_observed is not None
    expected = embedding(batch)
    batch.covariates[..., CONTEXT:] = 99.0
    batch.covariates_observed[..., CONTEXT:] ^= True
    assert torch.equal(embedding(batch), expected)


def test_either_kind_of_covariates_may_be_absent() -> None:
    batch = make_batch()
    both = make_embedding()(batch)
    along_time = make_embedding(n_static=0)(replace(batch, static=None))
    assert along_time.shape == both.shape
    assert not torch.allclose(along_time, both)
    bare = Batch(target=batch.target, observed=batch.observed)
    of_series = make_embedding(n_covariates=0)(replace(bare, static=batch.static))
    assert of_series.shape == (N_BATCH, 1, 1, D)
    assert make_embedding(0, 0)(bare) == 0.0
    assert list(make_embedding(0, 0).parameters()) == []


def test_an_unknown_value_is_not_a_known_zero() -> None:
    batch = make_batch()
    assert batch.covariates is not None
    zero = torch.zeros_like(batch.covariates)
    answers = [
        (
            make_embedding()(replace(batch, covariates=zero, covariates_observed=known)),
            make_readout()(
                replace(batch, covariates=zero, covariates_observed=known), make_summary()
            ),
        )
        for known in (torch.ones_like(zero, dtype=torch.bool), zero.bool())
    ]
    for first, second in zip(*answers, strict=True):
        assert (first != second).any(dim=-1).all()


def test_a_new_readout_changes_nothing() -> None:
    readout = CovariateReadout(K, d_model=D, output_size=2)
    assert (readout(make_batch(), make_summary()) == 0).all()


@pytest.mark.parametrize("step", range(HORIZON))
def test_a_step_is_changed_by_its_own_covariates_alone(step: int) -> None:
    readout, batch = make_readout(), make_batch()
    assert batch.covariates is not None
    covariates = batch.covariates.clone().requires_grad_(True)
    got = readout(replace(batch, covariates=covariates), make_summary())
    assert got.shape == (N_BATCH, 2, HORIZON, 2)
    (gradient,) = torch.autograd.grad(got[:, :, step].sum(), covariates)
    reached = (gradient != 0).any(dim=1)  # [B, L + H]
    expected = torch.arange(CONTEXT + HORIZON) == CONTEXT + step
    assert torch.equal(reached, expected.expand(N_BATCH, -1))


def test_all_steps_of_a_variate_hear_its_summary() -> None:
    readout, batch, summary = make_readout(), make_batch(), make_summary()
    before = readout(batch, summary)
    summary[:, 1] += 1.0
    changed = (readout(batch, summary) != before).any(dim=-1)  # [B, C, H]
    assert not changed[:, 0].any()
    assert changed[:, 1].all()


def test_what_covariates_change_depends_on_the_summary() -> None:
    """Else a step would be changed alike, whatever the series is doing."""
    readout, batch = make_readout(), make_batch()
    assert batch.covariates is not None
    moved = replace(batch, covariates=batch.covariates + 1)
    effects = [readout(moved, s) - readout(batch, s) for s in (make_summary(), -make_summary())]
    assert not torch.allclose(*effects, atol=1e-3)
