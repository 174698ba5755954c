"""What a translator needs of a network: read the source once, then decode one word after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

BOUNDARY = 0

MemoryT = TypeVar("MemoryT")
StateT = TypeVar("StateT")


def words_in(lengths: Tensor, *, n_keys: int) -> Tensor:
    """Return where there is a word and no padding, bool [batch, key], for rows of these lengths, int64 [batch]."""
    return torch.arange(n_keys, device=lengths.device) < lengths.unsqueeze(1)  # [batch, key]


class Network(nn.Module, ABC, Generic[MemoryT, StateT]):
    """An encoder-decoder over word indices; target index 0 is the boundary mark, before and after all words.

    Attributes:
        sizes: a dataclass of whole numbers, all that makes the network again.
    """

    sizes: Any

    @abstractmethod
    def encode(self, source: Tensor, *, lengths: Tensor) -> tuple[MemoryT, StateT]:
        """Read the source.

        Args:
            source: word indices, int64 [batch, key]; what stands after a row's length is not read.
            lengths: words in each row, int64 [batch], at least 1.

        Returns:
            What the decoder looks back at, and the decoder's first state.
        """

    @abstractmethod
    def step(self, previous: Tensor, *, state: StateT, memory: MemoryT) -> tuple[Tensor, StateT, Tensor]:
        """Decode one word.

        Args:
            previous: the word before, y_{i-1}, int64 [batch]; `BOUNDARY` at the first step.
            state: of the step before, or the first one.
            memory: what `encode` returned.

        Returns:
            Logits over target words, float [batch, n_target]; the new state; and the weights of this step, float
            [batch, key].
        """

    def forward(self, source: Tensor, *, lengths: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        """Decode with the right words given (teacher forcing).

        Args:
            source: word indices, int64 [batch, key].
            lengths: words in each row, int64 [batch].
            previous: the target shifted by one, `BOUNDARY` first, int64 [batch, query].

        Returns:
            Logits, float [batch, query, n_target], and weights, float [batch, query, key].
        """
        memory, state = self.encode(source, lengths=lengths)
        logits, weights = [], []
        for column in previous.unbind(dim=1):
            step_logits, state, step_weights = self.step(column, state=state, memory=memory)
            logits.append(step_logits)
            weights.append(step_weights)
        return torch.stack(logits, dim=1), torch.stack(weights, dim=1)  # [batch, query, n_target], [batch, query, key]
