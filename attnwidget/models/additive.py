"""Additive attention: an encoder-decoder that looks back at its input (Bahdanau et al. 2014, arXiv 1409.0473)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .network import Network, words_in


@dataclass(frozen=True)
class Sizes:
    """The sizes of an additive network; the paper's letter in brackets.

    Args:
        n_source: source vocabulary [Kx].
        n_target: target vocabulary [Ky], the boundary mark at index 0 included.
        d_embed: word embeddings [m].
        d_encoder: each direction of the encoder [n]; an annotation has twice as many numbers.
        d_model: decoder state [n].
        d_align: hidden layer of the alignment model [n'].
        d_output: maxout layer before the softmax over words [l].
    """

    n_source: int
    n_target: int
    d_embed: int
    d_encoder: int
    d_model: int
    d_align: int
    d_output: int


class AdditiveAttention(nn.Module):
    """Score every key with a one-layer network, softmax, and average the keys.

    Source: Bahdanau et al. 2014, arXiv 1409.0473, section 3.1, equations 5 and 6; alignment model in A.1.2.
    """

    def __init__(self, *, d_query: int, d_key: int, d_align: int) -> None:
        super().__init__()
        self.query = nn.Linear(d_query, d_align, bias=False)
        self.key = nn.Linear(d_key, d_align, bias=False)
        self.score = nn.Linear(d_align, 1, bias=False)

    def forward(self, query: Tensor, *, keys: Tensor, hidden: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the context of each query and the weights that made it.

        Args:
            query: decoder states s_{i-1}, float [batch, query, d_query].
            keys: annotations h_j, float [batch, key, d_key].
            hidden: `self.key(keys)`, float [batch, key, d_align]; it is the same at every step, so A.1.2 computes it
                once a sentence.
            mask: bool [batch, key], true where there is a word; at least one in each row.

        Returns:
            The context c_i, float [batch, query, d_key], and the weights, float [batch, query, key]: dimensionless,
            exactly 0 on padding, rows sum to 1 over key.
        """
        pairs = self.query(query).unsqueeze(2) + hidden.unsqueeze(1)  # [batch, query, key, d_align]
        scores = self.score(torch.tanh(pairs)).squeeze(3)  # [batch, query, key]
        scores = scores.masked_fill(~mask.unsqueeze(1), float("-inf"))
        weights = torch.softmax(scores, dim=-1)
        return weights @ keys, weights  # [batch, query, d_key], [batch, query, key]


@dataclass(frozen=True)
class Memory:
    """What the encoder leaves for the decoder: keys, hidden and mask, as `AdditiveAttention` takes them."""

    keys: Tensor
    hidden: Tensor
    mask: Tensor


class AdditiveNetwork(Network[Memory, Tensor]):
    """Bidirectional GRU encoder, additive attention, GRU decoder.

    The keys are the words passed in and nothing else: no end mark is added to the source. The query of step i is
    s_{i-1}, the state before it (equation 6), so the attention is chosen before the step's input word is read.

    Differs from the paper in two ways: the GRU is torch's, whose reset gate acts after the product with the
    state, and training drops a share of the state that the output layer reads, so that the context must be read.

    Source: Bahdanau et al. 2014, arXiv 1409.0473: encoder A.2.1 (equation 7), decoder A.2.2.
    """

    def __init__(self, sizes: Sizes, *, dropout: float = 0.0) -> None:
        super().__init__()
        d_key = 2 * sizes.d_encoder
        self.sizes = sizes
        self.source_embedding = nn.Embedding(sizes.n_source, sizes.d_embed)
        self.target_embedding = nn.Embedding(sizes.n_target, sizes.d_embed)
        self.encoder = nn.GRU(sizes.d_embed, sizes.d_encoder, bidirectional=True, batch_first=True)
        self.initial = nn.Linear(sizes.d_encoder, sizes.d_model)
        self.attention = AdditiveAttention(d_query=sizes.d_model, d_key=d_key, d_align=sizes.d_align)
        self.decoder = nn.GRUCell(sizes.d_embed + d_key, sizes.d_model)
        self.dropout = nn.Dropout(dropout)
        self.maxout = nn.Linear(sizes.d_model + sizes.d_embed + d_key, 2 * sizes.d_output)
        self.output = nn.Linear(sizes.d_output, sizes.n_target)

    def encode(self, source: Tensor, *, lengths: Tensor) -> tuple[Memory, Tensor]:
        """Read the source in both directions.

        Args:
            source: word indices, int64 [batch, key]; what stands after a row's length is not read.
            lengths: words in each row, int64 [batch], at least 1.

        Returns:
            The memory, and the decoder's first state s_0 = tanh(W_s h_1 backward), float [batch, d_model] (A.2.2).
        """
        mask = words_in(lengths, n_keys=source.shape[1])  # [batch, key]
        embedded = self.source_embedding(source)  # [batch, key, d_embed]
        packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        annotations, last = self.encoder(packed)
        keys, _ = nn.utils.rnn.pad_packed_sequence(
            annotations, batch_first=True, total_length=source.shape[1]
        )  # [batch, key, d_key]
        state = torch.tanh(self.initial(last[1]))  # [batch, d_model]
        return Memory(keys=keys, hidden=self.attention.key(keys), mask=mask), state  # hidden: [batch, key, d_align]

    def step(self, previous: Tensor, *, state: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """Decode one word.

        Args:
            previous: the word before, y_{i-1}, int64 [batch]; `BOUNDARY` at the first step.
            state: s_{i-1}, float [batch, d_model].
            memory: what `encode` returned.

        Returns:
            Logits over target words, float [batch, n_target]; the new state s_i, float [batch, d_model]; and the
            weights of this step, float [batch, key].
        """
        context, weights = self.attention(
            state.unsqueeze(1), keys=memory.keys, hidden=memory.hidden, mask=memory.mask
        )  # [batch, 1, d_key], [batch, 1, key]
        context = context.squeeze(1)  # [batch, d_key]
        word = self.target_embedding(previous)  # [batch, d_embed]
        read = torch.cat([self.dropout(state), word, context], dim=1)  # [batch, d_model + d_embed + d_key]
        pieces = self.maxout(read).unflatten(1, (-1, 2)).amax(dim=2)  # [batch, d_output]
        logits = self.output(pieces)  # [batch, n_target]
        state = self.decoder(torch.cat([word, context], dim=1), state)  # [batch, d_model]
        return logits, state, weights.squeeze(1)  # weights: [batch, key]
