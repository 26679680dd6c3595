from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tsformer.evaluation.tasks as tasks
from tsformer.evaluation.runner import evaluate
from tsformer.evaluation.suite import ResampleSpec, TaskSpec
from tsformer.evaluation.tasks import Task, load_task, resample
from tsformer.forecasters import SeasonalNaiveForecaster


def long_frame(lengths: dict[str, int], freq: str = "D", start: str = "2020-01-01") -> pd.DataFrame:
    pieces = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": pd.date_range(start, periods=length, freq=freq),
                "y": np.arange(length) + 100.0 * number,
            }
        )
        for number, (name, length) in enumerate(lengths.items())
    ]
    return pd.concat(pieces, ignore_index=True)


def make(monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame, **changes: object) -> Task:
    monkeypatch.setattr(tasks, "load_dataset", lambda name: frame)
    spec = {"name": "t", "dataset": "d", "horizon": 5, "season_length": 7, **changes}
    return load_task(TaskSpec(**spec))  # type: ignore[arg-type]


def test_rolling_windows_touch_each_other_and_end_with_the_series(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = make(monkeypatch, long_frame({"a": 60, "b": 40}), windows=3)
    assert task.cutoffs.tolist() == [[45, 25], [50, 30], [55, 35]]
    assert task.training.tolist() == [45, 25]
    truths = {w: [] for w in range(2)}  # type: dict[int, list[float]]
    for windows in task.windows():
        for number, series in enumerate(windows.series):
            history, truth = windows.history.series(number)[0], windows.truth[number]
            assert truth[0] == history[-1] + 1
            assert history[0] == 100 * series
            truths[series].extend(truth)
    assert truths[0] == list(range(45, 60))
    assert truths[1] == list(range(125, 140))


def test_the_training_panel_ends_where_the_first_window_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = make(monkeypatch, long_frame({"a": 60, "b": 40}), windows=3)
    panel = task.training_panel
    assert panel.lengths.tolist() == [45, 25]
    assert panel.values.max() < 125


@pytest.mark.parametrize(
    ("length", "horizon", "windows"), [(414, 48, 1), (1000, 5, 20), (7305, 30, 20), (600, 12, 5)]
)
def test_without_a_number_of_windows_a_tenth_of_the_shortest_series_is_tested(
    monkeypatch: pytest.MonkeyPatch, length: int, horizon: int, windows: int
) -> None:
    frame = long_frame({"long": 2 * length, "short": length})
    assert len(make(monkeypatch, frame, horizon=horizon).cutoffs) == windows


def test_protocol_last_has_one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    task = make(monkeypatch, long_frame({"a": 60, "b": 40}), protocol="last")
    assert task.cutoffs.tolist() == [[55, 35]]


def test_when_a_series_is_shorter_than_its_windows_then_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ValueError, match="'b' is shorter than its windows"):
        make(monkeypatch, long_frame({"a": 60, "b": 10}), windows=2)


def test_memory_limits_the_history_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    task = make(monkeypatch, long_frame({"a": 60, "b": 40}), windows=3)
    whole = next(iter(task.windows()))
    short = next(iter(task.windows(memory=28)))
    assert short.history.lengths.tolist() == [28, 25, 28, 28, 28, 28]
    np.testing.assert_array_equal(short.truth, whole.truth)
    for number, length in enumerate(short.history.lengths):
        np.testing.assert_array_equal(
            short.history.series(number), whole.history.series(number)[:, -length:]
        )
        assert short.history.times(number)[-1] == whole.history.times(number)[-1]


def test_windows_come_in_parts_where_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    task = make(monkeypatch, long_frame({"a": 60, "b": 40}), windows=3)
    whole = next(iter(task.windows()))
    monkeypatch.setattr(tasks, "_STEPS_AT_ONCE", 50)
    parts = [*task.windows()]
    assert len(parts) > 1
    np.testing.assert_array_equal(np.concatenate([part.truth for part in parts]), whole.truth)


def test_long_term_protocol_standardises_by_the_training_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = long_frame({"a": 40, "b": 40})
    frame["y"] = np.random.default_rng(0).normal(5, 3, len(frame))
    task = make(monkeypatch, frame, protocol="ltsf", split=(20, 6, 10), horizon=4)
    assert task.val_size == 6
    assert task.training.tolist() == [26, 26]
    assert task.cutoffs[:, 0].tolist() == list(range(26, 33))
    for number, name in enumerate("ab"):
        y = frame.loc[frame["unique_id"] == name, "y"].to_numpy()[:36]
        expected = (y - y[:20].mean()) / y[:20].std()
        np.testing.assert_allclose(task.panel.series(number)[0], expected, rtol=1e-5, atol=1e-6)
    windows = next(iter(task.windows()))
    assert len(windows.truth) == 14
    np.testing.assert_array_equal(windows.truth[3], task.panel.series(1)[0, 27:31])


