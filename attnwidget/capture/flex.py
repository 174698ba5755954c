"""Adapter: flex attention, whose scores and masks are functions that only it can apply."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import cast

import torch

from attnwidget.capture.adapter import Adapter, TorchFunction
from attnwidget.capture.call import to_call
from attnwidget.capture.report import COMPILED


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
        edited = self.sink.edited(call)
        self.sink.take(edited or call)
        if edited is None:
            return result
        if value.shape[1] != weights.shape[1]:
            value = value.repeat_interleave(weights.shape[1] // value.shape[1], dim=1)
        output = edited.attention.weights().to(value.dtype) @ value
        return (output, *result[1:]) if isinstance(result, tuple) else output


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
