"""Words of other libraries are refused with the right one as a hint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tsformer.forecasters import PatchTSTForecaster
from tsformer.forecasters.words import refuse_unknown

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("h", "horizon"),
        ("steps", "horizon"),
        ("fh", "horizon"),
        ("prediction_length", "horizon"),
        ("pred_len", "horizon"),
        ("seq_len", "context_length"),
        ("input_size", "context_length"),
        ("lookback", "context_length"),
        ("patch_len", "patch_length"),
        ("hidden_size", "d_model"),
        ("lr", "learning_rate"),
        ("n_epochs", "max_epochs"),
        ("seed", "random_state"),
        ("frequency", "freq"),
        ("quantile_levels", "quantiles"),
        ("target_column", "target_col"),
        ("horizont", "horizon"),  # a slip of the finger
        ("contextlength", "context_length"),
    ],
)
def test_the_constructor_knows_what_was_meant(word: str, meant: str) -> None:
    with pytest.raises(
        TypeError, match=rf"PatchTSTForecaster has no parameter `{word}`; did you mean `{meant}`\?"
    ):
        PatchTSTForecaster(**{"horizon": 3, word: 1})


@pytest.mark.parametrize(
    ("method", "word", "meant"),
    [
        ("predict", "h", "horizon"),
        ("predict", "steps", "horizon"),
        ("predict", "fh", "horizon"),
        ("predict", "prediction_length", "horizon"),
        ("predict", "futr_df", "future_df"),
        ("predict", "X_df", "future_df"),
        ("predict", "levels", "level"),
        ("predict", "probs", "quantiles"),
        ("predict_samples", "num_samples", "n_samples"),
        ("predict_samples", "h", "horizon"),
        ("cross_validation", "n_splits", "n_windows"),
        ("cross_validation", "stepsize", "step_size"),
        ("fit", "valsize", "val_size"),
        ("fit", "validation_df", "val_df"),
    ],
)
def test_methods_know_what_was_meant(
    make_forecaster: Make, make_frame: Make, method: str, word: str, meant: str
) -> None:
    forecaster = make_forecaster().fit(make_frame())
    arguments = () if method.startswith("predict") else (make_frame(),)
    owner = rf"{type(forecaster).__name__}\.{method}"
    expected = rf"{owner} has no parameter `{word}`; did you mean `{meant}`\?"
    with pytest.raises(TypeError, match=expected):
        getattr(forecaster, method)(*arguments, **{word: 3})


def test_a_word_that_means_nothing_gets_the_list_of_those_that_do(make_naive: Make) -> None:
    with pytest.raises(TypeError, match=r"no parameter `colour`; it takes freq, horizon, id_col, "):
        make_naive(colour="red")
    with pytest.raises(TypeError, match="no parameter `prediction_length`; it takes df, y"):
        refuse_unknown("score", ["prediction_length"], ["df", "y"])  # `horizon` is not among them


def test_right_words_pass() -> None:
    refuse_unknown("predict", ["horizon", "level"], ["level", "df", "horizon"])


def test_checked_methods_keep_their_name_and_docstring(make_naive: Make) -> None:
    predict = type(make_naive()).predict
    assert predict.__name__ == "predict"
    assert predict.__doc__.startswith("Return the forecasts")
