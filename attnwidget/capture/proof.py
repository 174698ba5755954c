"""Models of which a whole pass has shown that all their attention comes by the interface of Transformers."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch


class Proof(NamedTuple):
    """What such a pass has shown.

    Args:
        signature: of the inventory; another one makes it stale.
        ran: classes of the modules that ran, by path.
        concerned: names of the adapters that have something to watch in the model.
    """

    signature: object
    ran: dict[str, str]
    concerned: frozenset[str]


proven: WeakKeyDictionary[torch.nn.Module, Proof] = WeakKeyDictionary()
