"""A decode loop of one's own: a prompt, then token by token, with record and step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from decoders import N_PROMPT, WINDOW, built, inputs, teacher_forced

import attnwidget as aw

N_STEPS = 5
MODELS = ["GPT-2", "Llama", "Mistral", "Gemma-2", "Falcon", "Bloom"]


@pytest.fixture(autouse=True)
def no_gradients() -> object:
    with torch.no_grad():
        yield


def decoded(model: Any, ids: torch.Tensor, *, cache: Any = None, cached: bool = True) -> list[int]:  # noqa: ANN401
    """Choose tokens greedily, and say so."""
    chosen: list[int] = []
    for _ in range(N_STEPS):
        output = model(ids, past_key_values=cache, use_cache=cached)
        token = output.logits[:, -1].argmax(-1)
        aw.step(str(token.item()), [(str(token.item()), output.logits[0, -1].softmax(-1).max().item())])
        chosen.append(int(token))
        ids = token[:, None] if cached else torch.cat([ids, token[:, None]], dim=1)
        cache = output.past_key_values if cached else None
    return chosen


@pytest.mark.parametrize("way", ["dynamic", "static", "no cache"])
@pytest.mark.parametrize("name", MODELS)
def test_a_prompt_and_steps_give_the_rows_of_one_pass(name: str, way: str) -> None:
    model, ids = built(name), inputs(name)["input_ids"]
    cache = tf.StaticCache(config=model.config, max_cache_len=20) if way == "static" else None
    prompt = [f"word {i}" for i in range(N_PROMPT)]
    with aw.record(model, source=prompt) as trace:
        chosen = decoded(model, ids, cache=cache, cached=way != "no cache")
    sequence = torch.cat([ids[0], torch.tensor(chosen)])
    expected = teacher_forced(name, model, {}, sequence[:-1])["decoder"]
    assert list(trace.tokens["context"]) == [*prompt, *map(str, chosen[:-1])]
    assert [step.position for step in trace.steps] == list(range(N_PROMPT - 1, N_PROMPT - 1 + N_STEPS))
    for site, theirs in zip(trace.sites, expected, strict=True):
        assert (site.kind, site.query, site.key) == ("decoder", "target", "context")
        np.testing.assert_allclose(trace.weights(site), theirs[:, N_PROMPT - 1 :], atol=1e-5, rtol=0)
    assert trace.flags == ()


@pytest.mark.parametrize("name", ["Llama", "Mistral"])
def test_queries_and_keys_of_steps_give_the_same(name: str) -> None:
    model, ids = built(name), inputs(name)["input_ids"]
    with aw.record(model, store="qk") as trace:
        chosen = decoded(model, ids)
    sequence = torch.cat([ids[0], torch.tensor(chosen)])
    expected = teacher_forced(name, model, {}, sequence[:-1])["decoder"]
    for site, theirs in zip(trace.sites, expected, strict=True):
        assert site.name in {it.name for it in trace.sites if it.store == "qk"}
        np.testing.assert_allclose(trace.weights(site), theirs[:, N_PROMPT - 1 :], atol=1e-5, rtol=0)


def test_a_window_forgets_the_beginning() -> None:
    model, ids = built("Mistral"), inputs("Mistral")["input_ids"]
    with aw.record(model) as trace:
        decoded(model, ids)
    for step in trace.steps:
        row = trace.weights(0)[:, step.index]
        assert not row[:, : step.position + 1 - WINDOW].any()
        assert not row[:, step.position + 1 :].any()


def test_edits_of_a_loop_are_by_position() -> None:
    model, ids = built("GPT-2"), inputs("GPT-2")["input_ids"]
    edit = aw.Edit("set", site=0, query=N_PROMPT, key=0, value=1.0)
    with aw.record(model, edits=[edit]) as trace:
        decoded(model, ids)
    (row,) = [step.index for step in trace.steps if step.position == N_PROMPT]
    np.testing.assert_allclose(trace.weights(0)[:, row, 0], 1, atol=1e-6)
    assert trace.weights(0)[:, row - 1, 0].max() < 1


@pytest.mark.parametrize("n_tokens", [40, 700])
def test_large_recordings_keep_queries_and_keys_and_say_so(n_tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.capture.sizes.DENSE_BYTES", 1 << 20)
    model = tf.LlamaForCausalLM(
        tf.LlamaConfig(vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48)
    ).eval()
    ids = torch.randint(3, 60, (1, n_tokens))

    def run() -> aw.Trace:
        with aw.record(model) as trace:
            model(ids)
        return trace

    if n_tokens == 40:
        assert {site.store for site in run().sites} == {"dense"}
        return
    with pytest.warns(UserWarning, match=r"Dense attention would take 15\.0 MiB; keeping queries and keys \(.* KiB\)"):
        trace = run()
    assert {site.store for site in trace.sites} == {"qk"}
    (theirs, _) = teacher_forced("Llama", model, {}, ids[0])["decoder"]
    np.testing.assert_allclose(trace.weights(0), theirs, atol=1e-5, rtol=0)


def test_large_weights_without_queries_and_keys_are_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.capture.sizes.DENSE_BYTES", 1 << 10)
    model, ids = built("Bloom"), torch.randint(3, 60, (1, 40))
    with pytest.warns(UserWarning, match="keeping the largest of each row"), aw.record(model) as trace:
        model(ids)
    assert {site.store for site in trace.sites} == {"reduced"}
    (theirs, _) = teacher_forced("Bloom", model, {}, ids[0])["decoder"]
    np.testing.assert_allclose(trace.strength(0), theirs.sum(1), atol=1e-4, rtol=0)
    assert [flag.kind for flag in trace.flags] == ["reduced"]
