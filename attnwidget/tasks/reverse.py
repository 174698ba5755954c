"""Reverse: a string of letters becomes the same string backwards."""

from __future__ import annotations

import random
import string

from .example import Example, Task, typed

MAX_LETTERS = 12
MAX_FEW = 3
P_FEW = 0.2
EXPECTED = 'letters a to z, such as "attention"'


def draw(rng: random.Random) -> Example:
    """Return a random string of 1 to 12 letters, now and then of a few different ones, so that letters repeat.

    The gold alignment is the anti-diagonal.
    """
    n_letters = rng.randint(1, MAX_LETTERS)
    few = rng.sample(string.ascii_lowercase, rng.randint(1, MAX_FEW))
    letters = few if rng.random() < P_FEW else string.ascii_lowercase
    source = tuple(rng.choice(letters) for _ in range(n_letters))
    return Example(source, source[::-1], tuple(frozenset({key}) for key in reversed(range(n_letters))))


def tokenize(text: str) -> list[str]:
    """Return the letters of the text, lower-cased; spaces are dropped.

    Raises:
        TypeError: text is not a str.
        ValueError: text is blank or holds anything but letters a to z and spaces.
    """
    letters = "".join(typed(text, expected=EXPECTED).split())
    for index, letter in enumerate(letters):
        if letter not in string.ascii_lowercase:
            raise ValueError(
                f"character {index} (spaces not counted) is not a letter from a to z: "
                f"expected {EXPECTED}. Leave out digits, accents and punctuation."
            )
    return list(letters)


TASK = Task(
    name="reverse",
    summary="letters -> the same letters backwards: a b c -> c b a",
    source_words=tuple(string.ascii_lowercase),
    target_words=tuple(string.ascii_lowercase),
    draw=draw,
    tokenize=tokenize,
    typed="attention",
)
