"""The entries of any GluonTS data set, checked, a batch of one kind at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from gluonts.dataset.common import TrainDatasets
from gluonts.dataset.field_names import FieldName

from tsformer.data.grid import as_python

_VALUES_AT_ONCE = 5_000_000


@dataclass(frozen=True, kw_only=True)
class Item:
    """One entry of a data set, checked.

    Attributes:
        number: its place in the data set, from 0.
        entry: as it came.
        target: `[C, T]`.
    """

    number: int
    entry: Mapping[str, Any]
    target: np.ndarray

    @property
    def start(self) -> Any:
        """The first time, a pandas Period."""
        return self.entry[FieldName.START]

    @property
    def length(self) -> int:
        """T, steps of the target."""
        return self.target.shape[1]

    @property
    def forecast_start(self) -> pd.Period:
        """The time after the last step."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of business days
            return self.start + self.length

    @property
    def name(self) -> Any:
        """Its item_id, None where it has none."""
        return as_python(self.entry.get(FieldName.ITEM_ID))

    @property
    def kind(self) -> tuple[str, int]:
        """What all entries of a panel share: the frequency, and C."""
        return self.start.freqstr, len(self.target)

    def __str__(self) -> str:
        """Return how errors call it."""
        return f"entry {self.number}" + (f" ({self.name!r})" if self.name is not None else "")


def items_of(dataset: Iterable[Any]) -> Iterator[Item]:
    """Yield the entries of any GluonTS data set, checked.

    Raises:
        TypeError: for something else, such as pairs of input and label.
        ValueError: for an entry that lacks start or target, or has one that cannot be used.
    """
    if isinstance(dataset, TrainDatasets):
        raise TypeError("TrainDatasets holds several data sets; pass its .train or its .test")
    for number, entry in enumerate(dataset):
        if not isinstance(entry, Mapping):
            raise TypeError(
                f"entry {number} is a {type(entry).__name__}, not a dictionary; of TestData, which "
                "holds pairs, pass .input"
            )
        for field in (FieldName.START, FieldName.TARGET):
            if field not in entry:
                raise ValueError(f"entry {number} has no {field!r}; it has {[*entry]}")
        item = Item(number=number, entry=entry, target=np.atleast_2d(entry[FieldName.TARGET]))
        if not isinstance(item.start, pd.Period):
            raise ValueError(
                f"{item}: start is {item.start!r}, expected a pandas Period; "
                "gluonts.dataset.common.ListDataset(data, freq=...) makes one of it"
            )
        if item.target.ndim > 2:
            raise ValueError(
                f"{item}: target has shape {item.target.shape}, expected [time] or [variate, time]"
            )
        yield item


def batches(dataset: Iterable[Any], size: int) -> Iterator[list[Item]]:
    """Yield the entries in their order, at most `size` at once, all of one kind.

    No more than one batch and one entry are held in memory.
    """
    batch: list[Item] = []
    n_values = 0
    for item in items_of(dataset):
        full = len(batch) == size or n_values + item.target.size > _VALUES_AT_ONCE
        if batch and (full or item.kind != batch[0].kind):
            yield batch
            batch, n_values = [], 0
        batch.append(item)
        n_values += item.target.size
    if batch:
        yield batch


def are_named(items: Sequence[Item]) -> bool:
    """Return whether every entry has an item_id, no two the same."""
    names = {item.name for item in items}
    return None not in names and len(names) == len(items)
