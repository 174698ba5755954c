"""Edits: what a model does with other weights equals what an independent computation says."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from decoders import IS_PAIR, N_PROMPT, built, inputs
from torch import Tensor, nn
from torch.nn.attention.flex_attention import flex_attention

import attnwidget as aw

# The projection behind a layer's attention, whose input holds the heads side by side.
PROJECTIONS = {
    "GPT-2": "transformer.h.1.attn.c_proj",
    "Llama": "model.layers.1.self_attn.o_proj",
    "Gemma-2": "model.layers.1.self_attn.o_proj",
    "Falcon": "transformer.h.1.self_attention.dense",
    "Bloom": "transformer.h.1.self_attention.dense",
    "T5": "decoder.block.1.layer.1.EncDecAttention.o",
    "BART": "model.decoder.layers.1.encoder_attn.out_proj",
    "Whisper": "model.decoder.layers.1.encoder_attn.out_proj",
}
D_HEAD = 8


@pytest.fixture(autouse=True)
def no_gradients() -> object:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def given(name: str) -> dict[str, Tensor]:
    target = {"decoder_input_ids": torch.tensor([[1, 5, 7, 9]])} if name in IS_PAIR else {}
    return inputs(name) | target


def logits(model: Any, *edits: aw.Edit, **batch: Tensor) -> Tensor:  # noqa: ANN401
    with aw.record(model, edits=edits):
        return model(**batch).logits  # type: ignore[no-any-return]


@contextmanager
def without_head(model: nn.Module, projection: str, head: int) -> Iterator[None]:
    """Zero what a head adds, just before it is projected."""

    def hook(_: object, given: tuple[Tensor, ...]) -> tuple[Tensor]:
        heads = given[0].clone()
        heads[..., head * D_HEAD : (head + 1) * D_HEAD] = 0
        return (heads,)

    handle = model.get_submodule(projection).register_forward_pre_hook(hook)
    yield
    handle.remove()


@pytest.mark.parametrize("name", PROJECTIONS)
def test_weights_that_stay_the_same_change_nothing(name: str) -> None:
    model, batch = built(name), given(name)
    plain = model(**batch).logits
    torch.testing.assert_close(logits(model, aw.Edit("scale", value=1.0), **batch), plain, atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", PROJECTIONS)
def test_an_ablated_head_adds_nothing(name: str) -> None:
    model, batch, projection = built(name), given(name), PROJECTIONS[name]
    site = projection.rpartition(".")[0]
    with without_head(model, projection, 2):
        expected = model(**batch).logits
    found = logits(model, aw.Edit("ablate", site=site, head=2), **batch)
    assert not torch.allclose(expected, model(**batch).logits, atol=1e-3)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def additive(query: int, key: int, value: float) -> Tensor:
    mask = torch.full((N_PROMPT, N_PROMPT), float("-inf")).triu(1)
    mask[query, key] += value
    return mask[None, None]


@pytest.mark.parametrize("name", ["GPT-2", "Llama"])
@pytest.mark.parametrize(("op", "value", "added"), [("bias", 3.0, 3.0), ("zero", None, float("-inf"))])
def test_a_score_changes_as_by_a_mask(name: str, op: Any, value: float | None, added: float) -> None:  # noqa: ANN401
    model, ids = built(name), inputs(name)["input_ids"]
    expected = model(input_ids=ids, attention_mask=additive(7, 2, added)).logits
    found = logits(model, aw.Edit(op, query=7, key=2, value=value), input_ids=ids)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_a_row_that_is_set_changes_what_comes_after_it_only() -> None:
    model, batch = built("GPT-2"), inputs("GPT-2")
    pattern = np.eye(N_PROMPT)[0]
    edit = aw.Edit("set", site=0, head=1, query=N_PROMPT - 1, value=pattern)
    with aw.record(model, edits=[edit]) as trace:
        found = model(**batch).logits
    plain = model(**batch).logits
    assert np.array_equal(trace.weights(0, 1)[-1], pattern)
    assert torch.allclose(found[:, :-1], plain[:, :-1], atol=1e-5)
    assert not torch.allclose(found[:, -1], plain[:, -1], atol=1e-3)


@pytest.mark.parametrize("name", ["GPT-2", "Llama", "Mistral", "BART"])
def test_edits_of_a_position_are_the_same_with_and_without_a_cache(name: str) -> None:
    model, batch = built(name), inputs(name)
    first = 4 if name == "BART" else N_PROMPT + 3
    edits = [aw.Edit("bias", query=[first, first + 1], key=first - 1, value=4.0)]
    options: dict[str, Any] = {"max_new_tokens": 8, "min_new_tokens": 8, "do_sample": False, "progress": False}
    cached = aw.generate(model, batch, edits=edits, **options)
    whole = aw.generate(model, batch, edits=edits, use_cache=False, **options)
    plain = aw.generate(model, batch, **options)
    assert cached.tokens["target"] == whole.tokens["target"]
    for site in cached.sites:
        np.testing.assert_allclose(cached.weights(site), whole.weights(site.name), atol=1e-5, rtol=0)
    (row,) = [step.index for step in cached.steps if step.position == first]
    self_site = next(site for site in cached.sites if site.kind == "decoder")
    assert np.abs(cached.weights(self_site)[:, row] - plain.weights(self_site.name)[:, row]).max() > 1e-3


class Hand(nn.Module):
    """Attention written by hand, in several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.num_heads = way, 2
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))
        self.force: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (it(x).unflatten(2, (2, 4)).transpose(1, 2) for it in (self.query, self.key, self.value))
        if self.way == "sdpa" and self.force is None:
            return nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        if self.way == "flex" and self.force is None:
            return flex_attention(q, k, v).transpose(1, 2).flatten(2)  # type: ignore[union-attr]
        weights = (q @ k.mT / 2).softmax(-1)
        weights = weights if self.force is None else self.force.expand_as(weights)
        if self.way == "einsum":
            heads = torch.einsum("bhqk,bhkd->bhqd", weights, v)
        elif self.way == "folded":
            heads = torch.bmm(weights.flatten(0, 1), v.flatten(0, 1)).unflatten(0, (-1, 2))
        elif self.way == "unbound":
            first, second = weights.unbind(1)
            heads = torch.stack([first @ v[:, 0], second @ v[:, 1]], dim=1)
        elif self.way == "marked":
            heads = (aw.mark(weights) if self.force is None else weights) @ v
        elif self.way == "dropout and mask":
            heads = nn.functional.dropout(weights * torch.ones(1, 2, 1, 1), 0.1, training=False).to(v.dtype) @ v
        else:
            heads = (weights.unsqueeze(-1) * v.unsqueeze(2)).sum(3)
        return heads.transpose(1, 2).flatten(2)


