from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tsformer.llm.serialize import PRESETS, SerializerSettings, preset, with_symbols

NAN = float("nan")
LETTERS = st.characters(categories=["L", "N", "S"])


@st.composite
def readable_settings(draw: Any) -> SerializerSettings:
    """Draw settings of all kinds; those that are refused are not looked at."""
    base = draw(st.integers(2, 36) | st.sampled_from([37, 100, 1024]))
    single = draw(st.booleans()) and base <= 36
    symbols = st.lists(st.text(LETTERS, min_size=1, max_size=1 if single else 3), min_size=base,
                       max_size=base, unique=True)  # fmt: skip
    try:
        return SerializerSettings(
            base=base,
            precision=draw(st.integers(0, 4)),
            digits=draw(st.integers(0, 3)),
            signed=draw(st.booleans()),
            fixed_width=draw(st.booleans()),
            digit_separator=draw(st.sampled_from(["", " ", "  ", "_", "||", " ' "])),
            value_separator=draw(st.sampled_from([", ", ",", " , ", " ", "\n", " \n", "; ", "=>"])),
            decimal_point=draw(st.sampled_from(["", ".", "·", "point"])),
            minus=draw(st.sampled_from(["-", "~", "−", "minus"])),
            missing=draw(st.sampled_from([None, "nan", "NaN", "?", "not known"])),
            half_bin=draw(st.booleans()),
            symbols=tuple(draw(symbols)) if base <= 36 and draw(st.booleans()) else None,
        )
    except ValueError:
        assume(False)
        raise


def values_of(settings: SerializerSettings) -> st.SearchStrategy[list[float]]:
    """Draw series that settings can write, missing values where these are allowed."""
    low = -settings.limit if settings.signed else 0.0
    numbers = st.floats(low, settings.limit, exclude_min=settings.signed, exclude_max=True)
    every = numbers if settings.missing is None else numbers | st.just(NAN)
    return st.lists(every, min_size=1, max_size=6)


SETTINGS_AND_VALUES = readable_settings().flatmap(
    lambda settings: st.tuples(st.just(settings), values_of(settings))
)


@given(SETTINGS_AND_VALUES)
def test_what_is_read_is_at_most_half_a_step_from_what_was_written(
    case: tuple[SerializerSettings, list[float]],
) -> None:
    settings, values = case
    given_values = np.array(values)
    read = settings.deserialize(settings.serialize(given_values))
    np.testing.assert_array_equal(np.isnan(read), np.isnan(given_values))
    known = ~np.isnan(given_values)
    rounding = 4 * np.spacing(np.abs(given_values[known]) + settings.step)
    assert (np.abs(read - given_values)[known] <= settings.step / 2 + rounding).all()


@given(SETTINGS_AND_VALUES)
def test_a_text_that_was_read_is_written_again_letter_by_letter(
    case: tuple[SerializerSettings, list[float]],
) -> None:
    settings, values = case
    text = settings.serialize(values)
    read = settings.deserialize(text)
    assert settings.serialize(read) == text
    np.testing.assert_array_equal(settings.deserialize(f" {text} "), read)


@given(SETTINGS_AND_VALUES)
def test_salvage_drops_a_last_value_that_no_separator_ends(
    case: tuple[SerializerSettings, list[float]],
) -> None:
    settings, values = case
    text = settings.serialize(values)
    read = settings.deserialize(text)
    np.testing.assert_array_equal(settings.salvage(text), read[:-1])
    np.testing.assert_array_equal(settings.salvage(text + settings.terminator), read)
    np.testing.assert_array_equal(settings.salvage(text + settings.value_separator), read)
    for cut in range(len(text)):
        salvaged = settings.salvage(text[:cut])
        np.testing.assert_array_equal(salvaged, read[: len(salvaged)])


def some(*usual: str | None) -> st.SearchStrategy[Any]:
    """Draw what is usual, or some of few letters, so that many settings are ambiguous."""
    return st.sampled_from(usual) | st.text("01a- ", max_size=2)


