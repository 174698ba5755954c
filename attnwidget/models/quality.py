"""How good a translator is: exact match, and how often its attention is on the gold source words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from .translator import END, Translator


class Aligned(Protocol):
    """A source, its target, and for each target word the indices of its gold source words, or None."""

    @property
    def source(self) -> tuple[str, ...]:
        """Source words."""

    @property
    def target(self) -> tuple[str, ...]:
        """Target words, without an end mark."""

    @property
    def alignment(self) -> tuple[frozenset[int] | None, ...]:
        """Gold source indices of each target word."""


@dataclass(frozen=True)
class Quality:
    """What was measured on how many inputs.

    Args:
        n_inputs: inputs translated.
        exact_match: share of inputs whose whole translation is right, 0 to 1.
        alignment: share of the gold-aligned target words, over all inputs, at whose step the largest weight is on a
            gold source word, 0 to 1; a step that decoding did not reach counts as a miss.
    """

    n_inputs: int
    exact_match: float
    alignment: float


def measure(translator: Translator, examples: Iterable[Aligned]) -> Quality:
    """Translate the examples greedily and compare words and attention with the gold.

    Raises:
        ValueError: there are no examples.
    """
    n_inputs = n_exact = n_gold = n_hit = 0
    for example in examples:
        steps = list(translator.steps(example.source))
        n_inputs += 1
        n_exact += [step.token for step in steps] == [*example.target, END]
        n_gold += sum(gold is not None for gold in example.alignment)
        for step, gold in zip(steps, example.alignment, strict=False):
            n_hit += gold is not None and int(step.weights.argmax()) in gold
    if not n_inputs:
        raise ValueError("there are no examples to measure: expected at least one.")
    return Quality(n_inputs, n_exact / n_inputs, n_hit / max(n_gold, 1))
