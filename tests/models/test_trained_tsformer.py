from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tsformer.models.scaled import ScaledModel
from tsformer.models.trained_tsformer import TrainedTSFormerConfig, trained_tsformer
from tsformer.nn.scaling import divisor
from tsformer.types import Batch

LEVELS = (0.1, 0.5, 0.9)
CONFIG = TrainedTSFormerConfig(  # neither context nor horizon is a multiple of patch or stride
    context_length=23,
    horizon=7,
    patch_length=4,
    stride=2,
    d_model=16,
    n_heads=2,
    n_layers=2,
    d_ff=24,
)
COVARIATES = {"n_covariates": 3, "n_static": 2}
READOUTS = ["flat", "tokens"]
NORMS = ["batch", "layer", "rms"]
HEADS = ["quantile", "mse", "mae", "huber", "student_t", "normal", "laplace", "negative_binomial"]


def make_model(**changes: Any) -> ScaledModel:
    """Return a model whose every weight matters: readout and covariates of a new one are zero."""
    torch.manual_seed(0)
    model = trained_tsformer(replace(CONFIG, **changes)).eval()
    for parameter in model.network.parameters():
        if (parameter == 0).all():
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def make_batch(n_batch: int = 3, n_variates: int = 2, missing: float = 0.0, **sizes: int) -> Batch:
    """Return windows of counts, with covariates of which a third is unknown."""
    generator = torch.Generator().manual_seed(1)
    config = replace(CONFIG, **sizes)
    shape = (n_batch, n_variates, config.context_length + config.horizon)
    values = torch.poisson(torch.full(shape, 9.0), generator=generator)
    observed = torch.rand(shape, generator=generator) >= missing
    past, steps = config.context_length, shape[-1]
    known = torch.rand(n_batch, 3, steps, generator=generator) > 0.3
    return Batch(
        target=torch.where(observed, values, 0.0)[..., :past],
        observed=observed[..., :past],
        future=values[..., past:],
        future_observed=torch.ones_like(observed[..., past:]),
        covariates=torch.randn(n_batch, 3, steps, generator=generator) * known,
        covariates_observed=known,
        static=torch.randn(n_batch, 2, generator=generator),
    )


def rows(batch: Batch, numbers: Any, axis: int = 0) -> Batch:
    """Return some windows of a batch, or (axis 1) some variates of all."""
    parts = {"target": batch.target, "observed": batch.observed}
    if axis == 0:
        covariates = ("covariates", "covariates_observed", "static")
        parts |= {name: getattr(batch, name) for name in covariates}
    chosen = {
        name: tensor.index_select(axis, torch.tensor(numbers)) for name, tensor in parts.items()
    }
    return replace(batch, future=None, future_observed=None, **chosen)


def answer(model: ScaledModel, batch: Batch) -> Tensor:
    return model.predict(batch, LEVELS).quantiles


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_every_head_gives_finite_ascending_quantiles(
    head: str, readout: str, missing: float
) -> None:
    model = make_model(head=head, readout=readout, season_length=5, **COVARIATES)
    batch = make_batch(missing=missing)
    mean, quantiles = model.predict(batch, LEVELS)
    assert mean.shape == (3, 2, 7)
    assert quantiles.shape == (3, 2, 7, 3)
    assert mean.isfinite().all()
    assert quantiles.isfinite().all()
    assert (quantiles.diff(dim=-1) >= 0).all()
    assert model(batch).shape == (3, 2, 7, model.head.output_size)
    assert model.loss(batch).isfinite()


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize(
    "sizes",
    [
        {"patch_length": 1, "stride": 1},
        {"patch_length": 7, "stride": 7},
        {"patch_length": 23},  # the whole context
        {"horizon": 4},
        {"horizon": 1},
        {"horizon": 29},
        {"season_length": 1},
        {"season_length": 30},
        {"n_layers": 1, "n_heads": 4},
    ],
    ids=str,
)
def test_sizes_need_not_be_multiples_of_each_other(readout: str, sizes: dict[str, int]) -> None:
    horizon = sizes.get("horizon", CONFIG.horizon)
    batch = make_batch(missing=0.2, horizon=horizon)
    got = answer(make_model(readout=readout, **sizes, **COVARIATES), batch)
    assert got.shape == (3, 2, horizon, 3)
    assert got.isfinite().all()


