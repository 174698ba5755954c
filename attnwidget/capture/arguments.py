"""What torch functions are called with: tensors by name or by place, and cells that read a single token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

# Names of the first arguments of torch's functions, in the order in which any of them takes these.
_TENSORS = ("condition", "input", "tensors", "other", "mat2")
RECURRENT = frozenset(f"{cell}{suffix}" for cell in ("gru", "lstm", "rnn_tanh", "rnn_relu") for suffix in ("", "_cell"))


def in_order(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments with tensors in their places that came by name; a function takes them either way."""
    for name in _TENSORS:
        if name in kwargs:
            args, kwargs = (*args, kwargs[name]), {key: it for key, it in kwargs.items() if key != name}
    return args, kwargs


def reads_one(name: str, args: Sequence[Any]) -> bool:
    """Tell whether a recurrent cell reads one token, as a decoder does at each step, and not a whole sequence."""
    if name.endswith("_cell") or len(args) < 2:
        return True
    first, sizes = args[:2]
    if isinstance(sizes, torch.Tensor) and sizes.ndim == 1:  # of a packed sequence
        return len(sizes) == 1
    return bool(first.shape[1 if args[-1] is True else 0] == 1)
