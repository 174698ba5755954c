"""What the numbers of a tensor tell: whether its rows are weights, and whether a factor changes them."""

from __future__ import annotations

import torch

_LARGEST_MASK = 1 << 20  # in which the two numbers of a dropout are looked for
_SUM_TOLERANCE = 2e-2  # what half precision leaves of a sum of 1


def normalised_axis(result: torch.Tensor, divisor: object, *, followed: bool) -> int | None:
    """Return the axis along which a division made everything sum to 1, or None.

    Args:
        result: of the division.
        divisor: what it was divided by.
        followed: whether what was divided is known to be positive; else means over a mask are no weights.
    """
    axis = _divided_axis(result, divisor, followed=followed)
    if axis is None or not sums_to_one(result, axis):
        return None
    return axis if followed or not _is_uniform(result, axis) else None


def share_axis(result: torch.Tensor, divisor: object) -> int | None:
    """Return the axis along which a division made everything sum to less than 1, or None."""
    axis = _divided_axis(result, divisor, followed=False)
    if axis is None or not has_plain_numbers(result):
        return None
    return axis if bool((result.detach().sum(axis) < 1).all()) else None


def _divided_axis(result: torch.Tensor, divisor: object, *, followed: bool) -> int | None:
    if not isinstance(divisor, torch.Tensor) or not result.ndim or result.ndim != divisor.ndim:
        return None
    uneven = [axis for axis in range(result.ndim) if result.shape[axis] != divisor.shape[axis]]
    axes = uneven or [result.ndim - 1] * followed
    return axes[0] if len(axes) == 1 and divisor.shape[axes[0]] == 1 else None


def has_plain_numbers(tensor: torch.Tensor) -> bool:
    """Tell whether numbers of a tensor can be looked at: not on the meta device, in a transform, or nested."""
    inside = torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    hidden = inside or tensor.is_meta or tensor.is_nested or tensor.layout != torch.strided
    return tensor.is_floating_point() and tensor.numel() > 0 and not hidden


def sums_to_one(tensor: torch.Tensor, axis: int) -> bool:
    """Tell whether nothing is negative and everything along an axis sums to 1, or to 0 where all of it is masked."""
    if not has_plain_numbers(tensor):
        return False
    rows = tensor.detach().movedim(axis, -1)
    if not bool(_is_whole(rows[(0,) * (rows.ndim - 1)].sum())):  # most of what is divided ends here
        return False
    sums = rows.sum(-1)
    return bool(_is_whole(sums).all() & (sums != 0).any() & (rows >= 0).all())


def _is_whole(sums: torch.Tensor) -> torch.Tensor:
    return ((sums - 1).abs() < _SUM_TOLERANCE) | (sums == 0)


def _is_uniform(weights: torch.Tensor, axis: int) -> bool:
    """Tell whether all that count in a row count the same, as in a mean."""
    weights = weights.detach()
    largest = weights.amax(axis) * (weights != 0).sum(axis)
    return bool((largest < 1 + _SUM_TOLERANCE).all())


def none_negative(tensor: torch.Tensor) -> bool:
    """Tell whether no number is negative."""
    return has_plain_numbers(tensor) and bool((tensor.detach() >= 0).all())


def changes_rows(other: torch.Tensor, dim: int, weights: torch.Tensor) -> bool:
    """Tell whether a factor makes other weights of weights, key by key, as a window does and a dropout does not."""
    axis = dim - weights.ndim
    if -axis > other.ndim or other.shape[axis] == 1:
        return False  # a scale
    values = torch.unique(other.detach()) if other.numel() <= _LARGEST_MASK else other.new_empty(3)
    return not (len(values) <= 2 and values.is_floating_point() and 0 in values and values.max() > 1)
