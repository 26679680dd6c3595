"""Networks on disk: one `safetensors` file, the sizes in its header."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

_KEY = "tsformer"


def write_weights(
    path: str | PathLike[str], network: Mapping[str, Tensor], kind: str, sizes: Mapping[str, Any]
) -> None:
    """Write a network whole or not at all.

    Args:
        path: of the file.
        network: its tensors by name.
        kind: the architecture's name.
        sizes: what its configuration was made from, as JSON can hold it.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.items()}
    described = json.dumps({"kind": kind, "sizes": dict(sizes)})
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    os.close(handle)
    try:
        save_file(tensors, draft, metadata={_KEY: described})
        os.chmod(draft, 0o644)  # safetensors lets nobody but its owner read it
        os.replace(draft, target)
    finally:
        Path(draft).unlink(missing_ok=True)


def read_weights(path: str | PathLike[str], kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the sizes of a network of this kind.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: for a file of something else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"weights={str(path)!r}: there is no such file")
    try:
        with safe_open(path, framework="pt") as file:
            described = json.loads((file.metadata() or {}).get(_KEY, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors' errors have no common class of their own
        raise ValueError(f"weights={str(path)!r} cannot be read: {error}") from error
    if described.get("kind") != kind:
        raise ValueError(
            f"weights={str(path)!r} is of {described.get('kind', 'something else')}, not of {kind}"
        )
    return tensors, described["sizes"]


def task_parts(network: Any) -> tuple[str, ...]:
    """Return which parts of a network belong to one task: a horizon, a head, some covariates."""
    return network.task_parts


def load_matching(
    network: nn.Module, tensors: Mapping[str, Tensor], replaceable: tuple[str, ...]
) -> None:
    """Put tensors into a network of the same sizes, which is changed.

    Those of `replaceable` parts (see `task_parts`) are left as they are where they do not fit.

    Raises:
        ValueError: where another tensor is missing or has another shape.
    """
    state = network.state_dict()
    loaded = {}
    for name, own in state.items():
        given = tensors.get(name)
        if given is not None and given.shape == own.shape:
            loaded[name] = given
        elif name.split(".")[0] not in replaceable:
            found = "is not among them" if given is None else f"has the shape {list(given.shape)}"
            raise ValueError(
                f"the weights do not fit: {name} should have the shape {list(own.shape)} but "
                f"{found}; leave sizes such as d_model and context_length as they were"
            )
    network.load_state_dict(loaded, strict=False)
