"""Attention inside blocks of a sequence, which stand as heads or as examples: words say so."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import attnwidget as aw

N_BLOCKS, WIDTH, N_HEADS, D_HEAD = 3, 4, 2, 5
SHAPE = (1, N_BLOCKS, WIDTH, N_HEADS, D_HEAD)


class Blocks(nn.Module):
    def __init__(self, *, as_examples: bool, fused: bool) -> None:
        super().__init__()
        self.as_examples, self.fused = as_examples, fused

    def forward(self, x: Tensor) -> Tensor:
        q = x.view(SHAPE).transpose(2, 3)  # [batch, block, head, token, d_head]
        q = q.flatten(0, 1) if self.as_examples else q
        y = F.scaled_dot_product_attention(q, q, q) if self.fused else (q @ q.mT).softmax(-1) @ q
        return y.view(1, N_BLOCKS, N_HEADS, WIDTH, D_HEAD).transpose(2, 3).reshape(x.shape)


X = torch.randn(1, N_BLOCKS * WIDTH, N_HEADS * D_HEAD, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("fused", [True, False])
def test_blocks_that_stand_as_heads_are_named(fused: bool) -> None:
    model = Blocks(as_examples=False, fused=fused)
    says = r"Blocks attends in 3 × 2 maps, which are shown as 6 heads\. .*blocks"
    with pytest.warns(UserWarning, match=says), aw.record(model) as trace:
        model(X)
    assert trace.sites[0].n_heads == N_BLOCKS * N_HEADS


@pytest.mark.parametrize("fused", [True, False])
def test_blocks_that_stand_as_examples_are_named(fused: bool) -> None:
    model = Blocks(as_examples=True, fused=fused)
    says = r"3 examples came where the model read 1\. If they are blocks"
    with pytest.raises(aw.CaptureError, match=f"example=0.*{says}"), aw.record(model):
        model(X)
    with pytest.warns(UserWarning, match=says), aw.record(model, example=1) as trace:
        model(X)
    assert trace.weights().shape == (N_HEADS, WIDTH, WIDTH)


def test_tokens_of_a_whole_sequence_do_not_fit_its_blocks() -> None:
    model = Blocks(as_examples=False, fused=True)
    sentence = r"4 keys but strip 'source' has 12 tokens.*blocks of 4\?"
    with pytest.raises(ValueError, match=sentence), aw.record(model, source=[*"abcdefghijkl"]):
        model(X)


def test_a_batch_that_is_one_is_no_matter_of_blocks() -> None:
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    x = torch.randn(3, 5, 4)
    with pytest.raises(aw.CaptureError) as error, aw.record(layer):
        layer(x, x, x)
    assert "blocks" not in str(error.value)
