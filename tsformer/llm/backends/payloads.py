"""What OpenAI-compatible servers are sent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tsformer.llm.automaton import ValueGraph
from tsformer.llm.backends.samples import Draw, longest_value
from tsformer.llm.serialize import SerializerSettings

EndpointKind = Literal["completions", "chat"]
Constraint = Literal["gbnf", "regex", "guided_regex"]
PATHS: Mapping[EndpointKind, str] = {"completions": "completions", "chat": "chat/completions"}
CONSTRAINTS: tuple[Constraint, ...] = get_args(Constraint)
_SEEDS = 2**31  # llama.cpp takes no larger ones


@dataclass(frozen=True, kw_only=True)
class HTTPSettings:
    """What is seldom changed about a model on a server.

    Attributes:
        lower, upper: bounds of the values written, which a constraint holds the server to.
        max_rounds: how often the rest of a sample that broke off is asked for.
        most_choices: that a request asks for; None for as many as there are samples. Servers that
            refuse several, as llama.cpp does, are spared a request by 1.
        tokens_per_character: tokens that a byte of text takes at most.
        check_model: whether an answer by another model than asked for is an error.
        instruction: to chat models, before the values; `{horizon}` stands for how many to write.
        first_wait: seconds before the second try of a request; doubled for each further one.
        longest_wait: seconds before another try, at most; a server that asks for a longer wait is
            an error.
    """

    lower: float | None = None
    upper: float | None = None
    max_rounds: int = 4
    most_choices: int | None = None
    tokens_per_character: float = 1.0
    check_model: bool = True
    instruction: str = (
        "The user gives a sequence of values. Write the next {horizon} values in the same form, "
        "each followed by the same separator, the last one too. Write nothing else."
    )
    first_wait: float = 0.5
    longest_wait: float = 120.0

    def __post_init__(self) -> None:
        if self.max_rounds < 0 or (self.most_choices is not None and self.most_choices < 1):
            raise ValueError(
                f"max_rounds={self.max_rounds} must not be negative, and most_choices="
                f"{self.most_choices} must be at least 1, or None"
            )
        if not self.tokens_per_character > 0 or not 0 <= self.first_wait <= self.longest_wait:
            raise ValueError(
                f"tokens_per_character={self.tokens_per_character} must be positive, and "
                f"first_wait={self.first_wait} between 0 and longest_wait={self.longest_wait}"
            )


def draw_payload(
    draw: Draw,
    settings: SerializerSettings,
    options: HTTPSettings,
    *,
    endpoint: EndpointKind,
    constraint: Constraint | None,
) -> dict[str, Any]:
    """Return what asks for a draw, without model and temperature.

    As many tokens are asked for as the values can take, and no more.
    """
    size = draw.n_values * longest_value(settings) * options.tokens_per_character
    payload = {
        "max_tokens": math.ceil(size),
        "seed": draw.seed % _SEEDS,
        **({"n": draw.n_choices} if draw.n_choices > 1 else {}),
        **_constraint_fields(constraint, draw.n_values, settings, options),
    }
    if endpoint == "completions":
        return {"prompt": draw.text, **payload}
    instruction = options.instruction.replace("{horizon}", str(draw.n_values))
    roles = (("system", instruction), ("user", draw.text))
    return {"messages": [{"role": role, "content": text} for role, text in roles], **payload}


def score_payload(text: str) -> dict[str, Any]:
    """Return what asks for the log probabilities of a text's tokens, without the model.

    One more token is asked for, since servers differ in whether they take none.
    """
    return {"prompt": text, "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0.0}


def _constraint_fields(
    constraint: Constraint | None,
    n_values: int,
    settings: SerializerSettings,
    options: HTTPSettings,
) -> dict[str, Any]:
    """Return the fields by which a server is told what may be written."""
    if constraint is None:
        return {}
    graph = ValueGraph(settings, options.lower, options.upper)
    if constraint == "gbnf":
        return {"grammar": graph.gbnf(n_values)}
    regex = graph.regex(n_values).replace(
        r"\ ", " "
    )  # some versions of XGrammar misread the former
    if constraint == "regex":
        return {"regex": regex}
    # vLLM: the former up to 0.11, the latter since; a version ignores what it does not know
    return {"guided_regex": regex, "structured_outputs": {"regex": regex}}
