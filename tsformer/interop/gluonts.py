"""Every forecaster as GluonTS's estimator and predictor: its data sets in, its forecasts out.

    predictor = ForecasterEstimator(forecaster=PatchTSTForecaster(horizon=48)).train(dataset)
    predictor = ForecasterPredictor(forecaster=TSFormerForecaster(horizon=48))  # as it is
    evaluate_model(predictor, test_data=test_data, metrics=[MASE()], seasonality=24)

Features become covariates where the forecaster's `static_covariates`, `past_covariates` and
`future_covariates` name their rows, in order: those of `feat_static_real`, then of
`feat_static_cat`; of `past_feat_dynamic_real`, then `_cat`; of `feat_dynamic_real`, then `_cat`.
For each kind, name every row, or none: then it is not used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
from gluonts.dataset.common import TrainDatasets
from gluonts.dataset.field_names import FieldName
from gluonts.model.estimator import Estimator
from gluonts.model.forecast import QuantileForecast, SampleForecast
from gluonts.model.predictor import Predictor

from tsformer.forecasters import Forecaster, load
from tsformer.forecasters.checks import positive_integer, quantile_levels
from tsformer.forecasters.fallback import sample_all
from tsformer.forecasters.saved_parameters import (
    made_from_json,
    parameters_to_json,
    plain_value,
)
from tsformer.interop.gluonts_entries import Item, batches, items_of
from tsformer.interop.gluonts_fitting import (
    fit_to_items,
    fit_where_known,
    needs_no_fit,
    panel_to_continue,
    zeros_for,
)
from tsformer.types import Forecast

LEVELS = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)  # MSIS asks for the outer ones
_PARAMETERS, _FORECASTER = "parameters.json", "forecaster"
_Copies = dict[tuple[str, int], Forecaster]


class ForecasterPredictor(Predictor):
    """Forecasts GluonTS data sets with a forecaster: fitted, or one that needs no fit.

    Each entry gets a forecast of its own, whatever its item_id, in the order of the data set, of
    which no more than a batch is held in memory. Answers are `QuantileForecast`s with `mean`, the
    forecaster's quantiles and `LEVELS`, or `SampleForecast`s of coherent paths; arrays are `[H]`
    for targets `[T]` and `[H, C]` for targets `[C, T]`, as GluonTS has them.

    A forecaster that needs no fit and has none is set up by the first batch with a value, for each
    frequency and number of variates. From there all its entries share the season, the categories
    and scales of covariates (one that never changed there is not used) and, for `LLMForecaster`,
    how values are written; nothing else of one entry reaches another. A series without a value
    among the steps that are looked at is answered by zeros, as GluonTS's own baselines do. A
    fitted forecaster answers it by the distribution of all values that it was fitted to.

    Args:
        forecaster: its `horizon` is the prediction length.
        samples: paths per forecast; None for quantiles.
        batch_size: entries that are forecast at once.
    """

    def __init__(
        self, *, forecaster: Forecaster, samples: int | None = None, batch_size: int = 1024
    ) -> None:
        if not _checked(forecaster).__sklearn_is_fitted__() and not needs_no_fit(forecaster):
            raise ValueError(
                f"{type(forecaster).__name__} has to be fitted first; use "
                "ForecasterEstimator(forecaster=...).train(data), or its own fit"
            )
        super().__init__(prediction_length=int(forecaster.horizon))
        self.forecaster = forecaster
        self.samples = None if samples is None else positive_integer("samples", samples)
        self.batch_size = positive_integer("batch_size", batch_size)

    def predict(
        self, dataset: Iterable[Any], num_samples: int | None = None
    ) -> Iterator[QuantileForecast | SampleForecast]:
        """Yield the forecast of each entry.

        Args:
            dataset: entries, such as those of a list, of `PandasDataset` or of `TestData.input`.
            num_samples: paths per forecast, instead of `samples`.
        """
        n_samples = self.samples
        if num_samples is not None:
            n_samples = positive_integer("num_samples", num_samples)
        copies: _Copies = {}
        for items in batches(dataset, self.batch_size):
            forecaster = self._fitted(items, copies)
            if n_samples is None:
                yield from _quantile_forecasts(items, self._forecast(forecaster, items))
            else:
                yield from _sample_forecasts(items, self._paths(forecaster, items, n_samples))

    def _fitted(self, items: Sequence[Item], copies: _Copies) -> Forecaster | None:
        """Return the forecaster to ask: its own or a copy that is fitted; None before any value."""
        if self.forecaster.__sklearn_is_fitted__():
            return self.forecaster
        kind = items[0].kind
        if kind not in copies and (fitted := fit_where_known(self.forecaster, items)) is not None:
            copies[kind] = fitted
        return copies.get(kind)

    def _forecast(self, forecaster: Forecaster | None, items: Sequence[Item]) -> Forecast:
        levels = tuple(sorted({*LEVELS, *quantile_levels(self.forecaster.quantiles)}))
        if forecaster is None:
            return zeros_for(items).forecast(len(items), self.prediction_length, levels)
        return forecaster.predict_panel(panel_to_continue(forecaster, items), quantiles=levels)

    def _paths(
        self, forecaster: Forecaster | None, items: Sequence[Item], n_samples: int
    ) -> np.ndarray:
        """Return coherent paths, `[S * C, n, H]`."""
        if forecaster is None:
            n_rows = len(items) * len(items[0].target)
            return np.zeros((n_rows, n_samples, self.prediction_length))
        panel = panel_to_continue(forecaster, items)
        return sample_all(forecaster, panel, self.prediction_length, n_samples)

    def serialize(self, path: str | PathLike[str]) -> None:
        """Write the predictor into a folder, as JSON and tensors; GluonTS reads it, too."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        super().serialize(folder)
        parameters: dict[str, Any] = {"samples": self.samples, "batch_size": self.batch_size}
        if self.forecaster.__sklearn_is_fitted__():
            self.forecaster.save(folder / _FORECASTER)
        else:
            parameters["class"] = type(self.forecaster).__name__
            parameters["parameters"] = parameters_to_json(self.forecaster)
        text = json.dumps(parameters, indent=2, default=plain_value)
        (folder / _PARAMETERS).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def deserialize(cls, path: str | PathLike[str]) -> Self:
        """Return the predictor that `serialize` wrote; nothing in the folder is executed.

        Raises:
            FileNotFoundError: where the folder holds none.
        """
        folder = Path(path)
        config = json.loads((folder / _PARAMETERS).read_text(encoding="utf-8"))
        own = {name: config[name] for name in ("samples", "batch_size")}
        if "class" not in config:
            return cls(forecaster=load(folder / _FORECASTER), **own)
        return cls(forecaster=made_from_json(config["class"], config["parameters"]), **own)


