"""What training behind `fit` promises: the same numbers again, and no look ahead."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch

from tsformer import PatchTSTForecaster, hardware
from tsformer.data.frame import Schema, read_panel
from tsformer.training.module import KeepBest

Make = Callable[..., Any]


def weights(forecaster: Any) -> dict[str, torch.Tensor]:
    """Return what training learns; how wide intervals are is learned from held out windows."""
    return dict(forecaster.model_.network.state_dict())


def same_weights(one: Any, other: Any) -> bool:
    pairs = zip(weights(one).values(), weights(other).values(), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


def test_two_fits_with_one_seed_are_equal_bit_for_bit(
    make_patchtst: Make, make_frame: Make
) -> None:
    df = make_frame(["b", "a", "c"])
    df.loc[df.index % 7 == 3, "y"] = np.nan
    one = make_patchtst(max_steps=6).fit(df)
    torch.manual_seed(99)
    other = make_patchtst(max_steps=6).fit(df)
    assert same_weights(one, other)
    assert one.fit_report_.training.history == other.fit_report_.training.history
    pd.testing.assert_frame_equal(one.predict(), other.predict(), check_exact=True)


def test_another_seed_gives_other_numbers(make_patchtst: Make, make_frame: Make) -> None:
    one, other = (make_patchtst(random_state=seed).fit(make_frame()) for seed in (0, 1))
    assert not same_weights(one, other)
    assert (one.predict()["mean"] != other.predict()["mean"]).all()


def test_a_fresh_process_gives_the_same_numbers_and_says_nothing(
    make_patchtst: Make, make_frame: Make
) -> None:
    forecaster = make_patchtst().fit(make_frame()["y"].to_numpy())
    values = make_frame()["y"].tolist()
    program = (
        "import warnings; warnings.simplefilter('error')\n"
        "warnings.simplefilter('ignore', ResourceWarning)\n"  # an older torch's
        "import torch; torch.set_num_threads(1)\n"
        "import numpy as np\n"
        "from tsformer import PatchTSTForecaster\n"
        f"forecaster = PatchTSTForecaster(**{forecaster.get_params()!r})\n"
        f"answer = forecaster.fit(np.array({values!r})).predict()\n"
        "print(answer['mean'].tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout == f"{forecaster.predict()['mean'].tolist()}\n"


def test_the_best_weights_are_kept_and_reported(make_patchtst: Make, make_frame: Make) -> None:
    df = make_frame()
    forecaster = make_patchtst(max_steps=12, learning_rate=0.05, patience=None).fit(df)
    report = forecaster.fit_report_.training
    losses = dict(report.history)
    assert list(losses) == list(range(1, 13))
    assert report.steps == 12
    assert report.best_loss == min(losses.values()) == losses[report.best_step]
    assert report.seconds > 0


def test_without_validation_the_last_weights_stay(make_patchtst: Make, make_frame: Make) -> None:
    report = make_patchtst(max_steps=3).fit(make_frame(), val_size=0).fit_report_.training
    assert (report.steps, report.best_step, report.best_loss, report.history) == (3, 3, None, [])


def test_a_tail_is_held_out_by_itself_where_the_series_is_long_enough(
    make_patchtst: Make, make_frame: Make
) -> None:
    def looks(length: int) -> int:
        frame = make_frame(["a"], length)
        return len(make_patchtst(context_length=4).fit(frame).fit_report_.training.history)

    assert looks(48) == 2
    assert looks(9) == 0  # one and a half horizons would not be left


def test_when_val_size_leaves_nothing_then_error(make_patchtst: Make, make_frame: Make) -> None:
    with pytest.raises(ValueError, match="val_size=48 leaves nothing to train on"):
        make_patchtst().fit(make_frame(), val_size=48)


def test_training_never_sees_what_is_held_out(
    make_patchtst: Make, make_frame: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Poisoned, the held out part may change which step is best, but not where training leads."""
    monkeypatch.setattr(KeepBest, "on_fit_end", lambda *args: None)
    df = make_frame()
    held_out = df.groupby("unique_id").cumcount(ascending=False) < 10
    poisoned = df.assign(y=df["y"].mask(held_out, 1e6))
    one, other = (
        make_patchtst(max_steps=5, patience=None).fit(data, val_size=10) for data in (df, poisoned)
    )
    assert one.fit_report_.training.history != other.fit_report_.training.history
    assert same_weights(one, other)


def test_no_training_window_holds_a_held_out_step(make_patchtst: Make, make_frame: Make) -> None:
    df = pd.concat([make_frame(["b"], 48), make_frame(["a"], 13), make_frame(["c"], 30)])
    held_out = df.groupby("unique_id").cumcount(ascending=False) < 6
    forecaster = make_patchtst().fit(df.assign(y=held_out.astype(float)))
    panel, _ = read_panel(df.assign(y=held_out.astype(float)), Schema())
    training, validation = forecaster._windows(panel, np.full(3, 6))
    seen = training.batch(torch.arange(len(training)))
    assert len(seen) > 20
    assert seen.target.sum() == seen.future.sum() == 0
    checked = validation.batch(torch.arange(len(validation)))
    assert len(checked) == 3 * 3
    assert (checked.future[checked.future_observed] == 1).all()


