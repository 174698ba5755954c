"""What the weights of a store came of, where it has queries and keys."""

from __future__ import annotations

import numpy as np

from attnwidget.stores.dense import DenseStore
from attnwidget.stores.softmax import Softmax, Tile
from attnwidget.stores.store import Store
from attnwidget.stores.virtual import VirtualStore
from attnwidget.stores.visible import Visible
from attnwidget.terms import Terms


def tells(store: Store, query: int) -> bool:
    """Tell whether a store may have the terms of a row, in some head."""
    return store.place_of(query) is not None if isinstance(store, DenseStore) else isinstance(store, VirtualStore)


def terms_of(store: Store, head: int, query: int) -> Terms | None:
    """Return the terms of one row of one head, or None where the store has weights only."""
    if isinstance(store, DenseStore):
        place = store.place_of(query)
        return None if place is None else _of_factors(store.factors, head, place)
    return _of_factors(store, head, query) if isinstance(store, VirtualStore) else None


def _of_factors(store: VirtualStore, head: int, row: int) -> Terms | None:
    arrays, numbers = store.state()
    scale, n_heads = numbers.get("scale"), len(arrays["queries"])
    query = arrays["queries"][head, row : row + 1].astype(np.float32)
    if scale is None or np.isnan(query).all():
        return None
    keys = arrays["keys"][head * len(arrays["keys"]) // n_heads].astype(np.float32)
    softmax = Softmax(scale, numbers.get("softcap"), arrays.get("bias"), arrays.get("sinks"))
    columns, rows = np.arange(len(keys)), np.array([row])
    visible = Visible(*(arrays[name] for name in ("first", "last", "holed", "bits")))
    tile = Tile(head, query, keys, arrays["positions"][rows], columns, ~visible.tile(rows, columns))
    return Terms(
        np.where(tile.hidden, -np.inf, softmax.scores(tile))[None],
        "dot",
        query[None],
        keys[None],
        scale=scale,
        softcap=softmax.softcap,
        bias=None if softmax.bias is None else softmax.added(tile)[None],
        sinks=None if softmax.sinks is None else softmax.sinks[head : head + 1],
    )
