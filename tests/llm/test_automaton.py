"""What an automaton, a regular expression and a GBNF grammar admit, against all values one by one.

Each of them must admit the values that settings can write within bounds, and no other text.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsformer.llm.automaton import START, Automaton, ValueGraph, value_automaton
from tsformer.llm.serialize import SerializerSettings

SMALL: dict[str, SerializerSettings] = {
    "plain": SerializerSettings(base=2, precision=1, digits=1),
    "rounded": SerializerSettings(base=2, precision=1, digits=1, half_bin=False),
    "unsigned, fixed": SerializerSettings(
        base=3, precision=0, digits=2, signed=False, fixed_width=True, value_separator=","
    ),
    "digits apart": SerializerSettings(
        base=2, precision=1, digits=1, decimal_point=".", digit_separator=" ", value_separator=" , "
    ),
    "nothing before the point": SerializerSettings(
        base=2, precision=2, digits=0, decimal_point=".", half_bin=False, value_separator="\n"
    ),
    "symbols that begin alike": SerializerSettings(
        base=4, precision=0, digits=1, symbols=("a", "ab", "abc", "b"), value_separator=" "
    ),
    "several letters": SerializerSettings(
        base=3, precision=1, digits=1, symbols=("a", "ab", "ba"), digit_separator="_", minus="minus"
    ),
    "letters of several bytes": SerializerSettings(
        base=2, precision=0, digits=2, symbols=("α", "β"), minus="−", value_separator=" … "
    ),
    "letters of four bytes": SerializerSettings(
        base=2, precision=0, digits=2, symbols=("🌑", "🌕"), value_separator="\t"
    ),
    "letters that grammars escape": SerializerSettings(
        base=3, precision=0, digits=2, symbols=("^", "]", "-"), minus="\\", value_separator='"'
    ),
    "operators": SerializerSettings(
        base=3, precision=1, digits=1, symbols=("{", "|", "["), minus="(", decimal_point="*",
        value_separator="$+ ",
    ),
}  # fmt: skip


def all_values(settings: SerializerSettings) -> dict[str, float]:
    """Return every value by its text, written symbol by symbol."""
    step, found = settings.base**-settings.precision, {}
    for code, symbols in enumerate(
        itertools.product(settings.alphabet, repeat=settings.digits + settings.precision)
    ):
        digits = list(symbols)
        least = settings.precision + 1 if settings.decimal_point and settings.precision else 1
        if settings.fixed_width:
            least = max(least, len(digits))
        while len(digits) < least:
            digits.insert(0, settings.alphabet[0])
        while len(digits) > least and digits[0] == settings.alphabet[0]:
            del digits[0]
        if settings.decimal_point and settings.precision:
            digits.insert(len(digits) - settings.precision, settings.decimal_point)
        size = (code + 0.5 if settings.half_bin else code) * step
        found[settings.digit_separator.join(digits)] = size
        if settings.signed and size:
            found[settings.digit_separator.join([settings.minus, *digits])] = -size
    return found


def within(values: dict[str, float], low: float | None, high: float | None) -> dict[str, float]:
    low = -math.inf if low is None else low - 1e-9
    high = math.inf if high is None else high + 1e-9
    return {text: value for text, value in values.items() if low <= value <= high}


def continuation(settings: SerializerSettings, words: Any) -> str:
    return "".join(settings.lead + word + settings.terminator for word in words)


def admitted(automaton: Automaton) -> set[str]:
    """Return all texts of one value."""
    found, going = set(), [(START, b"")]
    while going:
        state, text = going.pop()
        for byte, target in automaton.edges[state].items():
            after = text + bytes([byte])
            if target == START:
                found.add(after.decode())
            else:
                going.append((target, after))
    return found


def accepts(automaton: Automaton, text: str, horizon: int) -> bool:
    state, completed = START, 0
    for byte in text.encode():
        if byte not in automaton.edges[state]:
            return False
        state = automaton.edges[state][byte]
        completed += state == START
    return state == START and completed == horizon


class Matcher:
    """A reader of llama.cpp's grammars: literals, names, `{n}` and `|`, nothing else."""

    def __init__(self, grammar: str) -> None:
        self.rules: dict[str, list[list[str]]] = {}
        for line in grammar.splitlines():
            name, ways = line.split(" ::= ", maxsplit=1)
            assert re.fullmatch(r"[a-z][a-z0-9-]*", name)
            assert name not in self.rules
            parts = re.findall(r'"(?:[^"\\]|\\.)*"|[a-z][a-z0-9-]*(?:\{\d+\})?|\|', ways)
            assert "".join(parts) == re.sub(r'("(?:[^"\\]|\\.)*")|\s+', r"\1", ways)
            groups = itertools.groupby(parts, lambda part: part == "|")
            self.rules[name] = [list(group) for bar, group in groups if not bar]

    def accepts(self, text: str) -> bool:
        return len(text) in self.ends("root", text, 0)

    def ends(self, name: str, text: str, begin: int) -> set[int]:
        """Return where a rule may end that begins at a place of the text."""
        found = set()
        for way in self.rules[name]:
            places = {begin}
            for part in way:
                places = {end for place in places for end in self._after(part, text, place)}
            found |= places
        return found

    def _after(self, part: str, text: str, place: int) -> set[int]:
        if part.startswith('"'):
            literal = self._literal(part[1:-1])
            return {place + len(literal)} if text.startswith(literal, place) else set()
        name, _, times = part.partition("{")
        places = {place}
        for _ in range(int(times.rstrip("}") or 1)):
            places = {end for one in places for end in self.ends(name, text, one)}
        return places

    @staticmethod
    def _literal(quoted: str) -> str:
        known = {r"\n": "\n", r"\t": "\t", r"\r": "\r", r"\"": '"', r"\\": "\\"}
        return re.sub(r"\\.", lambda escape: known[escape[0]], quoted)


