"""Models of Hugging Face's `transformers`, GGUF files included, in this process."""

from __future__ import annotations

import inspect
import io
import os
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tsformer.llm.backends.base import pad_left
from tsformer.llm.serialize import SerializerSettings
from tsformer.llm.vocabulary import vocabulary_of

_EXTRA = "language models need transformers and gguf: pip install 'tsformer[llm]'"


@dataclass
class Branches:
    """The state of a generation.

    Attributes:
        cache: keys and values of the prompts and of their branches, a `BranchCache`.
        known: `[B, N]`, False for padding on the left of a prompt.
        lengths: `[B]`, tokens of each prompt.
    """

    cache: Any
    known: Tensor
    lengths: Tensor


class HuggingFaceModel:
    """A `TokenModel` around a causal model of `transformers`.

    Args:
        model: a causal language model.
        tokenizer: its fast tokenizer.
        name: for reports.

    Raises:
        ValueError: where the model does not let each branch see its own positions only.
    """

    settings: SerializerSettings | None = None

    def __init__(self, model: Any, tokenizer: Any, name: str = "") -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary_of(tokenizer)
        self.name = name or type(model).__name__
        accepted = inspect.signature(model.forward).parameters
        self._keeps_last = "logits_to_keep" in accepted
        self._cache_word = "cache" if "cache" in accepted else "past_key_values"
        self._text_config = model.config.get_text_config()
        self.context_length = _window(self._text_config)
        by_branch = "kwargs" in accepted and self._text_config._attn_implementation == "sdpa"
        self._flat = not (by_branch and self._branches_fit(flat=False))
        if self._flat and not self._branches_fit(flat=True):
            raise ValueError(
                f"{self.name}: the model does not take a mask of its own per branch, as by "
                "sliding windows or recurrent states; load it with attn_implementation='sdpa', "
                "or serve it and give its URL"
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str], dtype: str = "auto") -> HuggingFaceModel:
        """Return the model of a folder, or of a GGUF file, on this machine; nothing is downloaded.

        Args:
            path: folder of a saved model, or a file that ends with `.gguf`.
            dtype: of the weights; `"auto"` is float32 on a CPU and bfloat16 on a GPU.

        Raises:
            FileNotFoundError: where there is no such folder or file.
            ImportError: where the extra `llm` is not installed.
        """
        tokenizer = read_tokenizer(path)
        from transformers import AutoModelForCausalLM

        source = Path(path)
        folder, gguf = _split(source)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        chosen = {"cuda": "bfloat16", "cpu": "float32"}[device] if dtype == "auto" else dtype
        with redirect_stderr(io.StringIO()):  # progress bars, which cannot all be switched off
            model = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, dtype=getattr(torch, chosen), **gguf
            )
        return cls(model.to(device), tokenizer, name=source.stem)

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Branches]:
        """Read prompts once; return logits of what follows, `[B, V]`, and a state."""
        tokens, known = (part.to(self.model.device) for part in pad_left(prompts))
        cache = self._empty_cache()
        logits = self._forward(
            tokens,
            attention_mask=known.long(),
            position_ids=(known.cumsum(dim=1) - 1).clamp(min=0),
            **{self._cache_word: cache},
        )
        return logits[:, -1].float(), Branches(cache, known, known.sum(dim=1))

    @torch.inference_mode()
    def step(self, tokens: Tensor, parents: Tensor, state: Branches) -> Tensor:
        """Append a token to each branch; return logits, `[B, S, V]`. See `TokenModel`."""
        cache = state.cache
        cache.branch(parents)
        positions = (state.lengths + cache.depth)[:, None].expand(tokens.shape)
        mask = self._additive(cache.visible(state.known))
        with cache.attention(self._text_config) as given:
            given |= {self._cache_word: cache, "attention_mask": mask, "position_ids": positions}
            return self._forward(tokens.to(mask.device), keep=tokens.shape[1], **given).float()

    @torch.inference_mode()
    def score(self, tokens: Sequence[int], first: int) -> Tensor:
        """Return the logits by which `tokens[first:]` were foretold."""
        row = torch.tensor([tokens[:-1]], device=self.model.device)
        return self._forward(row, keep=len(tokens) - first)[0].float()

    def _forward(self, tokens: Tensor, keep: int = 1, **given: Any) -> Tensor:
        """Return the logits of the last `keep` positions, `[B, keep, V]`."""
        if self._keeps_last:
            given["logits_to_keep"] = keep
        use_cache = self._cache_word in given
        return self.model(input_ids=tokens, use_cache=use_cache, **given).logits[:, -keep:]

    def _additive(self, visible: Tensor) -> Tensor:
        dtype = self.model.dtype
        mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        return mask.masked_fill_(~visible, torch.finfo(dtype).min)

    def _empty_cache(self) -> Any:
        try:
            from tsformer.llm.backends.branches import BranchCache
        except ImportError as error:
            raise ImportError(_EXTRA) from error
        return BranchCache(self._text_config.num_hidden_layers, flat=self._flat)

    def _branches_fit(self, *, flat: bool) -> bool:
        """Return whether branches read as one row are like rows of their own."""
        self._flat = flat
        ids = self.vocabulary.encode("1 2 3 4 5 6")
        prompt, left, right = [*self.vocabulary.beginning, *ids[:-2]], ids[-2], ids[-1]
        _, state = self.prefill([prompt])
        try:
            self.step(torch.tensor([[left, right]]), torch.tensor([[0, 0]]), state)
            together = self.step(torch.tensor([[left, right]]), torch.tensor([[1, 0]]), state)[0]
        except (RuntimeError, TypeError, AttributeError):
            if flat:
                raise
            return False  # a model that does not hand on what `attend_by_branch` needs
        apart = [self.score([*prompt, *pair, 0], len(prompt) + 2)[0] for pair in
                 ((right, left), (left, right))]  # fmt: skip
        expected = torch.stack(apart)
        slack = 1e-2 if self.model.dtype == torch.float32 else 0.5
        return torch.allclose(together, expected, atol=slack * float(expected.std()))


def _window(config: Any) -> int:
    """Return how many tokens all layers see; further ones, sliding windows leave out.

    A branch sees all of its prompt, which beyond that window is another model.
    """
    longest = int(getattr(config, "max_position_embeddings", 2048))
    sliding = getattr(config, "sliding_window", None)
    slides = "sliding_attention" in (getattr(config, "layer_types", None) or ["sliding_attention"])
    return min(longest, int(sliding)) if sliding and slides else longest


def read_tokenizer(path: str | os.PathLike[str]) -> Any:
    """Return the tokenizer of a model's folder or GGUF file; see `HuggingFaceModel.load`."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: there is no such model folder or GGUF file")
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise ImportError(_EXTRA) from error
    folder, gguf = _split(Path(path))
    with redirect_stderr(io.StringIO()):
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, **gguf)


def _split(source: Path) -> tuple[Path, dict[str, str]]:
    """Return the folder of a model and what names the file in it, if it is one."""
    return (source.parent, {"gguf_file": source.name}) if source.is_file() else (source, {})
