"""Optuna's studies, in memory and in files: the one place that knows Optuna, an extra."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tsformer.data.panel import Panel
from tsformer.forecasters.search_spaces import Choice, IntRange, Range

if TYPE_CHECKING:
    from tsformer.forecasters.base import Forecaster

LOOKS = 20  # at most, in the course of one training
_UNPRUNED = 5  # trials that complete before one is stopped


def import_optuna() -> Any:
    """Return Optuna, an extra.

    Raises:
        ImportError: where it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ImportError("tuning needs optuna: pip install 'tsformer[tune]'") from error
    return optuna


def suggest(trial: Any, name: str, values: Range) -> None:
    """Let a trial choose one of a range; of a `Choice`, which may hold anything, its number."""
    if isinstance(values, Choice):
        trial.suggest_categorical(name, list(range(len(values.values))))
    elif isinstance(values, IntRange):
        trial.suggest_int(name, values.low, values.high, step=values.step, log=values.log)
    else:
        trial.suggest_float(name, values.low, values.high, log=values.log)


def to_stored(values: Range, value: Any) -> Any:
    """Return how a study has a value of a range."""
    if isinstance(values, Choice):
        return values.values.index(value)
    return int(value) if isinstance(values, IntRange) else float(value)


def from_stored(values: Range, stored: Any) -> Any:
    """Return the value of a range that a study has as `stored`."""
    return values.values[stored] if isinstance(values, Choice) else stored


@contextmanager
def open_study(
    file: str | PathLike[str] | None, description: dict[str, Any]
) -> Iterator[tuple[Any, Callable[[Any], None]]]:
    """Yield a study with the trials that a file has, and what writes another trial to the file.

    The study itself is in memory, and Optuna silent. The file is a database of SQLite, which an
    interrupted program cannot damage; only whole trials are written.

    Raises:
        ValueError: for a file that is something else, or a study of something else.
    """
    optuna = import_optuna()
    loud = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        pruner = optuna.pruners.MedianPruner(_UNPRUNED, n_warmup_steps=LOOKS // 4)
        study = optuna.create_study(pruner=pruner)
        if file is None:
            yield study, lambda trial: None
            return
        with _open_storage(Path(file)) as storage:
            kept = optuna.create_study(storage=storage, study_name="tsformer", load_if_exists=True)
            _refuse_other(file, kept.user_attrs.get("description", description), description)
            kept.set_user_attr("description", description)
            study.add_trials(kept.get_trials())
            yield study, kept.add_trial
    finally:
        optuna.logging.set_verbosity(loud)


def _refuse_other(file: Any, then: dict[str, Any], now: dict[str, Any]) -> None:
    for name in then | now:
        if then.get(name) != now.get(name):
            raise ValueError(
                f"study={str(file)!r} was made with {name}={then.get(name)!r}, this is "
                f"{name}={now.get(name)!r}; pass the same as then, or another file"
            )


@contextmanager
def _open_storage(path: Path) -> Iterator[Any]:
    if path.exists() and not _is_database(path):
        raise ValueError(f"study={str(path)!r} is not the file of a study; pass another name")
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    storage = import_optuna().storages.RDBStorage(f"sqlite:///{path.absolute()}")
    try:
        yield storage
    finally:
        storage.engine.dispose()  # so that the file can be moved


def _is_database(path: Path) -> bool:
    if path.is_dir():
        return False
    with path.open("rb") as content:
        return content.read(15) in (b"", b"SQLite format 3")


def describe(
    forecaster: Forecaster, panel: Panel, space: Mapping[str, Range], **judged: Any
) -> dict[str, Any]:
    """Return what must be the same for a study to go on, as JSON has it."""
    described = {
        "forecaster": type(forecaster).__name__,
        **forecaster.get_params(),
        **{f"space[{name!r}]": _as_json(values) for name, values in space.items()},
        **judged,
        "data": _digest(panel),
    }
    return dict(json.loads(json.dumps(described, default=_as_json)))


def _digest(panel: Panel) -> str:
    kinds = (panel.past_covariates, panel.future_covariates, panel.static_covariates)
    covariates = [kind.values for kind in kinds if kind is not None]
    found = hashlib.sha256(repr((panel.ids.tolist(), panel.freq)).encode())
    for array in (panel.values, panel.offsets, panel.starts, *covariates):
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def _as_json(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return re.sub(r" at 0x\w+", "", repr(value))  # an object's address is not the same next time
