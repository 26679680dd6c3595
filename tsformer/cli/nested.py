"""Parameters within parameters, told one by one: `--parameters.forecaster.parameters.max_steps 3`.

Of several that begin alike, jsonargparse would keep the last alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

_SMALL = re.compile(r"[-+]?\d[\d.]*[eE][-+]?\d+")  # a text to YAML, where it has no point
_Told = tuple[tuple[str, ...], str, list[str]]  # path, value, words


def nested_together(arguments: Sequence[str], options: Collection[str]) -> list[str]:
    """Return the words of a call with those together that tell parts of one parameter.

    `--parameters.a.b 1 --parameters.a.c 2` becomes `--parameters.a={"b": 1, "c": 2}`. A name by
    itself, `--parameters.a X` beside them, is `{"a": "X", …}`.

    Args:
        arguments: the words.
        options: names of options that take parameters by their names.
    """
    told = [*_told(arguments, options)]
    heads = {path[:2] for path, _, _ in told if len(path) > 2}
    rest: list[str] = []
    tree: dict[str, Any] = {}
    for path, value, words in told:
        if path[:2] in heads:
            _put(tree, path, _value(value))
        else:
            rest += words
    for option, parameters in tree.items():
        for name, value in parameters.items():
            rest.append(f"--{option}.{name}={json.dumps(value, default=str)}")
    return rest


def _told(arguments: Sequence[str], options: Collection[str]) -> Iterator[_Told]:
    """Yield all words, those of a parameter together; the path of others is empty."""
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        key, is_joined, value = word.partition("=")
        path = tuple(key.removeprefix("--").split("."))
        if not (key.startswith("--") and len(path) > 1 and path[0] in options):
            yield (), "", [word]
        elif is_joined:
            yield path, value, [word]
        elif waiting and not waiting[0].startswith("--"):
            yield path, waiting[0], [word, waiting.pop(0)]
        else:
            yield (), "", [word]  # without a value, which is refused later


def _put(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value into a tree; what has a value and parts has the value as a part of its name."""
    *above, last = path
    for name in above:
        if not isinstance(tree.get(name), dict):
            tree[name] = {name: tree[name]} if name in tree else {}
        tree = tree[name]
    if isinstance(tree.get(last), dict) and not isinstance(value, dict):
        tree[last][last] = value
    else:
        tree[last] = value


def _value(text: str) -> Any:
    """Return what a word of the shell means: a number, a list, a text, …."""
    import yaml

    if _SMALL.fullmatch(text):
        return float(text)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
