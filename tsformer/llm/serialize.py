"""Values as text and back, exact about what is lost: half a step of the last digit.

After LLMTime (Gruver et al. 2023, section 3): scaled values, a fixed precision without a decimal
point, digits and values kept apart so that a tokenizer sees one digit at a time. With an alphabet
of symbols in place of digits it is the encoding of General Pattern Machines (Mirchandani et al.
2023, section 4), with one symbol per bin that of Chronos (Ansari et al. 2024, section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, kw_only=True)
class SerializerSettings:
    """How a value is written. A value is a whole number of steps of `base ** -precision`.

    Attributes:
        base: of the digits.
        precision: digits after the point.
        digits: digits before the point, at most, or always where the width is fixed.
        signed: whether negative values can be written.
        fixed_width: whether numbers are filled up with zeros on the left.
        digit_separator: between digits.
        value_separator: between values. A tokenizer is given texts that end with it, but for
            the blanks at its end, since many tokens begin with a blank.
        decimal_point: before the digits of the precision; empty to write none.
        minus: before the digits of a negative value.
        missing: stands for NaN and must not read like a number; None refuses missing values.
        half_bin: cut off instead of rounding, and read each number as the middle of what it
            stands for (LLMTime's half-bin correction): all bins are equally wide, also around
            zero, where `0` and `-0` are two of them.
        symbols: what the digits look like; None for 0 … 9, a … z, or, beyond base 36, for the
            numbers 0, 1, … themselves.
    """

    base: int = 10
    precision: int = 3
    digits: int = 2
    signed: bool = True
    fixed_width: bool = False
    digit_separator: str = ""
    value_separator: str = ", "
    decimal_point: str = ""
    minus: str = "-"
    missing: str | None = "nan"
    half_bin: bool = True
    symbols: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.base < 2:
            raise ValueError(f"base={self.base} must be at least 2")
        if self.precision < 0 or self.digits < 0 or self.n_digits < 1:
            raise ValueError(f"precision={self.precision} and digits={self.digits} leave no digit")
        if self.base**self.n_digits > 2**50:  # beyond, what was read could be written otherwise
            raise ValueError(
                f"{self.n_digits} digits of base {self.base} are more than a float holds; lower "
                "precision or digits"
            )
        if self.symbols is not None and len(self.symbols) != self.base:
            raise ValueError(f"symbols has {len(self.symbols)} entries for base={self.base}")
        self._refuse_ambiguity()

    @property
    def n_digits(self) -> int:
        """Digits of the longest number."""
        return self.digits + self.precision

    @property
    def step(self) -> float:
        """Distance of neighbouring values; what is read is at most half of it off."""
        return float(self.base) ** -self.precision

    @property
    def limit(self) -> float:
        """Values from here on, up or down, cannot be written."""
        last = self.base**self.n_digits
        return (last if self.half_bin else last - 0.5) * self.step

    @property
    def reference(self) -> float:
        """To what a scaler should bring large values, so that there is room for larger ones."""
        return min(1.0, self.limit / 2) if self.precision else self.limit / 2

    @cached_property
    def alphabet(self) -> tuple[str, ...]:
        """The digits, from 0 to `base - 1`."""
        if self.symbols is not None:
            return self.symbols
        return tuple(_DIGITS[: self.base] if self.base <= 36 else map(str, range(self.base)))

    @property
    def terminator(self) -> str:
        """The value separator without the blanks at its end: what ends a value."""
        return self.value_separator.rstrip() or self.value_separator

    @property
    def lead(self) -> str:
        """The rest of the value separator, before the next value."""
        return self.value_separator[len(self.terminator) :]

    def serialize(self, values: Any) -> str:
        """Return values as text.

        Args:
            values: `[T]`, NaN = missing.

        Raises:
            ValueError: for no values, and for one that cannot be written, with its place.
        """
        return self.value_separator.join(self.write_each(values))

    def deserialize(self, text: str) -> np.ndarray:
        """Return the values of a text, `[T]`; blanks do not matter.

        Raises:
            ValueError: for an empty text, and for what is no value, with its place.
        """
        if not text.strip():
            raise ValueError("the text is empty; there is no value to read")
        return np.array([self._read(piece, place) for place, piece in enumerate(self._split(text))])

    def salvage(self, text: str) -> np.ndarray:
        """Return the values before the first that cannot be read; none is an empty array.

        A last one that no separator ends is left out: it may have been cut short.
        """
        values: list[float] = []
        for place, piece in enumerate(self._split(text, ended=True)):
            try:
                values.append(self._read(piece, place))
            except ValueError:
                break
        return np.array(values, dtype=np.float64)

    def write_each(self, values: Any) -> list[str]:
        """Return each value as text; see `serialize`."""
        numbers = np.asarray(values, dtype=np.float64)
        if numbers.ndim != 1 or not numbers.size:
            raise ValueError(f"values has shape {numbers.shape}; pass one series of some values")
        self._refuse_values(numbers)
        codes = self.codes(numbers)
        negative = self.signed & np.signbit(numbers) if self.half_bin else codes < 0
        return [
            self._missing() if np.isnan(number) else self.write_code(abs(int(code)), bool(minus))
            for number, code, minus in zip(numbers, codes, negative, strict=True)
        ]

    def clip(self, values: Any) -> np.ndarray:
        """Return values moved to the nearest that can be written, `[T]`; NaN stays NaN."""
        furthest = self.limit - self.step / 2
        return np.clip(np.asarray(values, dtype=np.float64), -furthest * self.signed, furthest)

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Return whole numbers of steps, `[T]`, cut off towards zero, or rounded; NaN gives 0.

        None is beyond the last that can be written.
        """
        steps, last = np.nan_to_num(values) / self.step, self.base**self.n_digits - 1
        whole = np.trunc(steps) if self.half_bin else np.rint(steps)
        return np.clip(whole, -last, last).astype(np.int64)

    def write_code(self, code: int, negative: bool = False) -> str:
        """Return a number of steps as text."""
        alphabet, width = self.alphabet, self.n_digits if self.fixed_width else 1
        if self.decimal_point:
            width = max(width, self.precision + 1)
        digits: list[str] = []
        while code or len(digits) < width:
            code, digit = divmod(code, self.base)
            digits.append(alphabet[digit])
        symbols = digits[::-1]
        if self.decimal_point and self.precision:
            symbols.insert(len(symbols) - self.precision, self.decimal_point)
        return self.digit_separator.join([self.minus, *symbols] if negative else symbols)

    def value_of(self, code: int, negative: bool = False) -> float:
        """Return what a number of steps stands for."""
        size = (code + 0.5 * self.half_bin) * self.step
        return -size if negative else size

    def _read(self, piece: str, place: int) -> float:
        if self.missing is not None and piece == self.missing:
            return float("nan")
        number = self._number(piece)
        if number is None:
            example = self.write_code(self.base**self.n_digits - 1)
            raise ValueError(
                f"value {place} of the text, {piece[:40]!r}, is not written as these settings do, "
                f"such as {example!r}; salvage() returns the values before it"
            )
        return self.value_of(*number)

    def _number(self, piece: str) -> tuple[int, bool] | None:
        """Return the steps of the number that is written exactly like this, and its sign."""
        negative, *words = self.words(piece)
        code = 0
        for word in words:
            if word == self.decimal_point and self.decimal_point:
                continue
            if word not in self._digit_of:
                return None
            code = code * self.base + self._digit_of[word]
        if code >= self.base**self.n_digits or (negative and not code and not self.half_bin):
            return None
        return (code, bool(negative)) if self.write_code(code, bool(negative)) == piece else None

    def words(self, piece: str) -> list[str]:
        """Return the signs of a written number: its minus, or an empty text, then the others."""
        minus = self.minus if self.signed and piece.startswith(self.minus) else ""
        body = piece.removeprefix(minus)
        if self.digit_separator:
            body = body.removeprefix(self.digit_separator) if minus else body
            return [minus, *body.split(self.digit_separator)]
        return [minus, *(body if self._single_letters else [body])]

    @cached_property
    def _single_letters(self) -> bool:
        return all(len(symbol) == 1 for symbol in self.alphabet)

    @cached_property
    def _digit_of(self) -> dict[str, int]:
        return {symbol: digit for digit, symbol in enumerate(self.alphabet)}

    def _split(self, text: str, ended: bool = False) -> list[str]:
        """Return the pieces between separators; with `ended`, only those that one follows."""
        mark = self.value_separator.strip()
        if not mark:  # a blank: further ones, such as at the ends, do not matter
            mark = self.value_separator
            pieces = text.lstrip().split(mark)
            pieces = pieces[:-1] if ended or not pieces[-1].strip() else pieces
            return [piece.strip() for piece in pieces if piece.strip()]
        pieces = text.split(mark)
        pieces = pieces[:-1] if ended or not pieces[-1].strip() else pieces
        return [piece.strip() for piece in pieces]

    def _refuse_values(self, numbers: np.ndarray) -> None:
        missing = np.isnan(numbers)
        if missing.any() and self.missing is None:
            place = int(missing.argmax())
            raise ValueError(
                f"value {place} is missing, and the settings have no sign for that; set "
                "missing='nan', or fill the gap"
            )
        if np.isinf(numbers).any():
            place = int(np.isinf(numbers).argmax())
            raise ValueError(f"value {place} is {numbers[place]:g}; mark it as missing, by NaN")
        if not self.signed and (numbers < 0).any():
            place = int((numbers < 0).argmax())
            raise ValueError(
                f"value {place} is {numbers[place]:g}, but the settings are unsigned; set "
                "signed=True, or shift the values by a scaler"
            )
        large = ~missing & ~(np.abs(numbers) < self.limit)
        if large.any():
            place = int(large.argmax())
            raise ValueError(
                f"value {place} is {numbers[place]:g}; {self.digits} digits of base {self.base} "
                f"end at {self.limit:g}: scale the values by a scaler, or allow more digits"
            )

    def _missing(self) -> str:
        assert self.missing is not None
        return self.missing

    def _refuse_ambiguity(self) -> None:
        """Raise where two series could have the same text."""
        signs = [*self.alphabet, *(sign for sign in (self.decimal_point,) if sign)]
        signs += [self.minus] if self.signed else []
        if len(set(signs)) < len(signs) or not all(signs):
            raise ValueError("symbols, decimal_point and minus must differ from each other")
        if any(sign != sign.strip() for sign in signs):
            raise ValueError("symbols must not begin or end with blanks; put these into separators")
        if self.signed and any(symbol.startswith(self.minus) for symbol in self.alphabet):
            raise ValueError(f"minus={self.minus!r} must not be how a symbol begins")
        several = self.n_digits > 1 or (self.decimal_point and self.precision)
        if max(map(len, signs)) > 1 and several and not self.digit_separator:
            raise ValueError("symbols of several letters need a digit_separator between them")
        if self.digit_separator and set(self.digit_separator) <= set("".join(signs)):
            raise ValueError(
                f"digit_separator={self.digit_separator!r} must have a letter that is in no symbol"
            )
        self._refuse_missing()
        mark = self.value_separator.strip() or self.value_separator
        if not mark:
            raise ValueError("value_separator is empty: values would run into each other")
        if set(mark) <= set("".join([*signs, self.missing or "", self.digit_separator])):
            raise ValueError(
                f"value_separator={self.value_separator!r} must have a letter that is in no value"
            )

    def _refuse_missing(self) -> None:
        if self.missing is None:
            return
        if not self.missing or self.missing != self.missing.strip():
            raise ValueError(
                f"missing={self.missing!r} must not be empty, nor begin or end with blanks"
            )
        if self._number(self.missing) is not None:
            raise ValueError(f"missing={self.missing!r} reads like a number; choose another word")


PRESETS: dict[str, SerializerSettings] = {
    "llmtime-gpt3": SerializerSettings(digit_separator=" ", value_separator=" , ", missing="NaN"),
    "llmtime-llama": SerializerSettings(value_separator=", ", missing="NaN"),
    "plain-digits": SerializerSettings(
        precision=0, digits=3, signed=False, value_separator=",", missing="nan"
    ),
    "pattern-machine": SerializerSettings(
        base=101, precision=0, digits=1, signed=False, half_bin=False, missing="nan"
    ),
    "binned": SerializerSettings(
        base=1024, precision=0, digits=1, signed=False, value_separator=" ", missing="nan"
    ),
}


def preset(name: str, **changes: Any) -> SerializerSettings:
    """Return named settings, some of them changed.

    - `llmtime-gpt3`: digits apart, for tokenizers that merge digits; `1 2 3 , 4 5 6`.
    - `llmtime-llama`: for tokenizers with one token per digit; `123, 456`.
    - `plain-digits`: whole numbers from 0 to 999; `123,456`.
    - `pattern-machine`: one of the numbers 0 … 100 per value, or any 101 symbols.
    - `binned`: one of 1,024 bins per value.

    Raises:
        ValueError: for a name that is none of these.
    """
    if name not in PRESETS:
        raise ValueError(f"preset={name!r} is none of {', '.join(PRESETS)}")
    return replace(PRESETS[name], **changes)


def with_symbols(settings: SerializerSettings, symbols: Sequence[str]) -> SerializerSettings:
    """Return the settings with other digits; as many symbols as there are is the base."""
    return replace(settings, symbols=tuple(symbols), base=len(symbols))
