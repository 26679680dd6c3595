"""Fitted forecasters on disk: `config.json` and `model.safetensors`, never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from tsformer.data.calendar import MICROSECONDS, Frequency
from tsformer.data.layout import Layout
from tsformer.data.panel import Panel
from tsformer.forecasters.saved_covariates import (
    covariate_arrays,
    covariates_to_json,
    read_covariates,
)
from tsformer.forecasters.saved_parameters import (
    made_from_json,
    parameters_to_json,
    plain_value,
)

if TYPE_CHECKING:
    from tsformer.forecasters.base import Forecaster

CONFIG, TENSORS = "config.json", "model.safetensors"
_FORMAT = 2


def save_forecaster(forecaster: Forecaster, folder: str | PathLike[str]) -> None:
    """Write a fitted forecaster: all of it beside the target first, then moved into place.

    Raises:
        ValueError: where `folder` holds other things than an earlier save, or the ids are not
            text or numbers.
    """
    target = Path(folder)
    _refuse_foreign(target)
    state, tensors = forecaster._state()
    panel, pooled, errors = forecaster.panel_, forecaster.pooled_, forecaster.naive_errors_
    unknown = np.full(panel.n_variates, np.nan)
    config = {
        "format": _FORMAT,
        "class": type(forecaster).__name__,
        "parameters": parameters_to_json(forecaster),
        "state": {**state, "season_length_": forecaster.season_length_},
        "covariates": covariates_to_json(panel),
        "freq": asdict(panel.freq),
        "time": panel.starts.dtype.kind,
        "ids": _plain_ids(panel.ids),
        "layout": forecaster.layout_.to_json(),
    }
    arrays = {
        "panel.values": panel.values,
        "panel.offsets": panel.offsets,
        "panel.starts": panel.starts.astype(np.int64),
        "layout.order": forecaster.layout_.order.astype(np.int64),
        "pooled.mean": pooled.mean,
        "pooled.quantiles": pooled.quantiles,
        "naive_errors": np.stack([errors.get(name, unknown) for name in panel.ids.tolist()]),
        **covariate_arrays(panel),
    }
    everything = {f"model.{name}": tensor.clone() for name, tensor in tensors.items()}
    everything |= {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        save_file(everything, draft / TENSORS)
        config["sha256"] = _digest(draft / TENSORS)
        text = json.dumps(config, indent=2, default=plain_value)
        (draft / CONFIG).write_text(text + "\n", encoding="utf-8")
        (draft / TENSORS).chmod(0o644)  # safetensors lets nobody else read
        draft.chmod(0o755)
        _move(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def load(folder: str | PathLike[str]) -> Any:
    """Return the fitted forecaster that `save` wrote into a folder.

    Nothing is executed: the folder is JSON and tensors.

    Raises:
        FileNotFoundError: where the folder is not a save.
        ValueError: for a save that this version cannot read.
    """
    from tsformer.forecasters import FORECASTERS
    from tsformer.forecasters.fallback import PooledValues

    source = Path(folder)
    for name in (CONFIG, TENSORS):
        if not (source / name).is_file():
            raise FileNotFoundError(f"{source} holds no {name}; pass a folder that save() wrote")
    config = _read_config(source)
    if config.get("format") != _FORMAT or config.get("class") not in FORECASTERS:
        raise ValueError(
            f"{source}: format {config.get('format')} of {config.get('class')} is not one that "
            "this version of tsformer reads; load it with the version that wrote it"
        )
    if config["sha256"] != _digest(source / TENSORS):
        raise ValueError(f"{source / TENSORS} is damaged, or of another save than {CONFIG}")
    tensors = load_file(source / TENSORS)
    forecaster = made_from_json(config["class"], config["parameters"])
    starts = tensors["panel.starts"].numpy()
    forecaster.panel_ = Panel(
        values=tensors["panel.values"].numpy(),
        offsets=tensors["panel.offsets"].numpy(),
        ids=_ids_from_json(config["ids"]),
        starts=starts if config["time"] == "i" else starts.astype(MICROSECONDS),
        freq=Frequency(**config["freq"]),
        **read_covariates(config["covariates"], tensors),
    )
    forecaster.pooled_ = PooledValues(
        mean=tensors["pooled.mean"].numpy(), quantiles=tensors["pooled.quantiles"].numpy()
    )
    errors = zip(forecaster.panel_.ids.tolist(), tensors["naive_errors"].numpy(), strict=True)
    forecaster.naive_errors_ = {name: row for name, row in errors if not np.isnan(row).any()}
    forecaster.layout_ = Layout.from_json(config["layout"], tensors["layout.order"].numpy())
    forecaster.season_length_ = config["state"]["season_length_"]
    prefix = "model."
    weights = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    forecaster._restore(config["state"], weights)
    return forecaster


def _refuse_foreign(target: Path) -> None:
    if target.is_file():
        raise ValueError(f"{target} is a file; pass the name of a folder")
    if target.is_dir():
        foreign = sorted({path.name for path in target.iterdir()} - {CONFIG, TENSORS})
        if foreign:
            raise ValueError(f"{target} holds {foreign[0]!r}; pass a new or an empty folder")


def _move(draft: Path, target: Path) -> None:
    """Put the whole draft in place of what was there; where that fails, put this back."""
    if not target.is_dir():
        os.replace(draft, target)
        return
    earlier = draft / "earlier"
    earlier.mkdir()
    try:
        for name in (CONFIG, TENSORS):
            if (target / name).exists():
                os.replace(target / name, earlier / name)
            os.replace(draft / name, target / name)
    except BaseException:
        for path in earlier.iterdir():
            os.replace(path, target / path.name)
        raise


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _read_config(source: Path) -> dict[str, Any]:
    try:
        config = json.loads((source / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{source / CONFIG} is damaged: {error}") from error
    return config if isinstance(config, dict) else {}


def _plain_ids(ids: np.ndarray) -> list[Any]:
    plain = ids.tolist()
    for name in plain:
        if not isinstance(name, str | int | float | bool):
            raise ValueError(f"series id {name!r} cannot be saved; use text or numbers as ids")
    return plain


def _ids_from_json(names: list[Any]) -> np.ndarray:
    kinds = {type(name) for name in names}
    return np.array(names, dtype=None if kinds <= {int, float} else object)
