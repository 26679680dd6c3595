"""Any tokenizer as a table: the bytes that each token stands for.

Grammars and alignments need nothing else, so that byte-level, SentencePiece and character
tokenizers, with single or merged digits, are all treated alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

_BLANK = "\N{LOWER ONE EIGHTH BLOCK}"  # SentencePiece's mark of a blank


@dataclass(frozen=True, kw_only=True, eq=False)
class Vocabulary:
    """Tokens by their number.

    Attributes:
        pieces: what each token adds to a text; empty for special ones, which add nothing.
        encoder: from a text to token numbers, without special ones.
        beginning: special tokens that the model expects before a text.
        end: the token that ends a text, if there is one.
    """

    pieces: tuple[bytes, ...]
    encoder: Callable[[str], Sequence[int]] = field(repr=False)
    beginning: tuple[int, ...] = ()
    end: int | None = None

    def __len__(self) -> int:
        return len(self.pieces)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text.

        Raises:
            ValueError: where the tokens do not spell the text, as after lower-casing.
        """
        ids = list(self.encoder(text))
        self._blanks_before(ids, text)
        return ids

    def spans(self, ids: Sequence[int], text: str) -> list[tuple[int, int]]:
        """Return where each of a text's tokens begins and ends, in bytes."""
        place = -self._blanks_before(ids, text)
        spans = []
        for token in ids:
            end = place + len(self.pieces[token])
            spans.append((max(place, 0), max(end, 0)))
            place = end
        return spans

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some tokens."""
        return b"".join(self.pieces[token] for token in ids).decode("utf-8", errors="replace")

    @cached_property
    def by_piece(self) -> dict[bytes, int]:
        """The token of each piece; of several, the first."""
        return {piece: token for token, piece in reversed(list(enumerate(self.pieces))) if piece}

    def _blanks_before(self, ids: Sequence[int], text: str) -> int:
        """Return how many blanks a tokenizer put before the text: 0 or, SentencePiece, 1."""
        spelled = b"".join(self.pieces[token] for token in ids)
        wanted = text.encode()
        for n_blanks in (0, 1):
            if spelled == b" " * n_blanks + wanted:
                return n_blanks
        if spelled.startswith(b" ") and not wanted.startswith(b" "):
            spelled = spelled[1:]
        differing = (k for k, (a, b) in enumerate(zip(spelled, wanted, strict=False)) if a != b)
        at = next(differing, min(len(spelled), len(wanted)))
        raise ValueError(
            f"the tokenizer changes the text at byte {at}: {wanted[at : at + 20]!r} became "
            f"{spelled[at : at + 20]!r}; choose separators and signs that it keeps, or another one"
        )


def vocabulary_of(tokenizer: Any) -> Vocabulary:
    """Return the vocabulary of a tokenizer.

    Args:
        tokenizer: of Hugging Face's `transformers` or `tokenizers`, or a `Vocabulary`.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(tokenizer, Vocabulary):
        return tokenizer
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(backend, "to_str"):
        raise TypeError(
            f"{type(tokenizer).__name__} is no tokenizer with a table of tokens; pass one of "
            "transformers (fast) or tokenizers"
        )
    description = json.loads(backend.to_str())
    decoders = list(_flat(description.get("decoder")))
    special = {a["id"]: a["special"] for a in description.get("added_tokens", [])}
    table = backend.get_vocab(with_added_tokens=True)
    pieces = [b""] * (max(table.values()) + 1)
    for token, number in table.items():
        if number in special:
            pieces[number] = b"" if special[number] else token.encode()
        else:
            pieces[number] = _bytes_of(token, decoders)
    return Vocabulary(
        pieces=tuple(pieces),
        encoder=lambda text: backend.encode(text, add_special_tokens=False).ids,
        beginning=_beginning(tokenizer),
        end=getattr(tokenizer, "eos_token_id", None),
    )


def _beginning(tokenizer: Any) -> tuple[int, ...]:
    """Return the special tokens that the tokenizer itself puts before a text."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    plain = backend.encode("1", add_special_tokens=False).ids
    full = backend.encode("1", add_special_tokens=True).ids
    first = next((k for k in range(len(full)) if full[k : k + len(plain)] == plain), 0)
    return tuple(full[:first])


def pieces_vocabulary(pieces: Sequence[str]) -> Vocabulary:
    """Return a vocabulary of these pieces; a text is cut into the longest that fit, in turn."""
    as_bytes = tuple(piece.encode() for piece in pieces)
    table = {piece: token for token, piece in reversed(list(enumerate(as_bytes))) if piece}
    longest = max(map(len, table))

    def encode(text: str) -> list[int]:
        rest, place, ids = text.encode(), 0, []
        while place < len(rest):
            for size in range(longest, 0, -1):
                token = table.get(rest[place : place + size])
                if token is not None:
                    ids.append(token)
                    place += len(as_bytes[token])
                    break
            else:
                raise ValueError(f"{rest[place : place + 20]!r} begins with none of the pieces")
        return ids

    return Vocabulary(pieces=as_bytes, encoder=encode)


def _flat(decoder: dict[str, Any] | None) -> Any:
    """Yield the simple decoders of a nested one."""
    if decoder is not None:
        if decoder["type"] == "Sequence":
            for part in decoder["decoders"]:
                yield from _flat(part)
        else:
            yield decoder


def _bytes_of(token: str, decoders: list[dict[str, Any]]) -> bytes:
    """Return what a token adds within a text."""
    kinds = {decoder["type"] for decoder in decoders}
    if "ByteLevel" in kinds:
        return bytes(_BYTE_OF_LETTER[letter] for letter in token if letter in _BYTE_OF_LETTER)
    if "ByteFallback" in kinds and len(token) == 6 and token.startswith("<0x"):
        return bytes([int(token[3:5], 16)])
    for decoder in decoders:
        if decoder["type"] == "Metaspace":
            token = token.replace(decoder.get("replacement", _BLANK), " ")
        elif decoder["type"] == "Replace" and "String" in decoder["pattern"]:
            token = token.replace(decoder["pattern"]["String"], decoder["content"])
    return token.encode()


def _letters_of_bytes() -> dict[str, int]:
    """Return the letter by which byte-level tokenizers show each byte (GPT-2's convention).

    Printable bytes stand for themselves, the others for the letters from 256 on.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(256 + number): byte for number, byte in enumerate(others)}


_BYTE_OF_LETTER = _letters_of_bytes()
