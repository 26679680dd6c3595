"""Language models on servers that talk like OpenAI's: vLLM, SGLang, llama.cpp, Ollama, OpenAI."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass, field, fields
from pathlib import Path
from typing import Any

from tsformer.llm.backends.answers import (
    Choice,
    EndpointError,
    UnreachableError,
    check_model,
    read_choices,
    read_log_probabilities,
)
from tsformer.llm.backends.endpoint import Endpoint
from tsformer.llm.backends.payloads import (
    CONSTRAINTS,
    PATHS,
    Constraint,
    EndpointKind,
    HTTPSettings,
    draw_payload,
    score_payload,
)
from tsformer.llm.backends.response_cache import ResponseCache
from tsformer.llm.backends.samples import Collection, Draw, Goal, collect
from tsformer.llm.serialize import SerializerSettings

__all__ = ["EndpointError", "HTTPModel", "HTTPSettings", "UnreachableError"]


@dataclass(repr=False, eq=False)
class HTTPModel:
    """A `TextModel` behind an OpenAI-compatible endpoint.

    What a server refuses, answers wrongly or does not answer in time is an `EndpointError` that
    names series and request. A copy or a pickle starts with counts of zero and no connections.

    Args:
        url: base, such as `http://localhost:8000/v1`.
        model: its name there.
        endpoint: `completions` goes on with a text and suits this best; `chat` for models that are
            offered no other way.
        constraint: by which the server is held to valid values: `gbnf` for llama.cpp, `regex` for
            SGLang, `guided_regex` for vLLM, in its older and its newer form.
        key_variable: environment variable of the key, if the server wants one. It is sent as
            `Authorization: Bearer` and appears nowhere else.
        timeout: seconds that the server may be silent.
        max_retries: further tries after time-outs, lost connections and the statuses 429, 500, 502,
            503 and 504, with growing pauses, no shorter than the server's `Retry-After`.
        max_concurrency: requests at the same time.
        cache: folder of answers; what is in it is not asked for again.
        settings: see `HTTPSettings`.

    Raises:
        ValueError: for parameters that make no sense.
        ImportError: for missing libraries, when this module is imported.
    """

    url: str
    model: str
    _: KW_ONLY
    endpoint: EndpointKind = "completions"
    constraint: Constraint | None = None
    key_variable: str = "OPENAI_API_KEY"
    timeout: float = 60.0
    max_retries: int = 5
    max_concurrency: int = 4
    cache: str | Path | None = None
    settings: HTTPSettings = field(default_factory=HTTPSettings)

    def __post_init__(self) -> None:
        self._check()
        self.name = self.model
        self._server = Endpoint(
            url=self.url,
            key_variable=self.key_variable,
            timeout=self.timeout,
            max_retries=self.max_retries,
            max_concurrency=self.max_concurrency,
            first_wait=self.settings.first_wait,
            longest_wait=self.settings.longest_wait,
            cache=None if self.cache is None else ResponseCache(Path(self.cache)),
        )

    @property
    def tokens_used(self) -> tuple[int, int]:
        """Tokens read and written so far, as far as the server says."""
        return self._server.tokens_used

    @property
    def n_requests(self) -> int:
        """Requests sent so far, further tries included."""
        return self._server.n_requests

    def complete(
        self,
        prompt: str,
        *,
        n_samples: int,
        horizon: int,
        settings: SerializerSettings,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int = 0,
        label: str = "",
    ) -> list[str]:
        """Return up to `n_samples` continuations by exactly `horizon` values.

        Each value has `settings.lead` before it and the terminator after it; none is missing. A
        sample that breaks off, or goes on with something else, is asked for again from there on.
        With temperature 0 one sample is asked for, and returned as often as there should be some.
        See `TextModel`.

        Raises:
            EndpointError: where not one sample came about; `partial` holds what did.
        """
        if n_samples < 1 or horizon < 1:
            raise ValueError(f"n_samples={n_samples} and horizon={horizon} must be at least 1")
        n_different = 1 if temperature == 0 else n_samples
        goal = Goal(
            prompt=prompt,
            n_samples=n_different,
            horizon=horizon,
            settings=settings,
            seed=seed,
            most_choices=min(self.settings.most_choices or n_different, n_different),
            max_rounds=self.settings.max_rounds,
        )
        sampling = {"temperature": temperature, **({"top_p": top_p} if temperature else {})}
        found = collect(lambda draws: self._ask_all(draws, settings, sampling, label), goal)
        if not found.whole:
            raise self._error(found, label)
        if found.failures:
            warnings.warn(
                f"{len(found.whole)} of {n_different} samples were obtained, and a request for "
                f"others failed: {found.failures[0]}",
                stacklevel=2,
            )
        return found.whole if temperature else found.whole * n_samples

    def log_probabilities(
        self, prompt: str, continuation: str, label: str = ""
    ) -> list[tuple[str, float]]:
        """Return the tokens of a continuation, as text, and their log probabilities in nats.

        The completions endpoint is asked to echo both texts, which vLLM and SGLang can do.

        Raises:
            EndpointError: where they are missing, not finite, or not those of the continuation.
        """
        payload = {"model": self.model, **score_payload(prompt + continuation)}

        def read(answer: Mapping[str, Any]) -> list[tuple[str, float]]:
            self._check_model(answer)
            return read_log_probabilities(answer, prompt, continuation)

        return self._server.ask("completions", payload, read, label=label)

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        self._server.close()

    def __repr__(self) -> str:
        address = self._server.address(PATHS[self.endpoint])
        return f"HTTPModel({address!r}, {self.model!r}, constraint={self.constraint!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        HTTPModel.__init__(self, **state)

    def _ask_all(
        self,
        draws: Sequence[Draw],
        settings: SerializerSettings,
        sampling: Mapping[str, float],
        label: str,
    ) -> list[list[Choice] | EndpointError]:
        """Return the choices of each request, or why there are none."""
        path, lost = PATHS[self.endpoint], list[EndpointError]()

        def ask(draw: Draw) -> list[Choice] | EndpointError:
            if lost:  # each further one would take all its tries
                return lost[0]
            asked = draw_payload(
                draw,
                settings,
                self.settings,
                endpoint=self.endpoint,
                constraint=self.constraint,
            )
            payload = {"model": self.model, **asked, **sampling}
            try:
                return self._server.ask(path, payload, self._read_choices, label=label)
            except UnreachableError as error:
                lost.append(error)
                return error
            except EndpointError as error:
                return error

        with ThreadPoolExecutor(min(len(draws), self.max_concurrency)) as pool:
            return [*pool.map(ask, draws)]

    def _read_choices(self, answer: Mapping[str, Any]) -> list[Choice]:
        self._check_model(answer)
        return read_choices(answer)

    def _check_model(self, answer: Mapping[str, Any]) -> None:
        if self.settings.check_model:
            check_model(answer, self.model)

    def _error(self, found: Collection, label: str) -> EndpointError:
        """Return what to raise where no sample is whole."""
        failure = found.failures[0] if found.failures else None
        if failure is not None and not found.samples:
            return failure
        where = self._server.describe(PATHS[self.endpoint], self.model, label)
        return EndpointError(
            f"{where}: {self._server.hide(found.shortfall)}; set constraint, raise max_rounds, or "
            "ask a model that goes on with numbers"
            + (f" (a request failed, too: {failure})" if failure else ""),
            partial=[sample.text for sample in found.samples if sample.values],
            status=failure.status if failure else None,
        )

    def _check(self) -> None:
        if self.endpoint not in PATHS or self.constraint not in (None, *CONSTRAINTS):
            raise ValueError(
                f"endpoint={self.endpoint!r} must be one of {', '.join(PATHS)}, and constraint="
                f"{self.constraint!r} one of {', '.join(CONSTRAINTS)}, or None"
            )
        if not self.timeout > 0 or self.max_retries < 0 or self.max_concurrency < 1:
            raise ValueError(
                f"timeout={self.timeout} must be positive, max_retries={self.max_retries} not "
                f"negative, and max_concurrency={self.max_concurrency} at least 1"
            )
        bounds = (self.settings.lower, self.settings.upper)
        if self.constraint is None and bounds != (None, None):
            raise ValueError(f"lower and upper, {bounds}, need a constraint by which to hold them")
