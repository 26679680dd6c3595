"""What a result depends on besides its configuration: versions, hardware, the size of a network."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import torch

from tsformer.llm.cost import count_parameters

_PACKAGES = ("tsformer", "torch", "lightning", "gluonts", "numpy", "pandas", "scikit-learn")


def environment() -> dict[str, Any]:
    """Return versions and hardware, all that JSON can hold and nothing that names the machine."""
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}",
    }


def n_parameters(forecaster: Any) -> int | None:
    """Return the numbers in a fitted forecaster's networks; None where it has none that is seen."""
    if hasattr(forecaster, "forecaster_"):
        inside = (forecaster.forecaster_, *getattr(forecaster, "others_", ()))
        seen = [count for one in inside if (count := n_parameters(one)) is not None]
        return sum(seen) if seen else None
    language_model = getattr(forecaster, "_language_model", None)
    if language_model is not None:
        return count_parameters(language_model)
    network = getattr(forecaster, "model_", None)
    if isinstance(network, torch.nn.Module):
        return sum(parameter.numel() for parameter in network.parameters())
    return getattr(forecaster, "n_parameters", None)


def machines(records: Iterable[Mapping[str, Any]]) -> list[list[tuple[str, str]]]:
    """Return each environment in which runs were made, once, as names and values."""
    found: dict[str, list[tuple[str, str]]] = {}
    for record in records:
        if environment := record.get("environment"):
            versions = ", ".join(f"{name} {v}" for name, v in environment["versions"].items())
            lines = [
                ("processor", f"{environment['processor']}, {environment['threads']} threads used"),
                ("memory", f"{environment['memory_gb']} GiB"),
                ("GPU", environment["gpu"] or "none"),
                ("system", environment["system"]),
                ("versions", versions),
            ]
            found[repr(lines)] = lines
    return [*found.values()]


@cache
def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package).split("+")[0]
        except PackageNotFoundError:
            continue
    return found


@cache
def _processor() -> str:
    """Return the name of the processor and how many cores this process may use."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():  # Linux: platform.processor() says little there
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.split(":")[1].strip() for line in lines if "model name" in line), name)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {usable} cores"
