"""What scores came of: the last product, tanh and sum before a softmax, as a module of any style computes them.

Nothing is computed here, and nothing is copied before the softmax flows into a product. Whether the scores follow from
what was seen is found out when somebody asks (`attnwidget.seen`); what does not fit is dropped then.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from attnwidget.capture.axes import tensors
from attnwidget.capture.functions import MATRIX_PRODUCTS, PRODUCTS
from attnwidget.seen import Seen

_TANH = frozenset({"tanh", "tanh_"})
_SUMS = frozenset({"add", "__add__", "__radd__"})
WATCHED = MATRIX_PRODUCTS | PRODUCTS | _TANH | _SUMS | {"linear"}
MAX_CELLS = 1 << 18  # numbers of one computation that are kept; attention that is larger is not read cell by cell


@dataclass(frozen=True, eq=False)
class Path:
    """What was seen on the way to scores, as tensors. See `attnwidget.seen.Seen`.

    Args:
        scores: [batch, head, query, key].
        operands, hidden, vector, addends: in the shapes that the model gave them.
    """

    scores: torch.Tensor
    operands: tuple[torch.Tensor, ...] = ()
    hidden: torch.Tensor | None = None
    vector: torch.Tensor | None = None
    addends: tuple[torch.Tensor, ...] = ()

    def kept(self, example: int) -> Seen | None:
        """Return a copy of one example, or None where it is too much to keep.

        What the scores came of is told of a single example only: in a batch nobody knows which axis counts examples.
        """
        parts = (self.scores, self.hidden, self.vector, *self.operands, *self.addends)
        if sum(it.numel() for it in parts if it is not None) > MAX_CELLS * len(self.scores):
            return None
        if any(not _is_plain(it) for it in parts if it is not None):
            return None
        scores = _copied(self.scores[example])
        if len(self.scores) > 1:
            return Seen(scores)
        return Seen(
            scores,
            tuple(map(_copied, self.operands)),
            None if self.hidden is None else _copied(self.hidden),
            None if self.vector is None else _copied(self.vector),
            tuple(map(_copied, self.addends)),
        )


def _is_plain(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor has numbers of its own: not those of other ranks, and not inside a transform."""
    inside = torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    return not (inside or tensor.is_meta or hasattr(tensor, "to_local"))


def _copied(tensor: torch.Tensor) -> np.ndarray:
    return np.array(tensor.detach().to("cpu", torch.float32).numpy())


class Watch:
    """Remembers what the scores of the next softmax may have come of; it holds little, and not for long."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._operands: tuple[torch.Tensor, ...] = ()
        self._hidden: torch.Tensor | None = None
        self._vector: torch.Tensor | None = None
        self._addends: tuple[torch.Tensor, ...] = ()
        self._sum: weakref.ref[torch.Tensor] | None = None
        self._tanh: weakref.ref[torch.Tensor] | None = None

    def look(self, name: str, result: object, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        """Look at a function that ran, and that does not weigh by attention."""
        if not isinstance(result, torch.Tensor) or not args or result.numel() > MAX_CELLS:
            return
        if name in _TANH:
            if isinstance(args[0], torch.Tensor) and name == "tanh":
                is_sum = self._sum is not None and self._sum() is args[0]
                self._hidden, self._tanh, self._vector = args[0], weakref.ref(result), None
                self._addends = self._addends if is_sum else ()
        elif name in _SUMS:
            parts = tuple(tensors(args[:2]))
            if len(parts) == 2 and parts[0].shape != parts[1].shape:
                self._addends, self._sum = parts, weakref.ref(result)
        else:
            operands = tuple(tensors((*args[:3], *kwargs.values())))
            squashed = None if self._tanh is None else self._tanh()
            if squashed is not None and any(_is_of(it, squashed) for it in operands):
                self._vector = next((it for it in operands if not _is_of(it, squashed)), None)
            elif name in MATRIX_PRODUCTS and len(operands) == 2:
                self._operands = operands

    def path(self, scores: object) -> Path | None:
        """Return what was seen on the way to these scores, and forget it."""
        path = None
        if isinstance(scores, torch.Tensor) and not scores.is_meta and scores[:1].numel() <= MAX_CELLS:
            hidden = self._hidden if self._vector is not None else None
            path = Path(scores, self._operands, hidden, self._vector, self._addends if hidden is not None else ())
        self._forget()
        return path


def _is_of(tensor: torch.Tensor, whole: torch.Tensor) -> bool:
    """Tell whether a tensor is another one, or a view of it."""
    return tensor is whole or (tensor._is_view() and tensor._base is whole)
