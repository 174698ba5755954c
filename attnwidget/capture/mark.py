"""Adapter: weights that the user's own code points out, which no other adapter can find."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

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

    def mark(self, weights: object, *, name: str) -> None:
        """Take weights."""
        with torch._C.DisableTorchFunction():
            try:
                tensor = weights.detach() if isinstance(weights, torch.Tensor) else torch.as_tensor(weights)
            except (TypeError, ValueError, RuntimeError):
                raise TypeError(f"mark: {type(weights).__name__} came, a tensor of weights was expected.") from None
            if tensor.is_complex():
                raise TypeError(f"mark: weights of dtype {tensor.dtype} came, real numbers were expected.")
            if not tensor.ndim or not tensor.numel():
                raise ValueError(f"mark: weights of shape {tuple(tensor.shape)} came, at least one key was expected.")
            owner = self.sink.owner()
            if owner is not None:
                if isinstance(weights, torch.Tensor):
                    self.sink.claim(weights, by=self)
                self.sink.take(to_call(tensor, owner=owner, route=self.name, name=name))


def mark(weights: _Weights, *, name: str = "") -> _Weights:
    """Record weights of your own, which no adapter can find; return them unchanged.

    Outside a recording it does nothing, so the line may stay where it is.

    Args:
        weights: after softmax; a tensor, array or nested lists of numbers, [key], [batch, key], [batch, query, key] or
            [batch, head, query, key].
        name: what to call the site; by default the path of the module that runs.

    Raises:
        TypeError: weights are not a tensor, array or numbers.
        ValueError: weights are a single number or empty.
        CaptureError: a batch came and no example was chosen.
    """
    adapter = _open.get()
    if adapter is not None:
        adapter.mark(weights, name=name)
    return weights
