"""Adapter: a softmax whose result flows into a product, whatever the module is called.

This is what attention is when it is written out by hand (Bahdanau et al. 2014, equation 5; Vaswani et al. 2017,
equation 1). The result is followed through dropout, casts and views; it counts once it weighs something: a matrix
product, or a product with a broadcast axis. A softmax over the vocabulary never does, so it is not mistaken for one.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from attnwidget.capture.call import Sink, to_call

_SOFTMAX = {"softmax", "_softmax"}
_DIVIDE = {"div", "__truediv__", "true_divide", "divide", "div_"}
_MATRIX_PRODUCTS = {"matmul", "bmm", "mm", "mv", "__matmul__", "__rmatmul__", "einsum", "baddbmm", "dot", "tensordot"}
_PRODUCTS = {"mul", "__mul__", "__rmul__", "multiply"}
_CARRIES_ON = set(
    "dropout dropout_ alpha_dropout to type type_as float half bfloat16 double contiguous clone view view_as reshape "
    "transpose permute swapaxes movedim squeeze unsqueeze expand flatten unflatten __getitem__ masked_fill masked_fill_ "
    "nan_to_num where t".split()
)
_CARRIES_ON_PROPERTIES = {"T", "mT", "H", "mH"}
# A mixture of experts weighs its experts by a softmax too; that is routing, not attention.
_ROUTER = re.compile(r"(router|gating|(^|[._])gate|experts?|moe)($|[._\d])", re.IGNORECASE)


@dataclass
class _Origin:
    """A softmax result, until it is known whether it weighs anything."""

    weights: Callable[[], torch.Tensor | None]
    dim: int
    path: str
    module: torch.nn.Module | None
    logarithm: bool = False
    taken: bool = False


class SoftmaxRoute(TorchFunctionMode):
    """Sees every torch function in this thread while it is entered.

    Args:
        sink: where calls go.
    """

    name = "softmax"

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink
        # Keyed by id and held by weak reference, so that no tensor lives longer because it is followed. A tensor that
        # was derived keeps its softmax alive, which the product needs.
        self._followed: dict[int, tuple[weakref.ref[torch.Tensor], _Origin, torch.Tensor | None]] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Run the function as it would have run, and look at what went in and came out."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name == "__get__":  # a property such as x.mT
            owner = getattr(func, "__self__", None)
            name = "transpose" if getattr(owner, "__name__", "") in _CARRIES_ON_PROPERTIES else ""
        if isinstance(result, torch.Tensor):
            with torch._C.DisableTorchFunction():
                self._look(name, result, args, kwargs)
        return result

    def forget(self, tensor: torch.Tensor) -> None:
        """Stop following a tensor, because another adapter has claimed it."""
        found = self._find(tensor)
        if found is not None:
            found.taken = True

    def _look(self, name: str, result: torch.Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if name in _SOFTMAX or name == "log_softmax":
            dim = kwargs.get("dim", args[1] if len(args) > 1 else -1)
            self._begin(result, dim if isinstance(dim, int) else -1, logarithm=name == "log_softmax")
        elif name in _DIVIDE and _divides_by_sum(result, args):
            self._begin(result, -1)
        elif not self._followed:
            return
        elif name in _MATRIX_PRODUCTS or name in _PRODUCTS:
            self._weigh(name, result, list(_tensors(args)) + list(_tensors(kwargs.values())))
        elif name == "exp":
            origin = self._find(args[0])
            if origin is not None and origin.logarithm:
                self._begin(result, origin.dim)
        elif name in _CARRIES_ON:
            for tensor in _tensors(args[:3]):
                origin = self._find(tensor)
                if origin is not None:
                    self._follow(result, origin)
                    return

    def _begin(self, result: torch.Tensor, dim: int, *, logarithm: bool = False) -> None:
        path, module = self._sink.owner()
        origin = _Origin(weakref.ref(result), dim % max(result.ndim, 1), path, module, logarithm)
        key = id(result)
        reference = weakref.ref(result, lambda _: self._followed.pop(key, None))
        self._followed[key] = (reference, origin, None)

    def _follow(self, result: torch.Tensor, origin: _Origin) -> None:
        key, weights = id(result), origin.weights()
        if result is not weights:
            reference = weakref.ref(result, lambda _: self._followed.pop(key, None))
            self._followed[key] = (reference, origin, weights)

    def _find(self, tensor: object) -> _Origin | None:
        entry = self._followed.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def _weigh(self, name: str, result: torch.Tensor, operands: list[torch.Tensor]) -> None:
        for index, operand in enumerate(operands):
            origin = self._find(operand)
            if origin is None or origin.taken or origin.logarithm:
                continue
            others = [other for i, other in enumerate(operands) if i != index]
            if name in _PRODUCTS and not any(_spreads(operand, other) for other in others):
                self._follow(result, origin)  # a mask or a scale: still weights
            elif others and not (_ROUTER.search(origin.path) or _is_router(origin.module)):
                self._take(origin, batched=not all(other.ndim <= 2 for other in others) or name in _PRODUCTS)
            return

    def _take(self, origin: _Origin, *, batched: bool) -> None:
        weights = origin.weights()
        if weights is not None:
            origin.taken = True
            last = weights.detach().movedim(origin.dim, -1)
            self._sink.take(to_call(last, path=origin.path, module=origin.module, route=self.name, batched=batched))


def _tensors(values: Iterable[object]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _divides_by_sum(result: torch.Tensor, args: tuple[Any, ...]) -> bool:
    """Tell whether something was divided by its sum: softmax by hand, or normalised ReLU."""
    if len(args) < 2 or not isinstance(args[1], torch.Tensor) or result.ndim < 2 or not result.is_floating_point():
        return False
    if args[1].ndim != result.ndim or args[1].shape[-1] != 1 or result.shape[-1] == 1 or not result.numel():
        return False
    values = result.detach()
    return bool((values >= 0).all()) and bool(((values.sum(-1) - 1).abs() < 1e-3).all())


def _spreads(weights: torch.Tensor, other: torch.Tensor) -> bool:
    """Tell whether each weight multiplies several values: an axis is 1 in the weights and longer in the other."""
    pairs = zip(reversed(weights.shape), reversed(other.shape), strict=False)
    return other.ndim <= weights.ndim and any(mine == 1 and theirs > 1 for mine, theirs in pairs)


def _is_router(module: torch.nn.Module | None) -> bool:
    return module is not None and bool(re.search(r"router|gating|moe", type(module).__name__, re.IGNORECASE))