@pytest.mark.parametrize("way", ["sdpa", "flex", "einsum", "folded", "unbound", "marked", "dropout and mask", "sum"])
def test_attention_by_hand_is_edited(way: str) -> None:
    model, x = Hand(way).eval(), torch.randn(1, 5, 8)
    pattern = torch.tensor([0.1, 0.0, 0.6, 0.3, 0.0])
    with aw.record(model, edits=[aw.Edit("set", value=pattern)]) as trace:
        found = model(x)
    np.testing.assert_allclose(trace.weights(), pattern.expand(2, 5, 5), atol=1e-7)
    model.force = pattern
    torch.testing.assert_close(found, model(x), atol=1e-6, rtol=0)


@pytest.mark.parametrize("fast", [True, False])
def test_a_head_of_torch_nn_is_ablated(fast: bool) -> None:
    model = nn.Transformer(32, 4, 2, 2, 64, batch_first=True).eval()
    twin = copy.deepcopy(model)
    attention = twin.decoder.layers[1].multihead_attn
    attention.in_proj_weight[64 + 16 : 64 + 24] = 0
    attention.in_proj_bias[64 + 16 : 64 + 24] = 0
    if not fast:
        model.requires_grad_(True)
    source, target = torch.randn(1, 6, 32), torch.randn(1, 4, 32)
    with aw.record(model, edits=[aw.Edit("ablate", site="decoder.layers.1.multihead_attn", head=2)]):
        found = model(source, target)
    torch.testing.assert_close(found, twin(source, target), atol=2e-6, rtol=0)


