"""Models of Transformers that decode with a cache give the rows that one whole pass gives."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import transformers as tf
from architectures import built, eager, tokens
from architectures_of_text import N_LAYERS, N_SOURCE, N_TARGET

import attnwidget as aw

N_TOKENS = 11
LANGUAGE_MODELS = ("GPT-2", "Llama", "Mistral", "Gemma-2", "Bloom")
PAIRS = ("T5", "BART")
PARTS = {
    "one by one": [4, 5, 6, 7, 8, 9, 10, N_TOKENS],
    "in parts": [4, 8, 10, N_TOKENS],
}


@pytest.fixture(autouse=True)
def no_gradients() -> object:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize(
    ("name", "static"),
    [(name, static) for name in LANGUAGE_MODELS for static in (False, True)],
)
def test_a_prompt_and_a_cache_give_one_matrix(name: str, static: bool, parts: str) -> None:
    model, ids = built(name), tokens(N_TOKENS, n_examples=1)
    with aw.record(model, source=[str(i) for i in range(N_TOKENS)]) as trace:
        cache = tf.StaticCache(config=model.config, max_cache_len=N_TOKENS + 5) if static else None
        start = 0
        for end in PARTS[parts]:
            cache = model(ids[:, start:end], past_key_values=cache, use_cache=True).past_key_values
            start = end
    expected = eager(model)(ids, output_attentions=True).attentions
    assert [(site.kind, site.layer) for site in trace.sites] == [("decoder", 0), ("decoder", 1)]
    for site, theirs in zip(trace.sites, expected, strict=True):
        np.testing.assert_allclose(trace.weights(site), theirs[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_a_language_model_that_starts_with_one_token_grows_by_steps(name: str) -> None:
    model, ids = built(name), tokens(N_TOKENS, n_examples=1)
    with aw.record(model) as trace:
        cache = None
        for i in range(N_TOKENS):
            cache = model(ids[:, i : i + 1], past_key_values=cache, use_cache=True).past_key_values
            aw.step(str(i))
    expected = eager(model)(ids, output_attentions=True).attentions
    assert [(site.kind, site.n_queries) for site in trace.sites] == [("decoder", N_TOKENS)] * N_LAYERS
    for site, theirs in zip(trace.sites, expected, strict=True):
        np.testing.assert_allclose(trace.weights(site), theirs[0], atol=1e-5, rtol=0)


def test_rows_that_are_decoded_again_take_the_place_of_the_first() -> None:
    model, ids = built("Llama"), tokens(N_TOKENS, n_examples=1)
    wrong = ids.clone()
    wrong[:, 6:8] = 3
    with aw.record(model) as trace:
        cache = model(ids[:, :6], use_cache=True).past_key_values
        model(wrong[:, 6:8], past_key_values=copy.deepcopy(cache), use_cache=True)
        model(ids[:, 6:], past_key_values=cache, use_cache=True)
    expected = eager(model)(ids, output_attentions=True).attentions
    for site, theirs in zip(trace.sites, expected, strict=True):
        np.testing.assert_allclose(trace.weights(site), theirs[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("name", PAIRS)
def test_a_translation_grows_by_steps(name: str, cached: bool) -> None:
    model, source, target = built(name), tokens(N_SOURCE, n_examples=1), tokens(N_TARGET, n_examples=1)
    with aw.record(model, source=[str(i) for i in range(N_SOURCE)]) as trace:
        memory, cache = model.get_encoder()(source), None  # type: ignore[operator]
        for i in range(N_TARGET):
            seen = target[:, i : i + 1] if cached else target[:, : i + 1]
            output = model(encoder_outputs=memory, decoder_input_ids=seen, past_key_values=cache, use_cache=cached)
            cache = output.past_key_values if cached else None
            aw.step(str(i))
    output = eager(model)(input_ids=source, decoder_input_ids=target, output_attentions=True)
    expected = {
        "encoder": output.encoder_attentions,
        "decoder": output.decoder_attentions,
        "cross": output.cross_attentions,
    }
    for kind, theirs in expected.items():
        sites = [site for site in trace.sites if site.kind == kind]
        assert [site.layer for site in sites] == [0, 1]
        for site, each in zip(sites, theirs, strict=True):
            np.testing.assert_allclose(trace.weights(site), each[0], atol=5e-5, rtol=0)
    assert trace.flags == ()
