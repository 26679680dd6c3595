from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tsformer.llm.backends.answers import Choice, EndpointError, UnreachableError
from tsformer.llm.backends.samples import (
    Draw,
    Goal,
    collect,
    longest_value,
    whole_values,
    write_values,
)
from tsformer.llm.serialize import PRESETS, SerializerSettings, preset, with_symbols

KINDS = {
    **PRESETS,
    "plain": SerializerSettings(),
    "point": SerializerSettings(decimal_point="."),
    "lines": SerializerSettings(value_separator="\n"),
    "lines and commas": SerializerSettings(value_separator=",\n"),
    "letters": with_symbols(SerializerSettings(precision=1, digits=1), ["é", "😀", "b"]),
    "fixed": SerializerSettings(fixed_width=True, half_bin=False, digit_separator=" "),
}


@st.composite
def values_of(draw: st.DrawFn, settings: SerializerSettings) -> list[str]:
    last = settings.base**settings.n_digits - 1
    codes = draw(st.lists(st.integers(1, last), max_size=6))
    return [settings.write_code(code, settings.signed and code % 3 == 0) for code in codes]


@pytest.mark.parametrize("kind", KINDS)
@examples(max_examples=30)
@given(data=st.data())
def test_whole_values_are_those_before_the_first_that_is_none(
    kind: str, data: st.DataObject
) -> None:
    settings = KINDS[kind]
    values = data.draw(values_of(settings))
    text = write_values(values, settings)
    known = settings.missing or "nan"
    words = st.sampled_from(["", "what", "x,", "1e9 , 2,", f"{known}{settings.terminator}"])
    tail = data.draw(words)
    blanks = data.draw(st.sampled_from(["", " ", "  "]))
    assert whole_values(blanks + text + tail, settings) == values
    if values:
        cut = data.draw(st.integers(1, len(settings.terminator + values[-1])))
        assert whole_values(text[:-cut], settings) == values[:-1]
        np.testing.assert_array_equal(settings.salvage(text), settings.deserialize(text))


@pytest.mark.parametrize("kind", KINDS)
def test_written_values_go_on_as_the_serializer_would(kind: str) -> None:
    settings = KINDS[kind]
    known, more = [1, 2], [0, 1, 2]
    steps = settings.step * (1 + 0.5 * settings.half_bin)
    numbers = np.array(known + more) * steps
    written = settings.write_each(numbers)
    prompt = settings.serialize(numbers[:2]) + settings.terminator
    whole = settings.serialize(numbers) + settings.terminator
    assert prompt + write_values(written[2:], settings) == whole


@pytest.mark.parametrize("kind", KINDS)
@examples(max_examples=30)
@given(data=st.data())
def test_no_value_is_longer_than_the_longest(kind: str, data: st.DataObject) -> None:
    settings = KINDS[kind]
    code = data.draw(st.integers(0, settings.base**settings.n_digits - 1))
    text = write_values([settings.write_code(code, settings.signed)], settings)
    assert len(text.encode()) <= longest_value(settings)


SETTINGS = preset("plain-digits")


def goal(**changed: Any) -> Goal:
    wanted = {"n_samples": 4, "horizon": 5, "most_choices": 4, "max_rounds": 3, **changed}
    return Goal(prompt="7,8,", settings=SETTINGS, seed=100, **wanted)


class Babbler:
    """Writes some values after each text, and often something else; remembers what it wrote."""

    def __init__(self, rng: np.random.Generator, most: int) -> None:
        self.rng, self.most = rng, most
        self.draws: list[Draw] = []
        self.written: dict[str, set[str]] = {}

    def __call__(self, draws: Sequence[Draw]) -> list[list[Choice] | EndpointError]:
        self.draws += draws
        return [[self.write(draw) for _ in range(min(draw.n_choices, self.most))] for draw in draws]

    def write(self, draw: Draw) -> Choice:
        values = [str(v) for v in self.rng.integers(0, 1000, self.rng.integers(0, 4))]
        ended = bool(self.rng.integers(2))
        tail = self.rng.choice(["", "words", " 5 6,7,", "-3,", "0012,"])
        text = ",".join(values) if ended and not tail else "".join(v + "," for v in values) + tail
        whole = "".join(value + "," for value in values[: draw.n_values])
        self.written.setdefault(draw.text, set()).add(draw.text + whole)
        return Choice(text=text, ended=ended)


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 5), st.integers(0, 6))
def test_samples_are_chains_of_what_was_written(
    seed: int, most: int, choices: int, max_rounds: int
) -> None:
    babbler = Babbler(np.random.default_rng(seed), most)
    wanted = goal(most_choices=choices, max_rounds=max_rounds)
    found = collect(babbler, wanted)
    assert len(found.samples) == wanted.n_samples
    reachable = {wanted.prompt}
    for _ in range(1 + max_rounds):
        reachable |= {text for known in list(reachable) for text in babbler.written.get(known, ())}
    for sample in found.samples:
        assert wanted.prompt + sample.text in reachable
    for text in found.whole:
        assert len(SETTINGS.deserialize(text)) == wanted.horizon
    for draw in babbler.draws:
        n_known = draw.text.count(",") - wanted.prompt.count(",")
        assert draw.n_values == wanted.horizon - n_known > 0


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 5))
def test_no_seed_is_used_twice(seed: int, most: int, choices: int) -> None:
    """Servers give the choices of a request the seeds from the named one on."""
    babbler = Babbler(np.random.default_rng(seed), most)
    collect(babbler, goal(most_choices=choices))
    seeds = [draw.seed + n for draw in babbler.draws for n in range(draw.n_choices)]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) == 100


def test_a_server_that_is_lost_is_asked_no_more() -> None:
    rounds: list[int] = []

    def ask(draws: Sequence[Draw]) -> list[list[Choice] | EndpointError]:
        rounds.append(len(draws))
        one = Choice(text="1,", ended=False)
        return [[one] * 3] if len(rounds) == 1 else [[one], UnreachableError("gone"), [one]]

    found = collect(ask, goal(n_samples=3, most_choices=3))
    assert rounds == [1, 3]
    assert [sample.text for sample in found.samples] == ["1,1,", "1,", "1,1,"]
    assert len(found.failures) == 1


def test_a_sample_with_a_bad_answer_is_given_up_and_the_others_go_on() -> None:
    asked: list[str] = []

    def ask(draws: Sequence[Draw]) -> list[list[Choice] | EndpointError]:
        asked.extend(draw.text for draw in draws)
        if len(asked) == 1:
            return [[Choice(text="1,2,3,4,", ended=False), Choice(text="9,", ended=False)]]
        bad = EndpointError("no choices")
        return [bad if "4" in draw.text else [Choice(text="8,", ended=False)] for draw in draws]

    found = collect(ask, goal(n_samples=2, most_choices=2, max_rounds=4))
    assert found.whole == ["9,8,8,8,8,"]
    assert sum("4" in text for text in asked) == 1


def test_more_choices_than_asked_for_are_left_out() -> None:
    choice = Choice(text="1,2,3,4,5,", ended=False)
    found = collect(lambda draws: [[choice] * 9 for _ in draws], goal())
    assert found.whole == ["1,2,3,4,5,"] * 4
