"""Sorting: different numbers become the same numbers in ascending order."""

from __future__ import annotations

import random
import re

from .example import Example, Task, typed

LARGEST = 99
MIN_NUMBERS, MAX_NUMBERS = 2, 10
EXPECTED = f'different whole numbers from 0 to {LARGEST}, such as "42 7 99 13"'


def example(numbers: list[int]) -> Example:
    """Return different numbers, their ascending order, and where each stood: the gold alignment."""
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    words = tuple(map(str, numbers))
    return Example(words, tuple(words[key] for key in order), tuple(frozenset({key}) for key in order))


def draw(rng: random.Random) -> Example:
    """Return 2 to 10 random numbers, all different, from a random range, so that some stand close together."""
    n_numbers = rng.randint(MIN_NUMBERS, MAX_NUMBERS)
    width = rng.randint(n_numbers, LARGEST + 1)
    first = rng.randint(0, LARGEST + 1 - width)
    return example(rng.sample(range(first, first + width), n_numbers))


def tokenize(text: str) -> list[str]:
    """Return the numbers of a text that separates them by spaces, commas or semicolons.

    Raises:
        TypeError: text is not a str.
        ValueError: text is blank, or holds anything but whole numbers from 0 to 99, or one of them twice.
    """
    words = re.split(r"[\s,;]+", typed(text, expected=EXPECTED).strip(",; "))
    for index, word in enumerate(words):
        if not re.fullmatch(r"[0-9]+", word) or int(word) > LARGEST:
            raise ValueError(f"entry {index} is no whole number from 0 to {LARGEST}: expected {EXPECTED}.")
    numbers = [str(int(word)) for word in words]
    for index, number in enumerate(numbers):
        if number in numbers[:index]:
            raise ValueError(f"entry {index} came before already: expected {EXPECTED}.")
    return numbers


TASK = Task(
    name="sorting",
    summary="different numbers -> the same in ascending order: 42 7 99 13 -> 7 13 42 99",
    source_words=tuple(map(str, range(LARGEST + 1))),
    target_words=tuple(map(str, range(LARGEST + 1))),
    draw=draw,
    tokenize=tokenize,
    typed="42 7 99 13 58",
)
