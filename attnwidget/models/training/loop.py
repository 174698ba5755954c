"""The training loop: the same for every system, in one thread, the same each time."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm  # type: ignore[import-untyped]

from ..card import Card
from ..catalogue import SUFFIX, file_name
from ..files import load, save
from ..quality import measure
from ..system import System
from .course import Course
from .plot import Check, draw

MAX_GRADIENT_NORM = 1.0
N_CHECK = 100
N_TEST = 500
CHECK_SEED, TEST_SEED = 1, 2


@dataclass(frozen=True)
class Trained:
    """What comes out of a training.

    Args:
        system: after the last step, in evaluation mode.
        history: what was measured on the way, the last step included.
        checkpoints: the states that were kept, by name: numbers, and CPU seconds so far.
        seconds: CPU time of the steps, the checks left out.
        seed: of the first weights and of the examples.
    """

    system: System
    history: tuple[Check, ...]
    checkpoints: dict[str, tuple[dict[str, Tensor], float]]
    seconds: float
    seed: int


def fit(course: Course, *, seed: int) -> Trained:
    """Train a system; shows a progress bar on stderr. Torch's threads and its generator are put back afterwards."""
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _fit(course, seed=seed)


def _fit(course: Course, *, seed: int) -> Trained:
    recipe, rng = course.recipe, random.Random(seed)
    system = course.build()
    optimizer = torch.optim.Adam(system.parameters(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / recipe.warm_up, 1 - step / recipe.steps)
    )
    checks = course.unseen(CHECK_SEED, N_CHECK)
    history: list[Check] = []
    kept: dict[str, tuple[dict[str, Tensor], float]] = {}
    losses: list[float] = []
    seconds = 0.0
    with tqdm(range(1, recipe.steps + 1), desc=course.name, unit="step") as bar:
        for step in bar:
            start = time.process_time()
            system.train()
            loss = course.loss(system, rng)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(system.parameters(), MAX_GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            seconds += time.process_time() - start
            kept |= {
                name: ({key: tensor.clone() for key, tensor in system.state_dict().items()}, seconds)
                for name, last in recipe.checkpoints.items()
                if last == step
            }
            if step % recipe.check_every == 0 or step == recipe.steps:
                quality = measure(system, checks)
                history.append(Check(step, sum(losses) / len(losses), quality.exact_match, quality.alignment))
                losses.clear()
                bar.set_postfix_str(history[-1].line())
    return Trained(system.eval(), tuple(history), kept, seconds, seed)


def write(trained: Trained, folder: Path, *, course: Course) -> Card:
    """Write weights rounded to float16, checkpoints and a plot; measure what was written on unseen inputs.

    Returns:
        The card of NAME.safetensors; NAME.svg is the plot, checkpoints/NAME.STATE.safetensors are the checkpoints.
    """
    examples = course.unseen(TEST_SEED, N_TEST)
    final = {key: tensor.clone() for key, tensor in trained.system.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)

    def written(path: Path, seconds: float) -> Card:
        path.parent.mkdir(parents=True, exist_ok=True)
        card = Card(
            name=course.name,
            task=course.task,
            paper=course.paper,
            parameters=sum(tensor.numel() for tensor in trained.system.parameters()),
            bytes=0,
            exact_match=0.0,
            alignment=None,
            alignment_loss=course.recipe.alignment_loss,
            training_seconds=round(seconds, 1),
            seed=trained.seed,
        )
        save(trained.system, path, card=card)
        quality = measure(load(path), examples)
        card = replace(card, exact_match=quality.exact_match, alignment=quality.alignment)
        save(trained.system, path, card=card)
        return replace(card, bytes=path.stat().st_size)

    for name, (state, seconds) in trained.checkpoints.items():
        trained.system.load_state_dict(state)
        written(folder / "checkpoints" / f"{file_name(course.name, checkpoint=name)}{SUFFIX}", seconds)
    trained.system.load_state_dict(final)
    (folder / f"{course.name}.svg").write_text(draw(trained.history, title=course.name), encoding="utf-8")
    return written(folder / f"{course.name}{SUFFIX}", trained.seconds)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
