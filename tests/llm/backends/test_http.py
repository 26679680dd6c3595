from __future__ import annotations

import copy
import importlib
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import pytest

from tsformer.llm.automaton import ValueGraph
from tsformer.llm.backends.base import TextModel
from tsformer.llm.backends.http import EndpointError, HTTPModel, HTTPSettings
from tsformer.llm.serialize import SerializerSettings, preset, with_symbols

Serve = Callable[..., Any]
SETTINGS = SerializerSettings()  # values such as `512`, one after the other as in `512, 498,`
PROMPT = "512, 498,"
SOON = HTTPSettings(first_wait=0.001)


def texts(*found: str, finish: str = "length", **others: Any) -> dict[str, Any]:
    choices = [{"text": text, "finish_reason": finish} for text in found]
    return {"model": "small", "choices": choices, **others}


def complete(model: HTTPModel, **changed: Any) -> list[str]:
    asked = {"n_samples": 1, "horizon": 2, "settings": SETTINGS, "label": "load", **changed}
    return model.complete(asked.pop("prompt", PROMPT), **asked)


def model_of(server: Any, **parameters: Any) -> HTTPModel:
    return HTTPModel(server.url, "small", **{"settings": SOON, **parameters})


def test_it_is_a_text_model(serve: Serve) -> None:
    model = model_of(serve({}))
    assert isinstance(model, TextModel)
    assert model.name == "small"


def test_one_request_brings_all_samples_where_the_server_obeys(serve: Serve) -> None:
    server = serve(texts(" 1, 2,", " 3, 4,", " 5, 6,"))
    answers = complete(model_of(server), n_samples=3, temperature=0.7, top_p=0.9, seed=5)
    assert answers == [" 1, 2,", " 3, 4,", " 5, 6,"]
    longest = len(" -99999,")
    assert server.payloads == [
        {
            "model": "small",
            "prompt": PROMPT,
            "n": 3,
            "max_tokens": 2 * longest,
            "seed": 5,
            "temperature": 0.7,
            "top_p": 0.9,
        }
    ]
    assert server.paths == ["/v1/completions"]


def test_answers_are_whole_values_and_no_more(serve: Serve) -> None:
    server = serve(texts("   1,2 , 3, 4", finish="stop"))
    assert complete(model_of(server), horizon=3) == [" 1, 2, 3,"]
    assert SETTINGS.deserialize(" 1, 2, 3,").shape == (3,)


def test_when_the_server_ignores_n_then_the_rest_is_asked_for_with_other_seeds(
    serve: Serve,
) -> None:
    server = serve(lambda payload: texts(f" {payload['seed']}, 1,"))
    answers = complete(model_of(server), n_samples=4, seed=10)
    seeds = [payload["seed"] for payload in server.payloads]
    assert seeds[0] == 10
    assert sorted(seeds[1:]) == [14, 15, 16]  # 10 … 13 are those of the first request's choices
    assert sorted(answers) == [f" {seed}, 1," for seed in sorted(seeds)]
    assert ["n" in payload for payload in server.payloads] == [True, False, False, False]


def test_when_the_server_limits_n_then_it_is_asked_for_as_many_at_a_time(serve: Serve) -> None:
    server = serve(lambda payload: texts(*[" 1, 2,"] * min(payload.get("n", 1), 2)))
    assert len(complete(model_of(server), n_samples=5)) == 5
    assert sorted(payload.get("n", 1) for payload in server.payloads) == [1, 2, 5]


@pytest.mark.parametrize(
    "refusal",
    [
        (400, "n must be 1", {}),
        (422, "n: unexpected", {}),
        (500, {"error": {"message": "Only one completion choice is allowed"}}, {}),
    ],
)
def test_when_the_server_refuses_several_choices_then_it_is_asked_for_one_at_a_time(
    serve: Serve, refusal: Any
) -> None:
    server = serve(lambda payload: refusal if "n" in payload else texts(" 1, 2,"))
    assert complete(model_of(server), n_samples=3) == [" 1, 2,"] * 3
    assert len(server.payloads) == 4
    spared = model_of(server, settings=HTTPSettings(most_choices=1))
    assert complete(spared, n_samples=3) == [" 1, 2,"] * 3
    assert len(server.payloads) == 7