def near(text: str, letters: str) -> Iterator[str]:
    """Yield a text and all that differ from it by one letter."""
    yield text
    for place in range(len(text) + 1):
        yield text[:place] + text[place + 1 :]
        for letter in letters:
            yield text[:place] + letter + text[place:]
            yield text[:place] + letter + text[place + 1 :]


@pytest.fixture(params=SMALL)
def small(request: pytest.FixtureRequest) -> SerializerSettings:
    return SMALL[request.param]


def test_the_oracle_writes_as_the_serializer_does(small: SerializerSettings) -> None:
    for text, value in all_values(small).items():
        assert small.write_each([value]) == [text]
        assert small.deserialize(text).tolist() == [value]


def test_all_values_are_admitted_and_nothing_else(small: SerializerSettings) -> None:
    expected = {continuation(small, [text]) for text in all_values(small)}
    assert admitted(value_automaton(small)) == expected


@pytest.mark.parametrize("horizon", [1, 2])
def test_automaton_regex_and_gbnf_admit_the_same_texts(
    small: SerializerSettings, horizon: int
) -> None:
    values = all_values(small)
    chosen = list(itertools.product(values, repeat=horizon))
    valid = {continuation(small, words) for words in chosen}
    letters = "".join(sorted({letter for text in valid for letter in text} | {"x"}))
    rng = np.random.default_rng(0)
    looked_at = sorted(valid)
    some = [looked_at[k] for k in rng.permutation(len(looked_at))[:12]]
    graph, automaton = ValueGraph(small), value_automaton(small)
    pattern, matcher = re.compile(graph.regex(horizon)), Matcher(graph.gbnf(horizon))
    for text in valid:
        assert accepts(automaton, text, horizon)
        assert pattern.fullmatch(text)
        assert matcher.accepts(text)
    for text in {other for one in some for other in near(one, letters)}:
        expected = text in valid
        assert accepts(automaton, text, horizon) == expected, text
        assert bool(pattern.fullmatch(text)) == expected, text
        assert matcher.accepts(text) == expected, text


