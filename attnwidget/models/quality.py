"""How good a system is: exact match, and how often its attention is where the gold alignment is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from attnwidget.tasks import Example

from .system import END, System


@dataclass(frozen=True)
class Quality:
    """What was measured on how many inputs.

    Args:
        n_inputs: inputs decoded.
        exact_match: share of inputs whose whole output is right, 0 to 1.
        alignment: share of the gold-aligned target tokens, over all inputs, at whose step the largest weight is on a
            gold source token, 0 to 1; a step that decoding did not reach counts as a miss. None without any gold.
    """

    n_inputs: int
    exact_match: float
    alignment: float | None


def measure(system: System, examples: Iterable[Example]) -> Quality:
    """Decode the examples greedily and compare tokens and weights with the gold.

    Raises:
        ValueError: there are no examples.
    """
    n_inputs = n_exact = n_gold = n_hit = 0
    for example in examples:
        steps = list(system.steps(system.encode(example)))
        n_inputs += 1
        n_exact += system.is_right([step.token for step in steps if step.token != END], example=example)
        n_gold += sum(gold is not None for gold in example.alignment)
        for step, gold in zip(steps, example.alignment, strict=False):
            n_hit += gold is not None and int(step.weights.argmax()) in gold
    if not n_inputs:
        raise ValueError("there are no examples to measure: expected at least one.")
    return Quality(n_inputs, n_exact / n_inputs, n_hit / n_gold if n_gold else None)
