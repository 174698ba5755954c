"""Measure what a recording costs a decoder step, next to the same steps without: python benchmarks/recording.py."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch

import attnwidget as aw
from attnwidget import models
from attnwidget.models import Encoded, System
from attnwidget.models.training.courses import COURSES

MS = 1e3
N_WARM_UP = 3


def plain(model: System, inputs: Encoded) -> tuple[float, int]:
    """Return the seconds of a translation, and its number of steps."""
    start = time.perf_counter()
    n_steps = sum(1 for _ in model.steps(inputs))
    return time.perf_counter() - start, n_steps


def seen(model: System, inputs: Encoded) -> tuple[float, int]:
    """Measure the same with every torch function passing a mode that does nothing: what torch asks for a look."""
    with torch.overrides.BaseTorchFunctionMode():
        return plain(model, inputs)


def recorded(model: System, inputs: Encoded) -> tuple[float, int]:
    """Measure the same while a trace grows by one row a step."""
    start, n_steps = time.perf_counter(), 0
    with aw.record(model, source=inputs.tokens):
        for step in model.steps(inputs):
            aw.step(step.token, step.candidates)
            n_steps += 1
    return time.perf_counter() - start, n_steps


SIDES: dict[str, Callable[[System, Encoded], tuple[float, int]]] = {
    "plain": plain,
    "seen": seen,
    "recorded": recorded,
}


def main() -> None:
    """Print one row for each model: median milliseconds per decoder step on each side, and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="of the inputs (default 7)")
    parser.add_argument("--runs", type=int, default=25, help="on each side, taking turns (default 25)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | " + " | ".join(f"{side}, ms per step" for side in SIDES) + " | recorded / plain | runs | seed |")
    print("|---" * (len(SIDES) + 4) + "|")
    for card in models.available():
        model = models.pretrained(card.name)
        (example,) = COURSES[card.name].unseen(options.seed, 1)
        inputs = model.encode(example)
        took: dict[str, list[float]] = {side: [] for side in SIDES}
        for run in range(N_WARM_UP + options.runs):
            for side, measure in SIDES.items():
                seconds, n_steps = measure(model, inputs)
                if run >= N_WARM_UP:
                    took[side].append(seconds / n_steps * MS)
        middle = {side: median(times) for side, times in took.items()}
        row = " | ".join(f"{middle[side]:.3f}" for side in SIDES)
        ratio = middle["recorded"] / middle["plain"]
        print(f"| {card.name} | {row} | {ratio:.2f} | {options.runs} | {options.seed} |")


if __name__ == "__main__":
    main()
