"""What a language model elsewhere, which shows no more than log probabilities, says of values."""

from __future__ import annotations

from typing import Any

import numpy as np

from tsformer.llm.backends.base import TextModel
from tsformer.llm.serialize import SerializerSettings


def score_texts(
    model: TextModel,
    settings: SerializerSettings,
    prompt: str,
    scaled: Any,
    *,
    label: str = "",
) -> np.ndarray:
    """Return the negated log-likelihood of each value's text, in nats, `[T]`.

    What the model gave to tokens that cannot stand in a value is not known and stays in: the true
    likelihood among valid values is higher. A token that spans two values is counted to the first.

    Args:
        model: elsewhere.
        settings: how values are written.
        prompt: ends with `settings.terminator`.
        scaled: `[T]`, scaled values.
        label: said in errors.

    Raises:
        ValueError: where the answer's tokens do not spell the values.
    """
    parts = [settings.lead + word + settings.terminator for word in settings.write_each(scaled)]
    scored = model.log_probabilities(prompt, "".join(parts), label=label)
    spelled = "".join(token for token, _ in scored)
    if spelled != "".join(parts):
        raise ValueError(
            f"{label}: {model.name} scored {spelled[:40]!r} instead of {parts[0]!r} and what "
            "follows; choose settings that its tokenizer keeps"
        )
    begins = np.cumsum([0, *(len(token) for token, _ in scored[:-1])])
    ends = np.cumsum([len(part) for part in parts])
    value = np.searchsorted(ends[:-1], begins, side="right")  # an empty last token is the last's
    nats = -np.array([log_probability for _, log_probability in scored])
    return np.bincount(value, weights=nats, minlength=len(parts))
