"""The modules of a network as plain data, for its diagram."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from attnwidget.architecture import Module
from attnwidget.capture.modules import RunningModules
from attnwidget.trace import Trace

_HEADS = ("num_heads", "n_heads", "num_attention_heads", "n_head", "nhead")
_WIDTHS = ("embed_dim", "hidden_size", "d_model", "all_head_size", "inner_dim", "n_embd")


def tell_modules(modules: RunningModules, trace: Trace) -> None:
    """Give a trace the modules that its diagram is made of, unless it has them."""
    if trace.ledger.network is None:
        ran = {**modules.known, **modules.ran}
        trace.set_architecture(tree_of(modules.model, ran, modules.shapes))


def tree_of(model: nn.Module, ran: Mapping[str, object], shapes: Mapping[str, torch.Size]) -> Module:
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
    name = type(module).__name__
    if isinstance(module, nn.RNNBase):
        kind = ("Bi" if module.bidirectional else "") + module.mode.partition("_")[0]
        layers = f", {module.num_layers} layers" if module.num_layers > 1 else ""
        return f"{kind} {module.input_size} → {module.hidden_size}{layers}"
    if isinstance(module, nn.RNNCellBase):
        return f"{name.removesuffix('Cell')} cell {module.input_size} → {module.hidden_size}"
    if isinstance(module, nn.Linear):
        return f"Linear {module.in_features} → {module.out_features}"
    if isinstance(module, nn.Embedding):
        return f"Embedding {module.num_embeddings} × {module.embedding_dim}"
    if isinstance(module, nn.modules.conv._ConvNd):
        size = " × ".join(map(str, module.kernel_size))
        return f"{name} {module.in_channels} → {module.out_channels}, {size}"
    heads, width = (_number(module, names) for names in (_HEADS, _WIDTHS))
    if heads:
        return f"{name}, {heads} head{'s' * (heads > 1)}" + (f", {width} wide" if width else "")
    return ""


def _number(module: nn.Module, names: tuple[str, ...]) -> int:
    """Return the first of these attributes that is a whole number; 0 where there is none."""
    held = vars(module)
    return next((held[name] for name in names if type(held.get(name)) is int and held[name] > 0), 0)
