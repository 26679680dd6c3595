"""Forecasters: `fit` and `predict` on the data people have."""

from tsformer.forecasters.base import Forecaster
from tsformer.forecasters.conformal import ConformalForecaster
from tsformer.forecasters.coverage import coverage_report
from tsformer.forecasters.itransformer import ITransformerForecaster
from tsformer.forecasters.linear import DLinearForecaster, NLinearForecaster
from tsformer.forecasters.llm import LLMForecaster
from tsformer.forecasters.patchtst import PatchTSTForecaster
from tsformer.forecasters.persistence import load
from tsformer.forecasters.recurrent import RecurrentForecaster
from tsformer.forecasters.seasonal_naive import SeasonalNaiveForecaster
from tsformer.forecasters.trained_tsformer import TrainedTSFormerForecaster
from tsformer.forecasters.tsformer import TSFormerForecaster

FORECASTERS = {
    forecaster.__name__: forecaster
    for forecaster in (
        ConformalForecaster,
        DLinearForecaster,
        ITransformerForecaster,
        LLMForecaster,
        NLinearForecaster,
        PatchTSTForecaster,
        RecurrentForecaster,
        SeasonalNaiveForecaster,
        TSFormerForecaster,
        TrainedTSFormerForecaster,
    )
}

__all__ = [
    "FORECASTERS",
    "ConformalForecaster",
    "DLinearForecaster",
    "Forecaster",
    "ITransformerForecaster",
    "LLMForecaster",
    "NLinearForecaster",
    "PatchTSTForecaster",
    "RecurrentForecaster",
    "SeasonalNaiveForecaster",
    "TSFormerForecaster",
    "TrainedTSFormerForecaster",
    "coverage_report",
    "load",
]
