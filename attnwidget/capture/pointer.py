"""Adapter: a pointer, whose weights are what it returns (Vinyals et al. 2015, arXiv 1506.03134, equation 3).

They weigh nothing, so that no product shows them; a module whose class says that it is a pointer does. What a
pointer-generator returns is of its vocabulary (See et al. 2017, arXiv 1704.04368); its attention weighs something.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch

from attnwidget.capture.adapter import Adapter, Sink
from attnwidget.capture.axes import tensors
from attnwidget.capture.call import to_call

_POINTER = re.compile(r"pointer(?!.*gen)|ptr_?net", re.IGNORECASE)
_SUM_TOLERANCE = 2e-2  # what half precision leaves of a sum of 1


class PointerAdapter(Adapter):
    """Takes what pointers return: weights, or their logarithms."""

    name = "pointer"

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self._found: list[bool] = []  # of each pointer that runs, whether one inside it has given weights
        self._claimed: dict[int, weakref.ref[torch.Tensor]] = {}  # by other adapters, by id

    @property
    def is_concerned(self) -> bool:
        """Whether there are pointers."""
        return bool(self._pointers())

    def _pointers(self) -> list[torch.nn.Module]:
        kinds = self.sink.inventory.by_class.items()
        return list(chain.from_iterable(them for kind, them in kinds if _POINTER.search(kind.__name__)))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Have hooks on pointers inside the block."""
        handles = []
        try:
            for module in self._pointers():
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

    def forget(self, tensor: torch.Tensor) -> None:
        """Leave weights to the adapter that has them, as those of an attention layer that a pointer hands on."""
        key = id(tensor)
        self._claimed[key] = weakref.ref(tensor, lambda _: self._claimed.pop(key, None))

    def _begin(self, *_: object) -> None:
        self._found.append(False)

    def _end(self, module: torch.nn.Module, _: object, output: object) -> object:
        """Take the weights among what is returned; return it edited, or None where it stays as it is."""
        found_inside = self._found.pop()
        with self.sink.unstopped, torch._C.DisableTorchFunction(), self.sink.muted():
            free = filter(self._is_free, tensors([output]))
            weights = None if found_inside else next(filter(_is_normalised, free), None)
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
        return None

    def _is_free(self, tensor: torch.Tensor) -> bool:
        claimed = self._claimed.get(id(tensor))
        return claimed is None or claimed() is not tensor


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
