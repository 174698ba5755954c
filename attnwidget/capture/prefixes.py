"""The tree of what a decoder has read: rows and likely tokens by prefix, until it is settled which path won."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from attnwidget.capture.token_text import TokenText
from attnwidget.outline import Beam
from attnwidget.stores import Factors

_WINDOW = 8  # tokens that tell the text of the last of them

Key = tuple[int, ...]  # ids that were generated before


@dataclass(frozen=True)
class Plan:
    """How a model decodes.

    Args:
        n_examples: sequences in the batch that was passed in.
        n_beams: beams of each; 1 where there is no search.
        end: ids that end a sequence.
    """

    n_examples: int
    n_beams: int
    end: frozenset[int]


@dataclass
class Node:
    """What is known where a decoder has read a prefix: its rows, and which tokens were likely.

    Args:
        rows: one row of each site; None where a streak has them.
        likely: probabilities by token, best first.
    """

    rows: dict[str, np.ndarray | Factors] | None
    likely: dict[int, float]


class Prefixes:
    """Nodes by prefix.

    Args:
        end: ids that end a sequence.
    """

    def __init__(self, end: frozenset[int]) -> None:
        self.nodes: dict[Key, Node] = {}
        self.may_end: set[Key] = set()  # what a beam may have ended behind, which can still win
        self.settled: Key = ()
        self._end = end

    def forget_lost(self, running: Sequence[Key]) -> None:
        """Drop the rows of prefixes that no beam continues, and that none can have ended behind."""
        kept = {key[:i] for key in (*running, *self.may_end) for i in range(len(key) + 1)}
        for key, node in self.nodes.items():
            if key not in kept:
                node.rows = {}

    def generated(self, sequence: list[int], prompt: list[int]) -> Key:
        """Return what was generated, without the prompt and what pads it after its end.

        Args:
            sequence: what came out, with or without the prompt.
            prompt: what the decoder was given.
        """
        if sequence[: len(prompt)] == prompt and self._fits(tuple(sequence[len(prompt) :])):
            start = len(prompt)
        else:  # some models give back the new tokens only, or fewer of those that mark the start
            start = next((i for i in range(len(sequence)) if self._fits(tuple(sequence[i:]))), len(sequence))
        return self.ended(tuple(sequence[start:]))

    def ended(self, generated: Key) -> Key:
        """Return tokens up to the one that ends them; what follows is padding."""
        first = max(0, len(self.settled) - 1)  # those before are settled, and none of them ends
        end = next((i for i in range(first, len(generated)) if generated[i] in self._end), len(generated))
        return generated[: end + 1]

    def _fits(self, generated: Key) -> bool:
        """Tell whether these tokens may have been chosen, one after the other, until one of them ended."""
        n_settled = len(self.settled)
        for index, token in enumerate(generated):
            before = generated[:index]
            if before != self.settled[:index] if index < n_settled else before not in self.nodes:
                return False
            if token in self._end:
                break
        return True

    def beams(self, winner: Key, text: TokenText) -> list[Beam]:
        """Return the tree of all beams, of which one won."""
        keys = {key[: i + 1] for key in (*self.nodes, winner) for i in range(len(key))}
        places: dict[Key, int] = {}
        beams: list[Beam] = []
        for key in sorted(keys, key=lambda it: (len(it), it)):
            parent = self.nodes.get(key[:-1])
            places[key] = len(beams)
            beams.append(
                Beam(
                    step=len(key) - 1,
                    token=text.texts(key[-_WINDOW:])[-1],
                    parent=places.get(key[:-1], -1),
                    probability=parent.likely.get(key[-1], 0.0) if parent is not None else 0.0,
                    chosen=winner[: len(key)] == key,
                )
            )
        return beams


def common(keys: Sequence[Key]) -> Key:
    """Return what all of them begin with."""
    shortest = min(keys, key=len)
    if all(key == shortest for key in keys):
        return shortest
    for index, token in enumerate(shortest):
        if any(key[index] != token for key in keys):
            return shortest[:index]
    return shortest


def likely_tokens(scores: torch.Tensor, count: int) -> list[dict[int, float]]:
    """Return the most probable tokens of each row of [batch, token], best first."""
    values, ids = scores.float().softmax(-1).topk(min(count, scores.shape[-1]))
    return [dict(zip(i, v, strict=True)) for i, v in zip(ids.tolist(), values.tolist(), strict=True)]
