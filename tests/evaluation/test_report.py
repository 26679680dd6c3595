"""The report: the same figures as a page, as Markdown and as files of results."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib import image

from tsformer.evaluation.environment import environment
from tsformer.evaluation.pictures import draw_training
from tsformer.evaluation.report import screen_table, write_report
from tsformer.evaluation.results import results_frame


class Page(HTMLParser):
    """What is in a page: headings, tables as lists of texts, pictures, all that it refers to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.pictures: list[dict[str, str]] = []
        self.addresses: list[str] = []
        self.kinds: dict[str, str] = {}
        self.open: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        given = dict(attributes)
        self.addresses += [given[name] for name in ("src", "href") if name in given]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.kind = given.get("class", "")
        elif tag == "img":
            self.pictures.append(given)
        elif tag in ("h1", "h2", "h3"):
            self.headings.append("")
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] in ("td", "button"):
            self.tables[-1][-1][-1] += data
            self.kinds[self.tables[-1][-1][-1]] = self.kind
        elif self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings[-1] += data

    def table(self, head: str) -> dict[str, list[str]]:
        """Return the first table that has a column of this name, by its first column."""
        found = next(table for table in self.tables if head in table[0])
        return {name: values for name, *values in found}


def test_the_screen_shows_every_model(suite: Any, records: Any) -> None:
    text = screen_table(suite, results_frame(records))
    assert "0.548" in text
    assert [line.split()[0] for line in text.splitlines()[2:]] == ["SeasonalNaive", "Net"]


def test_the_screen_says_so_where_nothing_came_to_an_end(suite: Any, failed: Any) -> None:
    assert screen_table(suite, results_frame([failed])).startswith("No run came to an end")


def test_the_report_is_written_in_all_forms(tmp_path: Path, suite: Any, records: Any) -> None:
    path = write_report(suite, records, tmp_path / "out")
    assert path == tmp_path / "out" / "report.html"
    names = {file.name for file in path.parent.iterdir()}
    assert {"report.html", "report.md", "results.csv", "pictures"} <= names
    csv = pd.read_csv(path.parent / "results.csv")
    assert csv["MASE"].tolist() == [record["scores"]["MASE"] for record in records]
    assert {"task", "model", "seed", "status", "CRPS", "coverage80", "fit_seconds"} <= {*csv}
    if "results.parquet" in names:
        table = pd.read_parquet(path.parent / "results.parquet")
        shown = [name for name in csv if name != "error"]  # nothing was said, in CSV unknown
        pd.testing.assert_frame_equal(table[shown], csv[shown], check_dtype=False)
    assert not [name for name in names if name.startswith(".")]


def test_the_page_needs_no_other_file(tmp_path: Path, suite: Any, records: Any) -> None:
    page = Page(write_report(suite, records, tmp_path))
    outside = [address for address in page.addresses if not address.startswith(("data:", "#"))]
    assert outside == []
    assert page.open == []
    anchors = {a for a in page.addresses if a.startswith("#")}
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(anchors) >= 5
    assert all(f'id="{anchor[1:]}"' in text for anchor in anchors)
    assert all(picture["alt"] for picture in page.pictures)


def test_the_page_holds_the_verdict_and_every_table(
    tmp_path: Path, suite: Any, records: Any
) -> None:
    page = Page(write_report(replace(suite, metrics=("CRPS",)), records, tmp_path))
    assert page.headings[:4] == [
        "My suite",
        "Which model?",
        "How sure is that?",
        "What does it cost?",
    ]
    assert "Net has the lowest CRPS over 2 tasks: 0.548 of that of SeasonalNaive." in page.text
    overall = page.table("mean rank")
    assert overall["Net"][0].startswith("0.548 (0.38–0.80)")
    assert overall["SeasonalNaive"][0].startswith("1.000")
    assert overall["Famous (published)"][0] == "–"  # misses a task
    relative, measured, ranks = (
        {name: values for name, *values in table} for table in page.tables if table[0][0] == "task"
    )
    assert relative["first"] == ["1.000", "0.375", "0.250"]
    assert measured["first"] == ["0.2000", "0.0750", "0.0500"]
    assert measured["geometric mean"] == [f"{np.sqrt(0.02):.4f}", f"{np.sqrt(0.006):.4f}", "–"]
    assert ranks["second/part"][:2] == ["2.0", "1.0"]
    assert page.kinds["0.375"] == "best"
    assert page.kinds["0.0500"] == "published"


