"""Sparse attention of Transformers: bands and blocks become matrices, and modules that gave nothing are named."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from architectures import ARCHITECTURES, built, inputs
from torch import Tensor, nn

import attnwidget as aw


def noted(model: nn.Module, run: Callable[[], object], **options: object) -> tuple[aw.Trace, list[str]]:
    with warnings.catch_warnings(record=True) as found, torch.no_grad(), aw.record(model, **options) as trace:  # type: ignore[arg-type]
        warnings.simplefilter("always")
        run()
    return trace, [str(it.message) for it in found if it.category is UserWarning]


def longformer() -> tuple[nn.Module, dict[str, Tensor]]:
    torch.manual_seed(0)
    return built("Longformer"), inputs("text")


def test_a_band_with_global_tokens_weighs_what_the_module_puts_out() -> None:
    """What a window and the global keys weigh is the output; global queries weigh other values."""
    model, batch = longformer()
    is_global = torch.zeros(2, 9, dtype=torch.long)
    is_global[0, 0] = is_global[1, 2] = is_global[1, 5] = 1
    module, seen = model.encoder.layer[0].attention.self, {}
    handles = [
        layer.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))  # type: ignore[misc]
        for name, layer in (("value", module.value), ("value_global", module.value_global))
    ]
    handles.append(module.register_forward_hook(lambda _, __, out: seen.update(output=out[0])))
    for example in (0, 1):
        trace, _ = noted(model, lambda: model(**batch, global_attention_mask=is_global), example=example)
        weights = torch.from_numpy(trace.weights(trace.sites[0]))[:, :6]  # padding weighs nothing
        values = {
            name: seen[name][:9, example].unflatten(1, (4, 8)).transpose(0, 1) for name in seen if name != "output"
        }
        values["value_global"] = seen["value_global"][:9, example].unflatten(1, (4, 8)).transpose(0, 1)
        chosen = is_global[example, :6].bool()[None, :, None]
        expected = torch.where(chosen, weights @ values["value_global"], weights @ values["value"])
        found = seen["output"][example, :6].unflatten(1, (4, 8)).transpose(0, 1)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("asks", [True, False])
def test_the_caller_gets_what_it_asked_for(asks: bool) -> None:
    model, batch = longformer()
    with torch.no_grad():
        plain = model(**batch, output_attentions=asks).to_tuple()
        found: list[tuple[object, ...]] = []
        noted(model, lambda: found.append(model(**batch, output_attentions=asks).to_tuple()), example=0)
    assert len(found[0]) == len(plain) == 2 + asks
    assert all(
        torch.equal(a, b)
        for x, y in zip(found[0], plain, strict=True)
        for a, b in zip(x, y, strict=True)  # type: ignore[call-overload]
    )


def test_a_band_is_named_with_its_width() -> None:
    model, batch = longformer()
    _, notes = noted(model, lambda: model(**batch), example=0)
    assert [note for note in notes if note.startswith("LongformerSelfAttention attends in a band of 5 keys")]


def test_blocks_are_named() -> None:
    torch.manual_seed(0)
    model, batch = built("BigBird"), inputs("long text")
    trace, notes = noted(model, lambda: model(**batch), example=0)
    assert [trace.weights(site).shape for site in trace.sites] == [(4, 64, 64)] * 2
    assert "BigBird computes attention in blocks; showing the dense matrix that the model assembles." in notes


def test_what_is_read_after_the_fact_cannot_be_edited() -> None:
    model, batch = longformer()
    with pytest.raises(aw.CaptureError, match="cannot be edited: its weights are read after it has used them"):
        noted(model, lambda: model(**batch), example=0, edits=[aw.Edit("ablate", head=0)])


class Silent(nn.Module):
    """Attends without a softmax."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x @ x.mT) @ x


class MyAttention(Silent):
    """Has a name that promises weights."""


def test_attention_that_could_not_be_read_is_named() -> None:
    model = nn.ModuleList([nn.MultiheadAttention(4, 1, batch_first=True), MyAttention(), MyAttention()])
    model.forward = lambda x: model[2](model[1](model[0](x, x, x)[0]))  # type: ignore[method-assign]
    _, notes = noted(model, lambda: model(torch.randn(1, 3, 4)))
    (note,) = notes
    assert note.startswith("MyAttention x2 ran but the weights could not be read, so they are missing here. ")
    assert "aw.mark(weights)" in note


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("Jamba", "Layer 0 (JambaMambaMixer) has no attention matrix; showing 1 of 2 layers."),
        ("Qwen3-Next", "Layer 0 (Qwen3NextGatedDeltaNet) has no attention matrix; showing 1 of 2 layers."),
    ],
)
def test_layers_without_attention_are_named(name: str, note: str) -> None:
    torch.manual_seed(0)
    model, batch = built(name), inputs(ARCHITECTURES[name].reads)
    assert note in noted(model, lambda: model(**batch), example=0)[1]
