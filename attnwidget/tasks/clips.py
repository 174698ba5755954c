"""Clips: five frames in which one coloured shape moves, and perhaps another stands still, become a caption."""

from __future__ import annotations

import random
import re

import numpy as np

from .example import Example, typed
from .pictures import PictureTask
from .shapes import (
    CELLS,
    COLOURS,
    IMAGE_SHAPE,
    N_COLUMNS,
    N_ROWS,
    SHAPES,
    Thing,
    busy,
    noise_from,
    random_thing,
    read_thing,
    render,
)

N_FRAMES = 5
DIRECTIONS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}  # row, column
KEYS = tuple(f"{frame}:{cell}" for frame in range(1, N_FRAMES + 1) for cell in CELLS)
P_STILL = 0.5
EXPECTED = (
    'a shape and its way, such as "red circle moves right from a2", and perhaps a still one after a comma, '
    '", blue square c4": columns a to d from left to right, rows 1 to 4 from top to bottom'
)


def path(start: int, direction: str) -> list[int]:
    """Return the cell of a moving shape in each frame: one cell further each time, and it stops at the edge."""
    row, column = divmod(start, N_COLUMNS)
    down, right = DIRECTIONS[direction]
    return [
        min(max(row + frame * down, 0), N_ROWS - 1) * N_COLUMNS + min(max(column + frame * right, 0), N_COLUMNS - 1)
        for frame in range(N_FRAMES)
    ]


def example(
    moving: Thing, *, direction: str, still: Thing | None = None, noise: np.random.Generator | None = None
) -> Example:
    """Return a clip, its caption, and the keys that each word of it can be read from.

    Args:
        moving: the shape that moves, in its first cell.
        direction: one of DIRECTIONS, in which it can go one cell at least.
        still: a shape that stays where it is, not in the other's way.
        noise: as `shapes.render` takes it.

    Returns:
        The example: its source are the KEYS, its values the frames, float32 [5, 32, 32, 3]. The gold of colour and
        shape is the moving shape in any frame; that of the direction, the moving shape in those frames into which or
        out of which it moves; "a" and "moves" have none.

    Raises:
        ValueError: the shape cannot move, or the still one is in its way.
    """
    cells = path(moving.cell, direction)
    if cells[1] == cells[0]:
        raise ValueError(
            f"a shape in {CELLS[moving.cell]} cannot move {direction}: expected a cell away from that edge. "
            "Let it start further back."
        )
    if still is not None and still.cell in cells:
        raise ValueError(
            f"the still shape in {CELLS[still.cell]} is in the other's way: expected it beside the way. Move it."
        )
    standing = () if still is None else (still,)
    frames = [render((*standing, Thing(moving.colour, moving.shape, cell)), noise=noise) for cell in cells]
    keys = [frame * len(CELLS) + cell for frame, cell in enumerate(cells)]
    n_moves = len(set(cells)) - 1
    seen, moves = frozenset(keys), frozenset(keys[: n_moves + 1])
    return Example(
        source=KEYS,
        target=("a", moving.colour, moving.shape, "moves", direction),
        alignment=(None, seen, seen, None, moves),
        values=np.stack(frames),
    )


def draw(rng: random.Random) -> Example:
    """Return a random shape on a random way, half the time with a random still one beside it, with noise."""
    direction = rng.choice(tuple(DIRECTIONS))
    start = rng.choice([cell for cell in range(len(CELLS)) if path(cell, direction)[1] != cell])
    free = [cell for cell in range(len(CELLS)) if cell not in path(start, direction)]
    still = random_thing(rng, rng.choice(free)) if rng.random() < P_STILL else None
    return example(random_thing(rng, start), direction=direction, still=still, noise=noise_from(rng))


def read(text: str) -> Example:
    """Return the clip that a person typed, such as "red circle moves right from a2, blue square c4", without noise.

    Raises:
        TypeError: text is not a str.
        ValueError: text is blank or not such a sentence, the shape cannot move, or the still one is in its way.
    """
    moving, *rest = re.split(r"\s*,\s*|\s+and\s+", typed(text, expected=EXPECTED))
    if len(rest) > 1:
        raise ValueError(f"{1 + len(rest)} shapes came: expected {EXPECTED}.")
    if (match := re.fullmatch(r"(.+) moves (\w+) from (\w+)", moving)) is None:
        raise ValueError(f"the first part does not say what moves: expected {EXPECTED}.")
    if match[2] not in DIRECTIONS:
        raise ValueError(f"a direction is not among {', '.join(DIRECTIONS)}: expected {EXPECTED}.")
    thing = read_thing(f"{match[1]} {match[3]}", expected=EXPECTED)
    still = read_thing(rest[0], expected=EXPECTED) if rest else None
    return example(thing, direction=match[2], still=still)


def _odd(frames: np.ndarray) -> str | None:
    counts = busy(frames).sum(axis=1)  # [frame]
    if counts.min() == counts.max() and counts[0] in (1, 2):
        return None
    return f"the frames have {', '.join(map(str, counts))} cells that hold something, but in training all 1 or all 2"


TASK = PictureTask(
    name="clips",
    summary="a clip of a moving shape -> its caption: red circle moves right from a2 -> a red circle moves right",
    source_words=KEYS,
    target_words=("a", *COLOURS, *SHAPES, "moves", *DIRECTIONS),
    shape=(N_FRAMES, *IMAGE_SHAPE),
    draw=draw,
    read=read,
    odd=_odd,
    typed="red circle moves right from a2, blue square c4",
)
