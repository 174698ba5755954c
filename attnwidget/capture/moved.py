"""Where the key axis of weights is after a function, and in which order the others are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from attnwidget.capture import functions as names
from attnwidget.capture.axes import tensors

_SAME_AXES = frozenset({"index_select", "narrow", "split", "chunk"})


def keeps_rows(name: str, before: torch.Size, after: torch.Size, dim: int) -> bool:
    """Tell whether a function leaves the keys of each row what they are.

    Args:
        name: of the function.
        before, after: shapes of weights.
        dim: the key axis.
    """
    if name == "linear":
        return dim < len(after) - 1
    if name == "conv2d":
        return len(after) == 4 and dim > 1 and before[2:] == after[2:]
    return before == after


def followed_axis(
    func: Callable[..., object],
    args: Sequence[object],
    kwargs: Mapping[str, object],
    dim: int | None,
    before: torch.Size,
    after: torch.Size,
) -> int | None:
    """Return where an axis is in what a function made of a tensor; None where that is not known.

    Args:
        func, args, kwargs: what was called.
        dim: the axis.
        before, after: shapes of the tensor, which is the first argument where axes are moved, and of the result.
    """
    name = func.__name__
    if dim is None or name in _SAME_AXES:
        return dim
    if name in names.MOVES:
        return _moved_axis(func, args, kwargs, before, dim)
    dim += len(after) - len(before)  # of those that are added in front
    return dim if 0 <= dim < len(after) and after[dim] == before[dim - len(after)] else None


def _moved_axis(
    func: Callable[..., object], args: Sequence[object], kwargs: Mapping[str, object], shape: torch.Size, dim: int
) -> int | None:
    """Return where an axis went when a function moved the axes of its first argument; None where it was lost.

    A tensor without memory is moved likewise, in which that axis alone has a stride.

    Args:
        func: what moves.
        args, kwargs: what it was called with.
        shape: of the first argument.
        dim: its axis.
    """
    if any(isinstance(it, torch.Tensor) for it in tensors(args[1:])):
        return None
    probe = torch.empty(shape[dim], device="meta").as_strided(shape, [int(axis == dim) for axis in range(len(shape))])
    try:
        moved = next(tensors([func(probe, *args[1:], **kwargs)]))
    except (RuntimeError, IndexError, TypeError, ValueError):
        return None
    found = [axis for axis in range(moved.ndim) if moved.stride(axis) and moved.shape[axis] > 1]
    return found[0] if len(found) == 1 else None


def new_order(
    func: Callable[..., object],
    args: Sequence[object],
    kwargs: Mapping[str, object],
    order: tuple[int, ...] | None,
    before: torch.Size,
    after: torch.Size,
) -> tuple[int, ...] | None:
    """Return for each axis of a result which axis of the weights it is; None where axes were made or lost.

    Args:
        func, args, kwargs, before, after: as in `followed_axis`.
        order: the same for the tensor.
    """
    if order is None or len(before) != len(after):
        return None
    if func.__name__ not in names.PERMUTES:
        return order if before == after and func.__name__ not in names.MOVES else None
    strides = [1 << axis for axis in range(len(before))]
    moved = func(torch.empty_strided(before, strides, device="meta"), *args[1:], **kwargs)
    return tuple(order[stride.bit_length() - 1] for stride in next(tensors([moved])).stride())