@hypothesis.settings(max_examples=300)
@given(st.data())
def test_settings_are_refused_or_tell_all_series_apart(data: st.DataObject) -> None:
    draw = data.draw
    try:
        settings = SerializerSettings(
            base=2,
            precision=draw(st.integers(0, 1)),
            digits=draw(st.integers(0, 2)),
            signed=draw(st.booleans()),
            fixed_width=draw(st.booleans()),
            digit_separator=draw(some("", "_", "aa")),
            value_separator=draw(some(",", ", ", "1,", "a,a", " ")),
            decimal_point=draw(some("", ".")),
            minus=draw(some("-", "--")),
            missing=draw(some(None, "?", "0-", "11")),
            half_bin=draw(st.booleans()),
            symbols=draw(st.none() | st.tuples(some("0", "b"), some("1", "ab"))),
        )
    except ValueError:
        return
    numbers = [settings.value_of(code) for code in range(2**settings.n_digits)]
    if settings.signed:
        numbers += [-number for number in numbers if number]
    numbers += [] if settings.missing is None else [NAN]
    texts = set()
    series = [list(s) for n in (1, 2) for s in itertools.product(numbers, repeat=n)]
    for one in series:
        texts.add(settings.serialize(one))
        np.testing.assert_array_equal(settings.deserialize(settings.serialize(one)), one)
    assert len(texts) == len(series)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": 1}, "base=1 must be at least 2"),
        ({"precision": 0, "digits": 0}, "leave no digit"),
        ({"precision": -1}, "precision=-1"),
        ({"precision": 12, "digits": 8}, "lower precision or digits"),
        ({"symbols": ("a", "b")}, "2 entries for base=10"),
        ({"base": 2, "symbols": ("a", "a")}, "must differ"),
        ({"base": 2, "symbols": ("a", "")}, "must differ"),
        ({"base": 2, "symbols": ("a", " b")}, "blanks"),
        ({"minus": "7"}, "must differ"),
        ({"decimal_point": "-"}, "must differ"),
        ({"base": 2, "precision": 0, "digits": 1, "symbols": ("+a", "b"), "minus": "+"}, "begins"),
        ({"base": 101}, "digit_separator"),
        ({"base": 101, "precision": 1, "digits": 0, "decimal_point": "."}, "digit_separator"),
        ({"digit_separator": "1"}, "digit_separator"),
        ({"digit_separator": "00"}, "digit_separator"),
        ({"value_separator": ""}, "value_separator is empty"),
        ({"value_separator": "11"}, "value_separator='11'"),
        ({"value_separator": "-"}, "value_separator='-'"),
        ({"value_separator": " ", "digit_separator": " "}, "value_separator=' '"),
        ({"value_separator": ",", "missing": "n,a"}, "value_separator=','"),
        ({"missing": ""}, "must not be empty"),
        ({"missing": " nan"}, "blanks"),
        ({"missing": "12"}, "reads like a number"),
        ({"missing": "-5"}, "reads like a number"),
        ({"base": 36}, "missing='nan' reads like a number"),
    ],
)
def test_settings_that_cannot_be_read_back_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SerializerSettings(**changes)


def test_a_sign_that_is_not_written_may_be_anything() -> None:
    unsigned = SerializerSettings(signed=False, minus="1")
    np.testing.assert_allclose(unsigned.deserialize("11234, 500"), [11.2345, 0.5005])
    np.testing.assert_allclose(replace(unsigned, minus="").deserialize("1"), [0.0015])


@pytest.mark.parametrize(
    ("settings", "values", "text"),
    [
        (preset("llmtime-gpt3"), [0.1235, -1.5, NAN], "1 2 3 , - 1 5 0 0 , NaN"),
        (preset("llmtime-llama"), [0.1235, -1.5, NAN, 0], "123, -1500, NaN, 0"),
        (preset("plain-digits"), [0, 7.9, 999.9], "0,7,999"),
        (preset("plain-digits", fixed_width=True), [0, 7.9, 999.9], "000,007,999"),
        (preset("pattern-machine"), [0, 99.6, 50.5], "0, 100, 50"),
        (preset("binned"), [0, 1023.5], "0 1023"),
        (preset("llmtime-llama", decimal_point="."), [0.1235, -12.3], "0.123, -12.300"),
        (preset("llmtime-llama", digits=0, decimal_point="."), [0.1235], "0.123"),
        (preset("llmtime-gpt3", decimal_point="."), [0.1235], "0 . 1 2 3"),
        (preset("llmtime-llama", half_bin=False), [0.1235, -0.0004, -0.0006], "124, 0, -1"),
        (preset("llmtime-llama"), [-0.0004, -0.0], "-0, -0"),
        (preset("llmtime-llama", base=2), [0.875, 1.5], "111, 1100"),
        (preset("llmtime-llama", base=16), [255 / 4096], "ff"),
        (with_symbols(preset("plain-digits"), "xyz"), [5, 26], "yz,zzz"),
        (preset("pattern-machine", base=60, digits=2, digit_separator=":"), [3599], "59:59"),
    ],
)
def test_texts_look_as_promised(
    settings: SerializerSettings, values: list[float], text: str
) -> None:
    assert settings.serialize(values) == text


