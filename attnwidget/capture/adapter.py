"""The contract of an adapter: one way in which models compute attention, seen without changing the model.

Adapters stand in order in `adapters.py`, and the first that claims a computation wins. It runs the computation itself,
and what happens inside is muted for the others; a tensor that it claims as weights is forgotten by them.
`tests/unit/test_adapter_contract.py` holds every adapter to eight claims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, Protocol

import torch

from attnwidget.capture.call import Call
from attnwidget.capture.inventory import Inventory
from attnwidget.capture.modules import Owner
from attnwidget.capture.unstopped import Called, Unstopped

TorchFunction = Callable[..., object]
Place = Callable[[Call], Call]


class Sink(Protocol):
    """What an adapter may ask and tell while a recording is open."""

    @property
    def model(self) -> torch.nn.Module:
        """The model that is recorded."""

    @property
    def inventory(self) -> Inventory:
        """Its modules."""

    def owner(self, module: torch.nn.Module | None = None) -> Owner | None:
        """Return the module that runs now, or None if it belongs to another model than the recorded one.

        Args:
            module: the one that runs, where an adapter knows it.
        """

    def take(self, call: Call) -> None:
        """Keep a call."""

    def withdraw(self, call: Call) -> None:
        """Drop a call that was taken, because another adapter has a better claim."""

    @property
    def unstopped(self) -> Unstopped:
        """In what everything that an adapter does while the model runs is run; inside `Adapter.run` it is already."""

    def leave_out(self, owner: Owner) -> None:
        """Say that a module weighs something, which is not taken for attention."""

    @property
    def edits(self) -> bool:
        """Whether weights may have to be changed before they are used."""

    @property
    def factors(self) -> bool:
        """Whether queries and keys are asked for, also where weights are at hand."""

    def edited(self, call: Call) -> Call | None:
        """Return the call with edited weights, which must be used then; None where no edit is meant for it."""

    def claim(self, tensor: torch.Tensor, *, by: Adapter) -> None:
        """Let all other adapters forget a tensor."""

    def muted(self) -> AbstractContextManager[None]:
        """Run what is in the block unseen by adapters. Inside `Adapter.run` it is so already."""

    def collected(self, place: Place, *, listening: bool = True) -> AbstractContextManager[list[Call]]:
        """Give what other adapters take in the block to this list instead.

        Args:
            place: brings a call to the shape and the position that only this adapter knows.
            listening: have other adapters see what runs in the block even where they see nothing else.
        """


class Adapter:
    """Hands each attention computation that it sees to the sink, as a Call.

    Args:
        sink: where calls go.
    """

    name: ClassVar[str]
    functions: ClassVar[frozenset[str]] = frozenset()  # torch functions that it runs, by `__name__`
    shares: ClassVar[bool] = False  # whether later adapters that asked for a function run it inside this one

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    def run(self, func: Called[object], args: Sequence[object], kwargs: Mapping[str, object]) -> object:
        """Run one of `functions` as it would have run, look, and return its result unchanged."""
        return func(*args, **kwargs)

    def forget(self, tensor: torch.Tensor) -> None:
        """Leave a tensor, and what comes of it, to another adapter."""

    @property
    def is_concerned(self) -> bool:
        """Whether `watching` has something to do for this model; the signature of its inventory decides that."""
        return type(self).watching is not Adapter.watching

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Be open inside the block: patch or hook, and undo it in `finally`."""
        yield
