"""`pretrain`, then `fit`: what is learned first, what is learned then, and what is kept."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from torch import Tensor

from tsformer import load
from tsformer.forecasters import PatchTSTForecaster, TrainedTSFormerForecaster
from tsformer.models.weights import read_weights, task_parts, write_weights
from tsformer.training.settings import TrainingReport

Make = Callable[..., Any]
KINDS = [PatchTSTForecaster, TrainedTSFormerForecaster]
SMALL = {
    "horizon": 4,
    "season_length": 4,
    "context_length": 16,
    "max_steps": 4,
    "learning_rate": 1e-2,
    "d_model": 8,
    "n_heads": 2,
    "n_layers": 1,
    "d_ff": 8,
}
STILL = {"max_steps": 1, "learning_rate": 1e-12}  # a fit that leaves weights as they are


@pytest.fixture(scope="module", params=KINDS, ids=["patchtst", "tsformer"])
def kind(request: pytest.FixtureRequest) -> type:
    return request.param


@pytest.fixture(scope="module")
def make(kind: type) -> Make:
    return lambda **parameters: kind(**{**SMALL, **parameters})


@pytest.fixture(scope="module")
def df(make_frame: Make) -> pd.DataFrame:
    """Return series with a gap, so that the weights for missing values learn, too."""
    frame = make_frame()
    frame.loc[20:24, "y"] = np.nan
    return frame


@pytest.fixture(scope="module")
def other(make_frame: Make) -> pd.DataFrame:
    """Return series that have nothing to do with those of `df`."""
    return make_frame(["x", "y", "z"], 60, freq="D", seed=5)


@pytest.fixture(scope="module")
def make_taught(make: Make, other: pd.DataFrame) -> Make:
    """Return a function that makes forecasters pre-trained on `other`; they are copies of one."""
    first = make().pretrain(other)
    return lambda **parameters: clone(first).set_params(**parameters)


def weights_of(forecaster: Any) -> dict[str, Tensor]:
    """Return the network's weights, without statistics of batches."""
    return {name: p.detach().clone() for name, p in forecaster.model_.network.named_parameters()}


def of_task(forecaster: Any, name: str) -> bool:
    """Return whether a weight belongs to the task."""
    return name.split(".")[0] in task_parts(forecaster.model_.network)


def assert_close(weights: dict[str, Tensor], known: dict[str, Tensor]) -> None:
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, known[name], rtol=0, atol=1e-7, msg=name)


