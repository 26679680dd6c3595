from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tsformer.models.patchtst import PatchTSTConfig, patchtst
from tsformer.models.scaled import ScaledModel
from tsformer.types import Batch

LEVELS = (0.1, 0.5, 0.9)
CONFIG = PatchTSTConfig(
    context_length=20, horizon=5, patch_length=4, stride=2, d_model=16, d_ff=32, n_layers=2
)
HEADS = ["quantile", "mse", "mae", "huber", "student_t", "normal", "laplace", "negative_binomial"]


def make_model(**changes: object) -> ScaledModel:
    """Return a model whose every weight matters: the output layer of a new one is zero."""
    torch.manual_seed(0)
    model = patchtst(replace(CONFIG, **changes)).eval()  # type: ignore[arg-type]
    torch.nn.init.normal_(model.network.flatten_head.weight, std=0.1)
    return model


def make_batch(n_batch: int = 3, n_variates: int = 2, missing: float = 0.0) -> Batch:
    generator = torch.Generator().manual_seed(1)
    shape = (n_batch, n_variates, CONFIG.context_length)
    observed = torch.rand(shape, generator=generator) >= missing
    target = torch.poisson(torch.full(shape, 9.0), generator=generator)
    future_shape = (n_batch, n_variates, CONFIG.horizon)
    return Batch(
        target=torch.where(observed, target, 0.0),
        observed=observed,
        future=torch.poisson(torch.full(future_shape, 9.0), generator=generator),
        future_observed=torch.ones(future_shape, dtype=torch.bool),
    )


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_every_head_gives_finite_ascending_quantiles(head: str, missing: float) -> None:
    model, batch = make_model(head=head), make_batch(missing=missing)
    mean, quantiles = model.predict(batch, LEVELS)
    assert mean.shape == (3, 2, 5)
    assert quantiles.shape == (3, 2, 5, 3)
    assert mean.isfinite().all()
    assert quantiles.isfinite().all()
    assert (quantiles.diff(dim=-1) >= 0).all()
    assert model(batch).shape == (3, 2, 5, model.head.output_size)
    assert model.loss(batch).isfinite()


def test_variates_do_not_see_each_other() -> None:
    model, batch = make_model(), make_batch()
    alone = Batch(target=batch.target[:, :1], observed=batch.observed[:, :1])
    torch.testing.assert_close(
        model.predict(alone, LEVELS).quantiles, model.predict(batch, LEVELS).quantiles[:, :1]
    )


def test_a_forecast_does_not_depend_on_the_rest_of_the_batch() -> None:
    model, batch = make_model(), make_batch(missing=0.3)
    alone = Batch(target=batch.target[1:2], observed=batch.observed[1:2])
    torch.testing.assert_close(
        model.predict(alone, LEVELS).quantiles, model.predict(batch, LEVELS).quantiles[1:2]
    )


