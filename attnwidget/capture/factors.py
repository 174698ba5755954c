"""From torch to numpy: what the weights of a site come from, where queries and keys say it all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from attnwidget.capture.attention import DotProduct, visible_of
from attnwidget.capture.pieces import Piece, Rows
from attnwidget.stores import Factors, Visible


@dataclass(frozen=True, eq=False)
class _Mask:
    """What a mask comes to: who sees whom, and a bias by distance [head, 2 * n_keys - 1]."""

    tensor: torch.Tensor | None  # held, so that its place in memory stays its own
    visible: Visible
    bias: np.ndarray | None


class Reader:
    """Reads factors; layers share masks, so that each is read once."""

    def __init__(self) -> None:
        self._masks: dict[object, _Mask | None] = {}

    def factors(self, rows: Rows, n_before: int = 0) -> list[Factors] | None:
        """Return what the rows come from, one for each part, or None where queries and keys do not say it all.

        Args:
            rows: what to read.
            n_before: how many keys are known already and need not be read; the last one is read in any case.
        """
        found = []
        first = 0
        for piece, count in rows.parts:
            factors = self._factors(piece, count, first, n_before)
            if factors is None:
                return None
            found.append(factors)
            first += count
        return found

    def _factors(self, piece: Piece, count: int, first: int, n_before: int) -> Factors | None:
        product = piece.attention
        if not isinstance(product, DotProduct):
            return None
        if count < piece.n_queries:
            product = product.part(slice(None), slice(count))
        first = first if piece.first_query is None else piece.first_query
        n_keys = min(piece.n_keys - piece.first_key, product.shape[3])
        mask = self._mask(product, piece.first_key, first, n_keys)
        if mask is None:
            return None
        visible = mask.visible
        if piece.first_key or n_keys < product.shape[3]:
            first_seen, last_seen = (
                np.minimum(it + piece.first_key, piece.n_keys) for it in (visible.first, visible.last)
            )
            visible = Visible(first_seen, last_seen, visible.holed, visible.bits)
        start = min(max(n_before - piece.first_key, 0), n_keys - 1)
        return Factors(
            as_numpy(product.query[0], is_own=piece.owns),
            as_numpy(product.key[0, :, start:n_keys], is_own=piece.owns),
            visible,
            product.scale,
            first_key=piece.first_key + start,
            first_query=first,
            softcap=product.softcap,
            bias=mask.bias,
            sinks=None if product.sinks is None else as_numpy(product.sinks).astype(np.float32),
        )

    def _mask(self, product: DotProduct, first_key: int, first_query: int, n_used: int) -> _Mask | None:
        _, _, n_queries, n_keys = product.shape
        tensor = product.mask
        place: object = (n_queries, n_keys, product.diagonal)
        if tensor is not None:
            place = (place, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if place not in self._masks:
            if tensor is not None:
                self._masks[place] = _read(tensor, product, first_query - first_key, n_used)
            else:
                self._masks[place] = _Mask(None, _up_to(n_queries, n_keys, product.diagonal), None)
        found = self._masks[place]
        if found is not None and first_key and len(found.visible.holed):
            return None  # bits count keys from the first one
        return found


@lru_cache(maxsize=8)  # recordings of one model meet the same lengths again
def _up_to(n_queries: int, n_keys: int, diagonal: int | None) -> Visible:
    """Return what queries see without a mask: query i sees keys up to i + diagonal, or all of them."""
    ends = np.full(n_queries, n_keys, np.int32)
    if diagonal is not None:
        ends = np.clip(np.arange(n_queries, dtype=np.int32) + diagonal + 1, 0, ends)
    return Visible(np.zeros(n_queries, np.int32), ends)


def _read(mask: torch.Tensor, product: DotProduct, offset: int, n_used: int) -> _Mask | None:
    """Read a mask [1, head or 1, query or 1, key]; None where heads differ or a bias is no matter of distance.

    Keys from `n_used` on are the empty end of a cache: nothing sees them, and they tell no bias.
    """
    _, _n_heads, n_queries, n_keys = product.shape
    full = mask[(None,) * (4 - mask.ndim)].expand(1, -1, n_queries, n_keys)[0]  # [head or 1, query, key]
    seen = visible_of(full)
    if len(seen) > 1 and bool((seen != seen[:1]).any()):
        return None
    if product.diagonal is not None:
        seen = seen.tril(product.diagonal)
    visible = Visible.of(seen[0].cpu().numpy())
    if mask.dtype == torch.bool:
        return _Mask(mask, visible, None)
    numbers = full.masked_fill(~seen[:1], 0)
    if not bool(numbers.any()):
        return _Mask(mask, visible, None)
    bias = _by_distance(as_numpy(numbers[..., :n_used]).astype(np.float32), as_numpy(seen[0, :, :n_used]), offset)
    return None if bias is None else _Mask(mask, visible, bias)


def _by_distance(numbers: np.ndarray, seen: np.ndarray, offset: int) -> np.ndarray | None:
    """Return a bias [head, 2 * n - 1] by key - query, if all that is seen at a distance is the same."""
    n_heads, n_queries, n_keys = numbers.shape
    if offset < 0:
        return None
    n = max(n_queries + offset, n_keys)
    distances = np.arange(n_keys) - (np.arange(n_queries)[:, None] + offset) + n - 1  # [query, key]
    bias = np.zeros((n_heads, 2 * n - 1), np.float32)
    for head in range(n_heads):
        bias[head, distances[seen]] = numbers[head][seen]
    same = bias[:, distances] == numbers
    return bias if bool(same[:, seen].all()) else None


def as_numpy(tensor: torch.Tensor, *, is_own: bool = False) -> np.ndarray:
    """Return a read-only array; what numpy has no type for becomes float32.

    Args:
        tensor: what to read.
        is_own: nobody will change it, so that the array may be in its memory; else it is in memory of its own.
    """
    if not is_own or tensor.requires_grad or not tensor.is_cpu or tensor.dtype != torch.float32:
        tensor = tensor.detach().cpu()
        if tensor.dtype not in (torch.float16, torch.bool):
            tensor = tensor.float()
    array = tensor.numpy()
    array = np.ascontiguousarray(array) if is_own else np.array(array, order="C")
    array.flags.writeable = False
    return array
