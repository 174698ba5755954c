"""Models of which a whole pass has shown that all their attention comes by the interface of Transformers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch

Shapes = Mapping[str, tuple[int, ...]]
Inputs = tuple[object, ...]


class Proof(NamedTuple):
    """What such a pass has shown.

    Args:
        signature: of the inventory; another one makes it stale.
        concerned: names of the adapters that have something to watch in the model.
        ran: classes of the modules that ran, by path.
        gave: for the path of a module that attended that of the one which was called last before.
        alike: for each path in `ran` the first of those that read alike, as a layer reads what the first of them read.
        inputs: what the model was called with; None where that does not say what its modules read.
        shapes: what these read then.
        left_out: classes of the modules, by path, that weigh something and are called no attention.
    """

    signature: object
    concerned: frozenset[str]
    ran: Mapping[str, str]
    gave: Mapping[str, str]
    alike: Mapping[str, str]
    inputs: Inputs | None
    shapes: Shapes
    left_out: Mapping[str, str]

    @classmethod
    def of(
        cls,
        signature: object,
        concerned: frozenset[str],
        ran: Mapping[str, str],
        gave: Mapping[str, str],
        inputs: Inputs | None,
        shapes: Shapes,
        left_out: Mapping[str, str],
    ) -> Proof:
        """Return a proof; the arguments are as above."""
        first: dict[tuple[object, ...], str] = {}
        sorts = {path: (re.sub(r"\d+", "", path), kind) for path, kind in ran.items()}
        alike = {path: first.setdefault((*sort, shapes.get(path)), path) for path, sort in sorts.items()}
        decides = len(first) == len(set(sorts.values()))  # experts read what they are given, each another number
        return cls(signature, concerned, ran, gave, alike, inputs if decides else None, shapes, left_out)

    def called_with(self, inputs: Inputs | None, shapes: Shapes) -> Proof:
        """Return the proof of a model that was called otherwise, and of what those read that stand for the others."""
        return self if self.inputs is None or inputs is None else self._replace(inputs=inputs, shapes=shapes)


def inputs_of(args: Iterable[object], named: Mapping[str, object]) -> Inputs | None:
    """Return what decides what the modules of a model read: shapes and plain values; None where other things came."""
    said: list[object] = []
    for it in (*args, *named.values()):
        if isinstance(it, torch.Tensor) and not it.is_nested:  # which may have no shape
            said.append((type(it), it.shape))
        elif it is None or isinstance(it, (bool, int, float, str)):
            said.append(it)
        else:
            return None
    return (len(said) - len(named), *said, *named)


proven: WeakKeyDictionary[torch.nn.Module, Proof] = WeakKeyDictionary()
