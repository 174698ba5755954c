"""Architectures of Transformers that translate, or read sound and images, made small."""

from __future__ import annotations

import transformers as tf
from architectures_of_text import (
    ANSWERS,
    D_MODEL,
    GPT2,
    GROUPED,
    N_HEADS,
    N_LAYERS,
    N_SOURCE,
    N_VOCABULARY,
    POSITIONS,
    READS,
    SHAPE,
    SIZES,
    SPEAKS,
    TEXT,
    WINDOW,
    WORDS,
    Architecture,
    of,
)

N_MELS, N_PIXELS, N_FEATURES, IMAGE_TOKEN = 6, 16, 12, 59

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
IMAGE = SHAPE | {"intermediate_size": 40, "image_size": N_PIXELS, "patch_size": 4}
SOUND = {
    **{name: value for name, value in TEXT.items() if name not in POSITIONS},
    "conv_dim": (16, 16),
    "conv_kernel": (10, 3),
    "conv_stride": (5, 2),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}
PROPHET = {
    **SIZES,
    **POSITIONS,
    "hidden_size": D_MODEL,
    "num_encoder_layers": N_LAYERS,
    "num_decoder_layers": N_LAYERS,
    "num_encoder_attention_heads": N_HEADS,
    "num_decoder_attention_heads": N_HEADS,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 40,
    "ngram": 2,
}
LATENTS = {
    "num_latents": 6,
    "d_latents": D_MODEL,
    "d_model": N_FEATURES,
    "num_blocks": 1,
    "num_self_attends_per_block": 2,
    "num_self_attention_heads": N_HEADS,
    "num_cross_attention_heads": N_HEADS,
}


def _detr() -> object:
    backbone = tf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], out_features=["stage2"])
    sizes = {name: value for name, value in PAIR.items() if name not in {*SIZES, "decoder_start_token_id"}}
    return tf.DetrConfig(
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=backbone,
        num_queries=7,
        **sizes,
    )


def _clip() -> object:
    return tf.CLIPConfig(text_config=TEXT, vision_config=IMAGE, projection_dim=16)


def _git() -> object:
    return tf.GitConfig(**TEXT, vision_config=IMAGE)


def _blip() -> object:
    text = {**TEXT, "encoder_hidden_size": D_MODEL, "is_decoder": True}
    return tf.BlipConfig(text_config=text, vision_config=IMAGE, projection_dim=16)


def _llava() -> object:
    return tf.LlavaConfig(
        vision_config=tf.CLIPVisionConfig(**IMAGE),
        text_config=tf.LlamaConfig(**GROUPED),
        image_token_id=IMAGE_TOKEN,
        vision_feature_layer=-1,
    )


def _vision_pair() -> object:
    decoder = tf.GPT2Config(**GPT2, add_cross_attention=True)
    return tf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(tf.ViTConfig(**IMAGE), decoder)


def _speech_pair() -> object:
    decoder = tf.BertConfig(**TEXT, is_decoder=True, add_cross_attention=True)
    return tf.SpeechEncoderDecoderConfig.from_encoder_decoder_configs(tf.Wav2Vec2Config(**SOUND), decoder)


_T5 = WORDS | {"d_model": D_MODEL, "d_kv": 8, "d_ff": 40, "num_layers": N_LAYERS, "num_heads": N_HEADS}
_LED = {"max_encoder_position_embeddings": 40, "max_decoder_position_embeddings": 40, "attention_window": WINDOW}
_FSMT = {**PAIR, **POSITIONS, "langs": ["en", "de"], "src_vocab_size": N_VOCABULARY, "tgt_vocab_size": N_VOCABULARY}
_WHISPER = {"num_mel_bins": N_MELS, "max_source_positions": N_SOURCE, "max_target_positions": 20}
_UNSUPPRESSED = {"suppress_tokens": None, "begin_suppress_tokens": None}
_DINO = SHAPE | {"image_size": N_PIXELS, "patch_size": 4}
_SWIN = {"image_size": N_PIXELS, "patch_size": 1, "embed_dim": 16, "depths": [2, 1], "num_heads": [2, 4]}

_SEGMENTS = {
    "num_encoder_blocks": 2,
    "depths": [1, 1],
    "sr_ratios": [4, 1],
    "hidden_sizes": [16, 32],
    "patch_sizes": [3, 3],
    "strides": [2, 2],
    "num_attention_heads": [2, 4],
    "mlp_ratios": [2, 2],
}
_SPEECH = {
    "input_feat_per_channel": N_MELS,
    "num_conv_layers": 1,
    "conv_kernel_sizes": [3],
    "conv_channels": 16,
    "max_source_positions": 40,
    "max_target_positions": 20,
}
_MOONSHINE = SIZES | {
    "hidden_size": D_MODEL,
    "intermediate_size": 40,
    "encoder_num_hidden_layers": N_LAYERS,
    "decoder_num_hidden_layers": N_LAYERS,
    "encoder_num_attention_heads": N_HEADS,
    "decoder_num_attention_heads": 2,
    "decoder_start_token_id": 1,
}

