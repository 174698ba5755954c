"""A picture in words: a CNN sees, soft attention looks, a GRU tells (Xu et al. 2015, arXiv 1502.03044)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .additive import AdditiveAttention, Memory


@dataclass(frozen=True)
class CaptionSizes:
    """The sizes of a captioner; the paper's letter in brackets.

    Args:
        n_words: vocabulary [K], the boundary mark at index 0 included.
        n_keys: places in the grid of features [L].
        d_key: numbers in an annotation vector [D].
        d_model: decoder state [n].
        d_align: hidden layer of the alignment model.
        d_embed: word embeddings [m].
    """

    n_words: int
    n_keys: int
    d_key: int
    d_model: int
    d_align: int
    d_embed: int


class GridFeatures(nn.Module):
    """Three convolutions that see a picture as a grid of cells of 8 by 8 pixels."""

    def __init__(self, d_key: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, d_key // 2, kernel_size=3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(d_key // 2, d_key, kernel_size=3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(d_key, d_key, kernel_size=2, stride=2), nn.ReLU(),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of each cell, float [batch, d_key, row, column], of images, float [batch, 3, y, x]."""
        features: Tensor = self.layers(images)
        return features


class CaptionDecoder(nn.Module):
    """Tell what the keys hold, one word at a time, looking at them before each.

    Differs from the paper: a GRU for the LSTM, whose state is the query; no gate beta on the context (section 4.2.1);
    and no penalty that makes all places be looked at (equation 14), for most places here are empty.

    Source: Xu et al. 2015, arXiv 1502.03044: first state, section 3.1.2; attention, equations 4 to 6 and 13; words,
    equation 7.
    """

    def __init__(self, sizes: CaptionSizes, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(sizes.n_words, sizes.d_embed)
        self.initial = nn.Linear(sizes.d_key, sizes.d_model)
        self.attention = AdditiveAttention(d_query=sizes.d_model, d_key=sizes.d_key, d_align=sizes.d_align)
        self.cell = nn.GRUCell(sizes.d_embed + sizes.d_key, sizes.d_model)
        self.dropout = nn.Dropout(dropout)
        self.from_state = nn.Linear(sizes.d_model, sizes.d_embed, bias=False)
        self.from_context = nn.Linear(sizes.d_key, sizes.d_embed, bias=False)
        self.output = nn.Linear(sizes.d_embed, sizes.n_words)

    def begin(self, keys: Tensor) -> tuple[Memory, Tensor]:
        """Return the memory of annotations, float [batch, key, d_key], and the first state, float [batch, d_model]."""
        mask = torch.ones(keys.shape[:2], dtype=torch.bool, device=keys.device)  # [batch, key]
        state = torch.tanh(self.initial(keys.mean(dim=1)))  # [batch, d_model]
        return Memory(keys=keys, hidden=self.attention.key(keys), mask=mask), state

    def step(self, previous: Tensor, *, state: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """Look, then say one word.

        Args:
            previous: the word before, int64 [batch]; `BOUNDARY` at the first step.
            state: h_{t-1}, float [batch, d_model]; the query.
            memory: what `begin` returned.

        Returns:
            Logits over words, float [batch, n_words]; the new state h_t, float [batch, d_model]; and the weights,
            float [batch, key].
        """
        embedded = self.embedding(previous)  # [batch, d_embed]
        context, weights = self.attention(state.unsqueeze(1), keys=memory.keys, hidden=memory.hidden, mask=memory.mask)
        context = context.squeeze(1)  # [batch, d_key]
        state = self.cell(torch.cat([embedded, context], dim=1), state)  # [batch, d_model]
        logits = self.output(embedded + self.from_state(self.dropout(state)) + self.from_context(context))
        return logits, state, weights.squeeze(1)  # [batch, n_words], [batch, d_model], [batch, key]

    def forward(self, keys: Tensor, *, previous: Tensor) -> tuple[Tensor, Tensor]:
        """Tell with the right words given (teacher forcing).

        Args:
            keys: annotations, float [batch, key, d_key].
            previous: the caption shifted by one, `BOUNDARY` first, int64 [batch, query].

        Returns:
            Logits, float [batch, query, n_words], and weights, float [batch, query, key].
        """
        memory, state = self.begin(keys)
        logits, weights = [], []
        for column in previous.unbind(dim=1):
            step_logits, state, step_weights = self.step(column, state=state, memory=memory)
            logits.append(step_logits)
            weights.append(step_weights)
        return torch.stack(logits, dim=1), torch.stack(weights, dim=1)  # [batch, query, n_words], [batch, query, key]


class CaptionNetwork(nn.Module):
    """A CNN whose cells are the keys, and the decoder that looks at them.

    Differs from the paper: the CNN is trained here too, and each cell's place is added to its features.

    Source: Xu et al. 2015, arXiv 1502.03044, section 3.1.
    """

    def __init__(self, sizes: CaptionSizes, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes = sizes
        self.features = GridFeatures(sizes.d_key)
        self.places = nn.Parameter(0.5 * torch.randn(sizes.n_keys, sizes.d_key))
        self.decoder = CaptionDecoder(sizes, dropout=dropout)

    def keys(self, images: Tensor) -> Tensor:
        """Return the annotations, float [batch, key, d_key], of images, float [batch, 3, y, x]; keys row by row."""
        features: Tensor = self.features(images)  # [batch, d_key, row, column]
        return features.flatten(2).mT + self.places

    def forward(self, images: Tensor, *, previous: Tensor) -> tuple[Tensor, Tensor]:
        """Tell with the right words given; as `CaptionDecoder.forward`."""
        logits, weights = self.decoder(self.keys(images), previous=previous)
        return logits, weights
