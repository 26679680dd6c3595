"""Forecasters that wrap another one, from the shell and from YAML."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tsformer import (
    ConformalForecaster,
    DLinearForecaster,
    EnsembleForecaster,
    SeasonalNaiveForecaster,
)
from tsformer.cli.making import make_forecaster, make_transformer
from tsformer.forecasters import LogTransform, TransformedForecaster

CONFORMAL = ["--forecaster", "ConformalForecaster", "--horizon", "2", "--level", "80"]
TRANSFORMED = ["--forecaster", "TransformedForecaster", "--horizon", "2", "--level", "80"]
NAIVE = ["--parameters.forecaster", "SeasonalNaiveForecaster"]
LOG = ["--parameters.transformer.transformer", "LogTransform"]


def assert_answers(found: Any, expected: pd.DataFrame) -> None:
    """Fail unless a call answered with these numbers, and said nothing."""
    assert (found.code, found.err) == (0, "")
    numbers = pd.read_csv(io.StringIO(found.out))[["mean", "0.1", "0.5", "0.9"]].to_numpy()
    shown = expected[["mean", "0.1", "0.5", "0.9"]].to_numpy()
    np.testing.assert_allclose(numbers, shown, rtol=1e-6)


def test_parameters_of_the_one_inside_are_told_by_dots(
    call: Any, file: Path, sales: pd.DataFrame
) -> None:
    inside = "--parameters.forecaster"
    of_inside = [f"{inside}.parameters.max_steps", 2, f"{inside}.parameters.random_state=3"]
    within = DLinearForecaster(horizon=2, max_steps=2, random_state=3)
    expected = ConformalForecaster(forecaster=within, n_windows=4).fit(sales).predict(level=[80])
    for name in (inside, f"{inside}.forecaster"):
        words = [name, "DLinearForecaster", *of_inside, "--parameters.n_windows", 4]
        assert_answers(call("predict", file, *CONFORMAL, *words), expected)


@pytest.mark.parametrize(
    ("named", "transformer"),
    [
        ("LogTransform", LogTransform()),
        ("StandardScaler", StandardScaler()),
        ("[LogTransform,StandardScaler]", make_pipeline(LogTransform(), StandardScaler())),
    ],
)
def test_transformers_are_made_from_their_names(
    call: Any, file: Path, sales: pd.DataFrame, named: str, transformer: Any
) -> None:
    found = call("predict", file, *TRANSFORMED, *NAIVE, "--parameters.transformer", named)
    inside = SeasonalNaiveForecaster(horizon=2)
    expected = TransformedForecaster(forecaster=inside, transformer=transformer)
    assert_answers(found, expected.fit(sales).predict(level=[80]))


def test_a_pipeline_stands_in_yaml_as_a_list(tmp_path: Path, call: Any, file: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "forecaster: TransformedForecaster\nhorizon: 2\nlevel: 80\nparameters:\n"
        "  forecaster: SeasonalNaiveForecaster\n  transformer:\n    - LogTransform\n"
        "    - {transformer: StandardScaler, parameters: {with_mean: false}}\n"
    )
    code, out, _ = call("predict", file, "--config", tmp_path / "c.yaml")
    assert (code, out.count("\n")) == (0, 5)
    made = make_transformer(
        ["LogTransform", {"transformer": "StandardScaler", "parameters": {"with_mean": False}}]
    )
    steps = [step for _, step in made.steps]
    assert repr(steps) == repr([LogTransform(), StandardScaler(with_mean=False)])


def test_evaluate_scores_a_transformed_forecaster(call: Any, file: Path) -> None:
    words = [*TRANSFORMED[:4], *NAIVE, "--parameters.transformer", "LogTransform"]
    code, out, err = call("evaluate", file, *words)
    assert (code, err) == (0, "")
    assert "TransformedForecaster" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (CONFORMAL, "wraps another forecaster; say --parameters.forecaster NAME, the forecaster"),
        ([*TRANSFORMED, *NAIVE], "needs a transformer; say --parameters.transformer NAME, such"),
        ([*CONFORMAL, "--parameters.forecaster.name", "X"], "{'name': 'X'}, which names no foreca"),
        ([*CONFORMAL, "--parameters.forecaster", "Naive"], "=Naive is neither a forecaster nor"),
        (
            [*CONFORMAL, "--parameters.forecaster.parameters.max_steps", "3"],
            "say --parameters.forecaster NAME, the forecaster that it wraps; or, with parameters, ",
        ),
        (
            [*TRANSFORMED, *NAIVE, "--parameters.transformer", "LogTransfrom"],
            "transformer=LogTransfrom is no transformer; did you mean LogTransform?",
        ),
        (
            [*TRANSFORMED, *NAIVE, "--parameters.transformer", "x"],
            "there are BoxCoxTransform, Differencing, FunctionTransformer, LogTransform",
        ),
        (
            [*TRANSFORMED, *NAIVE, *LOG, "--parameters.transformer.parameters.base", "2"],
            "LogTransform has no parameter 'base'; it takes offset",
        ),
    ],
)
def test_what_is_missing_or_unknown_is_said_with_the_remedy(
    call: Any, file: Path, words: list[str], message: str
) -> None:
    code, _, err = call("predict", file, *words)
    assert code == 1
    assert message in err
    assert err.count("\n") == 1


def test_one_may_wrap_one_that_wraps() -> None:
    inside = {"forecaster": "SeasonalNaiveForecaster", "parameters": {"season_length": 5}}
    described: dict[str, Any] = {
        "forecaster": "TransformedForecaster",
        "parameters": {"forecaster": inside},
    }
    described["parameters"]["transformer"] = "LogTransform"
    made: Any = make_forecaster("ConformalForecaster", {"horizon": 3}, {"forecaster": described})
    assert made.horizon == 3
    assert made.forecaster.forecaster.season_length == 5


def test_an_ensemble_is_made_of_several(call: Any, file: Path, sales: pd.DataFrame) -> None:
    words = ["--forecaster", "EnsembleForecaster", "--horizon", "2", "--level", "80", *NAIVE]
    network = '{"forecaster": "DLinearForecaster", "parameters": {"max_steps": 2}}'
    others = [DLinearForecaster(horizon=2, max_steps=2), SeasonalNaiveForecaster(horizon=2)]
    first = SeasonalNaiveForecaster(horizon=2)
    for named, several in (
        (f"[{network}, SeasonalNaiveForecaster]", others),
        ("SeasonalNaiveForecaster", others[1:]),
    ):
        found = call("predict", file, *words, "--parameters.others", named)
        expected = EnsembleForecaster(forecaster=first, others=several).fit(sales)
        assert_answers(found, expected.predict(level=[80]))
    code, _, err = call("predict", file, *words)
    assert code == 1
    assert "an ensemble needs others; say --parameters.others NAME" in err
    code, _, err = call("predict", file, *words, "--parameters.others", "3")
    assert code == 1
    assert "--parameters.others is 3, which names no forecaster; say --parameters.others" in err


def test_help_explains_how_to_wrap(call: Any) -> None:
    out = " ".join(call("predict", "--help").out.split())
    assert "wrap another one" in out
    assert "--parameters.transformer LogTransform" in out
