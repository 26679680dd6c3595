from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsformer.llm.backends.answers import BadAnswer, check_model, read_log_probabilities


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("small", "small"),
        ("small", "Small"),
        ("gpt-x", "gpt-x-2024-08-06"),
        ("maker/Small-1B", "small-1b"),
        ("maker/Small-1B", "/models/small-1b.gguf"),
        ("maker/Small-1B", "C:\\models\\Small-1B-Q8.gguf"),
        ("small-1b.gguf", "maker/small-1b.gguf/"),
        ("small:latest", "library/small:latest"),
        ("small", ""),
        ("small", None),
    ],
)
def test_names_of_one_model(asked: str, answered: Any) -> None:
    check_model({"model": answered}, asked)
    if answered:
        check_model({"model": asked}, answered)


@pytest.mark.parametrize(
    ("asked", "answered"), [("small", "large"), ("maker/small-1b", "maker/small-7b"), ("a", "/b/")]
)
def test_names_of_two_models(asked: str, answered: str) -> None:
    with pytest.raises(BadAnswer, match="use the name that the server uses"):
        check_model({"model": answered}, asked)


def answer(tokens: Any, scores: Any, offsets: Any) -> dict[str, Any]:
    found = {"tokens": tokens, "token_logprobs": scores, "text_offset": offsets}
    return {"choices": [{"text": "", "logprobs": found}]}


def offsets_of(tokens: list[str], first: int = 0) -> list[int]:
    return [*accumulate(map(len, tokens), initial=first)][:-1]


PIECES = st.lists(st.text("0123, é", min_size=1, max_size=4), min_size=1, max_size=6)


@given(before=PIECES, after=PIECES, data=st.data())
def test_scores_are_those_of_the_continuation_whatever_the_server_counts(
    before: list[str], after: list[str], data: st.DataObject
) -> None:
    special = data.draw(st.sampled_from([[], ["<s>"], ["<|begin|>"]]))
    generated = data.draw(st.sampled_from([[], [" 7"], ["", ""]]))
    tokens = [*special, *before, *after, *generated]
    scores = [None, *(-float(n) for n in range(1, len(tokens)))]
    first = len(special) + len(before)
    expected = [(token, scores[first + n]) for n, token in enumerate(after)]
    ways = [
        offsets_of(tokens),  # vLLM: a special token is counted as a part of the text
        offsets_of(tokens, -sum(map(len, special))),
        [-1] * len(tokens),  # SGLang
        None,
    ]
    for offsets in ways:
        if special == [] or offsets is None or len("".join(before)) not in offsets:
            found = read_log_probabilities(
                answer(tokens, scores, offsets), "".join(before), "".join(after)
            )
            assert found == expected


def test_a_special_token_that_shifts_offsets_onto_another_token_misleads_nobody() -> None:
    tokens, scores = ["<s>", "1,2", ",", " 3,"], [None, -1, -2, -3]
    found = read_log_probabilities(answer(tokens, scores, [0, 3, 6, 7]), "1,2,", " 3,")
    assert found == [(" 3,", -3.0)]


@pytest.mark.parametrize(
    "bad",
    [
        {"choices": [{"text": "1, 2,"}]},
        {"choices": [{"text": "1, 2,", "logprobs": None}]},
        {"choices": [{"text": "1, 2,", "logprobs": {"content": []}}]},
        answer(None, None, None),
        answer([], [], []),
        answer(["1,", " 2,"], [-1.0], [0, 2]),
        answer(["1,", 2], [None, -1.0], [0, 2]),
    ],
)
def test_missing_log_probabilities_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer, match="no log probabilities.*vLLM or SGLang"):
        read_log_probabilities(bad, "1,", " 2,")


@pytest.mark.parametrize("score", [None, float("nan"), float("-inf"), "-1.5", True])
def test_scores_that_are_no_numbers_are_refused(score: Any) -> None:
    with pytest.raises(BadAnswer, match="token 1 of the continuation, '2,', is"):
        read_log_probabilities(answer(["1,", " ", "2,"], [None, -1, score], [0, 2, 3]), "1,", " 2,")


@pytest.mark.parametrize(
    "tokens",
    [
        ["1, ", "2,"],  # a token spans both texts
        ["1,", " 2, 3"],  # and one the end
        ["1,", "2,"],  # a blank is lost
        ["1,", " 3,"],  # another text
        ["1,"],
    ],
)
def test_tokens_that_do_not_spell_the_continuation_are_refused(tokens: list[str]) -> None:
    given_scores = [None, *[-1.0] * (len(tokens) - 1)]
    with pytest.raises(BadAnswer, match="do not line up.*or a token spans"):
        read_log_probabilities(answer(tokens, given_scores, offsets_of(tokens)), "1,", " 2,")
