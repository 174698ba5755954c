"""What kind of head it is: numbers that sum up the weights of each head over all its queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

_MOST = 1e30  # a row of more is beyond what its products can hold in float32
STATISTICS = ("entropy", "distance", "previous", "first", "diagonal", "induction")


@dataclass(frozen=True)
class Head:
    """One head of one site, and what it attends to on the whole.

    All are means over the queries; NaN where no query has one. Queries without weights, or with weights that are not
    finite, or with nothing but 0, do not count; weights below 0 count as 0.

    Args:
        site: name of its site.
        head: its index there, from 0.
        entropy: of a row, bits: 0 where all weight is on one key, log2(n_keys) where it is spread evenly.
            Clark et al. 2019, What Does BERT Look At?, arXiv 1906.04341, section 3.3.
        distance: between a query and what it attends to, weighted by its weights, tokens. Self-attention only.
            Vig and Belinkov 2019, arXiv 1906.04284, section 4.4.
        previous: weight on the token before the query's own. Self-attention only. Clark et al., section 3.1.
        first: weight on the first key, where sinks are; in self-attention of the queries behind the first token.
            Xiao et al. 2023, arXiv 2309.17453.
        diagonal: in self-attention the weight on the query's own token. Else the weight on the keys through whose
            cells the straight line runs from the first corner of the matrix to the last.
        induction: weight on tokens that came right after an earlier occurrence of the query's own token, where it
            occurred before. Self-attention only. Prefix matching, Olsson et al. 2022, arXiv 2209.11895.
    """

    site: str
    head: int
    entropy: float
    distance: float
    previous: float
    first: float
    diagonal: float
    induction: float


class Heads(tuple[Head, ...]):
    """Heads, in order; printed as a table."""

    __slots__ = ()

    def __repr__(self) -> str:
        names = [field.name for field in fields(Head)]
        rows = [names] + [[_text(getattr(head, name)) for name in names] for head in self]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (
            (cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
            for row in rows
        )
        return "\n".join("  ".join(line) for line in lines)

    def by(self, statistic: str) -> Heads:
        """Return the heads, those first that have most of a statistic; those without it last.

        Raises:
            ValueError: no such statistic.
        """
        if statistic not in STATISTICS:
            raise ValueError(f"sort: {statistic!r} came, one of {', '.join(map(repr, STATISTICS))} was expected.")
        values = np.array([getattr(head, statistic) for head in self], np.float64)
        return Heads(self[i] for i in np.argsort(-values, kind="stable"))  # NaN is sorted last


def _text(value: object) -> str:
    if isinstance(value, float):
        return "-" if np.isnan(value) else f"{value:.3f}"
    return ascii(value)[1:-1] if isinstance(value, str) else str(value)


class Tally:
    """Sums up the rows of some heads, a few at a time.

    Args:
        n_heads: how many heads.
        shape: how many queries and keys there will be.
        positions: the key that is the own token of each query, int [query]; None where queries are no keys.
        texts: the texts of the keys, to find those that repeat.
    """

    def __init__(
        self, n_heads: int, shape: tuple[int, int], positions: np.ndarray | None = None, texts: Sequence[str] = ()
    ) -> None:
        self._n_queries, self._n_keys = shape
        self._positions = positions
        self._tokens = _numbered(texts, self._n_keys)
        self._sums = {name: np.zeros(n_heads) for name in STATISTICS}
        self._counts = {name: np.zeros(n_heads, np.int64) for name in STATISTICS}

    def add(self, queries: np.ndarray, weights: np.ndarray) -> None:
        """Add rows, float32 [head, query, key], of these queries."""
        weights = np.maximum(weights, 0)  # NaN stays
        with np.errstate(over="ignore", invalid="ignore"):
            total = np.einsum("hqk->hq", weights)
        good = (total > 0) & (total < _MOST)  # [head, query]; NaN is neither
        if not good.all():
            weights[~good] = 0
            total = np.where(good, total, 1)
        keys = np.arange(self._n_keys)
        self._note("entropy", -np.einsum("hqk,hqk->hq", weights, np.log2(np.maximum(weights, 1e-38))), good)
        if self._positions is None:
            self._note("first", weights[:, :, 0], good)
            self._note("diagonal", _picked(weights, self._near(queries)), good)
            return
        own = self._positions[queries]
        apart = np.abs(own[:, None] - keys).astype(np.float32)
        self._note("distance", np.einsum("hqk,qk->hq", weights, apart) / total, good)
        self._note("first", weights[:, :, 0], good & (own > 0))
        for name, key in (("diagonal", own), ("previous", own - 1)):
            inside = (key >= 0) & (key < self._n_keys)
            found = weights[:, np.arange(len(queries)), np.where(inside, key, 0)]
            self._note(name, found, good & inside)
        after = self._after_repeated(own)
        rows = np.flatnonzero(after.any(1))
        if len(rows):
            self._note("induction", _picked(weights[:, rows], after[rows]), good[:, rows])

    def means(self) -> dict[str, np.ndarray]:
        """Return the mean of each statistic over the rows that have one, float32 [head]; NaN where none has."""
        with np.errstate(invalid="ignore"):
            return {name: (self._sums[name] / self._counts[name]).astype(np.float32) for name in STATISTICS}

    def _note(self, name: str, values: np.ndarray, counts: np.ndarray) -> None:
        """Add the values [head, query] of the rows that count."""
        self._sums[name] += np.where(counts, values, 0).sum(1, dtype=np.float64)
        self._counts[name] += counts.sum(1)

    def _near(self, queries: np.ndarray) -> np.ndarray:
        """Tell which cells the line from corner to corner runs through, bool [query, key]."""
        keys, n_queries, n_keys = np.arange(self._n_keys), self._n_queries, self._n_keys
        q = queries[:, None]
        return np.asarray((keys * n_queries < (q + 1) * n_keys) & ((keys + 1) * n_queries > q * n_keys))

    def _after_repeated(self, own: np.ndarray) -> np.ndarray:
        """Tell which keys came right after an earlier occurrence of the token of a query, bool [query, key]."""
        inside = (own >= 0) & (own < self._n_keys)
        present = np.where(inside, self._tokens[np.where(inside, own, 0)], -1)
        before = np.concatenate([[-2], self._tokens[:-1]])  # the token before each key
        return np.asarray((before == present[:, None]) & (np.arange(self._n_keys) < own[:, None]))


def statistics(
    weights: np.ndarray, *, positions: Sequence[int] | np.ndarray | None = None, texts: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Return what each head attends to on the whole. See `Head`.

    Args:
        weights: attention weights, float32 [head, query, key].
        positions: of self-attention, the key that is the own token of each query; None where queries are no keys.
        texts: the texts of the keys, for `induction`.

    Returns:
        float32 [head] for each name of `STATISTICS`.

    Raises:
        ValueError: weights are not 3-dimensional, or there are not as many positions as queries.
    """
    if weights.ndim != 3:
        raise ValueError(f"weights: shape {weights.shape} came, [head, query, key] was expected.")
    own = None if positions is None else np.asarray(positions, np.int64)
    if own is not None and own.shape != weights.shape[1:2]:
        raise ValueError(f"positions: {own.size} came, {weights.shape[1]} were expected, one for each query.")
    tally = Tally(len(weights), (weights.shape[1], weights.shape[2]), own, texts)
    if weights.shape[1] and weights.shape[2]:
        tally.add(np.arange(weights.shape[1]), np.asarray(weights, np.float32))
    return tally.means()


def _numbered(texts: Iterable[str], n_keys: int) -> np.ndarray:
    """Return a number for each key, the same for the same text; keys without one are like no other."""
    numbers: dict[object, int] = {}
    told = list(texts)[:n_keys]
    named: list[object] = [*told, *range(len(told), n_keys)]
    return np.array([numbers.setdefault(text, len(numbers)) for text in named], np.int64)


def _picked(weights: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the sum of the chosen [query, key] weights of each row, [head, query]."""
    return np.asarray(np.einsum("hqk,qk->hq", weights, chosen.astype(np.float32)))
