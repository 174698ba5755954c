"""What is hidden in a token gets a sign, what is long is cut, and numbers are short."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from attnwidget.figure.text import cut, percent, short, shown, width

JOINER = "\u200d"


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("", "∅"),
        ("cat", "cat"),
        (" cat", "␣cat"),
        ("cat ", "cat␣"),
        ("a b", "a b"),
        ("a b c", "a b c"),
        ("a  b", "a ␣b"),
        (" ", "␣"),
        ("a\n\t\rb", "a⏎⇥␍b"),
        ("\x00\u200b", "⟨0⟩⟨200B⟩"),
        ("\u00a0", "⟨A0⟩"),
        ("\ud800", "⟨D800⟩"),
        (f"👩{JOINER}💻", f"👩{JOINER}💻"),
        (f"❤{JOINER}☀", f"❤{JOINER}☀"),
        (f"👩{JOINER}💻a", f"👩{JOINER}💻a"),
        (f"👩{JOINER}a", "👩⟨200D⟩a"),
        (f"👩{JOINER}", "👩⟨200D⟩"),
        (f"{JOINER}👩", "⟨200D⟩👩"),
        ("👩\u200b💻", "👩⟨200B⟩💻"),
        (f"\U0001f000{JOINER}\U0001f000", f"\U0001f000{JOINER}\U0001f000"),
        ("שלום", "\u2068שלום\u2069"),
    ],
)
def test_a_token_can_be_told_from_others(text: str, drawn: str) -> None:
    assert shown(text) == drawn


def test_a_long_token_is_cut() -> None:
    assert (shown("x" * 60), shown("x" * 61), shown("abc", 2)) == ("x" * 60, "x" * 60 + "…", "ab…")


def test_a_space_before_the_cut_is_not_the_last() -> None:
    assert shown("ab cd", 3) == "ab …"


def test_wide_letters_are_wide_and_marks_have_no_width() -> None:
    assert width("猫Ａ", 10) == 20
    assert width("e\u0301", 10) == width("e", 10) == width("\u2068e\u2069", 10)
    assert width("i", 10) < width("e", 10) < width("D", 10) < width("W", 10) < width("\U00012031", 10) < width("﷽", 10)


def test_what_fits_just_is_not_cut() -> None:
    assert cut("猫猫猫", 30, 10) == "猫猫猫"
    assert cut("猫猫猫猫", 30, 10) == "猫猫…"
    assert cut("猫猫猫猫", 39, 10) == "猫猫…"
    assert cut("猫猫猫猫猫猫", 45, 10) == "猫猫猫…"
    assert cut("猫猫", 9, 10) == ""
    assert cut("\u2068שלום\u2069", 22, 10) == "\u2068ש\u2069…"  # what comes behind it stays where it is


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (0.254, "0.25"),
        (-0.0, "0.00"),
        (3e38, "3e+38"),
        (-0.5, "−0.50"),
        (999.0, "999.00"),
        (1000.0, "1e+3"),
        (-1000.0, "−1e+3"),
    ],
)
def test_a_weight_is_short(value: float, written: str) -> None:
    assert short(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (0.0, "0 %"),
        (-0.0, "0 %"),
        (9.99, "999 %"),
        (10.0, "10.00"),
        (-10.0, "−10.00"),
        (1e300, "1e+300"),
        (0.0009, "< 0.1 %"),
        (0.001, "0.1 %"),
        (0.0994, "9.9 %"),
        (0.0995, "10 %"),
        (0.5, "50 %"),
        (2.0, "200 %"),
        (-0.25, "−25 %"),
    ],
)
def test_a_weight_is_a_percentage(value: float, written: str) -> None:
    assert percent(value) == written


def test_numbers_are_written_as_on_the_screen() -> None:
    told = json.loads((Path(__file__).parents[1] / "data" / "written.json").read_text("utf-8"))  # of words.test.ts too
    assert [[value, short(value), percent(value)] for value, _, _ in told] == told
    assert all(short(np.float32(value)) for value, _, _ in told)
