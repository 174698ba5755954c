"""Models of Transformers that decode with a cache give the rows that one whole pass gives."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import transformers as tf
from torch import Tensor, nn

import attnwidget as aw

N_LAYERS, N_HEADS, D_MODEL, N_VOCABULARY, N_SOURCE, N_TARGET, N_TOKENS = 2, 4, 32, 60, 7, 5, 11
WINDOW = 4
SIZES = {"vocab_size": N_VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
DECODER = SIZES | {
    "hidden_size": D_MODEL,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": N_HEADS,
    "intermediate_size": 40,
    "max_position_embeddings": 40,
}
GROUPED = DECODER | {"num_key_value_heads": 2, "head_dim": 8}
PAIR = SIZES | {
    "d_model": D_MODEL,
    "encoder_layers": N_LAYERS,
    "decoder_layers": N_LAYERS,
    "encoder_attention_heads": N_HEADS,
    "decoder_attention_heads": N_HEADS,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 40,
    "max_position_embeddings": 40,
    "decoder_start_token_id": 1,
}
LANGUAGE_MODELS = {
    "GPT-2": lambda: tf.GPT2LMHeadModel(
        tf.GPT2Config(vocab_size=N_VOCABULARY, n_embd=D_MODEL, n_layer=N_LAYERS, n_head=N_HEADS, n_positions=40)
    ),
    "Llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**GROUPED)),
    "Mistral": lambda: tf.MistralForCausalLM(tf.MistralConfig(**GROUPED, sliding_window=WINDOW)),
    "Gemma-2": lambda: tf.Gemma2ForCausalLM(tf.Gemma2Config(**GROUPED, sliding_window=WINDOW)),
    "Bloom": lambda: tf.BloomForCausalLM(
        tf.BloomConfig(vocab_size=N_VOCABULARY, hidden_size=D_MODEL, n_layer=N_LAYERS, n_head=N_HEADS)
    ),
}
PAIRS = {
    "T5": lambda: tf.T5ForConditionalGeneration(
        tf.T5Config(vocab_size=N_VOCABULARY, d_model=D_MODEL, d_kv=8, d_ff=40, num_layers=N_LAYERS, num_heads=N_HEADS)
    ),
    "BART": lambda: tf.BartForConditionalGeneration(tf.BartConfig(**PAIR)),
}
PARTS = {
    "one by one": [4, 5, 6, 7, 8, 9, 10, N_TOKENS],
    "in parts": [4, 8, 10, N_TOKENS],
}


@pytest.fixture(autouse=True)
def no_gradients() -> object:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def sharpened(model: nn.Module) -> nn.Module:
    """Have weights far from uniform, which they are as they are initialised."""
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 and "emb" not in name and "wte" not in name:
            parameter.mul_(6)
    return model.eval()


def eager(model: nn.Module) -> nn.Module:
    twin = copy.deepcopy(model)
    twin.set_attn_implementation("eager")  # type: ignore[operator]
    return twin


def tokens(n_tokens: int) -> Tensor:
    return torch.randint(3, N_VOCABULARY, (1, n_tokens), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize(
    ("name", "static"),
    # Bloom is off the interface, and does not say how much of a static cache is empty.
    [(name, static) for name in LANGUAGE_MODELS for static in (False, True) if (name, static) != ("Bloom", True)],
)
def test_a_prompt_and_a_cache_give_one_matrix(name: str, static: bool, parts: str) -> None:
    model, ids = sharpened(LANGUAGE_MODELS[name]()), tokens(N_TOKENS)
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
    model, ids = sharpened(LANGUAGE_MODELS[name]()), tokens(N_TOKENS)
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
    model, ids = sharpened(LANGUAGE_MODELS["Llama"]()), tokens(N_TOKENS)
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
    model, source, target = sharpened(PAIRS[name]()), tokens(N_SOURCE), tokens(N_TARGET)
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
