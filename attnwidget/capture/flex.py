"""Adapter: flex attention, whose scores and masks are functions that only it can apply."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import FrameType
from typing import cast

import torch

from attnwidget.capture.adapter import Adapter, TorchFunction
from attnwidget.capture.attention import LARGE_BYTES, DotProduct
from attnwidget.capture.call import to_call
from attnwidget.capture.report import COMPILED

_TOLERANCE = 1e-5


class FlexAdapter(Adapter):
    """Asks the operator beneath `flex_attention` what it does to values that are an identity matrix: its weights."""

    name = "flex"
    functions = frozenset({"flex_attention"})

    def run(self, func: TorchFunction, args: Sequence[object], kwargs: Mapping[str, object]) -> object:
        """Run the operator, hand over its weights, return its result."""
        result = func(*args, **kwargs)
        owner = self.sink.owner()
        query, key, value, *rest = args
        if owner is None or not all(isinstance(it, torch.Tensor) for it in (query, key, value)):
            return result
        query, key, value = cast("tuple[torch.Tensor, ...]", (query, key, value))
        with torch.no_grad():
            dtype = torch.promote_types(query.dtype, torch.float32)
            unit = torch.eye(key.shape[-2], dtype=dtype, device=key.device)
            unit = unit.expand(*key.shape[:-1], -1).contiguous()  # [batch, head, key, key]
            answer = func(query.to(dtype), key.to(dtype), unit, *rest, **kwargs)
            weights = cast(torch.Tensor, answer[0] if isinstance(answer, tuple) else answer)
            note = COMPILED if _is_compiled() else ""
            call = to_call(weights, owner=owner, route=self.name, note=note)
            if (self.sink.factors or weights.nbytes > LARGE_BYTES) and not self.sink.edits:
                product = _product(query, key, rest, weights)
                call = call if product is None else replace(call, attention=product)
        edited = self.sink.edited(call)
        self.sink.take(edited or call)
        if edited is None:
            return result
        if value.shape[1] != weights.shape[1]:
            value = value.repeat_interleave(weights.shape[1] // value.shape[1], dim=1)
        output = edited.attention.weights().to(value.dtype) @ value
        return (output, *result[1:]) if isinstance(result, tuple) else output


def _product(
    query: torch.Tensor, key: torch.Tensor, rest: Sequence[object], weights: torch.Tensor
) -> DotProduct | None:
    """Return queries and keys in place of weights where functions only hid keys; None where they changed scores."""
    scale = rest[2] if len(rest) > 2 and isinstance(rest[2], float) else query.shape[-1] ** -0.5
    seen = weights > 0
    hidden = None if bool(seen.all()) else seen
    if hidden is not None and bool((seen == seen[:1, :1]).all()):
        hidden = seen[:1, :1]
    product = DotProduct(query, key, scale, hidden)
    missed = (product.weights() - weights).abs().max()
    return product if bool(missed <= _TOLERANCE) else None


def _is_compiled() -> bool:
    """Tell whether what calls `flex_attention` was compiled; below it torch compiles a part of its own."""
    frame: FrameType | None = sys._getframe(1)
    inside = True
    while frame is not None:
        if frame.f_code.co_name == "flex_attention":
            inside = False
        elif not inside and frame.f_globals.get("__name__") == "torch._dynamo.eval_frame":
            return True
        frame = frame.f_back
    return False
