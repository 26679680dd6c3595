from __future__ import annotations

from typing import Any

import pytest

from tsformer.llm.backends.payloads import HTTPSettings, draw_payload
from tsformer.llm.backends.samples import Draw
from tsformer.llm.serialize import SerializerSettings

DRAW = Draw(text="1, 2,", n_values=3, n_choices=1, seed=2**40 + 5)


def payload(**options: Any) -> dict[str, Any]:
    chosen = HTTPSettings(**options)
    settings = SerializerSettings()
    return draw_payload(DRAW, settings, chosen, endpoint="chat", constraint=None)


def test_seeds_are_small_enough_for_every_server() -> None:
    assert payload()["seed"] == 5


def test_tokens_of_several_to_a_letter_are_allowed_for() -> None:
    one, some = payload()["max_tokens"], payload(tokens_per_character=1.3)["max_tokens"]
    assert one == 3 * len(" -99999,")
    assert some == 32  # 31.2, rounded up


def test_an_instruction_may_hold_braces() -> None:
    [system, user] = payload(instruction='{"next": {horizon}}')["messages"]
    assert system == {"role": "system", "content": '{"next": 3}'}
    assert user == {"role": "user", "content": "1, 2,"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_rounds": -1}, "max_rounds=-1"),
        ({"most_choices": 0}, "most_choices=0"),
        ({"tokens_per_character": 0}, "tokens_per_character=0"),
        ({"first_wait": 9, "longest_wait": 8}, "first_wait=9 between 0 and longest_wait=8"),
        ({"first_wait": -1}, "first_wait=-1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        HTTPSettings(**options)
