"""The command as a process of its own: pipes, signals, and what help costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WORDS = ["--forecaster", "SeasonalNaiveForecaster", "--horizon", "3"]
# Python ends by the signal itself, which shells call 130, too, where it fell into code that is made
# at run time, as that of a dataclass
ENDED_BY_CTRL_C = (130, -signal.SIGINT)


def start(*words: Any, **pipes: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tsformer.cli", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **pipes}
    return subprocess.Popen(command, text=True, env=dict(os.environ), **pipes)


def test_series_come_and_forecasts_go_through_pipes(call: Any, file: Path) -> None:
    process = start("predict", "-", *WORDS, stdin=subprocess.PIPE)
    out, err = process.communicate(file.read_text(), timeout=60)
    assert (process.returncode, out, err) == call("predict", file, *WORDS)


@pytest.mark.parametrize("words", [["datasets"], ["--help"]])
def test_when_nobody_reads_on_then_quiet(words: list[str]) -> None:
    process = start(*words)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 141
    process.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("words", [["--help"], ["predict", "--help"], ["datasets"]])
def test_when_the_answer_cannot_be_written_then_one_line(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        process = start(*words, stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("tsformer: ")
    assert err.count("\n") == 1
    assert "No space left on device" in err


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c_ends_it_quietly_with_code_130(file: Path, tmp_path: Path) -> None:
    endless = ["--parameters.max_steps", 10**9, "--parameters.patience", 10**9]
    process = start("fit", file, *endless, "--output", tmp_path / "fitted")
    assert process.stderr is not None
    assert process.stderr.readline().startswith("tsformer: horizon=12")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode in ENDED_BY_CTRL_C
    assert (out, err) == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["sales.csv"]


FINALISED = """
import signal, time
from tsformer.cli.interrupts import interrupts_come_through

class Interrupted:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

class Failed:
    def __del__(self):
        raise ValueError("as ever")

try:
    with interrupts_come_through():
        Failed()
        Interrupted()
        print("went on", flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    print("ended")
"""


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_when_ctrl_c_falls_into_a_finaliser_then_it_comes_again() -> None:
    found = subprocess.run(
        [sys.executable, "-c", FINALISED], capture_output=True, text=True, check=True, timeout=50
    )
    assert found.stdout == "went on\nended\n"
    assert "ValueError: as ever" in found.stderr
    assert "KeyboardInterrupt" not in found.stderr


@pytest.mark.parametrize("words", [["--help"], ["predict", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    program = (
        "import sys\nfrom tsformer.cli import main\ntry:\n    main(sys.argv[1:])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'pandas', 'numpy', 'sklearn', 'matplotlib', 'lightning', 'gluonts'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith(("usage: tsformer", "tsformer "))
