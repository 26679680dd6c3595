from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tsformer.data.frame import Schema, read_panel
from tsformer.data.panel import Panel
from tsformer.evaluation.metrics import LEVELS, Scores, middle_levels, seasonal_errors
from tsformer.types import Forecast


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def make_history(rows: np.ndarray) -> Panel:
    return read_panel(rows, Schema())[0]


def make_forecast(generator: np.random.Generator, shape: tuple[int, int]) -> Forecast:
    quantiles = np.sort(generator.normal(10, 3, (*shape, len(LEVELS))), axis=-1)
    return Forecast(mean=quantiles.mean(axis=-1), quantiles=quantiles, levels=LEVELS)


def test_scores_equal_their_definitions_in_numpy(generator: np.random.Generator) -> None:
    history, truth = generator.normal(10, 3, (4, 30)), generator.normal(10, 3, (4, 5))
    forecast = make_forecast(generator, (4, 5))
    scores = Scores(season_length=7)
    for part in (slice(0, 1), slice(1, 4)):  # windows may come in parts
        chosen = Forecast(
            mean=forecast.mean[part], quantiles=forecast.quantiles[part], levels=LEVELS
        )
        scores.update(make_history(history[part]), truth[part], chosen)
    result = scores.result()

    naive = np.abs(history[:, 7:] - history[:, :-7]).mean(axis=1, keepdims=True)
    median = forecast.quantile(0.5)
    assert result["MASE"] == pytest.approx(np.mean(np.abs(truth - median) / naive), rel=1e-6)
    losses = [
        2 * np.sum(np.maximum(q * (truth - f), (q - 1) * (truth - f)))
        for q, f in ((q, forecast.quantile(q)) for q in LEVELS)
    ]
    assert result["CRPS"] == pytest.approx(np.mean(losses) / np.abs(truth).sum())
    low, high = forecast.quantile(0.1), forecast.quantile(0.9)
    assert result["coverage80"] == pytest.approx(np.mean((truth > low) & (truth < high)))
    assert result["width80"] == pytest.approx(np.sum(high - low) / np.abs(truth).sum())
    assert result["ND"] == pytest.approx(np.abs(truth - median).sum() / np.abs(truth).sum())
    assert result["MSE"] == pytest.approx(np.mean((truth - forecast.mean) ** 2))
    assert result["MAE"] == pytest.approx(np.mean(np.abs(truth - forecast.mean)))


def test_missing_truth_does_not_count(generator: np.random.Generator) -> None:
    history, truth = generator.normal(10, 3, (3, 30)), generator.normal(10, 3, (3, 5))
    forecast = make_forecast(generator, (3, 5))
    holes, short = Scores(season_length=1), Scores(season_length=1)
    truth[:, 3:] = np.nan
    holes.update(make_history(history), truth, forecast)
    first = Forecast(mean=forecast.mean[:, :3], quantiles=forecast.quantiles[:, :3], levels=LEVELS)
    short.update(make_history(history), truth[:, :3], first)
    assert holes.result() == pytest.approx(short.result())


def test_a_history_without_change_does_not_count_in_mase_only(
    generator: np.random.Generator,
) -> None:
    history, truth = generator.normal(10, 3, (2, 30)), generator.normal(10, 3, (2, 5))
    history[1] = 4.0
    forecast = make_forecast(generator, (2, 5))
    both, first = Scores(season_length=1), Scores(season_length=1)
    both.update(make_history(history), truth, forecast)
    alone = Forecast(mean=forecast.mean[:1], quantiles=forecast.quantiles[:1], levels=LEVELS)
    first.update(make_history(history[:1]), truth[:1], alone)
    assert both.result()["MASE"] == pytest.approx(first.result()["MASE"])
    assert both.result()["CRPS"] != pytest.approx(first.result()["CRPS"])


def test_seasonal_errors_skip_gaps_and_fall_back_for_short_histories() -> None:
    panel = make_history(np.array([[1.0, 2, np.nan, 5, 9, 9]]))
    assert seasonal_errors(panel, 1)[0] == pytest.approx(np.mean([1, 4, 0]))
    assert seasonal_errors(panel, 2)[0] == pytest.approx(np.mean([3, 4]))
    assert seasonal_errors(panel, 100)[0] == pytest.approx(np.mean([1, 4, 0]))
    assert seasonal_errors(make_history(np.array([[3.0]])), 1)[0] == 0