def test_wins_are_shown_for_the_models_that_have_all_tasks(
    tmp_path: Path, suite: Any, records: Any
) -> None:
    page = Page(write_report(suite, records, tmp_path))
    wins = next(table for table in page.tables if table[0] == ["model", "Net", "SeasonalNaive"])
    assert wins[1:] == [["Net", "–", "1.00"], ["SeasonalNaive", "0.00", "–"]]


def test_the_configuration_the_machine_and_the_seeds_are_told(
    tmp_path: Path, suite: Any, records: Any
) -> None:
    told = [{**record, "environment": environment()} for record in records]
    page = Page(write_report(suite, told, tmp_path))
    begin = page.text.index("name: mine")
    configuration = yaml.safe_load(page.text[begin : page.text.index('"use strict"')])
    assert [task["name"] for task in configuration["tasks"]] == ["first", "second/part"]
    assert configuration["models"][1]["seeds"] == [0, 1]
    assert environment()["processor"] in page.text
    assert page.table("seed")["Net"][0] == "1"  # the later of the two rows
    assert f"- GPU: {environment()['gpu'] or 'none'}" in (tmp_path / "report.md").read_text()


def test_published_models_without_the_first_metric_have_a_row(
    tmp_path: Path, suite: Any, records: Any
) -> None:
    figures = {task.name: {"MASE": 0.5} for task in suite.tasks}
    page = Page(write_report(replace(suite, published={"Starred": figures}), records, tmp_path))
    row = page.table("mean rank")["Starred (published)"]
    assert row[0].startswith("0.354")
    assert row[1:3] == ["–", "–"]


def test_ranks_are_the_same_all_over_the_page(tmp_path: Path, suite: Any, records: Any) -> None:
    page = Page(write_report(replace(suite, metrics=("CRPS",)), records, tmp_path))
    foot = next(table[-1] for table in page.tables if table[-1][0] == "mean")
    assert foot[1:] == [page.table("mean rank")[name][1] for name in ("SeasonalNaive", "Net")]


def test_parameters_that_were_given_are_all_told(tmp_path: Path, suite: Any, records: Any) -> None:
    given = replace(suite.models[1], parameters={"patience": None, "head": "point"})
    told = replace(suite, models=(suite.models[0], given))
    text = Page(write_report(told, records, tmp_path)).text
    assert "patience: null" in text
    assert "pretrain:" not in text


def test_names_may_hold_signs_that_mean_something_elsewhere(
    tmp_path: Path, suite: Any, records: Any
) -> None:
    name = "$_$ a|b <c>"
    tasks = (replace(suite.tasks[0], name=name), suite.tasks[1])
    told = [{**r, "task": name if r["task"] == "first" else r["task"]} for r in records]
    for record in told:
        record["examples"][0]["series"] = "US$ per A$_"
    text = markdown_of(replace(suite, tasks=tasks), told, tmp_path)
    assert r"| $_$ a\|b <c> |" in text
    assert "$_$ a|b &lt;c&gt;" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_text_from_outside_is_no_markup(tmp_path: Path, suite: Any, records: Any) -> None:
    hostile = replace(suite, title="<script>alert(1)</script>", description="a < b & c")
    text = write_report(hostile, records, tmp_path).read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "a &lt; b &amp; c" in text


def test_the_text_holds_tables_published_figures_and_pictures(
    tmp_path: Path, suite: Any, records: Any
) -> None:
    text = markdown_of(suite, records, tmp_path)
    assert text.startswith("# My suite\n\nWhat it is.\n")
    assert "| Net | 0.548 |" in text
    assert "Famous (published)" in text
    assert "0.1234" in text
    assert "note on first" in text
    assert "| Net | 0 | " in text
    assert "Net has the lowest CRPS" in text
    for name in ("task_1_first.png", "task_2_second_part.png", "models.png", "time.png"):
        assert f"pictures/{name}" in text
        pixels = image.imread(tmp_path / "pictures" / name)
        assert pixels.shape[1] > 400
        assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 20