def test_as_llmtime_writes_it() -> None:
    """The example of Gruver et al. (2023), section 3: 0.123, 1.23, 12.3, 123.0 at precision 2."""
    settings = SerializerSettings(
        precision=2, digits=3, digit_separator=" ", value_separator=" , ", half_bin=False
    )
    assert settings.serialize([0.123, 1.23, 12.3, 123.0]) == "1 2 , 1 2 3 , 1 2 3 0 , 1 2 3 0 0"


def test_half_a_bin_makes_all_bins_equally_wide() -> None:
    settings = SerializerSettings(precision=0, digits=1)
    fine = np.arange(-39, 40, 2) / 10
    words, counts = np.unique(settings.write_each(fine), return_counts=True)
    assert dict(zip(words, counts, strict=True)) == dict.fromkeys("-3 -2 -1 -0 0 1 2 3".split(), 5)
    assert settings.deserialize("-0, 0").tolist() == [-0.5, 0.5]


def test_blanks_around_values_do_not_matter() -> None:
    settings = preset("llmtime-gpt3")
    expected = settings.deserialize("1 2 , 3 , NaN")
    for text in ("1 2,3,NaN", "  1 2 ,\n3 ,NaN ", "1 2 , 3 , NaN ,", "1 2 , 3 , NaN , "):
        np.testing.assert_array_equal(settings.deserialize(text), expected)
    binned = preset("binned")
    for text in ("5 6", " 5  6 ", "5   6"):
        np.testing.assert_array_equal(binned.deserialize(text), [5.5, 6.5])


def test_values_just_below_the_limit_have_no_digit_too_many() -> None:
    """Divided by the step, these come to the limit itself."""
    for settings in (
        preset("llmtime-llama", precision=5, digits=2),
        preset("llmtime-llama", precision=5, digits=3, half_bin=False),
    ):
        for value in (math.nextafter(settings.limit, 0), -math.nextafter(settings.limit, 0)):
            text = settings.serialize([value])
            assert text.removeprefix("-") == "9" * settings.n_digits
            assert abs(settings.deserialize(text)[0] - value) <= 0.501 * settings.step
        with pytest.raises(ValueError, match="value 0 is"):
            settings.serialize([settings.limit])


def test_zero_with_a_sign_can_be_written_by_unsigned_settings() -> None:
    settings = preset("plain-digits")
    assert settings.serialize([-0.0, 0.0]) == "0,0"
    assert settings.serialize(settings.clip([-5.0, 5.0, 5e9, NAN])) == "0,5,999,nan"


@given(SETTINGS_AND_VALUES)
def test_clipped_values_can_be_written(case: tuple[SerializerSettings, list[float]]) -> None:
    settings, values = case
    far = np.array([*values, 1e300, -1e300, np.inf, -np.inf])
    far = far if settings.missing is not None else far[~np.isnan(far)]
    clipped = settings.clip(far)
    read = settings.deserialize(settings.serialize(clipped))
    np.testing.assert_array_equal(np.isnan(read), np.isnan(far))
    np.testing.assert_allclose(read, clipped, rtol=1e-12, atol=0.501 * settings.step)


def test_all_digits_that_a_float_holds_can_be_written() -> None:
    rng = np.random.default_rng(0)
    for base, precision, digits in ((10, 7, 8), (2, 25, 25), (36, 4, 5), (7, 10, 7)):
        settings = SerializerSettings(base=base, precision=precision, digits=digits, missing="?")
        text = settings.serialize(rng.uniform(-settings.limit, settings.limit, 500))
        assert settings.serialize(settings.deserialize(text)) == text
        with pytest.raises(ValueError, match="lower precision or digits"):
            replace(settings, digits=digits + 1)