def test_scores_equal_those_of_gluonts_own_evaluation(generator: np.random.Generator) -> None:
    from gluonts.dataset.pandas import PandasDataset
    from gluonts.dataset.split import split
    from gluonts.ev.metrics import MASE, MeanWeightedSumQuantileLoss
    from gluonts.model.evaluation import evaluate_forecasts
    from gluonts.model.forecast import QuantileForecast

    index = pd.period_range("2020-01-01", periods=40, freq="D")
    values = generator.normal(10, 3, (3, 40))
    values[0, 37] = values[1, 5] = np.nan
    data = PandasDataset({str(k): pd.Series(row, index=index) for k, row in enumerate(values)})
    test_data = split(data, offset=-6)[1].generate_instances(prediction_length=6)
    forecast = make_forecast(generator, (3, 6))
    gluonts_forecasts = [
        QuantileForecast(
            forecast_arrays=forecast.quantiles[k].T,
            forecast_keys=[str(level) for level in LEVELS],
            start_date=index[34],
        )
        for k in range(3)
    ]
    expected = evaluate_forecasts(
        gluonts_forecasts,
        test_data=test_data,
        metrics=[MASE(), MeanWeightedSumQuantileLoss(quantile_levels=list(LEVELS))],
        seasonality=7,
    )
    scores = Scores(season_length=7)
    scores.update(make_history(values[:, :-6]), values[:, -6:], forecast)
    assert scores.result()["MASE"] == pytest.approx(expected["MASE[0.5]"].item(), rel=1e-5)
    crps = expected["mean_weighted_sum_quantile_loss"].item()
    assert scores.result()["CRPS"] == pytest.approx(crps, rel=1e-6)


def test_nine_levels_are_the_deciles_and_others_the_middles_of_equal_parts() -> None:
    assert middle_levels(9) == LEVELS
    assert middle_levels(1) == (0.5,)
    assert middle_levels(4) == (0.125, 0.375, 0.625, 0.875)
    assert middle_levels(20) == pytest.approx(np.arange(0.025, 1, 0.05))


@pytest.mark.parametrize("n_samples", [1, 2, 5, 20])
def test_crps_at_the_middles_of_n_parts_is_that_of_n_samples(
    generator: np.random.Generator, n_samples: int
) -> None:
    truth = generator.normal(10, 3, (3, 4))
    samples = generator.normal(10, 3, (3, 4, n_samples))
    samples[0, 0] = samples[0, 0, 0]  # ties
    truth[1, 1] = samples[1, 1, 0]
    scores = Scores(season_length=1, levels=middle_levels(n_samples))
    ordered = np.quantile(samples, scores.levels, axis=-1, method="hazen")
    forecast = Forecast(
        mean=samples.mean(axis=-1), quantiles=np.moveaxis(ordered, 0, -1), levels=scores.levels
    )
    scores.update(make_history(generator.normal(size=(3, 9))), truth, forecast)
    spread = np.abs(samples[..., :, None] - samples[..., None, :]).mean(axis=(-2, -1))
    expected = np.abs(samples - truth[..., None]).mean(axis=-1) - spread / 2
    assert scores.result()["CRPS"] == pytest.approx(expected.sum() / np.abs(truth).sum())


def test_a_forecast_needs_no_other_levels_than_those_of_the_scores() -> None:
    scores = Scores(season_length=1, levels=middle_levels(4))
    assert scores.levels == tuple(sorted({*LEVELS, 0.125, 0.375, 0.625, 0.875}))
    assert Scores(season_length=1).levels == LEVELS


def test_the_density_is_a_mean_over_all_values_that_came(generator: np.random.Generator) -> None:
    scores = Scores(season_length=1)
    truth = generator.normal(10, 3, (2, 5))
    scores.update(make_history(truth), truth, make_forecast(generator, (2, 5)))
    assert "NLL" not in scores.result()
    scores.update_density(np.array([[-1.0, np.nan, -2.0]]))
    scores.update_density(np.array([[-6.0], [np.nan]]))
    assert scores.result()["NLL"] == pytest.approx(3.0)
    scores.update_density(np.array([[-np.inf]]))  # what was held impossible came
    assert scores.result()["NLL"] == np.inf


def test_starred_scores_are_of_the_first_windows(generator: np.random.Generator) -> None:
    history, truth = generator.normal(10, 3, (9, 30)), generator.normal(10, 3, (9, 5))
    truth[2, 3] = np.nan
    forecast = make_forecast(generator, (9, 5))
    scores = Scores(season_length=7, n_starred=6)
    for part in (slice(0, 4), slice(4, 8), slice(8, 9)):  # windows may come in parts
        chosen = Forecast(
            mean=forecast.mean[part], quantiles=forecast.quantiles[part], levels=LEVELS
        )
        scores.update(make_history(history[part]), truth[part], chosen)
    result, errors = scores.result(), truth - forecast.mean
    assert result["MSE*"] == pytest.approx(np.nanmean(errors[:6] ** 2))
    assert result["MAE*"] == pytest.approx(np.nanmean(np.abs(errors[:6])))
    assert result["MSE"] == pytest.approx(np.nanmean(errors**2))
