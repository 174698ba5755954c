"""Models of Transformers: what is recorded is what they return when they attend eagerly, and their bits stay theirs."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
import transformers as tf
from torch import Tensor, nn
from transformers.modeling_utils import AttentionInterface

import attnwidget as aw
from attnwidget.capture.flash import flash_weights

N_LAYERS, N_HEADS, N_GROUPS, D_MODEL, N_VOCABULARY = 2, 4, 2, 32, 60
N_SOURCE, N_TARGET, N_MELS, N_PIXELS, N_PADDING = 9, 5, 6, 16, 3
EXAMPLE = 1
KINDS = ("encoder", "decoder", "cross")

SIZES = {"vocab_size": N_VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
TEXT = SIZES | {
    "hidden_size": D_MODEL,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": N_HEADS,
    "intermediate_size": 40,
    "max_position_embeddings": 40,
}
GROUPED = TEXT | {"num_key_value_heads": N_GROUPS, "head_dim": 8}
PAIR = SIZES | {
    "d_model": D_MODEL,
    "encoder_layers": N_LAYERS,
    "decoder_layers": N_LAYERS,
    "encoder_attention_heads": N_HEADS,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 40,
    "decoder_start_token_id": 1,
}
POSITIONS = {"max_position_embeddings": 40}
IMAGE = {
    "hidden_size": D_MODEL,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": N_HEADS,
    "intermediate_size": 40,
    "image_size": N_PIXELS,
    "patch_size": 4,
}
GPT2 = {"vocab_size": N_VOCABULARY, "n_embd": D_MODEL, "n_layer": N_LAYERS, "n_head": N_HEADS, "n_positions": 40}
HEADLESS = {name: value for name, value in GROUPED.items() if name != "head_dim"}

# name: the class of the model, its configuration, what it reads, and the largest difference that float32 explains
MODELS: dict[str, tuple[str, Callable[[], object], str, float]] = {
    "BERT": ("BertModel", lambda: tf.BertConfig(**TEXT), "text", 1e-5),
    "RoBERTa": ("RobertaModel", lambda: tf.RobertaConfig(**TEXT), "text", 1e-5),
    "DistilBERT": (
        "DistilBertModel",
        lambda: tf.DistilBertConfig(
            vocab_size=N_VOCABULARY, dim=D_MODEL, n_layers=N_LAYERS, n_heads=N_HEADS, hidden_dim=40
        ),
        "text",
        1e-5,
    ),
    "ALBERT": ("AlbertModel", lambda: tf.AlbertConfig(**TEXT, embedding_size=16), "text", 1e-5),
    "ELECTRA": ("ElectraModel", lambda: tf.ElectraConfig(**TEXT, embedding_size=16), "text", 1e-5),
    "DeBERTa-v2": (
        "DebertaV2Model",
        lambda: tf.DebertaV2Config(**TEXT, relative_attention=True, pos_att_type=["c2p", "p2c"], position_buckets=8),
        "text",
        1e-5,
    ),
    "GPT-2": ("GPT2LMHeadModel", lambda: tf.GPT2Config(**GPT2), "text", 1e-5),
    "OPT": (
        "OPTForCausalLM",
        lambda: tf.OPTConfig(
            vocab_size=N_VOCABULARY,
            hidden_size=D_MODEL,
            num_hidden_layers=N_LAYERS,
            num_attention_heads=N_HEADS,
            ffn_dim=40,
            word_embed_proj_dim=D_MODEL,
            max_position_embeddings=40,
        ),
        "text",
        1e-5,
    ),
    "GPT-NeoX": ("GPTNeoXForCausalLM", lambda: tf.GPTNeoXConfig(**TEXT), "text", 1e-5),
    "Llama": ("LlamaForCausalLM", lambda: tf.LlamaConfig(**GROUPED), "text", 1e-5),
    "Mistral": ("MistralForCausalLM", lambda: tf.MistralConfig(**GROUPED, sliding_window=4), "text", 1e-5),
    "Qwen2": ("Qwen2ForCausalLM", lambda: tf.Qwen2Config(**HEADLESS), "text", 1e-5),
    "Gemma-2": (
        "Gemma2ForCausalLM",
        lambda: tf.Gemma2Config(**GROUPED, sliding_window=4, attn_logit_softcapping=2.0, query_pre_attn_scalar=8),
        "text",
        1e-5,
    ),
    "GPT-OSS": (
        "GptOssForCausalLM",
        lambda: tf.GptOssConfig(
            **GROUPED,
            num_local_experts=3,
            num_experts_per_tok=2,
            sliding_window=4,
            layer_types=["sliding_attention", "full_attention"],
        ),
        "text",
        1e-5,
    ),
    "Mixtral": ("MixtralForCausalLM", lambda: tf.MixtralConfig(**GROUPED, num_local_experts=3), "text", 1e-5),
    "Falcon": (
        "FalconForCausalLM",
        lambda: tf.FalconConfig(
            vocab_size=N_VOCABULARY, hidden_size=D_MODEL, num_hidden_layers=N_LAYERS, num_attention_heads=N_HEADS
        ),
        "text",
        1e-5,
    ),
    "Bloom": (
        "BloomForCausalLM",
        lambda: tf.BloomConfig(vocab_size=N_VOCABULARY, hidden_size=D_MODEL, n_layer=N_LAYERS, n_head=N_HEADS),
        "text",
        1e-5,
    ),
    "T5": (
        "T5ForConditionalGeneration",
        lambda: tf.T5Config(
            vocab_size=N_VOCABULARY, d_model=D_MODEL, d_kv=8, d_ff=40, num_layers=N_LAYERS, num_heads=N_HEADS
        ),
        "pair",
        5e-5,
    ),
    "BART": ("BartForConditionalGeneration", lambda: tf.BartConfig(**PAIR, **POSITIONS), "pair", 1e-5),
    "Marian": ("MarianMTModel", lambda: tf.MarianConfig(**PAIR, **POSITIONS), "pair", 1e-5),
    "Whisper": (
        "WhisperForConditionalGeneration",
        lambda: tf.WhisperConfig(
            **PAIR, num_mel_bins=N_MELS, max_source_positions=N_SOURCE, max_target_positions=20, suppress_tokens=None
        ),
        "sound",
        1e-5,
    ),
    "ViT": ("ViTModel", lambda: tf.ViTConfig(**IMAGE), "image", 1e-5),
    "DINOv2": (
        "Dinov2Model",
        lambda: tf.Dinov2Config(
            hidden_size=D_MODEL,
            num_hidden_layers=N_LAYERS,
            num_attention_heads=N_HEADS,
            image_size=N_PIXELS,
            patch_size=4,
        ),
        "image",
        1e-5,
    ),
    "CLIP": (
        "CLIPModel",
        lambda: tf.CLIPConfig(text_config=TEXT, vision_config=IMAGE, projection_dim=16),
        "image and text",
        1e-5,
    ),
    "ViT and GPT-2": (
        "VisionEncoderDecoderModel",
        lambda: tf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
            tf.ViTConfig(**IMAGE), tf.GPT2Config(**GPT2, add_cross_attention=True)
        ),
        "image and target",
        1e-5,
    ),
}


@pytest.fixture(autouse=True)
def no_gradients() -> object:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def tokens(n_tokens: int, *, n_examples: int = 2) -> Tensor:
    return torch.randint(3, N_VOCABULARY, (n_examples, n_tokens), generator=torch.Generator().manual_seed(n_tokens))


def inputs(kind: str) -> dict[str, Tensor]:
    """Return a batch whose second example is padded at its end."""
    padded = torch.ones(2, N_SOURCE, dtype=torch.long)
    padded[EXAMPLE, -N_PADDING:] = 0
    text = {"input_ids": tokens(N_SOURCE), "attention_mask": padded}
    target = {"decoder_input_ids": tokens(N_TARGET)}
    generator = torch.Generator().manual_seed(1)
    image = {"pixel_values": torch.randn(2, 3, N_PIXELS, N_PIXELS, generator=generator)}
    sound = {"input_features": torch.randn(2, N_MELS, 2 * N_SOURCE, generator=generator)}
    return {
        "text": text,
        "pair": text | target,
        "sound": sound | target,
        "image": image,
        "image and text": image | text,
        "image and target": image | target,
    }[kind]


def built(name: str, attention: str | None = None) -> nn.Module:
    kind, config, *_ = MODELS[name]
    model: nn.Module = getattr(tf, kind)(config=config()).eval()
    for parameter_name, parameter in model.named_parameters():
        if parameter.ndim > 1 and "emb" not in parameter_name and "wte" not in parameter_name:
            parameter.mul_(6)  # as they are initialised, weights are close to uniform
        if "sinks" in parameter_name:
            nn.init.normal_(parameter)
    if attention is not None:
        model.set_attn_implementation(attention)  # type: ignore[operator]
    return model


def eager(model: nn.Module) -> nn.Module:
    """Return a twin that attends eagerly. Some models choose their classes by it, so it is built again."""
    config = copy.deepcopy(model.config)
    twin: nn.Module = type(model)._from_config(config, attn_implementation="eager").eval()  # type: ignore[attr-defined]
    twin.load_state_dict(model.state_dict())
    return twin


def returned(output: object) -> dict[str, list[Tensor]]:
    """Return what a model returned as weights, by kind."""
    found: dict[str, list[Tensor]] = {kind: [] for kind in KINDS}
    for name, kind in (
        ("encoder_attentions", "encoder"),
        ("decoder_attentions", "decoder"),
        ("cross_attentions", "cross"),
        ("attentions", "alone"),
    ):
        found[kind] = list(getattr(output, name, None) or ())
    return found


def tensors(output: object) -> list[Tensor]:
    """Return all tensors that a model returned, but weights."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, dict):
        return [it for name, value in output.items() if "attentions" not in name for it in tensors(value)]
    return [it for value in output for it in tensors(value)] if isinstance(output, (list, tuple)) else []


