"""Lets a page quote a file of the repository, so that nothing is written, or measured, twice.

`<!-- quote: README.md # How good it is -->` is replaced by the text under that heading, without
the heading itself; without `#`, by the whole file but its title. `<!-- docstring: path.py -->`
becomes that module's docstring, as it stands there.
"""

from __future__ import annotations

import ast
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

ROOT = Path(__file__).parents[1]
QUOTE = re.compile(r"<!-- quote: (?P<file>[^#]+?)(?: # (?P<heading>.+?))? -->")
FETCHED = re.compile(
    r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"?((?:https?:)?//[^\">\s]+)"
)
DOCSTRING = re.compile(r"<!-- docstring: (?P<file>\S+) -->")


def on_config(config: Any) -> Any:
    """Keep a remark on progress bars out of notebooks; MkDocs calls this first."""
    os.environ.setdefault("PYTHONWARNINGS", "ignore:IProgress not found")
    return config


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Return the page with its quotes filled in; MkDocs calls this for every page."""
    here = posixpath.dirname(page.file.src_uri)
    quoted = QUOTE.sub(
        lambda found: quote(found["file"], found["heading"], here), markdown
    )
    return DOCSTRING.sub(lambda found: docstring(found["file"]), quoted)


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """Return the finished page, which may fetch nothing from elsewhere; MkDocs calls this.

    Raises:
        PluginError: for a page that would.
    """
    if fetched := FETCHED.search(output):
        raise PluginError(
            f"{page.file.src_uri} would fetch {fetched[1]}; keep it in docs/assets"
        )
    return output


def quote(file: str, heading: str | None, here: str) -> str:
    """Return the text of a Markdown file, or of one section of it.

    Args:
        file: its path from the root of the repository.
        heading: of the section; None for everything below the title.
        here: the folder of the page that quotes it, below `docs`.

    Raises:
        ValueError: where there is no such heading.
    """
    text = (ROOT / file).read_text(encoding="utf-8")
    title = r"# [^\n]+" if heading is None else f"## {re.escape(heading)}"
    until = r"\Z" if heading is None else r"(?=^## |\Z)"
    found = re.search(
        rf"^{title}\n(.*?){until}", text, flags=re.DOTALL | re.MULTILINE
    )
    if found is None:
        raise ValueError(
            f"{file} has no heading {heading!r}; name one that it has"
        )
    return _with_links_from(here, found[1].strip())


def docstring(file: str) -> str:
    """Return a module's docstring as a block of plain text."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return f"```text\n{ast.get_docstring(tree)}\n```"


def _with_links_from(here: str, text: str) -> str:
    """Return the text with links, and names, of pages of `docs` as links from a folder of it."""

    def link(path: str) -> str:
        return posixpath.relpath(path, here or ".")

    text = re.sub(
        r"\]\((?:\.\./)*docs/([^)]+)\)", lambda m: f"]({link(m[1])})", text
    )
    return re.sub(
        r"`docs/(\w+\.md)`", lambda m: f"[`docs/{m[1]}`]({link(m[1])})", text
    )
