"""How tokens and numbers are written in a figure, so that none is mistaken for another; and how wide they are."""

from __future__ import annotations

import math
import re
import unicodedata
from decimal import ROUND_HALF_UP, Context

_NAMED = {"\n": "⏎", "\t": "⇥", "\r": "␍"}
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_HIDDEN = ("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn", "Zs")
MAX_SHOWN = 60
_ONE_DIGIT = Context(prec=1, rounding=ROUND_HALF_UP)
_ALL_DIGITS = Context(prec=400, rounding=ROUND_HALF_UP)  # any float64 has fewer before its point
WIDTH = 0.58  # of a character, in heights of the letters; of those of East Asia 1


def shown(text: str, limit: int = MAX_SHOWN) -> str:
    """Return a token so that it can be told from any other by eye: hidden characters get a sign, long ones are cut."""
    if not text:
        return "∅"
    written = ""
    for i, c in enumerate(text[:limit]):
        if c == " ":
            written += "␣" if i in (0, len(text) - 1) or text[i - 1] == " " else " "
        elif unicodedata.category(c) in _HIDDEN and not _joins(text, i):
            written += _NAMED.get(c, f"⟨{ord(c):X}⟩")
        else:
            written += c
    written += "…" if len(text) > limit else ""
    return f"\u2068{written}\u2069" if _RIGHT_TO_LEFT.search(written) else written  # it must not move its neighbours


def _joins(text: str, i: int) -> bool:
    """Tell a joiner between two pictographs, which makes one of them."""
    around = (text[i - 1 : i], text[i + 1 : i + 2])
    return text[i] == "\u200d" and all(
        c and (ord(c) >= 0x1F000 or c == "\ufe0f" or unicodedata.category(c) == "So") for c in around
    )


def width(text: str, size: float) -> float:
    """Return how wide a text is, more or less, for letters of a size; both in CSS pixels."""
    ems = (1.0 if unicodedata.east_asian_width(c) in "WF" else WIDTH for c in text if not unicodedata.combining(c))
    return size * sum(ems)


def cut(text: str, room: float, size: float) -> str:
    """Return as much of a text as fits."""
    if width(text, size) <= room:
        return text
    kept = text
    while kept and width(kept, size) + size > room:
        kept = kept[:-1]
    return f"{kept}…" if kept else ""


def short(value: float) -> str:
    """Return a weight for a small place: two decimals."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    return (f"{_ONE_DIGIT.create_decimal(float(value)):e}" if abs(value) >= 1000 else _fixed(value, 2)).replace(
        "-", "−"
    )


def percent(value: float) -> str:
    """Return a weight as a percentage."""
    if not math.isfinite(value):
        return short(value)
    if 0 < value < 0.001:
        return "< 0.1 %"
    return f"{_fixed(value * 100, 1 if 0 < value < 0.0995 else 0)} %".replace("-", "−")


def _fixed(value: float, n_decimals: int) -> str:
    """Return a number as a page writes it, where a half is rounded away from 0."""
    exact = _ALL_DIGITS.create_decimal(float(value) or 0.0)
    return f"{exact.quantize(_ALL_DIGITS.create_decimal((0, (1,), -n_decimals)), context=_ALL_DIGITS):f}"
