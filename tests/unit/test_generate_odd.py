"""generate: models that read all tokens anew and look ahead, and softmaxes that are no attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from architectures import eager, sharpened
from decoders import IDS, N_PROMPT, SIZE, built, inputs

import attnwidget as aw

OPTIONS: dict[str, Any] = {"max_new_tokens": 4, "do_sample": False, "progress": False, "eos_token_id": None}
STREAMS = 4  # which a hyper-connection mixes
MIXING = SIZE | {
    "num_key_value_heads": 1,
    "head_dim": 8,
    "qk_rope_head_dim": 4,
    "q_lora_rank": 16,
    "o_groups": 2,
    "o_lora_rank": 8,
    "moe_intermediate_size": 16,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "index_n_heads": 4,
    "index_head_dim": 8,
    "index_topk": 4,
    "sliding_window": 4,
    "hc_mult": STREAMS,
    "layer_types": ["heavily_compressed_attention", "heavily_compressed_attention"],
    "mlp_layer_types": ["moe", "moe"],
}


@pytest.fixture(autouse=True)
def no_gradients() -> object:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_rows_of_a_model_that_reads_anew_and_looks_ahead_are_the_last_of_each_reading(attention: str) -> None:
    model: Any = sharpened(tf.BertLMHeadModel(tf.BertConfig(**SIZE)))
    model.set_attn_implementation(attention)
    options = OPTIONS | {"use_cache": False}
    plain = model.generate(**inputs("Llama"), **{name: it for name, it in options.items() if name != "progress"})
    trace = aw.generate(model, inputs("Llama"), **options)
    assert [step.token for step in trace.steps] == [str(it) for it in plain[0, N_PROMPT:].tolist()]
    assert [(site.kind, site.key) for site in trace.sites] == [("decoder", "context")] * 2
    for step in range(4):
        n_read = N_PROMPT + step
        read = eager(model)(input_ids=plain[:, :n_read], output_attentions=True)
        for site, layer in zip(trace.sites, read.attentions, strict=True):
            row = trace.weights(site, queries=slice(step, step + 1))[:, 0, :n_read]
            np.testing.assert_allclose(row, layer[0, :, -1], atol=1e-5)


@pytest.mark.filterwarnings("ignore:Rows sum to less than 1")
def test_matrices_that_mix_streams_are_left_out_and_named() -> None:
    model = sharpened(tf.DeepseekV4ForCausalLM(tf.DeepseekV4Config(**MIXING)))
    with pytest.warns(UserWarning, match="DeepseekV4HyperConnection x4 made matrices .* Call aw.mark"):
        trace = aw.generate(model, inputs("Llama"), **OPTIONS)
    assert [site.name for site in trace.sites] == [f"model.layers.{i}.self_attn" for i in range(2)]
    with pytest.warns(UserWarning, match="HyperConnection"), aw.record(model) as trace:
        model(inputs("Llama")["input_ids"])
    assert len(trace.sites) == 2


@pytest.mark.filterwarnings("ignore:Rows sum to less than 1", "ignore:DeepseekV4HyperConnection")
def test_keys_that_are_no_tokens_are_left_out_of_a_generation_and_named() -> None:
    types = ["heavily_compressed_attention", "compressed_sparse_attention"]
    model = sharpened(tf.DeepseekV4ForCausalLM(tf.DeepseekV4Config(**MIXING | {"layer_types": types})))
    with pytest.warns(UserWarning, match="model.layers.1.self_attn attends to keys that are no tokens"):
        trace = aw.generate(model, inputs("Llama"), **OPTIONS)
    assert [site.name for site in trace.sites] == ["model.layers.0.self_attn"]
    with aw.record(model) as trace:
        model(inputs("Llama")["input_ids"])
    assert [site.n_keys for site in trace.sites] == [N_PROMPT, N_PROMPT + N_PROMPT // 4]


def test_what_reads_more_than_tokens_and_looks_ahead_is_named() -> None:
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "dim_head": 8, "dim_ff": 40, "num_hidden_layers": 2}
    config = tf.CpmAntConfig(**IDS, **sizes, prompt_length=3)
    model = sharpened(tf.CpmAntForCausalLM(config))
    with pytest.warns(UserWarning, match="No attention was seen of which a row chose a token"):
        trace = aw.generate(model, inputs("Llama"), **OPTIONS)
    assert {(site.kind, site.n_keys) for site in trace.sites} == {("encoder", N_PROMPT + 3)}


def test_an_encoder_that_runs_again_inside_the_decoder_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(
        aw.CaptureError, match=r"encoder\.layers\.0\.self_attn read the prompt at once.*Record single passes"
    ):
        aw.generate(built("BART"), inputs("BART"), guidance_scale=1.5, **OPTIONS)


def test_keys_of_another_number_than_the_inputs_have_a_strip_of_their_own() -> None:
    """Features of the encoder that are more than the tokens beside them, as of pictures in a text."""
    model = built("BART")
    features = torch.randn(1, N_PROMPT + 3, 32)
    output = tf.modeling_outputs.BaseModelOutput(last_hidden_state=features)
    trace = aw.generate(model, inputs("BART"), encoder_outputs=output, **OPTIONS | {"max_new_tokens": 3})
    crosses = [site for site in trace.sites if site.kind == "cross"]
    assert [(site.key, site.n_keys, site.n_queries) for site in crosses] == [
        (f"source_{N_PROMPT + 3}", N_PROMPT + 3, 3)
    ] * 2


@pytest.mark.filterwarnings("ignore:Rows sum to less than 1", "ignore:DeepseekV4HyperConnection")
def test_keys_that_are_no_tokens_from_some_step_on_are_missing_from_there_and_named() -> None:
    rates = {"compressed_sparse_attention": 4, "heavily_compressed_attention": N_PROMPT + 2}
    model: Any = sharpened(tf.DeepseekV4ForCausalLM(tf.DeepseekV4Config(**MIXING, compress_rates=rates)))
    plain = model.generate(**inputs("Llama"), **{name: it for name, it in OPTIONS.items() if name != "progress"})
    with pytest.warns(UserWarning, match=r"model\.layers\.0\.self_attn attends to keys that are no tokens"):
        trace = aw.generate(model, inputs("Llama"), **OPTIONS)
    assert [step.token for step in trace.steps] == [str(it) for it in plain[0, N_PROMPT:].tolist()]
    for site in trace.sites:
        assert [bool(np.isnan(row).any()) for row in trace.weights(site, 0)] == [False, False, True, True]
