"""Attention as the papers write it, in float64 and all at once, to hold the stores against."""

from __future__ import annotations

import numpy as np

from attnwidget.stores import Factors, Visible


def shown(visible: Visible, n_keys: int) -> np.ndarray:
    """Return who sees what, bool [query, key]."""
    return visible.tile(np.arange(len(visible)), np.arange(n_keys))


def softmaxed(factors: Factors) -> np.ndarray:
    """Return the weights of factors that begin at key 0, float64 [head, query, key]."""
    n_heads, n_queries, n_keys = factors.shape
    keys = np.repeat(factors.keys.astype(np.float64), n_heads // len(factors.keys), axis=0)
    scores = factors.queries.astype(np.float64) @ keys.transpose(0, 2, 1) * factors.scale
    if factors.softcap is not None:
        scores = factors.softcap * np.tanh(scores / factors.softcap)
    if factors.bias is not None:
        i, j = factors.first_query + np.arange(n_queries)[:, None], np.arange(n_keys)
        scores = scores + factors.bias[:, j - i + factors.bias.shape[1] // 2]
    scores = np.where(shown(factors.visible, n_keys), scores, -np.inf)
    sinks = np.full(n_heads, -np.inf) if factors.sinks is None else factors.sinks.astype(np.float64)
    logits = np.concatenate([scores, np.broadcast_to(sinks[:, None, None], (n_heads, n_queries, 1))], axis=2)
    with np.errstate(invalid="ignore"):
        weights = np.exp(logits - logits.max(2, keepdims=True))
        weights = weights / weights.sum(2, keepdims=True)
    return np.nan_to_num(weights[..., :-1])


def random_factors(rng: np.random.Generator, n_queries: int, n_keys: int, **change: object) -> Factors:
    """Return factors of a random kind: grouped heads, window, holes, softcap, bias, sinks, half precision."""
    n_key_heads, group, d_head = (int(rng.integers(1, high)) for high in (4, 4, 12))
    n_heads, dtype = n_key_heads * group, (np.float16, np.float32)[rng.integers(2)]
    n = max(n_queries, n_keys) + int(rng.integers(3))
    visible = (
        Visible.causal(n_queries, n_keys),
        Visible.causal(n_queries, n_keys, int(rng.integers(1, n_keys + 1))),
        Visible.all(n_queries, n_keys),
        Visible.of(rng.random((n_queries, n_keys)) < rng.choice([0.1, 0.8])),
    )[rng.integers(4)]
    made: dict[str, object] = {
        "queries": rng.normal(0, 2, (n_heads, n_queries, d_head)).astype(dtype),
        "keys": rng.normal(0, 2, (n_key_heads, n_keys, d_head)).astype(dtype),
        "visible": visible,
        "scale": float(rng.uniform(0.1, 1)),
        "softcap": 3.0 if rng.integers(2) else None,
        "bias": rng.normal(size=(rng.choice([1, n_heads]), 2 * n - 1)).astype(np.float32) if rng.integers(2) else None,
        "sinks": rng.normal(size=n_heads).astype(np.float32) if rng.integers(2) else None,
    }
    return Factors(**{**made, **change})


def cut(factors: Factors, rows: slice, keys: slice) -> Factors:
    """Return some rows of factors with some of their keys."""
    start, stop, _ = rows.indices(factors.shape[1])
    n_keys = keys.indices(factors.shape[2])[1]
    return Factors(
        factors.queries[:, rows],
        factors.keys[:, keys],
        Visible.of(shown(factors.visible, factors.shape[2])[start:stop, :n_keys]),
        factors.scale,
        first_key=keys.indices(factors.shape[2])[0],
        first_query=start,
        softcap=factors.softcap,
        bias=factors.bias,
        sinks=factors.sinks,
    )