def test_early_stopping_waits_for_patience(make_patchtst: Make, make_frame: Make) -> None:
    """Too fast a learning rate makes every look worse than the first."""
    options = {"max_steps": 20, "learning_rate": 3.0}
    patient = make_patchtst(**options, patience=None).fit(make_frame()).fit_report_.training
    hasty = make_patchtst(**options, patience=2).fit(make_frame()).fit_report_.training
    assert patient.steps == 20
    assert hasty.steps == hasty.best_step + 2 < 20
    assert patient.history[: hasty.steps] == hasty.history


@pytest.mark.parametrize(("max_epochs", "batch_size"), [(1, 7), (3, 16), (2, 1000)])
def test_epochs_count_passes_over_all_windows(
    make_patchtst: Make, make_frame: Make, max_epochs: int, batch_size: int
) -> None:
    forecaster = make_patchtst(max_epochs=max_epochs, batch_size=batch_size, max_steps=1000)
    forecaster.fit(make_frame(), val_size=0)
    n_windows = 2 * (48 - 4 - 16 + 1)
    assert forecaster.fit_report_.training.steps == max_epochs * -(-n_windows // batch_size)


def test_the_fewer_of_steps_and_epochs_ends_training(make_patchtst: Make, make_frame: Make) -> None:
    forecaster = make_patchtst(max_epochs=50, batch_size=8, max_steps=9).fit(make_frame())
    assert forecaster.fit_report_.training.steps == 9


def test_half_precision_trains_to_nearly_the_same_weights(
    make_patchtst: Make, make_frame: Make
) -> None:
    df = make_frame()
    full = make_patchtst(max_steps=5).fit(df)
    half = make_patchtst(max_steps=5, precision="bf16-mixed").fit(df)
    assert not same_weights(full, half)
    for name, value in weights(half).items():
        assert value.dtype == weights(full)[name].dtype
        torch.testing.assert_close(value, weights(full)[name], rtol=0.1, atol=0.02)
    width = full.predict()["0.9"] - full.predict()["0.1"]
    assert ((half.predict()["mean"] - full.predict()["mean"]).abs() < 0.1 * width).all()


def test_when_training_diverges_then_the_error_says_what_to_lower(
    make_patchtst: Make, make_frame: Make
) -> None:
    with pytest.raises(ValueError, match=r"training diverged.*lower learning_rate"):
        make_patchtst(learning_rate=1e38, max_steps=8, norm="layer").fit(make_frame(), val_size=0)


def test_a_progress_bar_comes_only_when_asked(
    make_patchtst: Make, make_frame: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    make_patchtst().fit(make_frame())
    assert capfd.readouterr() == ("", "")
    make_patchtst(progress_bar=True).fit(make_frame())
    assert "Epoch" in "".join(capfd.readouterr())


def test_predictions_need_no_trainer(
    make_patchtst: Make, make_frame: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecaster = make_patchtst().fit(make_frame())

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a Trainer was made")

    monkeypatch.setattr(pl, "Trainer", refuse)
    forecaster.predict(make_frame(["z"]), horizon=9)
    forecaster.predict_samples(n_samples=2)
    with pytest.raises(AssertionError, match="a Trainer"):
        forecaster.fit(make_frame())


def test_steady_counts_are_refused_where_values_are_not_counts(
    make_patchtst: Make, make_frame: Make
) -> None:
    df = make_frame()
    df["y"] = df["y"].round().abs()
    df.loc[50, "y"] = -3.0
    with pytest.raises(
        ValueError, match=r"'negative_binomial' is for counts, but series 'a' .* -3"
    ):
        make_patchtst(head="negative_binomial").fit(df)
    df.loc[50, "y"] = 0.5
    with pytest.raises(ValueError, match=r"series 'a' holds 0\.5; choose head='quantile'"):
        make_patchtst(head="negative_binomial").fit(df)


def test_precision_is_settled_by_width_and_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_has", lambda *names: "amx_bf16" in names)
    forecaster = PatchTSTForecaster(horizon=4, precision="auto", compile=True, accelerator="cpu")
    assert forecaster._settings().precision == "32-true"  # nothing is built yet
    assert forecaster._settings().compile
    for width, expected in ((32, "32-true"), (64, "bf16-mixed")):
        forecaster.sizes_ = {"d_model": width}
        assert forecaster._settings().precision == expected
    with pytest.raises(ValueError, match="precision='bf8' is unknown"):
        forecaster.set_params(precision="bf8")._check_parameters()
