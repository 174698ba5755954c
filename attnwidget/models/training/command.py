"""Train by name, from Python and from the command line."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm  # type: ignore[import-untyped]

from ..card import Cards
from ..system import System
from .course import Course
from .courses import COURSES
from .loop import fit, write


def train(name: str, *, seed: int = 0, steps: int | None = None, out: str | Path | None = None) -> System:
    """Make a shipped model again from nothing, in one thread, the same each time; shows a progress bar on stderr.

    Args:
        name: what `pretrained` calls it.
        seed: of the first weights and of the examples.
        steps: batches; by default as many as the shipped weights had.
        out: folder to write NAME.safetensors and the plot NAME.svg to; None writes nothing.

    Returns:
        The trained system, in evaluation mode.

    Raises:
        ValueError: there is no such model, or steps is below 1.
    """
    course = _course(name, steps=steps)
    trained = fit(course, seed=seed)
    if out is not None:
        card = write(trained, Path(out), course=course)
        tqdm.write(repr(Cards([card])))
    return trained.system


def _course(name: str, *, steps: int | None) -> Course:
    if name not in COURSES:
        raise ValueError(f"there is no model {name!r}: expected one of {', '.join(sorted(COURSES))}.")
    if steps is None:
        return COURSES[name]
    if steps < 1:
        raise ValueError(f"steps is {steps}: expected 1 or more.")
    course = COURSES[name]
    return replace(course, recipe=replace(course.recipe, steps=steps))  # type: ignore[type-var]


def main(arguments: list[str] | None = None) -> None:
    """Train the named model, write its weights and its plot, and print its row of the table."""
    parser = argparse.ArgumentParser(
        prog="python -m attnwidget.models.train", description="Make shipped weights again from nothing."
    )
    parser.add_argument("name", help=f"one of {', '.join(sorted(COURSES))}")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and of the examples (default 0)")
    parser.add_argument("--steps", type=int, help="batches; by default as many as the shipped weights had")
    parser.add_argument("--out", type=Path, default=Path(), help="folder to write to (default: here)")
    options = parser.parse_args(arguments)
    try:
        train(options.name, seed=options.seed, steps=options.steps, out=options.out)
    except ValueError as error:
        parser.error(str(error))
