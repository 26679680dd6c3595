"""Parsers made from commands: one declaration of an option serves help, YAML and Python."""

from __future__ import annotations

import inspect
import sys
from argparse import SUPPRESS, Action, ArgumentError
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from docstring_parser import Docstring, parse
from jsonargparse import ActionConfigFile, ArgumentParser, DefaultHelpFormatter

from tsformer.cli.command import Command, UsageError
from tsformer.cli.complaints import complaint
from tsformer.cli.configs import configs_first
from tsformer.cli.nested import nested_together

_ELEMENTS = {str: "NAME", float: "NUMBER", Path: "FILE"}


class HelpFormatter(DefaultHelpFormatter):
    """Says what an option does and its default, and leaves the lines of examples as they are."""

    def _get_help_string(self, action: Action) -> str:
        if action.dest == "print_config":
            return "print the options as YAML for --config, and stop"
        text = (action.help or "").replace("%", "%%")
        plain = action.default in (None, False, SUPPRESS) or "default" in text
        return text if plain else f"{text} (default: {action.default})"

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" not in text:
            return super()._fill_text(text, width, indent)
        return "\n".join(indent + line for line in text.splitlines())


class Parser(ArgumentParser):
    """Does not keep quiet where help cannot be written."""

    def print_help(self, file: Any = None) -> None:
        """Write the help."""
        (file or sys.stdout).write(self.format_help())


def make_parser(name: str, command: type[Command]) -> ArgumentParser:
    """Return the parser of a command."""
    documented = parse(command.__doc__ or "")
    parser = Parser(
        prog=f"tsformer {name}",
        usage=usage(name, command),
        description=" ".join(_paragraphs(documented)),
        epilog=_examples(documented),
        formatter_class=HelpFormatter,
        exit_on_error=False,
        allow_abbrev=False,
    )
    hints, texts = get_type_hints(command), _texts(command)
    groups: dict[str, Any] = {"": parser}
    for title, field in _grouped(command):
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        _add(groups[title], field, hints[field.name], texts[field.name])
    text = "YAML file of options, by their names here; what is said beside it counts more"
    parser.add_argument("--config", action=ActionConfigFile, metavar="FILE", help=text)
    return parser


def read_arguments(name: str, command: type[Command], arguments: Sequence[str]) -> Command:
    """Return the command with its options.

    Raises:
        UsageError: for what it does not take.
    """
    parser = make_parser(name, command)
    known = fields(command)
    hints = get_type_hints(command)
    kinds = {field.name: _plain_type(hints[field.name]) for field in known}
    lists, mappings = ([n for n in kinds if get_origin(kinds[n]) is kind] for kind in (list, dict))
    try:
        words = nested_together(arguments, mappings)
        given = parser.parse_args(configs_first(words, lists))
    except ArgumentError as error:
        called = {f.name: f.metadata.get("metavar", f"--{f.name}") for f in known}
        raise UsageError(complaint(str(error), kinds, called)) from error
    return command(**{field.name: given[field.name] for field in known})


def usage(name: str, command: type[Command]) -> str:
    """Return how a command is called, in one line."""
    words = []
    for field in fields(command):
        required = field.default is MISSING
        if metavar := field.metadata.get("metavar"):
            words.append(metavar if required else f"[{metavar}]")
        elif required:
            words.append(f"--{field.name} {_shown(field)}")
    return " ".join(["tsformer", name, *words, "[options]"])


def summary(command: type[Command]) -> str:
    """Return what a command does, in one line."""
    return parse(command.__doc__ or "").short_description or ""


def _add(group: Any, field: Field[Any], hint: Any, text: str) -> None:
    """Add the argument or option that a field describes."""
    kind = _plain_type(hint)
    if kind is bool:
        group.add_argument(f"--{field.name}", action="store_true", help=text)
        return
    metavar, required = field.metadata.get("metavar"), field.default is MISSING
    taken: dict[str, Any] = {"type": kind, "metavar": metavar or _shown(field), "help": text}
    if metavar:
        group.add_argument(field.name, **taken, **({} if required else {"nargs": "?"}))
        return
    if get_origin(kind) is list:
        element = get_args(kind)[0]
        taken |= {"type": element, "nargs": "+", "metavar": _ELEMENTS[element]}
    default = {"required": True} if required else {"default": field.default}
    group.add_argument(f"--{field.name}", **taken, **default)


def _shown(field: Field[Any]) -> str:
    """Return what help calls the value of an option."""
    return str(field.metadata.get("shown", field.name.upper()))


def _plain_type(hint: Any) -> Any:
    """Return a type without None, which is what an option is that was not given."""
    kinds = get_args(hint)
    if NoneType not in kinds:
        return hint
    rest = [kind for kind in kinds if kind is not NoneType]
    return rest[0] if len(rest) == 1 else hint


def _grouped(command: type[Command]) -> Iterator[tuple[str, Field[Any]]]:
    """Yield headings and fields: arguments, then the command's own options, then inherited ones."""
    known = {field.name: field for field in fields(command)}
    arguments = [name for name, field in known.items() if "metavar" in field.metadata]
    yield from (("", known.pop(name)) for name in arguments)
    for kind in command.__mro__:
        own = [name for name in inspect.get_annotations(kind) if name in known]
        yield from ((kind.__dict__.get("group", ""), known.pop(name)) for name in own)


def _texts(command: type[Command]) -> dict[str, str]:
    """Return what the docstrings say about each field, on one line."""
    texts: dict[str, str] = {}
    for kind in reversed(command.__mro__):
        for parameter in parse(kind.__doc__ or "").params if issubclass(kind, Command) else ():
            for name in parameter.arg_name.split(", "):
                texts[name] = " ".join((parameter.description or "").split()).rstrip(".")
    return texts


def _paragraphs(documented: Docstring) -> Iterator[str]:
    for text in (documented.short_description, documented.long_description):
        if text:
            yield " ".join(text.split())


def _examples(documented: Docstring) -> str:
    lines = [line for e in documented.examples for line in (e.description or "").splitlines()]
    return "\n".join(["examples:", *(f"  {line}" for line in lines)])
