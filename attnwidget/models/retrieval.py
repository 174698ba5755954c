"""A sentence finds its picture: two towers, and each word looks at the regions (Lee et al. 2018, arXiv 1803.08024)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .captioner import GridFeatures

SHARPNESS = 9.0  # of the weights: lambda_1 of the paper
SCALE = 20.0  # of the matches, where probabilities are made of them


@dataclass(frozen=True)
class RetrievalSizes:
    """The sizes of the two towers.

    Args:
        n_words: vocabulary.
        n_keys: regions of a picture; a square number.
        d_embed: word embeddings.
        d_key: features of a region.
        d_joint: the space in which words and regions meet.
    """

    n_words: int
    n_keys: int
    d_embed: int
    d_key: int
    d_joint: int


class StackedCrossAttention(nn.Module):
    """Each word looks at the regions that resemble it, and what it saw is compared with it.

    Source: Lee et al. 2018, arXiv 1803.08024, section 3.1, text-image, pooled by the average.
    """

    def similarities(self, words: Tensor, *, regions: Tensor) -> Tensor:
        """Return the cosines of words and regions, negative ones cut off, normalized over the words.

        Args:
            words: float [..., word, d_joint], of length 1 each.
            regions: float [..., key, d_joint], of length 1 each.

        Returns:
            float [..., word, key], from 0 to 1; over the words, the squares sum to 1.
        """
        cosines = (words @ regions.mT).relu()  # [..., word, key]
        return nn.functional.normalize(cosines, dim=-2)

    def forward(self, similarities: Tensor, *, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each word saw, float [..., word, d_joint], and its weights, float [..., word, key]."""
        weights = torch.softmax(SHARPNESS * similarities, dim=-1)
        return weights @ regions, weights


class RetrievalNetwork(nn.Module):
    """A tower for pictures, a tower for sentences, and how well a pair matches.

    Differs from the paper: small towers that are trained here; a region is a cell of a grid, which knows its
    surroundings by one convolution over the whole grid, so that a region can know what is left of it. Training tells
    the right picture from all others of the batch by cross-entropy, for the paper's triplet loss with the hardest
    negative (section 3.2) does not get going from nothing.

    Source: Lee et al. 2018, arXiv 1803.08024: regions, section 3.3; words, section 3.4; matching, section 3.1.
    """

    def __init__(self, sizes: RetrievalSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.features = GridFeatures(sizes.d_key)
        side = int(sizes.n_keys**0.5)
        self.surroundings = nn.Conv2d(sizes.d_key, sizes.d_key, 2 * side - 1, padding=side - 1, groups=sizes.d_key)
        self.region = nn.Linear(2 * sizes.d_key, sizes.d_joint)
        self.embedding = nn.Embedding(sizes.n_words, sizes.d_embed)
        self.encoder = nn.GRU(sizes.d_embed, sizes.d_joint, bidirectional=True, batch_first=True)
        self.attention = StackedCrossAttention()

    def see(self, images: Tensor) -> Tensor:
        """Return the regions of pictures, float [batch, key, d_joint], row by row; each has length 1.

        Args:
            images: float [batch, 3, y, x].
        """
        features = self.features(images)  # [batch, d_key, row, column]
        both = torch.cat([features, self.surroundings(features).relu()], dim=1)  # [batch, 2 * d_key, row, column]
        return nn.functional.normalize(self.region(both.flatten(2).mT), dim=-1)

    def read(self, sentences: Tensor) -> Tensor:
        """Return the words in their sentence, float [batch, word, d_joint]; each has length 1.

        Args:
            sentences: word indices, int64 [batch, word].
        """
        both, _ = self.encoder(self.embedding(sentences))  # [batch, word, 2 * d_joint]
        forth, back = both.chunk(2, dim=-1)
        return nn.functional.normalize((forth + back) / 2, dim=-1)

    def forward(self, words: Tensor, *, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Match every sentence with every picture.

        Args:
            words: float [sentence, word, d_joint].
            regions: float [picture, key, d_joint].

        Returns:
            How well they match, float [sentence, picture], from -1 to 1; and the weights, float [sentence, picture,
            word, key].
        """
        words, regions = words.unsqueeze(1), regions.unsqueeze(0)
        seen, weights = self.attention(self.attention.similarities(words, regions=regions), regions=regions)
        return nn.functional.cosine_similarity(words, seen, dim=-1).mean(dim=-1), weights