@given(data=st.data())
@pytest.mark.parametrize("name", SMALL)
def test_bounds_are_respected_exactly(name: str, data: st.DataObject) -> None:
    settings = SMALL[name]
    values = all_values(settings)
    reach = settings.limit / settings.step + 2
    # bounds that are values, that lie between them, or beyond all
    halves = st.integers(int(-4 * reach), int(4 * reach)).map(lambda k: k * settings.step / 4)
    bounds = st.none() | st.sampled_from(sorted(values.values())) | halves
    low = data.draw(bounds | st.just(-math.inf))
    high = data.draw(bounds | st.just(math.inf))
    expected = within(values, low, high)
    if not expected:
        with pytest.raises(ValueError, match=r"lies between lower=.* widen the bounds"):
            value_automaton(settings, lower=low, upper=high)
        return
    texts = {continuation(settings, [text]) for text in expected}
    assert admitted(value_automaton(settings, lower=low, upper=high)) == texts
    graph = ValueGraph(settings, low, high)
    pattern, matcher = re.compile(graph.regex(1)), Matcher(graph.gbnf(1))
    for text in values:
        written = continuation(settings, [text])
        assert bool(pattern.fullmatch(written)) == (text in expected)
        assert matcher.accepts(written) == (text in expected)


@given(
    st.integers(-10_010, 10_010), st.integers(0, 3000), st.booleans(), st.booleans(), st.booleans()
)
def test_bounds_cut_through_numbers_of_several_digits(
    low: int, width: int, fixed: bool, half_bin: bool, signed: bool
) -> None:
    settings = SerializerSettings(
        precision=1, digits=3, fixed_width=fixed, half_bin=half_bin, signed=signed, missing=None
    )
    lower, upper = low / 10, (low + width) / 10
    shift = 0.5 if half_bin else 0.0
    codes = np.arange(10_000)
    sizes = (codes + shift) / 10
    expected = [*sizes, *(-sizes[sizes > 0] if signed else ())]
    expected = [v for v in expected if lower - 1e-9 <= v <= upper + 1e-9]
    if not expected:
        with pytest.raises(ValueError, match="widen the bounds"):
            value_automaton(settings, lower=lower, upper=upper)
        return
    found = admitted(value_automaton(settings, lower=lower, upper=upper))
    assert found == {continuation(settings, [w]) for w in settings.write_each(expected)}


def test_bounds_are_exact_with_as_many_digits_as_a_float_holds() -> None:
    settings = SerializerSettings(precision=7, digits=8)
    for code in (0, 1, 123_456_789_012_345, 10**15 - 2):
        value = settings.value_of(code)
        words = [settings.write_code(code + k) for k in (0, 1)]
        texts = [continuation(settings, [word]) for word in words]
        at_least = value_automaton(settings, lower=settings.value_of(code + 1))
        at_most = value_automaton(settings, upper=value)
        assert [accepts(at_least, text, 1) for text in texts] == [False, True]
        assert [accepts(at_most, text, 1) for text in texts] == [True, False]


@pytest.mark.parametrize("bound", [1e308, math.inf])
def test_bounds_beyond_all_values(bound: float) -> None:
    settings = SMALL["plain"]
    everything = admitted(value_automaton(settings))
    assert admitted(value_automaton(settings, lower=-bound, upper=bound)) == everything
    for bounds in ({"lower": bound}, {"upper": -bound}):
        with pytest.raises(ValueError, match="widen the bounds"):
            value_automaton(settings, **bounds)


@pytest.mark.parametrize("name", ["lower", "upper"])
def test_a_bound_that_is_no_number_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}=nan is no bound; pass a number"):
        value_automaton(SMALL["plain"], **{name: math.nan})


def test_states_are_few_where_values_have_many_digits() -> None:
    automaton = value_automaton(SerializerSettings(precision=3, digits=4))
    assert len(automaton.edges) < 30
    assert automaton.letters == frozenset(b"0123456789-, ")
    assert all(target < len(automaton.edges) for row in automaton.edges for target in row.values())
