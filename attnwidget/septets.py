"""Bytes as text that a script element of an HTML page holds: seven bits a character, eight where base64 takes eleven.

Bits are cut into groups of seven, first bits first, the last group filled up with zeros. A group is the character of
its number. Four numbers cannot stand in such an element, or not on every system: those of FORBIDDEN. They are one
character together with the next group: 0x80 + 128 * (place in FORBIDDEN) + next group, which takes two bytes of UTF-8;
at the end of the text, where no group is next, 0x280 + (place in FORBIDDEN).
"""

from __future__ import annotations

import numpy as np

FORBIDDEN = (
    b"\0\r\x1a<"  # NUL and CR are replaced by the parser, SUB ends files on some systems, "<" may end the element
)
PAIRS, LAST = 0x80, 0x280


def as_text(data: bytes) -> str:
    """Return bytes as text; UTF-8 of it is 8/7 as long, newlines in it may be of any kind."""
    codes = _groups(data)
    firsts: list[int] = []
    for at in np.flatnonzero(np.isin(codes, list(FORBIDDEN))).tolist():
        if not firsts or firsts[-1] < at - 1:  # else the one before takes it in
            firsts.append(at)
    where = np.array(firsts, np.int64)
    places = np.searchsorted(list(FORBIDDEN), codes[where])
    codes[where] = np.where(
        where + 1 < len(codes), PAIRS + 128 * places + np.append(codes, 0)[where + 1], LAST + places
    )
    taken = where[where + 1 < len(codes)] + 1
    return np.delete(codes, taken).tobytes().decode("utf-16-le")


def _groups(data: bytes) -> np.ndarray:
    """Return the groups of bytes, little-endian uint16: eight of each seven bytes."""
    words = np.zeros((-(-len(data) // 7), 8), np.uint8)
    words[:, 1:] = np.frombuffer(data.ljust(7 * len(words), b"\0"), np.uint8).reshape(-1, 7)
    shifts = np.arange(49, -1, -7, dtype=np.uint64)
    groups = words.view(">u8").astype(np.uint64) >> shifts & np.uint64(127)
    return groups.astype("<u2").ravel()[: -(-8 * len(data) // 7)]
