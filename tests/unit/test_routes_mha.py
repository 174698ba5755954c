"""What torch.nn attends to is recorded on each of its paths, and each path gives the bits that it gives alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attnwidget as aw

N_EXAMPLES, N_HEADS, N_QUERIES, N_KEYS, D_MODEL = 2, 4, 5, 7, 24
EXAMPLE = 1
CAUSAL = torch.ones(N_KEYS, N_KEYS).triu(1).bool()
MODES = [torch.no_grad, torch.inference_mode, torch.enable_grad]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def features(n_tokens: int, *, size: int = D_MODEL) -> Tensor:
    return torch.randn(N_EXAMPLES, n_tokens, size, generator=torch.Generator().manual_seed(n_tokens))


def padding(n_tokens: int) -> Tensor:
    """Two tokens less in the second example."""
    mask = torch.zeros(N_EXAMPLES, n_tokens, dtype=torch.bool)
    mask[EXAMPLE, -2:] = True
    return mask


def masks(kind: str, n_heads: int = N_HEADS) -> dict[str, object]:
    """Return masks for attention from N_QUERIES to N_KEYS."""
    blocked = torch.rand(N_QUERIES, N_KEYS, generator=torch.Generator().manual_seed(3)) < 0.3
    blocked[:, 0] = False
    each = torch.rand(N_EXAMPLES * n_heads, N_QUERIES, N_KEYS, generator=torch.Generator().manual_seed(4))
    blocked_each = each < 0.3
    blocked_each[..., 0] = False
    return {
        "none": {},
        "bool": {"attn_mask": blocked},
        "float": {"attn_mask": torch.randn(N_QUERIES, N_KEYS)},
        "bool by head": {"attn_mask": blocked_each},
        "float by head": {"attn_mask": 3 * each},
        "padding": {"key_padding_mask": padding(N_KEYS)},
        "padding and bool": {"key_padding_mask": padding(N_KEYS), "attn_mask": blocked},
        "float padding": {"key_padding_mask": padding(N_KEYS) * -2.0},
    }[kind]  # type: ignore[return-value]


OPTIONS: dict[str, dict[str, object]] = {
    "plain": {},
    "odd heads": {"num_heads": 3},
    "no bias": {"bias": False},
    "key and value bias": {"add_bias_kv": True},
    "zero attention": {"add_zero_attn": True},
    "other sizes": {"kdim": 10, "vdim": 14},
    "time first": {"batch_first": False},
}
MASKS = [
    "none",
    "bool",
    "float",
    "bool by head",
    "float by head",
    "padding",
    "padding and bool",
    "float padding",
]


def attention(**options: object) -> nn.MultiheadAttention:
    layer = nn.MultiheadAttention(D_MODEL, **{"num_heads": N_HEADS, "batch_first": True, **options}).eval()  # type: ignore[arg-type]
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("need_weights", [True, False])
def test_weights_are_those_that_torch_returns(option: str, mask: str, need_weights: bool) -> None:
    layer = attention(**OPTIONS[option])
    keys = features(N_KEYS, size=layer.kdim)
    values = keys if layer.vdim == layer.kdim else features(N_KEYS, size=layer.vdim)
    inputs = [features(N_QUERIES), keys, values]
    inputs = inputs if layer.batch_first else [it.transpose(0, 1) for it in inputs]
    given = masks(mask, layer.num_heads)
    with torch.no_grad():
        _, expected = layer(*inputs, **given, need_weights=True, average_attn_weights=False)
        plain = layer(*inputs, **given, need_weights=need_weights)
        with aw.record(layer, example=EXAMPLE) as trace:
            output = layer(*inputs, **given, need_weights=need_weights)
    assert torch.equal(output[0], plain[0])
    np.testing.assert_allclose(trace.weights(), expected[EXAMPLE], atol=1e-6, rtol=0)
    assert [site.kind for site in trace.sites] == ["cross"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("mask", ["none", "causal", "hint", "padding"])
def test_self_attention_has_the_bits_of_its_path(mask: str, mode: Callable[[], AbstractContextManager[object]]) -> None:
    layer, x = attention(), features(N_KEYS)
    given: dict[str, object] = {
        "none": {},
        "causal": {"attn_mask": CAUSAL},
        "hint": {"attn_mask": CAUSAL, "is_causal": True},
        "padding": {"key_padding_mask": padding(N_KEYS)},
    }[mask]  # type: ignore[assignment]
    with mode():
        plain, _ = layer(x, x, x, **given, need_weights=False)
        with aw.record(layer, example=EXAMPLE) as trace:
            output, none = layer(x, x, x, **given, need_weights=False)
    with torch.enable_grad():
        _, expected = layer(x, x, x, **given, average_attn_weights=False)
    assert torch.equal(output, plain)
    assert none is None
    np.testing.assert_allclose(trace.weights(), expected.detach()[EXAMPLE], atol=1e-6)
    assert [site.kind for site in trace.sites] == ["decoder" if mask in ("causal", "hint") else "encoder"]


def test_a_hint_counts_where_torch_follows_it() -> None:
    layer, x = attention(add_zero_attn=True), features(N_KEYS)
    with torch.no_grad():
        plain, _ = layer(x, x, x, attn_mask=torch.zeros(N_KEYS, N_KEYS), is_causal=True, need_weights=False)
        with aw.record(layer, example=EXAMPLE) as trace:
            output, _ = layer(x, x, x, attn_mask=torch.zeros(N_KEYS, N_KEYS), is_causal=True, need_weights=False)
        values = layer.in_proj_weight[2 * D_MODEL :] @ x[EXAMPLE].T + layer.in_proj_bias[2 * D_MODEL :, None]
        values = values.T.unflatten(1, (N_HEADS, -1)).transpose(0, 1)  # [head, key, d_head]
        weights = torch.from_numpy(trace.weights())
        expected = layer.out_proj((weights[..., :-1] @ values).transpose(0, 1).flatten(1))
    assert torch.equal(output, plain)
    torch.testing.assert_close(output[EXAMPLE], expected)
    assert trace.weights().shape == (N_HEADS, N_KEYS, N_KEYS + 1)


def test_one_example_needs_no_batch_axis() -> None:
    layer = attention()
    queries, keys = features(N_QUERIES)[0], features(N_KEYS)[0]
    with aw.record(layer) as trace:
        layer(queries, keys, keys, need_weights=False)
    _, expected = layer(queries, keys, keys, average_attn_weights=False)
    np.testing.assert_allclose(trace.weights(), expected.detach(), atol=1e-6, rtol=0)


def test_keys_and_values_may_be_given_by_head() -> None:
    class Static(nn.Module):
        def forward(self, queries: Tensor, static: Tensor) -> Tensor:
            one = torch.eye(D_MODEL)
            return nn.functional.multi_head_attention_forward(
                *(queries, queries, queries, D_MODEL, N_HEADS, one.repeat(3, 1), None, None, None, False, 0.0, one),
                *(None,),
                need_weights=False,
                static_k=static,
                static_v=static,
            )[0]

    queries, static = features(N_QUERIES)[:1].transpose(0, 1), torch.randn(N_HEADS, N_KEYS, D_MODEL // N_HEADS)
    with aw.record(model := Static()) as trace:
        model(queries, static)
    heads = queries[:, 0].unflatten(1, (N_HEADS, -1)).transpose(0, 1)  # [head, query, d_head]
    expected = (heads @ static.mT / (D_MODEL // N_HEADS) ** 0.5).softmax(-1)
    np.testing.assert_allclose(trace.weights(), expected, atol=1e-6)


def test_weights_are_shown_before_dropout() -> None:
    layer = attention(dropout=0.5).train()
    queries, keys = features(N_QUERIES), features(N_KEYS)
    torch.manual_seed(5)
    plain = layer(queries, keys, keys)[0]
    torch.manual_seed(5)
    trace = aw.Trace()

    def run() -> Tensor:
        with aw.record(layer, example=EXAMPLE, into=trace):
            return layer(queries, keys, keys)[0]  # type: ignore[no-any-return]

    with pytest.warns(UserWarning, match="Dropout is on"):
        output = run()
    assert torch.equal(output, plain)
    np.testing.assert_allclose(trace.weights().sum(-1), 1, atol=1e-6)


def encoder(*, norm_first: bool = False, n_layers: int = 2) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(D_MODEL, N_HEADS, 32, batch_first=True, norm_first=norm_first)
    model = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=not norm_first).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def slow_weights(model: nn.TransformerEncoder, x: Tensor, **masks: Tensor) -> list[Tensor]:
    """Return what the layers attend to when gradients keep them off the fast path."""
    expected: list[Tensor] = []
    for layer in model.layers:
        given = {"attn_mask": masks.get("mask"), "key_padding_mask": masks.get("src_key_padding_mask")}
        inputs = layer.norm1(x) if layer.norm_first else x  # type: ignore[operator]
        _, weights = layer.self_attn(inputs, inputs, inputs, **given, average_attn_weights=False)  # type: ignore[operator]
        expected.append(weights.detach())
        x = layer(x, src_mask=masks.get("mask"), src_key_padding_mask=masks.get("src_key_padding_mask"))
    return expected


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("mask", ["none", "causal", "padding", "causal and padding"])
@pytest.mark.parametrize("norm_first", [True, False])
def test_a_transformer_encoder_keeps_its_fast_path(
    norm_first: bool, mask: str, mode: Callable[[], AbstractContextManager[object]]
) -> None:
    model, x = encoder(norm_first=norm_first), features(N_KEYS)
    given = {"mask": CAUSAL} if "causal" in mask else {}
    given |= {"src_key_padding_mask": padding(N_KEYS)} if "padding" in mask else {}
    with mode():
        plain = model(x, **given)
        with aw.record(model, source=[str(i) for i in range(N_KEYS)], example=EXAMPLE) as trace:
            output = model(x, **given)
    assert torch.equal(output, plain)
    assert [site.name for site in trace.sites] == ["layers.0.self_attn", "layers.1.self_attn"]
    for site, expected in zip(trace.sites, slow_weights(model, x, **given), strict=True):
        nested = mode is not torch.enable_grad and mask == "padding" and not norm_first
        seen = N_KEYS - 2 if nested else N_KEYS  # a nested tensor leaves the padding out
        np.testing.assert_allclose(trace.weights(site)[:, :seen], expected[EXAMPLE, :, :seen], atol=1e-6)
        assert not trace.weights(site)[:, seen:].any()


@pytest.mark.parametrize("n_runs", [1, 2])
def test_a_transformer_layer_alone_keeps_its_fast_path(n_runs: int) -> None:
    layer, x = encoder().layers[0], features(N_KEYS)
    with torch.no_grad():
        plain = layer(x)
        with aw.record(layer, example=EXAMPLE) as trace:
            outputs = [layer(x) for _ in range(n_runs)]
            aw.step("all")
    assert all(torch.equal(output, plain) for output in outputs)
    assert [(site.name, site.kind) for site in trace.sites] == [("self_attn", "encoder")]


def test_a_whole_transformer_has_all_three_kinds() -> None:
    model = nn.Transformer(D_MODEL, N_HEADS, 2, 2, 32, batch_first=True).eval()
    queries, keys = features(N_KEYS)[:1], features(N_KEYS)[1:]
    with torch.no_grad():
        plain = model(keys, queries, tgt_mask=CAUSAL)
        with aw.record(model) as trace:
            output = model(keys, queries, tgt_mask=CAUSAL)
    assert torch.equal(output, plain)
    assert [(site.name, site.kind, site.layer) for site in trace.sites] == [
        ("encoder.layers.0.self_attn", "encoder", 0),
        ("encoder.layers.1.self_attn", "encoder", 1),
        ("decoder.layers.0.self_attn", "decoder", 0),
        ("decoder.layers.0.multihead_attn", "cross", 0),
        ("decoder.layers.1.self_attn", "decoder", 1),
        ("decoder.layers.1.multihead_attn", "cross", 1),
    ]


def test_other_modes_of_the_user_count_as_before() -> None:
    class Looking(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: object, types: object, args: object = (), kwargs: object = None) -> object:
            return func(*args, **(kwargs or {}))  # type: ignore[operator, misc, dict-item]

    model, x = encoder(), features(N_KEYS)
    with torch.no_grad(), Looking():
        plain = model(x)
        with aw.record(model, example=EXAMPLE):
            assert torch.equal(model(x), plain)


def test_nothing_stays_patched() -> None:
    before = torch.overrides.has_torch_function
    with aw.record(layer := attention()):
        layer(*[features(N_KEYS)[:1]] * 3)
        assert torch.overrides.has_torch_function is not before
    assert torch.overrides.has_torch_function is before
