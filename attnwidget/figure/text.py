"""How tokens and numbers are written in a figure, so that none is mistaken for another; and how wide they are."""

from __future__ import annotations

import math
import re
import unicodedata
from decimal import ROUND_HALF_UP, Context

_NAMED = {"\n": "⏎", "\t": "⇥", "\r": "␍"}
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff]")
_HIDDEN = ("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn", "Zs")
# What Unicode lets programs draw as nothing (Default_Ignorable_Code_Point), and an empty Braille cell.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_STYLED = re.compile("[#*0-9\u203c\u2049\u2139\u2190-\u21ff\u25fb-\u25fe\u2934\u2935\u3030]")
_CIRCLE = "◌"  # what a mark stands on that has no letter
_MOST_MARKS = 4  # on one letter; more would reach into other lines
MAX_SHOWN = 60
_ONE_DIGIT = Context(prec=1, rounding=ROUND_HALF_UP)
_ALL_DIGITS = Context(prec=400, rounding=ROUND_HALF_UP)  # any float64 has fewer before its point
# How wide characters are, in heights of the letters, in the widest of the fonts that a figure names.
_LETTERS, _LATER, _SIGNS, _SQUARE, _CUNEIFORM = 0.64, 0.78, 0.88, 1.0, 3.0
_EMS = {
    c: ems
    for letters, ems in (
        (" !'(),-./:;I[\\]`fijlrt|“”‘’·", 0.4),
        ("&ACDGHKNOPQRTUVXY", 0.78),
        ("#+<=>^w~", 0.88),
        ("MWm@%—…", 1.0),
        ("ЖМФШЩЪЫЮжмфшщъыю", 1.2),
        ("\ufdfd", 11.0),
    )
    for c in letters
}
BOLD = 1.13


def shown(text: str, limit: int = MAX_SHOWN) -> str:
    """Return a token so that it can be told from any other by eye: hidden characters get a sign, long ones are cut."""
    if not text:
        return "∅"
    written, n_marks, is_bare = "", 0, True
    for i, c in enumerate(text[:limit]):
        kind = unicodedata.category(c)
        n_marks = n_marks + 1 if kind[0] == "M" else 0
        is_own = c == _CIRCLE and unicodedata.category(text[i + 1 : i + 2] or " ")[0] == "M"
        is_hidden = c != " " and (kind in _HIDDEN or bool(_INVISIBLE.match(c)))
        is_coded = (is_hidden or n_marks > _MOST_MARKS or is_own) and not _pictured(text, i)
        if c == " ":
            written += "␣" if i in (0, len(text) - 1) or text[i - 1] == " " else " "
        elif is_coded:
            written += _NAMED.get(c, f"⟨{ord(c):X}⟩")
        else:
            written += _CIRCLE + c if n_marks and is_bare else c
        is_bare = is_coded
    written += "…" if len(text) > limit else ""
    return f"\u2068{written}\u2069" if _RIGHT_TO_LEFT.search(written) else written  # it must not move its neighbours


def _pictured(text: str, i: int) -> bool:
    """Tell a joiner between two pictographs, which makes one of them, and what says in which style one is drawn."""
    before, after = text[i - 1 : i] if i else "", text[i + 1 : i + 2]
    if text[i] in "\ufe0e\ufe0f":
        return bool(_STYLED.match(before)) or _is_pictograph(before)
    return text[i] == "\u200d" and all(c == "\ufe0f" or _is_pictograph(c) for c in (before, after))


def _is_pictograph(c: str) -> bool:
    return c != "" and (ord(c) >= 0x1F000 or unicodedata.category(c) == "So")


def width(text: str, size: float) -> float:
    """Return how wide a text is at most, more or less, for letters of a size; both in CSS pixels."""
    return size * sum(map(_ems, text))


def _ems(c: str) -> float:
    if unicodedata.combining(c) or c in "\u2068\u2069":
        return 0.0
    if unicodedata.east_asian_width(c) in "WF":
        return _SQUARE
    code = ord(c)
    other = _LETTERS if code < 0x250 else _LATER if code < 0x2000 else _SIGNS if code < 0x12000 else _CUNEIFORM
    return _EMS.get(c, other)


def cut(text: str, room: float, size: float) -> str:
    """Return as much of a text as fits."""
    if width(text, size) <= room:
        return text
    left, kept = room - width("…", size), ""
    for c in text:
        left -= width(c, size)
        if left < 0:
            break
        kept += c
    kept += "\u2069" * (kept.count("\u2068") - kept.count("\u2069"))
    return f"{kept}…" if kept else ""


def short(value: float) -> str:
    """Return a weight for a small place: two decimals."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    return (f"{_ONE_DIGIT.create_decimal(float(value)):e}" if abs(value) >= 1000 else _fixed(value, 2)).replace(
        "-", "−"
    )


def percent(value: float) -> str:
    """Return a weight as a percentage, and as a number where it is far from being a share."""
    if not abs(value) < 10:
        return short(value)
    if 0 < value < 0.001:
        return "< 0.1 %"
    return f"{_fixed(value * 100, 1 if 0 < value < 0.0995 else 0)} %".replace("-", "−")


def _fixed(value: float, n_decimals: int) -> str:
    """Return a number as a page writes it, where a half is rounded away from 0."""
    exact = _ALL_DIGITS.create_decimal(float(value) or 0.0)
    return f"{exact.quantize(_ALL_DIGITS.create_decimal((0, (1,), -n_decimals)), context=_ALL_DIGITS):f}"
