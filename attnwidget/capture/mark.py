"""Adapter: weights that the user's own code points out, which no other adapter can find."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar, cast

import numpy as np
import torch

from attnwidget.capture.adapter import Adapter
from attnwidget.capture.call import to_call

_Weights = TypeVar("_Weights")
_open: ContextVar[MarkAdapter | None] = ContextVar("attnwidget_mark", default=None)


class MarkAdapter(Adapter):
    """Takes what `aw.mark` is called with."""

    name = "mark"

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Be the adapter that `aw.mark` speaks to inside the block."""
        _open.set(self)
        try:
            yield
        finally:
            _open.set(None)

    def mark(self, weights: _Weights, *, name: str) -> _Weights:
        """Take weights, and return them as they were or edited."""
        with torch._C.DisableTorchFunction():
            try:
                tensor = weights.detach() if isinstance(weights, torch.Tensor) else torch.as_tensor(weights)
            except (TypeError, ValueError, RuntimeError):
                raise TypeError(f"mark: {type(weights).__name__} came, a tensor of weights was expected.") from None
            if tensor.is_complex():
                raise TypeError(f"mark: weights of dtype {tensor.dtype} came, real numbers were expected.")
            if not tensor.ndim or not tensor.numel():
                raise ValueError(f"mark: weights of shape {tuple(tensor.shape)} came, at least one key was expected.")
            with self.sink.unstopped:
                return self._taken(weights, tensor, name)
        return weights

    def _taken(self, weights: _Weights, tensor: torch.Tensor, name: str) -> _Weights:
        owner = self.sink.owner()
        if owner is None:
            return weights
        if isinstance(weights, torch.Tensor):
            self.sink.claim(weights, by=self)
        call = to_call(tensor, owner=owner, route=self.name, name=name)
        edited = self.sink.edited(call)
        self.sink.take(edited or call)
        if edited is None:
            return weights
        new = edited.attention.weights().to(tensor.dtype).reshape(tensor.shape)
        return cast(_Weights, new if isinstance(weights, torch.Tensor) else _like(weights, new))


def _like(weights: object, new: torch.Tensor) -> object:
    """Return new weights in the type of the old ones, an array or lists."""
    return new.numpy() if isinstance(weights, np.ndarray) else new.tolist()


def mark(weights: _Weights, *, name: str = "") -> _Weights:
    """Record weights of your own, which no adapter can find; return them, changed only where an `Edit` says so.

    Outside a recording it does nothing, so the line may stay where it is.

    Args:
        weights: after softmax; a tensor, array or nested lists of numbers, [key], [batch, key], [batch, query, key] or
            [batch, head, query, key].
        name: what to call the site; by default the path of the module that runs.

    Raises:
        TypeError: weights are not a tensor, array or numbers.
        ValueError: weights are a single number or empty.
    """
    adapter = _open.get()
    return weights if adapter is None else adapter.mark(weights, name=name)