def same_tensors(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_fit_begins_with_what_was_pretrained(
    make: Make, df: pd.DataFrame, other: pd.DataFrame
) -> None:
    forecaster = make()
    assert forecaster.pretrain(other) is forecaster
    assert not hasattr(forecaster, "model_")
    forecaster.set_params(**STILL).fit(df)
    assert_close(weights_of(forecaster), forecaster.pretrained_.tensors)
    untrained = make(**STILL).fit(df)
    assert not same_tensors(weights_of(untrained), weights_of(forecaster))


def test_pretraining_reports_on_held_out_values_and_ends_with_the_best_weights(
    make: Make, other: pd.DataFrame
) -> None:
    report = make(max_steps=8, patience=None).pretrain(other).pretrained_.report
    losses = dict(report.history)
    assert len(losses) == report.steps == 8
    assert report.best_loss == losses[report.best_step] == min(losses.values())
    assert make().pretrain(other, val_size=0).pretrained_.report.best_loss is None
    later = other.groupby("unique_id").tail(8)
    apart = make().pretrain(other.drop(later.index), val_df=later).pretrained_
    assert same_tensors(apart.tensors, make().pretrain(other, val_size=8).pretrained_.tensors)


def test_values_that_are_held_out_are_judged_by_but_not_learned(
    make: Make, other: pd.DataFrame
) -> None:
    changed = other.copy()
    changed.loc[changed.groupby("unique_id").tail(8).index, "y"] *= -3
    one, same = (
        make(max_steps=1).pretrain(data, val_size=8).pretrained_ for data in (other, changed)
    )
    assert one.report.best_loss != same.report.best_loss
    assert same_tensors(one.tensors, same.tensors)


def test_the_same_seed_gives_the_same_weights(make: Make, other: pd.DataFrame) -> None:
    state = torch.get_rng_state()
    first, same, different = (
        make(random_state=seed).pretrain(other).pretrained_.tensors for seed in (0, 0, 1)
    )
    assert same_tensors(first, same)
    assert not same_tensors(first, different)
    assert torch.equal(torch.get_rng_state(), state)


def test_pretraining_again_begins_anew(
    make_taught: Make, df: pd.DataFrame, other: pd.DataFrame, tmp_path: Path
) -> None:
    once = make_taught()
    once.save_weights(tmp_path / "w")
    twice = make_taught(weights=tmp_path / "w").pretrain(df).pretrain(other)
    assert same_tensors(twice.pretrained_.tensors, once.pretrained_.tensors)


def test_where_pretraining_fails_the_forecaster_stays_as_it_was(
    make_taught: Make, df: pd.DataFrame, other: pd.DataFrame
) -> None:
    forecaster = make_taught(freq="h").fit(df)
    before, answer = dict(forecaster.__dict__), forecaster.predict()
    with pytest.raises(ValueError, match="no series has a value"):
        forecaster.pretrain(df.assign(y=np.nan))
    with pytest.raises(ValueError, match="no series has the two steps that pretrain needs"):
        forecaster.pretrain(df.groupby("unique_id").head(1))
    with pytest.raises(ValueError, match="val_size=100 leaves nothing"):
        forecaster.pretrain(df, val_size=100)
    assert forecaster.__dict__.keys() == before.keys()
    assert all(forecaster.__dict__[name] is value for name, value in before.items())
    pd.testing.assert_frame_equal(forecaster.predict(), answer, check_exact=True)


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_a_head_is_fitted_alone_and_without_it_all(
    make: Make, norm: str, df: pd.DataFrame, other: pd.DataFrame
) -> None:
    forecaster = make(norm=norm, fine_tune="head").pretrain(other)
    known = forecaster.pretrained_.tensors
    forecaster.fit(df)
    for name, tensor in forecaster.model_.network.state_dict().items():  # statistics included
        assert torch.equal(tensor, known[name]) == (not of_task(forecaster, name)), name
    assert all(p.requires_grad for p in forecaster.model_.parameters())
    full = forecaster.set_params(fine_tune="full").fit(df, val_size=0)
    for name, tensor in full.model_.network.state_dict().items():  # one variate: no such attention
        assert torch.equal(tensor, known[name]) == ("variate" in name), name


def test_adapters_change_frozen_maps_by_a_low_rank_and_leave_no_trace(
    make_taught: Make, df: pd.DataFrame
) -> None:
    forecaster = make_taught(fine_tune="adapters", adapter_rank=2)
    known = forecaster.pretrained_.tensors
    forecaster.fit(df, val_size=0)
    network = forecaster.model_.network
    assert known.keys() == network.state_dict().keys()
    assert all(p.requires_grad for p in network.parameters())
    linear = {n for n, module in network.named_modules() if type(module) is torch.nn.Linear}
    adapted = 0
    for name, tensor in weights_of(forecaster).items():
        change, (part, _, last) = tensor - known[name], name.rpartition(".")
        if of_task(forecaster, name) or "variate" in name:  # one variate needs no such attention
            continue
        if part in linear and last == "weight":
            values = torch.linalg.svdvals(change)
            assert values[0] > 0, name
            assert (values[2:] < 1e-2 * values[0]).all(), name
            adapted += 1
        else:
            assert (change == 0).all(), name
    assert adapted == 6  # values, missing values, attention and feed-forward, two each


def test_gradually_all_weights_are_fitted_after_the_head(
    make_taught: Make, df: pd.DataFrame
) -> None:
    options = {"fine_tune": "gradual", "max_steps": 9, "patience": None}
    forecaster = make_taught(norm="batch", **options)
    known = forecaster.pretrained_.tensors
    forecaster.fit(df, val_size=0)  # so that the last weights stay
    state = forecaster.model_.network.state_dict()
    for name, tensor in state.items():
        assert torch.equal(tensor, known[name]) == ("variate" in name), name
    counts = [name for name in state if "num_batches" in name and "variate" not in name]
    assert len(counts) >= 2
    assert all(state[name] - known[name] == 6 for name in counts)  # two thirds in training mode
    report = forecaster.fit_report_.training
    assert (report.steps, report.best_step, report.best_loss) == (9, 9, None)


@pytest.mark.parametrize(
    ("losses", "best"), [((1.0, 2.0), 1), ((2.0, 1.0), 2), ((1.0, 1.0), 1), ((1.0, None), 1)]
)
def test_gradually_the_best_weights_of_both_stages_stay(
    make_taught: Make,
    df: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    losses: tuple[float, float | None],
    best: int,
) -> None:
    stages: list[int] = []

    def scripted(model: Any, *, settings: Any, **_: Any) -> TrainingReport:
        """Add 1 to all weights that may learn, and tell of the loss that was agreed on."""
        loss = losses[len(stages)]
        stages.append(settings.max_steps)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += float(parameter.requires_grad)
        history = [(2, 9.0 if loss is None else loss)]
        return TrainingReport(steps=3, best_step=2, best_loss=loss, history=history, seconds=1.5)

    monkeypatch.setattr("tsformer.training.train.train", scripted)
    forecaster = make_taught(fine_tune="gradual", max_steps=10).fit(df)
    assert stages == [3, 7]
    known = forecaster.pretrained_.tensors
    for name, tensor in weights_of(forecaster).items():
        added = best - 1 + int(of_task(forecaster, name))
        torch.testing.assert_close(tensor, known[name] + added, msg=name)
    report = forecaster.fit_report_.training
    assert (report.steps, report.best_step, report.seconds) == (6, 2 if best == 1 else 5, 3.0)
    assert report.best_loss == losses[best - 1]
    assert [step for step, _ in report.history] == [2, 5]


@pytest.mark.parametrize("fine_tune", ["head", "gradual", "adapters"])
def test_without_pretraining_everything_is_fitted(
    make: Make, df: pd.DataFrame, fine_tune: str
) -> None:
    one, full = make(fine_tune=fine_tune).fit(df), make().fit(df)
    assert same_tensors(weights_of(one), weights_of(full))


def test_copies_begin_with_it_too(make: Make, make_taught: Make, df: pd.DataFrame) -> None:
    forecaster = make_taught()
    copy = clone(forecaster)
    assert copy.get_params() == forecaster.get_params()
    assert not hasattr(copy, "model_")
    assert same_tensors(copy.pretrained_.tensors, forecaster.pretrained_.tensors)
    windows = forecaster.cross_validation(df)
    assert not hasattr(forecaster, "model_")
    earlier = df.drop(df.groupby("unique_id").tail(4).index)
    expected = copy.fit(earlier).predict()
    np.testing.assert_allclose(windows["mean"], expected["mean"], rtol=1e-6)
    cold = make().cross_validation(df)
    assert not np.allclose(cold["mean"], windows["mean"])


def test_a_save_keeps_what_was_pretrained(
    make_taught: Make, df: pd.DataFrame, tmp_path: Path
) -> None:
    forecaster = make_taught().fit(df)
    forecaster.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)
    assert same_tensors(loaded.pretrained_.tensors, forecaster.pretrained_.tensors)
    forecaster.set_params(fine_tune="head"), loaded.set_params(fine_tune="head")
    pd.testing.assert_frame_equal(
        loaded.cross_validation(df), forecaster.cross_validation(df), check_exact=True
    )