@pytest.mark.parametrize(
    ("settings", "values", "message"),
    [
        ({}, [], "pass one series of some values"),
        ({}, [[1.0, 2.0]], r"shape \(1, 2\); pass one series"),
        ({}, 1.0, r"shape \(\)"),
        ({}, [1, 2, np.inf], "value 2 is inf; mark it as missing"),
        ({}, [1, -np.inf], "value 1 is -inf; mark it as missing"),
        ({}, [1, 1e300], r"value 1 is 1e\+300; .* scale the values by a scaler"),
        ({}, [0, -100], "value 1 is -100; 2 digits of base 10 end at 100"),
        ({"signed": False}, [1, 2, -0.5], "value 2 is -0.5, .* set signed=True"),
        ({"missing": None}, [1, NAN], "value 1 is missing, .* fill the gap"),
    ],
)
def test_values_that_cannot_be_written_are_named_with_a_remedy(
    settings: dict[str, Any], values: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SerializerSettings(**settings).serialize(values)


def test_series_without_any_known_value_and_constants_can_be_written() -> None:
    settings = preset("llmtime-llama")
    assert np.isnan(settings.deserialize(settings.serialize([NAN, NAN]))).all()
    assert settings.serialize([1.0] * 3) == "1000, 1000, 1000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty"),
        (" \n ", "the text is empty"),
        ("1, 2, about 3", "value 2 of the text, 'about 3', .* '99999'; salvage"),
        ("1,, 2", "value 1 of the text, ''"),
        (", 1", "value 0 of the text, ''"),
        ("1, 007", "value 1 of the text, '007'"),
        ("1, 1.5", "value 1 of the text, '1.5'"),
        ("1, 123456", "value 1 of the text, '123456'"),
        ("1, -", "value 1 of the text, '-'"),
        ("1, --5", "value 1 of the text, '--5'"),
        ("1, 1 2", "value 1 of the text, '1 2'"),
        ("1, NAN", "value 1 of the text, 'NAN'"),
        ("1, ٣", "value 1 of the text"),
        ("The next values are 1, 2", "value 0 of the text, 'The next values are 1'"),
    ],
)
def test_texts_that_are_no_values_are_named_with_the_place(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        preset("llmtime-llama").deserialize(text)


def test_a_negative_zero_is_read_only_where_it_is_written() -> None:
    with pytest.raises(ValueError, match="'-0'"):
        preset("llmtime-llama", half_bin=False).deserialize("-0")
    with pytest.raises(ValueError, match="'-5'"):
        preset("plain-digits").deserialize("-5")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("llmtime-llama", "", []),
        ("llmtime-llama", "12", []),
        ("llmtime-llama", "12,", [0.0125]),
        ("llmtime-llama", "12, 13, 1", [0.0125, 0.0135]),
        ("llmtime-llama", "12, NaN, 1", [0.0125, NAN]),
        ("llmtime-llama", "12, and so on, 13, ", [0.0125]),
        ("llmtime-llama", "Sure! Here are the values: 12, 13, ", []),
        ("llmtime-gpt3", "1 2 , 1 3 , 1", [0.0125, 0.0135]),
        ("llmtime-gpt3", "1 2 , 1 3 , - ", [0.0125, 0.0135]),
        ("binned", "12 13", [12.5]),
        ("binned", "12 13 ", [12.5, 13.5]),
        ("binned", "12 x 13 ", [12.5]),
    ],
)
def test_salvage_keeps_the_values_before_the_first_bad_one(
    name: str, text: str, expected: list[float]
) -> None:
    found = preset(name).salvage(text)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected)


def test_presets_are_named_and_changed() -> None:
    assert preset("llmtime-gpt3") == PRESETS["llmtime-gpt3"]
    assert preset("binned", base=5).alphabet == ("0", "1", "2", "3", "4")
    with pytest.raises(ValueError, match=r"preset='gpt' is none of llmtime-gpt3, .*, binned"):
        preset("gpt")


@pytest.mark.parametrize("name", PRESETS)
def test_a_text_is_continued_by_lead_value_and_terminator(name: str) -> None:
    settings = PRESETS[name]
    values = [0.25, 0.75, 0.5]
    begun = settings.serialize(values[:2]) + settings.terminator
    following = settings.lead + settings.write_each(values[2:])[0]
    assert begun + following == settings.serialize(values)
    assert not settings.terminator.endswith(" ") or settings.value_separator == " "


@given(readable_settings())
def test_values_brought_to_the_reference_leave_room_for_twice_as_large_ones(
    settings: SerializerSettings,
) -> None:
    settings.serialize([settings.reference, math.nextafter(2 * settings.reference, 0)])
