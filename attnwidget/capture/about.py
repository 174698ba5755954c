"""What the attention interface of Transformers knows of a call, beside its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from attnwidget.capture.attention import DotProduct, Weights
from attnwidget.capture.call import SINKS, Call
from attnwidget.capture.kinds import says_cross
from attnwidget.capture.modules import Owner

_OTHER_SEQUENCE = ("key_value_states", "encoder_hidden_states", "cross_attention_states")
_TOLERANCE, _HALF_TOLERANCE = 1e-5, 2e-2
_CACHES = ("past_key_values", "past_key_value", "layer_past")


class About:
    """What the interface knows of a call: the module that attends, to what, and where in the sequence it is.

    Args:
        owner: the module that attends.
        scope: the variables of the method that calls the interface.
        query: [batch, head, query, d_head].
        key: [batch, key_head, key, d_head].
        args: what the method passes behind them.
        kwargs: what it passes by name.
    """

    def __init__(
        self,
        owner: Owner,
        scope: Mapping[str, object],
        query: torch.Tensor,
        key: torch.Tensor,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> None:
        self.owner, self.kwargs, self.query, self.key = owner, kwargs, query, key
        self.mask = args[1] if len(args) > 1 else kwargs.get("attention_mask")
        self.shape = (*query.shape[:3], key.shape[-2])
        self.sinks: Any = kwargs.get("s_aux", getattr(owner.module, "sinks", None))
        self._cross = _is_cross(owner, scope)
        self._n_tokens = 0 if self._cross else _n_tokens(owner.module, scope)

    def product(self, weights: torch.Tensor) -> DotProduct | None:
        """Return queries and keys in place of large weights, if some rows show that these come of them alone."""
        scale = self.kwargs.get("scaling")
        scale = self.query.shape[-1] ** -0.5 if scale is None else float(scale)
        mask = self.mask if isinstance(self.mask, torch.Tensor) and self.mask.ndim == 4 else None
        sinks = self.sinks.detach() if isinstance(self.sinks, torch.Tensor) else None
        mask = None if mask is None else mask[..., : self.shape[3]]
        product = DotProduct(self.query, self.key, scale, mask, softcap=self.kwargs.get("softcap"), sinks=sinks)
        for row in {0, self.shape[2] // 2, self.shape[2] - 1}:
            where = slice(row, row + 1)
            missed = (product.part(slice(None), where).weights() - weights[:, :, where]).abs().max()
            if not bool(missed <= (_TOLERANCE if weights.dtype == torch.float32 else _HALF_TOLERANCE)):
                return None
        return product

    def placed(self, call: Call, *, route: str = "") -> Call:
        """Bring a call to one head and one query a row, and say where in the sequence it is, and what saw it."""
        _, n_heads, n_queries, n_keys = self.shape
        # Heads that share a key are packed into the query axis where there is one query; a sink is one key more.
        attention = (
            call.attention.of_heads(n_heads, n_queries) if call.attention.shape != self.shape else call.attention
        )
        if isinstance(attention, Weights):
            attention = Weights(attention.tensor[..., :n_keys])
        elif (
            isinstance(attention, DotProduct)
            and attention.key is not self.key
            and attention.key.shape[2:] == self.key.shape[2:]
        ):
            attention = replace(attention, key=self.key)  # before it was repeated for the heads that share it
        causal = self.kwargs.get("is_causal")
        causal = getattr(self.owner.module, "is_causal", None) if causal is None else causal
        missing = self._n_tokens - n_keys
        knows = self._n_tokens >= n_queries and (missing >= 0 or not attention.looks_beyond(self._n_tokens))
        return replace(
            call,
            module=self.owner.path,
            route=route or call.route,
            attention=attention,
            note=call.note if self.sinks is None else SINKS,
            cross=self._cross,
            causal=None if self._cross or causal is None else bool(causal),
            sinks=self.sinks is not None,
            first_query=self._n_tokens - n_queries if knows else call.first_query,
            first_key=max(missing, 0) if knows else call.first_key,
            n_keys=self._n_tokens if knows else call.n_keys,
        )


def _is_cross(owner: Owner, scope: Mapping[str, object]) -> bool:
    known = scope.get("is_cross_attention")
    if isinstance(known, bool):
        return known
    for name in _OTHER_SEQUENCE:
        if scope.get(name) is not None:
            return True
    return says_cross(owner.path)


def _n_tokens(module: torch.nn.Module, scope: Mapping[str, object]) -> int:
    """Return how many tokens the sequence has so far, as the cache counts them; 0 without a cache."""
    for name in _CACHES:
        count = getattr(scope.get(name), "get_seq_length", None)
        if count is not None:
            return int(count(getattr(module, "layer_idx", None) or 0))
    return 0


def sort_of(
    function: object, query: torch.Tensor, key: torch.Tensor, args: Sequence[object], kwargs: Mapping[str, object]
) -> object:
    """Return what is the same of calls that are computed alike; a single query over however many keys."""
    given = (*args, *kwargs.values())
    plain = [it if it is None or isinstance(it, (bool, int, float, str)) else type(it) for it in given]
    n_keys = 0 if query.shape[2] == 1 else key.shape[2]
    return function, query.shape, key.shape[1], n_keys, query.dtype, plain, list(kwargs)


@dataclass
class Row:
    """What is the same of rows that a module computes alike, each over one key more; it holds no tensor."""

    sort: object
    module: str
    route: str
    cross: bool | None
    causal: bool | None
    scale: float
    n_keys: int  # of the last one


def next_row(last: Row, query: torch.Tensor, key: torch.Tensor) -> Call | None:
    """Return the call of a row that is computed as the last one of its module, over one key more.

    Args:
        last: what is known of that one, a query over all keys, as a cache without a window has them; it is brought to
            this row.
        query: [batch, head, 1, d_head].
        key: [batch, key_head, key, d_head].

    Returns:
        None where it is no such row.
    """
    n_keys = key.shape[2]
    if last.n_keys + 1 != n_keys:
        return None
    last.n_keys = n_keys
    row, first = DotProduct(query, key, last.scale), n_keys - 1
    return Call(last.module, last.route, row, cross=last.cross, causal=last.causal, first_query=first, n_keys=n_keys)


class Whole(NamedTuple):
    """What is the same of matrices without mask and cache that a module computes alike; it holds no tensor."""

    sort: object
    route: str
    causal: bool | None
    scale: float
    diagonal: int | None


def same_whole(
    known: Whole, path: str, scope: Mapping[str, object], query: torch.Tensor, key: torch.Tensor
) -> Call | None:
    """Return the call of a matrix that is computed as an earlier one of its module; None where it has a cache.

    Args:
        known: what was seen of that one, perhaps where another model around the module was recorded.
        path: of the module in the model that is recorded now.
        scope: variables of the method that attends.
        query, key: [batch, head, query or key, d_head].
    """
    if any(scope.get(name) is not None for name in (*_CACHES, *_OTHER_SEQUENCE)):
        return None
    product = DotProduct(query, key, known.scale, diagonal=known.diagonal)
    return Call(path, known.route, product, cross=False, causal=known.causal)
