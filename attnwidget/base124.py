"""Bytes as text that a script element of an HTML page holds: 15 characters for 13 bytes, where base64 takes 18.

Characters are those of ASCII but four, which a parser replaces or which could end something. They are digits: 0 is the
first of them, 123 the last. The first character says how many bytes the last group has; then each group of 13 bytes is
a number, most significant byte first, and so are its 15 digits. The last group is filled up with zeros. Newlines may
become those of any system: a parser makes them one character again.
"""

from __future__ import annotations

import numpy as np

ALPHABET = bytes(set(range(128)) - set(b"\0\r\x1a<"))
GROUP, N_DIGITS = 13, 15
TOGETHER = len(ALPHABET) ** 3  # three digits at once
LIMB = 26  # bits: four limbs are a group, and a limb and three digits fit into a float64


def as_text(data: bytes) -> str:
    """Return bytes as text."""
    if not data:
        return ""
    limbs = _limbs(data)
    threes = []
    for _ in range(N_DIGITS // 3):
        left = np.zeros_like(limbs[0])
        for i, limb in enumerate(limbs):
            limbs[i], left = np.divmod((left << LIMB) + limb, TOGETHER)
        threes.append(left)
    base = len(ALPHABET)
    digits = [digit for three in threes[::-1] for digit in (three // base**2, three // base % base, three % base)]
    n_last = (len(data) - 1) % GROUP + 1
    codes: np.ndarray = np.frombuffer(ALPHABET, np.uint8)[np.append(n_last, np.stack(digits, -1))]
    return codes.tobytes().decode("ascii")


def _limbs(data: bytes) -> list[np.ndarray]:
    """Return the limbs of each group, most significant first."""
    padded = np.frombuffer(data + bytes(-len(data) % GROUP), np.uint8).reshape(-1, GROUP)
    words = np.zeros((len(padded), 16), np.uint8)
    words[:, :8], words[:, 11:] = padded[:, :8], padded[:, 8:]
    high, low = words.view(">u8").astype(np.int64).T  # 64 bits, of which the sign is one, and 40
    mask = (1 << LIMB) - 1
    return [high >> 38 & mask, high >> 12 & mask, (high & 0xFFF) << 14 | low >> LIMB, low & mask]
