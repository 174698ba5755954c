"""torch's fast paths stay open while a recording is: a mode that only looks on is no reason against them.

`nn.MultiheadAttention` and `nn.TransformerEncoder(Layer)` have one kernel for inference. They leave it where any
torch-function mode is entered, and their outputs then differ in the last bits, or in padded positions.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode

_LAYERS = ("torch.nn.modules.activation", "torch.nn.modules.transformer")
_lock = threading.Lock()
_n_users = 0
_original = torch.overrides.has_torch_function


@contextmanager
def kept_open(mode: type[TorchFunctionMode]) -> Iterator[None]:
    """Have the layers of torch.nn choose their path inside the block as if no mode of this type were entered."""

    def has_torch_function(arguments: Iterable[object]) -> bool:
        asks = sys._getframe(1).f_globals.get("__name__")
        if asks in _LAYERS and torch._C._len_torch_function_stack() == 1:
            own = torch.overrides._pop_mode()  # type: ignore[no-untyped-call]
            try:
                if isinstance(own, mode):
                    return _original(arguments)
            finally:
                torch.overrides._push_mode(own)  # type: ignore[no-untyped-call]
        return _original(arguments)

    _patch(+1, has_torch_function)
    try:
        yield
    finally:
        _patch(-1, has_torch_function)


def _patch(change: int, replacement: Callable[[Iterable[object]], bool]) -> None:
    """Put the replacement in for the first user, and take it out after the last one in any thread."""
    global _n_users, _original
    with _lock:
        _n_users += change
        if change == _n_users == 1:
            _original = torch.overrides.has_torch_function
            torch.overrides.has_torch_function = replacement  # type: ignore[assignment]
        elif not _n_users:
            torch.overrides.has_torch_function = _original
