"""Sequence tasks that make their own data: unlimited, seeded, each example with its gold alignment."""

from __future__ import annotations

from . import dates, numbers_de, reverse, sorting
from .example import Example, Task, held_out
from .pairs import from_pairs, read_pairs

__all__ = ["Example", "Task", "available", "from_pairs", "get", "held_out", "read_pairs"]

_TASKS = {task.name: task for task in (reverse.TASK, numbers_de.TASK, dates.TASK, sorting.TASK)}


def available() -> list[str]:
    """Return the names that `get` knows."""
    return list(_TASKS)


def get(name: str) -> Task:
    """Return a task by its name.

    Raises:
        ValueError: there is no task of that name.
    """
    if name not in _TASKS:
        raise ValueError(f"there is no task {name!r}: expected one of {', '.join(_TASKS)}.")
    return _TASKS[name]
