"""What flex attention attends to is the softmax of the scores that its functions change and hide."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

import attnwidget as aw

N_EXAMPLES, N_HEADS, N_GROUPS, N_QUERIES, N_KEYS, D_HEAD = 2, 6, 3, 4, 5, 8
EXAMPLE = 1
SLOPES = torch.linspace(0.1, 1.0, N_HEADS)


class Attention(nn.Module):
    def forward(self, query: Tensor, key: Tensor, value: Tensor, **options: object) -> Tensor:
        return flex_attention(query, key, value, **options)  # type: ignore[arg-type, return-value]


def slope(score: Tensor, b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
    return score - SLOPES[h] * (q - k).abs()


def softcap(score: Tensor, b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
    return 2.0 * torch.tanh(score / 2.0)


def causal(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
    return q >= k


def inputs(*, n_heads: int = N_HEADS, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((N_HEADS, N_QUERIES), (n_heads, N_KEYS), (n_heads, N_KEYS))
    return tuple(  # type: ignore[return-value]
        torch.randn(N_EXAMPLES, *shape, D_HEAD, generator=generator).to(dtype) for shape in shapes
    )


def expected(
    query: Tensor, key: Tensor, *, change: str = "", masked: bool = False, scale: float | None = None
) -> Tensor:
    key = key.repeat_interleave(N_HEADS // key.shape[1], dim=1)
    scores = query.double() @ key.double().mT * (scale or 1 / math.sqrt(D_HEAD))
    ages = torch.arange(N_QUERIES)[:, None] - torch.arange(N_KEYS)
    if change == "slope":
        scores = scores - SLOPES[:, None, None] * ages.abs()
    elif change == "softcap":
        scores = 2 * torch.tanh(scores / 2)
    return (scores.masked_fill(ages < 0, float("-inf")) if masked else scores).softmax(-1)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("change", ["", "slope", "softcap"])
@pytest.mark.parametrize("n_heads", [N_HEADS, N_GROUPS])
def test_weights_follow_scores_and_masks(n_heads: int, change: str, masked: bool) -> None:
    query, key, value = inputs(n_heads=n_heads)
    options = {"score_mod": {"slope": slope, "softcap": softcap}.get(change), "enable_gqa": n_heads != N_HEADS}
    if masked:
        options["block_mask"] = create_block_mask(causal, None, None, N_QUERIES, N_KEYS, device="cpu")  # type: ignore[assignment]
    model = Attention()
    plain = model(query, key, value, **options)
    with aw.record(model, example=EXAMPLE) as trace:
        output = model(query, key, value, **options)
    assert torch.equal(output, plain)
    weights = expected(query, key, change=change, masked=masked)
    np.testing.assert_allclose(trace.weights(), weights[EXAMPLE], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_half_precision_are_computed_in_float32(dtype: torch.dtype) -> None:
    query, key, value = inputs(dtype=dtype)
    with aw.record(model := Attention(), example=EXAMPLE) as trace:
        model(query, key, value, scale=0.5)
    np.testing.assert_allclose(trace.weights(), expected(query, key, scale=0.5)[EXAMPLE], atol=1e-6)


def test_a_compiled_kernel_is_said_to_run_as_python() -> None:
    compiled = torch.compile(flex_attention, backend="eager")

    class Compiled(nn.Module):
        def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            return compiled(query, key, value)  # type: ignore[return-value]

    def run() -> aw.Trace:
        with aw.record(model := Compiled(), example=EXAMPLE) as trace:
            model(*inputs())
        return trace

    with pytest.warns(UserWarning, match="Compiled model: running its eager code"):
        trace = run()
    np.testing.assert_allclose(trace.weights(), expected(*inputs()[:2])[EXAMPLE], atol=1e-6)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("n_heads", [N_HEADS, N_GROUPS])
def test_queries_and_keys_are_kept_where_functions_only_hide(n_heads: int, masked: bool) -> None:
    query, key, value = inputs(n_heads=n_heads)
    mask = create_block_mask(causal, None, None, N_QUERIES, N_KEYS, device="cpu") if masked else None
    with aw.record(model := Attention(), store="qk", example=EXAMPLE) as trace:
        model(query, key, value, scale=0.5, block_mask=mask, enable_gqa=n_heads != N_HEADS)
    assert trace.sites[0].store == "qk"
    np.testing.assert_allclose(trace.weights(), expected(query, key, masked=masked, scale=0.5)[EXAMPLE], atol=1e-6)


def test_queries_and_keys_alone_do_not_tell_what_functions_do_to_scores() -> None:
    sentence = "store='qk' was asked for, but its weights do not come of queries and keys.* Use store='auto'"
    with pytest.raises(aw.CaptureError, match=sentence), aw.record(model := Attention(), store="qk", example=0):
        model(*inputs(), score_mod=slope)


def test_its_first_call_of_all_may_be_recorded() -> None:
    code = """
import torch, attnwidget as aw
from torch.nn.attention.flex_attention import flex_attention
class Attention(torch.nn.Module):
    def forward(self, x):
        return flex_attention(x, x, x)
model = Attention()
with aw.record(model) as trace:
    model(torch.randn(1, 2, 5, 4))
assert trace.weights().shape == (2, 5, 5)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=300)
