"""Forecasters from their names and parameters, also those that wrap another one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsformer.forecasters import Forecaster

_INSIDE = "say --parameters.forecaster NAME, the forecaster that it wraps"
_OTHERS = "say --parameters.others NAME, or a list of forecasters to average it with"
_TRANSFORMER = "say --parameters.transformer NAME, such as LogTransform"


def make_forecaster(
    name: str, shared: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Forecaster:
    """Return an unfitted forecaster.

    Args:
        name: of its class.
        shared: the horizon, columns and covariates; of the forecaster inside where there is one,
            which parameters then describe: `{"forecaster": {"forecaster": NAME, "parameters": …}}`,
            or by its name alone.
        parameters: all others.
    """
    from tsformer.forecasters import FORECASTERS
    from tsformer.forecasters.wrapping import WrappingForecaster

    check_name(name)
    made: Any = FORECASTERS[name]
    given = dict(parameters)
    if not issubclass(made, WrappingForecaster):
        return made(**{**given, **shared})
    if given.get("forecaster") is None:
        raise ValueError(f"{name} wraps another forecaster; {_INSIDE}")
    inside, its_parameters = _described(given["forecaster"], "forecaster", _INSIDE)
    given["forecaster"] = make_forecaster(inside, shared, its_parameters)
    if "transformer" in made._get_param_names():
        if given.get("transformer") is None:
            raise ValueError(f"{name} needs a transformer; {_TRANSFORMER}")
        given["transformer"] = make_transformer(given["transformer"])
    if "others" in made._get_param_names():
        given["others"] = _others(given.get("others"), shared)
    return made(**given)


def _others(described: Any, shared: Mapping[str, Any]) -> list[Forecaster]:
    """Return the forecasters of an ensemble but for its first."""
    if described is None:
        raise ValueError(f"an ensemble needs others; {_OTHERS}")
    several = described if isinstance(described, list) else [described]
    named = [_described(one, "forecaster", _OTHERS, parameter="others") for one in several]
    plain = {word: value for word, value in shared.items() if not word.endswith("_covariates")}
    return [make_forecaster(name, plain, parameters) for name, parameters in named]


def make_transformer(described: Any) -> Any:
    """Return the transformer of this name, or of `{"transformer": NAME, "parameters": …}`.

    A list of several makes a pipeline. The names are those of which a saved forecaster may be.
    """
    from tsformer.forecasters.saved_parameters import made_from_json

    if isinstance(described, list):
        pipeline = made_from_json("Pipeline", {"steps": []})
        steps = [(f"step {number}", make_transformer(one)) for number, one in enumerate(described)]
        return pipeline.set_params(steps=steps)
    name, parameters = _described(described, "transformer", _TRANSFORMER)
    _check_transformer(name)
    known = made_from_json(name, {}).get_params(deep=False)
    if unknown := [word for word in parameters if word not in known]:
        raise ValueError(f"{name} has no parameter {unknown[0]!r}; it takes {', '.join(known)}")
    return made_from_json(name, parameters)


def _check_transformer(name: str) -> None:
    """Raise a ValueError for the name of a transformer that does not exist."""
    from tsformer.forecasters import TRANSFORMS
    from tsformer.forecasters.saved_parameters import SKLEARN_TRANSFORMERS

    known = sorted({*TRANSFORMS, *SKLEARN_TRANSFORMERS} - {"Pipeline"})
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        raise ValueError(f"--parameters.transformer={name} is no transformer; {hint}")


def _described(
    given: Any, kind: str, remedy: str, parameter: str | None = None
) -> tuple[str, dict[str, Any]]:
    """Return a name and parameters from what describes a forecaster or a transformer.

    Args:
        given: what was said.
        kind: `"forecaster"` or `"transformer"`.
        remedy: what to say instead.
        parameter: where it was said; None for `kind`.
    """
    described = {kind: given} if isinstance(given, str) else given
    place = f"--parameters.{parameter or kind}"
    if not isinstance(described, Mapping) or not isinstance(described.get(kind), str):
        raise ValueError(
            f"{place} is {given!r}, which names no {kind}; {remedy}; or, with parameters, "
            f"{place}.{kind} NAME and {place}.parameters.…"
        )
    others = sorted({*described} - {kind, "parameters"})
    parameters = described.get("parameters") or {}
    if others or not isinstance(parameters, Mapping):
        raise ValueError(
            f"{place} has {others or parameters!r}; it takes {kind}, a name, and parameters, which "
            "are given by their names"
        )
    return described[kind], dict(parameters)


def check_name(name: str) -> None:
    """Raise a ValueError for the name of a forecaster that does not exist."""
    from tsformer.forecasters import FORECASTERS

    if name not in FORECASTERS:
        close = difflib.get_close_matches(name, FORECASTERS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(FORECASTERS)}"
        raise ValueError(
            f"--forecaster={name} is neither a forecaster nor a folder of a saved one; {hint}"
        )
