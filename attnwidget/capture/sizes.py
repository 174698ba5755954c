"""How weights are kept: exactly while that is small, as queries and keys while those say it all, else reduced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

from attnwidget.capture.attention import DotProduct
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.pieces import Rows
from attnwidget.outline import StoreKind

StoreChoice = Literal["auto", "dense", "qk", "reduced"]

DENSE_BYTES = 256 << 20  # of all layers together
EXPECTED_STEPS = 256  # rows of a decode loop, whose length nobody knows


class Sizer:
    """Chooses a store for each site, and says so once where it is not the plain one.

    Args:
        choice: what the user asked for.
        kinds: classes of the model's modules by path, which tell how many layers there will be.
        n_layers: how many its configuration says, where they do not.
    """

    def __init__(
        self, choice: StoreChoice, kinds: Mapping[str, type] = MappingProxyType({}), n_layers: int = 1
    ) -> None:
        if choice not in get_args(StoreChoice):
            raise ValueError(
                f"store: {choice!r} came, one of {', '.join(map(repr, get_args(StoreChoice)))} was expected."
            )
        self.choice = choice
        self._kinds, self._n_layers = kinds, n_layers
        self.note = ""

    @property
    def settled(self) -> StoreChoice:
        """What is chosen where all is settled without a look at what comes."""
        return "dense" if self.choice == "auto" else self.choice

    def is_settled(self, name: str, rows: Rows) -> bool:
        """Tell whether `settled` is what `choose` chooses for all rows of a site that come of queries and keys."""
        if self.choice == "auto":
            return self._n_dense(name, rows.n_heads, rows.n_queries, rows.n_keys)[0] <= DENSE_BYTES
        return self.choice != "reduced"

    def choose(
        self, name: str, rows: Rows, has_factors: Callable[[], bool], *, n_heads: int, n_queries: int, n_keys: int
    ) -> StoreKind:
        """Choose a store for a site.

        Args:
            name: the module that attends.
            rows: its rows so far.
            has_factors: tells whether queries and keys say it all.
            n_heads: how many heads all ranks have.
            n_queries: how many rows there may be in the end.
            n_keys: how many keys.

        Raises:
            CaptureError: queries and keys are asked for where a model does not have them.
        """
        if self.choice == "qk" and not has_factors():
            raise CaptureError(
                f"{name}: store='qk' was asked for, but its weights do not come of queries and keys alone. "
                "Use store='auto', 'dense' or 'reduced'."
            )
        n_bytes, n_layers = self._n_dense(name, n_heads, n_queries, n_keys)
        kind: StoreKind = "dense"
        if self.choice != "auto":
            kind = self.choice
        elif n_bytes > DENSE_BYTES:
            kind = "qk" if has_factors() else "reduced"
            n_parts = n_heads // rows.n_heads
            self._tell(kind, n_bytes, rows, n_layers * n_parts, n_queries=n_queries, n_keys=n_keys)
        return kind

    def _tell(self, kind: StoreKind, n_dense: int, rows: Rows, n_layers: int, *, n_queries: int, n_keys: int) -> None:
        product = rows.parts[0][0].attention
        if kind == "qk" and isinstance(product, DotProduct):
            per_token = product.query.shape[1] * n_queries + product.key.shape[1] * n_keys
            size = size_text(n_layers * per_token * product.query.shape[3] * product.query.element_size())
            what = f"keeping queries and keys ({size}), from which they are computed when they are looked at"
        else:
            what = "keeping the largest of each row, column sums and an overview"
        self.note = f'Dense attention would take {size_text(n_dense)}; {what}. Pass store="dense" to override.'

    def _n_dense(self, name: str, n_heads: int, n_queries: int, n_keys: int) -> tuple[int, int]:
        """Return how many bytes the weights of all layers like a site would take, and how many these are."""
        own = self._kinds.get(name.partition("#")[0])
        n_alike = sum(kind is own for kind in self._kinds.values()) if own is not None else 1
        n_layers = n_alike if n_alike > 1 else self._n_layers
        return n_layers * n_heads * n_queries * n_keys * 4, n_layers


def size_text(n_bytes: int) -> str:
    """Return a size as people say it, as in "2.0 GiB"."""
    size = float(n_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
