"""Grid: a small map on which an agent walks to a goal around walls, in as few steps as there can be."""

from __future__ import annotations

import random
import zlib
from collections import deque
from collections.abc import Sequence

import numpy as np

from .example import HELD_OUT_SHARE, Example, typed

N_ROWS = N_COLUMNS = 5
CELLS = tuple(f"{column}{row}" for row in "12345" for column in "abcde")
ACTIONS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}  # row, column
MARKS = ".#GA"
FLOOR, WALL, GOAL, AGENT = range(len(MARKS))
MAX_WALLS = 4
TYPED = "..G../..#../...../...../A...."
EXPECTED = (
    f'five rows of five marks with a "/" between rows, such as "{TYPED}": one A for the agent, one G for the goal, '
    "# for a wall, . for the floor"
)


def move(cell: int, action: str, *, walls: frozenset[int]) -> int:
    """Return the cell after an action; a wall or the edge of the map leaves the agent where it is."""
    down, right = ACTIONS[action]
    row, column = cell // N_COLUMNS + down, cell % N_COLUMNS + right
    inside = 0 <= row < N_ROWS and 0 <= column < N_COLUMNS
    after = row * N_COLUMNS + column
    return after if inside and after not in walls else cell


def shortest(start: int, goal: int, *, walls: frozenset[int]) -> tuple[str, ...] | None:
    """Return the actions of one of the shortest ways, or None where there is none."""
    ways: dict[int, tuple[str, ...]] = {start: ()}
    queue = deque([start])
    while queue and goal not in ways:
        cell = queue.popleft()
        for action in ACTIONS:
            after = move(cell, action, walls=walls)
            if after not in ways:
                ways[after] = (*ways[cell], action)
                queue.append(after)
    return ways.get(goal)


def example(agent: int, goal: int, *, walls: frozenset[int]) -> Example:
    """Return a map, one of the shortest ways, and the goal as the gold of each of its actions.

    Args:
        agent: a cell, counted row by row from the top left, as in CELLS.
        goal: another.
        walls: others, which leave a way to the goal.

    Returns:
        The example: its source are the CELLS, its values the marks, int64 [25]: floor, wall, goal or agent.

    Raises:
        ValueError: two things share a cell, or no way leads to the goal.
    """
    if agent == goal or {agent, goal} & walls:
        raise ValueError("two things are in one cell: expected the agent, the goal and each wall in a cell of its own.")
    actions = shortest(agent, goal, walls=walls)
    if actions is None:
        raise ValueError("no way leads from A to G: expected one along the floor. Take a wall away.")
    marks = np.full(len(CELLS), FLOOR, dtype=np.int64)
    marks[list(walls)], marks[goal], marks[agent] = WALL, GOAL, AGENT
    return Example(CELLS, actions, (frozenset({goal}),) * len(actions), values=marks)


def draw(rng: random.Random) -> Example:
    """Return a random map of up to four walls on which a way leads to the goal."""
    while True:
        agent, goal, *walls = rng.sample(range(len(CELLS)), 2 + rng.randint(0, MAX_WALLS))
        if shortest(agent, goal, walls=frozenset(walls)) is not None:
            return example(agent, goal, walls=frozenset(walls))


def read(text: str) -> Example:
    """Return the map that a person typed, such as "..G../..#../...../...../A....".

    Raises:
        TypeError: text is not a str.
        ValueError: text is blank or no such map, or no way leads from A to G.
    """
    rows = typed(text, expected=EXPECTED).upper().replace(" ", "").replace("\n", "/").split("/")
    if [len(row) for row in rows] != [N_COLUMNS] * N_ROWS:
        raise ValueError(f"the map has rows of {', '.join(str(len(row)) for row in rows)} marks: expected {EXPECTED}.")
    marks = "".join(rows)
    for cell, mark in enumerate(marks):
        if mark not in MARKS:
            raise ValueError(f"the mark in cell {CELLS[cell]} is not one of {' '.join(MARKS)}: expected {EXPECTED}.")
    for mark in "AG":
        if marks.count(mark) != 1:
            raise ValueError(f"the map has {marks.count(mark)} {mark}: expected {EXPECTED}.")
    walls = frozenset(cell for cell, mark in enumerate(marks) if mark == MARKS[WALL])
    return example(marks.index("A"), marks.index("G"), walls=walls)


def held_out(example: Example) -> bool:
    """Return whether the map is kept from training: by a hash of its walls and its goal, wherever the agent starts."""
    assert example.values is not None
    ground = np.where(example.values == AGENT, FLOOR, example.values).astype(np.uint8)
    return zlib.crc32(ground.tobytes()) % HELD_OUT_SHARE == 0


def reaches_goal(actions: Sequence[str], *, example: Example) -> bool:
    """Return whether the actions lead the agent of an example to the goal."""
    assert example.values is not None
    walls = frozenset(np.flatnonzero(example.values == WALL).tolist())
    cell = int(np.flatnonzero(example.values == AGENT)[0])
    for action in actions:
        cell = move(cell, action, walls=walls)
    return bool(example.values[cell] == GOAL)
