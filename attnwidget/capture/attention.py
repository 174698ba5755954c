"""One attention computation as an adapter saw it: its weights, or the queries and keys that they come from.

Both forms answer the same questions, so that nobody has to know which it is. Weights that nobody asks for are never
computed: a matrix of T x T costs more than the model itself once T is large (Vaswani et al. 2017, equation 1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch

from attnwidget.capture.dot_product import dot_product_weights
from attnwidget.capture.scored import Path
from attnwidget.seen import Seen

LARGE_BYTES = 16 << 20  # weights from which queries and keys are looked for in their place


class Attention(Protocol):
    """One computation for a batch."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Sizes as (batch, head, query, key)."""

    @property
    def dtype(self) -> torch.dtype:
        """The type in which the model computed."""

    def weights(self) -> torch.Tensor:
        """Return [batch, head, query, key]."""

    def part(self, examples: slice, queries: slice) -> Attention:
        """Return what concerns some examples and queries, still in the model's memory."""

    def kept(self, example: int) -> Attention:
        """Return a copy of one example that the model cannot change any more."""

    def looks_ahead(self, diagonal: int = 0) -> bool:
        """Tell whether a query i sees a key after i + diagonal."""

    def looks_beyond(self, n_keys: int) -> bool:
        """Tell whether a query sees a key after the first `n_keys`."""

    def of_heads(self, n_heads: int, n_queries: int) -> Attention:
        """Return the same with heads that were packed into the query axis, or the other way round."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights as the model computed them.

    Args:
        tensor: [batch, head, query, key].
        came_of: what was seen on the way to them, of all examples or of the one that was kept; None where nothing was.
    """

    tensor: torch.Tensor
    came_of: Path | Seen | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Sizes as (batch, head, query, key)."""
        batch, head, query, key = self.tensor.shape
        return batch, head, query, key

    @property
    def dtype(self) -> torch.dtype:
        """The type in which the model computed."""
        return self.tensor.dtype

    def weights(self) -> torch.Tensor:
        """Return [batch, head, query, key]."""
        return self.tensor

    def part(self, examples: slice, queries: slice) -> Weights:
        """Return what concerns some examples and queries, still in the model's memory."""
        seen, came_of = range(self.shape[2])[queries], self.came_of
        if isinstance(came_of, Seen) and len(seen) != self.shape[2]:
            came_of = replace(came_of, only=seen[0]) if len(seen) == 1 and came_of.only is None else None
        return Weights(self.tensor[examples, :, queries], came_of)

    def kept(self, example: int) -> Weights:
        """Return a copy of one example that the model cannot change any more."""
        rows = torch.from_numpy(rows_of(self.part(slice(example, example + 1), slice(None)))[None])
        return Weights(rows, self.came_of.kept(example) if isinstance(self.came_of, Path) else self.came_of)

    def looks_ahead(self, diagonal: int = 0) -> bool:
        """Tell whether a query i sees a key after i + diagonal."""
        return bool(self.tensor.triu(1 + diagonal).any())

    def looks_beyond(self, n_keys: int) -> bool:
        """Tell whether a query sees a key after the first `n_keys`."""
        return bool(self.tensor[..., n_keys:].any())

    def of_heads(self, n_heads: int, n_queries: int) -> Weights:
        """Return the same with heads that were packed into the query axis, or the other way round."""
        return Weights(self.tensor.reshape(self.shape[0], n_heads, n_queries, self.shape[3]))


