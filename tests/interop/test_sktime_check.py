"""All of sktime's own tests of a forecaster: trained, without training, and naive."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("sktime")

from sktime.utils.estimator_checks import check_estimator, parametrize_with_checks

from tsformer.interop.sktime import SktimeForecaster


@parametrize_with_checks(SktimeForecaster, obj_varname="forecaster", check_varname="check")
def test_passes_the_check_of_sktime(forecaster: Any, check: str) -> None:
    results = check_estimator(forecaster, tests_to_run=check, raise_exceptions=True, verbose=0)
    assert set(results.values()) <= {"PASSED"}


def test_no_check_is_excluded() -> None:
    excluding = {tag for tag in SktimeForecaster.get_class_tags() if tag.startswith("tests:skip")}
    assert not any(SktimeForecaster.get_class_tag(tag) for tag in excluding)
    kinds = {type(params["forecaster"]).__name__ for params in SktimeForecaster.get_test_params()}
    assert kinds == {"PatchTSTForecaster", "TSFormerForecaster", "SeasonalNaiveForecaster"}
