"""A reader of what an exported page holds, written from the docstring of `attnwidget.base124` alone."""

from __future__ import annotations

import zlib

DIGITS = {chr(code): digit for digit, code in enumerate(c for c in range(128) if c not in (0, 13, 26, 60))}


def bytes_in(text: str) -> bytes:
    """Return the bytes that a text stands for."""
    digits = [DIGITS[character] for character in text]
    groups = [digits[at : at + 15] for at in range(1, len(digits), 15)]
    numbers = [sum(digit * 124 ** (14 - place) for place, digit in enumerate(group)) for group in groups]
    data = b"".join(number.to_bytes(13, "big") for number in numbers)
    return data[: len(data) - 13 + digits[0]] if data else b""


def unpacked(text: str) -> bytes:
    """Return what an element of a page holds."""
    return zlib.decompress(bytes_in(text))
