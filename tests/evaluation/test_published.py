"""Seasonal naive proves that the harness does the published work: same series, windows, metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from tsformer.data.datasets import DatasetUnavailableError
from tsformer.evaluation.runner import evaluate, make_forecaster
from tsformer.evaluation.suite import load_suite
from tsformer.evaluation.tasks import load_task

# MASE as published, all digits; CRPS of GIFT-Eval beside it
GIFT = {
    "m4_hourly/H/short": ("1.19321", "0.0375726"),
    "us_births/D/short": ("1.86484", "0.119527"),
    "us_births/W/short": ("1.56342", "0.0192968"),
    "us_births/M/short": ("0.760531", "0.0168256"),
    "bizitobs_application/10S/short": ("2.24233", "0.0348387"),
    "bizitobs_application/10S/medium": ("2.69142", "0.0426891"),
    "bizitobs_application/10S/long": ("3.20635", "0.0457309"),
    "ett1/15T/short": ("0.934155", "0.241364"),
    "ett1/15T/medium": ("1.18831", "0.321551"),
    "ett1/15T/long": ("1.19089", "0.340179"),
    "ett1/H/short": ("0.977318", "0.240368"),
    "ett1/H/medium": ("1.5678", "0.434912"),
    "ett1/H/long": ("1.4787", "0.471062"),
    "ett1/D/short": ("1.77837", "0.408434"),
    "ett1/W/short": ("1.76892", "0.311825"),
}
COMPETITION = {
    "M3 yearly": "3.172",
    "M3 quarterly": "1.425",
    "M3 monthly": "1.146",
    "Tourism monthly": "1.631",
    "Tourism quarterly": "1.699",
    "FRED-MD": "1.101",
    "exchange_rate": "1.740",
}


def seasonal_naive_scores(suite_name: str, task_name: str) -> dict[str, float]:
    suite = load_suite(suite_name)
    spec = next(task for task in suite.tasks if task.name == task_name)
    model = next(model for model in suite.models if model.name == "SeasonalNaive")
    try:
        task = load_task(spec)
    except DatasetUnavailableError as error:
        pytest.skip(str(error))
    return evaluate(task, make_forecaster(model, spec, None))["scores"]


def assert_equal_as_printed(value: float, published: str) -> None:
    digits = len(published.split(".")[1])
    assert abs(value - float(published)) <= 0.51 * 10**-digits + 1e-5 * value


@pytest.mark.parametrize("task", GIFT)
def test_seasonal_naive_is_the_published_one_on_gift_eval(shared_data: Path, task: str) -> None:
    scores = seasonal_naive_scores("gift", task)
    assert_equal_as_printed(scores["MASE"], GIFT[task][0])
    assert_equal_as_printed(scores["CRPS"], GIFT[task][1])


@pytest.mark.parametrize("task", COMPETITION)
def test_seasonal_naive_is_the_published_one_on_competitions(shared_data: Path, task: str) -> None:
    assert_equal_as_printed(seasonal_naive_scores("competition", task)["MASE"], COMPETITION[task])


def test_every_task_of_the_suites_is_checked_here() -> None:
    assert [task.name for task in load_suite("gift").tasks] == [*GIFT]
    assert [task.name for task in load_suite("competition").tasks] == [*COMPETITION]
