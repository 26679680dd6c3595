"""The search for parameters: what a trial knows, what is kept, and when it ends."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from tsformer.data.frame import Schema, read_panel
from tsformer.evaluation.metrics import Scores
from tsformer.forecasters import SeasonalNaiveForecaster, search
from tsformer.forecasters.conformal import ConformalForecaster
from tsformer.forecasters.held_out import (
    METRICS,
    Window,
    held_out_windows,
    weighted_quantile_loss,
)
from tsformer.forecasters.parameters import DECILES
from tsformer.forecasters.saved_parameters import parameters_to_json
from tsformer.forecasters.score import naive_errors
from tsformer.forecasters.search_spaces import Choice, FloatRange, IntRange, Range
from tsformer.forecasters.tuning import read_budget, tune
from tsformer.types import Forecast

Make = Callable[..., Any]


@dataclass(kw_only=True, eq=False, repr=False)
class Shifted(SeasonalNaiveForecaster):
    """The seasonal naive forecast, moved; shows itself twenty times while it learns."""

    shift: float = 1.0
    anything: Any = None

    def _search_space(self, panel: Any) -> dict[str, Range]:
        return {"shift": FloatRange(-3.0, 3.0)}

    def _learn(self, panel: Any, val_size: Any) -> Any:
        if self.shift == 13:
            raise ZeroDivisionError("unlucky")
        if self.shift == 99:
            raise KeyboardInterrupt
        for step in range(1, 21):
            if getattr(self, "_watch", None) is not None:
                self._watch(step / 20)
        return super()._learn(panel, val_size)

    def _forecast(self, panel: Any, horizon: int, levels: tuple[float, ...]) -> Forecast:
        forecast = super()._forecast(panel, horizon, levels)
        shift = float("nan") if self.shift == 7 else self.shift
        return Forecast(
            mean=forecast.mean + shift, quantiles=forecast.quantiles + shift, levels=levels
        )


def shifted(**parameters: Any) -> Shifted:
    return Shifted(**{"horizon": 4, "season_length": 4, **parameters})


def without_time(trials: pd.DataFrame) -> pd.DataFrame:
    return trials.drop(columns="seconds")


def shifts(values: list[float]) -> dict[str, Range]:
    return {"shift": Choice(values)}


# what is found


def test_the_first_trial_has_the_parameters_as_they_are_and_the_best_is_no_worse(
    make_forecaster: Make, make_frame: Make
) -> None:
    forecaster, df = make_forecaster(), make_frame()
    result = tune(forecaster, df, budget=2)
    own = {name: forecaster.get_params()[name] for name in result.best_params}
    trials = result.trials
    assert trials.iloc[0][list(own)].to_dict() == own
    assert trials["state"].tolist() == ["complete"] * 2
    assert result.best_score == trials["score"].min() <= trials["score"][0]
    assert trials.loc[trials["score"].argmin(), list(own)].to_dict() == result.best_params
    assert (trials["seconds"] > 0).all()
    expected = forecaster.set_params(**result.best_params)
    assert parameters_to_json(result.best_forecaster) == parameters_to_json(expected)


def test_the_search_comes_close_to_the_best_parameter(make_frame: Make) -> None:
    df = make_frame()
    result = tune(shifted(), df, budget=25)
    grid = tune(shifted(), df, budget=100, space=shifts(np.linspace(-3, 3, 31).tolist()))
    assert result.best_score == pytest.approx(grid.best_score, rel=0.02)
    assert result.best_params["shift"] == pytest.approx(grid.best_params["shift"], abs=0.3)


@pytest.mark.parametrize(("n_windows", "step_size"), [(1, None), (3, None), (2, 1)])
def test_scores_are_those_of_cross_validation_with_one_fit(
    make_frame: Make, n_windows: int, step_size: int | None
) -> None:
    df = pd.concat([make_frame(["b"], 50), make_frame(["a"], 30)])
    df.iloc[-2, 2] = np.nan
    sizes = {"n_windows": n_windows, "step_size": step_size}
    rows = shifted().cross_validation(df, **sizes).dropna()
    losses = [
        2 * ((rows["y"] - rows[f"{q:g}"]) * (q - (rows["y"] < rows[f"{q:g}"]))).sum()
        for q in DECILES
    ]
    crps = tune(shifted(), df, budget=1, **sizes).best_score
    assert crps == pytest.approx(np.mean(losses) / rows["y"].abs().sum(), rel=1e-6)


def test_metrics_agree_with_those_of_the_benchmark(make_frame: Make) -> None:
    panel, generator = read_panel(make_frame(["a", "b", "c"], 60), Schema())[0], np.random
    window = held_out_windows(panel, 5, 1, 5)[0]
    quantiles = np.sort(generator.default_rng(0).normal(size=(3, 5, 9)), axis=2)
    truth = window.truth.copy()
    truth[1, 3] = np.nan
    scores, scale = Scores(24), naive_errors(window.history)
    forecast = Forecast(mean=quantiles[:, :, 4], quantiles=quantiles, levels=DECILES)
    scores.update(window.history, truth, forecast)
    expected = scores.result()
    for name, metric in METRICS.items():
        assert metric(truth, quantiles, scale) == pytest.approx(expected[name.upper()], rel=1e-6)
    assert weighted_quantile_loss(np.zeros((1, 1)), np.ones((1, 1, 9)), scale) == pytest.approx(1)


def test_another_metric_finds_another_optimum(make_frame: Make) -> None:
    """CRPS is of the whole panel, and ruled by large series; in MASE each weighs the same."""
    df = make_frame(["a", "large", "larger"])
    rising = 0.5 * df.groupby("unique_id").cumcount()  # by 2 in a season
    df["y"] = (0.01 * df["y"]).where(df["unique_id"] == "a", rising)
    found = {m: tune(shifted(), df, budget=15, metric=m).best_params["shift"] for m in METRICS}
    assert found["crps"] > 0.9
    assert abs(found["mase"]) < 0.3


# what a trial knows


def test_fits_know_nothing_later_than_the_first_cutoff(
    make_frame: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    df = pd.concat([make_frame(["b"], 40), make_frame(["a"], 30)])
    from_end = df.groupby("unique_id").cumcount(ascending=False)
    df["y"] = from_end
    seen: list[list[float]] = []
    fit_panel = Shifted.fit_panel

    def recorded(self: Any, panel: Any, *rest: Any) -> Any:
        seen.append([float(panel.series(n)[0].min()) for n in range(len(panel))])
        return fit_panel(self, panel, *rest)

    monkeypatch.setattr(Shifted, "fit_panel", recorded)
    tune(shifted(), df, budget=3, n_windows=2, step_size=3)
    assert seen == [[7.0, 7.0]] * 3 + [[0.0, 0.0]]  # the last fit is that of all the data


def test_windows_are_what_follows_each_cutoff() -> None:
    panel, _ = read_panel(np.stack([np.arange(20.0), 100 + np.arange(20.0)]), Schema())
    first, second = held_out_windows(panel, 4, 2, 3)
    assert first.history.lengths.tolist() == [13, 13]
    np.testing.assert_array_equal(first.truth, [[13, 14, 15, 16], [113, 114, 115, 116]])
    assert second.history.lengths.tolist() == [16, 16]
    np.testing.assert_array_equal(second.truth, [[16, 17, 18, 19], [116, 117, 118, 119]])


def test_some_of_a_window_are_whole_series_with_all_variates() -> None:
    panel, _ = read_panel(np.arange(100.0).reshape(10, 10), Schema())
    window = held_out_windows(panel, 3, 1, 3)[0]
    pairs = Window(history=window.history, truth=np.repeat(window.truth, 2, axis=0))
    some = pairs.some(4)
    assert some.history.ids.tolist() == window.history.ids[[0, 3, 6, 9]].tolist()
    np.testing.assert_array_equal(some.truth, pairs.truth[[0, 1, 6, 7, 12, 13, 18, 19]])
    assert pairs.some(10) is pairs


def test_when_nothing_can_be_held_out_then_error(make_frame: Make) -> None:
    with pytest.raises(ValueError, match="no series has values before its last horizon=4"):
        tune(shifted(), make_frame(length=4), budget=1)
    df = make_frame()
    gone = df.assign(y=df["y"].mask(df.groupby("unique_id").cumcount(ascending=False) < 4))
    with pytest.raises(ValueError, match="no series has a value in the held out windows"):
        tune(shifted(), gone, budget=1)


# what comes back


def test_the_forecaster_itself_stays_as_it_is(make_forecaster: Make, make_frame: Make) -> None:
    forecaster = make_forecaster().fit(make_frame())
    before = dict(vars(forecaster))
    answer = forecaster.predict()
    result = tune(forecaster, make_frame(["z"], seed=5), budget=1)
    assert vars(forecaster) == before
    pd.testing.assert_frame_equal(forecaster.predict(), answer)
    assert result.best_forecaster is not forecaster


def test_the_best_forecaster_is_fitted_to_all_of_the_data_unless_not_wanted(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame()
    fitted = tune(make_forecaster(), df, budget=1).best_forecaster
    unfitted = tune(make_forecaster(), df, budget=1, refit=False).best_forecaster
    with pytest.raises(NotFittedError):
        unfitted.score(df)
    pd.testing.assert_frame_equal(fitted.predict(), unfitted.fit(df).predict(), check_exact=True)


def test_parameters_of_a_forecaster_inside_another_are_searched_by_their_long_names(
    make_frame: Make,
) -> None:
    space = {"forecaster__shift": Choice([0.0, 1.0, 2.0])}
    result = tune(ConformalForecaster(forecaster=shifted()), make_frame(), budget=9, space=space)
    assert sorted(result.trials["forecaster__shift"]) == [0.0, 1.0, 2.0]
    inside = result.best_forecaster.forecaster
    assert inside.shift == result.best_params["forecaster__shift"]


def test_other_frames_give_the_same_result(make_frame: Make) -> None:
    df = make_frame()
    expected = without_time(tune(shifted(), df, budget=4).trials)
    result = tune(shifted(), pl.from_pandas(df), budget=4)
    pd.testing.assert_frame_equal(without_time(result.trials), expected)
    assert isinstance(result.best_forecaster.predict(), pl.DataFrame)


def test_it_is_a_method_of_forecasters_too(make_frame: Make) -> None:
    df = make_frame()
    expected = tune(shifted(), df, budget=3).trials
    trials = shifted().tune(df, budget=3).trials
    pd.testing.assert_frame_equal(without_time(trials), without_time(expected))
    with pytest.raises(TypeError, match=r"Shifted\.tune has no parameter `budgets`; did you mean"):
        shifted().tune(df, budgets=3)


def test_values_of_any_type_can_be_searched(make_frame: Make) -> None:
    values = [None, (1, 2), "text", SimpleNamespace]
    result = tune(shifted(), make_frame(), budget=9, space={"anything": Choice(values)})
    assert sorted(result.trials["anything"], key=values.index) == values


def test_whole_numbers_stay_whole_and_none_stays_none(make_frame: Make) -> None:
    space = {"max_history": IntRange(20, 30, step=5), "season_length": Choice([None, 3])}
    trials = tune(shifted(), make_frame(), budget=9, space=space).trials
    assert {int} == {type(value) for value in trials["max_history"].tolist()}
    assert {None, 3, 4} == set(trials["season_length"])


# when it ends


def test_a_small_space_is_tried_whole_each_point_once(make_frame: Make, tmp_path: Path) -> None:
    space = {"shift": Choice([0.0, 0.5, 1.0]), "season_length": IntRange(2, 6, step=2)}
    options = {"space": space, "study": tmp_path / "study.db"}
    assert len(tune(shifted(), make_frame(), budget=5, **options).trials) == 5
    result = tune(shifted(), make_frame(), budget="30s", **options)
    tried = list(zip(result.trials["shift"], result.trials["season_length"], strict=True))
    assert tried[0] == (1.0, 4)
    assert sorted(tried) == list(itertools.product([0.0, 0.5, 1.0], [2, 4, 6]))
    assert len(tune(shifted(), make_frame(), budget=5, **options).trials) == 9


@pytest.mark.parametrize(
    ("budget", "expected"),
    [("4s", 4), (timedelta(seconds=2.5), 3), ("1ms", 1), (3, 3), (np.int64(2), 2)],
)
def test_no_trial_begins_after_the_budget(
    make_frame: Make, monkeypatch: pytest.MonkeyPatch, budget: Any, expected: int
) -> None:
    """Each trial takes a second."""
    clock = itertools.count()
    monkeypatch.setattr(search, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert len(tune(shifted(), make_frame(), budget=budget).trials) == expected


@pytest.mark.parametrize(
    ("budget", "seconds"),
    [("10min", 600), ("2h", 7200), ("00:01:30", 90), ("1 day", 86400), (timedelta(hours=1), 3600)],
)
def test_durations_are_read_as_pandas_reads_them(budget: Any, seconds: float) -> None:
    assert read_budget(budget) == (float("inf"), seconds)


@pytest.mark.parametrize(
    ("budget", "error", "message"),
    [
        (0, ValueError, "budget=0 must be at least 1"),
        (2.5, TypeError, r"budget=2\.5 must be a whole number"),
        (True, TypeError, "budget=True must be a whole number"),
        (None, TypeError, "budget=None must be a whole number"),
        ("10", ValueError, "budget='10' has no unit; pass a number of trials, or a duration"),
        ("soon", ValueError, "budget='soon' is no duration; pass a number of trials"),
        ("-1h", ValueError, "budget='-1h' must be above 0"),
        ("NaT", ValueError, "budget='NaT' must be above 0"),
    ],
)
def test_what_is_no_budget_is_refused(budget: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_budget(budget)


# what fails


def test_a_trial_that_fails_is_listed_with_its_message_and_the_others_go_on(
    make_frame: Make,
) -> None:
    space = shifts([0.0, 7.0, 13.0, 0.5])
    result = tune(shifted(shift=0.5), make_frame(), budget=9, space=space)
    trials = result.trials.set_index("shift")
    assert trials["state"].to_dict() == {
        0.0: "complete",
        0.5: "complete",
        7.0: "failed",
        13.0: "failed",
    }
    assert trials["error"][13.0] == "ZeroDivisionError: unlucky"
    assert "not finite" in trials["error"][7.0]
    assert trials["score"].isna().tolist() == (trials["state"] == "failed").tolist()
    assert (trials["error"] == "").tolist() == (trials["state"] == "complete").tolist()
    assert result.best_params["shift"] in (0.0, 0.5)


def test_when_all_trials_fail_then_the_first_error_is_told_soon(make_frame: Make) -> None:
    space = {"max_history": IntRange(-300, 0)}
    with pytest.raises(ValueError, match="all 10 trials failed; the first: ZeroDivisionError: unl"):
        tune(shifted(shift=13), make_frame(), budget="30s", space=space)


def test_wrong_parameters_of_the_forecaster_are_no_trial(make_frame: Make) -> None:
    with pytest.raises(ValueError, match="horizon=0 must be at least 1"):
        tune(shifted(horizon=0), make_frame(), budget=1)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"metric": "mse"}, ValueError, "metric='mse' is unknown; choose 'crps' or 'mase'"),
        ({"n_windows": 0}, ValueError, "n_windows=0"),
        ({"step_size": 0}, ValueError, "step_size=0"),
        ({"random_state": None}, TypeError, "random_state=None"),
        ({"space": {"shifts": IntRange(0, 1)}}, ValueError, "space has 'shifts'"),
        ({"static_df": 1}, ValueError, "leave static_df out"),
        ({"n_trials": 3}, TypeError, r"Shifted\.tune has no parameter `n_trials`"),
    ],
)
def test_wrong_wishes_are_named(
    make_frame: Make, wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        tune(shifted(), make_frame(), budget=1, **wrong)


def test_without_the_extra_the_command_that_installs_it_is_told(
    make_frame: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"pip install 'tsformer\[tune\]'"):
        tune(shifted(), make_frame(), budget=1)


# what is stopped early


def states_of(file: Path) -> list[Any]:
    return optuna.load_study(study_name="tsformer", storage=f"sqlite:///{file}").trials


def test_what_is_worse_than_the_median_is_stopped_after_a_quarter_of_its_training(
    make_frame: Make, tmp_path: Path
) -> None:
    df, space = make_frame(), {"shift": FloatRange(0.0, 60.0)}
    result = tune(shifted(shift=0.0), df, budget=20, space=space, study=tmp_path / "study.db")
    trials, stored = result.trials, states_of(tmp_path / "study.db")
    pruned = trials["state"] == "pruned"
    assert pruned.sum() >= 2
    assert not pruned[:5].any()
    assert trials["score"].isna().tolist() == pruned.tolist()
    assert trials["shift"][pruned].min() > trials["shift"][~pruned].median()
    for number, trial in enumerate(stored):
        steps = list(trial.intermediate_values)
        assert steps == list(range(1, 6 if pruned[number] else 21))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """Return where looks are listed, instead of being told to Optuna."""
    looks: list[tuple[int, float]] = []
    monkeypatch.setattr(
        optuna.trial.Trial, "report", lambda trial, value, step: looks.append((step, value))
    )
    return looks


def test_training_is_looked_at_with_the_weights_of_the_moment(
    make_patchtst: Make, make_frame: Make, looks: list[tuple[int, float]]
) -> None:
    """A distribution head, which is not calibrated, ends as it was at its best look."""
    parameters = {"head": "student_t", "max_steps": 20, "learning_rate": 1e-2, "patience": None}
    forecaster, df = make_patchtst(**parameters), make_frame()
    window = held_out_windows(read_panel(df, Schema())[0], 4, 1, 4)[0]
    unwatched = clone(forecaster).fit_panel(window.history)
    quantiles = unwatched.predict_panel(window.history, quantiles=DECILES).quantiles
    result = tune(forecaster, df, budget=1, space={"dropout": FloatRange(0.0, 0.1)})
    assert result.best_score == weighted_quantile_loss(window.truth, quantiles, window.truth)
    assert [step for step, _ in looks] == list(range(1, 21))
    assert len({value for _, value in looks}) == 20
    best = unwatched.fit_report_.training.best_step
    assert dict(looks)[best] == pytest.approx(result.best_score, rel=1e-6)


def test_training_is_looked_at_twenty_times_at_most(
    make_patchtst: Make, make_frame: Make, looks: list[tuple[int, float]]
) -> None:
    forecaster = make_patchtst(max_steps=30, patience=None)
    tune(forecaster, make_frame(), budget=1, refit=False)
    assert [step for step, _ in looks] == list(range(1, 21))


# what is kept


def test_the_same_seed_gives_the_same_trials_and_another_one_others(make_frame: Make) -> None:
    one, same, other = (
        without_time(tune(shifted(), make_frame(), budget=14, random_state=seed).trials)
        for seed in (3, 3, 4)
    )
    pd.testing.assert_frame_equal(one, same)
    assert not set(one["shift"][1:]) & set(other["shift"][1:])


def test_a_study_goes_on_as_if_it_had_not_been_interrupted(
    make_frame: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    df, file = make_frame(), tmp_path / "new" / "study.db"
    whole = tune(shifted(), df, budget=14)
    assert len(tune(shifted(), df, budget=3, study=file).trials) == 3
    learn, calls = Shifted._learn, itertools.count(1)

    def interrupted(self: Any, *args: Any) -> Any:
        if next(calls) == 9:
            raise KeyboardInterrupt
        return learn(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(Shifted, "_learn", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tune(shifted(), df, budget=11, study=str(file))
    result = tune(shifted(), df, budget=3, study=file)
    pd.testing.assert_frame_equal(without_time(result.trials), without_time(whole.trials))
    assert (result.best_params, result.best_score) == (whole.best_params, whole.best_score)


@pytest.fixture(scope="module")
def kept(make_frame: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a study with two trials, which is not to be changed."""
    file = tmp_path_factory.mktemp("kept") / "study.db"
    tune(shifted(anything=object()), make_frame(), budget=2, study=file)
    return file


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"forecaster": SeasonalNaiveForecaster(horizon=4)}, "forecaster='Shifted', this is "),
        ({"forecaster": shifted(horizon=3, anything=object())}, "horizon=4, this is horizon=3"),
        ({"forecaster": shifted(shift=0.5, anything=object())}, r"shift=1\.0, this is shift=0\.5"),
        ({"forecaster": shifted(anything=np.arange(2))}, r"anything=.*, this is .*\[0, 1\]"),
        ({"space": {"shift": FloatRange(0, 1)}}, r"space\['shift'\]='FloatRange\(low=-3\.0"),
        ({"space": {"max_history": IntRange(8, 9)}}, r"space\['shift'\]=.*, this is .*=None"),
        ({"metric": "mase"}, "metric='crps', this is metric='mase'"),
        ({"n_windows": 2}, "n_windows=1, this is n_windows=2"),
        ({"step_size": 1}, "step_size=4, this is step_size=1"),
        ({"df": np.arange(30.0)}, "data="),
    ],
)
def test_a_study_of_something_else_is_refused(
    kept: Path, make_frame: Make, change: dict[str, Any], message: str
) -> None:
    options = {"forecaster": shifted(anything=object()), "df": make_frame(), **change}
    before = kept.read_bytes()
    with pytest.raises(ValueError, match=message):
        tune(options.pop("forecaster"), options.pop("df"), budget=1, study=kept, **options)
    assert kept.read_bytes() == before


