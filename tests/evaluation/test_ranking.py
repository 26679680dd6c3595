"""How sure a ranking is: bootstrap over tasks, ranks, wins, against loops and known laws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tsformer.evaluation.ranking import (
    certainty,
    intervals,
    mean_ranks,
    order_by_wins,
    resampled_means,
    win_rates,
)

TASKS = list("abcdef")
TABLE = pd.DataFrame(
    {
        "Naive": np.ones(6),
        "Good": [0.5, 0.6, 0.7, 0.5, 0.6, 0.8],
        "Mixed": [0.4, 0.9, 0.7, 1.2, 0.5, 0.9],
    },
    index=TASKS,
)


def test_intervals_hold_the_mean_and_shrink_with_the_number_of_tasks() -> None:
    few = intervals(TABLE, "MASE")
    assert (few["low"] <= few["mean"]).all()
    assert (few["mean"] <= few["high"]).all()
    assert few.loc["Naive"].tolist() == [1.0, 1.0, 1.0]
    assert few.loc["Good", "mean"] == pytest.approx(np.exp(np.log(TABLE["Good"]).mean()))
    many = intervals(pd.concat([TABLE] * 9), "MASE")
    width = (many["high"] - many["low"]) / (few["high"] - few["low"])
    assert width[["Good", "Mixed"]].tolist() == pytest.approx([1 / 3, 1 / 3], rel=0.1)


def test_the_bootstrap_has_the_spread_that_theory_says() -> None:
    logs = np.log(TABLE["Mixed"])
    drawn = np.log(resampled_means(TABLE, "MASE")["Mixed"])
    assert drawn.mean() == pytest.approx(logs.mean(), abs=0.01)
    assert drawn.std() == pytest.approx(logs.std(ddof=0) / np.sqrt(len(logs)), rel=0.05)


def test_logarithmic_scores_have_plain_means_and_may_be_negative() -> None:
    table = pd.DataFrame({"Naive": [0.0, 0.0], "Net": [-1.0, 3.0]})
    drawn = resampled_means(table, "NLL")["Net"]
    assert set(drawn.unique()) == {-1.0, 1.0, 3.0}
    assert intervals(table, "NLL").loc["Net", "mean"] == 1.0


def test_models_that_miss_a_task_take_no_part_but_keep_a_row() -> None:
    table = TABLE.assign(Part=[0.1, np.nan, 0.1, 0.1, 0.1, 0.1])
    assert "Part" not in resampled_means(table, "MASE")
    assert np.isnan(intervals(table, "MASE").loc["Part"]).all()
    assert "Part" not in mean_ranks(table)
    assert "Part" not in win_rates(table)


def test_one_task_has_no_interval() -> None:
    one = intervals(TABLE.iloc[:1], "MASE")
    assert one["mean"].tolist() == pytest.approx([1.0, 0.5, 0.4])
    assert one[["low", "high"]].isna().all(axis=None)


def test_ranks_share_ties() -> None:
    ranks = mean_ranks(TABLE.iloc[:3])
    assert ranks.to_dict() == {"Naive": 3.0, "Good": 1.5, "Mixed": 1.5}


def test_wins_are_counted_task_by_task_and_ties_are_halves() -> None:
    rates = win_rates(TABLE)
    for better in TABLE:
        for worse in TABLE:
            if better == worse:
                assert np.isnan(rates.loc[better, worse])
                continue
            wins = [
                1.0 if one < other else 0.5 if one == other else 0.0
                for one, other in zip(TABLE[better], TABLE[worse], strict=True)
            ]
            assert rates.loc[better, worse] == pytest.approx(np.mean(wins))


def test_those_who_win_most_come_first() -> None:
    ordered = order_by_wins(win_rates(TABLE))
    assert [*ordered.index] == [*ordered.columns] == ["Good", "Mixed", "Naive"]


def test_certainty_is_one_where_a_model_wins_everywhere_and_a_half_between_equals() -> None:
    assert certainty(TABLE, "MASE", "Good", "Naive") == 1.0
    assert certainty(TABLE, "MASE", "Naive", "Good") == 0.0
    same = TABLE.assign(Twin=TABLE["Good"])
    assert certainty(same, "MASE", "Good", "Twin") == 0.5
    both = certainty(TABLE, "MASE", "Good", "Mixed") + certainty(TABLE, "MASE", "Mixed", "Good")
    assert both == pytest.approx(1.0)


def test_a_table_without_tasks_is_no_error() -> None:
    empty = TABLE.iloc[:0]
    assert intervals(empty, "MASE")["low"].isna().all()
    assert len(resampled_means(empty, "MASE")) == 0


def test_the_same_table_gives_the_same_draws() -> None:
    assert resampled_means(TABLE, "MASE").equals(resampled_means(TABLE, "MASE"))
