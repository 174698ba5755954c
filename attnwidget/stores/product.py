"""Products of queries and keys in pieces so small that BLAS makes each of them in the thread that asks for it.

On a machine that is busy with a model, the threads of OpenBLAS wait for a core longer than one thread would need:
pieces of a sweep then take up to seconds in place of milliseconds.
"""

from __future__ import annotations

import numpy as np

ROWS = 64  # queries in a piece
MATRIX, VECTOR = 1 << 18, 9216  # multiplications up to which OpenBLAS starts no thread, for several queries and for one


def product(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return queries keys^T, float32 [query, key].

    Args:
        queries: float32 [query, d_head].
        keys: float32 [key, d_head].
    """
    (n_queries, width), n_keys = queries.shape, len(keys)
    scores = np.empty((n_queries, n_keys), np.float32)
    for at in range(0, n_queries, ROWS):
        rows, out = queries[at : at + ROWS], scores[at : at + ROWS]
        across = max(1, (VECTOR if len(rows) == 1 else MATRIX) // (len(rows) * width))
        end = n_keys // across * across
        pieces = keys[:end].reshape(-1, across, width).transpose(0, 2, 1)
        np.matmul(rows, pieces, out=out[:, :end].reshape(len(rows), -1, across).transpose(1, 0, 2))
        np.matmul(rows, keys[end:].T, out=out[:, end:])
    return scores
