"""A person's own data: pairs of a source and its target, as a task like any other."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from .example import HELD_OUT_SHARE, Example, Task

MIN_PAIRS = 10
SIDES = ("source", "target")
Side = str | Sequence[str]


def from_pairs(
    pairs: Iterable[tuple[Side, Side]], *, name: str = "pairs", tokenize: Callable[[str], list[str]] = str.split
) -> Task:
    """Return a task that draws from these pairs.

    One in ten of the different targets is held out, at least one, chosen by a hash so that it is always the same.
    Those come first whose words all stand in other pairs too: nothing can be said of a word that was never learned.
    Nothing is known of the gold alignment, so that it is None at every step.

    Args:
        pairs: source and target, each a text or a list of words; at least `MIN_PAIRS` different ones.
        name: of the task and of what is trained on it.
        tokenize: splits a text, of either side, into words: `str.split`, `list` for letters, or any function.

    Raises:
        TypeError: a pair is no pair, or a side of it neither a text nor a list of str.
        ValueError: a side has no words, or there are too few pairs, or all have the same target.
    """
    if not isinstance(pairs, Iterable):
        raise TypeError(f"pairs is a {type(pairs).__name__}: expected (source, target) pairs.")
    examples = list(dict.fromkeys(_example(index, pair, tokenize) for index, pair in enumerate(pairs)))
    if len(examples) < MIN_PAIRS:
        raise ValueError(
            f"{len(examples)} different pairs came: expected at least {MIN_PAIRS}, and some hundreds for a network to "
            "learn from."
        )
    held = _held_targets(examples)
    learned = [example for example in examples if example.target not in held]
    if not learned:
        raise ValueError("all pairs have the same target: expected different ones, since one in ten is held out.")

    def draw(rng: random.Random) -> Example:
        return rng.choice(examples)

    return Task(
        name=name,
        summary=f"{len(examples)} pairs of your own: {' '.join(learned[0].source)} -> {' '.join(learned[0].target)}",
        source_words=_vocabulary(example.source for example in examples),
        target_words=_vocabulary(example.target for example in examples),
        draw=draw,
        tokenize=tokenize,
        typed=("" if tokenize is list else " ").join(learned[0].source),
        held_out=lambda example: example.target in held,
    )


def read_pairs(path: str | Path) -> list[tuple[str, str]]:
    """Return the pairs of a text file in UTF-8: one a line, source, tab, target; blank lines are left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line has not two columns, or the file is not UTF-8.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{Path(path).name} is not text in UTF-8: {error.reason} at byte {error.start}.") from error
    pairs = []
    for number, line in enumerate(text.splitlines(), start=1):
        columns = line.split("\t")
        if not line.strip():
            continue
        if len(columns) != 2:
            raise ValueError(
                f"line {number} of {Path(path).name} has {len(columns)} columns: expected source and target, separated "
                "by one tab."
            )
        pairs.append((columns[0], columns[1]))
    return pairs


def _example(index: int, pair: object, tokenize: Callable[[str], list[str]]) -> Example:
    if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
        raise TypeError(
            f"pair {index} is a {type(pair).__name__}, not two texts or lists of words: expected (source, target), "
            "such as ('good morning', 'guten Morgen')."
        )
    source, target = (_words(f"{name} of pair {index}", side, tokenize) for name, side in zip(SIDES, pair, strict=True))
    return Example(source, target, (None,) * len(target))


def _words(name: str, side: object, tokenize: Callable[[str], list[str]]) -> tuple[str, ...]:
    words = tokenize(side) if isinstance(side, str) else side
    if not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
        raise TypeError(f"the {name} is a {type(side).__name__}: expected a text or a list of str.")
    if not words or not all(words):
        raise ValueError(f"the {name} is empty or holds an empty word: expected at least one word.")
    return tuple(words)


def _held_targets(examples: Sequence[Example]) -> frozenset[tuple[str, ...]]:
    by_target: dict[tuple[str, ...], list[Example]] = {}
    for example in examples:
        by_target.setdefault(example.target, []).append(example)
    order = sorted(by_target, key=lambda target: (zlib.crc32(" ".join(target).encode()), target))
    n_held = max(1, len(order) // HELD_OUT_SHARE)
    left = Counter(word for example in examples for word in _sided(example))
    held: list[tuple[str, ...]] = []
    for target in order:
        lost = Counter(word for example in by_target[target] for word in _sided(example))
        if len(held) < n_held and all(left[word] > count for word, count in lost.items()):
            left -= lost
            held.append(target)
    return frozenset(held or order[:n_held])


def _sided(example: Example) -> set[tuple[str, str]]:
    return {("source", word) for word in example.source} | {("target", word) for word in example.target}


def _vocabulary(sides: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted({word for side in sides for word in side}))