def test_long_term_protocol_needs_a_split_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="needs split"):
        make(monkeypatch, long_frame({"a": 40}), protocol="ltsf")
    with pytest.raises(ValueError, match="shorter than split"):
        make(monkeypatch, long_frame({"a": 40}), protocol="ltsf", split=(30, 10, 10))


def test_windows_that_fill_batches_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = long_frame({"a": 40, "b": 40})
    sizes = {"protocol": "ltsf", "split": (20, 6, 10), "horizon": 4}
    task = make(monkeypatch, frame, batch=3, **sizes)
    assert len(task.cutoffs) == 7
    assert task.n_starred == 6 * 2
    together = task.joined()
    assert together.n_starred == 6 * 2
    assert make(monkeypatch, frame, **sizes).n_starred is None
    assert make(monkeypatch, frame, batch=8, **sizes).n_starred == 0


def test_of_the_rows_to_train_on_the_latest_share_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"protocol": "ltsf", "split": (20, 6, 10), "horizon": 4}
    whole = make(monkeypatch, long_frame({"a": 40, "b": 40}), **sizes)
    task = make(monkeypatch, long_frame({"a": 40, "b": 40}), training_share=0.25, **sizes)
    assert whole.training_panel.lengths.tolist() == [26, 26]
    assert task.training_panel.lengths.tolist() == [5 + 6, 5 + 6]
    np.testing.assert_array_equal(
        task.training_panel.series(1), whole.training_panel.series(1)[:, 15:]
    )
    np.testing.assert_array_equal(task.cutoffs, whole.cutoffs)
    rolling = make(monkeypatch, long_frame({"a": 60, "b": 40}), windows=3, training_share=0.5)
    assert rolling.training.tolist() == [45, 25]
    assert rolling.training_panel.lengths.tolist() == [23, 13]


@pytest.mark.parametrize("share", [0.0, 1.1, -1])
def test_a_share_of_the_rows_must_be_one(share: float) -> None:
    with pytest.raises(ValueError, match=f"task 't': training_share={share} must be above 0"):
        TaskSpec(name="t", dataset="d", horizon=5, season_length=7, training_share=share)


def test_weeks_that_are_not_complete_are_dropped() -> None:
    frame = long_frame({"a": 30}, start="2020-01-01")  # a Wednesday
    weeks = resample(frame, ResampleSpec(freq="W-TUE", how="sum"))
    assert weeks["ds"].dt.day_name().unique().tolist() == ["Tuesday"]
    assert weeks["y"].tolist() == [sum(range(7 * k, 7 * k + 7)) for k in range(4)]
    later = resample(frame.iloc[1:], ResampleSpec(freq="W-TUE", how="sum"))
    assert later["y"].tolist() == weeks["y"].tolist()[1:]


