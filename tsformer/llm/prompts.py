"""Series as prompts: tokens value by value, so that contexts are shortened by whole values."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from tsformer.llm.serialize import SerializerSettings
from tsformer.llm.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What a model is given: a text before the values, and the tokens of each value.

    Attributes:
        header: tokens.
        values: tokens of each value, what ends it included.
        label: said in warnings and errors, such as the name of the series.
        number: tells prompts of the same tokens apart, so that each gets draws of its own.
    """

    header: tuple[int, ...]
    values: tuple[tuple[int, ...], ...]
    label: str = ""
    number: int = 0

    @property
    def tokens(self) -> list[int]:
        """All tokens in order."""
        return [*self.header, *(token for value in self.values for token in value)]


def write_prompt(
    vocabulary: Vocabulary,
    settings: SerializerSettings,
    scaled: Any,
    *,
    header: str = "",
    label: str = "",
) -> Prompt:
    """Return the prompt of a series, ready to be continued.

    A token that holds parts of two values is counted to the first of them; one that holds a part
    of a value and what stands before it, such as a blank, to that value.

    Args:
        vocabulary: of the model.
        settings: how values are written.
        scaled: `[T]`, scaled values, NaN = missing.
        header: a text before the first value.
        label: the name of the series.

    Raises:
        ValueError: for values that cannot be written, or a text that the tokenizer changes.
    """
    written = settings.write_each(scaled)
    text = header + settings.value_separator.join(written) + settings.terminator
    ids = vocabulary.encode(text)
    begins, ends = np.array(vocabulary.spans(ids, text)).T
    sizes = np.array([len(word.encode()) for word in written])
    separator, end = len(settings.value_separator.encode()), len(settings.terminator.encode())
    starts = len(header.encode()) + np.cumsum([0, *(sizes[:-1] + separator)])
    written_up_to = (starts + sizes)[:-1]
    after = np.searchsorted(begins, [starts[0], *(written_up_to + end)])  # header or terminator
    holding = np.searchsorted(ends, starts, side="right")  # the first with a part of the value
    alone = begins[holding] >= [0, *written_up_to]  # and with none of the value before
    at = [*np.where(alone, np.minimum(after, holding), after).tolist(), len(ids)]
    return Prompt(
        header=(*vocabulary.beginning, *ids[: at[0]]),
        values=tuple(tuple(ids[a:b]) for a, b in pairwise(at)),
        label=label,
    )


def continuation_tokens(
    vocabulary: Vocabulary, settings: SerializerSettings, scaled: Any
) -> list[int]:
    """Return the tokens of values that follow a prompt.

    They are those that the tokenizer gives after a terminator, or, where it has one token for the
    terminator and what follows, the longest pieces that spell the text.
    """
    parts = [settings.lead + word + settings.terminator for word in settings.write_each(scaled)]
    before, text = parts[0].removeprefix(settings.lead), "".join(parts)  # any value goes before
    ids = vocabulary.encode(before + text)
    for at, (begin, _) in enumerate(vocabulary.spans(ids, before + text)):
        if begin == len(before.encode()):
            return ids[at:]
    return _longest_pieces(vocabulary, text.encode())


def _longest_pieces(vocabulary: Vocabulary, text: bytes) -> list[int]:
    table, ids = vocabulary.by_piece, []
    longest = max(map(len, table))
    while text:
        piece = next((text[:n] for n in range(longest, 0, -1) if text[:n] in table), None)
        if piece is None:
            raise ValueError(f"the tokenizer has no token for {text[:10]!r}; change the settings")
        ids.append(table[piece])
        text = text[len(piece) :]
    return ids


def fit_window(prompt: Prompt, window: int, horizon: int) -> tuple[Prompt, int]:
    """Return the prompt without its first values, and how many were left out.

    Args:
        prompt: whole.
        window: tokens that the model can look at.
        horizon: values that must find room beside it, each as long as the longest one yet.

    Raises:
        ValueError: where not even one value fits.
    """
    sizes = np.array([len(value) for value in prompt.values])
    longest = int(sizes.max(initial=1))
    room = window - len(prompt.header) - horizon * longest
    fitting = int((np.cumsum(sizes[::-1]) <= room).sum())
    if not fitting:
        raise ValueError(
            f"{prompt.label}: the model's window of {window} tokens has no room for one value of "
            f"{longest} tokens beside {len(prompt.header)} tokens of text and {horizon} values to "
            "come; forecast fewer steps, shorten the description, or write fewer digits"
        )
    left_out = len(sizes) - fitting
    return replace(prompt, values=prompt.values[left_out:]), left_out


def warn_shortened(labels: Sequence[str], left_out: Sequence[int]) -> None:
    """Say which contexts were shortened, by how many values."""
    cut = [(label, n) for label, n in zip(labels, left_out, strict=True) if n]
    if cut:
        label, n_values = cut[0]
        more = f", and some of {len(cut) - 1} other series" if len(cut) > 1 else ""
        warnings.warn(
            f"{label}: the first {n_values} values do not fit into the model's window and are "
            f"left out{more}; a smaller context_length leaves them out without a warning",
            stacklevel=2,
        )
