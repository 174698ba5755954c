"""Models of Transformers: their layers, sinks, implementations, training, threads and compiled graphs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from architectures import N_PADDING, N_SOURCE, PADDED, built, eager, inputs, tokens
from architectures_of_text import GROUPED
from torch import Tensor, nn
from transformers.modeling_utils import AttentionInterface

import attnwidget as aw
from attnwidget.capture.flash import flash_attention


@pytest.fixture(autouse=True)
def no_gradients() -> object:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def layers(trace: aw.Trace) -> list[tuple[str, int]]:
    return [(site.kind, site.layer) for site in trace.sites]


@pytest.mark.parametrize("name", ["GPT-2", "OPT", "Llama", "Mistral", "Gemma-2", "Falcon", "Bloom"])
def test_a_language_model_is_a_decoder_of_one_strip(name: str) -> None:
    model = built(name)
    with aw.record(model, source=[str(i) for i in range(N_SOURCE)], example=PADDED) as trace:
        model(**inputs("text"))
    assert layers(trace) == [("decoder", 0), ("decoder", 1)]
    assert {(site.query, site.key) for site in trace.sites} == {("source", "source")}


class Around(nn.Module):
    """A model of one's own around another one."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, **batch: Tensor) -> object:
        return self.inner(**batch)


@pytest.mark.parametrize("name", ["BERT", "Llama", "ViT", "T5"])
def test_a_model_that_was_recorded_may_be_part_of_another_one(name: str) -> None:
    model, batch = built(name), inputs("image" if name == "ViT" else "pair" if name == "T5" else "ids")
    names = []
    for recorded in (model, model, Around(model), Around(Around(model)), model):
        with aw.record(recorded, example=0) as trace:
            recorded(**batch)
        names.append([site.name for site in trace.sites])
    inner = [[f"inner.{path}" for path in names[0]], [f"inner.inner.{path}" for path in names[0]]]
    assert names[1:] == [names[0], *inner, names[0]]


@pytest.mark.parametrize("name", ["BERT", "Llama"])
def test_a_mask_is_seen_also_where_an_earlier_recording_had_none(name: str) -> None:
    model = built(name)
    twin: Any = eager(model)
    text = inputs("text")
    plain = {"input_ids": text["input_ids"]}
    for batch in (plain, plain, text, plain, text):
        with aw.record(model, example=PADDED) as trace:
            model(**batch)
        theirs = twin(**batch, output_attentions=True).attentions
        seen = slice(N_SOURCE - (N_PADDING if batch is text else 0))
        for site, weights in zip(trace.sites, theirs, strict=True):
            np.testing.assert_allclose(trace.weights(site)[:, seen], weights[PADDED][:, seen], atol=1e-5)


def test_layers_that_share_a_module_are_told_apart() -> None:
    model = built("ALBERT")
    with aw.record(model, example=PADDED) as trace:
        model(**inputs("text"))
    first, second = (site.name for site in trace.sites)
    assert second == f"{first}#2"
    assert layers(trace) == [("encoder", 0), ("encoder", 1)]


def test_sinks_are_told_and_not_flagged() -> None:
    model, trace = built("GPT-OSS"), aw.Trace()

    def run() -> None:
        with aw.record(model, example=0, into=trace):
            model(**inputs("text"))

    with pytest.warns(UserWarning, match="Rows sum to less than 1 by design"):
        run()
    assert trace.weights().sum(-1).mean() < 0.9
    assert trace.flags == ()


@pytest.mark.parametrize("attention", ["eager", "sdpa", "flex_attention"])
@pytest.mark.filterwarnings("ignore:Compiled model:UserWarning")
def test_each_implementation_attends_alike(attention: str) -> None:
    model = built("Llama", attention)
    with aw.record(model, example=PADDED) as trace:
        model(**inputs("text"))
    expected = eager(model)(**inputs("text"), output_attentions=True).attentions
    for site, theirs in zip(trace.sites, expected, strict=True):
        ours = trace.weights(site)
        np.testing.assert_allclose(ours[:, :-N_PADDING], theirs[PADDED][:, :-N_PADDING], atol=1e-5, rtol=0)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_training_draws_the_same_numbers_and_shows_weights_before_dropout(attention: str) -> None:
    config = tf.LlamaConfig(**GROUPED, attention_dropout=0.5)
    model = tf.LlamaForCausalLM._from_config(config, attn_implementation=attention).train()
    batch, trace = inputs("text"), aw.Trace()
    plain, recorded = [], []

    def run() -> None:
        with torch.enable_grad(), aw.record(model, example=0, into=trace):
            recorded.extend(step())

    def step() -> list[Tensor]:
        torch.manual_seed(5)
        model.zero_grad()
        loss = model(**batch, labels=batch["input_ids"]).loss
        loss.backward()
        return [loss, *(parameter.grad for parameter in model.parameters() if parameter.grad is not None)]

    with torch.enable_grad():
        plain.extend(step())
    with pytest.warns(UserWarning, match="Dropout is on"):
        run()
    assert all(torch.equal(a, b) for a, b in zip(plain, recorded, strict=True))
    np.testing.assert_allclose(trace.weights().sum(-1), 1, atol=1e-6)


