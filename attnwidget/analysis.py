"""Numbers that are read off attention weights: strength, entropy, mean over heads."""

from __future__ import annotations

import numpy as np


def strength(weights: np.ndarray) -> np.ndarray:
    """Return how much attention each key received: the sum of its weights over the queries.

    Args:
        weights: attention weights, float32 [head, query, key]; rows sum to 1 over key.

    Returns:
        float32 [head, key], dimensionless; its sum over key is n_queries. NaN and infinite weights count as 0.

    Raises:
        ValueError: weights is not 3-dimensional.

    Source:
        Coverage, Tu et al. 2016, arXiv 1601.04811 (without the fertility term).
    """
    if weights.ndim != 3:
        raise ValueError(f"weights: shape {weights.shape} came, [head, query, key] was expected.")
    return _as_float32(np.where(np.isfinite(weights), weights, 0).sum(1, dtype=np.float64))


def strength_by_step(weights: np.ndarray) -> np.ndarray:
    """Return the strength of each key after each query: the running sum of its weights.

    Args:
        weights: attention weights, float32 [head, query, key].

    Returns:
        float32 [head, query, key]; its last row along query is `strength(weights)`.

    Raises:
        ValueError: weights is not 3-dimensional.
    """
    if weights.ndim != 3:
        raise ValueError(f"weights: shape {weights.shape} came, [head, query, key] was expected.")
    return _as_float32(np.where(np.isfinite(weights), weights, 0).cumsum(1, dtype=np.float64))


def entropy(weights: np.ndarray) -> np.ndarray:
    """Return how spread out each row is.

    Args:
        weights: attention weights, float32 [head, query, key]; rows sum to 1 over key.

    Returns:
        float32 [head, query], bits; 0 for a row with one weight of 1, log2(n_keys) for a uniform row. Weights that are
        not finite, or negative, count as 0.

    Source:
        Shannon 1948, A Mathematical Theory of Communication, section 6.
    """
    positive = np.where(np.isfinite(weights) & (weights > 0), weights, 1).astype(np.float64)
    return _as_float32(0 - (positive * np.log2(positive)).sum(-1))


def mean(weights: np.ndarray) -> np.ndarray:
    """Return the mean over heads; NaN where any head is NaN.

    Args:
        weights: attention weights, float32 [head, query, key].

    Returns:
        float32 [query, key].
    """
    with np.errstate(invalid="ignore"):  # plus and minus infinity in two heads make NaN, which is flagged already
        return _as_float32(weights.mean(0, dtype=np.float64))


def _as_float32(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
