"""tsformer: time-series forecasting with transformers.

Public names are imported on first use, so that `import tsformer` itself takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsformer.data import dataset_info, list_datasets, load_dataset
    from tsformer.forecasters import (
        BoxCoxTransform,
        ConformalForecaster,
        Differencing,
        DLinearForecaster,
        EnsembleForecaster,
        ITransformerForecaster,
        LLMForecaster,
        LogTransform,
        NLinearForecaster,
        PatchTSTForecaster,
        RecurrentForecaster,
        SeasonalNaiveForecaster,
        TrainedTSFormerForecaster,
        TransformedForecaster,
        TSFormerForecaster,
        coverage_report,
        load,
    )
    from tsformer.llm import tokenize_series

__version__ = "0.1.0"

_HOME = {
    "BoxCoxTransform": "tsformer.forecasters",
    "ConformalForecaster": "tsformer.forecasters",
    "DLinearForecaster": "tsformer.forecasters",
    "Differencing": "tsformer.forecasters",
    "EnsembleForecaster": "tsformer.forecasters",
    "ITransformerForecaster": "tsformer.forecasters",
    "LLMForecaster": "tsformer.forecasters",
    "LogTransform": "tsformer.forecasters",
    "NLinearForecaster": "tsformer.forecasters",
    "PatchTSTForecaster": "tsformer.forecasters",
    "RecurrentForecaster": "tsformer.forecasters",
    "SeasonalNaiveForecaster": "tsformer.forecasters",
    "TSFormerForecaster": "tsformer.forecasters",
    "TrainedTSFormerForecaster": "tsformer.forecasters",
    "TransformedForecaster": "tsformer.forecasters",
    "coverage_report": "tsformer.forecasters",
    "load": "tsformer.forecasters",
    "dataset_info": "tsformer.data",
    "list_datasets": "tsformer.data",
    "load_dataset": "tsformer.data",
    "tokenize_series": "tsformer.llm",
}

__all__ = [
    "BoxCoxTransform",
    "ConformalForecaster",
    "DLinearForecaster",
    "Differencing",
    "EnsembleForecaster",
    "ITransformerForecaster",
    "LLMForecaster",
    "LogTransform",
    "NLinearForecaster",
    "PatchTSTForecaster",
    "RecurrentForecaster",
    "SeasonalNaiveForecaster",
    "TSFormerForecaster",
    "TrainedTSFormerForecaster",
    "TransformedForecaster",
    "coverage_report",
    "dataset_info",
    "list_datasets",
    "load",
    "load_dataset",
    "tokenize_series",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tsformer' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
