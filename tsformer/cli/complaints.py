"""What is wrong, in the words of the command line: one line that names the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

_FILES = {"future_df": "--future", "static_df": "--static"}
_HOW_TO_NAME = (
    "; say which by --id_col, --time_col and --target_col, or, where each column is a series, "
    "--wide; what lacks is"
)
_NO_DATES = "; leave --freq out, or write the times as dates such as 2024-12-31"
_EXPECTED = {int: "a whole number", float: "a number", bool: "true or false"}


def complaint(message: str, kinds: Mapping[str, Any], called: Mapping[str, str]) -> str:
    """Return what jsonargparse says about a call, shorter.

    Args:
        message: of the error.
        kinds: the types of the command's options, by name.
        called: how they are called on the command line, such as `--horizon` or `FILE`.
    """
    message = " ".join(message.split())
    message = message.replace('Parser key "config": Parser', "Parser")  # of what is in the file
    if found := re.search(r"nrecognized arguments: (.*)", message):
        return _unknown(found[1].split()[0], kinds)
    if found := re.search(r"(?:Option|Key) '([\w.]+)' is not", message):
        return _unknown(f"--{found[1]}", kinds)
    if found := re.search(r'required: -*(\w+)|Key "(\w+)" is required', message):
        return f"{called[found[1] or found[2]]} is missing"
    found = re.search(r'key "([\w.]+)"(?:.*(?:Got|Given) value: (.*))?', message)
    if found and found[1] in kinds:
        value = "" if found[2] is None else f"={found[2]}"
        return f"{called[found[1]]}{value} must be {_expected(kinds[found[1]])}"
    return re.sub(r'Parser key "([\w.]+)"', r"--\1", message)


def _unknown(word: str, kinds: Mapping[str, Any]) -> str:
    """Return what is not known, and what may have been meant."""
    word, _, _ = word.partition("=")
    if not word.startswith("--"):
        return f"{word!r} is one word too many; quote what has spaces, and begin options with --"
    plain = word.strip("-").replace("-", "_")
    if plain in kinds:
        return f"there is no option {word}; did you mean --{plain}?"
    from tsformer.forecasters import FORECASTERS  # seconds, but only where something is wrong
    from tsformer.forecasters.words import refuse_unknown

    takers: list[Any] = [made for made in FORECASTERS.values() if plain in made._get_param_names()]
    if takers and "parameters" in kinds:
        return f"{word} is a parameter of the forecaster; say --parameters.{plain}"
    try:
        refuse_unknown("the command", [plain], kinds)
    except TypeError as error:
        hint = re.sub("`(.*?)`", r"--\1", str(error).partition("; ")[2])
        return f"there is no option {word}; {hint}"
    raise AssertionError(plain)


def _expected(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, get_args(kind)))
    if get_origin(kind) is list:
        return f"{_expected(get_args(kind)[0])}, or several"
    if get_origin(kind) is dict:
        return "given by names, such as --parameters.max_steps 200"
    return _EXPECTED.get(kind, "true, false or a whole number")


def in_words_of_options(message: str, options: Iterable[str]) -> str:
    """Return an error of the library with its parameters as they are called on the command line.

    `time_col=` becomes `--time_col`, and `horizon=0` becomes `--horizon=0`.
    """
    names = "|".join(sorted(options))
    message = re.sub(rf"(?<![\w.-])({names})=(?=[\w'\"\[-])", r"--\1=", message)
    message = re.sub(rf"(?<![\w.-])({names})=(?=\W|$)", r"--\1", message)
    message = message.replace("list_datasets() names them all", "`tsformer datasets` lists them")
    message = re.sub(r"(?<=does not fit times that are whole numbers)$", _NO_DATES, message)
    message = re.sub(r"\b(future_df|static_df)\b", lambda found: _FILES[found[1]], message)
    return message.replace("; name yours by", _HOW_TO_NAME) if "wide" in options else message
