"""The modules of a network as plain data, for its diagram."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from attnwidget.architecture import Module
from attnwidget.trace import Trace

if TYPE_CHECKING:
    from attnwidget.capture.modules import RunningModules

_HEADS = ("num_heads", "n_heads", "num_attention_heads", "n_head", "nhead")
_WIDTHS = ("embed_dim", "hidden_size", "d_model", "all_head_size", "inner_dim", "n_embd")


def tell_modules(modules: RunningModules, trace: Trace) -> None:
    """Give a trace the modules that its diagram is made of, unless it has them; what comes next tells its observers."""
    with trace.lock:
        if trace.ledger.network is None:
            ran = {**modules.known, **modules.ran}
            trace.ledger.set_network(tree_of(modules.model, ran, modules.shapes))


def shape_of(inputs: object) -> tuple[int, ...]:
    """Return the shape of the first tensor that a module was called with; () where that cannot be told."""
    with torch._C.DisableTorchFunction(), suppress(Exception):  # nested tensors, and what else hides its shape
        if isinstance(inputs, tuple) and inputs and isinstance(inputs[0], torch.Tensor):
            return tuple(inputs[0].shape)
    return ()


def tree_of(model: nn.Module, ran: Mapping[str, object], shapes: Mapping[str, tuple[int, ...]]) -> Module:
    """Return the modules of a network.

    Args:
        model: the network.
        ran: paths of the modules that ran, in the order of their first call.
        shapes: of what they read then.
    """
    order = {path: i for i, path in enumerate(ran)}
    seen: set[int] = set()

    def of(module: nn.Module, path: str) -> Module:
        children = []
        for name, child in module._modules.items():
            if child is not None and id(child) not in seen:
                seen.add(id(child))
                inner = path if name == "_orig_mod" else f"{path}.{name}" if path else name
                children.append(of(child, inner))
        shape = " × ".join(map(str, shapes.get(path, ())))
        return Module(path, type(module).__name__, detail_of(module), order.get(path, -1), shape, tuple(children))

    return of(model, "")


def detail_of(module: nn.Module) -> str:
    """Return the class of a module with its sizes, where it is known what they are called."""
    name, held = type(module).__name__, vars(module)
    for kind, told in _KINDS:
        if isinstance(module, kind):
            with suppress(AttributeError, TypeError):  # classes that are none of torch's own may lack what these have
                return told(module)
    for heads in _HEADS:
        if type(held.get(heads)) is int and held[heads] > 0:
            n = held[heads]
            width = next((held[width] for width in _WIDTHS if type(held.get(width)) is int and held[width] > 0), 0)
            return f"{name}, {n} head{'s' * (n > 1)}" + (f", {width} wide" if width else "")
    return ""


def _layers(module: nn.RNNBase) -> str:
    kind = ("Bi" if module.bidirectional else "") + module.mode.partition("_")[0]
    layers = f", {module.num_layers} layers" if module.num_layers > 1 else ""
    return f"{kind} {module.input_size} → {module.hidden_size}{layers}"


def _convolution(module: _ConvNd) -> str:
    size = " × ".join(map(str, module.kernel_size))
    return f"{type(module).__name__} {module.in_channels} → {module.out_channels}, {size}"


def _cell(module: nn.RNNCellBase) -> str:
    return f"{type(module).__name__.removesuffix('Cell')} cell {module.input_size} → {module.hidden_size}"


_KINDS: tuple[tuple[type[nn.Module], Callable[[Any], str]], ...] = (
    (nn.Linear, lambda it: f"Linear {it.in_features} → {it.out_features}"),
    (nn.Embedding, lambda it: f"Embedding {it.num_embeddings} × {it.embedding_dim}"),
    (_ConvNd, _convolution),
    (nn.RNNBase, _layers),
    (nn.RNNCellBase, _cell),
)
