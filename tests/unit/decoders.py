"""Tiny models of Transformers that generate, and what they attend to for sure: one eager pass over all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as tf
from architectures import eager, sharpened
from torch import Tensor, nn

N_VOCABULARY, N_PROMPT, N_TOKENS, WINDOW = 60, 9, 7, 4
IDS = {"vocab_size": N_VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SIZE = IDS | {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
GROUPED = SIZE | {"num_key_value_heads": 2, "head_dim": 8}
PAIR = IDS | {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "decoder_start_token_id": 1,
}
VISION = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def _captioner() -> nn.Module:
    encoder = tf.ViTConfig(**VISION, image_size=32, patch_size=8)
    decoder = tf.GPT2Config(**IDS, n_embd=32, n_layer=2, n_head=4, n_positions=64, add_cross_attention=True)
    config = tf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 1, 0, 2
    return tf.VisionEncoderDecoderModel(config=config)


BUILT: dict[str, Callable[[], nn.Module]] = {
    "GPT-2": lambda: tf.GPT2LMHeadModel(tf.GPT2Config(**IDS, n_embd=32, n_layer=2, n_head=4, n_positions=64)),
    "Llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**GROUPED)),
    "Mistral": lambda: tf.MistralForCausalLM(tf.MistralConfig(**GROUPED, sliding_window=WINDOW)),
    "Gemma-2": lambda: tf.Gemma2ForCausalLM(tf.Gemma2Config(**GROUPED, sliding_window=WINDOW)),
    "Falcon": lambda: tf.FalconForCausalLM(
        tf.FalconConfig(**IDS, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, bias=False)
    ),
    "Bloom": lambda: tf.BloomForCausalLM(tf.BloomConfig(**IDS, hidden_size=32, n_layer=2, n_head=4)),
    "T5": lambda: tf.T5ForConditionalGeneration(
        tf.T5Config(**IDS, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0)
    ),
    "BART": lambda: tf.BartForConditionalGeneration(
        tf.BartConfig(**PAIR, max_position_embeddings=64, forced_eos_token_id=None)
    ),
    "Whisper": lambda: tf.WhisperForConditionalGeneration(
        tf.WhisperConfig(**PAIR, num_mel_bins=8, max_source_positions=12, max_target_positions=64)
    ),
    "ViT and GPT-2": _captioner,
}
IS_PAIR = ("T5", "BART", "Whisper", "ViT and GPT-2")


def built(name: str) -> Any:  # noqa: ANN401 - a model of Transformers
    torch.manual_seed(0)
    model: Any = sharpened(BUILT[name]())
    settings = model.generation_config
    settings.forced_eos_token_id, settings.eos_token_id, settings.pad_token_id = None, None, 0
    settings.suppress_tokens = settings.begin_suppress_tokens = settings.forced_decoder_ids = None
    settings.decoder_start_token_id = getattr(model.config, "decoder_start_token_id", None)
    return model


def inputs(name: str, n_examples: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    if name == "Whisper":
        return {"input_features": torch.randn(n_examples, 8, 24, generator=generator)}
    if name == "ViT and GPT-2":
        return {"pixel_values": torch.randn(n_examples, 3, 32, 32, generator=generator)}
    ids = torch.randint(3, N_VOCABULARY, (n_examples, N_PROMPT), generator=generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def teacher_forced(name: str, model: nn.Module, given: dict[str, Tensor], sequence: Tensor) -> dict[str, list[Tensor]]:
    """Return what an eager twin attends to over a whole sequence, by kind: [head, query, key] of each layer."""
    twin = eager(model)
    if name not in IS_PAIR:
        output = twin(input_ids=sequence[None], use_cache=False, output_attentions=True)
        return {"decoder": [it[0] for it in output.attentions]}
    output = twin(**given, decoder_input_ids=sequence[None], use_cache=False, output_attentions=True)
    kinds = {"encoder": output.encoder_attentions, "decoder": output.decoder_attentions}
    return {kind: [it[0] for it in layers] for kind, layers in (kinds | {"cross": output.cross_attentions}).items()}
