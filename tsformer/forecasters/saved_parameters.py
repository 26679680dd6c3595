"""Parameters as JSON: estimators by class and parameters, functions of NumPy and SciPy by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

_CLASS, _FUNCTION = "forecaster class", "function"
_LISTS = {"others", "steps"}  # an ensemble's, a Pipeline's; elsewhere sequences are tuples
_OF_FUNCTIONS = ("numpy", "scipy.special")
SKLEARN_TRANSFORMERS = {
    "FunctionTransformer": "sklearn.preprocessing",
    "MaxAbsScaler": "sklearn.preprocessing",
    "MinMaxScaler": "sklearn.preprocessing",
    "Pipeline": "sklearn.pipeline",
    "PowerTransformer": "sklearn.preprocessing",
    "QuantileTransformer": "sklearn.preprocessing",
    "RobustScaler": "sklearn.preprocessing",
    "StandardScaler": "sklearn.preprocessing",
}


def parameters_to_json(estimator: Any) -> dict[str, Any]:
    """Return the parameters of an estimator.

    Raises:
        ValueError: for an estimator among them that could not be made again from them.
    """
    parameters = estimator.get_params(deep=False)
    return {name: _to_json(value) for name, value in parameters.items()}


def made_from_json(kind: str, parameters: Mapping[str, Any]) -> Any:
    """Return the unfitted estimator of a class that has these parameters."""
    read = {name: _from_json(value) for name, value in parameters.items()}
    for name in _LISTS & set(read):
        read[name] = list(read[name])
    return _class(kind)(**read)


def _to_json(value: Any) -> Any:
    if isinstance(value, BaseEstimator):
        kind = type(value).__name__
        if _class(kind) is not type(value):
            raise ValueError(
                f"{value!r} cannot be saved: it is none of the estimators that load() knows; "
                f"besides forecasters and transforms these are {', '.join(SKLEARN_TRANSFORMERS)}"
            )
        return {_CLASS: kind, "parameters": parameters_to_json(value)}
    if isinstance(value, np.ufunc):
        return {_FUNCTION: _function_name(value)}
    return [_to_json(part) for part in value] if isinstance(value, list | tuple) else value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and _CLASS in value:
        return made_from_json(value[_CLASS], value["parameters"])
    if isinstance(value, dict) and _FUNCTION in value:
        return _function(value[_FUNCTION])
    return tuple(_from_json(part) for part in value) if isinstance(value, list) else value


def _function_name(function: np.ufunc) -> str:
    """Return the name of a function, with its module, by which it can be found again."""
    for module in _OF_FUNCTIONS:
        if getattr(importlib.import_module(module), function.__name__, None) is function:
            return f"{module}.{function.__name__}"
    raise ValueError(
        f"{function!r} cannot be saved: load() knows functions of {' and '.join(_OF_FUNCTIONS)} "
        "only; pass one of these, or a transformer of its own such as LogTransform()"
    )


def _function(name: str) -> np.ufunc:
    module, _, attribute = name.rpartition(".")
    known = module in _OF_FUNCTIONS
    function = getattr(importlib.import_module(module), attribute, None) if known else None
    if not isinstance(function, np.ufunc):
        raise ValueError(
            f"{name!r} is no function of values that {' or '.join(_OF_FUNCTIONS)} has; load it "
            "with the versions that it was saved with"
        )
    return function


def _class(kind: str) -> Any:
    """Return the class of this name that a save may hold, None for another."""
    from tsformer.forecasters import FORECASTERS, TRANSFORMS

    known: dict[str, Any] = {**FORECASTERS, **TRANSFORMS}
    if kind in SKLEARN_TRANSFORMERS:
        return getattr(importlib.import_module(SKLEARN_TRANSFORMERS[kind]), kind)
    return known.get(kind)


def plain_value(value: Any) -> Any:
    """Return what JSON can hold in the place of a value that it cannot, for `json.dumps`.

    Raises:
        ValueError: where there is nothing.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise ValueError(f"parameter value {value!r} cannot be saved; use numbers, text or lists")
