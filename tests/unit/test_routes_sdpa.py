"""What scaled_dot_product_attention attends to is what it does to values that are an identity matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention.bias import causal_lower_right, causal_upper_left

import attnwidget as aw

N_EXAMPLES, N_HEADS, N_GROUPS, N_QUERIES, N_KEYS, D_HEAD = 2, 6, 3, 4, 5, 8
EXAMPLE = 1


class Attention(nn.Module):
    def forward(self, query: Tensor, key: Tensor, value: Tensor, **options: object) -> Tensor:
        return nn.functional.scaled_dot_product_attention(query, key, value, **options)  # type: ignore[arg-type]


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def inputs(*, n_heads: int = N_HEADS, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys and values that have the keys' identity matrix in them."""
    value = torch.eye(N_KEYS, dtype=dtype).expand(N_EXAMPLES, n_heads, N_KEYS, N_KEYS)
    return (
        drawn(N_EXAMPLES, N_HEADS, N_QUERIES, D_HEAD, dtype=dtype),
        drawn(N_EXAMPLES, n_heads, N_KEYS, D_HEAD, seed=1, dtype=dtype),
        value,
    )


def allowed(*shape: int) -> Tensor:
    mask = drawn(*shape, seed=2) > 0
    mask[..., 0] = True
    return mask