def test_without_pretraining_a_save_keeps_none(
    make: Make, df: pd.DataFrame, tmp_path: Path
) -> None:
    make().fit(df).save(tmp_path / "saved")
    assert not hasattr(load(tmp_path / "saved"), "pretrained_")


def test_weights_in_a_file_are_what_another_forecaster_begins_with(
    make: Make, make_taught: Make, df: pd.DataFrame, tmp_path: Path
) -> None:
    first = make_taught(**STILL)
    first.save_weights(tmp_path / "weights.safetensors")
    sizes = {"d_model": 4, "context_length": 9, "n_layers": 2}  # those of the file count
    second = make(weights=tmp_path / "weights.safetensors", **sizes, **STILL).fit(df)
    assert second.context_length_ == 16
    assert_close(weights_of(second), first.pretrained_.tensors)
    assert same_tensors(weights_of(second), weights_of(first.fit(df)))
    assert clone(second).weights == tmp_path / "weights.safetensors"


def test_after_fit_its_weights_are_written(
    make_taught: Make, df: pd.DataFrame, tmp_path: Path
) -> None:
    forecaster = make_taught().fit(df)
    forecaster.save_weights(tmp_path / "w")
    tensors, sizes = read_weights(tmp_path / "w", type(forecaster).__name__)
    assert same_tensors(tensors, dict(forecaster.model_.network.state_dict()))
    assert sizes["d_model"] == 8


