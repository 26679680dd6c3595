"""The report in a real browser: it fits wide and narrow screens, its tables sort, nothing fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tsformer.evaluation.report import write_report
from tsformer.evaluation.runner import run_suite
from tsformer.evaluation.suite import load_suite, restrict

webdriver = pytest.importorskip("selenium.webdriver")

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of suite `quick` with the models that are done in seconds."""
    folder = tmp_path_factory.mktemp("quick")
    suite = restrict(load_suite("quick"), None, ["TSFormer"])
    return write_report(suite, run_suite(suite, folder), folder)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Yield Chromium without a window."""
    if not BROWSER or not DRIVER:
        pytest.skip("needs Chromium: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for option in [*OPTIONS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield started
    started.quit()


def show(browser: Any, report: Path, width: int) -> None:
    """Open the report on a screen of some width, all parts unfolded."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(report.as_uri())
    browser.execute_script("for (const d of document.querySelectorAll('details')) d.open = true")


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_overflows_no_picture_is_missing_and_the_console_is_silent(
    browser: Any, report: Path, width: int
) -> None:
    show(browser, report, width)
    page = "document.documentElement"
    assert browser.execute_script("return window.innerWidth") == width
    assert browser.execute_script(f"return {page}.scrollWidth") <= width
    pictures = browser.execute_script(
        "return [...document.images].map(i => [i.complete, i.naturalWidth, i.clientWidth])"
    )
    assert len(pictures) >= 13 + 3  # of each task, and of the whole suite
    assert all(loaded and natural > 100 for loaded, natural, _ in pictures)
    assert all(100 < shown <= width for *_, shown in pictures)
    assert browser.get_log("browser") == []


def test_a_page_with_an_error_would_not_pass(browser: Any, report: Path, tmp_path: Path) -> None:
    text = report.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    wide = '<div style="width: 3000px">wide</div><script>missing()</script>'
    broken.write_text(text.replace("</main>", f"</main>{wide}"), encoding="utf-8")
    show(browser, broken, 1280)
    assert browser.execute_script("return document.documentElement.scrollWidth") > 1280
    assert "missing is not defined" in browser.get_log("browser")[0]["message"]


def column(browser: Any, table: int, number: int) -> list[str]:
    """Return the values of a column as the table shows them now."""
    return browser.execute_script(
        "const table = document.querySelectorAll('table.sortable')[arguments[0]];"
        "return [...table.tBodies[0].rows].map(r => r.cells[arguments[1]].dataset.value)",
        table,
        number,
    )


def click(browser: Any, table: int, number: int) -> str:
    """Click the head of a column, and return what it says about its order."""
    return browser.execute_script(
        "const table = document.querySelectorAll('table.sortable')[arguments[0]];"
        "const head = table.tHead.rows[0].cells[arguments[1]];"
        "head.querySelector('button').click(); return head.getAttribute('aria-sort')",
        table,
        number,
    )


def test_every_table_sorts_by_every_column(browser: Any, report: Path) -> None:
    show(browser, report, 1280)
    n_tables = browser.execute_script("return document.querySelectorAll('table.sortable').length")
    assert n_tables == 2 + 2 * 3  # models, wins, and three of each metric
    for table in range(n_tables):
        for number in range(3):
            before = column(browser, table, number)
            assert click(browser, table, number) == "ascending"
            upward = column(browser, table, number)
            assert click(browser, table, number) == "descending"
            downward = column(browser, table, number)
            assert sorted(before) == sorted(upward) == sorted(downward)
            if number == 0:
                assert upward == sorted(before, key=str.lower)
                assert downward == upward[::-1]
            else:
                known = [float(value) for value in upward if value]
                assert known == sorted(known)
                assert [float(value) for value in downward if value] == known[::-1]
                assert "" not in [*upward[: len(known)], *downward[: len(known)]]


def test_a_reader_finds_which_model_how_sure_and_what_it_costs(browser: Any, report: Path) -> None:
    show(browser, report, 390)
    cards = browser.execute_script(
        "return [...document.querySelectorAll('.card')].map(c => c.innerText)"
    )
    assert [card.splitlines()[0] for card in cards] == [
        "Which model?",
        "How sure is that?",
        "What does it cost?",
    ]
    assert "TSFormer has the lowest CRPS over 13 tasks" in cards[0]
    assert "(95 %)" in cards[1]
    assert "seconds for all tasks" in cards[2]


def test_the_page_is_small(report: Path) -> None:
    assert report.stat().st_size < 5e6
    assert np.log10(report.stat().st_size) > 5  # and yet holds its pictures