OPTIONS: dict[str, dict[str, object]] = {
    "plain": {},
    "causal": {"is_causal": True},
    "scale": {"scale": 0.7},
    "bool mask": {"attn_mask": allowed(N_QUERIES, N_KEYS)},
    "bool mask by example": {"attn_mask": allowed(N_EXAMPLES, 1, 1, N_KEYS)},
    "float mask": {"attn_mask": drawn(N_QUERIES, N_KEYS, seed=3)},
    "float mask by head": {"attn_mask": drawn(N_EXAMPLES, N_HEADS, N_QUERIES, N_KEYS, seed=4), "scale": 0.3},
    "lower right": {"attn_mask": causal_lower_right(N_QUERIES, N_KEYS)},
    "upper left": {"attn_mask": causal_upper_left(N_QUERIES, N_KEYS)},
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_are_the_output_for_an_identity_matrix(option: str, dtype: torch.dtype) -> None:
    options = {
        name: it.to(dtype) if type(it) is Tensor and it.is_floating_point() else it
        for name, it in OPTIONS[option].items()
    }
    model = Attention()
    plain = model(*inputs(dtype=dtype), **options)
    with aw.record(model, example=EXAMPLE) as trace:
        output = model(*inputs(dtype=dtype), **options)
    assert torch.equal(output, plain)
    np.testing.assert_allclose(trace.weights(), plain[EXAMPLE], atol=1e-6)


@pytest.mark.parametrize("option", ["plain", "causal", "bool mask"])
def test_groups_of_heads_share_their_keys(option: str) -> None:
    model = Attention()
    plain = model(*inputs(n_heads=N_GROUPS), enable_gqa=True, **OPTIONS[option])
    with aw.record(model, example=EXAMPLE) as trace:
        output = model(*inputs(n_heads=N_GROUPS), enable_gqa=True, **OPTIONS[option])
    assert torch.equal(output, plain)
    np.testing.assert_allclose(trace.weights(), plain[EXAMPLE], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_half_precision_are_computed_in_float32(dtype: torch.dtype) -> None:
    model, (query, key, value) = Attention(), inputs(dtype=dtype)
    with aw.record(model, example=EXAMPLE) as trace:
        output = model(query, key, value)
    expected = (query.double() @ key.double().mT / D_HEAD**0.5).softmax(-1)
    assert torch.equal(output, model(query, key, value))
    np.testing.assert_allclose(trace.weights(), expected[EXAMPLE], atol=1e-6)
    assert trace.flags == ()


def test_autocast_does_not_round_the_weights() -> None:
    model, (query, key, value) = Attention(), inputs()
    with torch.autocast("cpu", dtype=torch.bfloat16), aw.record(model, example=EXAMPLE) as trace:
        model(query, key, value)
    rounded = (query.bfloat16().double() @ key.bfloat16().double().mT / D_HEAD**0.5).softmax(-1)
    exact = (query.double() @ key.double().mT / D_HEAD**0.5).softmax(-1)
    assert min(np.abs(trace.weights() - it[EXAMPLE].numpy()).max() for it in (rounded, exact)) < 1e-6


def test_a_row_that_may_see_nothing_is_zero() -> None:
    mask = torch.ones(N_QUERIES, N_KEYS, dtype=torch.bool)
    mask[2] = False
    with aw.record(model := Attention(), example=EXAMPLE) as trace:
        model(*inputs(), attn_mask=mask)
    assert not trace.weights(queries=[2]).any()
    assert [(flag.kind, flag.count) for flag in trace.flags] == [("zero_row", N_HEADS)]


def test_nan_is_shown_as_nan() -> None:
    query, key, value = inputs()
    query[EXAMPLE, :, 1] = float("nan")
    with aw.record(model := Attention(), example=EXAMPLE) as trace:
        model(query, key, value)
    assert np.isnan(trace.weights(queries=[1])).all()


@pytest.mark.parametrize(
    ("shape", "n_heads"), [((), 1), ((N_EXAMPLES,), 1), ((N_EXAMPLES, 3), 3), ((N_EXAMPLES, 3, 2), 6)]
)
def test_any_number_of_axes_is_taken(shape: tuple[int, ...], n_heads: int) -> None:
    query, key = drawn(*shape, N_QUERIES, D_HEAD), drawn(*shape, N_KEYS, D_HEAD, seed=1)
    expected = (query.double() @ key.double().mT / D_HEAD**0.5).softmax(-1)
    with aw.record(model := Attention(), example=EXAMPLE if shape else None) as trace:
        model(query, key, key)
    chosen = expected[EXAMPLE] if shape else expected
    np.testing.assert_allclose(trace.weights(), chosen.reshape(n_heads, N_QUERIES, N_KEYS), atol=1e-6)


def test_examples_of_different_length_are_filled_up() -> None:
    lengths = (N_KEYS, N_QUERIES)
    parts = [drawn(n, N_HEADS * D_HEAD, seed=n) for n in lengths]
    nested = torch.nested.nested_tensor(parts, layout=torch.jagged)
    heads = nested.view(N_EXAMPLES, -1, N_HEADS, D_HEAD).transpose(1, 2)
    model = Attention()
    plain = model(heads, heads, heads)
    with aw.record(model, example=EXAMPLE) as trace:
        output = model(heads, heads, heads)
    assert all(torch.equal(a, b) for a, b in zip(output.unbind(), plain.unbind(), strict=True))
    short = parts[EXAMPLE].unflatten(-1, (N_HEADS, D_HEAD)).transpose(0, 1)
    expected = (short @ short.mT / D_HEAD**0.5).softmax(-1)
    np.testing.assert_allclose(trace.weights()[:, :N_QUERIES, :N_QUERIES], expected, atol=1e-6)
    assert not trace.weights()[:, N_QUERIES:].any()


def test_weights_are_shown_before_dropout() -> None:
    model = Attention()

    def run() -> aw.Trace:
        with aw.record(model, example=EXAMPLE) as trace:
            outputs.append(model(*inputs(), dropout_p=0.5))
        return trace

    outputs: list[Tensor] = []
    torch.manual_seed(5)
    plain = model(*inputs(), dropout_p=0.5)
    torch.manual_seed(5)
    with pytest.warns(UserWarning, match="Dropout is on"):
        trace = run()
    assert torch.equal(outputs[0], plain)
    np.testing.assert_allclose(trace.weights(), model(*inputs())[EXAMPLE], atol=1e-6)


def test_a_causal_call_is_of_a_decoder() -> None:
    with aw.record(model := Attention(), example=EXAMPLE) as trace:
        model(*inputs(), is_causal=True)
    assert [site.kind for site in trace.sites] == ["decoder"]


@pytest.mark.filterwarnings("ignore:Lower right causal bias will produce NaNs")
@pytest.mark.parametrize("mask", ["causal", "upper left", "lower right"])
@pytest.mark.parametrize("n_queries", [3, N_KEYS + 2])
@pytest.mark.parametrize("store", ["dense", "qk", "reduced"])
def test_a_triangle_begins_in_the_corner_that_was_asked_for(mask: str, n_queries: int, store: Any) -> None:  # noqa: ANN401
    _, key, value = inputs(n_heads=N_GROUPS)
    query = drawn(N_EXAMPLES, N_HEADS, n_queries, D_HEAD)
    corner = {"upper left": causal_upper_left, "lower right": causal_lower_right}.get(mask)
    options = {"is_causal": True} if corner is None else {"attn_mask": corner(n_queries, N_KEYS)}
    seen = torch.ones(n_queries, N_KEYS, dtype=torch.bool).tril(N_KEYS - n_queries if mask == "lower right" else 0)
    scores = query[EXAMPLE] @ key[EXAMPLE].repeat_interleave(2, dim=0).mT / D_HEAD**0.5
    expected = scores.masked_fill(~seen, -torch.inf).softmax(-1).nan_to_num()
    with aw.record(model := Attention(), example=EXAMPLE, store=store) as trace:
        model(query, key, value, enable_gqa=True, **options)
    np.testing.assert_allclose(trace.weights(), expected, atol=1e-6)
    expected[2, 1] = 0
    with aw.record(model, example=EXAMPLE, edits=aw.Edit("ablate", head=2, query=1)) as trace:
        output = model(query, key, value, enable_gqa=True, **options)
    np.testing.assert_allclose(trace.weights(), expected, atol=1e-6)
    np.testing.assert_allclose(output[EXAMPLE], expected, atol=1e-6)