@pytest.mark.parametrize(
    "task",
    [
        {"horizon": 7, "dropout": 0.0},
        {"head": "mse"},
        {"head": "negative_binomial"},
        {"quantiles": [0.025, 0.33], "calendar_features": True},
    ],
    ids=str,
)
def test_another_task_takes_all_that_does_not_belong_to_the_old_one(
    make: Make, make_taught: Make, df: pd.DataFrame, tmp_path: Path, task: dict[str, Any]
) -> None:
    first = make_taught()
    first.save_weights(tmp_path / "w")
    counts = df.assign(y=df["y"].round().abs())
    second = make(weights=str(tmp_path / "w"), **task, **STILL).fit(counts)
    shared = {n: p for n, p in weights_of(second).items() if not of_task(second, n)}
    assert_close(shared, first.pretrained_.tensors)
    assert {name: second.sizes_[name] for name in task if name in second.sizes_} == {
        name: value for name, value in task.items() if name in second.sizes_
    }
    answer = second.predict()
    assert len(answer) == 2 * second.horizon
    assert np.isfinite(answer["mean"]).all()


def test_the_season_is_that_of_the_series_to_forecast(make_frame: Make) -> None:
    hours, days = make_frame(length=80), make_frame(length=80, freq="D")
    parameters = {**SMALL, "season_length": None, "context_length": 28}
    forecaster = TrainedTSFormerForecaster(**parameters, seasonal=True).pretrain(hours)
    assert forecaster.pretrained_.sizes["season_length"] == 24
    for seasonal in (True, False):  # what was learned beside an average needs it
        forecaster.set_params(seasonal=seasonal).fit(days)
        assert forecaster.model_.network.seasonal.season_length == 7
    without = TrainedTSFormerForecaster(**parameters).pretrain(hours).set_params(seasonal=True)
    assert without.fit(days).model_.network.seasonal is None


def test_a_warm_start_continues_the_last_fit_not_what_was_pretrained(
    make_taught: Make, df: pd.DataFrame
) -> None:
    forecaster = make_taught().fit(df)
    before = weights_of(forecaster)
    assert not same_tensors(before, forecaster.pretrained_.tensors)
    forecaster.set_params(warm_start=True, **STILL).fit(df)
    assert_close(weights_of(forecaster), before)


def test_several_targets_and_covariates_are_pretrained_on(make: Make) -> None:
    generator = np.random.default_rng(0)
    steps = pd.date_range("2024-01-01", periods=50, freq="D")
    frame = pd.DataFrame({"unique_id": np.repeat(["a", "b"], 50), "ds": np.tile(steps, 2)})
    frame[["y", "x", "load", "price"]] = generator.normal(size=(100, 4))
    static_df = pd.DataFrame({"unique_id": ["a", "b"], "size": [1.0, 3.0]})
    columns = {
        "target_col": ["y", "x"],
        "past_covariates": ["load"],
        "future_covariates": ["price"],
        "static_covariates": ["size"],
        "calendar_features": True,
    }
    forecaster = make(norm="layer", **columns).pretrain(frame, static_df=static_df, val_size=0)
    known = forecaster.pretrained_.tensors
    for name in ("covariates.by_patch.weight", "covariates.by_series.weight"):
        assert known[name].abs().sum() > 0
    forecaster.set_params(**STILL).fit(frame, static_df=static_df)
    assert_close(weights_of(forecaster), known)
    coming = frame.assign(ds=frame["ds"] + pd.Timedelta(days=50))
    answer = forecaster.predict(future_df=coming)
    assert len(answer) == 2 * 2 * 4
    assert np.isfinite(answer["mean"]).all()
    with pytest.raises(ValueError, match="static_df is needed"):
        forecaster.pretrain(frame)