def markdown_of(suite: Any, records: Any, folder: Path) -> str:
    return write_report(suite, records, folder).with_suffix(".md").read_text(encoding="utf-8")


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing, which takes long."""
    monkeypatch.setattr("tsformer.evaluation.report.draw_overview", lambda *given: [])
    monkeypatch.setattr("tsformer.evaluation.report.draw_tasks", lambda *given: {})


@pytest.mark.usefixtures("no_pictures")
def test_what_failed_is_listed_with_its_error(
    tmp_path: Path, suite: Any, records: Any, failed: Any
) -> None:
    text = markdown_of(suite, [*records[:2], failed, *records[3:]], tmp_path)
    assert "- first, Net: failed. Boom: x" in text
    assert "first, Net: failed. Boom: x" in Page(tmp_path / "report.html").text


def test_when_nothing_is_done_then_there_still_is_a_report(
    tmp_path: Path, suite: Any, failed: Any
) -> None:
    assert "Boom: x" in markdown_of(suite, [failed], tmp_path)
    assert "Which model?" not in Page(tmp_path / "report.html").headings


def rows_of(text: str, title: str) -> dict[str, list[str]]:
    """Return the first table under a title, by its first column."""
    table = text.split(f"## {title}\n")[1].split("\n| ", 1)[1].split("\n\n")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines() if "---" not in line]
    return {name: values for name, *values in cells}


@pytest.fixture
def densities(suite: Any) -> Any:
    """Return the suite with densities, and published ones."""
    published = {"Famous": {"first": {"NLL": 4.43}, "second/part": {"NLL": -3.0}}}
    return replace(suite, metrics=("MASE", "NLL"), published=published)


@pytest.mark.usefixtures("no_pictures")
def test_tables_by_task_end_with_means(tmp_path: Path, densities: Any, scored_records: Any) -> None:
    text = markdown_of(densities, scored_records, tmp_path)
    assert rows_of(text, "NLL by task") == {
        "task": ["SeasonalNaive", "Net", "Famous (published)"],
        "first": ["5.0000", "3.5000", "4.4300"],
        "second/part": ["-1.0000", "-2.0000", "-3.0000"],
        "mean": ["2.0000", "0.7500", "0.7150"],
    }
    mase = rows_of(text, "MASE by task")
    assert [*mase] == ["task", "first", "second/part", "geometric mean"]
    assert mase["geometric mean"][:2] == [f"{np.sqrt(2):.4f}", f"{np.sqrt(0.75 * 0.8):.4f}"]
    overall = rows_of(text, "Over all tasks")
    assert overall["model"][:2] == ["relative MASE", "difference in NLL"]
    assert overall["Net"][:2] == ["0.548", "-1.250"]
    assert overall["SeasonalNaive"][:2] == ["1.000", "0.000"]


@pytest.mark.usefixtures("no_pictures")
def test_published_figures_that_miss_a_task_have_no_mean(
    tmp_path: Path, densities: Any, scored_records: Any
) -> None:
    published = {"Famous": {"first": {"NLL": 4.4}}, "Other": {"first": {"MASE": 1.0}}}
    given = replace(densities, published=published)
    table = rows_of(markdown_of(given, scored_records, tmp_path), "NLL by task")
    assert [row[2] for row in table.values()] == ["Famous (published)", "4.4000", "–", "–"]


@pytest.mark.parametrize("without", [{"Net"}, {"SeasonalNaive"}, {"Net", "SeasonalNaive"}])
@pytest.mark.usefixtures("no_pictures")
def test_models_without_a_density_leave_a_gap_and_no_error(
    tmp_path: Path, without: set[str], densities: Any, records: Any, scored_records: Any
) -> None:
    pairs = zip(records, scored_records, strict=True)
    given = [plain if scored["model"] in without else scored for plain, scored in pairs]
    text = markdown_of(densities, given, tmp_path)
    overall = rows_of(text, "Over all tasks")
    shown = {  # relative where the baseline has a density, else as it is
        name: overall[name][1] for name in ("SeasonalNaive", "Net")
    }
    naive = "0.000" if without == {"Net"} else "–"
    net = "0.750" if without == {"SeasonalNaive"} else "–"
    assert shown == {"SeasonalNaive": naive, "Net": net}
    assert "0.548" in screen_table(densities, results_frame(given))
    by_task = rows_of(text, "NLL by task")
    shown = [name for name in ("SeasonalNaive", "Net") if name not in without]
    assert by_task["task"][: len(shown)] == shown
    csv = pd.read_csv(tmp_path / "results.csv")
    assert csv.loc[csv["model"].isin(without), "NLL"].isna().all()
    assert csv.loc[~csv["model"].isin(without), "NLL"].notna().all()


@pytest.mark.usefixtures("no_pictures")
def test_what_was_skipped_is_listed_with_what_it_lacks(
    tmp_path: Path, densities: Any, scored_records: Any, failed: Any
) -> None:
    skipped = {**failed, "status": "skipped", "error": "pip install tiny"}
    given = [*scored_records[:2], skipped, *scored_records[3:]]
    text = markdown_of(densities, given, tmp_path)
    assert "- first, Net: skipped. pip install tiny" in text


def with_training(record: dict[str, Any], losses: list[float]) -> dict[str, Any]:
    history = [[10 * (look + 1), loss] for look, loss in enumerate(losses)]
    return {**record, "training": {"steps": 10 * len(losses), "history": history}}


def test_validation_losses_are_drawn_for_the_models_that_have_some(
    tmp_path: Path, suite: Any, records: Any
) -> None:
    given = [
        {**records[0], "training": None},
        with_training(records[1], [3.0, 2.0, 2.5]),
        with_training(records[2], [float("nan"), 1.0]),
        *records[3:],
    ]
    text = markdown_of(suite, given, tmp_path)
    assert text.count("_training.png") == 1
    assert "![Validation losses of first](pictures/task_1_first_training.png)" in text
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert {"task_1_first.png", "task_1_first_training.png", "task_2_second_part.png"} <= names
    assert "task_2_second_part_training.png" not in names


def pixels_near(picture: np.ndarray, colour: str) -> int:
    wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return int((np.abs(picture[..., :3] - wanted).max(axis=-1) < 0.05).sum())


def test_each_seed_is_a_line_and_each_model_a_panel(tmp_path: Path) -> None:
    one, two = [(1, 3.0), (2, 1.0)], [(1, 2.0), (2, 1.5), (3, float("nan"))]
    sizes, drawn = [], []
    for curves in ({"Net": [one]}, {"Net": [one, two]}, {"Net": [one], "Other": [two]}):
        draw_training("losses", curves, tmp_path / "losses.png")
        picture = image.imread(tmp_path / "losses.png")
        sizes.append(picture.shape[1])
        drawn.append([pixels_near(picture, colour) > 50 for colour in ("#0072B2", "#D55E00")])
    assert drawn == [[True, False], [True, True], [True, False]]
    assert sizes[0] == sizes[1] < sizes[2]


def test_losses_that_are_not_finite_are_no_error(tmp_path: Path) -> None:
    draw_training("losses", {"Net": [[(1, float("nan"))]]}, tmp_path / "losses.png")
    assert (tmp_path / "losses.png").is_file()


def test_starred_scores_stand_beside_published_figures_and_seconds_of_pretraining_by_themselves(
    tmp_path: Path, suite: Any, records: Any
) -> None:
    given = [
        {**record, "scores": {**record["scores"], "MSE*": 2 * record["scores"]["MASE"]}}
        for record in records
    ]
    given[1]["pretrain_seconds"], given[4]["pretrain_seconds"] = 7.0, 5.0
    starred_suite = replace(
        suite, metrics=("MSE*", "MSE"), published={"Famous": {"first": {"MSE*": 0.1234}}}
    )
    text = markdown_of(starred_suite, given, tmp_path)
    _, starred, other = text.split("## MSE")[:3]
    assert "| first | 4.0000 | 1.5000 | 0.1234 |" in starred
    assert "published" not in other
    summary = text.split("## Over all tasks")[1].splitlines()
    assert "pretrain s" in next(line for line in summary if line.startswith("| model"))
    assert "| 12.000 |" in next(line for line in summary if line.startswith("| Net"))
    assert "| – |" in next(line for line in summary if line.startswith("| SeasonalNaive"))
    assert "pretrain s" not in markdown_of(suite, records, tmp_path)
