"""The modules of a network as plain data, for its diagram."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from attnwidget.architecture import Module
from attnwidget.trace import Trace

if TYPE_CHECKING:
    from attnwidget.capture.modules import RunningModules

_HEADS = ("num_heads", "n_heads", "num_attention_heads", "n_head", "nhead")
_WIDTHS = ("embed_dim", "hidden_size", "d_model", "all_head_size", "inner_dim", "n_embd")
_SIZES = frozenset((*_HEADS, *_WIDTHS))


def tell_modules(modules: RunningModules, trace: Trace) -> None:
    """Give a trace the modules that its diagram is made of, unless it has them; what comes next tells its observers."""
    with trace.lock:
        if trace.ledger.network is None:
            found = read_modules(modules.inventory.by_path)
            ran = {**modules.known, **modules.ran}
            trace.ledger.set_network(partial(tree_of, found, ran, modules.gave, modules.shapes, modules.alike))


def shape_of(inputs: object) -> tuple[int, ...]:
    """Return the shape of the first tensor that a module was called with; () where that cannot be told."""
    with torch._C.DisableTorchFunction(), suppress(Exception):  # nested tensors, and what else hides its shape
        if isinstance(inputs, tuple) and inputs and isinstance(inputs[0], torch.Tensor):
            return tuple(inputs[0].shape)
    return ()


class Sizes(NamedTuple):
    """What can be told of a module, read while it lives, in a form that takes least time; words are made of it later.

    Args:
        path: as `named_modules` gives it.
        class_name: the name of its class.
        kind: which of `_KINDS` it is; -1 for none of them.
        values: what that reads of it; else the variables that may be its sizes.
    """

    path: str
    class_name: str
    kind: int
    values: Any


def read_modules(modules: Mapping[str, nn.Module]) -> list[Sizes]:
    """Read modules, those that are part of another behind it; nothing that is returned holds a module."""
    kinds: dict[type[nn.Module], int] = {}
    found = []
    for path, module in modules.items():
        cls, held, values = type(module), module.__dict__, None
        kind = kinds.get(cls)
        if kind is None:
            kind = kinds[cls] = next((i for i, (base, _, _) in enumerate(_KINDS) if issubclass(cls, base)), -1)
        if kind >= 0:
            try:
                values = _KINDS[kind][1](module)
            except AttributeError:  # classes that are none of torch's own may lack what these have
                kind = -1
        if kind < 0 and not held.keys().isdisjoint(_SIZES):
            values = {name: held[name] for name in _SIZES if type(held.get(name)) is int and held[name] > 0}
        found.append(Sizes(path, cls.__name__, kind, values))
    return found


def tree_of(
    modules: Sequence[Sizes],
    ran: Mapping[str, object],
    gave: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
    alike: Mapping[str, str],
) -> Module:
    """Return the modules of a network.

    Args:
        modules: what was read of them, that of the network itself first.
        ran: paths of the modules that ran, in the order of their first call.
        gave: for the path of a module that attended that of the one which was called last before.
        shapes: of what modules read when they were first called.
        alike: for a path the one whose shape stands for it too.
    """
    order = {path: i for i, path in enumerate(ran)}
    parts: dict[str, list[Module]] = {}  # by the path of what they are part of
    for sizes in reversed(modules):  # parts come before what they are part of
        path = ".".join(name for name in sizes.path.split(".") if name != "_orig_mod")
        shape = " × ".join(map(str, shapes.get(alike.get(path, path), ())))
        own = tuple(reversed(parts.pop(sizes.path, ())))
        attends = order.get(gave[path], -1) if path in gave else -1
        told = Module(path, sizes.class_name, _detail_of(sizes), order.get(path, -1), shape, own, attends)
        parts.setdefault(sizes.path.rpartition(".")[0], []).append(told)
    return told


def _detail_of(sizes: Sizes) -> str:
    """Return the class of a module with its sizes, where it is known what they are called."""
    if sizes.kind >= 0:
        return _KINDS[sizes.kind][2](sizes.class_name, *sizes.values)
    held = sizes.values or {}
    n = next((held[name] for name in _HEADS if name in held), 0)
    width = next((held[name] for name in _WIDTHS if name in held), 0)
    if not n:
        return ""
    return f"{sizes.class_name}, {n} head{'s' * (n > 1)}" + (f", {width} wide" if width else "")


def _layers(_: str, mode: object, n_in: int, n_out: int, n_layers: object, both_ways: object) -> str:
    kind = ("Bi" if both_ways else "") + str(mode).partition("_")[0]
    return f"{kind} {n_in} → {n_out}" + (f", {n_layers} layers" if n_layers != 1 else "")


def _convolution(name: str, n_in: int, n_out: int, kernel: object) -> str:
    return f"{name} {n_in} → {n_out}, {' × '.join(map(str, kernel if isinstance(kernel, tuple) else (kernel,)))}"


def _cell(name: str, n_in: int, n_out: int) -> str:
    return f"{name.removesuffix('Cell')} cell {n_in} → {n_out}"


_KINDS: tuple[tuple[type[nn.Module], Callable[[nn.Module], Any], Callable[..., str]], ...] = (
    (nn.Linear, attrgetter("in_features", "out_features"), lambda _, n_in, n_out: f"Linear {n_in} → {n_out}"),
    (nn.Embedding, attrgetter("num_embeddings", "embedding_dim"), lambda _, n, width: f"Embedding {n} × {width}"),
    (_ConvNd, attrgetter("in_channels", "out_channels", "kernel_size"), _convolution),
    (nn.RNNBase, attrgetter("mode", "input_size", "hidden_size", "num_layers", "bidirectional"), _layers),
    (nn.RNNCellBase, attrgetter("input_size", "hidden_size"), _cell),
)