@settings(max_examples=20)
@given(
    order=st.permutations(range(4)),
    missing=st.sampled_from([0.0, 0.3]),
    readout=st.sampled_from(READOUTS),
)
def test_the_order_of_the_variates_means_nothing(
    order: list[int], missing: float, readout: str
) -> None:
    model = make_model(readout=readout, season_length=5, **COVARIATES)
    batch = make_batch(n_variates=4, missing=missing)
    got = answer(model, rows(batch, order, axis=1))
    torch.testing.assert_close(got, answer(model, batch)[:, order], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("readout", READOUTS)
def test_variates_see_each_other_only_where_they_may(readout: str) -> None:
    batch = make_batch()
    target = batch.target.clone()
    target[:, 1] = target[:, 1].flip(-1)
    moved = replace(batch, target=target)
    across, apart = make_model(readout=readout), make_model(readout=readout, across_variates=False)
    assert (answer(across, moved)[:, 0] != answer(across, batch)[:, 0]).any()
    torch.testing.assert_close(answer(apart, moved)[:, 0], answer(apart, batch)[:, 0])
    alone = answer(apart, rows(batch, [0], axis=1))
    torch.testing.assert_close(alone[:, 0], answer(apart, batch)[:, 0])


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_a_lone_variate_has_no_use_for_attention_across_variates(
    readout: str, missing: float
) -> None:
    across, apart = (make_model(readout=readout, across_variates=a) for a in (True, False))
    weights = across.state_dict()
    apart.load_state_dict({name: weights[name] for name in apart.state_dict()})
    assert len(weights) > len(apart.state_dict())
    batch = make_batch(n_variates=1, missing=missing)
    assert torch.equal(answer(across, batch), answer(apart, batch))


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("norm", NORMS)
def test_a_forecast_does_not_depend_on_the_rest_of_the_batch(readout: str, norm: str) -> None:
    model, batch = make_model(readout=readout, norm=norm, **COVARIATES), make_batch(missing=0.3)
    alone = answer(model, rows(batch, [1]))
    torch.testing.assert_close(alone, answer(model, batch)[1:2])


@pytest.mark.parametrize("readout", READOUTS)
def test_a_complete_window_is_read_alike_beside_one_with_missing_values(readout: str) -> None:
    model, batch = make_model(readout=readout, season_length=5, **COVARIATES), make_batch()
    observed = batch.observed.clone()
    observed[0, :, :9] = False
    beside = replace(batch, observed=observed)
    torch.testing.assert_close(answer(model, beside)[1:], answer(model, batch)[1:])
    assert not torch.allclose(answer(model, beside)[:1], answer(model, batch)[:1])


@pytest.mark.parametrize("head", ["quantile", "mse", "student_t"])
def test_shifting_and_stretching_the_series_does_so_to_the_forecast(head: str) -> None:
    model, batch = make_model(head=head, season_length=5), make_batch(missing=0.2)
    moved = replace(batch, target=torch.where(batch.observed, 40 * batch.target - 7, 0.0))
    expected, got = model.predict(batch, LEVELS), model.predict(moved, LEVELS)
    torch.testing.assert_close(got.quantiles, 40 * expected.quantiles - 7, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(got.mean, 40 * expected.mean - 7, rtol=1e-4, atol=1e-3)


def test_what_stands_at_missing_places_has_no_influence() -> None:
    model, batch = make_model(), make_batch(missing=0.3)
    garbage = replace(batch, target=torch.where(batch.observed, batch.target, -1e9))
    assert torch.equal(answer(model, batch), answer(model, garbage))
    assert torch.equal(model.loss(batch), model.loss(garbage))


@pytest.mark.parametrize("readout", READOUTS)
def test_the_future_never_enters_a_forecast(readout: str) -> None:
    model, batch = make_model(readout=readout, **COVARIATES), make_batch()
    expected = answer(model, replace(batch, future=None, future_observed=None))
    assert batch.future is not None
    assert torch.equal(answer(model, replace(batch, future=-1e6 * batch.future)), expected)


@pytest.mark.parametrize("readout", READOUTS)
def test_every_step_of_the_context_matters(readout: str) -> None:
    model, batch = make_model(readout=readout), make_batch(n_variates=1)
    target = batch.target.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(answer(model, replace(batch, target=target)).sum(), target)
    assert (gradient.abs() > 0).all()


@pytest.mark.parametrize("head", HEADS)
def test_a_constant_series_forecasts_its_constant(head: str) -> None:
    batch = make_batch()
    constant = replace(batch, target=torch.full_like(batch.target, 7.25))
    mean, quantiles = make_model(head=head, **COVARIATES).predict(constant, LEVELS)
    assert (mean == 7.25).all()
    assert (quantiles == 7.25).all()


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("norm", NORMS)
def test_windows_and_variates_without_any_value_stay_finite_and_to_themselves(
    readout: str, norm: str
) -> None:
    model = make_model(readout=readout, norm=norm, season_length=5, **COVARIATES)
    batch = make_batch()
    observed = batch.observed.clone()
    observed[0], observed[1, 1] = False, False
    partly = replace(batch, target=batch.target * observed, observed=observed)
    assert answer(model, partly).isfinite().all()
    torch.testing.assert_close(answer(model, partly)[2:], answer(model, batch)[2:])
    model.train()
    model.loss(partly).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("readout", READOUTS)
def test_a_patch_of_which_nothing_is_known_says_nothing(readout: str) -> None:
    """Not even what covariates say of its steps: in training it would say something else."""
    model, batch = make_model(readout=readout, **COVARIATES), make_batch()
    observed = batch.observed.clone()
    observed[:, :, :8] = False
    partly = replace(batch, target=batch.target * observed, observed=observed)
    assert batch.covariates is not None
    covariates = batch.covariates.clone()
    covariates[:, :, :4] += 5.0  # of the patches that begin with steps 0, 2 and 4
    torch.testing.assert_close(
        answer(model, replace(partly, covariates=covariates)), answer(model, partly)
    )


def test_covariates_of_which_nothing_is_known_stay_finite() -> None:
    batch = make_batch(missing=0.2)
    assert batch.covariates is not None
    nothing = torch.zeros_like(batch.covariates)
    unknown = replace(batch, covariates=nothing, covariates_observed=nothing.bool())
    assert answer(make_model(**COVARIATES), unknown).isfinite().all()


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("step", [0, 3, 6])
def test_covariates_of_the_horizon_change_their_own_step_alone(readout: str, step: int) -> None:
    model, batch = make_model(readout=readout, **COVARIATES), make_batch()
    assert batch.covariates is not None
    covariates = batch.covariates.clone()
    covariates[:, :, CONFIG.context_length + step] += 1.0
    moved = replace(batch, covariates=covariates)
    changed = (answer(model, moved) != answer(model, batch)).any(dim=-1)
    assert torch.equal(changed, (torch.arange(7) == step).expand(3, 2, -1))


@pytest.mark.parametrize("readout", READOUTS)
def test_covariates_of_the_context_and_of_the_series_matter(readout: str) -> None:
    model, batch = make_model(readout=readout, **COVARIATES), make_batch()
    assert batch.covariates is not None
    assert batch.static is not None
    covariates = batch.covariates.clone()
    covariates[:, :, 2] += 1.0
    for moved in (replace(batch, covariates=covariates), replace(batch, static=batch.static + 1)):
        assert (answer(model, moved) != answer(model, batch)).all()


@pytest.mark.parametrize("readout", READOUTS)
def test_untrained_it_forecasts_the_mean_as_uncertain_as_the_window_is_wide(readout: str) -> None:
    batch = make_batch()
    quantiles = answer(
        trained_tsformer(replace(CONFIG, readout=readout, **COVARIATES)).eval(), batch
    )
    loc = batch.target.mean(dim=-1, keepdim=True)[..., None]
    deviation = batch.target.std(dim=-1, correction=0, keepdim=True)[..., None]
    expected = loc + deviation * torch.tensor([-1.2816, 0.0, 1.2816])
    torch.testing.assert_close(quantiles, expected.expand_as(quantiles), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("head", ["quantile", "mse", "student_t"])
def test_with_a_season_it_adds_to_the_average_of_earlier_ones(head: str) -> None:
    batch = make_batch(missing=0.2)
    with_season = make_model(head=head, season_length=5)
    without = make_model(head=head)
    weights = with_season.state_dict()
    without.load_state_dict({name: weights[name] for name in without.state_dict()})
    mean, scale = without.predict(batch, LEVELS).mean, without.run(batch)[1]
    z = torch.where(batch.observed, (batch.target - scale.loc) / divisor(scale), 0.0)
    average = with_season.network.seasonal(z, batch.observed)
    assert average.std(dim=-1).min() > 0.1
    expected = mean + average * scale.scale
    torch.testing.assert_close(
        with_season.predict(batch, LEVELS).mean, expected, rtol=1e-4, atol=1e-4
    )


def test_counts_have_no_location_to_add_a_season_to() -> None:
    assert make_model(head="negative_binomial", season_length=5).network.seasonal is None


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("norm", NORMS)
def test_after_one_step_the_loss_reaches_every_weight(readout: str, norm: str) -> None:
    torch.manual_seed(0)
    changes = {"readout": readout, "norm": norm, "dropout": 0.0, "season_length": 5}
    model, batch = (
        trained_tsformer(replace(CONFIG, **changes, **COVARIATES)),
        make_batch(missing=0.3),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model.loss(batch).backward()
        optimizer.step()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_a_token_readout_has_as_many_weights_for_any_context_and_horizon() -> None:
    shapes = [
        {
            n: p.shape
            for n, p in trained_tsformer(
                replace(CONFIG, readout="tokens", **sizes)
            ).named_parameters()
        }
        for sizes in ({}, {"context_length": 60, "horizon": 31})
    ]
    assert shapes[0] == shapes[1]


def test_what_is_encoded_are_the_tokens_of_context_and_horizon() -> None:
    batch = make_batch(missing=0.5)
    padded = torch.cat([batch.observed, batch.observed[..., -1:].expand(-1, -1, 2)], dim=-1)
    expected = padded.unfold(-1, CONFIG.patch_length, CONFIG.stride).any(dim=-1)
    assert not expected.all()
    for readout, n_horizon in (("flat", 0), ("tokens", 2)):
        network = make_model(readout=readout).network
        tokens, known = network.encode(batch)
        assert tokens.shape == (3, 2, CONFIG.n_patches + n_horizon, CONFIG.d_model)
        assert torch.equal(known[..., : CONFIG.n_patches], expected)
        assert known[..., CONFIG.n_patches :].all()
        assert network.encode(make_batch())[1] is None  # nothing is missing


def test_dropout_is_for_training_alone() -> None:
    model, batch = make_model(dropout=0.5), make_batch()
    assert torch.equal(answer(model, batch), answer(model, batch))
    model.train()
    assert not torch.equal(answer(model, batch), answer(model, batch))


def test_a_variate_is_learned_from_another() -> None:
    """Each variate goes on with the other's last value, which only attention across can tell."""
    losses = {}
    for across in (True, False):
        torch.manual_seed(0)
        sizes = {"context_length": 8, "horizon": 4, "n_layers": 1}
        changes = {"head": "mse", "dropout": 0.0, "across_variates": across}
        model = trained_tsformer(replace(CONFIG, **sizes, **changes))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        recent = []
        for _ in range(60):
            target = torch.randn(32, 2, 8)
            known = torch.ones_like(target, dtype=torch.bool)
            future = target.flip(1)[..., -1:].expand(-1, -1, 4)
            batch = Batch(
                target=target, observed=known, future=future, future_observed=known[..., :4]
            )
            loss = model.loss(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recent = [*recent[-9:], loss.item()]
        losses[across] = sum(recent) / len(recent)
    assert losses[True] < 0.6 * losses[False]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_heads": 3}, "d_model=16 must be an even multiple of n_heads=3"),
        ({"n_heads": 16}, "d_model=16 must be an even multiple of n_heads=16"),
        ({"dropout": 1.0}, "dropout=1.0 must be at least 0 and below 1"),
        ({"stride": 5}, "stride=5, patch_length=4 and context_length=23 must ascend from 1"),
        ({"stride": 0}, "stride=0"),
        ({"patch_length": 24}, "patch_length=24"),
        ({"norm": "group"}, "norm='group' is unknown"),
        ({"head": "median"}, "head='median' is unknown"),
    ],
)
def test_sizes_that_do_not_fit_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trained_tsformer(replace(CONFIG, **changes))
