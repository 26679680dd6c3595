"""The values that settings allow, as a graph of symbols: bytes, regular expressions, GBNF."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tsformer.llm.serialize import SerializerSettings

START = 0  # of an automaton: a value begins, another one has just been completed


@dataclass
class ValueGraph:
    """All values as paths: node -> the texts that may follow, and where each leads.

    Node 0 is the end of a value; it has no edges. The graph has no circle.

    Args:
        settings: how values are written.
        lower, upper: bounds of the values; None for what can be written.

    Raises:
        ValueError: where the bounds leave no value.
    """

    settings: SerializerSettings
    lower: float | None = None
    upper: float | None = None
    edges: list[list[tuple[str, int]]] = field(default_factory=lambda: [[]])
    root: int = 0
    _known: dict[tuple[int, int, int, bool], int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name, bound in (("lower", self.lower), ("upper", self.upper)):
            if bound is not None and math.isnan(bound):
                raise ValueError(f"{name}={bound} is no bound; pass a number, or None for none")
        self.root = self._add([])
        found = [*self._numbers(negative=False)]
        if self.settings.signed:
            sign = [*self._numbers(negative=True)]
            if sign:
                found.append((self.settings.minus, self._add(sign)))
        if not found:
            raise ValueError(
                f"no value that the settings can write lies between lower={self.lower} and "
                f"upper={self.upper}; widen the bounds"
            )
        self.edges[self.root] = found

    def regex(self, horizon: int) -> str:
        """Return a regular expression for a continuation by `horizon` values."""
        lead, end = re.escape(self.settings.lead), re.escape(self.settings.terminator)
        return f"(?:{lead}{self._regex_from(self.root)}{end}){{{horizon}}}"

    def gbnf(self, horizon: int) -> str:
        """Return llama.cpp's form of grammar for a continuation by `horizon` values."""
        lead, end = self.settings.lead, self.settings.terminator
        before = f"{_quoted(lead)} " if lead else ""
        rules = [f"root ::= value{{{horizon}}}"]
        rules.append(f"value ::= {before}n{self.root} {_quoted(end)}")
        for node, edges in enumerate(self.edges):
            if edges:
                ways = [
                    " ".join([_quoted(text), *([f"n{target}"] if target else [])])
                    for text, target in edges
                ]
                rules.append(f"n{node} ::= {' | '.join(ways)}")
        return "\n".join(rules) + "\n"

    def _regex_from(self, node: int) -> str:
        by_target: dict[int, list[str]] = {}
        for text, target in self.edges[node]:
            by_target.setdefault(target, []).append(text)
        ways = [_one_of(texts) + self._regex_from(t) for t, texts in by_target.items()]
        return ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})" if ways else ""

    def _numbers(self, negative: bool) -> Iterator[tuple[str, int]]:
        """Yield the edges that begin a number without its sign."""
        settings, base = self.settings, self.settings.base
        low, high = self._codes(negative)
        shortest = settings.precision + 1 if settings.decimal_point and settings.precision else 1
        longest = max(settings.n_digits, shortest)
        for width in range(longest if settings.fixed_width else shortest, longest + 1):
            padded = settings.fixed_width or width == shortest
            first = max(low, 0 if padded else base ** (width - 1))
            last = min(high, base**width - 1)
            if first <= last:
                yield from self._digits(width, first, last, first_symbol=not negative)

    def _codes(self, negative: bool) -> tuple[int, int]:
        """Return the smallest and the largest number of steps within the bounds."""
        settings = self.settings
        low, high = self.lower, self.upper
        if negative:
            low, high = (None if b is None else -b for b in (self.upper, self.lower))
        half = 0.5 * settings.half_bin
        smallest = 0 if settings.half_bin or not negative else 1
        largest = settings.base**settings.n_digits - 1
        beyond = largest + 2.0
        if low is not None:
            at = min(max(low / settings.step, -1.0), beyond)
            smallest = max(smallest, math.ceil(at - half - _slack(at)))
        if high is not None:
            at = min(max(high / settings.step, -1.0), beyond)
            largest = min(largest, math.floor(at - half + _slack(at)))
        return smallest, largest

    def _digits(
        self, width: int, low: int, high: int, first_symbol: bool
    ) -> Iterator[tuple[str, int]]:
        """Yield the edges of numbers of `width` digits from `low` to `high`."""
        settings = self.settings
        unit = settings.base ** (width - 1)
        before = "" if first_symbol else settings.digit_separator
        if settings.decimal_point and width == settings.precision:
            before += settings.decimal_point + settings.digit_separator
        for digit in range(low // unit, high // unit + 1):
            rest_low = max(low - digit * unit, 0)
            rest_high = min(high - digit * unit, unit - 1)
            target = self._rest(width - 1, rest_low, rest_high)
            yield before + settings.alphabet[digit], target

    def _rest(self, width: int, low: int, high: int) -> int:
        if width == 0:
            return 0
        key = (width, low, high, False)
        if key not in self._known:
            self._known[key] = self._add([*self._digits(width, low, high, first_symbol=False)])
        return self._known[key]

    def _add(self, edges: list[tuple[str, int]]) -> int:
        self.edges.append(edges)
        return len(self.edges) - 1


@dataclass(frozen=True)
class Automaton:
    """A deterministic automaton over bytes; every state but `START` lies within a value.

    Attributes:
        edges: state -> byte -> state.
        letters: the bytes that occur.
    """

    edges: list[dict[int, int]]
    letters: frozenset[int]


def value_automaton(
    settings: SerializerSettings, *, lower: float | None = None, upper: float | None = None
) -> Automaton:
    """Return the automaton of values, each with `settings.lead` before and a terminator after it.

    The graph's texts are cut into bytes, and places that are reached by the same bytes are made
    one (the construction of subsets, Rabin & Scott 1959).
    """
    graph = ValueGraph(settings, lower, upper)
    # a place within a text: (node, number of the edge, bytes done); (node, -1, 0) is a node itself
    lead, end = settings.lead.encode(), settings.terminator.encode()
    texts = [[(text.encode(), target) for text, target in edges] for edges in graph.edges]
    beginning = len(texts)
    texts.append([(lead, graph.root)])
    texts[0] = [(end, beginning)]

    def places(node: int) -> set[tuple[int, int, int]]:
        """Return the places before the first byte of what may follow a node."""
        found = set()
        for number, (text, target) in enumerate(texts[node]):
            found |= {(node, number, 0)} if text else places(target)
        return found

    first = frozenset(places(beginning))
    states, edges = {first: START}, []
    queue = [first]
    for state in queue:  # grows while it is walked
        targets: dict[int, set[tuple[int, int, int]]] = {}
        for node, number, done in state:
            text, target = texts[node][number]
            after = {(node, number, done + 1)} if done + 1 < len(text) else places(target)
            targets.setdefault(text[done], set()).update(after)
        row = {}
        for byte, target_places in sorted(targets.items()):
            reached = frozenset(target_places)
            if reached not in states:
                states[reached] = len(states)
                queue.append(reached)
            row[byte] = states[reached]
        edges.append(row)
    return Automaton(edges, frozenset(byte for row in edges for byte in row))


def _slack(steps: float) -> float:
    """Return by how much a bound may be off through rounding: one that is a value is within."""
    return 1e-9 + 4 * math.ulp(steps)


def _quoted(text: str) -> str:
    """Return a text as GBNF quotes it: other letters than ASCII as they are, not as surrogates."""
    return json.dumps(text, ensure_ascii=False)


def _one_of(texts: list[str]) -> str:
    """Return a regular expression for one of some texts that share a prefix, or none."""
    if len(texts) == 1:
        return re.escape(texts[0])
    if all(len(text) == 1 for text in texts):
        return f"[{''.join(re.escape(text) for text in texts)}]"
    return f"(?:{'|'.join(re.escape(text) for text in texts)})"