def expected_of(name: str, model: nn.Module, batch: dict[str, Tensor]) -> list[Tensor]:
    """Return what an eager twin returns, in the order of encoder, decoder and cross-attention."""
    twin = eager(model)
    if name == "CLIP":
        output = twin(**batch, output_attentions=True)
        return [*output.vision_model_output.attentions, *output.text_model_output.attentions]
    found = returned(twin(**batch, output_attentions=True))
    return [it for kind in ("alone", *KINDS) for it in found.get(kind, [])]


def by_kind(name: str, trace: aw.Trace) -> list[np.ndarray]:
    sites = trace.sites
    if name == "CLIP":
        vision = [site for site in sites if "vision" in site.name]
        return [trace.weights(site) for site in (*vision, *(site for site in sites if site not in vision))]
    return [trace.weights(site) for kind in KINDS for site in sites if site.kind == kind]


@pytest.mark.filterwarnings("ignore:Rows sum to less than 1 by design:UserWarning")
@pytest.mark.parametrize("name", MODELS)
def test_weights_are_those_of_the_eager_model_and_outputs_stay_to_the_bit(name: str) -> None:
    model, batch, tolerance = built(name), inputs(MODELS[name][2]), MODELS[name][3]
    plain = model(**batch)
    with aw.record(model, example=EXAMPLE) as trace:
        output = model(**batch)
    assert all(torch.equal(a, b) for a, b in zip(tensors(output), tensors(plain), strict=True))
    expected = expected_of(name, model, batch)
    found = by_kind(name, trace)
    assert len(found) == len(expected) >= N_LAYERS
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs[EXAMPLE].shape
        rows = slice(0, N_SOURCE - N_PADDING if ours.shape[1] == N_SOURCE else None)  # padding attends as it likes
        np.testing.assert_allclose(ours[:, rows], theirs[EXAMPLE][:, rows], atol=tolerance, rtol=0)
    assert not {flag.kind for flag in trace.flags} - {"zero_row"}


