"""Forecasters: `fit` and `predict` on the data people have."""

from tsformer.imports import StandIn, quick_imports
from tsformer.memory import keep_freed_memory

keep_freed_memory()  # before other imports begin threads, with heaps of their own

with quick_imports(StandIn("scipy.stats")):  # scikit-learn imports it
    import sklearn.base  # noqa: F401

with quick_imports():
    from tsformer.forecasters.base import Forecaster
    from tsformer.forecasters.conformal import ConformalForecaster
    from tsformer.forecasters.coverage import coverage_report
    from tsformer.forecasters.ensemble import EnsembleForecaster
    from tsformer.forecasters.itransformer import ITransformerForecaster
    from tsformer.forecasters.linear import DLinearForecaster, NLinearForecaster
    from tsformer.forecasters.llm import LLMForecaster
    from tsformer.forecasters.patchtst import PatchTSTForecaster
    from tsformer.forecasters.persistence import load
    from tsformer.forecasters.recurrent import RecurrentForecaster
    from tsformer.forecasters.seasonal_naive import SeasonalNaiveForecaster
    from tsformer.forecasters.target_transforms import BoxCoxTransform, Differencing, LogTransform
    from tsformer.forecasters.trained_tsformer import TrainedTSFormerForecaster
    from tsformer.forecasters.transformed import TransformedForecaster
    from tsformer.forecasters.tsformer import TSFormerForecaster

FORECASTERS = {
    forecaster.__name__: forecaster
    for forecaster in (
        ConformalForecaster,
        DLinearForecaster,
        EnsembleForecaster,
        ITransformerForecaster,
        LLMForecaster,
        NLinearForecaster,
        PatchTSTForecaster,
        RecurrentForecaster,
        SeasonalNaiveForecaster,
        TSFormerForecaster,
        TrainedTSFormerForecaster,
        TransformedForecaster,
    )
}
TRANSFORMS = {
    transform.__name__: transform for transform in (BoxCoxTransform, Differencing, LogTransform)
}

__all__ = [
    "FORECASTERS",
    "TRANSFORMS",
    "BoxCoxTransform",
    "ConformalForecaster",
    "DLinearForecaster",
    "Differencing",
    "EnsembleForecaster",
    "Forecaster",
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
    "load",
]
