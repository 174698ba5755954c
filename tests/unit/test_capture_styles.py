"""Attention as people write it by hand is recorded without a change to it, and what is no attention is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import attnwidget as aw

N_HEADS, N_QUERIES, N_KEYS, D_HEAD = 3, 4, 5, 2
N_EXAMPLES = 2
SCORES = torch.randn(N_EXAMPLES, N_HEADS, N_QUERIES, N_KEYS, generator=torch.Generator().manual_seed(0))
VALUES = torch.randn(N_EXAMPLES, N_HEADS, N_KEYS, D_HEAD, generator=torch.Generator().manual_seed(1))


class Style(nn.Module):
    """A module with one attention, written as a function of its scores and values.

    Args:
        attend: what it does; gets the module, scores [batch, head, query, key] and values [batch, head, key, d_head].
    """

    def __init__(self, attend: Callable[[Style, Tensor, Tensor], Tensor], n_heads: int | None) -> None:
        super().__init__()
        self.attend = attend
        if n_heads is not None:
            self.n_heads = n_heads
        self.softmax = nn.Softmax(dim=-1)
        self.dropout = nn.Dropout(0.5)
        self.gate = nn.Linear(1, 1)

    def forward(self, scores: Tensor, values: Tensor) -> Tensor:
        return self.attend(self, scores, values)


MANY: dict[str, Callable[[Style, Tensor, Tensor], Tensor]] = {
    "einsum": lambda m, s, v: torch.einsum("bhqk,bhkd->bqhd", s.softmax(-1), v),
    "einsum, operands in a list": lambda m, s, v: torch.einsum("bhqk,bhkd->bqhd", [s.softmax(-1), v]),
    "einsum, weights second": lambda m, s, v: torch.einsum("bhkd,bhqk->bqhd", v, s.softmax(-1)),
    "einsum, heads last": lambda m, s, v: torch.einsum(
        "bqkh,bkhd->bqhd", s.permute(0, 2, 3, 1).softmax(2), v.transpose(1, 2)
    ),
    "einsum, queries first": lambda m, s, v: torch.einsum(
        "ijbn,jbnd->ibnd", s.permute(2, 3, 0, 1).softmax(1), v.permute(2, 0, 1, 3)
    ),
    "permuted, then einsum": lambda m, s, v: torch.einsum("qbhk,bhkd->bqhd", s.softmax(-1).permute(2, 0, 1, 3), v),
    "heads folded into the batch": lambda m, s, v: torch.bmm(s.flatten(0, 1).softmax(-1), v.flatten(0, 1)),
    "softmax, dropout, cast, matmul": lambda m, s, v: m.dropout(F.softmax(s, dim=-1)).to(v.dtype) @ v,
    "softmax in float32": lambda m, s, v: F.softmax(s, dim=-1, dtype=torch.float32).type_as(v) @ v,
    "times a head mask": lambda m, s, v: (s.softmax(-1) * torch.ones(1, N_HEADS, 1, 1)) @ v,
    "nn.Softmax": lambda m, s, v: m.softmax(s) @ v,
    "F.softmax": lambda m, s, v: F.softmax(s, -1) @ v,
    "torch.softmax": lambda m, s, v: torch.softmax(s, dim=3).matmul(v),
    "Tensor.softmax": lambda m, s, v: s.softmax(dim=-1).matmul(v),
    "less the logsumexp, then exp": lambda m, s, v: (s - s.logsumexp(-1, keepdim=True)).exp() @ v,
    "less the logsumexp, then torch.exp": lambda m, s, v: torch.exp(s - torch.logsumexp(s, 3)[..., None]).matmul(v),
    "log_softmax, then exp": lambda m, s, v: F.log_softmax(s, dim=-1).exp() @ v,
    "exp by its sum": lambda m, s, v: (s.exp() / s.exp().sum(-1, keepdim=True)) @ v,
    "exp by its sum, less the maximum": lambda m, s, v: _by_hand(s) @ v,
    "exp by its sum, in place": lambda m, s, v: s.clone().exp_().div_(s.exp().sum(-1, keepdim=True)) @ v,
    "masked in place": lambda m, s, v: s.clone().masked_fill_(s.isinf(), -1e9).softmax(-1) @ v,
    "product and sum": lambda m, s, v: (s.softmax(-1).unsqueeze(-1) * v.unsqueeze(2)).sum(3),
    "product with repeated weights": lambda m, s, v: (
        s.softmax(-1)[..., None].expand(-1, -1, -1, -1, D_HEAD) * v.unsqueeze(2)
    ).sum(3),
    "transposed product": lambda m, s, v: (v.mT @ s.softmax(-1).mT).mT,
    "head by head": lambda m, s, v: torch.stack(
        [a @ b for a, b in zip(s.softmax(-1).unbind(1), v.unbind(1), strict=True)]
    ),
    "softmax over an earlier axis": lambda m, s, v: s.transpose(2, 3).softmax(2).transpose(2, 3) @ v,
}
ONE: dict[str, Callable[[Style, Tensor, Tensor], Tensor]] = {
    "Luong, bmm": lambda m, s, v: torch.bmm(s[:, 0].softmax(-1), v[:, 0]),
    "Luong, @": lambda m, s, v: s[:, 0].softmax(-1) @ v[:, 0],
    "einsum without heads": lambda m, s, v: torch.einsum("btj,bjd->btd", s[:, 0].softmax(-1), v[:, 0]),
}
ONE_QUERY: dict[str, Callable[[Style, Tensor, Tensor], Tensor]] = {
    "Bahdanau, [batch, key, 1]": lambda m, s, v: (s[:, 0, :1].mT.softmax(dim=1) * v[:, 0]).sum(1),
    "Bahdanau, [batch, key, 1], by hand": lambda m, s, v: (_by_hand(s[:, 0, :1].mT, 1) * v[:, 0]).sum(1),
    "Bahdanau, [key, batch, 1]": lambda m, s, v: (
        s[:, 0, :1].permute(2, 0, 1).softmax(0) * v[:, 0].transpose(0, 1)
    ).sum(0),
    "[batch, key], unsqueezed, bmm": lambda m, s, v: s[:, 0, 0].softmax(1).unsqueeze(1).bmm(v[:, 0]),
    "[batch, key], unsqueezed, @": lambda m, s, v: F.softmax(s[:, 0, 0], dim=1).unsqueeze(1) @ v[:, 0],
    "[batch, key], product and sum": lambda m, s, v: (s[:, 0, 0].softmax(1).unsqueeze(2) * v[:, 0]).sum(1),
    "[batch, key], einsum": lambda m, s, v: torch.einsum("bk,bkd->bd", s[:, 0, 0].softmax(1), v[:, 0]),
    "[batch, key], expanded": lambda m, s, v: (s[:, 0, 0].softmax(1)[..., None].expand_as(v[:, 0]) * v[:, 0]).sum(1),
    "implicit axis": lambda m, s, v: F.softmax(s[:, 0, 0], _stacklevel=5).unsqueeze(1) @ v[:, 0],  # type: ignore[call-arg]
}
UNBATCHED: dict[str, Callable[[Style, Tensor, Tensor], Tensor]] = {
    "[query, key] @": lambda m, s, v: s[1, 0].softmax(-1) @ v[1, 0],
    "[query, key] mm": lambda m, s, v: s[1, 0].softmax(-1).mm(v[1, 0]),
    "[query, key] einsum": lambda m, s, v: torch.einsum("qk,kd->qd", s[1, 0].softmax(-1), v[1, 0]),
    "[query, key] product": lambda m, s, v: (s[1, 0].softmax(-1)[:, :, None] * v[1, 0][None]).sum(1),
    "[query, key] with a batch of one later": lambda m, s, v: s[1, 0].softmax(-1)[None] @ v[1, :1],
}


def _by_hand(scores: Tensor, dim: int = -1) -> Tensor:
    positive = torch.exp(scores - scores.amax(dim, keepdim=True))
    return positive / positive.sum(dim, keepdim=True)


def recorded(model: nn.Module, *inputs: Tensor, example: int | None = 1) -> aw.Trace:
    with aw.record(model, example=example) as trace:
        model(*inputs)
    assert len(trace.sites) == 1
    return trace


@pytest.mark.parametrize("style", MANY)
def test_attention_with_heads_is_recorded_as_computed(style: str) -> None:
    trace = recorded(Style(MANY[style], N_HEADS).eval(), SCORES, VALUES)
    np.testing.assert_allclose(trace.weights(), SCORES[1].softmax(-1), atol=1e-6)


@pytest.mark.parametrize("style", ONE)
def test_attention_without_heads_is_recorded_as_computed(style: str) -> None:
    trace = recorded(Style(ONE[style], None).eval(), SCORES, VALUES)
    np.testing.assert_allclose(trace.weights(), SCORES[1, :1].softmax(-1), atol=1e-6)


@pytest.mark.filterwarnings("ignore:Implicit dimension choice:UserWarning")
@pytest.mark.parametrize("style", ONE_QUERY)
def test_attention_of_one_query_is_recorded_as_computed(style: str) -> None:
    trace = recorded(Style(ONE_QUERY[style], None).eval(), SCORES, VALUES)
    np.testing.assert_allclose(trace.weights(), SCORES[1, :1, :1].softmax(-1), atol=1e-6)


@pytest.mark.parametrize("style", UNBATCHED)
def test_attention_without_a_batch_is_recorded_as_computed(style: str) -> None:
    trace = recorded(Style(UNBATCHED[style], None).eval(), SCORES, VALUES, example=None)
    np.testing.assert_allclose(trace.weights(), SCORES[1, :1].softmax(-1), atol=1e-6)


@pytest.mark.filterwarnings("ignore:Dropout is on:UserWarning")
def test_weights_are_those_before_dropout() -> None:
    trace = recorded(Style(MANY["softmax, dropout, cast, matmul"], N_HEADS).train(), SCORES, VALUES)
    np.testing.assert_allclose(trace.weights(), SCORES[1].softmax(-1), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_recorded_without_a_flag(dtype: torch.dtype) -> None:
    scores = SCORES.to(dtype)
    trace = recorded(Style(MANY["Tensor.softmax"], N_HEADS), scores, VALUES.to(dtype))
    assert np.array_equal(trace.weights(), scores[1].softmax(-1).float().numpy())
    assert trace.flags == ()


def test_heads_are_counted_by_the_parent_too() -> None:
    class Parent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.num_heads, self.product = N_HEADS, Style(MANY["heads folded into the batch"], None)

        def forward(self, scores: Tensor, values: Tensor) -> Tensor:
            return torch.as_tensor(self.product(scores, values))

    np.testing.assert_allclose(recorded(Parent(), SCORES, VALUES).weights(), SCORES[1].softmax(-1), atol=1e-6)


def test_groups_of_heads_are_heads() -> None:
    grouped = SCORES.reshape(N_EXAMPLES, 1, N_HEADS, N_QUERIES, N_KEYS)
    trace = recorded(Style(lambda m, s, v: s.softmax(-1) @ v[:, None], None), grouped, VALUES)
    np.testing.assert_allclose(trace.weights(), SCORES[1].softmax(-1), atol=1e-6)


def test_masked_weights_that_are_normalised_again_are_shown_as_used() -> None:
    keep = torch.tensor([1.0, 1, 0, 1, 1])

    def attend(_: Style, scores: Tensor, values: Tensor) -> Tensor:
        weights = scores.softmax(-1) * keep
        return weights / weights.sum(-1, keepdim=True) @ values

    expected = SCORES[1].masked_fill(keep == 0, -np.inf).softmax(-1)
    np.testing.assert_allclose(recorded(Style(attend, N_HEADS), SCORES, VALUES).weights(), expected, atol=1e-6)


def test_a_soft_embedding_cannot_be_told_from_attention() -> None:
    trace = recorded(Style(lambda m, s, v: s[1, 0].softmax(-1) @ v[1, 0], None), SCORES, VALUES, example=None)
    assert len(trace.sites) == 1


class MixtureOfExperts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(D_HEAD, 3)
        self.experts = nn.ModuleList(nn.Linear(D_HEAD, D_HEAD) for _ in range(3))

    def forward(self, _: Tensor, x: Tensor) -> Tensor:
        shares = self.router(x).softmax(-1)  # [..., expert]
        outputs = torch.stack([expert(x) for expert in self.experts], dim=-1)  # [..., d, expert]
        return (outputs @ shares.unsqueeze(-1)).squeeze(-1)


def _sample(_: Style, scores: Tensor, values: Tensor) -> Tensor:
    tokens = []
    for step in range(N_QUERIES):
        probabilities = F.softmax(scores[:, 0, step] / 0.7, dim=-1)
        best = probabilities.topk(3)
        kept = best.values / best.values.sum(-1, keepdim=True)
        tokens.append(best.indices.gather(1, torch.multinomial(kept, 1)))
        values = values * probabilities.amax()
    return torch.cat(tokens, dim=1)


def _linear_attention(_: Style, scores: Tensor, values: Tensor) -> Tensor:
    q, k = F.elu(scores) + 1, F.elu(values) + 1
    return (q @ (k @ k.mT)) / (q.sum(-1, keepdim=True) * k.sum() + 1)


def _mean_of_what_is_there(_: Style, scores: Tensor, values: Tensor) -> Tensor:
    mask = torch.ones(N_EXAMPLES, N_KEYS)
    return (mask / mask.sum(-1, keepdim=True)).unsqueeze(1) @ values[:, 0]


SILENT: dict[str, Callable[[], nn.Module]] = {
    "sampling from the vocabulary": lambda: Style(_sample, None),
    "mixture of experts": MixtureOfExperts,
    "linear attention": lambda: Style(_linear_attention, None),
    "mean over a mask": lambda: Style(_mean_of_what_is_there, None),
    "entropy of a softmax": lambda: Style(lambda m, s, v: -(s.softmax(-1) * s.log_softmax(-1)).sum(-1), None),
    "mixture of layers": lambda: Style(
        lambda m, s, v: sum(a * v for a in s[0, 0, 0].softmax(0)) @ v.mT,  # type: ignore[misc]
        None,
    ),
    "division by a norm": lambda: Style(lambda m, s, v: (s / s.norm(dim=-1, keepdim=True)) @ v, None),
    "gated product": lambda: Style(lambda m, s, v: s.sigmoid() * s, None),
}


@pytest.mark.parametrize("name", SILENT)
def test_what_is_no_attention_is_not_recorded(name: str) -> None:
    model = SILENT[name]()
    with pytest.raises(aw.CaptureError, match="no attention was found"), aw.record(model, example=0):
        model(SCORES, VALUES)


def test_a_router_is_left_out_where_attention_is_kept() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate_attention = Style(MANY["Tensor.softmax"], N_HEADS)
            self.mlp = MixtureOfExperts()

        def forward(self, scores: Tensor, values: Tensor) -> Tensor:
            return torch.as_tensor(self.mlp(scores, self.gate_attention(scores, values)))

    assert [site.name for site in recorded(Block(), SCORES, VALUES).sites] == ["gate_attention"]


@pytest.mark.parametrize("way", ["nan_to_num", "masked_fill", "where"])
def test_numbers_that_are_replaced_after_the_softmax_are_the_weights(way: str) -> None:
    class Replacing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            scores = (x @ x.mT).masked_fill(torch.eye(4).bool().all(0), float("-inf"))
            scores[:, 2] = float("-inf")  # a row that sees nothing
            weights = scores.softmax(-1)
            blind = torch.tensor([False, False, True, False])[:, None]
            if way == "nan_to_num":
                self.kept = weights.nan_to_num(0)
            elif way == "masked_fill":
                self.kept = weights.masked_fill(blind, 0)
            else:
                self.kept = torch.where(blind, 0, weights)
            return self.kept.transpose(0, 1).transpose(0, 1) @ x

    model = Replacing()
    with aw.record(model) as trace:
        model(torch.randn(1, 4, 3))
    assert np.array_equal(trace.weights()[0], model.kept[0])
    assert [flag.kind for flag in trace.flags] == ["zero_row"]


def test_weights_that_are_shared_out_among_queries_are_flagged_and_not_turned() -> None:
    style = Style(lambda m, s, v: s.softmax(-2) @ v, None)
    with aw.record(style, example=0) as trace:
        style(SCORES, VALUES)
    (site,) = trace.sites
    assert (site.n_queries, site.n_keys) == (N_QUERIES, N_KEYS)
    np.testing.assert_allclose(trace.weights(site), SCORES[0].softmax(-2), atol=1e-6)
    assert "column_sum" in {flag.kind for flag in trace.flags}


@pytest.mark.parametrize("edited", [False, True])
def test_a_module_that_pools_what_it_attended_to_has_two_sites(edited: bool) -> None:
    class Pooling(nn.Module):
        def forward(self, scores: Tensor, values: Tensor) -> Tensor:
            seen = (scores.softmax(-1) @ values).transpose(1, 2).flatten(2)
            self.pooled = seen.sum(-1).softmax(-1)
            return (self.pooled[:, None] @ seen)[:, 0]

    model = Pooling()
    model(SCORES[:1], VALUES[:1])
    expected = model.pooled.clone()
    edits = [aw.Edit(op="set", site="Pooling#2", value=[1.0, 0, 0, 0])] if edited else []
    with torch.no_grad(), aw.record(model, edits=edits) as trace:
        model(SCORES[:1], VALUES[:1])
    assert [(site.name, site.n_heads, site.n_queries) for site in trace.sites] == [
        ("Pooling", N_HEADS, N_QUERIES),
        ("Pooling#2", 1, 1),
    ]
    np.testing.assert_allclose(trace.weights(0), SCORES[0].softmax(-1), atol=1e-6)
    np.testing.assert_allclose(trace.weights(1)[0], [[1, 0, 0, 0]] if edited else expected, atol=1e-6)
