"""Positions of edits where a decoder that keeps its keys reads in parts: those of the trace, and of a whole pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attnwidget as aw


class Cached(nn.Module):
    """A decoder that keeps its keys and reads in parts, the first of them by a causal kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = torch.zeros(1, 2, 0, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        n_past, n_new = self.kept.shape[2], tokens.shape[2]
        self.kept = torch.cat([self.kept, tokens], dim=2)
        seen = torch.ones(n_new, n_past + n_new, dtype=torch.bool).tril(n_past) if n_past else None
        return nn.functional.scaled_dot_product_attention(tokens, self.kept, self.kept, seen, is_causal=not n_past)


@pytest.mark.parametrize("parts", [[9], [4, 5], [4, 3, 1, 1], [4, 1, 1, 1, 1, 1]], ids=str)
def test_a_position_is_that_of_the_trace_however_a_decoder_reads(parts: list[int]) -> None:
    tokens = torch.randn(1, 2, sum(parts), 4)
    seen = torch.ones(9, 9).tril()
    expected = (tokens[0] @ tokens[0].mT / 2).masked_fill(seen == 0, -torch.inf).softmax(-1)
    expected[1, 2], expected[1, 5], expected[1, 8] = 0, seen[5] / 6, 0
    edits = [aw.Edit("ablate", head=1, query=[2, 8]), aw.Edit("mean", head=1, query=5)]
    with aw.record(model := Cached(), edits=edits) as trace:
        outputs = [model(part) for part in tokens.split(parts, dim=2)]
    np.testing.assert_allclose(trace.weights(), expected, atol=1e-6)
    np.testing.assert_allclose(torch.cat(outputs, dim=2)[0], expected @ tokens[0], atol=1e-6)


class Shared(nn.Module):
    """A decoder of two layers that share one module, and keep their keys."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.kept = Softmax(), [torch.zeros(1, 2, 0, 4)] * 2

    def forward(self, tokens: Tensor) -> Tensor:
        for layer, kept in enumerate(self.kept):
            self.kept[layer] = torch.cat([kept, tokens], dim=2)
            tokens = self.attention(tokens, self.kept[layer])
        return tokens


class Softmax(nn.Module):
    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        seen = torch.ones(q.shape[2], k.shape[2]).tril(k.shape[2] - q.shape[2])
        return (q @ k.mT).masked_fill(seen == 0, -torch.inf).softmax(-1) @ k


@pytest.mark.parametrize("edits", [(), aw.Edit("ablate", site="attention#2", head=1, query=[1, 4])], ids=["", "edited"])
def test_rows_of_layers_that_share_a_module_stay_apart(edits: Any) -> None:  # noqa: ANN401
    tokens = torch.randn(1, 2, 6, 4)
    with aw.record(model := Shared(), edits=edits) as whole:
        model(tokens)
    with aw.record(model := Shared(), edits=edits) as trace:
        for part in tokens.split([4, 1, 1], dim=2):
            model(part)
    assert [site.name for site in trace.sites] == ["attention", "attention#2"]
    for site in whole.sites:
        np.testing.assert_allclose(trace.weights(site.name), whole.weights(site), atol=1e-5)