OTHER_MODELS: dict[str, Architecture] = {
    "T5": Architecture("T5ForConditionalGeneration", of("T5Config", **_T5), ANSWERS, "pair", 5e-5),
    "BART": Architecture("BartForConditionalGeneration", of("BartConfig", **PAIR, **POSITIONS), ANSWERS, "pair"),
    "Marian": Architecture("MarianMTModel", of("MarianConfig", **PAIR, **POSITIONS), ANSWERS, "pair"),
    "M2M100": Architecture("M2M100ForConditionalGeneration", of("M2M100Config", **PAIR, **POSITIONS), ANSWERS, "pair"),
    "Pegasus": Architecture(
        "PegasusForConditionalGeneration", of("PegasusConfig", **PAIR, **POSITIONS), ANSWERS, "pair"
    ),
    "LED": Architecture("LEDForConditionalGeneration", of("LEDConfig", **PAIR, **_LED), ANSWERS, "pair"),
    "FSMT": Architecture("FSMTForConditionalGeneration", of("FSMTConfig", **_FSMT), ANSWERS, "pair"),
    "ProphetNet": Architecture(
        "ProphetNetForConditionalGeneration",
        of("ProphetNetConfig", **PROPHET),
        (*READS, "decoder", "decoder", "cross", "decoder", "decoder", "cross"),
        "pair",
    ),
    "Whisper": Architecture(
        "WhisperForConditionalGeneration",
        of("WhisperConfig", **PAIR, **_WHISPER, **_UNSUPPRESSED),
        ANSWERS,
        "sound and target",
    ),
    "ViT and GPT-2": Architecture("VisionEncoderDecoderModel", _vision_pair, ANSWERS, "image and target"),
    "Wav2Vec2 and BERT": Architecture("SpeechEncoderDecoderModel", _speech_pair, ANSWERS, "wave and target"),
    "DETR": Architecture("DetrForObjectDetection", _detr, ANSWERS, "picture"),
    "BLIP": Architecture(
        "BlipForConditionalGeneration", _blip, ANSWERS, "image and text", unreturned="BlipTextSelfAttention"
    ),
    "Wav2Vec2": Architecture("Wav2Vec2Model", of("Wav2Vec2Config", **SOUND), reads="wave"),
    "ViT": Architecture("ViTModel", of("ViTConfig", **IMAGE), reads="image"),
    "DINOv2": Architecture("Dinov2Model", of("Dinov2Config", **_DINO), reads="image"),
    "Swin": Architecture(
        "SwinModel",
        of("SwinConfig", **_SWIN, window_size=WINDOW),
        (*READS, "encoder"),
        "image",
        unreturned="SwinAttention",
    ),
    "Swinv2": Architecture(
        "Swinv2Model",
        of("Swinv2Config", **_SWIN, window_size=WINDOW),
        (*READS, "encoder"),
        "image",
        unreturned="Swinv2Attention",
    ),
    "BEiT": Architecture("BeitModel", of("BeitConfig", **IMAGE), reads="image"),
    "SegFormer": Architecture("SegformerModel", of("SegformerConfig", **_SEGMENTS), reads="image"),
    "mBART": Architecture("MBartForConditionalGeneration", of("MBartConfig", **PAIR, **POSITIONS), ANSWERS, "pair"),
    "Speech2Text": Architecture(
        "Speech2TextForConditionalGeneration", of("Speech2TextConfig", **PAIR, **_SPEECH), ANSWERS, "frames and target"
    ),
    "Moonshine": Architecture(
        "MoonshineForConditionalGeneration", of("MoonshineConfig", **_MOONSHINE), ANSWERS, "long wave and target"
    ),
    "CLIP": Architecture("CLIPModel", _clip, READS + SPEAKS, "image and text"),
    "LLaVA": Architecture(
        "LlavaForConditionalGeneration", _llava, READS + SPEAKS, "image in text", unreturned="CLIPAttention"
    ),
    "GIT": Architecture("GitForCausalLM", _git, READS + SPEAKS, "image and text", unreturned="GitVisionAttention"),
    "Perceiver": Architecture("PerceiverModel", of("PerceiverConfig", **LATENTS), ("cross", *READS), "features"),
}
