"""Adapter: scaled_dot_product_attention, whose weights are computed again from its queries and keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from attnwidget.capture.adapter import Adapter, Sink, TorchFunction
from attnwidget.capture.attention import DotProduct
from attnwidget.capture.call import BEFORE_DROPOUT, Call, to_call
from attnwidget.capture.dot_product import dot_product_weights
from attnwidget.capture.modules import Owner


class SdpaAdapter(Adapter):
    """Runs the kernel as it would have run, and keeps what its weights come from."""

    name = "sdpa"
    functions = frozenset({"scaled_dot_product_attention"})

    def run(self, func: TorchFunction, args: Sequence[object], kwargs: Mapping[str, object]) -> object:
        """Run the kernel, hand over its weights, return its result."""
        owner = self.sink.owner()
        if owner is None:
            return func(*args, **kwargs)
        return seen_by(self.sink, owner)(func, args, kwargs)


def seen_by(sink: Sink, owner: Owner) -> Callable[..., torch.Tensor]:
    """Return what runs a kernel, given as its first argument, and hands over its weights."""

    def run(kernel: Callable[..., torch.Tensor], args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.Tensor:
        with torch.set_grad_enabled(sink.edits and torch.is_grad_enabled()):  # gradients flow through what is edited
            call = _call(owner, *args, **kwargs)
        edited = sink.edited(call)
        sink.take(edited or call)
        with sink.muted():
            if edited is not None:
                return weighed(edited.attention.weights(), *args, **kwargs)
            return kernel(*args, **kwargs)

    return run


def _call(
    owner: Owner,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Call:
    """Take the arguments of torch's function."""
    route = SdpaAdapter.name
    materialize = getattr(attn_mask, "_materialize", None)  # of torch.nn.attention.bias
    mask = attn_mask if materialize is None else materialize(query.device)
    note, causal = BEFORE_DROPOUT if dropout_p else "", is_causal or None
    if query.ndim == 4 and not query.is_nested:
        n_examples = max(len(query), len(key), len(value))
        query = query.expand(n_examples, -1, -1, -1) if len(query) < n_examples else query
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        product = DotProduct(query, key, scale, mask, diagonal=0 if is_causal else None)
        return Call(owner.path, route, product, note, causal=causal)
    diagonal = 0 if is_causal else None
    if query.is_nested:
        parts = zip(query.unbind(), key.unbind(), strict=True)
        weights = _joined([dot_product_weights(q, k, diagonal=diagonal, scale=scale) for q, k in parts])
    else:
        weights = dot_product_weights(query, key, mask=mask, diagonal=diagonal, scale=scale)
    return to_call(weights, owner=owner, route=route, batched=False, note=note, causal=causal)


def weighed(
    weights: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: object = None,
    dropout_p: float = 0.0,
    *_: object,
    **__: object,
) -> torch.Tensor:
    """Return what a kernel would have, had its weights been these of [batch, head, query, key]."""
    weights = torch.nn.functional.dropout(weights, dropout_p) if dropout_p else weights
    if query.is_nested:
        both = zip(weights, query.unbind(), value.unbind(), strict=True)
        parts = [part[..., : q.shape[-2], : v.shape[-2]].to(v.dtype) @ v for part, q, v in both]
        return torch.nested.as_nested_tensor(parts, layout=query.layout)
    if value.ndim == 4 and value.shape[1] not in (1, weights.shape[1]):
        value = value.repeat_interleave(weights.shape[1] // value.shape[1], dim=1)
    weights = weights if query.ndim == 4 else weights.reshape(*query.shape[:-1], -1)
    return weights.to(value.dtype) @ value


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    """Join examples of different length; what they do not have is 0."""
    n_queries, n_keys = (max(part.shape[axis] for part in parts) for axis in (-2, -1))
    padded = [
        torch.nn.functional.pad(part, (0, n_keys - part.shape[-1], 0, n_queries - part.shape[-2])) for part in parts
    ]
    return torch.stack(padded)  # [batch, head, query, key]
