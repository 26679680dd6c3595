"""A language model forecasts: series are written as text and continued under a grammar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from tsformer.data.frame import Schema, read_panel
from tsformer.data.panel import Panel
from tsformer.forecasters.base import Forecaster
from tsformer.forecasters.checks import FitReport, inspect_panel, positive_integer
from tsformer.forecasters.density import ScoresDensity
from tsformer.forecasters.llm_contexts import ContextWriter
from tsformer.forecasters.search_spaces import FloatRange, Range, context_lengths
from tsformer.llm.backends.base import TextModel, TokenModel
from tsformer.llm.backends.load import load_model
from tsformer.llm.choice import SCALERS, ways_likelihoods
from tsformer.llm.context import Context
from tsformer.llm.cost import guessed_speed
from tsformer.llm.sampling import SamplingSettings
from tsformer.llm.scaler import KINDS, Kind
from tsformer.llm.serialize import PRESETS, SerializerSettings, preset
from tsformer.llm.value_model import ValueModel
from tsformer.types import Forecast

_LONGEST = 100_000  # steps that are kept where the window alone limits the context
_ASKED = 500  # steps that an endpoint, which may cost money, is told where nothing is said
_BUILT_IN_SAMPLES, _SAMPLES = 100, 20  # LLMTime takes 20


@dataclass(kw_only=True, eq=False, repr=False)
class LLMForecaster(ScoresDensity, Forecaster):
    """Lets a language model continue each series as text (LLMTime, Gruver et al. 2023).

    Nothing is trained: `predict(df)` works without `fit`. Each sample holds exactly the values
    asked for, whatever the model: a grammar admits nothing else (tsformer.llm.grammar). Quantiles
    and mean are those of the samples.

    Args:
        model: `"nanogpt"`, a small model of numbers that comes with the package; `"ngram"`, which
            knows only what it reads in the series; a folder or GGUF file for `transformers`; the
            address of an OpenAI-compatible endpoint; or an object of `tsformer.llm.backends`.
        model_name: of the model at an endpoint.
        settings: how values are written: the name of a preset, `SerializerSettings`, or None for
            what the model foretells best (see `tsformer.llm.choice`).
        scaler: how values are scaled first, or None for the best, too.
        context_length: steps that are written; None for as many as the model's window holds, and
            500 for an endpoint.
        n_samples: continuations per series; None for 100 of the built-in models, else 20.
        temperature, top_p: of sampling; temperature 0 takes the likeliest token.
        lower, upper: bounds of the forecast values; part of the grammar.
        description: a text before the values: what they are, units. `{id}`, `{start}`, `{end}`,
            `{step}` and `{horizon}` are filled in.
        n_examples: of the other fitted series, those most similar to a series are shown before it.
        future_covariates: columns, known in advance, that are written before the values.
    """

    model: Any = "nanogpt"
    model_name: str = ""
    settings: Any = None
    scaler: Kind | None = None
    context_length: int | None = None
    n_samples: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    lower: float | None = None
    upper: float | None = None
    description: str = ""
    n_examples: int = 0
    future_covariates: Sequence[str] = ()

    def estimate_cost(
        self,
        df: Any = None,
        *,
        price_in: float = 0.0,
        price_out: float = 0.0,
        tokens_per_second: float | None = None,
    ) -> pd.DataFrame:
        """Return what a forecast would cost, a row per series, without asking the model.

        The columns are `unique_id`, `tokens_in` (read once, whatever the samples), `tokens_out`
        (of all samples, at most), `seconds` and `price`. The tokens of an endpoint are not known:
        its columns count letters, which are no fewer. Future covariates are counted as if those
        to come were missing.

        Args:
            df: series; None for the fitted ones.
            price_in, price_out: of a million tokens read and written, in any currency.
            tokens_per_second: how fast the model reads and writes, all samples together; None for
                a guess from the size of a model in this process, NaN for one elsewhere.
        """
        self._check_parameters()
        if df is None or hasattr(self, "panel_"):
            panel, layout = self._fitted(df)._context(df)
            settings, kind = self._chosen()
        else:
            panel, layout = read_panel(df, self._schema)
            settings, kind = self._cheapest()
        model = self._value_model(settings, kind, self._n_samples)
        counts = self._count_tokens(panel.tail(self._memory), model)[layout.order]
        read, written = counts.T
        speed = tokens_per_second or guessed_speed(model.model)
        return pd.DataFrame(
            {
                "unique_id": panel.ids[layout.order],
                "tokens_in": read,
                "tokens_out": written,
                "seconds": (read + written) / speed,
                "price": (read * price_in + written * price_out) / 1e6,
            }
        )

    @property
    def _needs_fit(self) -> bool:
        return False

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted copy; a model that was given as an object is not copied."""
        return type(self)(**self.get_params(deep=False))

    def _count_tokens(self, panel: Panel, model: ValueModel) -> np.ndarray:
        """Return tokens read and written, `[S, 2]`; none for a series without a value."""
        counts = np.zeros((len(panel), 2), dtype=np.int64)
        known = np.flatnonzero(panel.known_counts)
        if panel.future_covariates is not None:
            shape = (len(self.future_covariates), len(panel), self.horizon)
            panel = replace(panel, coming=np.full(shape, np.nan))
        contexts = self._contexts(panel.select(known), model, self.horizon)
        for number, context in zip(known, contexts, strict=True):
            counts[number] = model.count_tokens(context, self.horizon)
        return counts

    def _log_density(self, panel: Panel, truth: np.ndarray) -> np.ndarray:
        model = self._value_model(*self._chosen(), 1)
        contexts = self._contexts(panel, model, truth.shape[1], with_covariates=False)
        return -model.nats(contexts, truth)

    @property
    def _schema(self) -> Schema:
        return replace(super()._schema, future_covariates=tuple(self.future_covariates))

    @property
    def _memory(self) -> int:
        if self.context_length is not None:
            return int(self.context_length)
        elsewhere = isinstance(self.model, TextModel) or str(self.model).startswith("http")
        return _ASKED if elsewhere else _LONGEST

    @property
    def _n_samples(self) -> int:
        built_in = isinstance(self.model, str) and self.model in ("nanogpt", "ngram")
        return self.n_samples or (_BUILT_IN_SAMPLES if built_in else _SAMPLES)

    @property
    def _language_model(self) -> TokenModel | TextModel:
        return load_model(self.model, self.model_name)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.context_length is not None:
            positive_integer("context_length", self.context_length)
        if self.n_samples is not None:
            positive_integer("n_samples", self.n_samples)
        if self.n_examples:
            positive_integer("n_examples", self.n_examples)
        if self.scaler is not None and self.scaler not in KINDS:
            raise ValueError(f"scaler={self.scaler!r} is none of {', '.join(KINDS)}")
        if self.lower is not None and self.upper is not None and not self.lower < self.upper:
            raise ValueError(f"lower={self.lower} must be less than upper={self.upper}")
        if isinstance(self.future_covariates, str):
            raise TypeError(f"future_covariates={self.future_covariates!r} must be a list of names")
        self._given_settings()
        SamplingSettings(temperature=self.temperature, top_p=self.top_p)

    def _learn(self, panel: Panel, val_size: int | np.ndarray | None) -> FitReport:
        self._refuse_unread_text()
        recent = panel.tail(self._memory)
        self.ways_: dict[str, float] = {}
        own = self._own_settings
        given = self._given_settings()
        if own is not None and given not in (None, own):
            raise ValueError(
                f"model={self.model!r} was made for one way of writing values; leave settings out"
            )
        known = own or given
        if known is not None and (self.scaler is not None or own is not None):
            self.settings_, self.scaler_ = known, self.scaler or "quantile"
        else:
            self.settings_, self.scaler_ = self._choose(recent, known)
        return inspect_panel(panel, 2 * self.season_length_, "two seasons")

    def _choose(self, panel: Panel, known: SerializerSettings | None) -> tuple[Any, Kind]:
        """Return the way that the model foretells best, or the cheapest where that is not seen."""
        if isinstance(self._language_model, TextModel):
            return known or preset("llmtime-llama"), self.scaler or "quantile"
        candidates = PRESETS if known is None else {"given": known}
        scalers = SCALERS if self.scaler is None else (self.scaler,)
        model = self._value_model(preset("llmtime-llama"), "quantile", 1)
        panel = panel.select(np.flatnonzero(panel.known_counts))
        contexts = ContextWriter(with_covariates=False).contexts(panel, model, self.horizon)
        try:
            found = ways_likelihoods(model, contexts, self.horizon, candidates, scalers)
        except ValueError:  # too short to hold anything out
            return known or preset("llmtime-llama"), scalers[0]
        self.ways_ = {f"{name}, {kind}": nats for (name, kind), nats in found.items()}
        name, kind = next(iter(found))
        return candidates[name], kind

    @property
    def _own_settings(self) -> SerializerSettings | None:
        """The only way of writing that the model knows, if it is such a model."""
        model = self._language_model
        return None if isinstance(model, TextModel) else model.settings

    def _cheapest(self) -> tuple[SerializerSettings, Kind]:
        """Return settings that are known without asking the model."""
        known = self._own_settings or self._given_settings()
        return known or preset("llmtime-llama"), self.scaler or "quantile"

    def _chosen(self) -> tuple[SerializerSettings, Kind]:
        return self.settings_, self.scaler_

    def _given_settings(self) -> SerializerSettings | None:
        given = self.settings
        if isinstance(given, str):
            return preset(given)
        if isinstance(given, Mapping):
            return _read_settings(given)
        if given is not None and not isinstance(given, SerializerSettings):
            raise TypeError(
                f"settings={given!r} must be a preset's name ({', '.join(PRESETS)}) or "
                "SerializerSettings"
            )
        return given

    def _refuse_unread_text(self) -> None:
        """Raise where the model has no words for what should stand before the values."""
        if self._own_settings is None:
            return
        for name in ("description", "n_examples", "future_covariates"):
            if getattr(self, name):
                raise ValueError(
                    f"model={self.model!r} reads numbers only; leave {name} out, or choose a "
                    "model of language"
                )

    def _value_model(self, settings: SerializerSettings, kind: Kind, n_samples: int) -> ValueModel:
        return ValueModel(
            model=self._language_model,
            settings=settings,
            scaler=kind,
            sampling=SamplingSettings(
                n_samples=n_samples,
                temperature=self.temperature,
                top_p=self.top_p,
                seed=int(self.random_state),
            ),
            lower=self.lower,
            upper=self.upper,
        )

    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        paths = self._sample(panel, horizon, self._n_samples)
        quantiles = np.quantile(paths, levels, axis=1, method="hazen")
        return Forecast(
            mean=paths.mean(axis=1), quantiles=np.moveaxis(quantiles, 0, -1), levels=levels
        )

    def _sample(self, panel: Panel, horizon: int, n_samples: int) -> np.ndarray:
        model = self._value_model(*self._chosen(), n_samples)
        return model.sample(self._contexts(panel, model, horizon), horizon)

    def _contexts(
        self, panel: Panel, model: ValueModel, horizon: int, *, with_covariates: bool = True
    ) -> list[Context]:
        if with_covariates and self.future_covariates and panel.coming is None:
            raise ValueError(
                f"future_covariates={list(self.future_covariates)} are not known for the steps to "
                "come; use predict with future_df, or cross_validation"
            )
        writer = ContextWriter(
            description=self.description,
            n_examples=self.n_examples,
            fitted=getattr(self, "panel_", None),
            season_length=self.season_length,
            with_covariates=with_covariates,
        )
        return writer.contexts(panel, model, horizon)

    def _search_space(self, panel: Panel) -> dict[str, Range]:
        return {
            "context_length": context_lengths(self, panel),
            "temperature": FloatRange(0.5, 1.5),
            "top_p": FloatRange(0.8, 1.0),
        }

    def _state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        return {
            "settings_": asdict(self.settings_),
            "scaler_": self.scaler_,
            "ways_": self.ways_,
        }, {}

    def _restore(self, state: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        if isinstance(self.settings, Mapping):
            self.settings = _read_settings(self.settings)
        self.settings_ = _read_settings(state["settings_"])
        self.scaler_, self.ways_ = state["scaler_"], state["ways_"]


def _read_settings(saved: Mapping[str, Any]) -> SerializerSettings:
    """Return settings that were written as JSON."""
    symbols = saved.get("symbols")
    return SerializerSettings(**{**saved, "symbols": symbols and tuple(symbols)})
