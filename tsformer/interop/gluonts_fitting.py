"""Forecasters learn from GluonTS entries, and read those that they continue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tsformer.data.layout import Layout
from tsformer.data.panel import Panel, sort_keys
from tsformer.forecasters import Forecaster
from tsformer.forecasters.fallback import PooledValues
from tsformer.forecasters.history import append_validation
from tsformer.interop.gluonts_entries import Item, are_named
from tsformer.interop.gluonts_panels import KINDS, EntryReader


def needs_no_fit(forecaster: Forecaster) -> bool:
    """Return whether a forecaster forecasts series that it was not fitted to."""
    return not forecaster.__sklearn_tags__().requires_fit


def reader_for(forecaster: Forecaster, **settings: Any) -> EntryReader:
    """Return how a forecaster wants entries read; settings are those of `EntryReader`."""
    schema = forecaster._schema
    return EntryReader(covariates={kind: getattr(schema, kind) for kind in KINDS}, **settings)


def panel_to_continue(forecaster: Forecaster, items: Sequence[Item]) -> Panel:
    """Return what a fitted forecaster looks at of entries.

    Raises:
        ValueError: where it was fitted to another frequency, or other variates.
    """
    known = forecaster.panel_
    reader = reader_for(
        forecaster, levels=known.levels, memory=forecaster._reach, horizon=int(forecaster.horizon)
    )
    names = [str(item) if item.name is None else item.name for item in items]
    panel = reader.read(items, names)
    rhythm, fitted = ((freq.unit, freq.step) for freq in (panel.freq, known.freq))
    if rhythm != fitted and known.freq.unit != "integer":
        raise ValueError(
            f"{items[0]} has freq {items[0].kind[0]!r}, but the forecaster was fitted at "
            f"{known.freq.alias!r}; train one for each"
        )
    if panel.n_variates != known.n_variates:
        raise ValueError(
            f"{items[0]}: target has {panel.n_variates} variates, but the forecaster was fitted "
            f"to {known.n_variates}"
        )
    return panel


def fit_where_known(forecaster: Forecaster, items: Sequence[Item]) -> Forecaster | None:
    """Return a copy of a forecaster that needs no fit, ready for entries of their kind.

    None where no entry has a value. A variate that has none in all of them is learned as another
    one that has; what to say of it is not learned from any, but is zero.
    """
    known = np.any([pd.notna(item.target).any(axis=1) for item in items], axis=0)  # [C]
    if not known.any():
        return None
    rows = np.where(known, np.arange(len(known)), known.argmax())
    fitted = fit_to_items(forecaster, [replace(item, target=item.target[rows]) for item in items])
    fitted.pooled_ = zeros_for(items)
    return fitted


def zeros_for(items: Sequence[Item]) -> PooledValues:
    """Return what is said of series of which nothing is known: zero, without doubt."""
    n_variates = len(items[0].target)
    return PooledValues(mean=np.zeros(n_variates), quantiles=np.zeros((n_variates, 100)))


def fit_to_items(
    forecaster: Forecaster, training: Sequence[Item], validation: Sequence[Item] = ()
) -> Forecaster:
    """Return a copy of a forecaster, fitted to entries.

    Args:
        forecaster: with its parameters.
        training: entries; those without a step are left out.
        validation: entries of the same series that go on longer; what they add is held out.
            Without any, the forecaster holds out a tail.

    Raises:
        ValueError: for parameters or data that cannot be used.
    """
    fitted = type(forecaster)(**forecaster.get_params(deep=False))
    fitted._check_parameters()
    training = [item for item in training if item.length]
    _refuse_other_kinds(training)
    variates = _variates(fitted, training[0])
    names, later_names = _names(training, validation)
    panel = reader_for(fitted).read(training, names)
    order = np.argsort(sort_keys(panel.ids), kind="stable")
    panel, held_out = panel.select(order), None
    if validation:
        _refuse_other_kinds([training[0], *validation])
        later = reader_for(fitted, levels=panel.levels).read(validation, later_names)
        _refuse_nothing_later(panel, later)
        panel, held_out = append_validation(panel, later)
    fitted.fit_panel(panel, held_out)
    fitted.layout_ = Layout(
        id_col="item_id",
        time_col="timestamp",
        target_col="target",
        order=np.argsort(order),
        variates=variates,
    )
    return fitted


def _refuse_other_kinds(items: Sequence[Item]) -> None:
    """Raise a ValueError for no entries, or entries that cannot stand in one panel."""
    if not items:
        raise ValueError("no entry has a step of target; pass at least one series with values")
    for item in items:
        if item.kind != items[0].kind:
            raise ValueError(
                f"{item} has freq {item.kind[0]!r} and {item.kind[1]} variates, but "
                f"{items[0]} has {items[0].kind[0]!r} and {items[0].kind[1]}; train on one kind"
            )


def _variates(forecaster: Forecaster, item: Item) -> tuple[str, ...]:
    """Return the names of several targets; their numbers where the forecaster names none."""
    named, count = forecaster._schema.variates, len(item.target)
    if named and len(named) != count:
        raise ValueError(
            f"{item}: target has {count} variates, but target_col={list(named)} of the forecaster "
            f"names {len(named)}; name each, or leave target_col out"
        )
    return named or tuple(map(str, range(count))) if count > 1 else ()


def _names(training: Sequence[Item], validation: Sequence[Item]) -> tuple[list[Any], list[Any]]:
    """Return item_ids or, where these are missing or come twice, names by place.

    No entry that is forecast later is called so: its place may be that of another series.
    """
    both = training, validation
    if all(map(are_named, both)):
        names = [[item.name for item in items] for items in both]
    else:
        names = [[f"series {item.number}" for item in items] for items in both]
    return names[0], names[1]


def _refuse_nothing_later(panel: Panel, later: Panel) -> None:
    """Raise a ValueError for validation data of other series, or that add nothing."""
    known = dict(zip(panel.ids.tolist(), panel.future_times(1)[:, 0], strict=True))
    ends = dict(zip(later.ids.tolist(), later.future_times(1)[:, 0], strict=True))
    if unknown := [name for name in ends if name not in known]:
        raise ValueError(
            f"validation_data has the series {unknown[0]!r}, which training_data has not; pass "
            "the same series, each going on for longer"
        )
    if all(end <= known[name] for name, end in ends.items()):
        raise ValueError(
            "validation_data has no step later than training_data; pass the same series, each "
            "going on for longer, or leave it out"
        )
