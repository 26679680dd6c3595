"""Requests to a server: retried, counted, kept on disk, and no secret in what is said of them."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote

from tsformer.llm.backends.addresses import split_url
from tsformer.llm.backends.answers import (
    ONE_CHOICE,
    BadAnswer,
    EndpointError,
    UnreachableError,
    parse_answer,
)
from tsformer.llm.backends.response_cache import ResponseCache

try:
    import httpx
    import tenacity
except ImportError as error:
    raise ImportError(
        "language models on servers need httpx and tenacity: pip install 'tsformer[llm]'"
    ) from error

_TRANSIENT = (429, 500, 502, 503, 504)
_SHORTEST_SECRET = 8  # shorter keys are placeholders, such as EMPTY, that answers may well hold
_SHORTEST_HIDDEN = 4  # in errors, where a word too few does no harm

T = TypeVar("T")


class _TransientError(Exception):
    """What was found in a try that is worth another one."""

    def __init__(self, found: str, status: int | None = None, retry_after: float = 0.0) -> None:
        super().__init__(found)
        self.status = status
        self.retry_after = retry_after


@dataclass(kw_only=True)
class Endpoint:
    """A server, and how it is talked to.

    Attributes:
        url: its base, such as `http://localhost:8000/v1`.
        key_variable: environment variable of the key; it is read for each request and kept nowhere.
        timeout: seconds without a sign of the server.
        max_retries: tries after the first.
        max_concurrency: requests at the same time, of all threads together.
        first_wait: seconds before the second try; doubled for each further one.
        longest_wait: seconds before a try, at most.
        cache: of answers.
        n_requests: tries so far.
        tokens_used: read and written so far, as far as the server says.
    """

    url: str = field(repr=False)
    key_variable: str
    timeout: float
    max_retries: int
    max_concurrency: int
    first_wait: float
    longest_wait: float
    cache: ResponseCache | None
    n_requests: int = 0
    tokens_used: tuple[int, int] = (0, 0)
    _client: httpx.Client | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._base, self._query = split_url(self.url)
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(self.max_concurrency)

    def address(self, path: str) -> str:
        """Return where requests go, without the query."""
        return f"{self._base}/{path}"

    def ask(
        self, path: str, payload: dict[str, Any], read: Callable[[Any], T], *, label: str = ""
    ) -> T:
        """Return what `read` makes of the answer.

        Args:
            path: below the base.
            payload: with the name of the model.
            read: raises `BadAnswer` where an answer makes no sense; such are not kept.
            label: said in errors.

        Raises:
            EndpointError: for an answer that makes no sense.
            UnreachableError: for a refusal, and for no answer in all tries.
        """
        where = self.describe(path, payload["model"], label)
        request = {"url": self.address(path) + self._query, "endpoint": path, "payload": payload}
        kept = self.cache.get(request) if self.cache else None
        if kept is not None:
            with contextlib.suppress(BadAnswer):  # then it is as good as damaged
                return read(kept)
        body = self._post(request, where)
        try:
            answer = parse_answer(body)
            self._count(answer.get("usage"))
            result = read(answer)
        except BadAnswer as bad:
            raise EndpointError(f"{where}: {self.hide(str(bad))}") from None
        if self.cache:
            self.cache.put(request, answer)
        return result

    def describe(self, path: str, model: str, label: str) -> str:
        """Return the words by which errors begin."""
        call = f"POST {self.address(path)} (model {model})"
        return f"{label}: {call}" if label else call

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _post(self, request: dict[str, Any], where: str) -> str:
        """Return the body of a good answer, after as many tries as it takes."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TransientError),
            stop=tenacity.stop_after_attempt(1 + self.max_retries),
            wait=self._wait,
            reraise=True,
        )
        try:
            return retrying(self._try, request, where)
        except _TransientError as last:
            n_tries = retrying.statistics["attempt_number"]
            found, status = str(last), last.status
        raise UnreachableError(
            f"{where}: {found}, in the last of {n_tries} tries; try again later, or raise timeout "
            "or max_retries",
            status=status,
        )

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Return the seconds before the next try: no fewer than the server asked for."""
        assert state.outcome is not None
        last = state.outcome.exception()
        asked = last.retry_after if isinstance(last, _TransientError) else 0.0
        half = {"multiplier": self.first_wait / 2, "max": self.longest_wait / 2}
        backoff = tenacity.wait_exponential(**half) + tenacity.wait_random_exponential(**half)
        return max(asked, backoff(state))

    def _try(self, request: dict[str, Any], where: str) -> str:
        """Return the body of a good answer to one request."""
        key = self._key()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            with self._slots:
                client = self._count_request()
                answer = client.post(request["url"], json=request["payload"], headers=headers)
        except httpx.RequestError as error:
            late = isinstance(error, httpx.TimeoutException)
            silent = f"no answer within {self.timeout:g} s, " if late else ""
            failed = self.hide(f"{silent}{type(error).__name__} {error}".strip())
        else:
            if answer.is_success:
                body = answer.content.decode("utf-8", errors="replace")
                return self.hide(body, _SHORTEST_SECRET)
            self._refuse(answer, where)
        raise _TransientError(failed)  # outside of the handler: the cause holds the headers

    def _refuse(self, answer: httpx.Response, where: str) -> NoReturn:
        """Raise what a status other than success means."""
        status = answer.status_code
        beginning = self.hide(answer.content.decode("utf-8", errors="replace"))[:200]
        found = f"status {status}, {beginning!r}"
        retry_after = _seconds(answer.headers.get("Retry-After", ""))
        if status not in _TRANSIENT or ONE_CHOICE in beginning:
            raise UnreachableError(f"{where}: {found}; {self._remedy(status)}", status=status)
        if retry_after > self.longest_wait:
            raise UnreachableError(
                f"{where}: {found}; the server asks to wait for {retry_after:.0f} s: try again "
                "then, or raise longest_wait",
                status=status,
            )
        raise _TransientError(found, status, retry_after)

    def _remedy(self, status: int) -> str:
        if status in (401, 403):
            return f"set the environment variable {self.key_variable} to a valid key"
        if status in (404, 405) or 300 <= status < 400:
            return "check the URL, which usually ends with /v1, and the name of the model"
        return "check endpoint, constraint and the length of the context, which it may not accept"

    def _key(self) -> str:
        key = os.environ.get(self.key_variable, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise ValueError(
                f"the environment variable {self.key_variable} holds characters that no header can "
                "hold; set it again"
            )
        return key

    def hide(self, text: str, shortest: int = _SHORTEST_HIDDEN) -> str:
        """Return a text without the key, whichever way it is written, unless it is very short."""
        key = self._key()
        if len(key) >= shortest:
            ways = (key, json.dumps(key)[1:-1], key.replace("/", r"\/"), quote(key, safe=""))
            for written in ways:
                text = text.replace(written, "[key]")
        return text

    def _count_request(self) -> httpx.Client:
        with self._lock:
            self.n_requests += 1
            if self._client is None:
                self._client = httpx.Client(timeout=self.timeout)
                weakref.finalize(self, self._client.close)  # else sockets stay open unseen
            return self._client

    def _count(self, usage: Any) -> None:
        usage = usage if isinstance(usage, dict) else {}
        counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
        read, written = (count if isinstance(count, int) else 0 for count in counts)
        with self._lock:
            self.tokens_used = (self.tokens_used[0] + read, self.tokens_used[1] + written)


def _seconds(retry_after: str) -> float:
    """Return what a header Retry-After asks for: a number of seconds, or a date."""
    with contextlib.suppress(ValueError):
        return max(0.0, float(retry_after))
    with contextlib.suppress(ValueError):
        date = parsedate_to_datetime(retry_after)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    return 0.0
