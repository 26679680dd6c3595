"""What goes wrong between a model and its server, and what is said of it."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from tsformer.llm.backends.endpoint import _seconds
from tsformer.llm.backends.http import EndpointError, HTTPModel, HTTPSettings, UnreachableError
from tsformer.llm.serialize import SerializerSettings

Serve = Callable[..., Any]
GOOD = {"model": "small", "choices": [{"text": " 1, 2,"}]}
SOON = HTTPSettings(first_wait=0.001)
KEY = "sk-very/secret+0123456789"


def complete(model: HTTPModel) -> list[str]:
    return model.complete(
        "512,", n_samples=1, horizon=2, settings=SerializerSettings(), label="load"
    )


def model_of(server: Any, **parameters: Any) -> HTTPModel:
    return HTTPModel(server.url, "small", **{"settings": SOON, "max_retries": 2, **parameters})


def error_of(model: HTTPModel) -> EndpointError:
    with pytest.raises(EndpointError) as caught:
        complete(model)
    return caught.value


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(serve: Serve, status: int) -> None:
    server = serve((status, "busy", {}), (status, "busy", {}), GOOD)
    model = model_of(server)
    assert complete(model) == [" 1, 2,"]
    assert len(server.payloads) == model.n_requests == 3
    assert server.payloads[0] == server.payloads[2]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 307])
def test_what_will_not_pass_is_not_tried_again(serve: Serve, status: int) -> None:
    server = serve((status, "no" * 150 + "END", {"Location": "http://elsewhere/"}))
    error = error_of(model_of(server))
    assert len(server.payloads) == 1
    assert isinstance(error, UnreachableError)
    assert error.status == status
    assert str(error).startswith(f"load: POST {server.url}/completions (model small): status")
    assert "no" * 100 in str(error)
    assert "END" not in str(error)


def test_a_server_in_trouble_is_given_up_after_all_tries(serve: Serve) -> None:
    server = serve((500, "out of memory", {}))
    error = error_of(model_of(server, max_retries=3))
    assert len(server.payloads) == 4
    assert re.search("load: .*status 500, 'out of memory', in the last of 4 tries", str(error))
    assert error.status == 500


def test_several_choices_are_not_blamed_for_a_server_in_trouble(serve: Serve) -> None:
    server = serve((500, "out of memory", {}))
    with pytest.raises(UnreachableError):
        model_of(server).complete("1,", n_samples=5, horizon=1, settings=SerializerSettings())
    assert len(server.payloads) == 3


def test_the_server_says_how_long_to_wait(serve: Serve) -> None:
    server = serve((429, "slow down", {"Retry-After": "0.3"}), GOOD)
    began = time.monotonic()
    assert complete(model_of(server)) == [" 1, 2,"]
    assert time.monotonic() - began >= 0.3


def test_a_wait_that_is_too_long_is_an_error_at_once(serve: Serve) -> None:
    server = serve((429, "quota", {"Retry-After": "3600"}), GOOD)
    error = error_of(model_of(server))
    assert "asks to wait for 3600 s" in str(error)
    assert len(server.payloads) == 1


def test_a_wait_may_be_given_as_a_date() -> None:
    later = datetime.now(UTC) + timedelta(seconds=30)
    assert _seconds(format_datetime(later, usegmt=True)) == pytest.approx(30, abs=2)
    assert _seconds(format_datetime(later - timedelta(hours=1), usegmt=True)) == 0
    assert [_seconds(text) for text in ("2.5", "-3", "", "soon", "nan")] == [2.5, 0, 0, 0, 0]


def test_waits_grow_and_vary(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    settings = HTTPSettings(first_wait=1.0, longest_wait=6.0)
    error_of(model_of(serve((503, "", {})), max_retries=5, settings=settings))
    most = [1, 2, 4, 6, 6]
    assert len(waits) == 5
    assert all(half / 2 <= wait <= half for wait, half in zip(waits, most, strict=True))
    assert len({wait / half for wait, half in zip(waits, most, strict=True)}) > 1


def test_a_silent_server_is_given_up(serve: Serve) -> None:
    def never(_: Any) -> None:
        server.closing.wait(5)

    server = serve(never)
    error = error_of(model_of(server, timeout=0.05, max_retries=1))
    assert "no answer within 0.05 s, ReadTimeout" in str(error)
    assert len(server.payloads) == 2
    assert isinstance(error, UnreachableError)
    assert error.status is None


def test_a_late_answer_comes_with_the_next_try(serve: Serve) -> None:
    def late(_: Any) -> Any:
        server.closing.wait(0.3)
        return GOOD

    server = serve(late, GOOD)
    assert complete(model_of(server, timeout=0.1)) == [" 1, 2,"]


@pytest.mark.parametrize("broken", [None, (200, '{"choices": [', {"Content-Length": "500"})])
def test_a_lost_connection_is_tried_again(serve: Serve, broken: Any) -> None:
    server = serve(broken, broken, GOOD)
    assert complete(model_of(server)) == [" 1, 2,"]
    assert "RemoteProtocolError" in str(error_of(model_of(serve(broken))))


def test_when_nobody_listens_then_the_error_names_the_address(serve: Serve) -> None:
    server = serve(GOOD)
    server.close()
    error = error_of(model_of(server, max_retries=1))
    assert re.search(f"{server.url}.*ConnectError.*2 tries", str(error))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ('{"choices": [{"te', "not JSON, or only the beginning of some .*choices"),
        ("<html>sign in</html>", "not JSON.*sign in"),
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1, 2]", "no JSON object"),
        ({"error": "overloaded"}, "no choices: .*overloaded"),
        ({"choices": {}}, "no choices"),
        ({"choices": ["text"]}, "no choices"),
        ({"choices": []}, "choices in the answer is empty"),
        ({"choices": [{}]}, "choice 0 of the answer has no text"),
        ({"choices": [{"text": None}]}, "choice 0 of the answer has no text"),
        ({"choices": [{"message": {"content": None}}]}, "choice 0 of the answer has no text"),
        ({**GOOD, "model": "large"}, "comes from model 'large', not from 'small'"),
    ],
)
def test_bad_answers_are_errors_that_name_the_series(serve: Serve, answer: Any, words: str) -> None:
    server = serve(answer)
    error = error_of(model_of(server))
    assert re.search(
        rf"^load: POST {server.url}/completions \(model small\): .*{words}", str(error)
    )
    assert len(str(error)) < 800
    assert len(server.payloads) == 1
    assert error.partial == []


def test_the_check_of_the_model_can_be_left_out(serve: Serve) -> None:
    server = serve({**GOOD, "model": "large"})
    settings = HTTPSettings(check_model=False)
    assert complete(model_of(server, settings=settings)) == [" 1, 2,"]


def test_tokens_and_requests_are_counted(serve: Serve) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
    server = serve({**GOOD, "usage": usage}, (503, "", {}), GOOD, {**GOOD, "usage": usage})
    model = model_of(server)
    assert (model.tokens_used, model.n_requests) == ((0, 0), 0)
    for tokens, requests in (((10, 3), 1), ((10, 3), 3), ((20, 6), 4)):
        complete(model)
        assert (model.tokens_used, model.n_requests) == (tokens, requests)


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("", "/v1"),
        ("/", "/v1"),
        ("/v1/", "/v1"),
        ("/v1/completions", "/v1"),
        ("/api/v3/chat/completions", "/api/v3"),
    ],
)
def test_addresses_may_be_written_in_several_ways(serve: Serve, path: str, base: str) -> None:
    server = serve(GOOD)
    complete(HTTPModel(server.url.removesuffix("/v1") + path, "small"))
    assert server.paths == [f"{base}/completions"]


def test_a_query_is_sent_but_not_told(serve: Serve, tmp_path: Path) -> None:
    server = serve(GOOD, (400, "no", {}))
    model = HTTPModel(f"{server.url}?token=hush", "small", cache=tmp_path)
    complete(model)
    assert server.paths == ["/v1/completions?token=hush"]
    [kept] = tmp_path.iterdir()
    with pytest.raises(EndpointError) as caught:
        model.complete("9,", n_samples=1, horizon=1, settings=SerializerSettings())
    for told in (kept.read_text("utf-8"), repr(model), repr(model._server), str(caught.value)):
        assert "hush" not in told


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SOME_KEY", KEY)
    return KEY


def test_the_key_is_sent_and_only_where_there_is_one(
    serve: Serve, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(GOOD)
    model = model_of(server, key_variable="SOME_KEY")
    complete(model)
    monkeypatch.setenv("SOME_KEY", "")
    complete(model)
    complete(model_of(server))
    sent = [headers.get("Authorization") for headers in server.headers]
    assert sent == [f"Bearer {key}", None, None]


def test_the_key_is_in_nothing_that_is_kept(
    serve: Serve, key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve({**GOOD, "echo": [f"Bearer {key}"]})
    model = model_of(server, key_variable="SOME_KEY", cache=tmp_path)
    complete(model)
    [kept] = tmp_path.iterdir()
    told = [kept.read_text("utf-8"), kept.name, caplog.text, repr(model), str(model)]
    told += [repr(vars(model)), repr(vars(model._server)), repr(model.__getstate__())]
    assert server.headers[0]["Authorization"] == f"Bearer {key}"
    assert "completions" in caplog.text
    for text in told:
        assert "secret" not in text


@pytest.mark.parametrize("status", [401, 500, 200])
def test_the_key_is_in_no_error(serve: Serve, key: str, status: int) -> None:
    ways = (key, key.replace("/", r"\/"), "sk-very%2Fsecret%2B0123456789")
    bodies = ["-" * size + f"wrong key {way}" for way in ways for size in (0, 175, 180)]
    server = serve(*((status, body, {}) for body in bodies))
    model = model_of(server, key_variable="SOME_KEY", max_retries=0)
    for _ in bodies:
        error: BaseException | None = error_of(model)
        while error is not None:
            assert "very" not in str(error) + repr(error) + repr(getattr(error, "partial", ""))
            error = error.__cause__ or error.__context__
    assert len(server.payloads) == len(bodies)


def test_a_short_key_is_hidden_in_errors_but_answers_stay_as_they_are(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "small")
    server = serve(GOOD, (401, "no key small", {}))
    model = model_of(server)
    assert complete(model) == [" 1, 2,"]
    assert "'no key [key]'" in str(error_of(model))


def test_a_key_that_no_header_can_hold_is_not_told(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nX-Other: ü")
    with pytest.raises(ValueError, match="OPENAI_API_KEY holds characters") as caught:
        complete(model_of(serve(GOOD)))
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    server = serve(GOOD)
    complete(model_of(server))
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_a_damaged_or_senseless_file_is_asked_for_again(serve: Serve, tmp_path: Path) -> None:
    server = serve(GOOD)
    complete(model_of(server, cache=tmp_path))
    [kept] = tmp_path.iterdir()
    whole = kept.read_text("utf-8")
    senseless = json.dumps({**json.loads(whole), "answer": {"choices": []}})
    for number, damaged in enumerate([whole[:-9], "", "[]", senseless]):
        kept.write_text(damaged, "utf-8")
        assert complete(model_of(server, cache=tmp_path)) == [" 1, 2,"]
        assert len(server.payloads) == 2 + number
        assert kept.read_text("utf-8") == whole
