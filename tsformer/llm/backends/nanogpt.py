"""NanoGPT: the small language model of numbers that comes with the package."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from tsformer.llm.backends.base import pad_left
from tsformer.llm.scaler import Scaler, fit_scaler
from tsformer.llm.serialize import SerializerSettings, preset
from tsformer.llm.vocabulary import Vocabulary, pieces_vocabulary
from tsformer.models.gpt import GPT, Cache, GPTSettings
from tsformer.models.numbers import NumberVocabulary

WEIGHTS = Path(__file__).parents[2] / "weights" / "nanogpt.safetensors"


class NanoGPT:
    """A `TokenModel` whose tokens are bins of scaled values, trained on synthetic series only.

    Its texts look like `season=12 512 530 498 `: first the season, then one bin per value.

    Args:
        weights: file of weights, with the sizes of the network in a `.json` beside it.
    """

    name = "nanogpt"

    def __init__(self, weights: Path = WEIGHTS) -> None:
        sizes = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
        self.gpt = GPT(GPTSettings(**sizes))
        self.gpt.load_state_dict(load_file(weights))
        self.gpt.float().eval()
        self.numbers = NumberVocabulary()
        self.vocabulary = number_vocabulary(self.numbers)
        self.context_length = self.gpt.settings.context_length
        self.settings: SerializerSettings | None = number_settings(self.numbers)

    def header(self, season_length: int | None) -> str:
        """Return how a text begins; None does not say what the season is."""
        known = season_length in self.numbers.seasons
        return f"season={season_length if known else '?'} "

    def fit_scaler(self, values: np.ndarray) -> Scaler:
        """Return the scaler by which a series becomes bins, as in training."""
        per_unit = self.numbers.per_unit
        shift = self.numbers.limit * per_unit
        return fit_scaler(values, "arcsinh", multiplier=per_unit, shift=shift)

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Cache]:
        """Read prompts once; return logits of what follows, `[B, V]`, and a state."""
        return self.gpt.prefill(*pad_left(prompts))

    @torch.inference_mode()
    def step(self, tokens: Tensor, parents: Tensor, state: Cache) -> Tensor:
        """Append a token to each branch; return logits, `[B, S, V]`. See `TokenModel`."""
        first = state.layers[0].length == 0
        state.reorder(torch.zeros_like(parents) if first else parents)
        return self.gpt.step(tokens, state)

    @torch.inference_mode()
    def score(self, tokens: Sequence[int], first: int) -> Tensor:
        """Return the logits by which `tokens[first:]` were foretold."""
        return self.gpt(torch.tensor([tokens[:-1]]))[0, first - 1 :]


@cache
def load_nanogpt() -> NanoGPT:
    """Return the model of the package, read once per process."""
    return NanoGPT()


def number_vocabulary(numbers: NumberVocabulary) -> Vocabulary:
    """Return NanoGPT's tokens as pieces of text, each with the blank that ends it."""
    bins = [f"{number} " for number in range(numbers.n_bins)]
    seasons = [f"season={season} " for season in ("?", *numbers.seasons)]
    return pieces_vocabulary([*bins, "nan ", *seasons])


def number_settings(numbers: NumberVocabulary) -> SerializerSettings:
    """Return how values are written for NanoGPT: one bin per value."""
    return preset("binned", base=numbers.n_bins)
