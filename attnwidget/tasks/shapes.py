"""Shapes: a picture of two coloured shapes becomes a caption that says how they stand to each other."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from .example import Example, Gold, typed
from .pictures import PictureTask

N_COLUMNS = N_ROWS = 4
CELL_PX = 8
IMAGE_SHAPE = (N_ROWS * CELL_PX, N_COLUMNS * CELL_PX, 3)
CELLS = tuple(f"{column}{row}" for row in "1234" for column in "abcd")
COLOURS = {"red": (0.9, 0.1, 0.1), "green": (0.1, 0.7, 0.2), "blue": (0.1, 0.2, 0.9), "yellow": (0.95, 0.85, 0.1)}
SHAPES = ("circle", "square", "triangle")
RELATIONS = ("left-of", "above")
WORDS = ("a", *COLOURS, *SHAPES, *RELATIONS)
BACKGROUND = 0.1
NOISE = 0.04
BRIGHT = 0.3
EXPECTED = (
    'two shapes and their cells, such as "red circle b2, blue square b4": '
    "columns a to d from left to right, rows 1 to 4 from top to bottom"
)


@dataclass(frozen=True)
class Thing:
    """One coloured shape in a cell of the grid; cells count row by row from the top left, as in CELLS."""

    colour: str
    shape: str
    cell: int

    @property
    def row(self) -> int:
        """The row, 0 at the top."""
        return self.cell // N_COLUMNS

    @property
    def column(self) -> int:
        """The column, 0 at the left."""
        return self.cell % N_COLUMNS


def render(things: tuple[Thing, ...], *, noise: np.random.Generator | None = None) -> np.ndarray:
    """Return a picture of the things on a dark ground.

    Args:
        things: at most one in a cell.
        noise: adds up to 0.04 to each number; none by default.

    Returns:
        float32 [32, 32, 3]: row, column and red, green, blue, each from 0 to 1.
    """
    image = np.full(IMAGE_SHAPE, BACKGROUND, dtype=np.float32)
    for thing in things:
        top, left = thing.row * CELL_PX, thing.column * CELL_PX
        image[top : top + CELL_PX, left : left + CELL_PX][_outline(thing.shape)] = COLOURS[thing.colour]
    if noise is not None:
        image += NOISE * noise.random(IMAGE_SHAPE, dtype=np.float32)
    return image


@cache
def _outline(shape: str) -> np.ndarray:
    y, x = np.mgrid[:CELL_PX, :CELL_PX] - (CELL_PX - 1) / 2
    inside: dict[str, np.ndarray] = {
        "circle": x**2 + y**2 <= 14.5,
        "square": np.maximum(np.abs(x), np.abs(y)) <= 2.5,
        "triangle": np.abs(x) <= (y + 4.5) / 2,
    }
    return inside[shape]


def example(first: Thing, second: Thing, *, noise: np.random.Generator | None = None) -> Example:
    """Return the picture of two things, its caption, and the cell that each colour and shape word is about.

    Args:
        first: a thing.
        second: another, in the same row or the same column.
        noise: as `render` takes it.

    Returns:
        The example: its source are the CELLS, its values the picture. The thing that comes first in reading order is
        named first, so that a picture has one caption; "a" and the relation have no gold.

    Raises:
        ValueError: the things share a cell, or neither a row nor a column.
    """
    first, second = sorted((first, second), key=lambda thing: thing.cell)
    if first.cell == second.cell:
        raise ValueError(f"both shapes are in cell {CELLS[first.cell]}: expected two cells. Move one of them.")
    if first.row != second.row and first.column != second.column:
        raise ValueError(
            f"cells {CELLS[first.cell]} and {CELLS[second.cell]} share neither a row nor a column: expected two cells "
            "in one row (left-of) or one column (above). Move one of the shapes."
        )
    relation = "left-of" if first.row == second.row else "above"
    return Example(
        source=CELLS,
        target=("a", first.colour, first.shape, relation, "a", second.colour, second.shape),
        alignment=(None, *2 * (_gold(first),), None, None, *2 * (_gold(second),)),
        values=render((first, second), noise=noise),
    )


def _gold(thing: Thing) -> Gold:
    return frozenset({thing.cell})


def draw(rng: random.Random) -> Example:
    """Return two random things in random cells of one row or one column, with noise."""
    first = rng.randrange(len(CELLS))
    row, column = divmod(first, N_COLUMNS)
    line = [cell for cell in range(len(CELLS)) if (cell // N_COLUMNS == row) != (cell % N_COLUMNS == column)]
    return example(random_thing(rng, first), random_thing(rng, rng.choice(line)), noise=noise_from(rng))


def noise_from(rng: random.Random) -> np.random.Generator:
    """Return a source of noise that follows from the given generator."""
    return np.random.Generator(np.random.SFC64(rng.getrandbits(64)))


def random_thing(rng: random.Random, cell: int) -> Thing:
    """Return a random colour and shape in the given cell."""
    return Thing(rng.choice(tuple(COLOURS)), rng.choice(SHAPES), cell)


def read(text: str) -> Example:
    """Return the scene that a person typed, such as "red circle b2, blue square b4", without noise.

    Raises:
        TypeError: text is not a str.
        ValueError: text is blank, is not two shapes in cells, or the cells are not in one row or column.
    """
    parts = re.split(r"\s*,\s*|\s+and\s+", typed(text, expected=EXPECTED))
    if len(parts) != 2:
        raise ValueError(f"{len(parts)} shapes came: expected {EXPECTED}. Put one comma between them.")
    first, second = (read_thing(part, expected=EXPECTED) for part in parts)
    return example(first, second)


def read_thing(text: str, *, expected: str) -> Thing:
    """Return the thing that a text such as "a red circle in b2" names.

    Raises:
        ValueError: the text is not a colour, a shape and a cell.
    """
    words = [word for word in text.split() if word not in ("a", "in", "at")]
    if len(words) != 3:
        raise ValueError(f"{len(words)} words came for a shape: expected a colour, a shape and a cell; {expected}.")
    for word, known, kind in zip(words, (COLOURS, SHAPES, CELLS), ("colour", "shape", "cell"), strict=True):
        if word not in known:
            choice = "a1 to d4" if kind == "cell" else ", ".join(known)
            raise ValueError(f"a {kind} is not among {choice}: expected {expected}. Check its spelling.")
    return Thing(words[0], words[1], CELLS.index(words[2]))


def busy(image: np.ndarray) -> np.ndarray:
    """Return which cells hold something, bool [..., cell], of pictures, float [..., 32, 32, 3]."""
    pixels = image.reshape(*image.shape[:-3], N_ROWS, CELL_PX, N_COLUMNS, CELL_PX, 3)
    brightest = pixels.max(axis=(-4, -2, -1))  # [..., row, column]
    held: np.ndarray = brightest.reshape(*image.shape[:-3], len(CELLS)) > BRIGHT
    return held


def _odd(image: np.ndarray) -> str | None:
    n_busy = int(busy(image).sum())
    return None if n_busy == 2 else f"{n_busy} of the 16 cells hold something, but in training 2 did"


TASK = PictureTask(
    name="shapes",
    summary="a picture of two shapes -> its caption: red circle b2, blue square b4 -> a red circle above a blue square",
    source_words=CELLS,
    target_words=WORDS,
    shape=IMAGE_SHAPE,
    draw=draw,
    read=read,
    odd=_odd,
    typed="red circle b2, blue square b4",
)
