"""A language model seen as a model of values: arrays in, arrays out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from tsformer.llm.backends.base import TextModel, TokenModel
from tsformer.llm.context import Context, filled, scaler_for
from tsformer.llm.grammar import Grammar
from tsformer.llm.likelihood import density_nats, score_values
from tsformer.llm.prompts import (
    Prompt,
    continuation_tokens,
    fit_window,
    warn_shortened,
    write_prompt,
)
from tsformer.llm.sampling import SamplingSettings, sample_values
from tsformer.llm.scaler import Kind, Scaler
from tsformer.llm.serialize import SerializerSettings
from tsformer.llm.text_scores import score_texts
from tsformer.llm.vocabulary import Vocabulary

_ROWS_AT_ONCE = 1024  # branches that are written side by side
_TOKENS_AT_ONCE = 16_384  # of the prompts that are read together


@dataclass(frozen=True, kw_only=True)
class ValueModel:
    """A language model, and how values are written for it.

    Attributes:
        model: in this process, or elsewhere.
        settings: how values are written.
        scaler: kind of scaler, fitted to each context; None for `quantile`. A model with a way of
            its own, such as NanoGPT, is not asked.
        sampling: see `SamplingSettings`.
        lower, upper: bounds of forecast values, raw units.
    """

    model: TokenModel | TextModel
    settings: SerializerSettings
    scaler: Kind | None = None
    sampling: SamplingSettings
    lower: float | None = None
    upper: float | None = None

    def sample(self, contexts: Sequence[Context], horizon: int) -> np.ndarray:
        """Return continuations in raw units, `[S, n_samples, H]`.

        A series that was constant goes on so, whatever the model. A horizon of which too little
        would fit into the model's window is written in several parts, each sample going on from
        what it wrote itself. No value is beyond `lower` and `upper`.
        """
        paths = np.empty((len(contexts), self.sampling.n_samples, horizon))
        moving = []
        for number, context in enumerate(contexts):
            known = context.values[np.isfinite(context.values)]
            if known.min() == known.max():
                paths[number] = known[0]
            else:
                moving.append(number)
        if moving:
            paths[moving] = self._roll([contexts[number] for number in moving], horizon)
        low = -np.inf if self.lower is None else self.lower
        high = np.inf if self.upper is None else self.upper
        return np.clip(paths, low, high)

    def nats(self, contexts: Sequence[Context], truth: np.ndarray) -> np.ndarray:
        """Return negative log densities of what came, per value, in nats, `[S, H]`.

        Each value is scored given all before it, those of `truth` included. Values beyond what can
        be written are scored as the last that can. What came may be beyond `lower` and `upper`,
        which are not looked at.

        Args:
            contexts: what was known.
            truth: `[S, H]`, raw units; NaN gives NaN.
        """
        free = replace(self, lower=None, upper=None)
        rows = zip(contexts, np.asarray(truth, dtype=np.float64), strict=True)
        return np.stack([free._nats_of_one(context, values) for context, values in rows])

    def count_tokens(self, context: Context, horizon: int) -> tuple[int, int]:
        """Return how many tokens are read and, at most, written for all samples of a forecast.

        A model elsewhere does not show its tokenizer: letters are counted, which are no fewer. Of
        a horizon that is written in several parts, what was forecast is read as if it were known.
        """
        n_samples = self.sampling.n_samples
        known = context.values[np.isfinite(context.values)]
        if known.min() == known.max():  # the model is not asked
            return 0, 0
        if isinstance(self.model, TextModel):
            text, _ = self._text(context)
            return len(text), n_samples * horizon * len(self._longest_text())
        steps = min(horizon, self._longest_block())
        prompt, _, _ = self._prompt(context, steps)
        read = len(prompt.tokens)
        for begin in range(steps, horizon, steps):
            values = np.r_[context.values, np.resize(known, begin)]
            prompt, _, _ = self._prompt(
                replace(context, values=values), min(steps, horizon - begin)
            )
            read += n_samples * len(prompt.tokens)
        return read, n_samples * horizon * self._longest()

    def _roll(self, contexts: list[Context], horizon: int) -> np.ndarray:
        steps = min(horizon, self._longest_block())
        paths = self._sample_block(contexts, steps)
        while paths.shape[-1] < horizon:
            going = [
                replace(c, values=np.r_[c.values, path], number=number)
                for c, rows in zip(contexts, paths, strict=True)
                for number, path in enumerate(rows)
            ]
            alone = replace(self, sampling=replace(self.sampling, n_samples=1))
            left = horizon - paths.shape[-1]
            more = alone._sample_block(going, min(steps, left), warn=False)
            paths = np.concatenate([paths, more.reshape(*paths.shape[:2], -1)], axis=-1)
        return paths

    def _sample_block(
        self, contexts: list[Context], horizon: int, *, warn: bool = True
    ) -> np.ndarray:
        if isinstance(self.model, TextModel):
            return np.stack([self._ask(context, horizon) for context in contexts])
        written = [self._prompt(context, horizon) for context in contexts]
        if warn:
            warn_shortened([c.label for c in contexts], [left_out for _, _, left_out in written])
        paths = np.empty((len(contexts), self.sampling.n_samples, horizon))
        for rows in self._batches([prompt for prompt, _, _ in written]):
            scaled = sample_values(
                self.model,
                [written[row][0] for row in rows],
                self._grammar(written[rows[0]][1]),
                horizon,
                self.sampling,
            )
            for row, values in zip(rows, scaled, strict=True):
                paths[row] = written[row][1].inverse(values)
        return paths

    def _batches(self, prompts: Sequence[Prompt]) -> Iterator[list[int]]:
        """Yield the numbers of prompts that are continued together, similar lengths together."""
        sizes = np.array([len(prompt.tokens) for prompt in prompts])
        most = max(1, _ROWS_AT_ONCE // self.sampling.n_samples)
        if self.lower is not None or self.upper is not None:
            most = 1  # each scaler moves the bounds to other values
        batch: list[int] = []
        for row in np.argsort(-sizes, kind="stable").tolist():
            tokens = sizes[[*batch, row]].max() * (len(batch) + 1)
            if batch and (len(batch) == most or tokens > _TOKENS_AT_ONCE):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _ask(self, context: Context, horizon: int) -> np.ndarray:
        """Return what a model elsewhere answers, `[n_samples, horizon]`."""
        assert isinstance(self.model, TextModel)
        text, scaler = self._text(context)
        answers = self.model.complete(
            text,
            n_samples=self.sampling.n_samples,
            horizon=horizon,
            settings=self.settings,
            temperature=self.sampling.temperature,
            top_p=self.sampling.top_p,
            seed=self.sampling.seed + context.number,
            label=context.label,
        )
        found = [self.settings.salvage(answer)[:horizon] for answer in answers]
        valid = [row for row in found if len(row) == horizon and np.isfinite(row).all()]
        if not valid:
            raise ValueError(
                f"{context.label}: none of {len(answers)} answers of {self.model.name} holds "
                f"{horizon} values; the first is {(answers or [''])[0][:80]!r}"
            )
        rows = np.stack(valid)
        if len(rows) < self.sampling.n_samples:
            warnings.warn(
                f"{context.label}: {len(rows)} of {self.sampling.n_samples} samples were valid; "
                "the forecast rests on these",
                stacklevel=2,
            )
            rows = rows[np.arange(self.sampling.n_samples) % len(rows)]
        return scaler.inverse(rows)

    def _nats_of_one(self, context: Context, truth: np.ndarray) -> np.ndarray:
        block = self._longest_block()
        parts, values = [], filled(context.values, truth)
        for begin in range(0, len(truth), block):
            known = replace(context, values=values[: len(context.values) + begin])
            parts.append(self._nats_of_block(known, truth[begin : begin + block]))
        return np.concatenate(parts)

    def _nats_of_block(self, context: Context, truth: np.ndarray) -> np.ndarray:
        following = filled(context.values, truth)[len(context.values) :]
        if isinstance(self.model, TextModel):
            text, scaler = self._text(context)
            scaled = self.settings.clip(scaler.transform(following))
            nats = score_texts(self.model, self.settings, text, scaled, label=context.label)
        else:
            prompt, scaler, _ = self._prompt(context, len(truth))
            scaled = self.settings.clip(scaler.transform(following))
            tokens = continuation_tokens(self.model.vocabulary, self.settings, scaled)
            # what came may take more tokens than what was known
            while prompt.values and len(prompt.tokens) + len(tokens) > self.model.context_length:
                prompt = replace(prompt, values=prompt.values[1:])
            grammar = self._grammar(scaler)
            nats = score_values(self.model, grammar, prompt, tokens, len(truth)).nats
        return density_nats(nats, truth, self.settings, scaler)

    def _prompt(self, context: Context, horizon: int) -> tuple[Prompt, Scaler, int]:
        """Return the prompt, its scaler, and how many values did not fit into the window."""
        assert not isinstance(self.model, TextModel)
        window = self.model.context_length
        values = context.values[-window:]  # a value is a token or more
        while True:  # a scaler of fewer values may write longer ones, which leaves room for fewer
            if not np.isfinite(values).any():  # nothing but a gap: it is closed
                last = np.flatnonzero(np.isfinite(context.values))[-1]
                values = context.values[: last + 1][-window:]
            scaler = self._fit_scaler(values)
            prompt = write_prompt(
                self.model.vocabulary,
                self.settings,
                self.settings.clip(scaler.transform(values)),
                header=context.header,
                label=context.label,
            )
            fitting, left_out = fit_window(prompt, window, horizon)
            if not left_out:
                numbered = replace(fitting, number=context.number)
                return numbered, scaler, len(context.values) - len(values)
            values = values[left_out:]

    def _text(self, context: Context) -> tuple[str, Scaler]:
        scaler = self._fit_scaler(context.values)
        scaled = self.settings.clip(scaler.transform(context.values))
        return context.header + self.settings.serialize(scaled) + self.settings.terminator, scaler

    def _fit_scaler(self, values: np.ndarray) -> Scaler:
        if hasattr(self.model, "fit_scaler"):
            return self.model.fit_scaler(values)
        return scaler_for(self.settings, values, self.scaler or "quantile")

    def _grammar(self, scaler: Scaler) -> Grammar:
        """Return the grammar of all values whose bins touch the bounds, or of the nearest one."""
        assert not isinstance(self.model, TextModel)
        lower, upper = self.lower, self.upper
        half, last = self.settings.step / 2, float(self.settings.clip(np.inf))
        if lower is not None:
            lower = min(float(scaler.transform(lower)) - half, last)
        if upper is not None:
            first = -last if self.settings.signed else self.settings.value_of(0)
            upper = max(float(scaler.transform(upper)) + half, first)
        return _grammar(self.settings, self.model.vocabulary, lower, upper)

    def _longest_block(self) -> int:
        """Return how many values may be written at once: half of the window, the rest is read."""
        if isinstance(self.model, TextModel):
            return 10**9
        return max(1, self.model.context_length // 2 // self._longest())

    def _longest(self) -> int:
        """Return the tokens of the longest value, with what ends it."""
        assert not isinstance(self.model, TextModel)
        longest = self.settings.limit - self.settings.step / 2
        scaled = [-longest if self.settings.signed else longest]
        return len(continuation_tokens(self.model.vocabulary, self.settings, scaled))

    def _longest_text(self) -> str:
        settings = self.settings
        longest = settings.limit - settings.step / 2
        word = settings.write_each([-longest if settings.signed else longest])[0]
        return settings.lead + word + settings.terminator


@lru_cache(maxsize=64)
def _grammar(
    settings: SerializerSettings,
    vocabulary: Vocabulary,
    lower: float | None,
    upper: float | None,
) -> Grammar:
    return Grammar(settings, vocabulary, lower=lower, upper=upper)