@pytest.mark.parametrize("averaged", [True, False])
def test_weights_that_torch_nn_returns_are_the_edited_ones(averaged: bool) -> None:
    model, x = nn.MultiheadAttention(8, 2, batch_first=True).eval(), torch.randn(1, 5, 8)
    with aw.record(model, edits=[aw.Edit("mean", head=0)]) as trace:
        _, weights = model(x, x, x, average_attn_weights=averaged)
    assert np.allclose(trace.weights(0, 0), 0.2)
    expected = trace.weights().mean(0) if averaged else trace.weights()
    np.testing.assert_allclose(weights[0], expected, atol=1e-6)


def test_a_head_is_off_at_every_step() -> None:
    model = aw.models.pretrained("transformer")  # which reads all it wrote anew for each word
    cross = model.network.decoder[0].cross_attention
    inputs, words = model.encode("twenty-seven"), []
    with aw.record(model, edits=aw.Edit("ablate", site="network.decoder.0.cross_attention", head=2)) as trace:
        model.run(inputs, on_token=aw.step)
    weights = trace.weights("network.decoder.0.cross_attention")
    assert weights[2].max() == 0
    assert weights[[0, 1, 3]].sum(2) == pytest.approx(1, abs=1e-5)

    width = cross.output.in_features // cross.n_heads
    with torch.no_grad():
        columns = cross.output.weight[:, 2 * width : 3 * width]
        columns.zero_()  # nobody reads what the head returns
    model.run(inputs, on_token=lambda token, *_, **__: words.append(token))
    assert [step.token for step in trace.steps] == words


def test_a_translation_follows_an_edit() -> None:
    model = aw.models.pretrained("reverse")
    inputs = model.encode(["b", "a", "d", "c"])
    with aw.record(model, source=inputs.tokens) as plain:
        model.run(inputs, on_token=aw.step)
    with aw.record(model, source=inputs.tokens, edits=[aw.Edit("set", query=0, key=0, value=1.0)]) as edited:
        model.run(inputs, on_token=aw.step)
    assert plain.weights(0)[0, 0].argmax() != 0
    assert edited.weights(0)[0, 0].argmax() == 0
    assert edited.steps[0].token != plain.steps[0].token


@pytest.mark.parametrize(
    "edit",
    [
        aw.Edit("ablate", site="no such module"),
        aw.Edit("ablate", site=9),
        aw.Edit("ablate", head=17),
        aw.Edit("ablate", query=500),
        aw.Edit("zero", key=500),
    ],
)
def test_an_edit_that_meets_no_call_is_an_error(edit: aw.Edit) -> None:
    model = built("GPT-2")
    with pytest.raises(aw.CaptureError, match=r"No call matched Edit\('(ablate|zero)'.*transformer\.h\.1\.attn"):
        logits(model, aw.Edit("scale", value=1.0), edit, **inputs("GPT-2"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"op": "remove"}, "'remove' came, one of 'ablate', 'mean'"),
        ({"op": "bias"}, "no value came; bias, scale, set need one"),
        ({"op": "ablate", "value": 1.0}, "value came; bias, scale, set need one"),
        ({"op": "zero"}, "no key came"),
        ({"op": "mean", "key": 2}, "changes whole rows"),
        ({"op": "set", "value": 0.5}, r"a value of shape \(\) came, an array \[key\]"),
        ({"op": "scale", "value": float("nan")}, "a finite number was expected"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        aw.Edit(**options)


def test_what_is_no_edit_is_refused() -> None:
    with pytest.raises(TypeError, match=r"str came, aw\.Edit was expected"):
        logits(built("GPT-2"), "ablate", **inputs("GPT-2"))  # type: ignore[arg-type]


def test_queries_and_keys_tell_no_edited_weights() -> None:
    model = built("GPT-2")
    with (
        pytest.raises(ValueError, match="'qk' came with edits"),
        aw.record(model, store="qk", edits=[aw.Edit("ablate")]),
    ):
        model(**inputs("GPT-2"))


def test_a_model_is_itself_again_after_edits() -> None:
    model, batch = built("Llama"), inputs("Llama")
    plain = model(**batch).logits
    logits(model, aw.Edit("ablate"), **batch)
    assert torch.equal(model(**batch).logits, plain)
