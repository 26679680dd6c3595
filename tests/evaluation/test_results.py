"""Results as tables: relative scores, means over seeds and tasks, published figures beside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer.evaluation.results import (
    absolute,
    calibration_frame,
    compare_all,
    means,
    relative,
    results_frame,
    scope,
    seconds,
    seed_means,
    seed_table,
    shown_scores,
    summary,
    unfinished,
)


def test_relative_scores_are_means_over_seeds_divided_by_the_baseline(records: Any) -> None:
    table = relative(results_frame(records), "MASE", "SeasonalNaive")
    assert table["Net"].tolist() == pytest.approx([0.375, 0.8])
    assert table["SeasonalNaive"].tolist() == [1.0, 1.0]
    assert means(table, "MASE")["Net"] == pytest.approx(np.sqrt(0.375 * 0.8))


def test_seeds_have_a_geometric_mean_each(records: Any, suite: Any) -> None:
    results = results_frame(records)
    table = seed_means(results, "MASE", "SeasonalNaive").set_index(["model", "seed"])
    assert table.loc[("Net", 0), "MASE"] == pytest.approx(np.sqrt(0.5 * 0.9))
    assert table.loc[("Net", 1), "MASE"] == pytest.approx(np.sqrt(0.25 * 0.7))
    shown = seed_table(suite, results)
    assert shown["seed"].tolist() == [0, 1]
    assert shown["MASE"].tolist() == table["MASE"].tolist()


def test_a_model_that_misses_a_task_has_no_mean(records: Any) -> None:
    results = results_frame(records[:4])
    assert np.isnan(means(relative(results, "MASE", "SeasonalNaive"), "MASE")["Net"])
    assert seed_means(results, "MASE", "SeasonalNaive")["MASE"].isna().all()


def test_without_the_baseline_nothing_is_relative(records: Any) -> None:
    assert relative(results_frame(records[1:3]), "MASE", "SeasonalNaive").empty


def test_the_baselines_density_is_subtracted_and_differences_have_a_plain_mean(
    scored_records: Any,
) -> None:
    table = relative(results_frame(scored_records), "NLL", "SeasonalNaive")
    assert table["Net"].tolist() == pytest.approx([-1.5, -1.0])
    assert table["SeasonalNaive"].tolist() == [0.0, 0.0]
    assert means(table, "NLL")["Net"] == pytest.approx(-1.25)
    seeds = seed_means(results_frame(scored_records), "NLL", "SeasonalNaive")
    by_run = seeds.set_index(["model", "seed"])["NLL"].to_dict()
    assert by_run == pytest.approx({("Net", 0): -0.75, ("Net", 1): -1.75})


def test_published_figures_are_compared_with_our_baseline_too(records: Any, suite: Any) -> None:
    table = compare_all(suite, results_frame(records), "MASE")
    assert [*table] == ["SeasonalNaive", "Net", "Famous (published)"]
    famous = table["Famous (published)"]
    assert famous["first"] == pytest.approx(0.1234 / 2.0)
    assert np.isnan(famous["second/part"])
    assert absolute(results_frame(records), "MASE").loc["first", "Net"] == 0.75


def test_calibration_is_a_mean_over_seeds_and_then_over_tasks(records: Any) -> None:
    shares = [0.0, 0.2, 0.4, 0.0, 0.5, 0.7]
    told = [
        {**record, "calibration": {"0.1": share, "0.9": share + 0.1}}
        for record, share in zip(records, shares, strict=True)
    ]
    table = calibration_frame(told)
    assert table.columns.tolist() == [0.1, 0.9]
    assert table.loc["Net", 0.1] == pytest.approx(((0.2 + 0.4) / 2 + (0.5 + 0.7) / 2) / 2)
    assert table.loc["SeasonalNaive", 0.9] == pytest.approx(0.1)
    assert calibration_frame(records).empty  # of an earlier version, which kept none


def test_seconds_are_summed_over_tasks_after_the_mean_over_seeds(records: Any, suite: Any) -> None:
    results = results_frame(records)
    results["pretrain_seconds"] = [np.nan, 5.0, 7.0, np.nan, 1.0, 1.0]
    assert seconds(suite, results).to_dict() == {"SeasonalNaive": 6.0, "Net": 13.0}


def test_parameters_have_a_column_only_where_some_are_known(records: Any, suite: Any) -> None:
    assert "parameters" not in summary(suite, results_frame(records))
    told = [{**r, "n_parameters": 500 if r["model"] == "Net" else None} for r in records]
    table = summary(suite, results_frame(told))
    assert table.loc["Net", "parameters"] == 500
    assert np.isnan(table.loc["SeasonalNaive", "parameters"])


def test_what_is_not_done_is_said_in_a_line(failed: dict[str, Any], records: Any) -> None:
    assert unfinished(results_frame([*records, failed])) == ["first, Net: failed. Boom: x"]
    assert unfinished(results_frame(records)) == []


def test_a_perfect_score_and_a_baseline_with_seeds_have_means_too(records: Any, suite: Any) -> None:
    records[1]["scores"]["MASE"] = 0.0
    twice = [*records, {**records[0], "seed": 7, "scores": {**records[0]["scores"], "MASE": 4.0}}]
    table = seed_means(results_frame(twice), "MASE", "SeasonalNaive").set_index(["model", "seed"])
    assert table.loc[("Net", 0), "MASE"] == 0.0
    assert table.loc[("Net", 1), "MASE"] == pytest.approx(np.sqrt(0.5 / 3.0 * 0.7))
    assert seed_table(suite, results_frame(records)).loc["Net", "MASE"].tolist()[0] == 0.0


def test_a_score_that_the_baseline_lacks_is_shown_as_it_is(scored_records: Any, suite: Any) -> None:
    for record in scored_records:
        if record["model"] == "SeasonalNaive":
            record["scores"].pop("NLL")
    results = results_frame(scored_records)
    name, table = shown_scores(suite, results, "NLL")
    assert name == "NLL"
    assert table["Net"].tolist() == [3.5, -2.0]
    assert shown_scores(suite, results, "MASE")[0] == "relative MASE"


def test_the_tasks_that_count_are_told(records: Any, suite: Any) -> None:
    assert scope(suite, results_frame(records)) == "over 2 tasks"
    assert scope(suite, results_frame(records[:5])) == "over 2 tasks"
    assert scope(suite, results_frame([*records[:3], *records[4:]])) == (
        "over 1 of 2 tasks (those in which SeasonalNaive has a score to compare with; not "
        "second/part)"
    )


def test_an_error_of_many_lines_is_told_by_its_first(failed: dict[str, Any]) -> None:
    long = {**failed, "error": "Boom: x\n# 3 | 4"}
    assert unfinished(results_frame([long])) == ["first, Net: failed. Boom: x"]


def test_no_records_are_no_error() -> None:
    assert isinstance(results_frame([]), pd.DataFrame)
