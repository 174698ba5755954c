"""Why a weight is what it is: what was recorded of the way to it comes to the weight, in modules of any style."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attnwidget as aw
from attnwidget.seen import Seen, TermsBook
from attnwidget.terms import Terms, Why

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Numbers are the same whichever tests ran before."""
    torch.manual_seed(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def whys(trace: aw.Trace, site: int | str = 0) -> list[Why]:
    found = next(it for i, it in enumerate(trace.sites) if site in (i, it.name))
    cells = np.ndindex(found.n_heads, found.n_queries, found.n_keys)
    return [trace.why(found, *cell) for cell in cells]


def assert_explained(trace: aw.Trace, form: str, site: int | str = 0) -> None:
    for why in whys(trace, site):
        assert why.terms is not None
        assert why.terms.form == form
        assert why.weight == pytest.approx(why.recorded, abs=3e-6)  # float32, of scores up to 20
        assert not why.missing


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("reverse", "additive"),
        ("luong-dot", "dot"),
        ("luong-general", "dot"),
        ("luong-concat", "additive"),
        ("luong-feeding", "dot"),
        ("captioner", "additive"),
        ("agent", "additive"),
        ("vit", "dot"),
        ("transformer", "dot"),
    ],
)
def test_reference_systems_are_explained(name: str, form: str) -> None:
    model = aw.models.pretrained(name)
    inputs = model.encode(model.example)
    with aw.record(model, source=inputs) as trace:
        model.run(inputs, on_token=aw.step)
    for site in trace.sites:
        assert_explained(trace, form, site.name)


def test_the_score_of_bahdanau_is_that_of_its_own_weights() -> None:
    model = aw.models.pretrained("reverse")
    inputs = model.encode("abcd")
    with aw.record(model, source=inputs) as trace:
        model.run(inputs, on_token=aw.step)
    terms = trace.terms(0, 0, 2)
    assert terms is not None
    assert terms.vector == pytest.approx(model.network.attention.score.weight.detach().numpy()[0])
    assert np.tanh(terms.pairs[0, 0]) @ terms.vector == pytest.approx(terms.scores[0, 0], abs=1e-5)


def test_what_a_window_changed_is_said() -> None:
    model = aw.models.pretrained("luong-local-p")
    inputs = model.encode(model.example)
    with aw.record(model, source=inputs) as trace:
        model.run(inputs, on_token=aw.step)
    changed = [why for why in whys(trace) if abs(why.weight - why.recorded) > 0.005 * max(why.weight, why.recorded)]
    assert changed
    assert all("changed after the softmax, as a window does" in str(why) for why in changed)


