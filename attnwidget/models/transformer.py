"""The Transformer, encoder and decoder, written out (Vaswani et al. 2017, arXiv 1706.03762)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .multi_head import MultiHeadAttention
from .network import Network, words_in


@dataclass(frozen=True)
class TransformerSizes:
    """The sizes of a Transformer; the paper's letter in brackets.

    Args:
        n_source: source vocabulary.
        n_target: target vocabulary, the boundary mark at index 0 included.
        d_model: every vector between layers; even, and a multiple of n_heads.
        d_hidden: hidden layer of the feed-forward networks [d_ff].
        n_heads: of each attention [h].
        n_layers: of the encoder, and of the decoder [N].
    """

    n_source: int
    n_target: int
    d_model: int
    d_hidden: int
    n_heads: int
    n_layers: int


class FeedForward(nn.Sequential):
    """A network with one hidden layer, the same at each position. Source: section 3.3, equation 2."""

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__(nn.Linear(sizes.d_model, sizes.d_hidden), nn.ReLU(), nn.Linear(sizes.d_hidden, sizes.d_model))


class EncoderLayer(nn.Module):
    """Self-attention, then a feed-forward network; each is added to its input and normalized. Source: section 3.1."""

    def __init__(self, sizes: TransformerSizes, *, dropout: float) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(sizes.d_model, sizes.n_heads)
        self.feed_forward = FeedForward(sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(sizes.d_model) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, *, seen: Tensor) -> Tensor:
        """Return float [batch, key, d_model] for the same; `seen` is bool [batch, 1, key]."""
        x = self.norms[0](x + self.dropout(self.self_attention(x, x, seen=seen)[0]))
        encoded: Tensor = self.norms[1](x + self.dropout(self.feed_forward(x)))
        return encoded


class DecoderLayer(nn.Module):
    """Self-attention to what was said, attention to the source, and a feed-forward network. Source: section 3.1."""

    def __init__(self, sizes: TransformerSizes, *, dropout: float) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(sizes.d_model, sizes.n_heads)
        self.cross_attention = MultiHeadAttention(sizes.d_model, sizes.n_heads)
        self.feed_forward = FeedForward(sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(sizes.d_model) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, *, said: Tensor, keys: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return float [batch, query, d_model] for the same, and the weights on the source.

        Args:
            x: float [batch, query, d_model].
            said: which query sees which earlier one, bool [1, query, query].
            keys: the encoded source, float [batch, key, d_model].
            seen: bool [batch, 1, key].
        """
        x = self.norms[0](x + self.dropout(self.self_attention(x, x, seen=said)[0]))
        read, weights = self.cross_attention(x, keys, seen=seen)  # weights: [batch, head, query, key]
        x = self.norms[1](x + self.dropout(read))
        return self.norms[2](x + self.dropout(self.feed_forward(x))), weights


class Memory(NamedTuple):
    """What the encoder leaves for the decoder: keys, float [batch, key, d_model]; seen, bool [batch, 1, key]."""

    keys: Tensor
    seen: Tensor


class TransformerNetwork(Network[Memory, Tensor]):
    """Encoder and decoder of attention alone. The state of the decoder is what it has read so far.

    The weights of a step are those of the last decoder layer's attention to the source, the mean of its heads. Each
    step runs the decoder anew over all that was read; nothing is cached. The target words serve as embeddings and, on
    the way out, as the last layer (section 3.4); the source has its own, since its words are others.

    Source: Vaswani et al. 2017, arXiv 1706.03762; positions are sinusoidal (section 3.5).
    """

    def __init__(self, sizes: TransformerSizes, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes = sizes
        self.source_embedding = nn.Embedding(sizes.n_source, sizes.d_model)
        self.target_embedding = nn.Embedding(sizes.n_target, sizes.d_model)
        for embedding in (self.source_embedding, self.target_embedding):
            nn.init.normal_(embedding.weight, std=sizes.d_model**-0.5)
        self.encoder = nn.ModuleList(EncoderLayer(sizes, dropout=dropout) for _ in range(sizes.n_layers))
        self.decoder = nn.ModuleList(DecoderLayer(sizes, dropout=dropout) for _ in range(sizes.n_layers))
        self.dropout = nn.Dropout(dropout)

    def encode(self, source: Tensor, *, lengths: Tensor) -> tuple[Memory, Tensor]:
        """Read the source; every word sees every other, and no padding.

        Args:
            source: word indices, int64 [batch, key].
            lengths: words in each row, int64 [batch], at least 1.

        Returns:
            The memory, and what the decoder has read: nothing, int64 [batch, 0].
        """
        seen = words_in(lengths, n_keys=source.shape[1]).unsqueeze(1)  # [batch, 1, key]
        x = self._embed(source, self.source_embedding)  # [batch, key, d_model]
        for layer in self.encoder:
            x = layer(x, seen=seen)
        return Memory(x, seen), source[:, :0]  # state: [batch, 0]

    def step(self, previous: Tensor, *, state: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """Decode one word.

        Args:
            previous: the word before, int64 [batch]; `BOUNDARY` at the first step.
            state: the words before it, int64 [batch, query - 1].
            memory: what `encode` returned.

        Returns:
            Logits over target words, float [batch, n_target]; the words that were read, int64 [batch, query]; and the
            weights of this step, float [batch, key].
        """
        read = torch.cat([state, previous.unsqueeze(1)], dim=1)  # [batch, query]
        logits, weights = self.decode(read, memory=memory)
        return logits[:, -1], read, weights[:, -1]

    def decode(self, read: Tensor, *, memory: Memory) -> tuple[Tensor, Tensor]:
        """Return logits and weights after each word that was read; each sees itself and those before it.

        Args:
            read: `BOUNDARY` and the words so far, int64 [batch, query].
            memory: what `encode` returned.

        Returns:
            Logits, float [batch, query, n_target], and weights, float [batch, query, key].
        """
        n_queries = read.shape[1]
        said = torch.ones(1, n_queries, n_queries, dtype=torch.bool, device=read.device).tril()  # [1, query, query]
        x = self._embed(read, self.target_embedding)  # [batch, query, d_model]
        for layer in self.decoder:
            x, weights = layer(x, said=said, keys=memory.keys, seen=memory.seen)
        logits = x @ self.target_embedding.weight.T  # [batch, query, n_target]
        return logits, weights.mean(dim=1)  # weights: [batch, query, key]

    def forward(self, source: Tensor, *, lengths: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        """Decode with the right words given, all steps at once; shapes as in `Network.forward`."""
        memory, _ = self.encode(source, lengths=lengths)
        return self.decode(previous, memory=memory)

    def _embed(self, words: Tensor, embedding: nn.Embedding) -> Tensor:
        d_model = self.sizes.d_model
        places = sinusoids(words.shape[1], d_model=d_model).to(words.device)  # [position, d_model]
        vectors: Tensor = self.dropout(embedding(words) * d_model**0.5 + places)  # [batch, position, d_model]
        return vectors


def sinusoids(n_positions: int, *, d_model: int) -> Tensor:
    """Return a vector for each position, float [position, d_model]: sines and cosines of d_model / 2 wavelengths.

    Raises:
        ValueError: d_model is odd.

    Source: section 3.5; even entries are sines and odd ones cosines.
    """
    if d_model % 2:
        raise ValueError(f"d_model is {d_model}: expected an even number, a sine and a cosine for each wavelength.")
    positions = torch.arange(n_positions).unsqueeze(1)  # [position, 1]
    angles = positions / 10_000 ** (torch.arange(0, d_model, 2) / d_model)  # [position, d_model / 2]
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)  # [position, d_model]
