"""Samples of whole values from texts that need not hold any: what breaks off is asked for again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tsformer.llm.backends.answers import ONE_CHOICE, Choice, EndpointError, UnreachableError
from tsformer.llm.serialize import SerializerSettings


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What one request asks for.

    Attributes:
        text: to go on from.
        n_values: that are missing.
        n_choices: continuations.
        seed: of the first of them.
    """

    text: str
    n_values: int
    n_choices: int
    seed: int


Ask = Callable[[Sequence[Draw]], Sequence[list[Choice] | EndpointError]]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What is wanted in the end.

    Attributes:
        prompt: a text that ends with the terminator.
        n_samples: continuations.
        horizon: values of each.
        settings: how values are written.
        seed: of the first sample.
        most_choices: that are asked for at once.
        max_rounds: how often what is missing is asked for.
    """

    prompt: str
    n_samples: int
    horizon: int
    settings: SerializerSettings
    seed: int
    most_choices: int
    max_rounds: int


@dataclass
class Sample:
    """A continuation as far as it goes.

    Attributes:
        goal: what is wanted.
        values: texts of whole values.
        last: the latest text that was obtained for it.
        given_up: whether a request for the rest failed.
    """

    goal: Goal
    values: list[str] = field(default_factory=list)
    last: str = ""
    given_up: bool = False

    @property
    def n_missing(self) -> int:
        """Values still to be asked for."""
        return self.goal.horizon - len(self.values)

    @property
    def text(self) -> str:
        """The values, each with what stands before it and its terminator."""
        return write_values(self.values, self.goal.settings)

    def go_on(self, choice: Choice) -> None:
        """Append the whole values of a continuation."""
        end = self.goal.settings.terminator if choice.ended else ""
        self.values += whole_values(choice.text + end, self.goal.settings)[: self.n_missing]
        self.last = choice.text


@dataclass
class Collection:
    """Samples, and the requests that failed.

    Attributes:
        goal: what is wanted.
        samples: whole ones and others.
        failures: errors of requests.
        n_asked: choices asked for, so that each has a seed of its own.
    """

    goal: Goal
    samples: list[Sample] = field(default_factory=list)
    failures: list[EndpointError] = field(default_factory=list)
    n_asked: int = 0

    @property
    def whole(self) -> list[str]:
        """Texts of the samples that have all their values."""
        return [sample.text for sample in self.samples if not sample.n_missing]

    @property
    def shortfall(self) -> str:
        """What there is instead of whole samples."""
        longest = max(self.samples, key=lambda sample: len(sample.values))
        return (
            f"none of {len(self.samples)} samples has {self.goal.horizon} values; the longest has "
            f"{len(longest.values)} and went on with {longest.last[:80]!r}"
        )

    def draw(self, text: str, n_values: int, n_choices: int) -> Draw:
        """Return the next request, with seeds that no other has."""
        seed = self.goal.seed + self.n_asked
        self.n_asked += n_choices
        return Draw(text=text, n_values=n_values, n_choices=n_choices, seed=seed)


def collect(ask: Ask, goal: Goal) -> Collection:
    """Return samples, as whole as the rounds allow.

    Args:
        ask: returns, for each request, its choices or why there are none.
        goal: what is wanted.
    """
    collection = Collection(goal)
    _begin(ask, collection)
    for _ in range(goal.max_rounds):
        short = [s for s in collection.samples if s.n_missing and not s.given_up]
        if not short or any(isinstance(f, UnreachableError) for f in collection.failures):
            break
        draws = [collection.draw(goal.prompt + s.text, s.n_missing, 1) for s in short]
        for sample, answer in zip(short, ask(draws), strict=True):
            if isinstance(answer, EndpointError):
                collection.failures.append(answer)
                sample.given_up = True
            else:
                sample.go_on(answer[0])
    return collection


def _begin(ask: Ask, collection: Collection) -> None:
    """Fill in samples, by as few requests as the server's choices per request allow."""
    goal, size = collection.goal, collection.goal.most_choices
    while len(collection.samples) < goal.n_samples and not collection.failures:
        missing = goal.n_samples - len(collection.samples)
        sizes = [min(size, missing - begun) for begun in range(0, missing, size)]
        answers = ask([collection.draw(goal.prompt, goal.horizon, n) for n in sizes])
        failures = [answer for answer in answers if isinstance(answer, EndpointError)]
        given = [answer for answer in answers if isinstance(answer, list)]
        if size > 1 and not given and all(map(_may_refuse_several, failures)):
            size = 1
            continue
        collection.failures += failures
        for choice in [choice for choices in given for choice in choices][:missing]:
            sample = Sample(goal)
            sample.go_on(choice)
            collection.samples.append(sample)
        size = min(map(len, given), default=1)


def _may_refuse_several(failure: EndpointError) -> bool:
    """Return whether a server may have failed for no other reason than several choices."""
    return failure.status in (400, 422) or ONE_CHOICE in str(failure)


def whole_values(text: str, settings: SerializerSettings) -> list[str]:
    """Return the texts of the values before the first that cannot be read, blanks taken away.

    A last one that no separator ends is left out, and one that stands for a missing value cannot
    be read: it is no forecast.
    """
    count = len(replace(settings, missing=None).salvage(text))
    mark = settings.terminator.strip() or settings.terminator
    pieces = [piece.strip() for piece in text.split(mark)]
    if not mark.strip():  # further blanks do not matter
        pieces = [piece for piece in pieces if piece]
    return pieces[:count]


def write_values(values: Sequence[str], settings: SerializerSettings) -> str:
    """Return values as they go on after a terminator."""
    return "".join(settings.lead + value + settings.terminator for value in values)


def longest_value(settings: SerializerSettings) -> int:
    """Return how many bytes a value takes at most, with what stands around it."""
    n_digits = settings.n_digits
    if settings.decimal_point:
        n_digits = max(n_digits, settings.precision + 1)
    signs = [max(settings.alphabet, key=lambda sign: len(sign.encode()))] * n_digits
    signs += [settings.decimal_point] if settings.decimal_point and settings.precision else []
    signs += [settings.minus] if settings.signed else []
    return len(write_values([settings.digit_separator.join(signs)], settings).encode())
