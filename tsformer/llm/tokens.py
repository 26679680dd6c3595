"""What a tokenizer makes of serialised series: tokens per value, and where each value is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from tsformer.data.frame import Schema, read_panel
from tsformer.data.grid import as_python
from tsformer.llm.backends.load import load_tokenizer
from tsformer.llm.context import scaler_for
from tsformer.llm.scaler import Kind, Scaler, fit_scaler
from tsformer.llm.serialize import PRESETS, SerializerSettings, preset
from tsformer.llm.vocabulary import Vocabulary, vocabulary_of


@dataclass(frozen=True, kw_only=True)
class TokenizedSeries:
    """A series as a tokenizer sees it.

    Attributes:
        name: its id.
        text: all values, serialised.
        ids: tokens of `text`.
        begins, ends: `[T]`, the tokens of each value are `ids[begins[t] : ends[t]]`; a token that
            holds parts of two values is among those of both.
        spans: `[N, 2]`, where each token begins and ends in `text`, in bytes.
        scaler: what was done to the values first.
        largest_error: the greatest difference, over all values, to what the text decodes to.
        merged_digits: whether some token holds more than one digit.
    """

    name: Any
    text: str
    ids: list[int]
    begins: np.ndarray
    ends: np.ndarray
    spans: np.ndarray
    scaler: Scaler
    largest_error: float
    merged_digits: bool

    @property
    def tokens_per_value(self) -> float:
        """Tokens, separators included, divided by values."""
        return len(self.ids) / len(self.begins)


@dataclass(frozen=True, kw_only=True)
class TokenizedPanel:
    """All series of a frame.

    Attributes:
        series: one after the other.
        settings: how they were written.
        price: of a million tokens, in any currency.
    """

    series: list[TokenizedSeries]
    settings: SerializerSettings
    price: float | None = None

    @cached_property
    def cost(self) -> pd.DataFrame:
        """What each series costs: values, tokens, tokens per value, largest error, money."""
        table = pd.DataFrame(
            {
                "unique_id": [series.name for series in self.series],
                "values": [len(series.begins) for series in self.series],
                "tokens": [len(series.ids) for series in self.series],
                "tokens_per_value": [series.tokens_per_value for series in self.series],
                "merged_digits": [series.merged_digits for series in self.series],
                "largest_error": [series.largest_error for series in self.series],
            }
        )
        if self.price is not None:
            table["price"] = table["tokens"] * self.price / 1e6
        return table


def tokenize_series(
    df: Any,
    tokenizer: Any,
    settings: SerializerSettings | str | None = None,
    *,
    scaler: Kind | Scaler | None = None,
    price: float | None = None,
) -> TokenizedPanel:
    """Return series as text and as tokens, and what they cost.

    Args:
        df: series in any form that forecasters take.
        tokenizer: of Hugging Face's `transformers` or `tokenizers`, a `Vocabulary`, or a name or
            path, see `tsformer.llm.backends.load.load_tokenizer`.
        settings: how values are written, or the name of a preset; None for the model's own way,
            else `llmtime-gpt3`.
        scaler: fitted to each series, or one for all; None for the model's own, else `quantile`.
        price: of a million tokens, for the table of costs.

    Raises:
        ValueError: for a series that cannot be written so, with its id.
    """
    model = load_tokenizer(tokenizer)
    own = getattr(model, "settings", None)  # of a model that is made for one way of writing
    vocabulary = model.vocabulary if own is not None else vocabulary_of(model)
    settings = settings or own or "llmtime-gpt3"
    settings = preset(settings) if isinstance(settings, str) else settings
    panel, _ = read_panel(df, Schema())
    found = []
    for number, name in enumerate(panel.ids):
        values = panel.series(number)[0].astype(np.float64)
        try:
            if isinstance(scaler, Scaler):
                fitted = scaler
            elif scaler is None and hasattr(model, "fit_scaler"):
                fitted = model.fit_scaler(values)
            else:
                fitted = scaler_for(settings, values, scaler or "quantile")
            closing = "" if own is None else settings.terminator
            found.append(_tokenize(as_python(name), values, vocabulary, settings, fitted, closing))
        except ValueError as error:
            raise ValueError(f"series {as_python(name)!r}: {error}") from error
    return TokenizedPanel(series=found, settings=settings, price=price)


def _tokenize(
    name: Any,
    values: np.ndarray,
    vocabulary: Vocabulary,
    settings: SerializerSettings,
    scaler: Scaler,
    closing: str,
) -> TokenizedSeries:
    scaled = scaler.transform(values)
    # a model with a way of its own moves what is too far out to the last that it can read
    written = settings.write_each(settings.clip(scaled) if closing else scaled)
    text = settings.value_separator.join(written) + closing
    ids = vocabulary.encode(text)
    begins, ends = align(vocabulary, ids, written, settings.value_separator, closing)
    spans = vocabulary.spans(ids, text)
    decoded = scaler.inverse(settings.deserialize(text))
    errors = np.abs(decoded - values)[np.isfinite(values)]
    return TokenizedSeries(
        name=name,
        text=text,
        ids=ids,
        begins=begins,
        ends=ends,
        spans=np.array(spans),
        scaler=scaler,
        largest_error=float(errors.max(initial=0.0)),
        merged_digits=_merges_digits(spans, written, settings),
    )


def align(
    vocabulary: Vocabulary,
    ids: Sequence[int],
    written: Sequence[str],
    separator: str,
    closing: str = "",
) -> tuple[np.ndarray, np.ndarray]:
    """Return where each value begins and ends in a text's tokens, `[T]` each.

    Args:
        vocabulary: of the tokens.
        ids: tokens of the values joined by `separator`, of `closing`, and of nothing else.
        written: each value as text.
        separator: between them.
        closing: after the last.
    """
    spans = np.array(vocabulary.spans(ids, separator.join(written) + closing))
    sizes = np.array([len(value.encode()) for value in written])
    first = np.concatenate([[0], np.cumsum(sizes[:-1] + len(separator.encode()))])
    begins = np.searchsorted(spans[:, 1], first, side="right")
    return begins, np.searchsorted(spans[:, 0], first + sizes, side="left")


def _merges_digits(
    spans: Sequence[tuple[int, int]], written: Sequence[str], settings: SerializerSettings
) -> bool:
    """Return whether some token holds two digits, or parts of them."""
    gap, place = len(settings.digit_separator.encode()), 0
    begins, ends = [], []
    for value in written:
        at = place
        minus, *words = settings.words(value)
        at += len(minus.encode()) + gap if minus else 0
        for word in words if value != settings.missing else ():
            size = len(word.encode())
            if word != settings.decimal_point:
                begins.append(at)
                ends.append(at + size)
            at += size + gap
        place += len((value + settings.value_separator).encode())
    first, last = np.array(spans).T
    held = np.searchsorted(begins, last, side="left") - np.searchsorted(ends, first, side="right")
    return bool((held > 1).any())


@dataclass(frozen=True, kw_only=True)
class RankedSettings:
    """One way of writing, and what it costs with a tokenizer.

    Attributes:
        name: of the preset or candidate.
        settings: to be used.
        tokens_per_value: separators included.
        error: mean absolute difference of what is read to what was written, in deviations.
    """

    name: str
    settings: SerializerSettings
    tokens_per_value: float
    error: float


def rank_settings(
    tokenizer: Any,
    values: Any,
    candidates: Mapping[str, SerializerSettings] = PRESETS,
    *,
    tolerance: float = 0.01,
) -> list[RankedSettings]:
    """Return ways of writing a series: exact enough first, and of these the cheapest first.

    Each candidate gets a scaler that uses half of its range; one that cannot write the series, or
    that the tokenizer cannot keep, is left out.

    Args:
        tokenizer: see `tokenize_series`.
        values: `[T]`.
        candidates: settings by name.
        tolerance: mean error, in deviations of the series, below which more exactness is no gain.
    """
    numbers = np.asarray(values, dtype=np.float64)
    vocabulary = vocabulary_of(tokenizer)
    deviation = float(np.nanstd(numbers)) or 1.0
    ranked = []
    for name, settings in candidates.items():
        scaler = fit_scaler(numbers, "quantile", multiplier=settings.reference)
        try:
            text = settings.serialize(scaler.transform(numbers))
            n_tokens = len(vocabulary.encode(text))
        except ValueError:
            continue
        error = np.nanmean(np.abs(scaler.inverse(settings.deserialize(text)) - numbers))
        ranked.append(
            RankedSettings(
                name=name,
                settings=settings,
                tokens_per_value=n_tokens / len(numbers),
                error=float(error / deviation),
            )
        )
    return sorted(ranked, key=lambda r: (r.error > tolerance, r.tokens_per_value, r.error))


def random_alphabet(tokenizer: Any, n_symbols: int, *, separator: str, seed: int) -> list[str]:
    """Return words drawn from a vocabulary, each of them one token whichever words stand beside it.

    Blanks of a separator may belong to the token, but two neighbours must not need the same ones.
    The random alphabets of General Pattern Machines (Mirchandani et al. 2023, section 4).

    Raises:
        ValueError: where the vocabulary has too few such words.
    """
    vocabulary = vocabulary_of(tokenizer)
    order = np.random.default_rng(seed).permutation(len(vocabulary))
    words: dict[str, None] = {}
    for token in order:
        word = vocabulary.pieces[token].decode("utf-8", errors="replace").strip()
        if len(word) < 2 or not (word.isascii() and word.isalpha()):
            continue
        neighbours = [word, word]
        for other in words:
            neighbours += [other, word]
        ids = vocabulary.encode(separator + separator.join(neighbours) + separator)
        pieces = [vocabulary.pieces[token].strip() for token in ids]
        if [piece.decode() for piece in pieces if piece.isalpha()] == neighbours:
            words[word] = None
        if len(words) == n_symbols:
            return list(words)
    raise ValueError(
        f"the vocabulary has {len(words)} such words; n_symbols={n_symbols} are too many"
    )
