"""Where the weights of a site live: as they are, as queries and keys, or cut down to the largest."""

from __future__ import annotations

from attnwidget.outline import StoreKind
from attnwidget.stores.dense import DenseStore
from attnwidget.stores.factors import Factors
from attnwidget.stores.reduced import ReducedStore
from attnwidget.stores.store import Store
from attnwidget.stores.virtual import VirtualStore
from attnwidget.stores.visible import Visible

__all__ = ["STORES", "DenseStore", "Factors", "ReducedStore", "Store", "VirtualStore", "Visible"]

STORES: dict[StoreKind, type[DenseStore] | type[VirtualStore] | type[ReducedStore]] = {
    "dense": DenseStore,
    "qk": VirtualStore,
    "reduced": ReducedStore,
}