class ForecasterEstimator(Estimator):
    """Trains a forecaster on GluonTS data sets.

    Args:
        forecaster: any; `train` fits a copy of it.
        samples, batch_size: of the predictor, see there.
    """

    def __init__(
        self, *, forecaster: Forecaster, samples: int | None = None, batch_size: int = 1024
    ) -> None:
        super().__init__()
        self.forecaster = _checked(forecaster)
        self.prediction_length = int(forecaster.horizon)
        self.samples = samples
        self.batch_size = batch_size

    def train(
        self, training_data: Iterable[Any], validation_data: Iterable[Any] | None = None
    ) -> ForecasterPredictor:
        """Return the predictor of a forecaster that was fitted to a data set.

        Args:
            training_data: series of one frequency; of `TrainDatasets`, `train` is taken.
            validation_data: the same series, found by item_id or, where these are missing or not
                distinct, by place, each going on for longer: what is added is held out from
                training. None holds out a tail where series are long enough.
        """
        if isinstance(training_data, TrainDatasets):
            training_data = training_data.train
        later = () if validation_data is None else [*items_of(validation_data)]
        fitted = fit_to_items(self.forecaster, [*items_of(training_data)], later)
        return ForecasterPredictor(
            forecaster=fitted, samples=self.samples, batch_size=self.batch_size
        )


def _checked(forecaster: Any) -> Forecaster:
    if isinstance(forecaster, Forecaster):
        return forecaster
    raise TypeError(
        f"forecaster={forecaster!r} must be a forecaster of tsformer, such as "
        "TSFormerForecaster(horizon=48)"
    )


def _quantile_forecasts(items: Sequence[Item], forecast: Forecast) -> Iterator[QuantileForecast]:
    keys = ["mean", *map(str, forecast.levels)]
    rows = np.concatenate([forecast.mean[..., None], forecast.quantiles], axis=-1)
    for item, array in zip(items, _by_item(items, rows.swapaxes(1, 2)), strict=True):
        yield QuantileForecast(forecast_arrays=array, forecast_keys=keys, **_about(item))


def _sample_forecasts(items: Sequence[Item], paths: np.ndarray) -> Iterator[SampleForecast]:
    for item, array in zip(items, _by_item(items, paths), strict=True):
        yield SampleForecast(samples=array, **_about(item))


def _by_item(items: Sequence[Item], rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield `[n, H]`, or `[n, H, C]` where the target is `[C, T]`, from rows `[S * C, n, H]`."""
    for item, array in zip(items, rows.reshape(len(items), -1, *rows.shape[1:]), strict=True):
        one = np.ndim(item.entry[FieldName.TARGET]) == 1
        yield array[0] if one else np.ascontiguousarray(np.moveaxis(array, 0, -1))


def _about(item: Item) -> dict[str, Any]:
    return {
        "start_date": item.forecast_start,
        "item_id": item.entry.get(FieldName.ITEM_ID),
        "info": item.entry.get(FieldName.INFO),
    }
