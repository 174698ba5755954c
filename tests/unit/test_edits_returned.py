"""Weights on their way out of a module that were edited: returned, added up, or kept for their gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attnwidget as aw


class Returns(nn.Module):
    """Attention that returns its weights, and adds them up."""

    num_heads = 2

    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weights = nn.functional.dropout((q @ k.mT).flatten(0, 1).softmax(-1), 0.5, self.training)
        context = weights @ k.flatten(0, 1)
        return context, weights.view(*q.shape[:-1], -1), weights.sum(1)


def test_weights_that_a_module_returns_or_adds_up_are_edited() -> None:
    q, k = torch.randn(1, 2, 3, 4), torch.randn(1, 2, 5, 4)
    expected = (q[0] @ k[0].mT).softmax(-1)
    expected[1, 2] = 0
    with aw.record(model := Returns().eval(), edits=aw.Edit("ablate", head=1, query=2)) as trace:
        found = model(q, k)
    assert np.array_equal(trace.weights(), found[1][0])
    for it, other in zip(found, [expected @ k[0], expected[None], expected.sum(1)], strict=True):
        np.testing.assert_allclose(it, other, atol=1e-6)


def test_weights_that_keep_their_gradients_are_named_where_a_module_returns_them() -> None:
    q, model = torch.randn(1, 2, 3, 4, requires_grad=True), Returns().eval()
    with (
        pytest.warns(UserWarning, match="Returns weighs by its weights is edited, and what else"),
        aw.record(model, edits=aw.Edit("ablate", head=1)),
    ):
        context, weights, _ = model(q, q)
    assert not context[1].any()
    assert weights[0, 1].detach().all()
    (context.sum() + weights.square().sum()).backward()
    assert q.grad is not None
    assert q.grad.any()
