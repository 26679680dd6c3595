"""Forecasters learn from GluonTS entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tsformer.data.layout import Layout
from tsformer.data.panel import Panel, sort_keys
from tsformer.forecasters import Forecaster
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
