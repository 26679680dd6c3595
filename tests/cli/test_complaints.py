"""What is wrong is said in one line that names the remedy, with the right exit code."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tsformer.cli.complaints import complaint, in_words_of_options
from tsformer.cli.datasets import Datasets
from tsformer.forecasters.words import refuse_unknown

NAIVE = ["--forecaster", "SeasonalNaiveForecaster"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--h", "3"], "no option --h; did you mean --horizon?"),
        (["--prediction_length=3"], "no option --prediction_length; did you mean --horizon?"),
        (["--fh", "3"], "did you mean --horizon?"),
        (["--horizont", "3"], "did you mean --horizon?"),
        (["--future-covariates", "a"], "did you mean --future_covariates?"),
        (["--max_steps", "3"], "a parameter of the forecaster; say --parameters.max_steps"),
        (["--colour", "red"], "no option --colour; it takes debug, file, forecaster, "),
        (["more.csv"], "'more.csv' is one word too many"),
        (["--horizon", "x"], "--horizon=x must be a whole number"),
        (["--horizon"], "argument --horizon: expected one argument"),
        (["--level", "80", "y"], "--level=y must be a number"),
        (["--parameters", "3"], "--parameters=3 must be given by names, such as --parameters."),
        (["--config", "FILE"], "holds no options by their names, such as horizon: 14; a table"),
        (["--config=FILE"], "holds no options by their names, such as horizon: 14; a table"),
        (["--future", "-", "--static", "-"], "--future and --static are both -, but the standard"),
        (["--config", "none.yaml"], "--config: File does not exist: "),
        (["--level", "80", "--quantiles", "0.1"], "--level and --quantiles say the same"),
        (["--output", "a.xlsx"], "--output=a.xlsx must end in .csv or .parquet"),
        (["--plot", "a.gif"], "--plot=a.gif must end in .png, .svg or .pdf"),
    ],
)
def test_a_wrong_call_ends_with_code_2_and_a_hint(
    call: Any, file: Path, words: list[str], message: str
) -> None:
    words = [word.replace("FILE", str(file)) for word in words]
    code, out, err = call("predict", file, *words)
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert first == "usage: tsformer predict FILE [options]"
    assert second.startswith("tsformer predict: error: ")
    assert message in second
    assert second.endswith("(tsformer predict --help explains)")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict"], "FILE is missing"),
        (["fit", "a.csv"], "--output is missing"),
        (["pretrain", "--output", "a"], "CONFIG is missing"),
        (["tokenize", "a.csv", "--scaler", "x"], " must be one of quantile, minmax, "),
        (["evaluate", "a.csv", "--refit", "x"], "--refit=x must be true, false or a whole number"),
        (["benchmark", "--compare", "a.csv"], "--compare takes two files, the older one first"),
        (["prdict"], "there is no command prdict; did you mean predict?"),
        (["frobnicate"], "there is no command frobnicate; there are predict, fit, evaluate, "),
        (["--horizon", "3"], "there is no command --horizon; there are predict, "),
    ],
)
def test_every_command_refuses_what_it_cannot_do(call: Any, words: list[str], message: str) -> None:
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert err.startswith("usage: tsformer")
    assert message in err
    assert len(err.splitlines()) == 2


def test_an_unknown_key_of_a_configuration_gets_the_same_hint(
    call: Any, file: Path, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text("prediction_length: 3\n")
    code, _, err = call("predict", file, "--config", tmp_path / "c.yaml")
    assert code == 2
    assert "no option --prediction_length; did you mean --horizon?" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--forecaster", "PatchTST"],
            "--forecaster=PatchTST is neither a forecaster nor a folder",
        ),
        (["--forecaster", "PatchTST"], "did you mean PatchTSTForecaster?"),
        (["--forecaster", "X"], "there are ConformalForecaster, "),
        ([*NAIVE, "--horizon", "0"], "--horizon=0 must be at least 1"),
        ([*NAIVE, "--horizon", "2", "--level", "100"], "--level=100 must lie between 0 and 100"),
        ([*NAIVE, "--freq", "foo"], "--freq='foo' is not a pandas frequency"),
        ([*NAIVE, "--target_col", "x"], "--target_col='x' is not a column; there are ["),
        ([*NAIVE, "--horizon", "2", "--parameters.lr", "1"], "no parameter `lr`; it takes freq, "),
        (
            [*NAIVE, "--horizon", "2", "--future", "FILE"],
            "name columns of --future by it",
        ),
        (["--forecaster", "ConformalForecaster"], "say --parameters.forecaster NAME, the forec"),
        (["--forecaster", "TransformedForecaster"], "say --parameters.forecaster NAME, the for"),
    ],
)
def test_an_error_ends_with_code_1_and_one_line_in_words_of_the_command_line(
    call: Any, file: Path, words: list[str], message: str
) -> None:
    words = [str(file) if word == "FILE" else word for word in words]
    code, out, err = call("predict", file, *words)
    assert (code, out) == (1, "")
    last = err.splitlines()[-1]
    assert last.startswith("tsformer: ")
    assert message in last
    assert "Traceback" not in err


def test_other_names_of_columns_get_the_options_that_tell_them(call: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("date,sales,store\n2024-01-01,3,1\n2024-01-02,4,1\n")
    code, _, err = call("predict", path)
    assert code == 1
    assert err.count("\n") == 1
    assert "among ['date', 'sales', 'store']" in err
    assert all(option in err for option in ("--id_col", "--time_col", "--target_col", "--wide"))


def test_where_an_error_arose_is_shown_only_when_asked(call: Any, tmp_path: Path) -> None:
    missing = tmp_path / "none.csv"
    code, _, err = call("predict", missing)
    assert (code, err) == (1, f"tsformer: {missing}: No such file or directory\n")
    code, _, err = call("predict", missing, "--debug")
    assert code == 1
    assert err.startswith("Traceback")
    assert err.endswith(f"tsformer: {missing}: No such file or directory\n")


def test_an_error_that_nobody_foresaw_is_one_line_with_its_type(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Datasets) -> int:
        raise KeyError("air")

    monkeypatch.setattr(Datasets, "run", broken)
    code, _, err = call("datasets")
    said = "tsformer: KeyError: 'air'; --debug shows where, for a report of this\n"
    assert (code, err) == (1, said)


@pytest.mark.parametrize(
    ("called", "hinted"),
    [
        (lambda: len(3), True),  # type: ignore[arg-type]
        (lambda: refuse_unknown("it", ["a"], ["b"]), False),
        (lambda: None + 1, True),  # type: ignore[operator]
    ],
)
def test_type_errors_of_our_checks_are_said_without_a_hint_and_others_with_one(
    call: Any, monkeypatch: pytest.MonkeyPatch, called: Callable[[], Any], hinted: bool
) -> None:
    monkeypatch.setattr(Datasets, "run", lambda self: called())
    code, _, err = call("datasets")
    assert code == 1
    assert ("; --debug shows where" in err) == hinted


@pytest.mark.parametrize("context", [None, KeyboardInterrupt()])
def test_when_interrupted_then_quiet_with_code_130(
    call: Any, monkeypatch: pytest.MonkeyPatch, context: BaseException | None
) -> None:
    def interrupted(self: Datasets) -> int:
        raise KeyboardInterrupt from context

    monkeypatch.setattr(Datasets, "run", interrupted)
    assert call("datasets") == (130, "", "")


def test_warnings_of_ours_are_one_line_each_and_those_of_others_are_not_shown(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warn(self: Datasets) -> int:
        for text in ("a series\n  is short", "a series is short", "another"):
            warnings.warn_explicit(text, UserWarning, "here.py", 1, module="tsformer.forecasters")
        warnings.warn_explicit("of theirs", UserWarning, "there.py", 1, module="lightning")
        warnings.warn_explicit("old", DeprecationWarning, "here.py", 2, module="tsformer.data")
        return 0

    monkeypatch.setattr(Datasets, "run", warn)
    said = "tsformer: warning: a series is short\ntsformer: warning: another\n"
    assert call("datasets") == (0, "", said)


def test_a_warning_of_a_forecaster_reaches_the_screen_once(
    call: Any, sales: pd.DataFrame, tmp_path: Path
) -> None:
    short = pd.concat([sales, sales.iloc[:13].assign(unique_id="short")])
    short.to_csv(tmp_path / "short.csv", index=False)
    words = ["--horizon", 12, "--n_windows", 2, *NAIVE]
    code, _, err = call("evaluate", tmp_path / "short.csv", *words)
    assert code == 0
    assert err.count("\n") == 1
    assert err.startswith("tsformer: warning: 1 series are too short for n_windows=2")


@pytest.mark.parametrize(
    ("message", "shorter"),
    [
        ("Parser key \"horizon\":\n  Expected a <class 'int'>. Got value: x", "whole number"),
        ("Unrecognized arguments: --horizon= 3", "did you mean --horizon?"),
        ('Validation failed: Key "file" is required but not included', "FILE is missing"),
        ("the following arguments are required: file", "FILE is missing"),
        ("Validation failed: Key 'horizon' is not expected", "did you mean --horizon?"),
        ("something\n  else", "something else"),
    ],
)
def test_messages_of_several_versions_of_jsonargparse_are_understood(
    message: str, shorter: str
) -> None:
    called = {"horizon": "--horizon", "file": "FILE"}
    said = complaint(message, {"horizon": int, "file": str}, called)
    assert said.endswith(shorter)
    assert "\n" not in said


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("name yours by time_col=", "name yours by --time_col"),
        ("pass freq=, or", "pass --freq, or"),
        ("horizon=0 must be", "--horizon=0 must be"),
        ("refit=None asks; or refit=False", "--refit=None asks; or --refit=False"),
        ("level=[80] or my_level=3", "--level=[80] or my_level=3"),
        ("patch_length=10 is longer", "patch_length=10 is longer"),
        ("static_df is needed", "--static is needed"),
    ],
)
def test_parameters_are_named_as_options(message: str, expected: str) -> None:
    options = ["time_col", "freq", "horizon", "refit", "level"]
    assert in_words_of_options(message, options) == expected
