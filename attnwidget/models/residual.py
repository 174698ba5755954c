"""Attention that is no softmax: a soft mask that multiplies features (Wang et al. 2017, arXiv 1704.06904)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ResidualSizes:
    """The sizes of a residual attention network.

    Args:
        n_classes: what a picture can be.
        n_channels: features of each pixel, in every layer.
    """

    n_classes: int
    n_channels: int


class ResidualUnit(nn.Module):
    """Two convolutions whose output is added to the input, each after normalisation and ReLU.

    Source: He et al. 2016, arXiv 1603.05027, figure 1b.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(n_channels), nn.ReLU(), nn.Conv2d(n_channels, n_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_channels), nn.ReLU(), nn.Conv2d(n_channels, n_channels, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape, float [batch, channel, row, column]."""
        new: Tensor = self.layers(features)
        return features + new


class MaskBranch(nn.Module):
    """See the picture coarsely, and say of each feature of each pixel how much it matters.

    Down by max-pooling, up by linear interpolation, two convolutions of one pixel, and a sigmoid for each number: the
    "mixed attention" of the paper.

    Source: Wang et al. 2017, arXiv 1704.06904, section 3.2 and equation 4.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.MaxPool2d(2), ResidualUnit(n_channels))
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.score = nn.Sequential(
            nn.BatchNorm2d(n_channels), nn.ReLU(), nn.Conv2d(n_channels, n_channels, 1, bias=False),
            nn.BatchNorm2d(n_channels), nn.ReLU(), nn.Conv2d(n_channels, n_channels, 1),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        """Return the mask, float [batch, channel, row, column] from 0 to 1, of features of that shape."""
        return torch.sigmoid(self.score(self.up(self.down(features))))


class ResidualAttention(nn.Module):
    """A trunk that sees and a mask that stresses; a mask of 0 leaves the trunk as it is.

    Source: Wang et al. 2017, arXiv 1704.06904, section 3.1, equation 3: H = (1 + M) T.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.trunk = ResidualUnit(n_channels)
        self.mask = MaskBranch(n_channels)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the stressed features and the mask, both float [batch, channel, row, column]."""
        mask = self.mask(features)
        return (1 + mask) * self.trunk(features), mask


class ResidualAttentionNetwork(nn.Module):
    """One attention module between a convolution and a linear classifier on the mean of all pixels.

    Differs from the paper: one module for its three stages, one unit in each of its branches, and no skip connection
    inside the mask branch, which goes down only once.

    Source: Wang et al. 2017, arXiv 1704.06904, figure 2.
    """

    def __init__(self, sizes: ResidualSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.first = nn.Conv2d(1, sizes.n_channels, 3, padding=1)
        self.attention = ResidualAttention(sizes.n_channels)
        self.last = nn.Sequential(ResidualUnit(sizes.n_channels), nn.BatchNorm2d(sizes.n_channels), nn.ReLU())
        self.output = nn.Linear(sizes.n_channels, sizes.n_classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Classify pictures.

        Args:
            images: float [batch, 1, row, column]; rows and columns are even.

        Returns:
            Logits, float [batch, n_classes], and the mean of the mask over its channels, float [batch, key], from 0
            to 1: a key is a pixel, row by row. Unlike weights after a softmax, a row does not sum to 1.
        """
        features, mask = self.attention(self.first(images))  # [batch, channel, row, column]
        logits = self.output(self.last(features).mean(dim=(2, 3)))  # [batch, n_classes]
        return logits, mask.mean(dim=1).flatten(1)  # [batch, key]
