"""Help, YAML and the reading of options, for every command alike."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

import tsformer
from tsformer.cli import COMMANDS
from tsformer.cli.command import Command, UsageError
from tsformer.cli.parser import read_arguments, summary
from tsformer.cli.predict import Predict


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_every_command_with_what_it_does(call: Any, words: list[str]) -> None:
    code, out, err = call(*words)
    assert (code, err) == (0, "")
    for name, command in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary(command))}$", out, re.MULTILINE), name
    assert max(map(len, out.splitlines())) <= 90


def test_the_version_is_that_of_the_package(call: Any) -> None:
    assert call("--version") == (0, f"tsformer {tsformer.__version__}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_explains_every_option_and_shows_how_it_is_used(
    call: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    code, out, err = call(name, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: tsformer {name}")
    assert summary(COMMANDS[name]) in " ".join(out.split())
    for field in fields(COMMANDS[name]):
        shown = field.metadata.get("metavar", f"--{field.name}")
        option = rf"^  {re.escape(shown)}(?: [A-Z_\[\]. ]+)?\s+\S.{{12}}"
        assert re.search(option, out, re.MULTILINE), shown


def test_a_wrong_word_in_a_docstring_would_be_noticed(call: Any) -> None:
    """Every documented name is a field, so that help cannot speak of what is not there."""
    for command in COMMANDS.values():
        for kind in command.__mro__:
            if not issubclass(kind, Command):
                continue
            documented = re.findall(r"^        (\w+): ", kind.__doc__ or "", re.MULTILINE)
            assert set(documented) <= {field.name for field in fields(kind)}, kind
            assert documented, kind


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_the_help_are_calls_that_are_understood(call: Any, name: str) -> None:
    examples = call(name, "--help").out.partition("examples:\n")[2].strip().splitlines()
    assert any(f"tsformer {name}" in example for example in examples)
    for example in examples:
        for part in example.split("|"):
            words = shlex.split(part)
            if words[0] == "tsformer":
                read_arguments(words[1], COMMANDS[words[1]], words[2:])


def test_options_are_read_by_their_types() -> None:
    words = "a.csv --level 80 95 --id_col 7 --horizon 3 --parameters.max_steps 200"
    given = f"{words} --parameters.norm layer --parameters.names [a,b] --plot p.png --wide"
    assert read_arguments("predict", Predict, given.split()) == Predict(
        file="a.csv",
        level=[80.0, 95.0],
        id_col="7",
        horizon=3,
        parameters={"max_steps": 200, "norm": "layer", "names": ["a", "b"]},
        plot=Path("p.png"),
        wide=True,
    )


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("level: 80", {"level": [80.0]}),
        ("target_col: y  # one", {"target_col": ["y"]}),
        ("target_col: 'a b'\nlevel: [80]", {"target_col": ["a b"], "level": [80.0]}),
        ("level: 80\nhorizon: 3\nfuture_covariates: a", {"level": [80.0], "horizon": 3}),
        ("{horizon: 3, level: 80}", {"level": [80.0], "horizon": 3}),
        ("level: null", {"level": None}),
        ("parameters: {level: 80, lr: 1e-3}", {"parameters": {"level": 80, "lr": 1e-3}}),
        ("level: 80\nparameters: {lr: 1e-3}", {"level": [80.0], "parameters": {"lr": 1e-3}}),
    ],
)
def test_one_value_in_a_file_is_a_list_of_one(
    tmp_path: Path, text: str, read: dict[str, Any]
) -> None:
    (tmp_path / "c.yaml").write_text(text)
    found = read_arguments("predict", Predict, ["a.csv", "--config", str(tmp_path / "c.yaml")])
    assert {name: getattr(found, name) for name in read} == read


def test_a_configuration_that_is_no_yaml_is_refused_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("level: [80\nhorizon: 3\n")
    with pytest.raises(UsageError, match=r"c.yaml is no YAML: line 2, column \d+: expected"):
        read_arguments("predict", Predict, ["a.csv", "--config", str(tmp_path / "c.yaml")])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("predict", ["--output FILE", "--plot FILE", "--future FILE", "--static FILE"]),
        ("predict", ["--config FILE"]),
        ("fit", ["--output FOLDER"]),
        ("plot", ["--output FILE"]),
        ("tokenize", ["--output FOLDER"]),
    ],
)
def test_files_and_folders_are_called_so(call: Any, name: str, shown: list[str]) -> None:
    out = call(name, "--help").out
    assert all(option in out for option in shown)


def test_what_is_printed_as_yaml_is_read_as_the_same_options(call: Any, tmp_path: Path) -> None:
    words = [
        "b.csv",
        "--quantiles",
        "0.1",
        "0.9",
        "--parameters.max_steps",
        "3",
        "--target_col",
        "y",
    ]
    code, out, _ = call("predict", *words, "--print_config")
    assert code == 0
    assert yaml.safe_load(out)["quantiles"] == [0.1, 0.9]
    (tmp_path / "c.yaml").write_text(out)
    again = read_arguments("predict", Predict, ["--config", str(tmp_path / "c.yaml")])
    assert again == read_arguments("predict", Predict, words)


@pytest.mark.parametrize("form", ["--config {}", "--config={}"])
def test_what_is_said_beside_a_configuration_counts_more_wherever_it_stands(
    tmp_path: Path, form: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("file: a.csv\nhorizon: 3\nlevel: [80]\nforecaster: PatchTSTForecaster\n")
    config = form.format(path).split()
    for words in (["b.csv", "--horizon", "5", *config], [*config, "b.csv", "--horizon", "5"]):
        assert read_arguments("predict", Predict, words) == Predict(
            file="b.csv", horizon=5, level=[80.0], forecaster="PatchTSTForecaster"
        )
