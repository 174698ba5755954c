"""One example of a task, and the task itself: plain data shared by every task file."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

Gold = frozenset[int]
HELD_OUT_SHARE = 10
MIN_HELD_OUT_TOKENS = 3


@dataclass(frozen=True)
class Example:
    """A source, the target it should become, and the gold alignment between them.

    Args:
        source: input tokens, at least one.
        target: output tokens, without an end mark.
        alignment: one entry per target token: the indices of the source tokens that it is made from,
            or None where no source token corresponds.
        values: what a network reads where that is not the tokens, such as pixels; two examples that differ in
            nothing else are equal.

    Raises:
        ValueError: the alignment does not fit the two strips.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    alignment: tuple[Gold | None, ...]
    values: np.ndarray | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.alignment) != len(self.target):
            raise ValueError(
                f"alignment has {len(self.alignment)} entries but target has {len(self.target)} tokens: "
                "give one entry per target token, None where no source token corresponds."
            )
        for query, gold in enumerate(self.alignment):
            if gold is not None and not (gold and all(0 <= key < len(self.source) for key in gold)):
                raise ValueError(
                    f"alignment of target token {query} is {sorted(gold)}: expected source indices "
                    f"from 0 to {len(self.source) - 1}, or None where no source token corresponds."
                )


def held_out(example: Example) -> bool:
    """Return whether the example is kept from training: one in ten, by a hash of its target.

    The target decides, so a held-out answer is never trained on in another form either (the same date in another
    format, the same number with "and"). Sources of one or two tokens are never held out: there are so few of them
    that some word might never be learnt.
    """
    if len(example.source) < MIN_HELD_OUT_TOKENS:
        return False
    return zlib.crc32(" ".join(example.target).encode()) % HELD_OUT_SHARE == 0


@dataclass(frozen=True)
class Task:
    """A sequence task whose examples never run out and whose alignments are known.

    Args:
        name: what `get` calls it.
        summary: one line for people, with an example.
        source_words: every token a source may hold.
        target_words: every token a target may hold.
        draw: one example, made with the given random generator and nothing else.
        tokenize: what a person typed, as source tokens; ValueError for what the task cannot read.
        typed: something that a person could type.
        held_out: whether an example is kept from training.
    """

    name: str
    summary: str
    source_words: tuple[str, ...]
    target_words: tuple[str, ...]
    draw: Callable[[random.Random], Example]
    tokenize: Callable[[str], list[str]]
    typed: str
    held_out: Callable[[Example], bool] = held_out

    def examples(self, seed: int) -> Iterator[Example]:
        """Yield examples without end; the same seed gives the same examples on every machine."""
        rng = random.Random(seed)
        while True:
            yield self.draw(rng)


def typed(text: str, *, expected: str) -> str:
    """Return what a person typed, lower-cased and stripped.

    Raises:
        TypeError: text is not a str.
        ValueError: text is blank.
    """
    if not isinstance(text, str):
        raise TypeError(f"text is a {type(text).__name__}: expected a str, {expected}.")
    stripped = text.strip().lower()
    if not stripped:
        raise ValueError(f"text is empty: expected {expected}.")
    return stripped
