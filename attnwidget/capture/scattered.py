"""Weights of a query that sees a few keys only, as a band, a window or both have them: each with the key it is for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from attnwidget.capture.attention import Weights


@dataclass(frozen=True, eq=False)
class Scattered:
    """Weights by query and place, brought to a matrix where somebody asks for one.

    Args:
        values: [batch, head, query, place].
        keys: [batch, query, place], the key of each; -1 where there is none. A batch of 1 stands for all examples.
        n_keys: how many keys there are.
        whole: [batch, head, row, key], rows of queries that see every key; None where there are none.
        whole_at: [batch, query], which row of `whole` is that of a query; -1 where `values` has it.
    """

    values: torch.Tensor
    keys: torch.Tensor
    n_keys: int
    whole: torch.Tensor | None = None
    whole_at: torch.Tensor | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Sizes as (batch, head, query, key)."""
        batch, head, query, _ = self.values.shape
        return batch, head, query, self.n_keys

    @property
    def dtype(self) -> torch.dtype:
        """The type in which the model computed."""
        return self.values.dtype

    def weights(self) -> torch.Tensor:
        """Return [batch, head, query, key]."""
        found = self.values.new_zeros(*self.values.shape[:3], self.n_keys + 1)
        places = self.keys.where(self.keys >= 0, self.n_keys)[:, None].expand_as(self.values)
        found = found.scatter_add_(3, places, self.values)[..., : self.n_keys]  # [batch, head, query, key]
        if self.whole is None or self.whole_at is None:
            return found
        rows = self.whole_at[:, None, :, None]
        return self.whole.gather(2, rows.clamp(min=0).expand_as(found)).where(rows >= 0, found)

    def part(self, examples: slice, queries: slice) -> Scattered:
        """Return what concerns some examples and queries, still in the model's memory."""
        return replace(
            self,
            values=self.values[examples, :, queries],
            keys=self.keys[:, queries] if len(self.keys) == 1 else self.keys[examples, queries],
            whole=None if self.whole is None else self.whole[examples],
            whole_at=None if self.whole_at is None else self.whole_at[examples, queries],
        )

    def kept(self, example: int) -> Scattered:
        """Return a copy of one example that the model cannot change any more."""
        it = self.part(slice(example, example + 1), slice(None))
        return Scattered(
            it.values.detach().to("cpu", torch.float32, copy=True),
            it.keys.cpu(),
            it.n_keys,
            None if it.whole is None else it.whole.detach().to("cpu", torch.float32, copy=True),
            None if it.whole_at is None else it.whole_at.to("cpu", copy=True),
        )

    def looks_ahead(self, diagonal: int = 0) -> bool:
        """Tell whether a query i sees a key after i + diagonal."""
        queries = torch.arange(self.shape[2], device=self.keys.device)[:, None]
        return bool((self._sees() & (self.keys > queries + diagonal)).any()) or any(
            rows.triu(1 + diagonal).any() for rows in self._whole_rows()
        )

    def looks_beyond(self, n_keys: int) -> bool:
        """Tell whether a query sees a key after the first `n_keys`."""
        return bool((self._sees() & (self.keys >= n_keys)).any()) or any(
            rows[..., n_keys:].any() for rows in self._whole_rows()
        )

    def of_heads(self, n_heads: int, n_queries: int) -> Weights:
        """Return the same with heads that were packed into the query axis, or the other way round."""
        return Weights(self.weights()).of_heads(n_heads, n_queries)

    def _sees(self) -> torch.Tensor:
        """Return [batch, query, place]."""
        sees = (self.values != 0).any(1)
        return sees if self.whole_at is None else sees & (self.whole_at < 0)[..., None]

    def _whole_rows(self) -> list[torch.Tensor]:
        """Return who sees what by a row of its own: bool [batch, query, key]."""
        if self.whole is None or self.whole_at is None:
            return []
        at = self.whole_at[..., None]
        sees = (self.whole != 0).any(1)  # [batch, row, key]
        return [sees.gather(1, at.clamp(min=0).expand(-1, -1, self.n_keys)) & (at >= 0)]