@dataclass(frozen=True, eq=False)
class DotProduct:
    """Queries and keys of dot-product attention, positions already rotated in.

    Args:
        query: [batch, head, query, d_head].
        key: [batch, key_head, key, d_head]; fewer heads are shared by groups of those of the query.
        scale: what the products are multiplied with.
        mask: True where a query may see a key, or numbers that are added to the scores; broadcast to
            [batch, head, query, key].
        diagonal: query i sees keys up to i + diagonal; None where it sees all of them.
        softcap: scores become softcap * tanh(scores / softcap) before the mask (Gemma Team 2024, arXiv 2408.00118).
        sinks: [head], one more score a row that takes its share and is no token.
    """

    query: torch.Tensor
    key: torch.Tensor
    scale: float
    mask: torch.Tensor | None = None
    diagonal: int | None = None
    softcap: float | None = None
    sinks: torch.Tensor | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Sizes as (batch, head, query, key)."""
        batch, head, query, _ = self.query.shape
        return batch, head, query, self.key.shape[2]

    @property
    def dtype(self) -> torch.dtype:
        """The type in which the model computed."""
        return self.query.dtype

    def weights(self) -> torch.Tensor:
        """Return [batch, head, query, key]."""
        return dot_product_weights(
            self.query,
            self.key,
            mask=self.mask,
            diagonal=self.diagonal,
            scale=self.scale,
            softcap=self.softcap,
            sinks=self.sinks,
        )

    def part(self, examples: slice, queries: slice) -> DotProduct:
        """Return what concerns some examples and queries, still in the model's memory."""
        first, _, _ = queries.indices(self.shape[2])
        mask = self.mask
        if mask is not None:
            mask = mask if mask.ndim == 4 else mask[(None,) * (4 - mask.ndim)]
            mask = mask if mask.shape[0] == 1 else mask[examples]
            mask = mask if mask.shape[2] == 1 else mask[:, :, queries]
        return replace(
            self,
            query=self.query[examples, :, queries],
            key=self.key if len(self.key) == 1 else self.key[examples],
            mask=mask,
            diagonal=None if self.diagonal is None else self.diagonal + first,
        )

    def kept(self, example: int) -> DotProduct:
        """Return a copy of one example that the model cannot change any more, but for masks, which layers share."""
        it = self if len(self.query) == 1 else self.part(slice(example, example + 1), slice(None))
        return DotProduct(copied(it.query), copied(it.key), it.scale, it.mask, it.diagonal, it.softcap, it.sinks)

    def looks_ahead(self, diagonal: int = 0) -> bool:
        """Tell whether a query i sees a key after i + diagonal."""
        _, _, n_queries, n_keys = self.shape
        if (self.diagonal is not None and self.diagonal <= diagonal) or n_keys <= 1 + diagonal:
            return False
        if self.mask is None:
            return True
        seen = visible_of(self.mask)
        return bool(seen.expand(*seen.shape[:-2], n_queries, n_keys).triu(1 + diagonal).any())

    def looks_beyond(self, n_keys: int) -> bool:
        """Tell whether a query sees a key after the first `n_keys`."""
        if self.mask is not None:
            return bool(visible_of(self.mask)[..., n_keys:].any())
        return n_keys < self.shape[3] and (self.diagonal is None or self.shape[2] + self.diagonal > n_keys)

    def of_heads(self, n_heads: int, n_queries: int) -> DotProduct:
        """Return the same with heads that were packed into the query axis, or the other way round."""
        batch, mask = self.shape[0], self.mask
        if mask is not None and mask.ndim == 4 and mask.shape[1:3] == self.query.shape[1:3]:
            mask = mask.reshape(len(mask), n_heads, n_queries, mask.shape[3])
        return replace(self, query=self.query.reshape(batch, n_heads, n_queries, self.query.shape[3]), mask=mask)


def copied(tensor: torch.Tensor) -> torch.Tensor:
    """Return a copy that the model cannot change any more, and that needs no gradient."""
    held = tensor.detach() if tensor.requires_grad else tensor
    return held.clone(memory_format=torch.contiguous_format)


def visible_of(mask: torch.Tensor) -> torch.Tensor:
    """Return where a mask lets a query see: bool, of the same shape."""
    if mask.dtype == torch.bool:
        return mask
    return mask > torch.finfo(mask.dtype).min / 2


def has_numbers(attention: Attention) -> bool:
    """Tell whether weights can be read: not on the meta device, and not inside torch.func.vmap."""
    tensor = attention.query if isinstance(attention, DotProduct) else attention.part(slice(0), slice(0)).weights()
    return not tensor.is_meta and not torch._C._functorch.is_batchedtensor(tensor)


def rows_of(attention: Attention) -> np.ndarray:
    """Return the weights of the one example that is left: float32 [head, query, key], in memory of their own."""
    weights = attention.weights().detach()[0].to(device="cpu", dtype=torch.float32, copy=True)
    while torch._C._functorch.is_gradtrackingtensor(weights):  # inside torch.func.grad or jvp
        weights = torch._C._functorch.get_unwrapped(weights)
    with torch._C._DisableFuncTorch():
        return np.asarray(weights.detach().numpy())