def layers(trace: aw.Trace) -> list[tuple[str, int]]:
    return [(site.kind, site.layer) for site in trace.sites]


@pytest.mark.parametrize("name", ["T5", "BART", "Marian", "Whisper", "ViT and GPT-2"])
def test_an_encoder_and_a_decoder_have_all_three_kinds(name: str) -> None:
    model = built(name)
    with aw.record(model, example=EXAMPLE) as trace:
        model(**inputs(MODELS[name][2]))
    assert layers(trace) == [
        ("encoder", 0),
        ("encoder", 1),
        ("decoder", 0),
        ("cross", 0),
        ("decoder", 1),
        ("cross", 1),
    ]


@pytest.mark.parametrize("name", ["GPT-2", "OPT", "Llama", "Mistral", "Gemma-2", "Falcon", "Bloom"])
def test_a_language_model_is_a_decoder_of_one_strip(name: str) -> None:
    model = built(name)
    with aw.record(model, source=[str(i) for i in range(N_SOURCE)], example=EXAMPLE) as trace:
        model(**inputs("text"))
    assert layers(trace) == [("decoder", 0), ("decoder", 1)]
    assert {(site.query, site.key) for site in trace.sites} == {("source", "source")}


def test_layers_that_share_a_module_are_told_apart() -> None:
    model = built("ALBERT")
    with aw.record(model, example=EXAMPLE) as trace:
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
    assert trace.weights().sum(-1).max() < 0.999
    assert trace.flags == ()


@pytest.mark.parametrize("attention", ["eager", "sdpa", "flex_attention"])
@pytest.mark.filterwarnings("ignore:Flex attention that is compiled:UserWarning")
def test_each_implementation_attends_alike(attention: str) -> None:
    model = built("Llama", attention)
    with aw.record(model, example=EXAMPLE) as trace:
        model(**inputs("text"))
    expected = expected_of("Llama", model, inputs("text"))
    for ours, theirs in zip(by_kind("Llama", trace), expected, strict=True):
        np.testing.assert_allclose(ours[:, :-N_PADDING], theirs[EXAMPLE][:, :-N_PADDING], atol=1e-5, rtol=0)


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
            found.append(flash_weights(module, q, k, v, batch["attention_mask"], **options))  # type: ignore[arg-type]
            return function(module, q, k, v, _, **{key: it for key, it in options.items() if key != "s_aux"})

        return attend

    monkeypatch.setattr(AttentionInterface, "get_interface", get_interface)
    output = model(**batch, output_attentions=True)
    for ours, theirs in zip(found, output.attentions, strict=True):
        rows = slice(0, N_SOURCE - N_PADDING)
        np.testing.assert_allclose(ours[EXAMPLE, :, rows], theirs[EXAMPLE, :, rows], atol=1e-5, rtol=0)
