"""How long a model will take, guessed before it is asked."""

from __future__ import annotations

import math
from time import perf_counter

import torch

from tsformer.llm.backends.base import TextModel, TokenModel

# Of the machine's speed at large matrices, what is left where few tokens are written at a time:
# measured with SmolLM2-135M and 20 samples on two cores (docs/log.md).
_SHARE = 0.1


def guessed_speed(model: TokenModel | TextModel) -> float:
    """Return tokens per second, read or written for 20 samples at once; NaN where nobody can say.

    Two operations per parameter and token, at a tenth of the speed at which this machine
    multiplies large matrices.
    """
    n_parameters = count_parameters(model)
    if n_parameters is None:
        return math.nan
    size, times = 1024, []
    matrix = torch.ones(size, size)
    for _ in range(3):
        began = perf_counter()
        matrix @ matrix
        times.append(perf_counter() - began)
    per_second = 2 * size**3 / min(times)
    return _SHARE * per_second / (2 * n_parameters)


def count_parameters(model: TokenModel | TextModel) -> int | None:
    """Return the numbers in the network of a model; None where there is none in this process."""
    network = getattr(model, "gpt", None) or getattr(model, "model", None)
    if not isinstance(network, torch.nn.Module):
        return None
    return sum(parameter.numel() for parameter in network.parameters())
