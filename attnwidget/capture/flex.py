"""Adapter: flex attention, whose scores and masks are functions that only it can apply."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import FrameType

import torch

from attnwidget.capture.adapter import Adapter, TorchFunction
from attnwidget.capture.call import to_call

_COMPILED = (
    "Flex attention that is compiled runs as plain Python while it is recorded, and its outputs then differ in the "
    "last bits."
)


class FlexAdapter(Adapter):
    """Asks the operator beneath `flex_attention` what it does to values that are an identity matrix: its weights."""

    name = "flex"
    functions = frozenset({"flex_attention"})

    def run(self, func: TorchFunction, args: Sequence[object], kwargs: Mapping[str, object]) -> object:
        """Run the operator, hand over its weights, return its result."""
        result = func(*args, **kwargs)
        owner = self.sink.owner()
        query, key, _, *rest = args
        if owner is not None and isinstance(query, torch.Tensor) and isinstance(key, torch.Tensor):
            with torch.no_grad():
                dtype = torch.promote_types(query.dtype, torch.float32)
                unit = torch.eye(key.shape[-2], dtype=dtype, device=key.device)
                unit = unit.expand(*key.shape[:-1], -1).contiguous()  # [batch, head, key, key]
                answer = func(query.to(dtype), key.to(dtype), unit, *rest, **kwargs)
                weights = answer[0] if isinstance(answer, tuple) else answer
            note = _COMPILED if _is_compiled() else ""
            self.sink.take(to_call(weights, owner=owner, route=self.name, note=note))  # type: ignore[arg-type]
        return result


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
