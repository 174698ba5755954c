"""Copies of what a run is given, so that another run can be given the same."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch


def copied(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return options that a run may change as it likes; models are no options and stay the same.

    What streams the tokens of the first run has no part in another one.
    """
    return {name: _copied(value) for name, value in kwargs.items() if name != "streamer"}


def _copied(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, torch.nn.Module):
        return value
    memo: dict[int, Any] = {id(it): it.detach().clone() for it in _held(value)}  # deepcopy refuses what has a gradient
    try:
        return copy.deepcopy(value, memo)
    except (TypeError, RuntimeError):  # it holds a lock, or something else of which there is one only
        return value


def _held(value: Any, depth: int = 6) -> Iterator[torch.Tensor]:  # noqa: ANN401
    """Yield the tensors of a value, such as a cache."""
    if isinstance(value, torch.Tensor):
        yield value
    elif depth and not isinstance(value, (str, torch.nn.Module)):
        parts = value if isinstance(value, (list, tuple)) else getattr(value, "__dict__", {}).values()
        for part in (*parts, *(value.values() if isinstance(value, Mapping) else ())):
            yield from _held(part, depth - 1)
