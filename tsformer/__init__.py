"""tsformer: time-series forecasting with transformers.

Public names are imported on first use, so that `import tsformer` itself takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsformer.data import dataset_info, list_datasets, load_dataset
    from tsformer.forecasters import (
        ConformalForecaster,
        DLinearForecaster,
        ITransformerForecaster,
        LLMForecaster,
        NLinearForecaster,
        PatchTSTForecaster,
        RecurrentForecaster,
        SeasonalNaiveForecaster,
        TrainedTSFormerForecaster,
        TSFormerForecaster,
        coverage_report,
        load,
    )
    from tsformer.llm import tokenize_series

__version__ = "0.1.0"

_HOME = {
    "ConformalForecaster": "tsformer.forecasters",
    "DLinearForecaster": "tsformer.forecasters",
    "ITransformerForecaster": "tsformer.forecasters",
    "LLMForecaster": "tsformer.forecasters",
    "NLinearForecaster": "tsformer.forecasters",
    "PatchTSTForecaster": "tsformer.forecasters",
    "RecurrentForecaster": "tsformer.forecasters",
    "SeasonalNaiveForecaster": "tsformer.forecasters",
    "TSFormerForecaster": "tsformer.forecasters",
    "TrainedTSFormerForecaster": "tsformer.forecasters",
    "coverage_report": "tsformer.forecasters",
    "load": "tsformer.forecasters",
    "dataset_info": "tsformer.data",
    "list_datasets": "tsformer.data",
    "load_dataset": "tsformer.data",
    "tokenize_series": "tsformer.llm",
}

__all__ = [
    "ConformalForecaster",
    "DLinearForecaster",
    "ITransformerForecaster",
    "LLMForecaster",
    "NLinearForecaster",
    "PatchTSTForecaster",
    "RecurrentForecaster",
    "SeasonalNaiveForecaster",
    "TSFormerForecaster",
    "TrainedTSFormerForecaster",
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
