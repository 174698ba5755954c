"""What every store can do, and what they share: buffers that grow, choices of rows, work in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from attnwidget.outline import StoreKind

if TYPE_CHECKING:
    from attnwidget.stores.stack import Stack

BLOCK_CELLS = 1 << 20  # weights that are worked on at once, so that T x T is never made


class Store(Protocol):
    """Weights of one site, [head, query, key], growing along query and key.

    `kind` names the way they are kept, `exact` says whether what is read is what the model had. Keys that a row did not
    see, because they came later, are 0. `grows` says along which axis arrays of its `state` grow, while what is there
    stays.
    """

    n_heads: int
    n_queries: int
    n_keys: int
    grows: ClassVar[Mapping[str, int]]

    @property
    def kind(self) -> StoreKind:
        """How the weights are kept."""

    @property
    def exact(self) -> bool:
        """Whether `read` gives the weights of the model, not some of them."""

    @property
    def n_rewritten(self) -> int:
        """How often what `grows` was written over, where it was there already."""

    @property
    def n_bytes(self) -> int:
        """Bytes held."""

    def append(self, rows: Any) -> None:  # noqa: ANN401 - each store takes its own
        """Add rows: float32 [head, query, key], or `Factors` where kind is "qk". Fewer keys are filled up with 0."""

    def append_missing(self, n_rows: int, n_keys: int) -> None:
        """Add rows of NaN over the first `n_keys` keys."""

    def read(
        self,
        queries: slice | np.ndarray = slice(None),
        keys: slice | np.ndarray = slice(None),
        *,
        heads: slice | int = slice(None),
    ) -> np.ndarray:
        """Return a copy of the chosen weights, float32 [head, query, key], without the first axis for one head.

        Raises:
            IndexError: no such head, query or key.
        """

    def column_sums(self, heads: slice | int = slice(None)) -> np.ndarray:
        """Return the sum over queries, float32 [head, key], [key] for one head; what is not finite counts as 0.

        Raises:
            IndexError: no such head.
        """

    def state(self, *, computed: bool = True) -> tuple[Mapping[str, np.ndarray | Stack], Mapping[str, float | None]]:
        """Return arrays, which are not copied, and numbers of which `restored` makes an equal store.

        Args:
            computed: whether weights that follow from others of its arrays must be there too, as they were rounded.
        """

    def overview(self, head: int | None, size: int = 256) -> tuple[np.ndarray, int]:
        """Return the largest weight of each square of weights, and the side of these squares.

        Args:
            head: one head, or None for the mean over heads.
            size: how many squares there may be along an axis.

        Returns:
            float32 [query // side, key // side], rounded up, and the side, a power of 2: the smallest one for which
            the squares are no more than `size`, or a larger one where the store has no more detail.

        Raises:
            IndexError: no such head.
        """


def held(arrays: Mapping[str, np.ndarray], name: str, dtypes: str, *shape: int | None) -> np.ndarray:
    """Return one of the arrays of a store that was saved.

    Args:
        arrays: what was saved.
        name: which of them.
        dtypes: what it may hold, as numpy names it, separated by spaces.
        shape: its shape, None where any number will do.

    Raises:
        ValueError: it is not there, or has another shape or type.
    """
    array = arrays.get(name)
    if (
        array is None
        or array.dtype.str not in dtypes.split()
        or array.ndim != len(shape)
        or any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True))
    ):
        raise ValueError(f"its {name} have another shape or type than it says")
    return array


def chosen_heads(heads: slice | int, n_heads: int) -> np.ndarray:
    """Return the indices of the chosen heads.

    Raises:
        IndexError: no such head.
    """
    if not isinstance(heads, slice) and heads not in range(-n_heads, n_heads):
        raise IndexError(f"head {heads!r} was asked for, the site has {n_heads} heads, counted from 0.")
    return np.atleast_1d(np.arange(n_heads)[heads])


def owned(array: np.ndarray) -> np.ndarray:
    """Return an array that nobody else writes into: itself where it is read-only, else a copy."""
    return array.copy() if array.flags.writeable else array


def roomy(buffer: np.ndarray, *shape: int, dtype: np.dtype[Any] | None = None) -> np.ndarray:
    """Return a buffer of at least this shape with the same content, and zeros behind; axes that grow at least double.

    Args:
        buffer: what there is; returned as it is where it has room and is not read-only.
        shape: what is needed, one number for each axis.
        dtype: what the numbers must fit into, if not only the buffer's own.
    """
    dtype = buffer.dtype if dtype is None else np.result_type(buffer.dtype, dtype)
    has_room = all(have >= need for have, need in zip(buffer.shape, shape, strict=True))
    if has_room and dtype == buffer.dtype and buffer.flags.writeable:
        return buffer
    room = [have if have >= need else max(need, 2 * have) for have, need in zip(buffer.shape, shape, strict=True)]
    grown = np.zeros(room, dtype)
    grown[tuple(slice(n) for n in buffer.shape)] = buffer
    return grown


def blocks(n_rows: int, n_columns: int, at_once: int = BLOCK_CELLS) -> Iterator[slice]:
    """Yield slices of rows, in order, with at most `at_once` cells each, and one row at least."""
    height = max(1, at_once // max(n_columns, 1))
    for start in range(0, n_rows, height):
        yield slice(start, min(start + height, n_rows))