def test_another_model_in_the_block_does_not_count() -> None:
    model, other = built("GPT-2"), built("Llama")
    with aw.record(model) as trace:
        other(tokens(4))
        model(tokens(N_SOURCE, n_examples=1))
        other(tokens(4))
    assert [site.name for site in trace.sites] == ["transformer.h.0.attn", "transformer.h.1.attn"]


def test_another_thread_is_not_recorded_and_the_interface_is_as_before() -> None:
    before = AttentionInterface.get_interface
    model, other, outputs = built("GPT-2"), built("Llama"), []
    plain = other(tokens(4)).logits

    def run() -> None:
        with torch.no_grad():
            outputs.append(other(tokens(4)).logits)
            with aw.record(other, example=0):
                other(tokens(4))

    with aw.record(model):
        assert AttentionInterface.get_interface is not before
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        model(tokens(N_SOURCE, n_examples=1))
        assert AttentionInterface.get_interface is not before
    assert AttentionInterface.get_interface is before
    assert torch.equal(outputs[0], plain)


def test_a_whole_graph_compiles_after_a_recording() -> None:
    model = built("Llama")
    with aw.record(model, example=0):
        model(tokens(N_SOURCE))
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(tokens(N_SOURCE)).logits, model(tokens(N_SOURCE)).logits)


@pytest.mark.parametrize("name", ["Mistral", "Gemma-2", "GPT-OSS", "BERT"])
@pytest.mark.filterwarnings("ignore:Rows sum to less than 1 by design:UserWarning")
def test_a_flash_kernel_is_understood_by_its_arguments(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel itself needs a GPU; what reaches it is what reaches the eager function, but for the mask."""
    model, batch = built(name, "eager"), inputs("text")
    found: list[Tensor] = []
    original = AttentionInterface.get_interface

    def get_interface(*args: object) -> Callable[..., object]:
        function = original(*args)

        def attend(module: nn.Module, q: Tensor, k: Tensor, v: Tensor, _: object, **options: object) -> object:
            options.setdefault("s_aux", getattr(module, "sinks", None))
            found.append(flash_attention(module, q, k, v, batch["attention_mask"], **options).weights())  # type: ignore[arg-type]
            return function(module, q, k, v, _, **{key: it for key, it in options.items() if key != "s_aux"})

        return attend

    monkeypatch.setattr(AttentionInterface, "get_interface", get_interface)
    output = model(**batch, output_attentions=True)
    for ours, theirs in zip(found, output.attentions, strict=True):
        rows = slice(0, N_SOURCE - N_PADDING)
        np.testing.assert_allclose(ours[PADDED, :, rows], theirs[PADDED, :, rows], atol=1e-5, rtol=0)


class Replaced(torch.nn.Module):
    """Attends by a softmax of its own, and has as many modules in it as what it stands for."""

    def __init__(self, old: torch.nn.Module) -> None:
        super().__init__()
        self.inner = torch.nn.ModuleList(torch.nn.Identity() for _ in list(old.modules())[2:])

    def forward(self, hidden_states: torch.Tensor, **_: object) -> tuple[torch.Tensor, None]:
        return (hidden_states @ hidden_states.transpose(1, 2)).softmax(-1) @ hidden_states, None


@pytest.mark.parametrize("what", ["module", "forward"])
def test_attention_that_is_replaced_between_two_recordings_is_seen(what: str) -> None:
    model: Any = built("Llama")
    batch = {name: it[:1] for name, it in inputs("text").items()}
    for _ in range(3):
        with aw.record(model) as before:
            model(**batch)
    layer = model.model.layers[1]
    if what == "module":
        layer.self_attn = Replaced(layer.self_attn)
    else:
        layer.self_attn.forward = Replaced(layer.self_attn).forward
    with aw.record(model) as after:
        model(**batch)
    assert [site.name for site in after.sites] == [site.name for site in before.sites]
    assert after.sites[1].n_heads == 1


@pytest.mark.parametrize("transform", ["grad", "jvp"])
def test_weights_inside_a_transform_of_torch_func_are_recorded(transform: str) -> None:
    model, x = Replaced(torch.nn.Identity()), torch.randn(1, 5, 4)

    def run() -> None:
        if transform == "grad":
            torch.func.grad(lambda it: model(it)[0].sum())(x)
        else:
            torch.func.jvp(lambda it: model(it)[0], (x,), (x,))

    with aw.record(model) as trace:
        run()
    np.testing.assert_allclose(trace.weights(0)[0], (x @ x.transpose(1, 2)).softmax(-1)[0], atol=1e-6)
