"""Luong attention: read a word, then look back at the input (Luong et al. 2015, arXiv 1508.04025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .network import Network, words_in
from .scores import SCORES
from .windows import Global, Monotonic, Predictive


@dataclass(frozen=True)
class LuongSizes:
    """The sizes of a Luong network, and which of the paper's variants it is.

    Args:
        n_source: source vocabulary.
        n_target: target vocabulary, the boundary mark at index 0 included.
        d_embed: word embeddings.
        d_model: decoder state; an encoder state has as many numbers, half of them from each direction.
        score: "dot", "general" or "concat" (section 3.1).
        window: "global" (section 3.1), "local-m" or "local-p" (section 3.2).
        d_window: D, words seen on each side of p_t, at least 1; of local windows only.
        feeding: whether the decoder also reads what it attended to before (section 3.3).
    """

    n_source: int
    n_target: int
    d_embed: int
    d_model: int
    score: str = "general"
    window: str = "global"
    d_window: int = 2
    feeding: bool = False


class LuongAttention(nn.Module):
    """Score the keys, softmax over those in the window, and average the keys.

    With local-p the weights are multiplied by a Gaussian and, as in the paper, not divided by their sum again.

    Source: Luong et al. 2015, arXiv 1508.04025, sections 3.1 and 3.2, equations 7 and 10.
    """

    def __init__(self, sizes: LuongSizes) -> None:
        super().__init__()
        if sizes.score not in SCORES:
            raise ValueError(f"score is {sizes.score!r}: expected {', '.join(map(repr, SCORES))}.")
        if sizes.d_window < 1:
            raise ValueError(f"d_window is {sizes.d_window}: expected 1 or more, so that something is always seen.")
        self.score = SCORES[sizes.score](sizes.d_model)
        self.window: Global | Monotonic | Predictive
        if sizes.window == "global":
            self.window = Global()
        elif sizes.window == "local-m":
            self.window = Monotonic(sizes.d_window)
        elif sizes.window == "local-p":
            self.window = Predictive(sizes.d_model, sizes.d_window)
        else:
            raise ValueError(f"window is {sizes.window!r}: expected 'global', 'local-m' or 'local-p'.")

    def forward(self, queries: Tensor, *, keys: Tensor, mask: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return the context of each query and the weights that made it.

        Args:
            queries: decoder states h_t, float [batch, query, d_model].
            keys: encoder states h_s, float [batch, key, d_model].
            mask: bool [batch, key], true where there is a word; at least one in each row.
            step: t of the first query, from 0.

        Returns:
            The context c_t, float [batch, query, d_model], and the weights a_t, float [batch, query, key]:
            dimensionless, exactly 0 on padding and outside the window; rows sum to 1 over key, with local-p to 1 at
            most.
        """
        scores = self.score(queries, keys)  # [batch, query, key]
        seen, nearness = self.window(queries, mask=mask, step=step)
        weights = torch.softmax(scores.masked_fill(~seen, float("-inf")), dim=-1) * nearness  # [batch, query, key]
        return weights @ keys, weights  # [batch, query, d_model], [batch, query, key]


class Memory(NamedTuple):
    """What the encoder leaves for the decoder: keys and mask, as `LuongAttention` takes them."""

    keys: Tensor
    mask: Tensor


class State(NamedTuple):
    """Of a step: h_t and the attentional state h~_t, float [batch, d_model], and how many steps have been."""

    hidden: Tensor
    attentional: Tensor
    n_steps: int


class LuongNetwork(Network[Memory, State]):
    """Bidirectional GRU encoder, GRU decoder, attention after it.

    The query of step t is h_t, the state after the word y_{t-1} was read; Bahdanau's is the state before. The keys are
    the words passed in and nothing else: no end mark is added to the source.

    Differs from the paper in the recurrent layers, which are four stacked LSTMs there that read the source backwards;
    in a bias of W_s; and in that training drops a share of h_t before equation 5, so that the context must be read.

    Source: Luong et al. 2015, arXiv 1508.04025, section 3, equations 5 and 6.
    """

    def __init__(self, sizes: LuongSizes, *, dropout: float = 0.0) -> None:
        super().__init__()
        d_read = sizes.d_embed + sizes.d_model * sizes.feeding
        self.sizes = sizes
        self.source_embedding = nn.Embedding(sizes.n_source, sizes.d_embed)
        self.target_embedding = nn.Embedding(sizes.n_target, sizes.d_embed)
        self.encoder = nn.GRU(sizes.d_embed, sizes.d_model // 2, bidirectional=True, batch_first=True)
        self.decoder = nn.GRUCell(d_read, sizes.d_model)
        self.attention = LuongAttention(sizes)
        self.dropout = nn.Dropout(dropout)
        self.combine = nn.Linear(2 * sizes.d_model, sizes.d_model, bias=False)  # W_c
        self.output = nn.Linear(sizes.d_model, sizes.n_target)  # W_s

    def encode(self, source: Tensor, *, lengths: Tensor) -> tuple[Memory, State]:
        """Read the source in both directions; the decoder goes on from the last state of each.

        Args:
            source: word indices, int64 [batch, key]; what stands after a row's length is not read.
            lengths: words in each row, int64 [batch], at least 1.
        """
        embedded = self.source_embedding(source)  # [batch, key, d_embed]
        packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, last = self.encoder(packed)
        keys, _ = nn.utils.rnn.pad_packed_sequence(
            states, batch_first=True, total_length=source.shape[1]
        )  # [batch, key, d_model]
        hidden = torch.cat([last[0], last[1]], dim=1)  # [batch, d_model]
        mask = words_in(lengths, n_keys=source.shape[1])  # [batch, key]
        return Memory(keys, mask), State(hidden, torch.zeros_like(hidden), 0)

    def step(self, previous: Tensor, *, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        """Decode one word.

        Args:
            previous: the word before, y_{t-1}, int64 [batch]; `BOUNDARY` at the first step.
            state: of the step before.
            memory: what `encode` returned.

        Returns:
            Logits over target words, float [batch, n_target]; the new state; and the weights of this step, float
            [batch, key].
        """
        word = self.target_embedding(previous)  # [batch, d_embed]
        read = torch.cat([word, state.attentional], dim=1) if self.sizes.feeding else word  # [batch, d_read]
        hidden = self.decoder(read, state.hidden)  # h_t: [batch, d_model]
        context, weights = self.attention(
            hidden.unsqueeze(1), keys=memory.keys, mask=memory.mask, step=state.n_steps
        )  # [batch, 1, d_model], [batch, 1, key]
        both = torch.cat([context.squeeze(1), self.dropout(hidden)], dim=1)  # [c_t; h_t]: [batch, 2 d_model]
        attentional = torch.tanh(self.combine(both))  # h~_t: [batch, d_model]
        logits = self.output(attentional)  # [batch, n_target]
        return logits, State(hidden, attentional, state.n_steps + 1), weights.squeeze(1)  # weights: [batch, key]
