"""Forecasters: `fit` and `predict` on the data people have."""

from tsformer.forecasters.base import Forecaster
from tsformer.forecasters.llm import LLMForecaster
from tsformer.forecasters.patchtst import PatchTSTForecaster
from tsformer.forecasters.persistence import load
from tsformer.forecasters.seasonal_naive import SeasonalNaiveForecaster

FORECASTERS = {
    forecaster.__name__: forecaster
    for forecaster in (LLMForecaster, PatchTSTForecaster, SeasonalNaiveForecaster)
}

__all__ = [
    "FORECASTERS",
    "Forecaster",
    "LLMForecaster",
    "PatchTSTForecaster",
    "SeasonalNaiveForecaster",
    "load",
]
