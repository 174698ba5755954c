"""Which keys each query may see, in two numbers a row where that is a range, and in bits where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


def _no_rows() -> np.ndarray:
    return np.zeros(0, np.int32)


def _no_bits() -> np.ndarray:
    return np.zeros((0, 0), np.uint8)


def _widened(bits: np.ndarray, width: int) -> np.ndarray:
    return bits if bits.shape[1] == width else np.pad(bits, ((0, 0), (0, width - bits.shape[1])))


@dataclass(frozen=True, eq=False)
class Visible:
    """Which keys each query may see.

    Args:
        first: int32 [query], the first key that it sees.
        last: int32 [query], the key after the last one that it sees; `first` where it sees none.
        holed: int32 [row], ascending: the queries that do not see all keys from `first` to `last`.
        bits: uint8 [row, key // 8], rounded up: what these see, as np.packbits has it.

    Raises:
        ValueError: the arrays do not fit each other.
    """

    first: np.ndarray
    last: np.ndarray
    holed: np.ndarray = field(default_factory=_no_rows)
    bits: np.ndarray = field(default_factory=_no_bits)

    def __post_init__(self) -> None:
        for name, dtype in (("first", np.int32), ("last", np.int32), ("holed", np.int32), ("bits", np.uint8)):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype))
        first, last, holed, bits = self.first, self.last, self.holed, self.bits
        if first.ndim != 1 or last.shape != first.shape or (first > last).any() or first.min(initial=0) < 0:
            raise ValueError(f"visible: ranges {first.shape} to {last.shape} came, one for each query was expected.")
        inside = holed.ndim == 1 and (
            not len(holed) or bool((np.diff(holed) > 0).all() and holed[0] >= 0 and holed[-1] < len(first))
        )
        if not inside or bits.ndim != 2 or len(bits) != len(holed):
            raise ValueError(
                f"visible: bits {bits.shape} came for rows {holed.shape}, one row of bits for each was expected."
            )
        if len(holed) and last[holed].max() > 8 * bits.shape[1]:
            raise ValueError(f"visible: bits for {8 * bits.shape[1]} keys came, {last[holed].max()} were expected.")

    def __len__(self) -> int:
        return len(self.first)

    @cached_property
    def end(self) -> int:
        """The key after the last one that any query sees."""
        return int(self.last.max(initial=0))

    @cached_property
    def blind(self) -> np.ndarray:
        """Which queries see no key: bool [query]."""
        return np.asarray(self.first >= self.last)

    @classmethod
    def causal(cls, n_queries: int, n_keys: int, window: int | None = None) -> Visible:
        """Let query i see keys up to i + n_keys - n_queries: the last query sees the last key.

        Args:
            n_queries: number of queries.
            n_keys: number of keys.
            window: how many keys a query sees at most, its own included.
        """
        end = np.arange(n_queries) + n_keys - n_queries + 1
        first = np.zeros(n_queries) if window is None else end - window
        return cls(first.clip(0, end.clip(0)), end.clip(0))

    @classmethod
    def all(cls, n_queries: int, n_keys: int) -> Visible:
        """Let every query see every key."""
        return cls(np.zeros(n_queries, np.int32), np.full(n_queries, n_keys, np.int32))

    @classmethod
    def of(cls, mask: np.ndarray) -> Visible:
        """Take a mask, bool [query, key], True where a query sees a key.

        Raises:
            TypeError: a mask of another type or rank.
        """
        if mask.dtype != bool or mask.ndim != 2:
            raise TypeError(f"mask: {mask.dtype} {mask.shape} came, bool [query, key] was expected.")
        if not mask.size:
            return cls.all(len(mask), 0)
        counts = mask.sum(1)
        first = np.where(counts, mask.argmax(1), 0)
        last = np.where(counts, mask.shape[1] - mask[:, ::-1].argmax(1), 0)
        holed = np.flatnonzero(last - first != counts)
        return cls(first, last, holed, np.packbits(mask[holed], axis=1))

    @classmethod
    def joined(cls, parts: Sequence[Visible]) -> Visible:
        """Put the rows of several under each other."""
        starts = np.cumsum([0, *(len(part) for part in parts)])
        width = max(part.bits.shape[1] for part in parts)
        return cls(
            np.concatenate([part.first for part in parts]),
            np.concatenate([part.last for part in parts]),
            np.concatenate([part.holed + start for part, start in zip(parts, starts, strict=False)]),
            np.concatenate([_widened(part.bits, width) for part in parts]),
        )

    def tile(self, queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Return for a choice of queries and keys, both given by index, who sees what: bool [query, key]."""
        seen = (keys >= self.first[queries, None]) & (keys < self.last[queries, None])
        if len(self.holed):
            place = np.searchsorted(self.holed, queries).clip(max=len(self.holed) - 1)
            rows = np.flatnonzero(self.holed[place] == queries)
            byte = (keys >> 3).clip(max=self.bits.shape[1] - 1)  # keys past the bits are past `last` too
            seen[rows] &= ((self.bits[place[rows][:, None], byte] >> (7 - (keys & 7))) & 1).astype(bool)
        return np.asarray(seen)

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        return self.first.nbytes + self.last.nbytes + self.holed.nbytes + self.bits.nbytes
