"""The command `tsformer`: what the package does, from the shell.

Each command is a dataclass in a module of its own; what takes long is imported once it is needed.
"""

from __future__ import annotations

import difflib
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import fields
from typing import NoReturn

import tsformer
from tsformer.cli.benchmark import Benchmark
from tsformer.cli.command import Command, UsageError, say
from tsformer.cli.complaints import in_words_of_options
from tsformer.cli.datasets import Datasets
from tsformer.cli.evaluate import Evaluate
from tsformer.cli.fit import Fit
from tsformer.cli.interrupts import interrupts_come_through
from tsformer.cli.parser import read_arguments, summary, usage
from tsformer.cli.plot import Plot
from tsformer.cli.predict import Predict
from tsformer.cli.pretrain import Pretrain
from tsformer.cli.remarks import one_line_warnings
from tsformer.cli.tokenize import Tokenize

COMMANDS: dict[str, type[Command]] = {
    "predict": Predict,
    "fit": Fit,
    "evaluate": Evaluate,
    "plot": Plot,
    "datasets": Datasets,
    "benchmark": Benchmark,
    "pretrain": Pretrain,
    "tokenize": Tokenize,
}
_INTERRUPTED, _NOBODY_READS = 130, 141  # as shells count what ends by a signal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 1 after an error, of which one line is said, 130 after Ctrl-C.

    Raises:
        SystemExit: 2 for a call that is not understood, 0 after help.
    """
    # Threads that spin for long while they wait hold each other up as soon as another program wants
    # a core, at ten times the time; spinning for some microseconds is as fast as spinning on where
    # none does (docs/log.md). Read when torch is first imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    given = list(sys.argv[1:] if arguments is None else arguments)
    ended: int | SystemExit = 0
    try:
        try:
            with interrupts_come_through():
                ended = _run(given)
        except SystemExit as stopped:  # after help
            ended = stopped
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is left to flush
        if isinstance(error, BrokenPipeError):
            return _NOBODY_READS
        if ended != 1:  # else it was said
            say(f"the answer cannot be written: {error}")
        return 1
    if isinstance(ended, SystemExit):
        raise ended
    return ended


def _run(given: list[str]) -> int:
    """Run the command that is named; answer a call without one, and errors."""
    name = given[0] if given else "--help"
    if name not in COMMANDS:
        return _without_command(name)
    kind = COMMANDS[name]
    command: Command | None = None
    try:
        with one_line_warnings():
            command = read_arguments(name, kind, given[1:])
            return command.run()
    except UsageError as error:
        _refuse(usage(name, kind), f"tsformer {name}", str(error))
    except BrokenPipeError:
        raise
    except Exception as error:  # whatever it is, the caller wants one line and a code
        unforeseen = command is None and not isinstance(error, OSError)  # help on a full disk, say
        if unforeseen or (command is not None and command.debug):
            traceback.print_exc()
        say(_line(error, kind))
        return 1


def _without_command(word: str) -> int:
    """Answer a call that names no command: help, the version, or what is wrong."""
    if word in ("-h", "--help"):
        print(_overview())
        return 0
    if word == "--version":
        print(f"tsformer {tsformer.__version__}")
        return 0
    close = difflib.get_close_matches(word, COMMANDS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(COMMANDS)}"
    _refuse("tsformer COMMAND …", "tsformer", f"there is no command {word}; {hint}")


def _overview() -> str:
    lines = [f"  {name:<10} {summary(command)}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: tsformer COMMAND …",
            "",
            "Forecast time series with transformers.",
            "",
            "commands:",
            *lines,
            "",
            "options:",
            "  -h, --help  show this, or after a command what it takes",
            "  --version   show the version",
            "",
            "examples:",
            "  tsformer predict sales.csv --horizon 14",
            "  tsformer predict --help",
        ]
    )


def _refuse(called: str, who: str, what: str) -> NoReturn:
    """Say how a command is called and what was wrong, and end with code 2."""
    print(f"usage: {called}\n{who}: error: {what} ({who} --help explains)", file=sys.stderr)
    raise SystemExit(2)


def _line(error: Exception, command: type[Command]) -> str:
    """Return an error in one line, in the words of the command line."""
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    text = " ".join(text.split())
    text = in_words_of_options(text, [field.name for field in fields(command)])
    meant = isinstance(error, ImportError | OSError | ValueError) or _is_check(error)
    if meant and text:
        return text
    return f"{type(error).__name__}: {text}; --debug shows where, for a report of this"


def _is_check(error: Exception) -> bool:
    """Return True for a TypeError that arose in our code, as those of its checks do."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    module = "" if place is None else place.tb_frame.f_globals.get("__name__", "")
    return isinstance(error, TypeError) and module.startswith("tsformer")