@pytest.mark.parametrize("head", ["quantile", "mse", "student_t"])
def test_shifting_and_stretching_the_series_does_so_to_the_forecast(head: str) -> None:
    model, batch = make_model(head=head), make_batch(missing=0.2)
    moved = replace(batch, target=torch.where(batch.observed, 40 * batch.target - 7, 0.0))
    expected, got = model.predict(batch, LEVELS), model.predict(moved, LEVELS)
    torch.testing.assert_close(got.quantiles, 40 * expected.quantiles - 7, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(got.mean, 40 * expected.mean - 7, rtol=1e-4, atol=1e-3)


def test_what_stands_at_missing_places_has_no_influence() -> None:
    model, batch = make_model(), make_batch(missing=0.3)
    garbage = replace(batch, target=torch.where(batch.observed, batch.target, -1e9))
    assert torch.equal(
        model.predict(batch, LEVELS).quantiles, model.predict(garbage, LEVELS).quantiles
    )
    assert torch.equal(model.loss(batch), model.loss(garbage))


@pytest.mark.parametrize("head", HEADS)
def test_a_constant_series_forecasts_its_constant(head: str) -> None:
    batch = make_batch()
    constant = replace(batch, target=torch.full_like(batch.target, 7.25))
    mean, quantiles = make_model(head=head).predict(constant, LEVELS)
    assert (mean == 7.25).all()
    assert (quantiles == 7.25).all()


def test_a_window_without_any_value_stays_finite() -> None:
    batch = make_batch()
    empty = Batch(target=torch.zeros_like(batch.target), observed=torch.zeros_like(batch.observed))
    assert make_model().predict(empty, LEVELS).quantiles.isfinite().all()


def test_unknown_futures_and_constant_windows_do_not_enter_the_loss() -> None:
    model, batch = make_model(), make_batch()
    assert batch.future is not None
    assert batch.future_observed is not None
    hidden = batch.future_observed.clone()
    hidden[0, 0, 2:] = False
    wild = torch.where(hidden, batch.future, 1e9)
    partly = replace(batch, future_observed=hidden)
    torch.testing.assert_close(model.loss(partly), model.loss(replace(partly, future=wild)))
    target = batch.target.clone()
    target[0] = 3.0  # constant: whatever comes, no weight can learn from it
    first = replace(batch, target=target)
    moved = replace(first, future=torch.cat([batch.future[:1] + 1e6, batch.future[1:]]))
    torch.testing.assert_close(model.loss(first), model.loss(moved))


def test_a_batch_without_a_future_has_no_loss() -> None:
    batch = make_batch()
    with pytest.raises(ValueError, match="no future"):
        make_model().loss(Batch(target=batch.target, observed=batch.observed))


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_the_loss_reaches_every_weight(norm: str) -> None:
    model = make_model(norm=norm, dropout=0.0).train()
    model.loss(make_batch(missing=0.3)).backward()
    for name, parameter in model.named_parameters():
        if name.endswith("query_key_value.bias"):
            continue  # the keys' bias cancels in the softmax
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_untrained_it_forecasts_the_mean_as_uncertain_as_the_window_is_wide() -> None:
    batch = make_batch()
    mean, quantiles = patchtst(CONFIG).eval().predict(batch, LEVELS)
    loc = batch.target.mean(dim=-1, keepdim=True)
    deviation = batch.target.std(dim=-1, correction=0, keepdim=True)
    torch.testing.assert_close(mean, loc.expand_as(mean))
    expected = loc[..., None] + deviation[..., None] * torch.tensor([-1.2816, 0.0, 1.2816])
    torch.testing.assert_close(quantiles, expected.expand_as(quantiles), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_length": 21}, "patch_length=21 is longer than context_length=20"),
        ({"stride": 0}, "stride=0 must lie between 1 and patch_length=4"),
        ({"stride": 5}, "stride=5"),
        ({"n_heads": 3}, "d_model=16 must be a multiple of n_heads=3"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"norm": "none"}, "norm='none'"),
        ({"head": "median"}, "head='median' is unknown"),
    ],
)
def test_sizes_that_do_not_fit_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        patchtst(replace(CONFIG, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("head", ["quantile", "mse"])
def test_calibration_covers_the_held_out_windows(head: str) -> None:
    model = make_model(head=head)
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(400, 1, 20, generator=generator)
    future = 3 * torch.randn(400, 1, 5, generator=generator)  # wilder than the model expects
    batch = Batch(
        target=target,
        observed=torch.ones_like(target, dtype=torch.bool),
        future=future,
        future_observed=torch.ones_like(future, dtype=torch.bool),
    )

    def coverage() -> float:
        quantiles = model.predict(batch, (0.1, 0.9)).quantiles
        return float(((future > quantiles[..., 0]) & (future < quantiles[..., 1])).float().mean())

    assert coverage() < 0.6
    with torch.no_grad():
        model.calibrate([batch], held_out=True)
    assert coverage() == pytest.approx(0.8, abs=0.02)


def test_windows_that_were_trained_on_do_not_widen_quantiles() -> None:
    model, batch = make_model(), make_batch()
    before = model.predict(batch, LEVELS).quantiles
    model.calibrate([batch], held_out=False)
    assert torch.equal(model.predict(batch, LEVELS).quantiles, before)


def test_calibration_bears_quantiles_that_have_shrunk_to_the_median() -> None:
    from tsformer.nn.heads import QuantileHead
    from tsformer.nn.scaling import Scale

    head = QuantileHead()
    output = torch.full((60, 1, 5, head.output_size), -200.0)
    output[..., head.median] = 0.5
    scale = Scale(torch.zeros(60, 1, 1), torch.ones(60, 1, 1))
    for truth in (0.5, 0.6):
        target = torch.full((60, 1, 5), truth)
        head.calibrate(output, target, scale, torch.ones_like(target, dtype=torch.bool))
        assert 1.0 <= head.stretch.item() <= 4.0


COVARIATES = {"n_covariates": 3, "n_static": 2}


def make_covariate_model(**changes: object) -> ScaledModel:
    """Return a model whose covariates matter, too."""
    model = make_model(**COVARIATES, **changes)
    for parameter in model.network.parameters():
        if (parameter == 0).all():
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def with_covariates(batch: Batch, unknown: float = 0.3) -> Batch:
    generator = torch.Generator().manual_seed(2)
    shape = (len(batch), 3, CONFIG.context_length + CONFIG.horizon)
    known = torch.rand(shape, generator=generator) >= unknown
    return replace(
        batch,
        covariates=torch.randn(shape, generator=generator) * known,
        covariates_observed=known,
        static=torch.randn(len(batch), 2, generator=generator),
    )


@pytest.mark.parametrize("unknown", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("missing", [0.0, 0.4, 1.0])
def test_covariates_may_be_unknown_and_targets_missing(missing: float, unknown: float) -> None:
    batch = with_covariates(make_batch(missing=missing), unknown)
    mean, quantiles = make_covariate_model().predict(batch, LEVELS)
    assert mean.isfinite().all()
    assert quantiles.isfinite().all()
    assert (quantiles.diff(dim=-1) >= 0).all()


def test_a_new_model_does_not_heed_covariates() -> None:
    model, batch = make_model(**COVARIATES), make_batch()
    few, many = with_covariates(batch, unknown=0.9), with_covariates(batch)
    assert torch.equal(model.predict(few, LEVELS).mean, model.predict(many, LEVELS).mean)


@pytest.mark.parametrize("step", [0, 4])
def test_covariates_of_the_horizon_change_their_own_step_alone(step: int) -> None:
    model, batch = make_covariate_model(), with_covariates(make_batch())
    assert batch.covariates is not None
    covariates = batch.covariates.clone()
    covariates[:, :, CONFIG.context_length + step] += 1.0
    moved = model.predict(replace(batch, covariates=covariates), LEVELS).quantiles
    changed = (moved != model.predict(batch, LEVELS).quantiles).any(dim=-1)
    assert torch.equal(changed, (torch.arange(5) == step).expand(3, 2, -1))


def test_covariates_of_the_context_and_of_the_series_change_all_steps() -> None:
    model, batch = make_covariate_model(), with_covariates(make_batch())
    assert batch.covariates is not None
    assert batch.static is not None
    covariates = batch.covariates.clone()
    covariates[:, :, 7] += 1.0
    before = model.predict(batch, LEVELS).mean
    for moved in (replace(batch, covariates=covariates), replace(batch, static=batch.static + 1)):
        assert (model.predict(moved, LEVELS).mean != before).all()


def test_with_covariates_a_forecast_does_not_depend_on_the_rest_of_the_batch() -> None:
    model, batch = make_covariate_model(), with_covariates(make_batch(missing=0.3))
    names = ("target", "observed", "covariates", "covariates_observed", "static")
    alone = Batch(**{name: getattr(batch, name)[1:2] for name in names})
    torch.testing.assert_close(
        model.predict(alone, LEVELS).mean, model.predict(batch, LEVELS).mean[1:2]
    )


def test_after_one_step_the_loss_reaches_the_weights_of_covariates() -> None:
    torch.manual_seed(0)
    model = patchtst(replace(CONFIG, dropout=0.0, **COVARIATES))  # type: ignore[arg-type]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model.loss(with_covariates(make_batch())).backward()
        optimizer.step()
    parts = [*model.network.covariates.parameters(), *model.network.readout.parameters()]
    assert len(parts) == 6
    assert all(parameter.grad.abs().sum() > 0 for parameter in parts)


def test_what_is_encoded_is_what_the_forecast_is_made_of() -> None:
    model, batch = make_model(), make_batch(missing=0.6)
    scaled = replace(batch, target=torch.where(batch.observed, batch.target - 9.0, 0.0))
    tokens, known = model.network.encode(scaled)
    assert tokens.shape == (3, 2, CONFIG.n_patches, CONFIG.d_model)
    padded = torch.cat([batch.observed, batch.observed[..., -1:].expand(-1, -1, 2)], dim=-1)
    for patch in range(CONFIG.n_patches):  # a patch is known where any of its four steps is
        assert torch.equal(known[..., patch], padded[..., 2 * patch : 2 * patch + 4].any(dim=-1))
    assert not known.all()
    flat = (tokens * known[..., None]).flatten(2)
    expected = model.network.flatten_head(flat).reshape(3, 2, CONFIG.horizon, -1)
    torch.testing.assert_close(model.network(scaled), expected)
    assert model.network.encode(make_batch())[1] is None  # nothing is missing
