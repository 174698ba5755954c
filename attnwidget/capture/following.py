"""A softmax result on its way through a model, until it is known whether it weighs anything."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import torch

from attnwidget.capture.axes import tensors
from attnwidget.capture.call import Call
from attnwidget.capture.modules import Owner
from attnwidget.capture.scored import Path


class State(Enum):
    """What a tensor may still become."""

    POSITIVE = 1  # becomes weights when divided by its sum
    EXPONENTIAL = 2  # likewise, also when divided by more than its sum, of which a part goes to no key then
    LOG_SUM = 3  # makes a logarithm of weights of what it is taken from
    LOGARITHM = 4  # becomes weights by exp
    WEIGHTS = 5


@dataclass
class Origin:
    """A softmax result, or what may become one, until it is known whether it weighs anything."""

    weights: Callable[[], torch.Tensor | None]
    dim: int
    state: State
    owner: Owner | None
    note: str = ""
    call: Call | None = None  # once it weighed something
    forgotten: bool = False  # another adapter has it
    edited: torch.Tensor | None = None  # what stands for the weights, in their layout
    path: Path | None = None  # what the scores came of, until it is taken
    sinks: bool = False  # whether a part went to what is no key
    cut: bool = False  # whether the key that is none was cut off, so that what is left are the weights


class Made(NamedTuple):
    """How a tensor came of another one, so that it can be made again of an edited one."""

    func: Callable[..., object]
    args: Sequence[object]
    kwargs: Mapping[str, object]
    of: Followed
    part: int = 0  # which one it is, where the function returned several


@dataclass
class Followed:
    """A tensor that came of an origin."""

    tensor: weakref.ref[torch.Tensor]
    origin: Origin
    kept: torch.Tensor | None = None  # the weights, which the product needs even if the model drops them
    moved: bool = False  # its axes may not be those of the weights
    repeated: bool = False  # along an axis in which it weighs several values
    changed: bool = False  # it is the weights now: some of their numbers were replaced on the way
    made: Made | None = None  # held only where weights are edited
    dim: int | None = None  # the key axis; None where it is not known
    order: tuple[int, ...] | None = None  # which axis of the weights each of its own is; None where that is not known

    def weights(self) -> torch.Tensor | None:
        """Return the weights that this tensor came of, with the numbers that were replaced on the way."""
        if self.changed:
            return self.tensor()
        return self.origin.weights() if self.kept is None else self.kept

    def again(self, weights: torch.Tensor) -> torch.Tensor:
        """Return what this tensor would have been, had the origin been these weights."""
        if self.made is None:
            return weights
        source, old = self.made.of.again(weights), self.made.of.tensor()
        args = [source if arg is old else arg for arg in self.made.args]
        kwargs = {name: source if arg is old else arg for name, arg in self.made.kwargs.items()}
        return list(tensors([self.made.func(*args, **kwargs)]))[self.made.part]
