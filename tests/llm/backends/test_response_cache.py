from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsformer.llm.backends.response_cache import ResponseCache

REQUEST = {"url": "http://host/v1", "endpoint": "completions", "payload": {"prompt": "1,", "n": 2}}
ANSWER = {"choices": [{"text": " 2, ü 😀"}]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@given(
    payload=st.dictionaries(st.text(), JSON, max_size=3), answer=st.dictionaries(st.text(), JSON)
)
def test_what_is_stored_comes_back(folder: Path, payload: Any, answer: Any) -> None:
    request = {**REQUEST, "payload": payload}
    cache = ResponseCache(folder)
    cache.put(request, answer)
    assert cache.get(request) == answer
    cache.path(request).unlink()
    assert cache.get(request) is None


def test_the_name_is_the_digest_of_the_request_in_any_order(tmp_path: Path) -> None:
    cache = ResponseCache(tmp_path)
    text = json.dumps(REQUEST, sort_keys=True, separators=(",", ":"))
    assert cache.path(REQUEST).name == f"{hashlib.sha256(text.encode()).hexdigest()}.json"
    assert cache.path(dict(reversed(REQUEST.items()))) == cache.path(REQUEST)


@pytest.mark.parametrize(
    "changed",
    [
        {"url": "http://other/v1"},
        {"endpoint": "chat/completions"},
        {"payload": {"prompt": "1,", "n": 3}},
        {"payload": {"prompt": "1, ", "n": 2}},
    ],
)
def test_another_request_has_no_answer(tmp_path: Path, changed: Any) -> None:
    cache = ResponseCache(tmp_path)
    cache.put(REQUEST, ANSWER)
    assert cache.get({**REQUEST, **changed}) is None
    assert cache.get(REQUEST) == ANSWER


def test_the_folder_is_made_when_it_is_needed(tmp_path: Path) -> None:
    cache = ResponseCache(tmp_path / "a" / "b")
    assert cache.get(REQUEST) is None
    assert not list(tmp_path.iterdir())
    cache.put(REQUEST, ANSWER)
    assert cache.get(REQUEST) == ANSWER


def test_the_address_is_not_in_the_file(tmp_path: Path) -> None:
    cache = ResponseCache(tmp_path)
    cache.put({**REQUEST, "url": "http://host/v1?key=secret"}, ANSWER)
    [file] = tmp_path.iterdir()
    assert json.loads(file.read_text("utf-8")) == {"payload": REQUEST["payload"], "answer": ANSWER}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[1]",
        "{}",
        '{"payload": {"prompt": "1,", "n": 2}, "answer": 3}',
        '{"payload": {"prompt": "another"}, "answer": {}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_no_answer_and_is_overwritten(tmp_path: Path, text: str) -> None:
    cache = ResponseCache(tmp_path)
    cache.path(REQUEST).write_text(text, "utf-8")
    assert cache.get(REQUEST) is None
    cache.put(REQUEST, ANSWER)
    assert cache.get(REQUEST) == ANSWER


def test_bytes_that_are_no_text_are_no_answer(tmp_path: Path) -> None:
    cache = ResponseCache(tmp_path)
    cache.path(REQUEST).write_bytes(b"\xff\xfe\x00")
    assert cache.get(REQUEST) is None


def test_when_writing_fails_then_the_earlier_answer_stays_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ResponseCache(tmp_path)
    cache.put(REQUEST, ANSWER)

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        cache.put(REQUEST, {"choices": []})
    monkeypatch.undo()
    assert cache.get(REQUEST) == ANSWER
    assert [path.name for path in tmp_path.iterdir()] == [cache.path(REQUEST).name]


def test_threads_may_write_and_read_at_once(tmp_path: Path) -> None:
    cache = ResponseCache(tmp_path)
    cache.put(REQUEST, {"number": -1})

    def write_and_read(number: int) -> Any:
        cache.put(REQUEST, {"number": number, "filling": "x" * 10_000})
        return cache.get(REQUEST)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(write_and_read, range(40)))
    assert all(answer is not None and answer["number"] in range(40) for answer in found)
    assert len(list(tmp_path.iterdir())) == 1