def test_what_many_series_have_taught_is_known_at_once() -> None:
    generator = np.random.default_rng(0)
    phases = generator.uniform(0, 2 * np.pi, size=(20, 1))
    many = np.sin(np.arange(60) * 2 * np.pi / 8 + phases)
    few = np.sin(np.arange(40) * 2 * np.pi / 8 + 1.0)
    options = {**SMALL, "dropout": 0.0, "patience": None, "head": "mse"}
    taught = TrainedTSFormerForecaster(**{**options, "max_steps": 60}).pretrain(many)
    plain = TrainedTSFormerForecaster(**{**options, **STILL}).fit(few)
    taught.set_params(**STILL).fit(few)
    losses = [each.fit_report_.training.best_loss for each in (taught, plain)]
    assert losses[0] < 0.2 * losses[1]


def test_weights_that_cannot_be_used_are_refused(
    make: Make, kind: type, df: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match="nothing': there is no such file"):
        make(weights=tmp_path / "nothing").fit(df)
    (tmp_path / "pickle").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError, match="pickle' cannot be read"):
        make(weights=tmp_path / "pickle").fit(df)
    (another,) = set(KINDS) - {kind}
    another(**SMALL).fit(df).save_weights(tmp_path / "another")
    with pytest.raises(ValueError, match=f"is of {another.__name__}, not of {kind.__name__}"):
        make(weights=tmp_path / "another").fit(df)
    with pytest.raises(ValueError, match="there are no weights yet; call fit or pretrain first"):
        make().save_weights(tmp_path / "early")


def test_weights_whose_sizes_are_not_theirs_are_refused(
    make: Make, make_taught: Make, kind: type, df: pd.DataFrame, tmp_path: Path
) -> None:
    known = make_taught().pretrained_
    write_weights(tmp_path / "w", known.tensors, kind.__name__, {**known.sizes, "d_ff": 12})
    with pytest.raises(ValueError, match="the weights do not fit: .*feed_forward"):
        make(weights=tmp_path / "w").fit(df)


def test_a_save_can_be_loaded_where_the_file_of_weights_is_gone(
    make: Make, make_taught: Make, df: pd.DataFrame, tmp_path: Path
) -> None:
    make_taught().save_weights(tmp_path / "w")
    forecaster = make(weights=tmp_path / "w").fit(df)
    forecaster.save(tmp_path / "saved")
    (tmp_path / "w").unlink()
    loaded = load(tmp_path / "saved")
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)
    assert loaded.weights == str(tmp_path / "w")


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"fine_tune": "none"}, ValueError, "fine_tune='none' is unknown; choose one of 'full'"),
        ({"adapter_rank": 0}, ValueError, "adapter_rank=0 must be at least 1"),
        ({"adapter_rank": 1.5}, TypeError, "adapter_rank=1.5 must be a whole number"),
    ],
)
def test_parameters_that_cannot_be_are_named(
    make: Make, df: pd.DataFrame, parameters: dict[str, Any], error: type[Exception], message: str
) -> None:
    for learn in ("pretrain", "fit"):
        with pytest.raises(error, match=message):
            getattr(make(**parameters), learn)(df)
    with pytest.raises(TypeError, match="pretrain has no parameter `futr_df`"):
        make().pretrain(df, futr_df=df)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"stride": 2, "patch_length": 4}, "so stride=2 must be patch_length=4, or None"),
        ({"patch_length": 16}, "patch_length=16 is all of context_length=16; make it at most half"),
        ({"mask_share": 1.0}, "mask_share=1.0 must lie between 0 and 1"),
    ],
)
def test_patches_that_cannot_be_hidden_are_refused(
    parameters: dict[str, Any], message: str, other: pd.DataFrame
) -> None:
    with pytest.raises(ValueError, match=message):
        PatchTSTForecaster(**SMALL, **parameters).pretrain(other)


@pytest.mark.parametrize("parameters", [{}, {"patch_length": 4}, {"patch_length": 4, "stride": 4}])
def test_patches_that_are_hidden_do_not_overlap(
    parameters: dict[str, int], other: pd.DataFrame
) -> None:
    forecaster = PatchTSTForecaster(**SMALL, **parameters).pretrain(other).fit(other)
    assert forecaster.sizes_["stride"] == forecaster.sizes_["patch_length"]
