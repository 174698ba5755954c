"""What an adapter hands over: one attention computation, brought to one shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

_HEAD_COUNTS = ("num_heads", "n_heads", "num_attention_heads", "n_head", "nhead", "heads")


@dataclass(frozen=True)
class Call:
    """One attention computation.

    Args:
        module: path of the module that made it; "" for the model itself.
        route: name of the adapter that saw it.
        weights: [batch, head, query, key], after softmax, as the model computed them.
    """

    module: str
    route: str
    weights: torch.Tensor


class Sink(Protocol):
    """Where adapters put calls."""

    def owner(self) -> tuple[str, torch.nn.Module | None]:
        """Return the path of the module that runs now, and the module."""

    def take(self, call: Call) -> None:
        """Keep a call."""


def to_call(
    weights: torch.Tensor, *, path: str, module: torch.nn.Module | None, route: str, batched: bool = True
) -> Call:
    """Bring weights to [batch, head, query, key].

    Args:
        weights: [key], [batch, key], [batch, query, key], [batch * head, query, key] where the module tells its number
            of heads, or [batch, head, query, key]; [query, key] where `batched` is False.
        path: path of the module that made them.
        module: that module.
        route: name of the adapter.
        batched: whether the first of two axes counts examples.
    """
    n_heads = next((n for name in _HEAD_COUNTS if isinstance(n := getattr(module, name, None), int)), 1)
    if weights.ndim == 1:
        weights = weights[None, None, None]  # [1, 1, 1, key]
    elif weights.ndim == 2:
        weights = weights[:, None, None] if batched else weights[None, None]  # [batch, 1, query, key]
    elif weights.ndim == 3 and n_heads > 1 and weights.shape[0] % n_heads == 0:
        weights = weights.reshape(-1, n_heads, *weights.shape[1:])  # [batch, head, query, key]
    elif weights.ndim == 3:
        weights = weights[:, None]  # [batch, 1, query, key]
    elif weights.ndim > 4:
        weights = weights.flatten(0, -4)  # [batch, head, query, key]
    return Call(path, route, weights)