@pytest.mark.parametrize("n_callers", [1, 2])
@pytest.mark.parametrize("most", [1, 3])
def test_no_more_requests_at_once_than_allowed(serve: Serve, most: int, n_callers: int) -> None:
    def crowded(payload: dict[str, Any]) -> dict[str, Any]:
        deadline = time.monotonic() + 0.3
        while server.most_at_once < most and "n" not in payload and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.01)  # in which one too many may come
        return texts(" 1, 2,")

    server = serve(crowded)
    model = model_of(server, max_concurrency=most)
    with ThreadPoolExecutor(n_callers) as pool:
        answers = pool.map(lambda seed: complete(model, n_samples=6, seed=seed), range(n_callers))
        assert [len(found) for found in answers] == [6] * n_callers
    assert server.most_at_once == most


def test_with_temperature_zero_one_sample_is_asked_for(serve: Serve) -> None:
    server = serve(texts(" 1, 2,"))
    assert complete(model_of(server), n_samples=3, temperature=0) == [" 1, 2,"] * 3
    assert len(server.payloads) == 1
    assert server.payloads[0]["temperature"] == 0
    assert not {"n", "top_p"} & set(server.payloads[0])


def test_what_breaks_off_is_asked_for_from_there(serve: Serve) -> None:
    server = serve(
        texts(" 1, 22"),  # the 22 may have been cut off: 223?
        texts(" 2, 3, and so on"),
        texts("4 ,"),
        texts(" 5, 6, 7,"),
    )
    assert complete(model_of(server), horizon=6, seed=1) == [" 1, 2, 3, 4, 5, 6,"]
    assert [payload["prompt"] for payload in server.payloads] == [
        PROMPT,
        PROMPT + " 1,",
        PROMPT + " 1, 2, 3,",
        PROMPT + " 1, 2, 3, 4,",
    ]
    per_value = len(" -99999,")
    assert [payload["max_tokens"] // per_value for payload in server.payloads] == [6, 5, 3, 2]
    assert [payload["seed"] for payload in server.payloads] == [1, 2, 3, 4]


def test_when_the_model_itself_ends_then_its_last_value_is_whole(serve: Serve) -> None:
    ended = serve(texts(" 1, 2", finish="stop"))
    assert complete(model_of(ended)) == [" 1, 2,"]
    cut = serve(texts(" 1, 2", finish="length"), texts(" 23,"))
    assert complete(model_of(cut)) == [" 1, 23,"]


def test_samples_that_stay_short_are_left_out(serve: Serve) -> None:
    server = serve(texts(" 1, 2,", " 3, nothing", "Sure! 4, 5,"), texts("no"))
    model = model_of(server, settings=HTTPSettings(max_rounds=2))
    assert complete(model, n_samples=3) == [" 1, 2,"]
    assert len(server.payloads) == 1 + 2 * 2


def test_when_no_sample_is_whole_then_the_error_says_what_there_is(serve: Serve) -> None:
    server = serve(texts(" 1, 2, perhaps", "Sure, here"), texts("sorry"))
    with pytest.raises(EndpointError) as caught:
        complete(model_of(server), n_samples=2, horizon=4)
    message = str(caught.value)
    for part in ("load: POST ", server.url, "small", "2 samples", "4 values", "'sorry'"):
        assert part in message
    assert caught.value.partial == [" 1, 2,"]


def test_a_missing_value_is_no_forecast(serve: Serve) -> None:
    server = serve(texts(" 1, nan, 3,"), texts(" 2,"))
    assert complete(model_of(server)) == [" 1, 2,"]


def test_when_the_server_is_lost_midway_then_what_there_is_is_kept(serve: Serve) -> None:
    down = (503, "gone", {})
    server = serve(texts(" 1, 2,", " 3, 4"), down)
    with pytest.warns(UserWarning, match="1 of 2 samples.*load: .*status 503"):
        answers = complete(model_of(server, max_retries=1), n_samples=2)
    assert answers == [" 1, 2,"]
    assert len(server.payloads) == 3
    server = serve(texts(" 3, 4", " 5"), down)
    with pytest.raises(EndpointError, match="2 samples has 2 values.*503") as caught:
        complete(model_of(server, max_retries=1), n_samples=2)
    assert caught.value.partial == [" 3,"]
    assert caught.value.status == 503
    assert len(server.payloads) <= 5  # one request took both tries; one more may have begun


def test_a_lost_server_is_not_asked_for_every_sample(serve: Serve) -> None:
    server = serve(texts(" 1,", *[" 2"] * 9), (503, "gone", {}))
    with pytest.raises(EndpointError, match="503"):
        complete(model_of(server, max_retries=0, max_concurrency=1), n_samples=10)
    assert len(server.payloads) == 2


def test_one_bad_answer_costs_one_sample_only(serve: Serve) -> None:
    server = serve(texts(" 1, 2,", " 3,", " 5,"), {"choices": []}, texts(" 6,"))
    with pytest.warns(UserWarning, match="2 of 3 samples"):
        answers = complete(model_of(server, max_concurrency=1), n_samples=3)
    assert answers == [" 1, 2,", " 5, 6,"]


def test_chat_models_are_told_what_to_do(serve: Serve) -> None:
    def chat(text: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        return {"model": "small", "choices": [{"message": message, "finish_reason": "stop"}]}

    server = serve(chat("1, 2"), chat("3"))
    assert complete(model_of(server, endpoint="chat"), horizon=3) == [" 1, 2, 3,"]
    assert server.paths == ["/v1/chat/completions"] * 2
    first, second = (payload["messages"] for payload in server.payloads)
    assert [message["role"] for message in first] == ["system", "user"]
    assert [message["content"] for message in first][1] == PROMPT
    assert second[1]["content"] == PROMPT + " 1, 2,"
    assert "next 3 values" in first[0]["content"]
    assert "next 1 values" in second[0]["content"]


def test_the_grammar_arrives_at_the_server(serve: Serve) -> None:
    signs = with_symbols(SerializerSettings(precision=1, digits=1), ["😀", "é"])
    server = serve(texts(" 😀,"), texts(" é,"))
    model = model_of(server, constraint="gbnf")
    assert complete(model, settings=signs) == [" 😀, é,"]
    grammars = [payload["grammar"] for payload in server.payloads]
    assert grammars == [ValueGraph(signs).gbnf(2), ValueGraph(signs).gbnf(1)]
    assert "😀" in grammars[0]  # GBNF knows no surrogates


@pytest.mark.parametrize("constraint", ["regex", "guided_regex"])
@pytest.mark.parametrize("name", ["llmtime-gpt3", "llmtime-llama", "plain-digits"])
def test_the_regular_expression_arrives_at_the_server(
    serve: Serve, constraint: Any, name: str
) -> None:
    settings = preset(name)
    text = settings.lead + settings.serialize([0.25, 0.75]) + settings.terminator
    server = serve(texts(text))
    bounds = HTTPSettings(lower=0, upper=1)
    model = model_of(server, constraint=constraint, settings=bounds)
    assert complete(model, settings=settings) == [text]
    payload = server.payloads[0]
    regex = payload[constraint]
    assert re.fullmatch(regex, text)
    beyond = settings.lead + settings.serialize([0.25, 2.5]) + settings.terminator
    assert not re.fullmatch(regex, beyond)
    if constraint == "guided_regex":
        assert payload["structured_outputs"] == {"regex": regex}
    else:
        assert not {"guided_regex", "structured_outputs"} & set(payload)


def scored(tokens: list[str], scores: list[Any], offsets: list[int]) -> dict[str, Any]:
    found = {"tokens": tokens, "token_logprobs": scores, "text_offset": offsets}
    return {"model": "small", "choices": [{"text": "".join(tokens), "logprobs": found}]}


def test_log_probabilities_are_those_of_the_continuation(serve: Serve) -> None:
    server = serve(
        scored(
            ["512", ",", " 49", "8", ",", " 5"], [None, -1, -2, -3.5, -0.25, -9], [0, 3, 4, 7, 8, 9]
        )
    )
    found = model_of(server, endpoint="chat").log_probabilities("512,", " 498,", label="load")
    assert found == [(" 49", -2.0), ("8", -3.5), (",", -0.25)]
    assert server.paths == ["/v1/completions"]
    asked = server.payloads[0]
    assert asked["prompt"] == "512, 498,"
    assert (asked["echo"], asked["logprobs"], asked["max_tokens"]) == (True, 1, 1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (texts("512, 498,"), "no log probabilities"),
        (scored(["512,", " 498,"], [None, None], [0, 4]), "token 0 .* is None"),
        (scored(["512,", " 498,"], [None, float("nan")], [0, 4]), "is nan"),
        (scored(["512, 4", "98,"], [None, -1.0], [0, 6]), "offsets do not line up"),
        ({**scored(["512,", " 498,"], [None, -1.0], [0, 4]), "model": "other"}, "model 'other'"),
    ],
)
def test_bad_log_probabilities_are_errors_that_name_the_series(
    serve: Serve, answer: Any, words: str
) -> None:
    with pytest.raises(EndpointError, match=f"^load: POST .*{words}"):
        model_of(serve(answer)).log_probabilities("512,", " 498,", label="load")


def test_cached_answers_make_no_request(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda payload: texts(f" {payload['seed']}, 1,"))
    first = complete(model_of(server, cache=tmp_path), n_samples=3)
    assert len(server.payloads) == len(list(tmp_path.glob("*.json"))) == 3
    model = model_of(server, cache=str(tmp_path))
    assert sorted(complete(model, n_samples=3)) == sorted(first)
    assert len(server.payloads) == 3
    assert model.n_requests == 0
    complete(model, n_samples=1, seed=99)
    assert len(server.payloads) == 4


def test_bad_answers_are_not_kept(serve: Serve, tmp_path: Path) -> None:
    server = serve({"choices": []}, "half", (401, "who?", {}), texts(" 1, 2,"))
    model = model_of(server, cache=tmp_path)
    for _ in range(3):
        with pytest.raises(EndpointError):
            complete(model)
        assert not list(tmp_path.iterdir())
    assert complete(model) == [" 1, 2,"]


def test_copies_ask_the_same_and_count_anew(serve: Serve) -> None:
    server = serve(texts(" 1, 2,"))
    model = model_of(server, timeout=7.0)
    complete(model)
    jobs = [joblib.delayed(copy.deepcopy)(model)]
    from_a_worker = joblib.Parallel(n_jobs=2, prefer="processes")(jobs)[0]
    for other in (copy.deepcopy(model), from_a_worker):
        assert other.n_requests == 0
        assert (other.url, other.timeout, other.settings) == (model.url, 7.0, model.settings)
        assert complete(other) == [" 1, 2,"]


def test_a_closed_model_opens_new_connections(serve: Serve) -> None:
    model = model_of(serve(texts(" 1, 2,")))
    for _ in range(2):
        assert complete(model) == [" 1, 2,"]
        model.close()


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"endpoint": "embeddings"}, "endpoint='embeddings' must be one of completions, chat"),
        ({"constraint": "json"}, "constraint='json' one of gbnf, regex, guided_regex, or None"),
        ({"timeout": 0}, "timeout=0 must be positive"),
        ({"max_retries": -1}, "max_retries=-1"),
        ({"max_concurrency": 0}, "max_concurrency=0"),
        ({"settings": HTTPSettings(lower=0)}, "need a constraint"),
        ({"url": "localhost:8000"}, "url must begin with http"),
        ({"url": "http://me:secret@host/v1"}, "password before host"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters: Any, words: str) -> None:
    url = parameters.pop("url", "http://127.0.0.1:1/v1")
    with pytest.raises(ValueError, match=words) as caught:
        HTTPModel(url, "small", **parameters)
    assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="n_samples=0"):
        complete(HTTPModel("http://127.0.0.1:1", "small"), n_samples=0)


@pytest.mark.parametrize("missing", ["httpx", "tenacity"])
def test_without_the_libraries_the_error_says_how_to_install_them(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    for module in ("http", "endpoint"):
        monkeypatch.delitem(sys.modules, f"tsformer.llm.backends.{module}")
    with pytest.raises(ImportError, match=r"pip install 'tsformer\[llm\]'"):
        importlib.import_module("tsformer.llm.backends.http")
