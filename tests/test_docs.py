"""The documentation as a reader uses it: code runs, commands work, links lead somewhere.

Notebooks are executed where the site is built (`make docs`); here they are looked at.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import tsformer

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
NOTEBOOKS = sorted(DOCS.rglob("*.ipynb"))
LINKING = [*PAGES, *NOTEBOOKS, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
WIDTH = 82  # letters of a line of code that a page shows; see docs/ruff.toml
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
# what a page needs beside the package and its tests' own packages
NEEDS = {
    "how-to/command_line.md": ("pyarrow",),
    "how-to/gluonts.md": ("gluonts",),
    "how-to/nixtla.md": ("utilsforecast", "fev", "hierarchicalforecast"),
    "how-to/sktime.md": ("sktime",),
}


class Block(NamedTuple):
    language: str
    code: str


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks_of(page: Path) -> list[Block]:
    return [Block(*found) for found in FENCE.findall(text_of(page))]


def prose_of(page: Path) -> str:
    """Return what is not code, of a page or a notebook."""
    if page.suffix == ".ipynb":
        cells = json.loads(text_of(page))["cells"]
        return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return re.sub(r"`[^`\n]+`", "", FENCE.sub("", text_of(page)))


def commands_of(code: str) -> Iterator[list[str]]:
    """Yield the words of each line of a block for the shell."""
    for line in code.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def run_command(words: list[str]) -> None:
    """Run a command of ours; of others, see that what they name exists."""
    program, *arguments = words
    if program == "tsformer":
        from tsformer.cli import main

        assert main(arguments) == 0, words
    elif program == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert re.search(rf"^{arguments[0]}:", makefile, flags=re.MULTILINE), words
    else:
        assert words[:2] == ["pip", "install"], f"nobody knows how to test {words}"
        known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = re.findall(r"[a-z]+", "".join(re.findall(r"\[([^]]+)\]", arguments[-1])))
        assert set(extras) <= set(known["optional-dependencies"]), words


@pytest.mark.parametrize("page", [p for p in PAGES if blocks_of(p)], ids=name_of)
def test_what_a_page_shows_works(page: Path, run_snippet: Callable[..., None]) -> None:
    for package in NEEDS.get(name_of(page), ()):
        pytest.importorskip(package)
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks_of(page):
        if block.language == "python":
            run_snippet(block.code, names, name_of(page))
        elif block.language == "sh":
            for words in commands_of(block.code):
                run_command(words)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_its_language_and_fits_the_page(page: Path) -> None:
    for block in blocks_of(page):
        assert block.language in {"python", "sh", "text"}, block.code
        assert max(map(len, block.code.splitlines())) <= WIDTH, block.code


@pytest.fixture(scope="session")
def in_git() -> Callable[[Path], bool]:
    """Return a function that says whether a clone has a file; without git, whether it is there."""
    asked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if asked.returncode:
        return Path.is_file
    known = {(ROOT / name).resolve() for name in asked.stdout.decode().split("\0")}
    return lambda path: path.is_file() and path.resolve() in known


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_pictures_lead_to_files(page: Path, in_git: Callable[[Path], bool]) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        path = target.partition("#")[0]
        if page.is_relative_to(DOCS):
            assert not path.startswith(("http", "/")), f"{target}: the site must be complete"
        elsewhere = not path or path.startswith("https://")
        assert elsewhere or in_git(page.parent / path), f"{target}: not in git; add it there"


def test_a_file_that_git_does_not_know_is_missing(in_git: Callable[[Path], bool]) -> None:
    assert in_git(DOCS / "ideas" / ".." / "forecast.png")
    assert not in_git(DOCS / "nowhere.png")
    assert in_git is Path.is_file or not in_git(ROOT / ".git" / "HEAD")


def test_pictures_of_the_ideas_are_drawn_by_the_script_and_shown() -> None:
    drawn = set(re.findall(r'"(\w+\.png)"', text_of(ROOT / "scripts" / "draw_docs.py")))
    shown = set(re.findall(r"\]\((\w+\.png)\)", "".join(map(text_of, DOCS.glob("ideas/*.md")))))
    assert drawn == shown == {path.name for path in DOCS.glob("ideas/*.png")}


def test_the_navigation_holds_every_page_once() -> None:
    def leaves(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        for part in entry.values() if isinstance(entry, dict) else entry:
            if not isinstance(entry, str):
                yield from leaves(part)

    navigation = yaml.safe_load(text_of(ROOT / "mkdocs.yml"))["nav"]
    assert sorted(leaves(navigation)) == sorted(map(name_of, [*PAGES, *NOTEBOOKS]))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name_of)
def test_notebooks_hold_code_that_compiles_and_no_outputs(notebook: Path) -> None:
    content = json.loads(text_of(notebook))
    cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 3
    for cell in cells:
        assert cell["outputs"] == [], cell["id"]
        assert cell["execution_count"] is None, cell["id"]
        lines = [line for line in cell["source"] if not line.startswith("%")]
        compile("".join(lines), notebook.name, "exec")
        assert max(len(line.rstrip()) for line in lines) <= WIDTH, cell["id"]
    assert content["metadata"]["kernelspec"]["name"] == "python3"


# The interface


def documented() -> list[str]:
    return re.findall(r"^::: (\S+)$", "".join(map(text_of, PAGES)), flags=re.MULTILINE)


@pytest.mark.parametrize("path", documented())
def test_documented_names_exist_and_say_what_they_are(path: str) -> None:
    module, _, name = path.rpartition(".")
    try:
        found: Any = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path and not str(error.name).startswith("tsformer"):
            pytest.skip(str(error))
        found = getattr(importlib.import_module(module), name)
    except ImportError as error:
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))
    assert found.__doc__, path


def test_every_public_name_is_documented() -> None:
    whole = {f"{tsformer._HOME[name]}.{name}" for name in tsformer.__all__}
    assert whole <= {*documented()}  # `load` is the last word of two of them


# Quotes


@pytest.fixture(scope="module")
def hooks() -> Any:
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Page:
    def __init__(self, name: str) -> None:
        self.file = type("File", (), {"src_uri": name})()


def test_quotes_are_filled_in_with_what_the_file_says(hooks: Any) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    begin = readme.index("## How good it is\n") + len("## How good it is\n")
    section = readme[begin : readme.index("\n## ", begin)].strip()
    text = hooks.on_page_markdown(
        "Before.\n<!-- quote: README.md # How good it is -->", page=Page("results/benchmark.md")
    )
    assert text.startswith("Before.\n")
    assert "[`docs/log.md`](../log.md)" in text
    assert text.replace("[`docs/log.md`](../log.md)", "`docs/log.md`") == f"Before.\n{section}"


@pytest.mark.parametrize("page", [p for p in PAGES if "<!-- " in text_of(p)], ids=name_of)
def test_no_quote_is_left_open(page: Path, hooks: Any) -> None:
    text = hooks.on_page_markdown(text_of(page), page=Page(name_of(page)))
    assert "<!-- " not in text
    assert len(text) > len(text_of(page)) + 200


def test_a_quote_of_a_heading_that_is_gone_is_an_error(hooks: Any) -> None:
    with pytest.raises(ValueError, match="has no heading 'Nowhere'"):
        hooks.quote("README.md", "Nowhere", "")


@pytest.mark.parametrize(
    "tag",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/css">',
        "<img alt=a src=http://elsewhere.example/a.png>",
    ],
)
def test_pages_that_would_fetch_something_are_refused(hooks: Any, tag: str) -> None:
    harmless = '<a href="https://example.org">a link</a><script src="assets/x.js"></script>'
    assert hooks.on_post_page(harmless, page=Page("a.md")) == harmless
    with pytest.raises(Exception, match=r"a\.md would fetch"):
        hooks.on_post_page(harmless + tag, page=Page("a.md"))