class Written(nn.Module):
    """Self-attention in a style of its own."""

    def __init__(self, weights: Callable[[Tensor, Tensor], Tensor], n_heads: int = 1) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(8, 8), nn.Linear(8, 8)
        self.weights, self.n_heads = weights, n_heads

    def forward(self, x: Tensor) -> Tensor:
        q, k = (f(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for f in (self.query, self.key))
        return self.weights(q, k) @ k


def causal(n: int) -> Tensor:
    return torch.ones(n, n).triu(1).bool()


@pytest.mark.parametrize(
    "weights",
    [
        lambda q, k: (q @ k.mT / 2).softmax(-1),
        lambda q, k: torch.softmax(0.3 * torch.matmul(q, k.transpose(-2, -1)), -1),
        lambda q, k: torch.einsum("bhid,bhjd->bhij", q, k).softmax(-1),
        lambda q, k: ((q * 0.5) @ k.mT).masked_fill(causal(q.shape[2]), float("-inf")).softmax(-1),
        lambda q, k: (q @ k.mT + torch.zeros(5, 5).masked_fill(causal(5), -1e9)).softmax(-1),
    ],
)
@pytest.mark.parametrize("n_heads", [1, 2])
def test_dot_products_of_any_style_are_explained(weights: Callable[[Tensor, Tensor], Tensor], n_heads: int) -> None:
    torch.manual_seed(1)
    model = Written(weights, n_heads).eval()
    with torch.no_grad(), aw.record(model) as trace:
        model(torch.randn(1, 5, 8))
    assert_explained(trace, "dot")


def test_a_bias_of_its_own_leaves_the_scores_only() -> None:
    torch.manual_seed(1)
    bias = torch.randn(5, 5)
    model = Written(lambda q, k: (q @ k.mT + bias).softmax(-1)).eval()
    with torch.no_grad(), aw.record(model) as trace:
        model(torch.randn(1, 5, 8))
    for why in whys(trace):
        assert why.weight == pytest.approx(why.recorded, abs=3e-6)  # float32, of scores up to 20
        assert why.missing == ("what the scores came of",)


def test_a_batch_tells_scores_only() -> None:
    model = Written(lambda q, k: (q @ k.mT).softmax(-1)).eval()
    with torch.no_grad(), aw.record(model, example=1) as trace:
        model(torch.randn(3, 5, 8))
    why = trace.why(0, 0, 1, 2)
    assert why.weight == pytest.approx(why.recorded, abs=3e-6)  # float32, of scores up to 20
    assert why.missing == ("what the scores came of",)


def test_a_masked_key_has_no_chance() -> None:
    model = Written(lambda q, k: (q @ k.mT).masked_fill(causal(5), float("-inf")).softmax(-1)).eval()
    with torch.no_grad(), aw.record(model) as trace:
        model(torch.randn(1, 5, 8))
    why = trace.why(0, 0, 1, 4)
    assert why.terms is not None
    assert why.terms.scores[0, 0, 4] == -np.inf
    assert (why.weight, why.recorded) == (0, 0)


@pytest.mark.parametrize("grad", [True, False])  # without gradients torch runs a fused layer
@pytest.mark.parametrize("mask", [None, causal(5)])
def test_torch_attention_is_explained_from_its_queries_and_keys(grad: bool, mask: Tensor | None) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    with torch.set_grad_enabled(grad), aw.record(model) as trace:
        model(torch.randn(1, 5, 8), mask=mask)
    for site in trace.sites:
        assert_explained(trace, "dot", site.name)


def test_queries_and_keys_that_are_kept_explain_their_weights() -> None:
    class Fused(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.scaled_dot_product_attention(x, 2 * x, x, is_causal=True)

    with torch.no_grad(), aw.record(model := Fused(), store="qk") as trace:
        model(torch.randn(1, 3, 5, 8))
    assert_explained(trace, "dot")


def test_foreign_weights_say_what_was_not_recorded() -> None:
    why = aw.Trace.from_weights([[0.25, 0.75]], source=["a", "b"], target=["c"]).why(0, 0, 0, 1)
    assert why.recorded == 0.75
    assert np.isnan(why.weight)
    assert "not recorded: scores" in str(why)


def test_recording_is_as_exact_as_before() -> None:
    torch.manual_seed(0)
    model, x = Written(lambda q, k: (q @ k.mT).softmax(-1)).eval(), torch.randn(1, 5, 8)
    plain = model(x)
    with aw.record(model):
        assert torch.equal(model(x), plain)


@pytest.mark.parametrize("head", [1, -3])
def test_a_cell_that_is_not_there_is_an_index_error(head: int) -> None:
    trace = aw.Trace.from_weights([[0.25, 0.75]], source=["a", "b"], target=["c"])
    with pytest.raises(IndexError):
        trace.why(0, head, 0, 1)


def test_terms_that_do_not_come_to_the_scores_are_dropped() -> None:
    seen = Seen(normal(1, 2, 3), (normal(1, 2, 4), normal(1, 3, 4)), normal(1, 2, 3, 4), normal(4))
    assert seen.terms().form == ""


@pytest.mark.parametrize("shape", [(3, 2, 4, 5), (1, 1, 1, 1), (2, 1, 6, 3), (1, 4, 1, 8)])
def test_either_side_may_be_the_query(shape: tuple[int, int, int, int]) -> None:
    n_heads, n_queries, n_keys, width = shape
    q, k = normal(n_heads, n_queries, width), normal(n_heads, n_keys, width)
    scores = 0.7 * q @ k.mT
    for operands in ((q, k.mT), (k, q.mT), (q[None], k.mT[None])):
        terms = Seen(scores, operands).terms()
        assert terms.form == "dot"
        assert terms.scale * terms.queries @ terms.keys.mT == pytest.approx(scores, abs=1e-4)


def test_a_book_with_a_gap_tells_nothing() -> None:
    book = TermsBook()
    book.add(Seen(normal(1, 1, 3)))
    book.add(None)
    book.add(Seen(normal(1, 1, 3)))
    assert book.row(0, 0) is None


def test_a_sink_takes_its_share() -> None:
    weights = Terms(np.zeros((1, 1, 3), np.float32), sinks=np.zeros(1, np.float32)).weights()
    assert weights.tolist() == [[[0.25, 0.25, 0.25]]]
