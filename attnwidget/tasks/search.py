"""Search: a sentence about two shapes, and a gallery of pictures of which one is what it says."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass

from . import shapes
from .example import Example, typed
from .shapes import COLOURS, N_COLUMNS, N_ROWS, RELATIONS, SHAPES, Thing, noise_from

N_PICTURES = 50
TYPED = "a red circle left-of a blue square"
EXPECTED = (
    f'a sentence such as "{TYPED}": a colour and a shape, {" or ".join(RELATIONS)}, and another colour and shape; the '
    "shape that comes first, from left to right or from top to bottom, is named first"
)


@dataclass(frozen=True)
class Search(Example):
    """A sentence to be found in a gallery.

    Args:
        source: the cells of the picture that it is about; these are the keys.
        target: the words of the sentence.
        alignment: for each word, the cell that it is about, or None.
        gallery: the pictures as examples of `shapes`, each with another caption, the right one among them.
    """

    gallery: tuple[Example, ...] = ()


def search(sentence: tuple[str, ...], *, rng: random.Random) -> Search:
    """Return a sentence with a gallery made for it: its picture, near misses of it, and random others.

    Args:
        sentence: seven words, as `shapes` captions a picture.
        rng: chooses cells, the other pictures, and the order.
    """
    right = picture(sentence, rng=rng)
    gallery = {right.target: right}
    for miss in near_misses(sentence, rng=rng):
        gallery.setdefault(miss, picture(miss, rng=rng))
    while len(gallery) < N_PICTURES:
        other = shapes.draw(rng)
        gallery.setdefault(other.target, other)
    pictures = list(gallery.values())
    rng.shuffle(pictures)
    return Search(right.source, right.target, right.alignment, right.values, gallery=tuple(pictures))


def near_misses(sentence: tuple[str, ...], *, rng: random.Random) -> list[tuple[str, ...]]:
    """Return the sentence with its shapes exchanged, and with each of its words but "a" replaced by another."""
    misses = [(*sentence[4:], sentence[3], *sentence[:3])]
    for place, word in enumerate(sentence):
        for kind in (tuple(COLOURS), SHAPES, RELATIONS):
            if word in kind:
                other = rng.choice([candidate for candidate in kind if candidate != word])
                misses.append((*sentence[:place], other, *sentence[place + 1 :]))
    return misses


def picture(sentence: tuple[str, ...], *, rng: random.Random) -> Example:
    """Return a picture, with noise, that a sentence is the caption of."""
    _, first_colour, first_shape, relation, _, second_colour, second_shape = sentence
    line, (near, far) = rng.randrange(N_ROWS), sorted(rng.sample(range(N_COLUMNS), 2))
    cells = [line * N_COLUMNS + place if relation == "left-of" else place * N_COLUMNS + line for place in (near, far)]
    first, second = Thing(first_colour, first_shape, cells[0]), Thing(second_colour, second_shape, cells[1])
    return shapes.example(first, second, noise=noise_from(rng))


def draw(rng: random.Random) -> Search:
    """Return a random sentence with its gallery."""
    return search(shapes.draw(rng).target, rng=rng)


def read(text: str) -> Search:
    """Return the sentence that a person typed, with a gallery that is always the same for it.

    Raises:
        TypeError: text is not a str.
        ValueError: text is blank, or not such a sentence.
    """
    words = [word for word in typed(text, expected=EXPECTED).replace("left of", "left-of").split() if word != "a"]
    kinds = (tuple(COLOURS), SHAPES, RELATIONS, tuple(COLOURS), SHAPES)
    if len(words) != len(kinds):
        raise ValueError(f"{len(words)} words came (each a not counted): expected {EXPECTED}.")
    for index, (word, kind) in enumerate(zip(words, kinds, strict=True)):
        if word not in kind:
            raise ValueError(f"word {index} (each a not counted) is not one of {', '.join(kind)}: expected {EXPECTED}.")
    sentence = ("a", *words[:3], "a", *words[3:])
    return search(sentence, rng=random.Random(zlib.crc32(" ".join(sentence).encode())))
