"""Parameters within parameters, told one by one."""

from __future__ import annotations

from typing import Any

import pytest

from tsformer.cli.nested import nested_together
from tsformer.cli.parser import read_arguments
from tsformer.cli.predict import Predict


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("--p.a.b 1 --p.a.c.d [x,y]", {"a": {"b": 1, "c": {"d": ["x", "y"]}}}),
        ("--p.a X --p.a.p.b 1", {"a": {"a": "X", "p": {"b": 1}}}),
        ("--p.a.p.b=1 --p.c 3 --p.a=X", {"a": {"a": "X", "p": {"b": 1}}, "c": 3}),
        ("--p.a.b 1e-3 --p.a.c 2.5 --p.a.d true", {"a": {"b": 1e-3, "c": 2.5, "d": True}}),
        ("--p.a.b 1 --p.a.b.c 2", {"a": {"b": {"b": 1, "c": 2}}}),
        ("--p.a.b -1 --p.a.c null", {"a": {"b": -1, "c": None}}),
        ("--p.a.b x:[", {"a": {"b": "x:["}}),
        ("--p.a 1 --p.b 1e-3", {"a": 1, "b": 1e-3}),
    ],
)
def test_all_that_is_told_is_read(words: str, read: dict[str, Any]) -> None:
    given = ["a.csv", *words.replace("--p.", "--parameters.").split(), "--horizon", "3"]
    found: Any = read_arguments("predict", Predict, given)
    assert (found.file, found.horizon, found.parameters) == ("a.csv", 3, read)


@pytest.mark.parametrize(
    "words", ["a --x.y.z 1", "--parameters.a.b", "--parameters.a.b --level 80", "--parameters {}"]
)
def test_other_words_are_left_as_they_are(words: str) -> None:
    assert nested_together(words.split(), ["parameters"]) == words.split()
