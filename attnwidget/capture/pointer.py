"""Adapter: a pointer, whose weights are what it returns (Vinyals et al. 2015, arXiv 1506.03134, equation 3).

They weigh nothing, so that no product shows them; a module whose class says that it is a pointer does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from attnwidget.capture.adapter import Adapter, Sink
from attnwidget.capture.axes import tensors
from attnwidget.capture.call import to_call

_POINTER = re.compile(r"pointer|ptr_?net", re.IGNORECASE)
_SUM_TOLERANCE = 2e-2  # what half precision leaves of a sum of 1


class PointerAdapter(Adapter):
    """Takes what pointers return: weights, or their logarithms."""

    name = "pointer"

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self._found: list[bool] = []  # of each pointer that runs, whether one inside it has given weights

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Have hooks on pointers inside the block."""
        handles = []
        try:
            for module in self.sink.model.modules():
                if _POINTER.search(type(module).__name__):
                    handles += [
                        module.register_forward_pre_hook(self._begin),
                        module.register_forward_hook(self._end, prepend=True, always_call=True),
                    ]
            yield
        finally:
            for handle in handles:
                handle.remove()

    def __deepcopy__(self, _: object) -> PointerAdapter:
        return self  # a copy of the model, made meanwhile, copies its hooks too

    def _begin(self, *_: object) -> None:
        self._found.append(False)

    def _end(self, module: torch.nn.Module, _: object, output: object) -> object:
        """Take the weights among what is returned; return it edited, or None where it stays as it is."""
        found_inside = self._found.pop()
        with torch._C.DisableTorchFunction(), self.sink.muted():
            weights = None if found_inside else next(filter(_is_normalised, tensors([output])), None)
            if self._found:
                self._found[-1] |= found_inside or weights is not None
            owner = self.sink.owner(module)
            if weights is None or owner is None:
                return None
            is_logarithm = bool((weights <= 0).all())
            shown = weights.detach().exp() if is_logarithm else weights.detach()
            self.sink.claim(weights, by=self)
            call = to_call(shown, owner=owner, route=self.name)
            edited = self.sink.edited(call)
            self.sink.take(edited or call)
            if edited is None:
                return None
            new = edited.attention.weights().to(weights.dtype).reshape(weights.shape)
            return _swapped(output, weights, new.log() if is_logarithm else new)


def _is_normalised(tensor: torch.Tensor) -> bool:
    """Tell whether the last axis holds probabilities, or their logarithms."""
    if not tensor.is_floating_point() or not tensor.ndim or not tensor.numel() or tensor.is_meta:
        return False
    numbers = tensor.detach().float()
    numbers = numbers.exp() if bool((numbers <= 0).all()) else numbers
    misses = (numbers.sum(-1) - 1).abs()
    return bool((numbers >= 0).all() and (misses < _SUM_TOLERANCE).all())


def _swapped(output: object, old: torch.Tensor, new: torch.Tensor) -> object:
    if output is old:
        return new
    if isinstance(output, tuple):
        parts, make = [_swapped(part, old, new) for part in output], getattr(output, "_make", tuple)
        return make(parts)
    return [_swapped(part, old, new) for part in output] if isinstance(output, list) else output
