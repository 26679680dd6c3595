"""The README as a stranger reads it: its snippets run, its commands and files exist."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import tsformer

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_snippets_run_one_after_the_other(working_directory: Path) -> None:
    snippets = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names: dict[str, object] = {}
    assert len(snippets) >= 3
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), names)
    assert (working_directory / "employment" / "config.json").is_file()
    assert (working_directory / "results" / "el_nino" / "report.md").is_file()
    for folder in ("employment", "results"):
        shutil.rmtree(working_directory / folder)


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
    promised = set(re.findall(r"`(\w+Forecaster)`", README))
    assert promised <= set(tsformer.__all__)
