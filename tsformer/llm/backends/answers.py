"""What OpenAI-compatible servers answer: read, or refused with a reason."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

ONE_CHOICE = "completion choice"  # said by llama.cpp, with status 500, of n greater than one


class EndpointError(RuntimeError):
    """A server did not answer as it should.

    Attributes:
        partial: texts of whole values, fewer than asked for, that were obtained nevertheless.
        status: of HTTP, where there was an answer with one.
    """

    def __init__(
        self, message: str, *, partial: Sequence[str] = (), status: int | None = None
    ) -> None:
        super().__init__(message)
        self.partial = list(partial)
        self.status = status


class UnreachableError(EndpointError):
    """A server refused a request, or gave no answer in all tries."""


class BadAnswer(ValueError):
    """What is wrong with an answer, and what to do about it."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of the texts of an answer.

    Attributes:
        text: the continuation.
        ended: whether the model itself ended it, so that its last value is whole.
    """

    text: str
    ended: bool


def parse_answer(body: str) -> dict[str, Any]:
    """Return the object that a body holds.

    Raises:
        BadAnswer: for half of one, and for anything else.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(
            f"the answer is not JSON, or only the beginning of some ({error}): {body[:200]!r}; "
            "check the URL, and whether something before the server cuts answers off"
        ) from None
    if not isinstance(answer, dict):
        raise BadAnswer(f"the answer is no JSON object: {body[:200]!r}; check the URL")
    return answer


def check_model(answer: Mapping[str, Any], asked: str) -> None:
    """Raise where an answer comes from another model than asked for.

    Servers may name it by a path, or with a date behind. An answer without a name is accepted.

    Raises:
        BadAnswer: where neither name holds the last part of the other.
    """
    name = answer.get("model")
    if not isinstance(name, str) or not name:
        return
    one, other = asked.lower(), name.lower()
    if _last_part(one) not in other and _last_part(other) not in one:
        raise BadAnswer(
            f"the answer comes from model {name!r}, not from {asked!r}; use the name that the "
            "server uses, or pass settings=HTTPSettings(check_model=False)"
        )


def read_choices(answer: Mapping[str, Any]) -> list[Choice]:
    """Return the texts of an answer, of the completions endpoint or the chat endpoint.

    Raises:
        BadAnswer: for an answer without choices, and for a choice without a text.
    """
    choices = []
    for number, choice in enumerate(_choices(answer)):
        message = choice.get("message")
        text = message.get("content") if isinstance(message, dict) else choice.get("text")
        if not isinstance(text, str):
            raise BadAnswer(
                f"choice {number} of the answer has no text: {_beginning(choice)}; use "
                "endpoint='chat' or endpoint='completions' as the model needs it"
            )
        choices.append(Choice(text=text, ended=choice.get("finish_reason") == "stop"))
    return choices


def read_log_probabilities(
    answer: Mapping[str, Any], prompt: str, continuation: str
) -> list[tuple[str, float]]:
    """Return tokens and natural log probabilities of a continuation that was echoed.

    Args:
        answer: to prompt and continuation, asked for by `echo` and `logprobs`.
        prompt, continuation: the texts.

    Raises:
        BadAnswer: where log probabilities are missing or not finite, and where no tokens spell the
            continuation.
    """
    tokens, scores, offsets = _logprobs(_choices(answer)[0])
    span = _span(tokens, offsets, prompt, continuation)
    if span is None:
        span = _span(tokens, _own_offsets(tokens, prompt + continuation), prompt, continuation)
    if span is None:
        raise BadAnswer(
            f"no tokens of the answer begin at character {len(prompt)}, where the continuation "
            f"begins, and spell {continuation[:40]!r}: its offsets do not line up with the text, "
            "or a token spans the prompt's end; write values so that the tokenizer keeps them apart"
        )
    for place in range(*span):
        score = scores[place]
        if (
            isinstance(score, bool)
            or not isinstance(score, int | float)
            or not math.isfinite(score)
        ):
            raise BadAnswer(
                f"the log probability of token {place - span[0]} of the continuation, "
                f"{tokens[place]!r}, is {score}; the server must give a finite one to each token "
                "that is echoed: vLLM and SGLang do on the completions endpoint"
            )
    return [(tokens[place], float(scores[place])) for place in range(*span)]


def _choices(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    choices = answer.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise BadAnswer(
            f"the answer has no choices: {_beginning(answer)}; check that the URL is that of an "
            "OpenAI-compatible server"
        )
    if not choices:
        raise BadAnswer("the list of choices in the answer is empty; look into the server's log")
    return choices


def _logprobs(choice: Mapping[str, Any]) -> tuple[list[str], list[Any], Any]:
    """Return tokens, their log probabilities and where they begin, as the server has them."""
    given = choice.get("logprobs")
    found = given if isinstance(given, dict) else {}
    tokens, scores = found.get("tokens"), found.get("token_logprobs")
    paired = isinstance(tokens, list) and isinstance(scores, list) and len(tokens) == len(scores)
    if not paired or not tokens or not all(isinstance(token, str) for token in tokens):
        raise BadAnswer(
            f"the answer has no log probabilities of tokens: logprobs is {_beginning(given)}; use "
            "a server whose completions endpoint supports echo with logprobs, such as vLLM or "
            "SGLang, or score the model in this process"
        )
    return tokens, scores or [], found.get("text_offset")


def _span(
    tokens: Sequence[str], offsets: Any, prompt: str, continuation: str
) -> tuple[int, int] | None:
    """Return from where to where tokens spell the continuation, if the offsets are right."""
    if not isinstance(offsets, list) or len(offsets) != len(tokens) or len(prompt) not in offsets:
        return None
    begin = end = offsets.index(len(prompt))
    spelled = ""
    while end < len(tokens) and len(spelled) < len(continuation):
        spelled += tokens[end]
        end += 1
    return (begin, end) if spelled == continuation else None


def _own_offsets(tokens: Sequence[str], text: str) -> list[int]:
    """Return where tokens begin in the text.

    vLLM counts a special token before the text as a part of it, and SGLang gives no offsets.
    """
    before = "".join(tokens).find(text)
    ends = accumulate(map(len, tokens), initial=-before)
    return [*ends][:-1] if before >= 0 else []


def _last_part(name: str) -> str:
    """Return the last part of a path, or of a name like one."""
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1]


def _beginning(value: Any) -> str:
    return repr(value)[:200]