def test_calendar_months_have_their_own_length() -> None:
    frame = long_frame({"a": 31 + 29 + 30}, start="2020-01-01")
    months = resample(frame, ResampleSpec(freq="MS", how="sum"))
    assert months["ds"].tolist() == [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-02-01")]
    assert months["y"].tolist() == [sum(range(31)), sum(range(31, 60))]


def test_hourly_means_of_each_series() -> None:
    frame = long_frame({"a": 9, "b": 8}, freq="15min")
    hours = resample(frame, ResampleSpec(freq="h", how="mean"))
    assert hours["unique_id"].tolist() == ["a", "a", "b", "b"]
    assert hours["y"].tolist() == [1.5, 5.5, 101.5, 105.5]


def test_one_series_may_be_taken_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = long_frame({"a": 60, "b": 40})
    task = make(monkeypatch, frame, series="b", protocol="last")
    assert task.panel.ids.tolist() == ["b"]
    np.testing.assert_array_equal(task.panel.values[0], np.arange(40) + 100)
    with pytest.raises(ValueError, match="task 't': d has no series 'c'"):
        make(monkeypatch, frame, series="c")


@pytest.mark.parametrize(("freq", "alias"), [("D", "3D"), ("MS", "QS"), ("h", "3h")])
def test_every_so_manieth_step_is_taken_from_the_first_of_each_series_on(
    monkeypatch: pytest.MonkeyPatch, freq: str, alias: str
) -> None:
    later = long_frame({"b": 41}, freq=freq, start="2020-02-01").assign(y=100.0 + np.arange(41))
    frame = pd.concat([long_frame({"a": 60}, freq=freq), later], ignore_index=True)
    task = make(monkeypatch, frame, every=3, windows=1)
    assert task.panel.lengths.tolist() == [20, 14]
    for number, start in enumerate([0, 100]):
        steps = start + np.arange(0, [60, 41][number], 3)
        np.testing.assert_array_equal(task.panel.series(number)[0], steps)
        rows = frame[frame["unique_id"] == "ab"[number]].iloc[::3]
        np.testing.assert_array_equal(
            pd.DatetimeIndex(task.panel.times(number)), pd.DatetimeIndex(rows["ds"])
        )
    expected = pd.tseries.frequencies.to_offset(alias)
    assert pd.tseries.frequencies.to_offset(task.panel.freq.alias) == expected


def test_a_series_is_taken_before_its_steps_and_these_before_bins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = long_frame({"a": 47, "b": 48}, freq="h")
    resampled = ResampleSpec(freq="D", how="sum")
    task = make(monkeypatch, frame, series="b", every=2, resample=resampled, horizon=1, windows=1)
    hours = np.arange(0, 48, 2) + 100
    np.testing.assert_array_equal(task.panel.values[0], hours.reshape(2, 12).sum(axis=1))


def noise_frame(lengths: dict[str, int]) -> pd.DataFrame:
    frame = long_frame(lengths)
    return frame.assign(y=frame["y"] + np.random.default_rng(0).normal(0, 9, len(frame)))


PROTOCOLS = [
    {"windows": 3},
    {"protocol": "last"},
    {"protocol": "ltsf", "split": (30, 10, 20)},
]


@pytest.mark.parametrize("changes", PROTOCOLS, ids=["rolling", "last", "ltsf"])
def test_joined_series_have_the_same_windows_row_by_row(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    task = make(monkeypatch, noise_frame({"a": 60, "b": 60, "c": 60}), **changes)
    joined = task.joined()
    assert (len(joined.panel), joined.panel.n_variates) == (1, 3)
    assert joined.training_panel.lengths.tolist() == task.training[:1].tolist()
    apart, together = (
        {
            (name, int(rows.lengths[row])): (rows.series(row)[0], windows.truth[row])
            for windows in one.windows()
            for rows in [windows.history.univariate()]
            for row, name in enumerate(windows.names)
        }
        for one in (task, joined)
    )
    assert apart.keys() == together.keys()
    assert len(apart) == 3 * len(task.cutoffs)
    for key, (history, truth) in apart.items():
        np.testing.assert_array_equal(together[key][0], history)
        np.testing.assert_array_equal(together[key][1], truth)


@pytest.mark.parametrize("changes", PROTOCOLS, ids=["rolling", "last", "ltsf"])
def test_joining_changes_no_score_of_a_forecaster_that_takes_one_series_at_a_time(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    task = make(monkeypatch, noise_frame({"a": 60, "b": 60, "c": 60}), density=True, **changes)
    records = [
        evaluate(one, SeasonalNaiveForecaster(horizon=5, season_length=7))
        for one in (task, task.joined())
    ]
    assert records[1]["scores"] == pytest.approx(records[0]["scores"], rel=1e-6)
    shown = [record["examples"] for record in records]
    assert len(shown[0]) == 3
    assert {example["series"] for example in shown[0]} <= {"a", "b", "c"}
    assert shown[1] == shown[0]


def test_series_that_do_not_run_side_by_side_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    ragged = make(monkeypatch, long_frame({"a": 60, "b": 59}))
    assert ragged.joined() is ragged
    later = pd.concat([long_frame({"a": 60}), long_frame({"b": 60}, start="2021-01-01")])
    task = make(monkeypatch, later)
    assert task.joined() is task
    alone = make(monkeypatch, long_frame({"a": 60}))
    assert alone.joined() is alone


def test_windows_of_joined_series_come_in_parts_of_the_same_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = make(monkeypatch, noise_frame({"a": 60, "b": 60, "c": 60, "d": 60}), windows=6)
    monkeypatch.setattr(tasks, "_STEPS_AT_ONCE", 450)
    for one in (task, task.joined()):
        sizes = [part.history.values.size for part in one.windows()]
        assert sum(sizes) == 4 * sum(range(30, 60, 5))
        assert max(sizes) < 450 + 4 * 60
