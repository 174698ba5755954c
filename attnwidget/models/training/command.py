"""Train by name, from Python and from the command line."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm  # type: ignore[import-untyped]

from attnwidget import tasks

from ..card import Cards
from ..system import System
from .course import Course
from .courses import COURSES, own
from .loop import fit, write


def train(
    what: str | tasks.Task, *, seed: int | None = None, steps: int | None = None, out: str | Path | None = None
) -> System:
    """Make a shipped model again from nothing, or a translator for a task of your own (`tasks.from_pairs`).

    It takes one thread, is the same each time, and shows a progress bar on stderr.

    Args:
        what: a task, the name of a shipped model, or a file of pairs: in each line source, tab, target.
        seed: of the first weights and of the examples; by default that of the shipped weights, else 0.
        steps: batches; by default as many as the shipped weights had, and for a task of your own 600.
        out: folder to write NAME.safetensors and the plot NAME.svg to; None writes nothing.

    Returns:
        The trained system, in evaluation mode; what was written can be read by `models.load`.

    Raises:
        TypeError: what is neither a task nor a str.
        ValueError: there is no such model, or steps is below 1, or the pairs cannot be used.
        FileNotFoundError: there is no such file.
    """
    course = _course(what, steps=steps)
    trained = fit(course, seed=course.recipe.seed if seed is None else seed)
    if out is not None:
        card = write(trained, Path(out), course=course)
        tqdm.write(repr(Cards([card])))
    return trained.system


def _course(what: str | tasks.Task, *, steps: int | None) -> Course:
    course = _named(what) if isinstance(what, str) else own(what)
    if steps is None:
        return course
    if steps < 1:
        raise ValueError(f"steps is {steps}: expected 1 or more.")
    return replace(course, recipe=replace(course.recipe, steps=steps))  # type: ignore[type-var]


def _named(name: str) -> Course:
    if name in COURSES:
        return COURSES[name]
    if Path(name).suffix:
        return own(tasks.from_pairs(tasks.read_pairs(name), name=Path(name).stem))
    raise ValueError(
        f"there is no model {name!r}: expected one of {', '.join(sorted(COURSES))}, or a file of pairs, such as "
        "pairs.tsv."
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a parser take what `run` needs."""
    parser.add_argument(
        "what", help=f"a file with source, tab, target in each line, or one of {', '.join(sorted(COURSES))}"
    )
    parser.add_argument(
        "--seed", type=int, help="of the first weights and of the examples (default: as the shipped weights)"
    )
    parser.add_argument(
        "--steps", type=int, help="batches; by default as many as the shipped weights had, and 600 for pairs"
    )
    parser.add_argument("--out", type=Path, default=Path(), help="folder to write to (default: here)")


def run(options: argparse.Namespace) -> None:
    """Train, write the weights and a plot, and print the row of the table; errors are those of `train`."""
    train(options.what, seed=options.seed, steps=options.steps, out=options.out)


def main(arguments: list[str] | None = None, *, prog: str = "python -m attnwidget.models.train") -> None:
    """Run what was typed behind python -m attnwidget.models.train, or behind another name of the program."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Make shipped weights again from nothing, or train a translator on pairs of your own.",
    )
    add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        run(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))
