"""A pointer network: the weights are the output (Vinyals et al. 2015, arXiv 1506.03134)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .network import words_in


@dataclass(frozen=True)
class PointerSizes:
    """The sizes of a pointer network.

    Args:
        n_words: vocabulary of the inputs.
        d_embed: embeddings of the inputs.
        d_model: encoder and decoder state; each direction of the encoder has half of it.
    """

    n_words: int
    d_embed: int
    d_model: int


class Pointer(nn.Module):
    """Score every input with a one-layer network and softmax: a probability for each input to be the next output.

    Nothing is averaged and nothing is read through the weights.

    Source: Vinyals et al. 2015, arXiv 1506.03134, section 2.3, equation 3 and the line after it.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.key = nn.Linear(d_model, d_model, bias=False)  # W_1
        self.query = nn.Linear(d_model, d_model, bias=False)  # W_2
        self.score = nn.Linear(d_model, 1, bias=False)  # v

    def forward(self, queries: Tensor, *, keys: Tensor, mask: Tensor) -> Tensor:
        """Return the weights, float [batch, query, key]: dimensionless, 0 on padding, rows sum to 1 over key.

        Args:
            queries: decoder states d_i, float [batch, query, d_model].
            keys: encoder states e_j, float [batch, key, d_model].
            mask: bool [batch, key], true where there is an input; at least one in each row.
        """
        pairs = self.key(keys).unsqueeze(1) + self.query(queries).unsqueeze(2)  # [batch, query, key, d_model]
        scores = self.score(torch.tanh(pairs)).squeeze(3)  # u^i_j: [batch, query, key]
        return torch.softmax(scores.masked_fill(~mask.unsqueeze(1), float("-inf")), dim=-1)  # [batch, query, key]


class Memory(NamedTuple):
    """What the encoder leaves: embeddings, float [batch, key, d_embed]; keys and mask, as `Pointer` takes them."""

    embedded: Tensor
    keys: Tensor
    mask: Tensor


class State(NamedTuple):
    """The decoder's: hidden and cell, float [batch, d_model]."""

    hidden: Tensor
    cell: Tensor


class PointerNetwork(nn.Module):
    """LSTM encoder, LSTM decoder, and a pointer from each decoder state to the inputs.

    Each step reads the input that was pointed to before, and the first a learned start. There is no end mark: an order
    of n inputs takes n steps. Nothing forbids to point to an input twice.

    Differs from the paper in that the encoder reads in both directions.

    Source: Vinyals et al. 2015, arXiv 1506.03134, section 2.3.
    """

    def __init__(self, sizes: PointerSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.embedding = nn.Embedding(sizes.n_words, sizes.d_embed)
        self.start = nn.Parameter(torch.zeros(sizes.d_embed))
        self.encoder = nn.LSTM(sizes.d_embed, sizes.d_model // 2, bidirectional=True, batch_first=True)
        self.decoder = nn.LSTMCell(sizes.d_embed, sizes.d_model)
        self.pointer = Pointer(sizes.d_model)

    def encode(self, source: Tensor, *, lengths: Tensor) -> tuple[Memory, State]:
        """Read the inputs.

        Args:
            source: word indices, int64 [batch, key]; what stands after a row's length is not read.
            lengths: inputs in each row, int64 [batch], at least 1.

        Returns:
            The memory, and the decoder's first state: the last ones of both directions.
        """
        embedded = self.embedding(source)  # [batch, key, d_embed]
        packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, (hidden, cell) = self.encoder(packed)
        keys, _ = nn.utils.rnn.pad_packed_sequence(
            states, batch_first=True, total_length=source.shape[1]
        )  # [batch, key, d_model]
        mask = words_in(lengths, n_keys=source.shape[1])  # [batch, key]
        first = State(torch.cat([*hidden], dim=1), torch.cat([*cell], dim=1))  # [batch, d_model] each
        return Memory(embedded, keys, mask), first

    def step(self, previous: Tensor | None, *, state: State, memory: Memory) -> tuple[State, Tensor]:
        """Point once.

        Args:
            previous: index of the input that was pointed to before, int64 [batch]; None at the first step.
            state: of the step before.
            memory: what `encode` returned.

        Returns:
            The new state, and the weights of this step, float [batch, key].
        """
        if previous is None:
            read = self.start.expand(len(state.hidden), -1)  # [batch, d_embed]
        else:
            read = _pointed(memory.embedded, previous.unsqueeze(1)).squeeze(1)  # [batch, d_embed]
        state = State(*self.decoder(read, state))
        weights = self.pointer(state.hidden.unsqueeze(1), keys=memory.keys, mask=memory.mask)  # [batch, 1, key]
        return state, weights.squeeze(1)  # [batch, key]

    def forward(self, source: Tensor, *, lengths: Tensor, order: Tensor) -> Tensor:
        """Point with the right order given (teacher forcing).

        Args:
            source: word indices, int64 [batch, key].
            lengths: inputs in each row, int64 [batch].
            order: where to point at each step, int64 [batch, query].

        Returns:
            The weights, float [batch, query, key].
        """
        memory, state = self.encode(source, lengths=lengths)
        start = self.start.expand(len(source), 1, -1)
        read = torch.cat([start, _pointed(memory.embedded, order[:, :-1])], dim=1)  # [batch, query, d_embed]
        queries: list[Tensor] = []
        for column in read.unbind(dim=1):
            state = State(*self.decoder(column, state))
            queries.append(state.hidden)
        weights: Tensor = self.pointer(torch.stack(queries, dim=1), keys=memory.keys, mask=memory.mask)
        return weights  # [batch, query, key]


def _pointed(embedded: Tensor, places: Tensor) -> Tensor:
    return embedded.gather(1, places.unsqueeze(2).expand(-1, -1, embedded.shape[2]))  # [batch, query, d_embed]
