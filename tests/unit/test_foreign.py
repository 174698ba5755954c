"""from_weights takes what any library returns, or says what came and what was expected."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutputWithCrossAttentions, Seq2SeqLMOutput

from attnwidget import Trace

SOURCE, TARGET = tuple("abcde"), tuple("wxyz")
W = np.random.default_rng(7).dirichlet(np.ones(5), (2, 3, 4)).astype(np.float32)  # [layer, head, query, key]
T = torch.tensor(W)
SQUARE = np.random.default_rng(8).dirichlet(np.ones(5), (2, 3, 5)).astype(np.float32)
CAUSAL = np.tril(SQUARE) / np.tril(SQUARE).sum(-1, keepdims=True)


def cross(weights: object) -> Trace:
    return Trace.from_weights(weights, source=SOURCE, target=TARGET)


def alone(weights: object) -> Trace:
    return Trace.from_weights(weights, source=SOURCE)


def stacked(trace: Trace) -> np.ndarray:
    return np.stack([trace.weights(site) for site in trace.sites])


LAYERS = {
    "array": W,
    "array with a batch axis": W[:, None],
    "tensor": T,
    "tensor with gradients": T.clone().requires_grad_(),
    "stacked tensor with a batch axis": torch.stack([layer[None] for layer in T]),
    "nested lists": W.tolist(),
    "nested lists with a batch axis": W[:, None].tolist(),
    "list": [W[0], W[1]],
    "tuple with a batch axis": (T[:1], T[1:]),
    "tuple with a batch axis and gradients": (T[:1].clone().requires_grad_(), T[1:]),
    "lists of heads": [[T[layer, head] for head in range(3)] for layer in range(2)],
    "lists of rows": [[[row.clone().requires_grad_() for row in head] for head in layer] for layer in T],
    "steps of generate": tuple(tuple(T[layer, None, :, q : q + 1] for layer in range(2)) for q in range(4)),
    "mapping": {"cross": W},
    "mapping of a tuple": {"cross": (T[:1], T[1:])},
    "output object": Seq2SeqLMOutput(logits=torch.zeros(1, 4, 6), cross_attentions=(T[:1], T[1:])),
    "decoder's output object": CausalLMOutputWithCrossAttentions(logits=T[0], cross_attentions=(T[:1], T[1:])),
    "object with a field": SimpleNamespace(cross_attentions=(T[:1], T[1:])),
    "mapping with a field": {"cross_attentions": (T[:1], T[1:]), "logits": T[0]},
}


@pytest.mark.parametrize("value", LAYERS.values(), ids=LAYERS.keys())
def test_layers_are_told_apart(value: object) -> None:
    assert np.array_equal(stacked(cross(value)), W)


def test_one_layer_needs_no_axis() -> None:
    assert np.array_equal(cross(W[1]).weights(), W[1])


def test_one_matrix_is_one_head() -> None:
    assert np.array_equal(cross(W[1, 2]).weights(), W[1, 2:])


def test_layers_may_have_different_numbers_of_heads() -> None:
    assert [site.n_heads for site in cross([W[0], W[1, :2]]).sites] == [3, 2]


def test_layers_have_names_and_numbers() -> None:
    assert [(site.name, site.layer) for site in cross(W).sites] == [("cross.0", 0), ("cross.1", 1)]


def test_source_and_target_make_cross_attention() -> None:
    (site,) = cross(W[0]).sites
    assert (site.kind, site.query, site.key) == ("cross", "target", "source")


@pytest.mark.parametrize(("weights", "kind"), [(SQUARE, "encoder"), (CAUSAL, "decoder")])
def test_self_attention_that_never_looks_ahead_is_a_decoders(weights: np.ndarray, kind: str) -> None:
    assert {site.kind for site in alone(weights).sites} == {kind}


def test_self_attention_counts_the_source_twice() -> None:
    (site,) = alone(SQUARE[0]).sites
    assert (site.query, site.key) == ("source", "source")


def test_steps_of_a_growing_cache_are_put_under_each_other() -> None:
    steps = [(torch.tensor(CAUSAL[None, 0, :, :3, :3]),)]
    steps += [(torch.tensor(CAUSAL[None, 0, :, q : q + 1, : q + 1]),) for q in (3, 4)]
    assert np.array_equal(alone(tuple(steps)).weights(), CAUSAL[0])


def test_a_mapping_gives_each_kind_its_strips() -> None:
    target = np.tril(np.full((3, 4, 4), 0.25, np.float32))
    trace = cross({"encoder": SQUARE, "decoder": target, "cross": W})
    strips = {site.kind: (site.query, site.key) for site in trace.sites}
    assert strips == {
        "encoder": ("source", "source"),
        "decoder": ("target", "target"),
        "cross": ("target", "source"),
    }


def test_an_output_object_gives_its_self_attention() -> None:
    output = BaseModelOutput(last_hidden_state=torch.zeros(1, 5, 6), attentions=tuple(torch.tensor(CAUSAL)[:, None]))
    assert np.array_equal(stacked(alone(output)), CAUSAL)


def test_an_output_object_of_both_kinds_gives_both() -> None:
    own = torch.full((1, 3, 4, 4), 0.25)
    output = CausalLMOutputWithCrossAttentions(attentions=(own,), cross_attentions=(T[:1],))
    assert {(site.kind, site.n_keys) for site in cross(output).sites} == {("decoder", 4), ("cross", 5)}


def test_an_output_object_without_weights_says_how_to_get_them() -> None:
    with pytest.raises(ValueError, match="output_attentions=True"):
        alone(BaseModelOutput(last_hidden_state=torch.zeros(1, 5, 6)))


def test_cross_attention_without_a_target_numbers_it() -> None:
    assert alone({"cross": W}).tokens["target"].texts == ("1", "2", "3", "4")


def test_each_output_token_is_a_step() -> None:
    assert [step.token for step in cross(W).steps] == list(TARGET)


def test_the_trace_is_complete() -> None:
    assert cross(W).status == "complete"


def test_the_tolerance_of_half_precision_reaches_the_flags() -> None:
    assert cross(T.bfloat16()).flags == ()


@pytest.mark.parametrize(
    ("odd", "kinds"),
    [
        (W * np.where(np.arange(5) == 1, np.nan, 1), {"nan"}),
        (W - 0.5, {"negative", "row_sum"}),
        (W * 2, {"above_one", "row_sum"}),
        (W * 0, {"zero_row"}),
        (np.ma.masked_array(W, W > 0.4), {"nan"}),
        (W.astype(int), {"zero_row"}),
    ],
)
def test_unusual_weights_are_shown_with_a_flag(odd: np.ndarray, kinds: set[str]) -> None:
    assert {flag.kind for flag in cross(odd).flags} == kinds


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        (None, TypeError, "None came"),
        ("weights", TypeError, "dtype <U7"),
        (3.0, ValueError, "rank 0"),
        (W[0, 0, 0], ValueError, "rank 1"),
        (W[None, :, :, None], ValueError, "rank 6"),
        (np.stack([W, W], 1), ValueError, "rank 5"),
        ([W, W], ValueError, r"weights\[0\]: a batch of 2"),
        ([], ValueError, "nothing came"),
        ((), ValueError, "nothing came"),
        ({}, ValueError, "an empty mapping"),
        ({"self": W}, ValueError, "the key 'self'"),
        ({0: W}, ValueError, "the key 0"),
        ({"cross": None}, TypeError, "None came"),
        (W[:0], ValueError, "length 0"),
        (W[:, :0], ValueError, "length 0"),
        (W[:, :, :0], ValueError, "length 0"),
        (W[..., :0], ValueError, "length 0"),
        ((T[:1], None), TypeError, "layer 1 is None"),
        (((None, None), (None, None)), TypeError, "layer 0 is None"),
        (W.astype(complex), TypeError, "complex128"),
        (T.to("meta"), TypeError, "meta device"),
        (T.to_sparse(), TypeError, "sparse"),
        (iter([W]), TypeError, "dtype object"),
        (W[:, :, :3], ValueError, "3 queries but strip 'target' has 4"),
        (W[..., :4], ValueError, "4 keys but strip 'source' has 5"),
        (W.swapaxes(2, 3), ValueError, "transposed"),
        (((T[:1, :, :1],), (T[:1, :2, :1],)), ValueError, "as many heads"),
        (((T[:1, :, :1],), (T[:1, :, :1, :4],)), ValueError, "no fewer keys"),
        (((T[:1], T[:1]), (T[:1],)), ValueError, "step 1 has 1 layers"),
    ],
)
def test_what_are_no_weights_is_refused_with_a_sentence(value: object, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        cross(value)
