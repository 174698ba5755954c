"""Adapter: a mask over an image, a sigmoid that multiplies features (Wang et al. 2017, arXiv 1704.06904, equation 3).

Soft masks of this kind are the attention of many networks for images, also where each pixel of a feature map is gated
once for all channels (Woo et al. 2018, arXiv 1807.06521). Gates are everywhere in networks that attend to nothing, so a
mask counts only if it has rows and columns, multiplies numbers that have the same ones and do not gate themselves, and
is made in a module whose class or name, or that of one around it, speaks of attention or of a mask. That module must
hold a convolution of images: gated heads of text, [batch, head, query, d_head], have four axes too.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn.modules.conv import _ConvNd

from attnwidget.capture.adapter import Adapter, Sink, TorchFunction
from attnwidget.capture.attention import Weights, has_numbers
from attnwidget.capture.axes import tensors
from attnwidget.capture.call import Call

_STARTS = frozenset({"sigmoid", "sigmoid_"})
_SUMS = frozenset({"add", "__add__", "__radd__"})
_PRODUCTS = frozenset({"mul", "__mul__", "__rmul__", "multiply", "mul_", "__imul__"})
_RESIZES = frozenset({"expand", "expand_as", "interpolate", "upsample", "repeat", "repeat_interleave"})
_SPEAKS = re.compile(r"att(entio)?n|mask", re.IGNORECASE)
_ROUNDING = 8  # by how many units in the last place of 1 a sigmoid may be out of order
_NOTE = "{} is a mask: each weight is between 0 and 1 on its own, so that rows need not sum to 1."


@dataclass
class _Mask:
    """A mask, or a mask to which a number was added."""

    tensor: weakref.ref[torch.Tensor]  # what multiplies
    weights: torch.Tensor  # [batch, channel, row, column], from 0 to 1
    logits: weakref.ref[torch.Tensor]  # what went into the sigmoid
    is_half: bool  # whether that was one of two halves of a tensor
    module: str
    taken: bool = False


class GateAdapter(Adapter):
    """Follows sigmoids of images until they multiply something."""

    name = "gate"
    shares = True
    functions = _STARTS | _SUMS | _PRODUCTS | _RESIZES

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self._followed: dict[int, _Mask] = {}  # by id of the tensor

    def run(self, func: TorchFunction, args: Sequence[object], kwargs: Mapping[str, object]) -> object:
        """Run the function, and look at what went in and came out."""
        name = func.__name__
        if name in _PRODUCTS and self._followed:
            with torch._C.DisableTorchFunction():
                args = self._multiply(args)
        result = func(*args, **kwargs)
        if isinstance(result, torch.Tensor) and (name in _STARTS or self._followed) and args:
            with torch._C.DisableTorchFunction():
                if name in _STARTS:
                    self._begin(args[0], result)
                elif name in _SUMS or name in _RESIZES:
                    self._carry(name, args, result)
        return result

    def forget(self, tensor: torch.Tensor) -> None:
        """Stop following a tensor."""
        self._followed.pop(id(tensor), None)

    def _begin(self, logits: object, result: torch.Tensor) -> None:
        if result.ndim != 4 or 1 in result.shape[2:] or not isinstance(logits, torch.Tensor):
            return
        owner = self.sink.owner()
        module = None if owner is None else _speaking(self.sink.model, owner.path)
        if module is not None:
            mask = _Mask(weakref.ref(result), result.detach(), weakref.ref(logits), _is_half(logits), module)
            self._keep(result, mask)

    def _carry(self, name: str, args: Sequence[object], result: torch.Tensor) -> None:
        for tensor in tensors(args[:2]):
            found = self._find(tensor)
            if found is not None and not found.taken:
                resized = name in _RESIZES and result.shape[2:] != found.weights.shape[2:]
                plain = found.weights is tensor or torch.equal(found.weights, tensor.detach())
                if resized and not plain:
                    return
                weights = result.detach() if resized else found.weights
                self._keep(result, replace(found, weights=weights))
                return

    def _multiply(self, args: Sequence[object]) -> Sequence[object]:
        """Take a mask that is about to multiply something; return the arguments, with an edited mask in its place."""
        both = [it for it in args[:2] if isinstance(it, torch.Tensor)]
        for tensor, other in zip(both, reversed(both), strict=True):
            found = self._find(tensor)
            if len(both) < 2 or found is None or found.taken:
                continue
            fits = other.ndim == 4 and other.shape[2:] == found.weights.shape[2:] and other.dtype != torch.bool
            if not fits or self._find(other) is not None or _is_activation(found, other):
                continue
            found.taken = True
            weights = found.weights.flatten(2).unsqueeze(2)  # [batch, channel, 1, pixel]
            name = found.module or type(self.sink.model).__name__
            call = Call(found.module, self.name, Weights(weights), _NOTE.format(name), cross=True, gate=True)
            edited = self.sink.edited(call)
            self.sink.take(edited or call)
            if edited is not None:
                change = edited.attention.weights().to(tensor.dtype).reshape(found.weights.shape) - found.weights
                return [tensor + change if it is tensor else it for it in args]
        return args

    def _keep(self, tensor: torch.Tensor, mask: _Mask) -> None:
        key = id(tensor)
        mask.tensor = weakref.ref(tensor, lambda _: self._followed.pop(key, None))
        self._followed[key] = mask

    def _find(self, tensor: torch.Tensor) -> _Mask | None:
        found = self._followed.get(id(tensor))
        return found if found is not None and found.tensor() is tensor else None


def _is_half(logits: torch.Tensor) -> bool:
    return logits.is_floating_point() and logits.untyped_storage().nbytes() == 2 * logits.nbytes


def _is_activation(mask: _Mask, other: torch.Tensor) -> bool:
    """Tell whether features gate themselves, each number by itself, as in SiLU and quick GELU, or by halves, as in GLU.

    In the first, what gates rises or falls with what is gated, in each channel.
    """
    if mask.logits() is other:
        return True
    if other.shape != mask.weights.shape or not has_numbers(Weights(mask.weights)):
        return False
    order = other.detach().flatten(2).argsort(-1)
    ordered = mask.weights.flatten(2).gather(-1, order).float()  # [batch, channel, pixel]
    rounding = _ROUNDING * torch.finfo(mask.weights.dtype).eps
    rises = (ordered - ordered.cummin(-1).values > rounding).any(-1)  # in all, where each step is less than rounding
    falls = (ordered.cummax(-1).values - ordered > rounding).any(-1)
    return mask.is_half or bool((rises | falls).any() and not (rises & falls).any())


def _speaking(model: torch.nn.Module, path: str) -> str | None:
    """Return the innermost module of a path that speaks of attention or of a mask; None if it has no images."""
    while True:
        module = model.get_submodule(path)
        if _SPEAKS.search(type(module).__name__) or _SPEAKS.search(path.rpartition(".")[2]):
            return (
                path if any(isinstance(it, _ConvNd) and len(it.kernel_size) == 2 for it in module.modules()) else None
            )
        if not path:
            return None
        path = path.rpartition(".")[0]