def test_only_values_that_differ_make_another_study(
    kept: Path, make_frame: Make, tmp_path: Path
) -> None:
    file = Path(shutil.copy(kept, tmp_path))
    same = shifted(quantiles=np.array(DECILES), anything=object(), horizon=np.int64(4))
    assert len(tune(same, make_frame(), budget=1, study=file, step_size=4).trials) == 3


def test_a_file_that_is_no_study_is_refused_and_left_as_it_is(
    make_frame: Make, tmp_path: Path
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("something quite different")
    for path in (file, tmp_path):
        with pytest.raises(ValueError, match="is not the file of a study; pass another name"):
            tune(shifted(), make_frame(), budget=1, study=path)
    assert file.read_text() == "something quite different"


def test_nothing_is_said_unless_asked(
    kept: Path, make_frame: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    optuna.logging.set_verbosity(optuna.logging.INFO)  # as it is by itself
    file = shutil.copy(kept, tmp_path)
    tune(shifted(anything=object()), make_frame(), budget=1, study=file)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    lines: list[str] = []
    options = {"budget": 3, "space": shifts([1.0, 13.0])}
    result = tune(shifted(), make_frame(), notify=lines.append, **options)
    best = f"best {result.best_score:.4g}"
    assert [line.split(": ", 1)[0] for line in lines] == ["trial 1", "trial 2"]
    assert f"crps {result.best_score:.4g}" in lines[0]
    assert "ZeroDivisionError: unlucky" in lines[1]
    assert all(best in line for line in lines)
