"""Options from YAML files: where they stand among the words of a call, and what they may look like.

`level: 80` means the same as `level: [80]`, as it does on the command line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from tsformer.cli.command import UsageError


def configs_first(arguments: Sequence[str], lists: Collection[str]) -> list[str]:
    """Return the arguments with `--config FILE` before all that it must not overrule.

    Args:
        arguments: the words of a call.
        lists: names of options that take several values.

    Raises:
        UsageError: for a file that holds no options.
    """
    first: list[str] = []
    rest = list(arguments)
    for place in reversed(range(len(rest))):
        if rest[place] == "--config":
            first = [*rest[place : place + 2], *first]
            del rest[place : place + 2]
        elif rest[place].startswith("--config="):
            first = ["--config", rest.pop(place).removeprefix("--config="), *first]
    return [_read(word, lists) if place % 2 else word for place, word in enumerate(first)] + rest


def _read(file: str, lists: Collection[str]) -> str:
    """Return a file's name, or its text where something in it has to be written otherwise."""
    import yaml

    if not Path(file).is_file():
        return file
    try:
        text = Path(file).read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"--config={file} is no YAML: {yaml_problem(error)}") from error
    if root is not None and not isinstance(root, yaml.MappingNode):
        raise UsageError(
            f"--config={file} holds no options by their names, such as horizon: 14; a table of "
            "series is FILE, and stands by itself"
        )
    singles = [] if root is None else [*_single_values(root, lists)]
    written = text
    for begin, end in sorted(singles, reverse=True):
        written = f"{written[:begin]}[{written[begin:end]}]{written[end:]}"
    return written if singles else file


def _single_values(root: Any, lists: Collection[str]) -> Iterator[tuple[int, int]]:
    """Yield where values stand that ought to be lists."""
    import yaml

    for key, value in root.value:
        plain = isinstance(value, yaml.ScalarNode) and value.style in (None, "'", '"')
        if key.value in lists and plain and not value.tag.endswith(":null"):
            yield value.start_mark.index, value.end_mark.index


def yaml_problem(error: Exception) -> str:
    """Return what is wrong with a text that should be YAML, and where."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return " ".join(str(error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', error)}"
