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

from tsformer.llm.serialize import SerializerSettings
from tsformer.llm.vocabulary import vocabulary_of

_EXTRA = "language models need transformers and gguf: pip install 'tsformer[llm]'"


@dataclass
class Branches:
    """The state of a generation.

    The branches of a prompt are further positions of the same row: what they have in common is
    held and read once. A mask says which of the positions written so far each branch descends
    from.

    Attributes:
        cache: keys and values of all positions, on the left those of the prompts.
        known: `[B, N]`, False for padding on the left of a prompt.
        lengths: `[B]`, tokens of each prompt.
        ancestors: `[B, S, n]`, True for the written positions that a branch descends from.
        depth: tokens that each branch has.
    """

    cache: Any
    known: Tensor
    lengths: Tensor
    ancestors: Tensor
    depth: int = 0


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
        self.context_length = int(getattr(model.config, "max_position_embeddings", 2048))
        accepted = inspect.signature(model.forward).parameters
        self._keeps_last = "logits_to_keep" in accepted
        self._cache_word = "cache" if "cache" in accepted else "past_key_values"
        self._check_branches()

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
        source = Path(path)
        if not source.exists():
            raise FileNotFoundError(f"{source}: there is no such model folder or GGUF file")
        try:
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise ImportError(_EXTRA) from error
        gguf = {"gguf_file": source.name} if source.is_file() else {}
        folder = source.parent if gguf else source
        device = "cuda" if torch.cuda.is_available() else "cpu"
        chosen = {"cuda": "bfloat16", "cpu": "float32"}[device] if dtype == "auto" else dtype
        with redirect_stderr(io.StringIO()):  # progress bars, which cannot all be switched off
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, **gguf)
            model = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, dtype=getattr(torch, chosen), **gguf
            )
        return cls(model.to(device), tokenizer, name=source.stem)

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Branches]:
        """Read prompts once; return logits of what follows, `[B, V]`, and a state."""
        tokens, known = self._pad(prompts)
        cache = _shared_cache(self.model.config)
        logits = self._forward(
            tokens,
            attention_mask=known.long(),
            position_ids=(known.cumsum(dim=1) - 1).clamp(min=0),
            **{self._cache_word: cache},
        )
        nothing = torch.zeros(len(prompts), 1, 0, dtype=torch.bool, device=known.device)
        return logits[:, -1].float(), Branches(cache, known, known.sum(dim=1), nothing)

    @torch.inference_mode()
    def step(self, tokens: Tensor, parents: Tensor, state: Branches) -> Tensor:
        """Append a token to each branch; return logits, `[B, S, V]`. See `TokenModel`."""
        device, (n_prompts, n_branches) = state.known.device, tokens.shape
        parents = torch.zeros_like(parents) if state.depth == 0 else parents
        rows = torch.arange(n_prompts, device=device)[:, None]
        own = torch.eye(n_branches, dtype=torch.bool, device=device).expand(n_prompts, -1, -1)
        state.ancestors = torch.cat([state.ancestors[rows, parents.to(device)], own], dim=-1)
        prompt = state.known[:, None].expand(-1, n_branches, -1)
        visible = torch.cat([prompt, state.ancestors], dim=-1)[:, None]  # [B, 1, S, N + n]
        positions = (state.lengths + state.depth)[:, None].expand(-1, n_branches)
        state.depth += 1
        return self._forward(
            tokens.to(device),
            attention_mask=self._additive(visible),
            position_ids=positions,
            keep=n_branches,
            **{self._cache_word: state.cache},
        ).float()

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

    def _pad(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return prompts and which of their tokens are known, both `[B, N]`."""
        longest = max(map(len, prompts))
        tokens = torch.zeros(len(prompts), longest, dtype=torch.long)
        known = torch.zeros(len(prompts), longest, dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            tokens[row, longest - len(prompt) :] = torch.tensor(prompt)
            known[row, longest - len(prompt) :] = True
        return tokens.to(self.model.device), known.to(self.model.device)

    def _additive(self, visible: Tensor) -> Tensor:
        dtype = self.model.dtype
        mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        return mask.masked_fill_(~visible, torch.finfo(dtype).min)

    def _check_branches(self) -> None:
        """Raise where branches read as one row differ from rows of their own."""
        ids = self.vocabulary.encode("1 2 3 4 5 6")
        prompt, left, right = [*self.vocabulary.beginning, *ids[:-2]], ids[-2], ids[-1]
        _, state = self.prefill([prompt])
        first, second = torch.tensor([[0, 0]]), torch.tensor([[0, 1]])
        self.step(torch.tensor([[left, right]]), first, state)
        together = self.step(torch.tensor([[right, left]]), second, state)[0]
        apart = [self.score([*prompt, *pair, 0], len(prompt) + 2)[0] for pair in
                 ((left, right), (right, left))]  # fmt: skip
        expected = torch.stack(apart)
        slack = 1e-2 if self.model.dtype == torch.float32 else 0.5
        if not torch.allclose(together, expected, atol=slack * float(expected.std())):
            raise ValueError(
                f"{self.name}: the model does not take a mask of its own per branch, as by "
                "sliding windows or recurrent states; load it with attn_implementation='sdpa', "
                "or serve it and give its URL"
            )


def _shared_cache(config: Any) -> Any:
    """Return a cache whose room doubles when it is full, so that a step copies nothing.

    `transformers`' own dynamic cache is copied as a whole at every step.
    """
    try:
        from transformers.cache_utils import Cache, DynamicLayer
    except ImportError as error:
        raise ImportError(_EXTRA) from error

    class RoomyLayer(DynamicLayer):
        """Keys and values as views of larger tensors."""

        room: Tensor | None = None
        used: int = 0

        def update(
            self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
        ) -> tuple[Tensor, Tensor]:
            """Append `[B, heads, n, d]` and return all that there is."""
            if self.room is None:
                self.lazy_initialization(key_states, value_states)
            needed = self.used + key_states.shape[2]
            if self.room is None or needed > self.room.shape[3]:
                shape = (2, *key_states.shape[:2], 2 * needed, key_states.shape[3])
                larger = key_states.new_empty(shape)
                if self.room is not None:
                    larger[:, :, :, : self.used] = self.room[:, :, :, : self.used]
                self.room = larger
            self.room[0, :, :, self.used : needed] = key_states
            self.room[1, :, :, self.used : needed] = value_states
            self.used = needed
            self.keys, self.values = self.room[0, :, :, :needed], self.room[1, :, :, :needed]
            return self.keys, self.values

    return Cache(layers=[RoomyLayer() for _ in range(config.get_text_config().num_hidden_layers)])
