from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer.data.frame import Schema, read_panel
from tsformer.data.panel import Panel

START = pd.Period("2024-01", freq="M")


def read(data: Any, **schema: Any) -> Panel:
    return read_panel(data, Schema(**schema))[0]


def entry(target: Any, **others: Any) -> dict[str, Any]:
    return {"start": START, "target": np.asarray(target, dtype=float), **others}


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_when_data_are_dictionaries_with_start_and_target_then_read(kind: Any) -> None:
    entries = [
        entry([1, 2], item_id="b"),
        entry([3, np.nan, 5], item_id="a", start=START + 2, feat_static_cat=[0]),
    ]
    panel, layout = read_panel(kind(entries), Schema())
    assert panel.ids.tolist() == ["a", "b"]
    np.testing.assert_array_equal(panel.values, [[3, np.nan, 5, 1, 2]])
    expected = np.array(["2024-03-01", "2024-01-01"], dtype="datetime64[us]")
    np.testing.assert_array_equal(panel.starts, expected)
    assert panel.freq.alias == "MS"
    assert (layout.id_col, layout.time_col, layout.target_col) == ("item_id", "timestamp", "target")
    assert layout.order.tolist() == [1, 0]


def test_when_data_set_is_of_gluonts_then_read() -> None:
    from gluonts.dataset.common import ListDataset
    from gluonts.dataset.pandas import PandasDataset

    items = [{"start": "2024-01-01", "target": [1.0, 2.0], "item_id": "a"}]
    panel = read(ListDataset(items, freq="h"))
    assert (panel.ids.tolist(), panel.values.tolist()) == (["a"], [[1, 2]])
    assert panel.freq.alias == "h"
    frame = pd.DataFrame({"target": [1.0, 2.0]}, index=pd.date_range("2024", periods=2, freq="D"))
    panel = read(PandasDataset({"x": frame, "y": frame + 1}, freq="D"))
    assert (panel.ids.tolist(), panel.values.tolist()) == (["x", "y"], [[1, 2, 2, 3]])
    assert panel.freq.alias == "D"


@pytest.mark.filterwarnings("ignore:Period:FutureWarning")
def test_when_periods_are_business_days_then_weekends_are_left_out() -> None:
    friday = pd.Period("2024-01-05", freq="B")
    panel = read([{"start": friday, "target": [1.0, 2.0]}])
    assert panel.freq.alias == "B"
    expected = np.array(["2024-01-05", "2024-01-08"], dtype="datetime64[us]")
    np.testing.assert_array_equal(panel.times(0), expected)


def test_when_entries_have_no_item_id_then_they_are_numbered() -> None:
    panel = read([entry([n]) for n in range(11)])
    assert panel.ids.tolist() == list(range(11))
    assert panel.values.tolist() == [list(range(11))]


def test_when_start_is_the_only_period_then_frequency_is_known() -> None:
    panel = read([entry([5.0])])
    assert panel.future_times(1)[0, 0] == np.datetime64("2024-02-01")


@pytest.mark.parametrize("freq", ["MS", "ME"])
def test_when_freq_is_named_too_then_periods_keep_their_first_moments(freq: str) -> None:
    assert read([entry([1.0, 2.0])], freq=freq).future_times(1)[0, 0] == np.datetime64("2024-03-01")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry([[1, 2]], item_id="a")], r"series 'a': target has shape \(1, 2\), expected \[time"),
        ([entry([])], r"series 0: target has shape \(0,\)"),
        (
            [{"start": pd.Timestamp("2024-01-01"), "target": [1.0]}],
            r"series 0: start is Timestamp\('2024.*expected a pandas Period",
        ),
        (
            [entry([1.0], item_id="a"), entry([1.0], item_id="a")],
            "two series of the data set share an item_id",
        ),
        (
            [entry([1.0]), entry([1.0], start=pd.Period("2024-01-01", freq="D"))],
            "differ in freq; split it by freq",
        ),
        (
            [entry([1.0], item_id="a"), entry([1.0, np.inf], item_id="b")],
            "has inf at series 'b', row 2; replace it by NaN",
        ),
    ],
)
def test_when_entry_cannot_be_used_then_error_names_series(
    entries: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(entries)


@pytest.mark.parametrize(
    "data", [[], [1.0, 2.0], [{"target": [1.0]}], [entry([1.0]), None], {1, 2}]
)
def test_when_iterable_holds_something_else_then_error_suggests_an_array(data: Any) -> None:
    with pytest.raises(TypeError, match="each entry needs 'start' and 'target'.*NumPy array"):
        read(data)
