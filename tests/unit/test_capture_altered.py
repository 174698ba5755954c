"""Weights that are made without a softmax, or changed behind it, are recorded as they are used."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import attnwidget as aw

N_EXAMPLES, N_HEADS, N_QUERIES, N_KEYS, D_HEAD = 2, 3, 4, 5, 6
SCORES, OTHERS = torch.randn(2, N_EXAMPLES, N_HEADS, N_QUERIES, N_KEYS, generator=torch.Generator().manual_seed(0))
VALUES = torch.randn(N_EXAMPLES, N_HEADS, N_KEYS, D_HEAD, generator=torch.Generator().manual_seed(1))
SEEN = torch.ones(N_QUERIES, N_KEYS).tril(1)


class Altered(nn.Module):
    """Attention that keeps what it weighs with.

    Args:
        attend: gets the module, scores [batch, head, query, key] and values [batch, head, key, d_head]; calls `use`
            with [batch, head, query, key].
        n_heads: how many heads it tells of; None where it tells nothing.
    """

    def __init__(self, attend: Callable[[Altered, Tensor, Tensor], Tensor], n_heads: int | None = N_HEADS) -> None:
        super().__init__()
        if n_heads is not None:
            self.n_heads = n_heads
        self.attend = attend
        generator = torch.Generator().manual_seed(2)
        self.mix = nn.Parameter(torch.rand(N_HEADS, N_HEADS, generator=generator))
        self.layer = nn.Linear(N_KEYS, D_HEAD)
        self.used = torch.empty(0)

    def use(self, weights: Tensor) -> Tensor:
        self.used = weights.detach().clone()
        return weights

    def forward(self, scores: Tensor, values: Tensor) -> Tensor:
        return self.attend(self, scores, values)


def _divided(m: Altered, positive: Tensor, values: Tensor) -> Tensor:
    return m.use(positive / positive.sum(-1, keepdim=True)) @ values


def _sparsemax(scores: Tensor) -> Tensor:
    """Martins and Astudillo 2016, arXiv 1602.02068, algorithm 1."""
    ordered = scores.sort(-1, descending=True).values
    totals, ranks = ordered.cumsum(-1), torch.arange(1, N_KEYS + 1)
    last = (1 + ranks * ordered > totals).sum(-1, keepdim=True)
    return (scores - (totals.gather(-1, last - 1) - 1) / last).clamp(min=0)


def _interpolated(m: Altered, scores: Tensor, values: Tensor) -> Tensor:
    weights = 0.6 * scores.softmax(-1) + 0.4 * F.one_hot(torch.tensor(1), N_KEYS)
    weights = (0.5 * weights + 0.5 * weights.roll(1, -1)) ** 1.5
    return m.use(weights / (weights.sum(-1, keepdim=True) + 1e-16)) @ values


def _in_place(m: Altered, scores: Tensor, values: Tensor) -> Tensor:
    weights = scores.exp()
    weights *= SEEN
    weights /= weights.sum(-1, keepdim=True)
    return m.use(weights) @ values


def _heads_talk(m: Altered, scores: Tensor, values: Tensor) -> Tensor:
    return m.use(F.linear(scores.softmax(-1).permute(0, 2, 3, 1), m.mix).permute(0, 3, 1, 2)) @ values


def _heads_talk_by_convolution(m: Altered, scores: Tensor, values: Tensor) -> Tensor:
    return m.use(F.conv2d(scores.softmax(-1), m.mix[:, :, None, None])) @ values


def _last_axis_heads(m: Altered, scores: Tensor, values: Tensor) -> Tensor:
    return m.use(scores.permute(0, 2, 3, 1).softmax(2).permute(0, 3, 1, 2)) @ values


def _windowed_behind_a_move(m: Altered, scores: Tensor, values: Tensor) -> Tensor:
    weights = scores.softmax(-1).permute(0, 2, 1, 3) * SEEN[:, None]
    return m.use(weights.permute(0, 2, 1, 3)) @ values


def _without_sink(m: Altered, scores: Tensor, values: Tensor) -> Tensor:
    sink = torch.ones(N_EXAMPLES, N_HEADS, N_QUERIES, 1)
    return m.use(torch.cat([scores, sink], -1).softmax(-1)[..., :-1]) @ values


def _head_by_head(m: Altered, scores: Tensor, values: Tensor) -> Tensor:
    return m.use(torch.stack([scores[:, head].softmax(-1) for head in range(N_HEADS)], 1)) @ values


def _two_maps(m: Altered, scores: Tensor, values: Tensor) -> Tensor:
    both = torch.cat([scores.softmax(-1) * 0.5, OTHERS.softmax(-1) * 0.5], dim=-1)
    return m.use(both) @ torch.cat([values, values], 2)


MADE: dict[str, Callable[[Altered, Tensor, Tensor], Tensor]] = {
    "a power by its sum": lambda m, s, v: _divided(m, s.softmax(-1) ** 2, v),
    "absolute numbers by their sum": lambda m, s, v: _divided(m, s.abs(), v),
    "powers of two by their sum": lambda m, s, v: _divided(m, torch.exp2(s), v),
    "exp, masked, by its sum": lambda m, s, v: _divided(m, s.exp() * SEEN, v),
    "exp times one by its sum": lambda m, s, v: m.use(s.exp() * (1 / s.exp().sum(-1, keepdim=True))) @ v,
    "F.normalize": lambda m, s, v: m.use(F.normalize(s.exp(), p=1, dim=-1)) @ v,
    "softmin": lambda m, s, v: m.use(F.softmin(s, dim=-1)) @ v,
    "gumbel_softmax": lambda m, s, v: m.use(F.gumbel_softmax(s, 0.7)) @ v,
    "sparsemax": lambda m, s, v: m.use(_sparsemax(s)) @ v,
    "interpolated, shifted, sharpened": _interpolated,
    "in place": _in_place,
    "difference of two": lambda m, s, v: m.use(s.softmax(-1) - 0.3 * OTHERS.softmax(-1)) @ v,
    "heads that talk, einsum": lambda m, s, v: m.use(torch.einsum("bhqk,hg->bgqk", s.softmax(-1), m.mix)) @ v,
    "heads that talk, linear": _heads_talk,
    "heads that talk, convolution": _heads_talk_by_convolution,
    "heads on the last axis": _last_axis_heads,
    "a window behind a move": _windowed_behind_a_move,
    "more than the sum": lambda m, s, v: m.use(s.exp() / (1 + s.exp().sum(-1, keepdim=True))) @ v,
    "a sink that is cut off": _without_sink,
    "heads that are stacked": _head_by_head,
    "two maps side by side": _two_maps,
    "shared by heads, einsum": lambda m, s, v: torch.einsum("bhqk,bkd->bhqd", m.use(s.softmax(-1)), v[:, 0]),
    "linear without a layer": lambda m, s, v: F.linear(m.use(s.softmax(-1))[0, 0], v[0, 0].T),
    "values that are changed in place": lambda m, s, v: (
        v.unsqueeze(2).repeat(1, 1, N_QUERIES, 1, 1).mul_(m.use(s.softmax(-1)).unsqueeze(-1)).sum(3)
    ),
}


def recorded(model: nn.Module, values: Tensor = VALUES) -> aw.Trace:
    torch.manual_seed(0)
    plain = model(SCORES, values)
    torch.manual_seed(0)
    with aw.record(model, example=1) as trace:
        output = model(SCORES, values)
    assert torch.equal(output, plain)
    return trace


@pytest.mark.filterwarnings("ignore:Rows sum to less than 1")
@pytest.mark.parametrize("way", MADE)
def test_weights_are_recorded_as_they_are_used(way: str) -> None:
    model = Altered(MADE[way])
    trace = recorded(model)
    assert len(trace.sites) == 1
    np.testing.assert_allclose(trace.weights(), model.used[1], atol=1e-6)


@pytest.mark.parametrize("way", ["more than the sum", "a sink that is cut off"])
def test_a_share_that_goes_to_no_key_is_named(way: str) -> None:
    with pytest.warns(UserWarning, match="a part of the attention go to a sink"):
        trace = recorded(Altered(MADE[way]))
    assert not trace.flags


@pytest.mark.parametrize("way", ["difference of two", "heads that talk, linear"])
def test_weights_that_do_not_sum_to_one_are_flagged(way: str) -> None:
    assert "row_sum" in {flag.kind for flag in recorded(Altered(MADE[way])).flags}


def test_keys_of_an_einsum_are_told_by_the_values() -> None:
    """The weights name heads before the batch, the values after it."""
    model = Altered(lambda m, s, v: torch.einsum("qkhb,bhkd->qbhd", m.use(s).permute(2, 3, 1, 0).softmax(1), v), None)
    np.testing.assert_allclose(recorded(model).weights(), SCORES[1].softmax(-1), atol=1e-6)


def test_groups_of_heads_of_an_einsum_are_heads_where_the_module_has_as_many() -> None:
    def attend(m: Altered, scores: Tensor, values: Tensor) -> Tensor:
        both = torch.stack([scores, OTHERS], 2).softmax(-1)
        m.use(both.flatten(1, 2))
        return torch.einsum("bhgqk,bhkd->bhgqd", both, values)

    model = Altered(attend, 2 * N_HEADS)
    np.testing.assert_allclose(recorded(model).weights(), model.used[1], atol=1e-6)


@pytest.mark.parametrize("n_heads", [N_HEADS, None])
def test_heads_that_stand_behind_queries_are_told_by_their_number(n_heads: int | None) -> None:
    """Points that are sampled for each query and head (Zhu et al. 2020, arXiv 2010.04159, equation 2)."""

    def attend(m: Altered, scores: Tensor, values: Tensor) -> Tensor:
        weights = m.use(scores.permute(0, 2, 1, 3).softmax(-1))  # [batch, query, head, point]
        folded = weights.transpose(1, 2).reshape(N_EXAMPLES * N_HEADS, 1, N_QUERIES, N_KEYS)
        sampled = values.reshape(N_EXAMPLES * N_HEADS, N_KEYS, D_HEAD).mT[:, :, None] * torch.ones(N_QUERIES, 1)
        return (sampled * folded).sum(-1)

    model = Altered(attend, n_heads)
    weights = recorded(model).weights()
    np.testing.assert_allclose(weights, model.used[1] if n_heads is None else SCORES[1].softmax(-1), atol=1e-6)


@pytest.mark.parametrize(("order", "axis"), [((0, 3, 2, 1), 1), ((0, 2, 3, 1), 2)], ids=["keys first", "keys between"])
def test_heads_that_stand_last_are_told_by_their_number(order: tuple[int, ...], axis: int) -> None:
    def attend(m: Altered, scores: Tensor, values: Tensor) -> Tensor:
        weights = m.use(scores.permute(order).softmax(axis))
        return (weights[..., None] * values.transpose(1, 2).unsqueeze(3 - axis)).sum(axis)

    np.testing.assert_allclose(recorded(Altered(attend)).weights(), SCORES[1].softmax(-1), atol=1e-6)


NO_ATTENTION: dict[str, Callable[[Altered, Tensor, Tensor], Tensor]] = {
    "a layer behind a softmax": lambda m, s, v: m.layer(s.softmax(-1)),
    "a softmax beside what flows on": lambda m, s, v: (s + s.softmax(-1)) @ v,
    "a mean of what is seen": lambda m, s, v: (SEEN / SEEN.sum(-1, keepdim=True)) @ v,
    "standardised numbers": lambda m, s, v: ((s - s.mean(-1, keepdim=True)) / s.std(-1, keepdim=True)) @ v,
    "half of an exp": lambda m, s, v: (s.exp() / math.e) @ v,
    "a clamp by a tensor": lambda m, s, v: s.clamp(min=torch.zeros(N_KEYS)) @ v,
    "a number": lambda m, s, v: torch.where(torch.tensor(True), m.mix.sum().exp(), torch.tensor(0.0)) * s @ v,
    "a relu": lambda m, s, v: s.relu() @ v,
}


@pytest.mark.parametrize("name", NO_ATTENTION)
def test_what_is_no_attention_is_not_recorded(name: str) -> None:
    with pytest.raises(aw.CaptureError, match="no attention was found"):
        recorded(Altered(NO_ATTENTION[name]))


def test_a_transform_that_hides_numbers_is_left_alone() -> None:
    def attend(_: Altered, scores: Tensor, values: Tensor) -> Tensor:
        def scaled(x: Tensor) -> Tensor:
            return x / x.sum(-1, keepdim=True)

        return torch.vmap(scaled)(scores.abs()) @ values

    with pytest.raises(aw.CaptureError, match="no attention was found"):
        recorded(Altered(attend))


def test_weights_as_they_are_used_can_be_edited() -> None:
    model = Altered(MADE["heads that talk, linear"])
    with aw.record(model, example=0, edits=[aw.Edit("ablate", head=1)]):
        output = model(SCORES, VALUES)
    with torch.no_grad():
        expected = model(SCORES, VALUES)
    expected[:, 1] = 0
    torch.testing.assert_close(output.detach(), expected)
