"""Runs a suite, one result at a time, each stored at once, so that a rerun goes on from there."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil

import tsformer
from tsformer.data.datasets import DatasetUnavailableError
from tsformer.evaluation.baselines import StatisticalBaseline
from tsformer.evaluation.environment import environment, n_parameters
from tsformer.evaluation.examples import Examples
from tsformer.evaluation.metrics import Scores, middle_levels
from tsformer.evaluation.peers import PEERS
from tsformer.evaluation.suite import ModelSpec, PretrainSpec, SuiteSpec, TaskSpec
from tsformer.evaluation.tasks import Task, load_task
from tsformer.files import write_text
from tsformer.forecasters import FORECASTERS
from tsformer.forecasters.wrapping import WrappingForecaster

Record = dict[str, Any]

_LONGEST = 2048  # steps of history, in thousands of windows; a baseline would look at all


def run_suite(
    suite: SuiteSpec, folder: Path, notify: Callable[[str], None] = lambda line: None
) -> list[Record]:
    """Return the records of all runs, those stored in `folder` included.

    A run that fails is recorded with its error and tried again next time, and so is one whose data
    or packages cannot be had, as skipped; neither stops the others.

    Args:
        suite: tasks and models.
        folder: where each record is written as JSON as soon as it is there.
        notify: called with a line on each run.
    """
    records = []
    runs = [(model, seed) for model in suite.models for seed in model.seeds or (None,)]
    total = len(suite.tasks) * len(runs)
    for task_number, task_spec in enumerate(suite.tasks):
        task: Task | None = None
        for run_number, (model, seed) in enumerate(runs):
            label = f"[{task_number * len(runs) + run_number + 1}/{total}] {task_spec.name}: "
            label += model.name + ("" if seed is None else f", seed {seed}")
            path = folder / "runs" / f"{_file_name(task_spec, model, seed)}.json"
            stored = _stored(path, _fingerprint(task_spec, model, seed))
            if stored is None:
                record, task = _run(task_spec, task, model, seed)
                write_text(path, json.dumps(record))
            else:
                record = stored
            notify(f"{label}: {_summary(record)}{'' if stored is None else ' (stored)'}")
            records.append(record)
    return records


def _run(
    spec: TaskSpec, task: Task | None, model: ModelSpec, seed: int | None
) -> tuple[Record, Task | None]:
    """Return the record of one run and the task, which the next run needs again."""
    record: Record = {
        "task": spec.name,
        "model": model.name,
        "seed": seed,
        "fingerprint": _fingerprint(spec, model, seed),
        "version": tsformer.__version__,
        "environment": environment(),
    }
    try:
        task = task or load_task(spec)
    except DatasetUnavailableError as error:
        return {**record, "status": "skipped", "error": str(error)}, None
    try:
        together = task.joined() if model.joint else task
        forecaster = make_forecaster(model, spec, seed)
        if model.pretrain is not None:
            record["pretrain_seconds"] = _pretrain(forecaster, model.pretrain, spec)
        record |= evaluate(together, forecaster)
        record["status"] = "done"
    except (ImportError, DatasetUnavailableError) as error:  # an extra, a model, or what it learns
        record |= {"status": "skipped", "error": str(error)}
    except Exception as error:  # one model's failure must not lose the others' results
        record |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
        record["traceback"] = traceback.format_exc(limit=-5)
    return record, task


def make_forecaster(model: ModelSpec, task: TaskSpec, seed: int | None) -> Any:
    """Return an unfitted forecaster for a task."""
    parameters = model.parameters_for(task)
    shared = {"horizon": task.horizon}
    if model.forecaster in PEERS:
        return PEERS[model.forecaster](**parameters, **shared)
    if model.forecaster not in FORECASTERS:
        return StatisticalBaseline(model=model.forecaster, **parameters, **shared)
    return _made(
        model.forecaster, parameters, shared if seed is None else shared | {"random_state": seed}
    )


def _made(kind: str, parameters: Mapping[str, Any], shared: Mapping[str, Any]) -> Any:
    """Return an unfitted forecaster, made with those that it has inside.

    Args:
        kind: of `FORECASTERS`.
        parameters: a forecaster inside is `{"forecaster": NAME, "parameters": …}`.
        shared: what every forecaster is told; one that wraps another has it from that one.
    """
    made = FORECASTERS[kind]

    def read(value: Any) -> Any:
        if isinstance(value, Mapping) and "forecaster" in value:
            _check_description(value)
            return _made(value["forecaster"], value.get("parameters") or {}, shared)
        return [read(one) for one in value] if isinstance(value, list) else value

    told = {} if issubclass(made, WrappingForecaster) else shared
    return made(**{**{name: read(value) for name, value in parameters.items()}, **told})


def _check_description(described: Mapping[str, Any]) -> None:
    """Raise a ValueError unless this describes a forecaster."""
    name, others = described["forecaster"], sorted({*described} - {"forecaster", "parameters"})
    if not isinstance(name, str) or name not in FORECASTERS:
        raise ValueError(f"forecaster: {name!r} is none; there are {', '.join(FORECASTERS)}")
    if others:
        raise ValueError(f"{name}: {others[0]!r} is unknown; say forecaster: and parameters:")


def _pretrain(forecaster: Any, other: PretrainSpec, task: TaskSpec) -> float:
    """Let a forecaster learn from other data first, and return the seconds that it took."""
    source = load_task(replace(task, dataset=other.dataset, training_share=1.0))
    own = forecaster.get_params(deep=False)
    began = time.perf_counter()
    forecaster.set_params(**other.parameters)
    forecaster.pretrain_panel(source.training_panel, source.val_size)
    forecaster.set_params(**{name: own[name] for name in other.parameters})
    return time.perf_counter() - began


def evaluate(task: Task, forecaster: Any) -> Record:
    """Return scores, seconds, peak memory and examples of one forecaster on one task."""
    levels = middle_levels(task.spec.n_levels)
    scores = Scores(task.spec.season_length, levels, task.n_starred)
    examples = Examples()
    with peak_memory() as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.perf_counter()
        forecaster.fit_panel(task.training_panel, val_size=task.val_size)
        fitted = time.perf_counter()
        seconds = 0.0
        for windows in task.windows(_memory(task, forecaster)):
            began_forecast = time.perf_counter()
            forecast = forecaster.predict_panel(windows.history, quantiles=scores.levels)
            seconds += time.perf_counter() - began_forecast
            errors = scores.update(windows.history.univariate(), windows.truth, forecast)
            examples.update(windows, forecast, errors)
            if task.spec.density and hasattr(forecaster, "log_density_panel"):
                scores.update_density(forecaster.log_density_panel(windows.history, windows.truth))
    training = getattr(getattr(forecaster, "fit_report_", None), "training", None)
    return {
        "scores": scores.result(),
        "calibration": {f"{level:g}": below for level, below in scores.calibration().items()},
        "n_parameters": n_parameters(forecaster),
        "training": training and asdict(training) | {"history": [*map(list, training.history)]},
        "fit_seconds": fitted - began,
        "predict_seconds": seconds,
        "peak_memory_mb": memory["peak"] / 2**20,
        "examples": examples.result(),
    }


def _memory(task: Task, forecaster: Any) -> int | None:
    """Return how much history windows need: all of it where it sets the scale of MASE."""
    if task.spec.protocol != "ltsf":
        return None
    looks_back = min(getattr(forecaster, "_reach", 0), _LONGEST)
    return max(looks_back, 2 * task.spec.season_length)


@contextmanager
def peak_memory() -> Iterator[dict[str, float]]:
    """Measure the process's largest resident memory, twenty times a second."""
    process, done = psutil.Process(), threading.Event()
    peak = {"peak": float(process.memory_info().rss)}

    def watch() -> None:
        while not done.is_set():
            peak["peak"] = max(peak["peak"], process.memory_info().rss)
            done.wait(0.05)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _fingerprint(task: TaskSpec, model: ModelSpec, seed: int | None) -> str:
    """Return what tells a stored result from one of other settings."""
    content = [asdict(task), asdict(model) | {"seeds": seed}, tsformer.__version__]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _file_name(task: TaskSpec, model: ModelSpec, seed: int | None) -> str:
    name = f"{task.name}--{model.name}" + ("" if seed is None else f"--{seed}")
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)


def _stored(path: Path, fingerprint: str) -> Record | None:
    """Return a finished record of the same settings."""
    if not path.is_file():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    same = record.get("fingerprint") == fingerprint
    return record if same and record.get("status") == "done" else None


def _summary(record: Record) -> str:
    if record["status"] != "done":
        return f"{record['status']}: {record['error']}"
    scores = record["scores"]
    seconds = record["fit_seconds"] + record["predict_seconds"]
    return f"MASE {scores['MASE']:.3f}, CRPS {scores['CRPS']:.4f}, {seconds:.1f} s"
