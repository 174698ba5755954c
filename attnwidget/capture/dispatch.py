"""Adapter: TorchScript and exported modules, which run below Python, where only operators of ATen can be seen.

A dispatch mode sees every operator, so it is entered only for models that are, or hold, such a module.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from attnwidget.capture.adapter import Adapter, Sink
from attnwidget.capture.attention import DotProduct
from attnwidget.capture.call import BEFORE_DROPOUT, HEAD_COUNTS, Call, to_call
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.mha import MhaAdapter
from attnwidget.capture.modules import Owner

_NAMELESS = "{} module: module names are not available; layers are numbered in call order."
_MAKERS = {"TorchScript": "TorchScript", "Exported": "torch.export"}
_FUSED = "aten::_scaled_dot_product"
_SOFTMAX = frozenset({"aten::_softmax", "aten::_safe_softmax"})
_PRODUCTS = frozenset({"aten::bmm", "aten::baddbmm", "aten::mm"})
_CARRIES_ON = frozenset(
    f"aten::{name}"
    for name in (
        *("view", "_unsafe_view", "expand", "transpose", "permute", "t", "squeeze", "unsqueeze", "slice", "alias"),
        *("detach", "clone", "_to_copy", "contiguous", "native_dropout", "mul", "masked_fill", "where", "reshape"),
    )
)
_DROPOUT = "aten::native_dropout"
_N_FOLLOWED = 8  # weights reach their product within a few operators; what does not is no attention


class DispatchAdapter(Adapter):
    """Looks at operators while a TorchScript or exported module runs."""

    name = "dispatch"

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        # Tensors are held, because one that only C++ holds may come as another object the next time.
        self._followed: deque[tuple[torch.Tensor, torch.Tensor, Owner, str]] = deque(maxlen=_N_FOLLOWED)
        self._fast = MhaAdapter(sink)

    @property
    def is_concerned(self) -> bool:
        """Whether the model is, or holds, such a module."""
        inventory = self.sink.inventory
        scripted = any(issubclass(kind, torch.jit.ScriptModule) for kind in inventory.by_class)
        return scripted or any(map(_kind, inventory.having("graph")))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Have a dispatch mode inside the block, if the model needs one."""
        model = self.sink.model
        if self.sink.edits and _kind(model):
            raise _not_editable("the model", _kind(model))
        with _Mode(self) if self.is_concerned else nullcontext():
            yield

    def look(self, name: str, given: Mapping[str, Any], result: object) -> None:
        """Look at an operator that has run.

        Args:
            name: such as "aten::bmm".
            given: its arguments by name.
            result: what it returned.
        """
        if name in _PRODUCTS or name in _CARRIES_ON:
            self._carry(name, given, result)
            return
        owner = self.sink.owner()
        if owner is None or not _kind(owner.module):
            return
        if name in _SOFTMAX and isinstance(result, torch.Tensor) and result.ndim in (3, 4):
            self._followed.append((result, result, owner, ""))
        elif name.startswith(_FUSED) and "backward" not in name:
            self._take(owner, self._fused(owner, given))
        elif name == "aten::_native_multi_head_attention":
            self._take(owner, self._fast.fast(owner, dict(given)))
        elif name == "aten::_transformer_encoder_layer_fwd":
            self._take(owner, self._fast.fast_layer(owner, dict(given)))

    def _carry(self, name: str, given: Mapping[str, Any], result: object) -> None:
        inputs = [it for it in given.values() if isinstance(it, torch.Tensor)]
        for tensor, weights, owner, note in list(self._followed):
            if not any(it is tensor for it in inputs):
                continue
            if name in _PRODUCTS:
                kept = [it for it in self._followed if it[1] is not weights]
                self._followed = deque(kept, _N_FOLLOWED)
                self._take(owner, to_call(weights.detach(), owner=_with_heads(owner), route=self.name, note=note))
            else:
                part = result[0] if isinstance(result, (tuple, list)) else result
                drops = name == _DROPOUT and bool(given.get("train", True)) and given.get("p")
                if isinstance(part, torch.Tensor):
                    self._followed.append((part, weights, owner, BEFORE_DROPOUT if drops else note))
            return

    def _fused(self, owner: Owner, given: Mapping[str, Any]) -> Call:
        query, causal, scale = given["query"], bool(given.get("is_causal")), given.get("scale")
        product = DotProduct(
            query.detach(),
            given["key"].detach(),
            query.shape[-1] ** -0.5 if scale is None else scale,
            given.get("attn_mask", given.get("attn_bias")),
            diagonal=0 if causal else None,
        )
        note = BEFORE_DROPOUT if given.get("dropout_p") else ""
        return Call(owner.path, self.name, product, note, causal=causal or None)

    def _take(self, owner: Owner, call: Call) -> None:
        kind = _kind(owner.module)
        call = replace(call, module=owner.path, note=call.note or _NAMELESS.format(kind))
        if self.sink.edited(call) is not None:  # TorchScript makes another error of what is raised in an operator
            self.sink.unstopped.failed(_not_editable(owner.path, kind))
        else:
            self.sink.take(call)


class _Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Shows each operator to the adapter."""

    def __init__(self, adapter: DispatchAdapter) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._adapter = adapter

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - an operator
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Run an operator, and look at it."""
        result = func(*args, **(kwargs or {}))
        with self._adapter.sink.unstopped, torch.no_grad(), torch._C.DisableTorchFunction():
            schema = func._schema
            given = {argument.name: value for argument, value in zip(schema.arguments, args, strict=False)}
            self._adapter.look(schema.name, {**given, **(kwargs or {})}, result)
        return result


def _kind(module: torch.nn.Module) -> str:
    """Tell what keeps a module's own code from Python; "" where nothing does."""
    if isinstance(module, torch.jit.ScriptModule):
        return "TorchScript"
    graph = getattr(module, "graph", None)
    if isinstance(graph, torch.fx.Graph) and any(isinstance(it.target, torch._ops.OpOverload) for it in graph.nodes):
        return "Exported"
    return ""


def _with_heads(owner: Owner) -> Owner:
    """Return an owner that tells the number of heads, where a module in it does."""
    inner = (it for it in owner.module.modules() if any(hasattr(it, name) for name in HEAD_COUNTS))
    return owner._replace(module=next(inner, owner.module))


def _not_editable(name: str, kind: str) -> CaptureError:
    return CaptureError(
        f"{name} is a module of {_MAKERS[kind]} and cannot be edited: it runs below Python, where its weights can be "
        "seen but not changed. Edit the module that it was made of."
    )
