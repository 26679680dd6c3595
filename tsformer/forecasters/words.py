"""A word from another library gets the right one in the error; there are no silent aliases."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

_ELSEWHERE = {
    "horizon": "h steps fh n_steps n_ahead prediction_length forecast_horizon pred_len output_size",
    "context_length": "input_size seq_len lookback context_size input_chunk_length window_size",
    "future_df": "futr_df X_df X_future future_covariates_df",
    "season_length": "season seasonality sp seasonal_period season_period",
    "random_state": "seed random_seed",
    "learning_rate": "lr",
    "max_steps": "steps_max num_steps n_steps_max",
    "max_epochs": "epochs n_epochs num_epochs",
    "batch_size": "windows_batch_size",
    "patch_length": "patch_len patch_size",
    "d_model": "hidden_size width",
    "quantiles": "quantile_levels probs q",
    "level": "levels",
    "freq": "frequency",
    "id_col": "id_column item_id unique_id",
    "time_col": "time_column timestamp_column ds",
    "target_col": "target_column target y_col",
    "n_windows": "n_splits num_windows",
    "n_samples": "num_samples",
}
_MEANING = {word: ours for ours, words in _ELSEWHERE.items() for word in words.split()}


def refuse_unknown(owner: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise a TypeError for the first word that is not known, with the one that was meant."""
    known = list(known)
    for word in given:
        if word in known:
            continue
        close = difflib.get_close_matches(word, known, n=1)
        meant = _MEANING.get(word)
        meant = meant if meant in known else (close[0] if close else None)
        hint = f"did you mean `{meant}`?" if meant else f"it takes {', '.join(sorted(known))}"
        raise TypeError(f"{owner} has no parameter `{word}`; {hint}")


def known_words(method: Function) -> Function:
    """Return a method that answers an unknown keyword with a hint."""
    known = list(inspect.signature(method).parameters)[1:]

    @functools.wraps(method)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        refuse_unknown(f"{type(self).__name__}.{method.__name__}", kwargs, known)
        return method(self, *args, **kwargs)

    return checked  # type: ignore[return-value]
