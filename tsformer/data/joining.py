"""Two panels become one: what is known of the same series from both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tsformer.data.panel import Covariates, Panel, sort_keys

_ALONG_TIME = ("past_covariates", "future_covariates")


def concatenate(earlier: Panel, later: Panel) -> Panel:
    """Return `later`, each series preceded by what `earlier` knows of the same id before it.

    Where both have a value for a step, the later panel's counts unless it is missing; what
    `earlier` has after the later panel's end is left out, and so are series of `earlier` that
    `later` lacks. Covariates along time are joined in the same way.

    Raises:
        ValueError: where the frequencies differ or a series' times do not fit on one grid.
    """
    joined = _join(earlier, later)
    before, _ = joined.freq.index(joined.starts, later.starts)
    return joined.head(before + later.lengths)


def extend(earlier: Panel, later: Panel) -> Panel:
    """Return the series of both panels, and all steps of those they have in common.

    Where both have a value for a step, the later panel's counts unless it is missing. Ordered by
    id. Static covariates of series that only `later` has are its own.
    """
    names = set(later.ids.tolist())
    others = earlier.select([n for n, name in enumerate(earlier.ids) if name not in names])
    joined = _join(earlier, later)
    beside: Any = {
        kind: _beside(getattr(others, kind), getattr(joined, kind))
        for kind in (*_ALONG_TIME, "static_covariates")
    }
    both = replace(
        joined,
        values=np.concatenate([others.values, joined.values], axis=1),
        offsets=np.r_[others.offsets, others.offsets[-1] + joined.offsets[1:]],
        ids=np.concatenate([others.ids, joined.ids]),
        starts=np.concatenate([others.starts, joined.starts]),
        coming=None,
        **beside,
    )
    return both.select(np.argsort(sort_keys(both.ids), kind="stable"))


def _beside(first: Covariates | None, second: Covariates | None) -> Covariates | None:
    if first is None or second is None:
        return None
    return replace(first, values=np.concatenate([first.values, second.values], axis=1))


def _join(earlier: Panel, later: Panel) -> Panel:
    """Return the series of `later`, with all steps that either panel has of them."""
    if earlier.freq.unit != later.freq.unit or earlier.freq.step != later.freq.step:
        raise ValueError(
            f"freq {later.freq.alias or later.freq.step!r} of the new data is not the fitted "
            f"{earlier.freq.alias or earlier.freq.step!r}"
        )
    known = {name: number for number, name in enumerate(earlier.ids)}
    kinds = [kind for kind in _ALONG_TIME if getattr(earlier, kind) and getattr(later, kind)]
    past, recent = _stacked(earlier, kinds), _stacked(later, kinds)
    pieces, starts = [], []
    for number, name in enumerate(later.ids):
        start, values = later.starts[number], recent.series(number)
        if name in known:
            start, values = _join_series(past, known[name], recent, number)
        starts.append(start)
        pieces.append(values)
    stack = np.concatenate(pieces, axis=1)
    sizes = [later.n_variates, *(len(getattr(later, kind).names) for kind in kinds)]
    parts = np.split(stack, np.cumsum(sizes)[:-1])
    covariates: Any = dict.fromkeys(_ALONG_TIME) | {
        kind: replace(getattr(later, kind), values=part)
        for kind, part in zip(kinds, parts[1:], strict=True)
    }
    return replace(
        later,
        values=parts[0],
        offsets=np.r_[0, np.cumsum([piece.shape[1] for piece in pieces])],
        starts=np.array(starts, dtype=later.starts.dtype),
        static_covariates=known_statics(earlier, later).static_covariates,
        **covariates,
    )


def _stacked(panel: Panel, kinds: Sequence[str]) -> Panel:
    """Return a panel whose covariates along time are further variates."""
    rows = [panel.values, *(getattr(panel, kind).values for kind in kinds)]
    bare = replace(panel, past_covariates=None, future_covariates=None)
    return replace(bare, values=np.concatenate(rows)) if kinds else bare


def known_statics(earlier: Panel, later: Panel) -> Panel:
    """Return the later panel with the static covariates that the earlier one knows of its series.

    Its own, where it has some, stay; those of series that are new are missing.
    """
    if later.static_covariates is not None or earlier.static_covariates is None:
        return later
    place = {name: number for number, name in enumerate(earlier.ids.tolist())}
    rows = np.array([place.get(name, -1) for name in later.ids.tolist()], dtype=np.int64)
    values = np.where(rows < 0, np.nan, earlier.static_covariates.values[:, rows])
    return replace(later, static_covariates=replace(earlier.static_covariates, values=values))


def _join_series(earlier: Panel, old: int, later: Panel, new: int) -> tuple[np.generic, np.ndarray]:
    """Return start and values of one series known from both panels."""
    past, recent = earlier.series(old), later.series(new)
    begins = np.array([earlier.starts[old], later.starts[new]])
    start = begins.min()
    positions, exact = later.freq.index(np.repeat(start, 2), begins)
    if not exact.all():
        raise ValueError(
            f"series {later.ids[new]!r}: the new data begin at {begins[1]}, which is not on the "
            f"grid of the fitted data, which begin at {begins[0]}"
        )
    ends = positions + np.array([past.shape[1], recent.shape[1]])
    joined = np.full((past.shape[0], ends.max()), np.nan, dtype=np.float32)
    for values, begin, end in zip((past, recent), positions, ends, strict=True):
        np.copyto(joined[:, begin:end], values, where=np.isfinite(values))
    return start, joined
