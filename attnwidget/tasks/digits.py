"""Digits: 1,797 handwritten digits of 8 by 8 pixels, to be named.

Source: E. Alpaydin and C. Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
https://doi.org/10.24432/C50P49, the test set, as scikit-learn 1.9 gives it; licence CC BY 4.0. Nothing was changed but
the file format.
"""

from __future__ import annotations

import random
import re
from functools import cache
from importlib import resources

import numpy as np

from .example import Example, typed
from .pictures import PictureTask

SHAPE = (8, 8)
FULL_SCALE = 16
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PIXELS = tuple(f"{column}{row}" for row in "12345678" for column in "abcdefgh")
HELD_OUT_SHARE = 5
EXPECTED = 'a digit, such as "7" or "seven", and perhaps which of its held-out pictures, "7 #3", counted from 1'


@cache
def data() -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures, float32 [1797, 8, 8] from 0 (paper) to 1 (ink), and the digit on each, int64 [1797]."""
    with resources.as_file(resources.files(__package__) / "digits.npz") as path, np.load(path) as file:
        images = file["images"].astype(np.float32) / np.float32(FULL_SCALE)
        digits = file["digits"].astype(np.int64)
    images.flags.writeable = digits.flags.writeable = False
    return images, digits


def indices(*, held_out: bool) -> np.ndarray:
    """Return which pictures are kept from training, every fifth, or which are not: int64 [picture]."""
    every = np.arange(len(data()[1]))
    kept: np.ndarray = every[(every % HELD_OUT_SHARE == 0) == held_out]
    return kept


def example(index: int) -> Example:
    """Return a picture by its index; the target is its name, and no pixel is the gold of it."""
    images, digits = data()
    return Example(PIXELS, (WORDS[digits[index]],), (None,), values=images[index])


def draw(rng: random.Random) -> Example:
    """Return a random picture of all, held out or not."""
    return example(rng.randrange(len(data()[1])))


def read(text: str) -> Example:
    """Return a held-out picture of the digit that a person typed: the first, or "7 #3" the third.

    Raises:
        TypeError: text is not a str.
        ValueError: text is blank or no digit, or there are not so many held-out pictures of it.
    """
    match = re.fullmatch(r"(\w+)(?:\s*#\s*(\d{1,4}))?", typed(text, expected=EXPECTED))
    if match is None or match[1] not in (*WORDS, *"0123456789"):
        raise ValueError(f"the text names no digit from 0 to 9: expected {EXPECTED}.")
    digit = int(match[1]) if match[1].isdigit() else WORDS.index(match[1])
    held = indices(held_out=True)
    pictures = held[data()[1][held] == digit]
    number = int(match[2] or 1)
    if not 1 <= number <= len(pictures):
        raise ValueError(f"picture #{number} of {digit} came: expected #1 to #{len(pictures)}.")
    return example(int(pictures[number - 1]))


def _held_out(example: Example) -> bool:
    images = data()[0][indices(held_out=True)]
    return bool((images == example.values).all(axis=(1, 2)).any())


def _odd(image: np.ndarray) -> str | None:
    ink, known = float(image.mean()), data()[0].mean(axis=(1, 2))
    if known.min() <= ink <= known.max():
        return None
    return (
        f"ink covers {ink:.0%} of the picture, but in the data it covers {known.min():.0%} to {known.max():.0%} "
        "(1 is ink, 0 is paper)"
    )


TASK = PictureTask(
    name="digits",
    summary="a picture of a handwritten digit -> its name: 7 -> seven",
    source_words=PIXELS,
    target_words=WORDS,
    shape=SHAPE,
    draw=draw,
    read=read,
    odd=_odd,
    typed="7",
    full_scale=FULL_SCALE,
    held_out=_held_out,
)
