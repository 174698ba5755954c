"""What weights follow from: queries, keys, and what stands between their product and the softmax."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attnwidget.stores.visible import Visible

_HELD = (np.dtype(np.float16), np.dtype(np.float32))


@dataclass(frozen=True, eq=False)
class Factors:
    """Rows of weights as queries and keys: weights = softmax(scale * queries keys^T) over the keys that are visible.

    Args:
        queries: float16 or float32 [head, query, d_head], rotary positions already applied.
        keys: float16 or float32 [key_head, key, d_head], likewise; where there are fewer heads than of queries, each
            serves a group of those. A store keeps queries and keys that are read-only as they are, and copies others.
        visible: which keys each query may see, by their absolute positions.
        scale: what the products are multiplied by.
        first_key: absolute position of keys[:, 0].
        first_query: absolute position of queries[:, 0]; only `bias` asks for it.
        softcap: scores become softcap * tanh(scores / softcap), before bias and mask, as in Gemma 2.
        bias: float32 [head or 1, 2 * n - 1], for n positions: what is added to the score of query i and key j stands at
            [j - i + n - 1], as in T5.
        sinks: float32 [head]: one more logit a row, which takes its share and is dropped, as in gpt-oss.

    Raises:
        TypeError: queries or keys that are not float16 or float32 arrays.
        ValueError: shapes that do not fit each other.

    Source:
        Vaswani et al. 2017, arXiv 1706.03762, section 3.2.1; grouped keys: Ainslie et al. 2023, arXiv 2305.13245.
    """

    queries: np.ndarray
    keys: np.ndarray
    visible: Visible
    scale: float
    first_key: int = 0
    first_query: int = 0
    softcap: float | None = None
    bias: np.ndarray | None = None
    sinks: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("queries", "keys"):
            array = getattr(self, name)
            if not isinstance(array, np.ndarray) or array.dtype not in _HELD:
                came = getattr(array, "dtype", type(array).__name__)
                raise TypeError(f"{name}: {came} came, a numpy array of float16 or float32 was expected.")
            if array.ndim != 3 or 0 in array.shape:
                raise ValueError(
                    f"{name}: shape {array.shape} came, [head, position, d_head] was expected, none of them 0."
                )
        if self.queries.shape[2] != self.keys.shape[2] or len(self.queries) % len(self.keys):
            raise ValueError(
                f"keys: shape {self.keys.shape} came with queries of shape {self.queries.shape}; the same d_head and a "
                "number of heads that divides theirs were expected."
            )
        if self.first_key < 0 or self.first_query < 0:
            raise ValueError(f"positions {self.first_key} and {self.first_query} came, at least 0 was expected.")
        self._check_visible()
        self._check_logits()

    def _check_visible(self) -> None:
        _, n_queries, n_keys = self.shape
        if len(self.visible) != n_queries or self.visible.end > n_keys:
            raise ValueError(
                f"visible: {len(self.visible)} queries that see keys up to {self.visible.end} came, "
                f"{n_queries} queries and {n_keys} keys were expected."
            )

    def _check_logits(self) -> None:
        n_heads, n_queries, n_keys = self.shape
        if not np.isfinite(self.scale) or (self.softcap is not None and not self.softcap > 0):
            raise ValueError(f"scale {self.scale} and softcap {self.softcap} came, finite and positive were expected.")
        n = max(self.first_query + n_queries, n_keys)
        bias, sinks = self.bias, self.sinks
        if bias is not None and (bias.ndim != 2 or len(bias) not in (1, n_heads) or not _spans(bias.shape[1], n)):
            raise ValueError(
                f"bias: shape {bias.shape} came, [{n_heads} or 1, 2 * n - 1] with n of at least {n} was expected."
            )
        if sinks is not None and sinks.shape != (n_heads,):
            raise ValueError(f"sinks: shape {sinks.shape} came, one for each of {n_heads} heads was expected.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of heads, of queries, and of keys with those before `first_key`."""
        return len(self.queries), self.queries.shape[1], self.first_key + self.keys.shape[1]

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        optional = (array.nbytes for array in (self.bias, self.sinks) if array is not None)
        return self.queries.nbytes + self.keys.nbytes + self.visible.n_bytes + sum(optional)

    @property
    def is_finite(self) -> bool:
        """Whether all weights that follow are numbers."""
        parts = (self.queries, self.keys, self.bias, self.sinks)
        return all(bool(np.isfinite(part).all()) for part in parts if part is not None)


def _spans(width: int, n: int) -> bool:
    return width % 2 == 1 and width >= 2 * n - 1
