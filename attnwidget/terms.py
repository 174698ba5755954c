"""Terms: what a weight came of: scores before the softmax, and what these came of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Form = Literal["", "dot", "additive"]
CHANGED = 0.005  # part of a weight that rounding to half precision does not explain


@dataclass(frozen=True, eq=False)
class Terms:
    """What the weights of some rows came of.

    Args:
        scores: float32 [head, query, key], before the softmax; -inf where a mask hid the key.
        form: "dot" where a score is scale * (query . key), as in Luong et al. 2015 and Vaswani et al. 2017; "additive"
            where it is vector . tanh(pair), as in Bahdanau et al. 2014; "" where that was not recorded.
        queries: float32 [head, query, feature]: the queries, or W_s s if that was seen.
        keys: float32 [head or fewer, key, feature]: the keys of a dot product.
        pairs: float32 [head, query, key, feature]: W_s s + W_h h.
        vector: float32 [feature]: v.
        scale: what the product of query and key is multiplied with.
        softcap: a scaled product x becomes softcap * tanh(x / softcap).
        bias: float32 [head, query, key]: what is added to the products before the softmax.
        sinks: float32 [head]: one more score in each row that is no key.
    """

    scores: np.ndarray
    form: Form = ""
    queries: np.ndarray | None = None
    keys: np.ndarray | None = None
    pairs: np.ndarray | None = None
    vector: np.ndarray | None = None
    scale: float = 1.0
    softcap: float | None = None
    bias: np.ndarray | None = None
    sinks: np.ndarray | None = None

    @property
    def n_queries(self) -> int:
        """Number of rows."""
        return int(self.scores.shape[1])

    def row(self, head: int, query: int) -> Terms:
        """Return the terms of one row of one head, with one head and one query in each array."""
        return self.of(slice(head, head + 1), slice(query, query + 1))

    def of(self, heads: slice, at: slice) -> Terms:
        """Return the terms of some heads and queries."""
        first, end, _ = heads.indices(len(self.scores))
        n_groups = 0 if self.keys is None else len(self.keys)
        groups = slice(first * n_groups // len(self.scores), -(-end * n_groups // len(self.scores)))
        return Terms(
            self.scores[heads, at],
            self.form,
            None if self.queries is None else self.queries[heads, at],
            None if self.keys is None else self.keys[groups],
            None if self.pairs is None else self.pairs[heads, at],
            self.vector,
            self.scale,
            self.softcap,
            None if self.bias is None else self.bias[heads, at],
            None if self.sinks is None else self.sinks[heads],
        )

    def weights(self) -> np.ndarray:
        """Return the softmax of the scores, float32 [head, query, key]; rows without a key are 0."""
        scores = self.scores.astype(np.float64)
        sinks = np.full((len(scores), 1, 1), -np.inf) if self.sinks is None else self.sinks[:, None, None].astype(float)
        top = np.maximum(scores.max(-1, keepdims=True, initial=-np.inf), sinks)
        top[top == -np.inf] = 0
        exponentials = np.exp(scores - top)
        total = exponentials.sum(-1, keepdims=True) + np.exp(sinks - top)
        return np.asarray(exponentials / np.where(total == 0, 1, total), np.float32)


@dataclass(frozen=True, eq=False)
class Why:
    """Why a weight is what it is: the way from query and key to the weight, recomputed from what was recorded.

    Args:
        key: the column of the cell.
        terms: of its row and head alone; None where nothing but weights was recorded.
        weight: what the terms come to; NaN where there are none.
        recorded: the weight that was recorded.
        missing: what was not recorded, in words.
    """

    key: int
    terms: Terms | None
    weight: float
    recorded: float
    missing: Sequence[str] = ()

    def __str__(self) -> str:
        lines = [] if self.terms is None else self._steps(self.terms)
        lines.append(f"recorded weight = {self.recorded:.6g}")
        return "\n".join([*lines, *(f"not recorded: {name}" for name in self.missing)])

    def _steps(self, terms: Terms) -> list[str]:
        n_keys = terms.scores.shape[2]
        if self.key >= n_keys:
            return [f"key {self.key} was not there yet: the row saw {n_keys} keys"]
        lines = []
        if terms.form == "dot" and terms.queries is not None and terms.keys is not None:
            product = float(terms.queries[0, 0] @ terms.keys[0, self.key])
            lines.append(f"q . k = {product:.6g}, times {terms.scale:.6g} is {terms.scale * product:.6g}")
        if terms.pairs is not None and terms.vector is not None:
            score = float(np.tanh(terms.pairs[0, 0, self.key]) @ terms.vector)
            lines.append(f"v . tanh(W_s s + W_h h) = {score:.6g}")
        if terms.softcap is not None:
            lines.append(f"capped at {terms.softcap:.6g}")
        if terms.bias is not None:
            lines.append(f"bias = {float(terms.bias[0, 0, self.key]):.6g}")
        lines.append(f"score = {float(terms.scores[0, 0, self.key]):.6g}")
        lines.append(f"softmax over {n_keys} keys = {self.weight:.6g}")
        if abs(self.weight - self.recorded) > CHANGED * max(self.weight, self.recorded):
            lines.append("changed after the softmax, as a window does")
        return lines


def why(terms: Terms | None, key: int, recorded: float) -> Why:
    """Return why a weight is what it is.

    Args:
        terms: of its row and head alone, or None.
        key: the column of the cell.
        recorded: the weight.
    """
    if terms is None:
        return Why(key, None, float("nan"), recorded, ("scores", "query and key"))
    weight = float(terms.weights()[0, 0, key]) if key < terms.scores.shape[2] else 0.0
    return Why(key, terms, weight, recorded, () if terms.form else ("what the scores came of",))
