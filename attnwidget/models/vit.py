"""A picture as a sequence of patches: a small vision transformer (Dosovitskiy et al. 2020, arXiv 2010.11929)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .multi_head import MultiHeadAttention


@dataclass(frozen=True)
class VitSizes:
    """The sizes of a vision transformer; the paper's letter in brackets.

    Args:
        n_classes: what a picture can be.
        n_patches: in a picture [N].
        patch_px: side of a patch [P], pixels.
        n_layers: encoder layers [L].
        n_heads: of each layer [k].
        d_model: of each token [D]; a multiple of n_heads.
        d_hidden: of each layer's MLP.
    """

    n_classes: int
    n_patches: int
    patch_px: int
    n_layers: int
    n_heads: int
    d_model: int
    d_hidden: int


class Layer(nn.Module):
    """One encoder layer: look around, then think; each adds to what was there.

    Source: Dosovitskiy et al. 2020, arXiv 2010.11929, equations 2 and 3; the attention is the Transformer's.
    """

    def __init__(self, sizes: VitSizes, *, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(sizes.d_model)
        self.attention = MultiHeadAttention(sizes.d_model, sizes.n_heads)
        self.mlp = nn.Sequential(
            nn.LayerNorm(sizes.d_model), nn.Linear(sizes.d_model, sizes.d_hidden), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(sizes.d_hidden, sizes.d_model),
        )  # fmt: skip

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return new tokens, float [batch, token, d_model], and weights, float [batch, head, query, key]."""
        normalized = self.norm(tokens)
        everything = torch.ones(1, 1, tokens.shape[1], dtype=torch.bool, device=tokens.device)  # [1, 1, key]
        read, weights = self.attention(normalized, normalized, seen=everything)
        tokens = tokens + read
        return tokens + self.mlp(tokens), weights


class VisionTransformer(nn.Module):
    """Patches and a class token, a few encoder layers, and a linear classifier on the class token.

    Differs from the paper: it is trained on the pictures alone, without other pictures before; and dropout is only
    inside the MLPs.

    Source: Dosovitskiy et al. 2020, arXiv 2010.11929, section 3.1, equations 1 and 4.
    """

    def __init__(self, sizes: VitSizes, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes = sizes
        self.patches = nn.Conv2d(1, sizes.d_model, kernel_size=sizes.patch_px, stride=sizes.patch_px)
        self.class_token = nn.Parameter(0.02 * torch.randn(sizes.d_model))
        self.places = nn.Parameter(0.3 * torch.randn(1 + sizes.n_patches, sizes.d_model))
        self.layers = nn.ModuleList(Layer(sizes, dropout=dropout) for _ in range(sizes.n_layers))
        self.norm = nn.LayerNorm(sizes.d_model)
        self.output = nn.Linear(sizes.d_model, sizes.n_classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Classify pictures.

        Args:
            images: float [batch, 1, row, column].

        Returns:
            Logits, float [batch, n_classes], and how the class token weighs the tokens in the last layer, the mean of
            its heads: float [batch, key], the class token itself first, then the patches row by row.
        """
        patches = self.patches(images).flatten(2).mT  # [batch, patch, d_model]
        first = self.class_token.expand(len(images), 1, -1)  # [batch, 1, d_model]
        tokens = torch.cat([first, patches], dim=1) + self.places  # [batch, token, d_model]
        for layer in self.layers:
            tokens, weights = layer(tokens)
        logits = self.output(self.norm(tokens[:, 0]))  # [batch, n_classes]
        return logits, weights[:, :, 0].mean(dim=1)  # [batch, key]
