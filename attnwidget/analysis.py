"""Numbers that are read off attention weights: strength, coverage, entropy, sinks, mean over heads."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

SINK = 0.3  # mean weight from which a key is a sink
MIN_ROWS = 8  # rows that must have seen it
_SPECIAL = re.compile(
    r"\[(CLS|SEP|PAD|MASK|BOS|EOS)\]|<(s|/s|pad|bos|eos|cls|sep|mask|start|end|extra_id_\d+)>|<\|.*\|>", re.S
)


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


def coverage_deviation(weights: np.ndarray) -> np.ndarray:
    """Return how far the strength of the keys is from 1, as a penalty: 0 where each key received 1 in all.

    -1/J * sum_j log(1 + (1 - sum_i a_ij)^2), with J keys j and queries i.

    Args:
        weights: attention weights, float32 [head, query, key].

    Returns:
        float32 [head], at most 0.

    Raises:
        ValueError: weights is not 3-dimensional.

    Source:
        Coverage deviation penalty, Rikters and Fishel 2017, Confidence through Attention, arXiv 1710.03743.
    """
    received = strength(weights).astype(np.float64)
    return _as_float32(0 - np.log1p((1 - received) ** 2).mean(-1))


def absentmindedness(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how scattered attention is, as two penalties: 0 where each row, or each column, is one weight.

    The entropy of a row, mean over the queries (out), and of a column that was made to sum to 1, mean over the keys
    (in), each with its sign turned.

    Args:
        weights: attention weights, float32 [head, query, key].

    Returns:
        out and in, float32 [head] each, nats, at most 0. Columns that received nothing count as 0.

    Raises:
        ValueError: weights is not 3-dimensional.

    Source:
        Absentmindedness penalties, Rikters and Fishel 2017, Confidence through Attention, arXiv 1710.03743.
    """
    received = strength(weights).astype(np.float64)[:, None]  # [head, 1, key]
    shares = weights / np.where(received > 0, received, 1)
    nats = np.log(2)
    return _as_float32(-nats * entropy(weights).mean(-1)), _as_float32(
        -nats * entropy(shares.swapaxes(-1, -2)).mean(-1)
    )


def special_keys(texts: Sequence[str], weights: np.ndarray) -> list[int]:
    """Return the keys that are special: tokens that stand for no text, such as [CLS] or </s>, and sinks.

    A sink is a key that takes 0.3 or more of the weight in the mean over the rows that see it, of which there must be 8
    at least, and half of all.

    Args:
        texts: the tokens.
        weights: float32 [query, key].

    Source:
        Sinks: Xiao et al. 2023, Efficient Streaming Language Models with Attention Sinks, arXiv 2309.17453; the
        threshold: Gu et al. 2024, When Attention Sink Emerges in Language Models, arXiv 2410.10781.
    """
    finite = np.where(np.isfinite(weights), weights, 0)
    n_rows = (finite != 0).sum(0)
    means = finite.sum(0, dtype=np.float64) / np.maximum(n_rows, 1)
    sinks = (means >= SINK) & (n_rows >= max(MIN_ROWS, len(weights) / 2))
    return [key for key in range(weights.shape[1]) if sinks[key] or _SPECIAL.fullmatch(_at(texts, key))]


def _at(texts: Sequence[str], index: int) -> str:
    return texts[index] if index < len(texts) else ""


def without(weights: np.ndarray, keys: Sequence[int]) -> np.ndarray:
    """Return weights without some keys: these are 0, and the others of each row renormalised to the sum the row had.

    Args:
        weights: float32 [..., query, key].
        keys: which to leave out.

    Returns:
        float32 of the same shape. Rows that have nothing else are all 0.
    """
    kept = np.array(weights, np.float64)
    kept[..., list(keys)] = 0
    before, after = (np.where(np.isfinite(w), w, 0).sum(-1, keepdims=True, dtype=np.float64) for w in (weights, kept))
    return _as_float32(kept * np.where(after > 0, before / np.where(after > 0, after, 1), 0))


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
