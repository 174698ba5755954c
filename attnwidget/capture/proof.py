"""Models of which a whole pass has shown that all their attention comes by the interface of Transformers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch


class Proof(NamedTuple):
    """What such a pass has shown.

    Args:
        signature: of the inventory; another one makes it stale.
        ran: classes of the modules that ran, by path.
        alike: for each of these paths the first of those that read alike, as a layer reads what the first of them read.
        concerned: names of the adapters that have something to watch in the model.
    """

    signature: object
    ran: dict[str, str]
    alike: dict[str, str]
    concerned: frozenset[str]


def first_alike(ran: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Return for each path the first one of the same class and name, but for numbers, that read the same shape."""
    first: dict[tuple[object, ...], str] = {}
    return {
        path: first.setdefault((re.sub(r"\d+", "", path), cls, shapes.get(path)), path) for path, cls in ran.items()
    }


proven: WeakKeyDictionary[torch.nn.Module, Proof] = WeakKeyDictionary()
