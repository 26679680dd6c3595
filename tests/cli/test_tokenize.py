"""`tsformer tokenize`: what it prints and writes, and how it says what is wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer.cli import main
from tsformer.cli.tokenize import Tokenize
from tsformer.llm.backends.nanogpt import WEIGHTS
from tsformer.llm.scaler import Scaler
from tsformer.llm.serialize import PRESETS, preset
from tsformer.llm.tokens import tokenize_series

tokenizers = pytest.importorskip("tokenizers")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the file of a byte-level tokenizer, some of whose tokens are several digits."""
    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator([", ".join(map(str, range(0, 1000, 7)))], trainer)
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    trained.save(str(file))
    return file


FRAME = pd.DataFrame(
    {
        "unique_id": ["sea"] * 30 + ["air"] * 12,
        "ds": [*pd.date_range("2024-01-01", periods=30), *pd.date_range("2024-02-01", periods=12)],
        "y": np.r_[np.random.default_rng(0).normal(size=30).cumsum(), np.arange(12) * 100.0],
    }
)
FRAME.loc[7, "y"] = np.nan


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file of two series."""
    path = tmp_path / "demand.csv"
    FRAME.to_csv(path, index=False)
    return path


def run(*arguments: Any) -> int:
    return main(["tokenize", *map(str, arguments)])


def test_the_cost_of_each_series_and_the_first_text_are_printed(
    file: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, "--tokenizer", tokenizer) == 0
    expected = tokenize_series(FRAME, tokenizers.Tokenizer.from_file(str(tokenizer)))
    shown = capsys.readouterr()
    table, _, text = shown.out.partition("\n\n")
    assert table == expected.cost.to_string(index=False)
    assert "price" not in table
    first = expected.series[0]
    assert text == f"{first.name}: {first.text}\n"
    assert shown.err == ""


@pytest.mark.parametrize("name", PRESETS)
def test_settings_scaler_and_price_are_those_that_were_named(
    file: Path, tokenizer: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "deep" / "out"
    given = ["--settings", name, "--scaler", "minmax", "--price", 2.5, "--output", output]
    assert run(file, "--tokenizer", tokenizer, *given) == 0
    expected = tokenize_series(FRAME, str(tokenizer), preset(name), scaler="minmax", price=2.5)
    assert capsys.readouterr().out == expected.cost.to_string(index=False) + "\n"
    cost = pd.read_csv(output / "cost.csv")
    pd.testing.assert_frame_equal(cost, expected.cost)
    assert (cost["price"] == cost["tokens"] * 2.5 / 1e6).all()


def test_the_output_holds_all_that_is_needed_to_read_the_values_back(
    file: Path, tokenizer: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    assert run(file, "--tokenizer", tokenizer, "--output", output) == 0
    assert sorted(path.name for path in output.iterdir()) == ["cost.csv", "tokens.jsonl"]
    lines = (output / "tokens.jsonl").read_text(encoding="utf-8").splitlines()
    series = [json.loads(line) for line in lines]
    assert [one["unique_id"] for one in series] == ["air", "sea"]
    bpe, settings = tokenizers.Tokenizer.from_file(str(tokenizer)), preset("llmtime-gpt3")
    for one in series:
        assert bpe.decode(one["ids"]) == one["text"]
        read = Scaler(**one["scaler"]).inverse(settings.deserialize(one["text"]))
        known = FRAME.loc[FRAME["unique_id"] == one["unique_id"], "y"]
        np.testing.assert_allclose(read, known, atol=0.002 * known.max())
        assert len(one["begins"]) == len(one["ends"]) == len(known)
        words = one["text"].split(settings.value_separator)
        for begin, end, word in zip(one["begins"], one["ends"], words, strict=True):
            assert word in bpe.decode(one["ids"][begin:end])


def test_of_a_long_text_the_beginning_is_printed(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FRAME.iloc[:30, 1:].to_csv(file, index=False)
    assert run(file, "--tokenizer", "ngram") == 0
    whole = tokenize_series(pd.read_csv(file), "ngram").series[0].text
    longer = pd.DataFrame({"ds": range(90), "y": np.sin(np.arange(90))})
    longer.to_csv(file, index=False)
    assert capsys.readouterr().out.endswith(f"y: {whole}\n")
    assert run(file, "--tokenizer", "ngram") == 0
    text = tokenize_series(longer, "ngram").series[0].text
    assert capsys.readouterr().out.endswith(f"\ny: {text[:200]}…\n")


@pytest.mark.parametrize("name", ["llmtime-llama", "plain-digits"])
def test_every_kind_of_scaler_writes_what_the_settings_allow(
    file: Path, tokenizer: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--tokenizer", tokenizer, "--settings", name]
    for kind in ("quantile", "minmax", "standard", "arcsinh"):
        assert run(file, *given, "--scaler", kind) == 0, capsys.readouterr().err


def test_without_a_scaler_the_values_are_written_as_they_are(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd.DataFrame({"ds": range(5), "y": [1.0, 2.0, 3.0, 5.0, 8.0]}).to_csv(file, index=False)
    given = ["--settings", "plain-digits", "--scaler", "identity"]
    assert run(file, "--tokenizer", "ngram", *given) == 0
    assert "\ny: 1,2,3,5,8" in capsys.readouterr().out


def test_a_second_run_replaces_the_output_of_the_first(
    file: Path, tokenizer: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    contents = []
    for settings in ("binned", "plain-digits", "binned"):
        assert run(file, "--tokenizer", tokenizer, "--settings", settings, "--output", output) == 0
        contents.append({path.name: path.read_text() for path in output.iterdir()})
    assert contents[0] == contents[2] != contents[1]


def test_the_standard_input_and_parquet_are_read_too(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(file, "--tokenizer", "ngram")
    expected = capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO(file.read_text()))
    assert run("-", "--tokenizer", "ngram") == 0
    assert capsys.readouterr().out == expected
    pytest.importorskip("pyarrow")
    for name in ("demand.parquet", "demand.pq"):
        FRAME.to_parquet(tmp_path / name)
        assert run(tmp_path / name, "--tokenizer", "ngram") == 0
        assert capsys.readouterr().out == expected


def test_a_model_of_the_package_has_its_own_way_of_writing(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, "--tokenizer", "ngram") == 0
    table, _, text = capsys.readouterr().out.partition("\n\n")
    costs = pd.read_csv(io.StringIO(table), sep=r"\s+")
    assert costs["tokens_per_value"].tolist() == [4, 4]  # three digits and a comma
    assert text.startswith("air: 1")


@pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"{WEIGHTS.name} is not there")
def test_nanogpt_is_the_default_and_has_a_token_per_value(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file) == 0
    table = capsys.readouterr().out.partition("\n\n")[0]
    costs = pd.read_csv(io.StringIO(table), sep=r"\s+")
    assert costs["tokens"].tolist() == costs["values"].tolist() == [12, 30]


@pytest.mark.parametrize(
    ("arguments", "content", "message"),
    [
        (["none.csv"], None, "none.csv: No such file or directory"),
        (["FILE", "--tokenizer", "none.json"], None, "none.json: there is no such tokenizer"),
        (["FILE", "--tokenizer", "none"], None, "none: there is no such model folder or GGUF"),
        (["FILE", "--settings", "nope"], None, "preset='nope' is none of llmtime-gpt3"),
        (["FILE"], "a,b\n1,2\n", "no column 'ds' or 'timestamp' among ['a', 'b']"),
        (["FILE"], "", "is empty; it needs a line with the names of the columns"),
        (["FILE"], "ds,y\n1,2\n3,4,5,6\n", "Expected 2 fields in line 3, saw 4"),
        (["FILE"], "ds,y\n2024-01-01,x\n", "column 'y' has 'x' at row 0, which is not a number"),
        (
            ["FILE", "--settings", "plain-digits", "--scaler", "identity"],
            None,
            "series 'air': value 10 is 1000; 3 digits of base 10 end at 1000",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    file: Path,
    tokenizer: Path,
    arguments: list[str],
    content: str | None,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "none" in arguments:
        pytest.importorskip("transformers")
    if content is not None:
        file.write_text(content)
    given = [str(file) if argument == "FILE" else argument for argument in arguments]
    given += [] if "--tokenizer" in given else ["--tokenizer", str(tokenizer)]
    assert run(*given) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("tsformer: ")
    assert message in shown.err
    assert shown.err.count("\n") == 1


def test_when_writing_fails_then_no_half_file_is_left(
    file: Path, tokenizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("a file, not a folder")
    with pytest.raises(SystemExit) as stopped:
        run(file, "--tokenizer", tokenizer, "--output", tmp_path / "out")
    assert stopped.value.code == 2
    assert "out is a file; pass the name of a folder" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demand.csv", "out"]


def test_columns_of_other_names_are_told(
    file: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, "--tokenizer", tokenizer) == 0
    expected = capsys.readouterr().out
    renamed = FRAME.set_axis(["place", "day", "sold"], axis="columns").assign(y="no number")
    renamed.to_csv(file, index=False)
    words = ["--id_col", "place", "--time_col", "day", "--target_col", "sold"]
    assert run(file, "--tokenizer", tokenizer, *words) == 0
    assert capsys.readouterr().out == expected
    assert run(file, "--tokenizer", tokenizer) == 1
    assert "--id_col, --time_col and --target_col" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(file, "--tokenizer", tokenizer, *words, "y")
    assert "--target_col must be one column" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["tokenise"], ["tokenize"], ["tokenize", "x.csv", "--scaler", "nope"]]
)
def test_a_wrong_call_shows_how_it_is_used(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith("usage: tsformer")
    assert "error: " in shown


def test_help_explains_the_command_and_all_that_it_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    summary = (Tokenize.__doc__ or "").splitlines()[0]
    assert main(["--help"]) == 0
    assert summary in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit):
        main(["tokenize", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "FILE CSV or Parquet, one row per series and time; - reads CSV" in text
    assert "--tokenizer TOKENIZER folder, tokenizer.json or GGUF file of a language model" in text
    assert all(f"--{name} {name.upper()}" in text for name in ("settings", "scaler", "price"))
    assert all(name in text for name in PRESETS)


def test_the_module_is_the_command(file: Path, tokenizer: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "tsformer.cli", "tokenize", file, "--tokenizer", tokenizer],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.split()[:3] == ["unique_id", "values", "tokens"]
