"""A suite: which tasks, which models, read from one YAML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

Protocol = Literal["rolling", "last", "ltsf"]
Spec = TypeVar("Spec")


@dataclass(frozen=True, kw_only=True)
class ResampleSpec:
    """How a data set is aggregated before use.

    Attributes:
        freq: pandas alias of the bins, `"W-TUE"` for weeks that end on Tuesday.
        how: `"sum"` or `"mean"`.
    """

    freq: str
    how: Literal["sum", "mean"]


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """What is forecast.

    Attributes:
        name: unique within the suite.
        dataset: a name of the registry.
        horizon: steps per window.
        season_length: lag of the error that scales MASE, and of the seasonal naive forecast.
        protocol: see `tsformer.evaluation.tasks`.
        windows: non-overlapping windows at the end of each series; None for as many as fit into
            the last tenth of the shortest series, at most 20 (GIFT-Eval's rule).
        series: the only series to take; None for all.
        every: take every so manieth step only, from the first on.
        resample: None to take the data as they are.
        split: for `ltsf`: rows to train on, to validate on and to test on.
        batch: also scores, as `MSE*` and `MAE*`, the windows that fill batches of this size: what
            published figures are of whose authors left out an incomplete last batch.
        training_share: of the rows to train on those that a model sees, the latest ones.
        n_levels: quantile levels of CRPS: 9 for 0.1 … 0.9, n for the middles of n equal parts of
            0 … 1, with which the CRPS of n samples is exact.
        density: whether models that can are also asked for the density of what came.
        note: said in the report.
    """

    name: str
    dataset: str
    horizon: int
    season_length: int
    protocol: Protocol = "rolling"
    windows: int | None = None
    series: str | None = None
    every: int = 1
    resample: ResampleSpec | None = None
    split: tuple[int, int, int] | None = None
    batch: int | None = None
    training_share: float = 1.0
    n_levels: int = 9
    density: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.training_share <= 1:
            share = self.training_share
            raise ValueError(
                f"task {self.name!r}: training_share={share} must be above 0, at most 1"
            )


@dataclass(frozen=True, kw_only=True)
class PretrainSpec:
    """Other data that a model learns from first, under the task's protocol.

    Attributes:
        dataset: a name of the registry.
        parameters: of the model while it does so, where they differ.
    """

    dataset: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What forecasts.

    Attributes:
        name: unique within the suite.
        forecaster: a class of `tsformer.forecasters`, or a model of statsforecast.
        parameters: for its constructor; the value `"task"` takes the task's own. A forecaster
            among them is `{"forecaster": NAME, "parameters": …}`.
        seeds: one run for each, given to the parameter `random_state`; none for one run without.
        joint: take series that run side by side as the variates of one item.
        tasks: parameters by the end of a task's name, where they differ; such as
            `{"720": {"dropout": 0.5}}`.
        pretrain: what it learns from first, if anything.
    """

    name: str
    forecaster: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    joint: bool = False
    tasks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pretrain: PretrainSpec | None = None

    def parameters_for(self, task: TaskSpec) -> dict[str, Any]:
        """Return the parameters for a task."""
        merged = dict(self.parameters)
        for end, given in self.tasks.items():
            if task.name.endswith(end):
                merged |= given
        return {name: _of_task(name, value, task) for name, value in merged.items()}


def _of_task(name: str, value: Any, task: TaskSpec) -> Any:
    """Return the value of a parameter, also of a forecaster inside; the task's where it says so."""
    if isinstance(value, Mapping):
        return {key: _of_task(key, one, task) for key, one in value.items()}
    if isinstance(value, list):
        return [_of_task(name, one, task) for one in value]
    return getattr(task, name) if value == "task" else value


@dataclass(frozen=True, kw_only=True)
class SuiteSpec:
    """A benchmark.

    Attributes:
        name: also the folder of its results.
        title, description: for the report.
        tasks, models: in the order of the report.
        baseline: the model that others are divided by.
        metrics: the scores to report.
        published: model -> task -> metric -> figure that others have published.
    """

    name: str
    title: str
    description: str = ""
    tasks: tuple[TaskSpec, ...]
    models: tuple[ModelSpec, ...]
    baseline: str = "SeasonalNaive"
    metrics: tuple[str, ...] = ("MASE", "CRPS")
    published: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    @property
    def primary_metric(self) -> str:
        """The metric by which models are put in order: CRPS where there is one."""
        return "CRPS" if "CRPS" in self.metrics else self.metrics[0]

    def __post_init__(self) -> None:
        for what, names in (
            ("task", [task.name for task in self.tasks]),
            ("model", [model.name for model in self.models]),
        ):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice:
                raise ValueError(f"suite {self.name!r} has two {what}s called {twice!r}")
        if self.baseline not in [model.name for model in self.models]:
            raise ValueError(f"suite {self.name!r}: baseline={self.baseline!r} is not a model")


def load_suite(path: str | Path) -> SuiteSpec:
    """Return the suite of a YAML file, or of a name such as `"quick"` that the package holds.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: for keys that are missing or unknown.
    """
    file = _find(path)
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a mapping with the keys name, title, tasks, models")
    defaults = content.pop("task_defaults", {})
    tasks = [_task({**defaults, **task}, str(path)) for task in content.pop("tasks", [])]
    models = [_model(model, str(path)) for model in content.pop("models", [])]
    if "metrics" in content:
        content["metrics"] = tuple(content["metrics"])
    return _build(SuiteSpec, {**content, "tasks": tuple(tasks), "models": tuple(models)}, str(path))


def restrict(
    suite: SuiteSpec, tasks: Sequence[str] | None, models: Sequence[str] | None
) -> SuiteSpec:
    """Return a suite with fewer tasks (by part of their name) and models; the baseline stays.

    Raises:
        ValueError: where nothing is left, or a model does not exist.
    """
    if tasks:
        chosen = tuple(t for t in suite.tasks if any(part in t.name for part in tasks))
        if not chosen:
            names = ", ".join(task.name for task in suite.tasks)
            raise ValueError(f"no task is called like {', '.join(tasks)}; there are {names}")
        suite = replace(suite, tasks=chosen)
    if models:
        known = [model.name for model in suite.models]
        unknown = [name for name in models if name not in known]
        if unknown:
            raise ValueError(f"there is no model {unknown[0]!r}; there are {', '.join(known)}")
        kept = {*models, suite.baseline}
        suite = replace(suite, models=tuple(m for m in suite.models if m.name in kept))
    return suite


def _find(path: str | Path) -> Any:
    """Return the file, in the working directory, the package or the checkout."""
    if Path(path).is_file():
        return Path(path)
    name = path if str(path).endswith((".yaml", ".yml")) else f"{path}.yaml"
    packaged = resources.files("tsformer.evaluation") / "configs" / Path(name).name
    checkout = Path(__file__).parents[2] / "configs" / Path(name).name
    for candidate in (packaged, checkout):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(f"{path}: there is no such suite; pass a YAML file, or 'quick'")


def _task(content: Mapping[str, Any], path: str) -> TaskSpec:
    values = dict(content)
    if values.get("resample") is not None:
        values["resample"] = _build(ResampleSpec, values["resample"], path)
    if values.get("split") is not None:
        values["split"] = tuple(values["split"])
    return _build(TaskSpec, values, path)


def _model(content: Mapping[str, Any], path: str) -> ModelSpec:
    seeds = tuple(content.get("seeds", ()))
    tasks = {str(end): given for end, given in content.get("tasks", {}).items()}  # YAML: 720
    values = {**content, "seeds": seeds, "tasks": tasks}
    if values.get("pretrain") is not None:
        values["pretrain"] = _build(PretrainSpec, values["pretrain"], path)
    return _build(ModelSpec, values, path)


def _build(kind: type[Spec], values: Mapping[str, Any], path: str) -> Spec:
    known: Sequence[str] = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"{path}: unknown key {unknown[0]!r}; there are {', '.join(known)}")
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from error
