"""What a language model is told of each series of a panel, besides its values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsformer.data.grid import as_python
from tsformer.data.panel import Panel
from tsformer.llm.context import Context, scaler_for
from tsformer.llm.headers import covariate_lines, describe, example_lines, most_similar
from tsformer.llm.value_model import ValueModel


@dataclass(frozen=True, kw_only=True)
class ContextWriter:
    """Writes the texts that stand before the values.

    Attributes:
        description: see `tsformer.llm.headers.describe`.
        n_examples: similar series of `fitted` that are shown.
        fitted: the panel that examples come from.
        season_length: for models that are told it; None for that of the calendar, if there is one.
        with_covariates: whether the panel's future covariates are written.
    """

    description: str = ""
    n_examples: int = 0
    fitted: Panel | None = None
    season_length: int | None = None
    with_covariates: bool = True

    def contexts(self, panel: Panel, model: ValueModel, horizon: int) -> list[Context]:
        """Return one context per series, from its first known value on."""
        contexts = []
        for number, name in enumerate(panel.ids.tolist()):
            values = panel.series(number)[0].astype(np.float64)
            first = int(np.isfinite(values).argmax())
            header = self._header(panel, number, first, model, horizon)
            contexts.append(Context(values=values[first:], label=f"series {name!r}", header=header))
        return contexts

    def _header(
        self, panel: Panel, number: int, first: int, model: ValueModel, horizon: int
    ) -> str:
        if hasattr(model.model, "header"):  # reads numbers only, but is told the season
            calendar = None if panel.freq.unit == "integer" else panel.freq.season_length
            return model.model.header(self.season_length or calendar)
        times = panel.times(number)
        words = {
            "id": as_python(panel.ids[number]),
            "start": _as_word(times[first]),
            "end": _as_word(times[-1]),
            "step": panel.freq.alias or panel.freq.step,
            "horizon": horizon,
        }
        parts = [describe(self.description, words)]
        if self.with_covariates and panel.future_covariates is not None:
            parts.append(_covariates(panel, number, first, horizon))
        if self.n_examples and self.fitted is not None:
            parts.append(_examples(self.fitted, panel, number, model, self.n_examples))
        return "".join(parts)


def _as_word(time: np.generic) -> str:
    """Return a time without what is zero at its end: `2024-01-31`, `2024-01-31T06:00`."""
    if isinstance(time, np.datetime64):
        return str(np.datetime_as_string(time, unit="auto"))
    return str(time)


def _covariates(panel: Panel, number: int, first: int, horizon: int) -> str:
    past = panel.future_covariates
    assert past is not None
    assert panel.coming is not None
    begin, end = panel.offsets[number] + first, panel.offsets[number + 1]
    coming = panel.coming[:, number, :horizon]
    values = np.concatenate([past.values[:, begin:end], coming], axis=1)
    return covariate_lines(past.names, values, past.levels)


def _examples(fitted: Panel, panel: Panel, number: int, model: ValueModel, n: int) -> str:
    target, several = panel.series(number)[0].astype(np.float64), fitted.known_counts > 1
    others = [
        fitted.series(other)[0].astype(np.float64)
        for other, name in enumerate(fitted.ids.tolist())
        if name != as_python(panel.ids[number]) and several[other]
    ]
    chosen = [others[k] for k in most_similar(target, others, n)]
    kind = model.scaler or "quantile"
    scaled = [scaler_for(model.settings, values, kind).transform(values) for values in chosen]
    return example_lines(model.settings, scaled)
