"""Architectures of Transformers that read text, made so small that all of them run in a minute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import transformers as tf

N_LAYERS, N_HEADS, N_GROUPS, D_MODEL, N_VOCABULARY = 2, 4, 2, 32, 60
N_SOURCE, N_LONG, N_TARGET, WINDOW = 9, 64, 5, 4

READS = ("encoder", "encoder")
SPEAKS = ("decoder", "decoder")
ANSWERS = (*READS, "decoder", "cross", "decoder", "cross")


@dataclass(frozen=True)
class Architecture:
    """A model of Transformers.

    Args:
        model: the name of its class.
        config: makes its configuration.
        kinds: of its attention, in the order in which a forward pass computes it.
        reads: what it is called with, as `architectures.inputs` names it.
        tolerance: the largest difference from its eager twin that float32 explains.
        unreturned: the class of modules whose weights the model does not return, but the module does.
    """

    model: str
    config: Callable[[], object]
    kinds: tuple[str, ...] = READS
    reads: str = "text"
    tolerance: float = 1e-5
    unreturned: str = ""


SIZES = {"vocab_size": N_VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SHAPE = {"hidden_size": D_MODEL, "num_hidden_layers": N_LAYERS, "num_attention_heads": N_HEADS}
POSITIONS = {"max_position_embeddings": 40}
TEXT = SIZES | SHAPE | POSITIONS | {"intermediate_size": 40}
HEADLESS = TEXT | {"num_key_value_heads": N_GROUPS}
GROUPED = HEADLESS | {"head_dim": 8}
GPT2 = {"vocab_size": N_VOCABULARY, "n_embd": D_MODEL, "n_layer": N_LAYERS, "n_head": N_HEADS, "n_positions": 40}
WORDS = {"vocab_size": N_VOCABULARY}
NAMED = WORDS | SHAPE
MULTI_HEAD_LATENT = {
    **TEXT,
    "num_key_value_heads": N_HEADS,
    "q_lora_rank": 16,
    "kv_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 8,
    "n_routed_experts": 4,
    "n_group": 1,
    "topk_group": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "first_k_dense_replace": 1,
}
LINEAR = {
    "layer_types": ["linear_attention", "full_attention"],
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
STATE_SPACE = {
    "attn_layer_period": 2,
    "attn_layer_offset": 1,
    "num_experts": 2,
    "expert_layer_period": 2,
    "expert_layer_offset": 1,
    "use_mamba_kernels": False,
    "mamba_d_state": 4,
    "mamba_dt_rank": 4,
}


def of(config: str, **options: object) -> Callable[[], object]:
    return lambda: getattr(tf, config)(**options)


_DISENTANGLED = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 8}
_LOCAL_AND_GLOBAL = {"local_attention": WINDOW, "global_attn_every_n_layers": 2, "cls_token_id": 1, "sep_token_id": 2}
_DISTIL = WORDS | {"dim": D_MODEL, "n_layers": N_LAYERS, "n_heads": N_HEADS, "hidden_dim": 40}
_NEO = {"num_layers": 2, "num_heads": N_HEADS, "attention_types": [[["global", "local"], 1]], "window_size": WINDOW}
_OPT = NAMED | POSITIONS | {"ffn_dim": 40, "word_embed_proj_dim": D_MODEL}
_SINKS = {"num_local_experts": 3, "num_experts_per_tok": 2, "layer_types": ["sliding_attention", "full_attention"]}
_SOFT_CAP = {"attn_logit_softcapping": 2.0, "query_pre_attn_scalar": 8}
_BLOOM = WORDS | {"hidden_size": D_MODEL, "n_layer": N_LAYERS, "n_head": N_HEADS}
_MPT = WORDS | {"d_model": D_MODEL, "n_layers": N_LAYERS, "n_heads": N_HEADS, "max_seq_len": 40}
_XLNET = WORDS | {"d_model": D_MODEL, "n_layer": N_LAYERS, "n_head": N_HEADS, "d_inner": 40, "mem_len": 8}
_BIRD = TEXT | {"max_position_embeddings": N_LONG, "attention_type": "block_sparse", "block_size": 4}
_BAMBA = {"attn_layer_indices": [1], "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_chunk_size": 4}
_MIXED = WORDS | {"hidden_size": D_MODEL, "num_hidden_layers": N_LAYERS}

TEXT_MODELS: dict[str, Architecture] = {
    "BERT": Architecture("BertModel", of("BertConfig", **TEXT)),
    "RoBERTa": Architecture("RobertaModel", of("RobertaConfig", **TEXT)),
    "DistilBERT": Architecture("DistilBertModel", of("DistilBertConfig", **_DISTIL)),
    "ALBERT": Architecture("AlbertModel", of("AlbertConfig", **TEXT, embedding_size=16)),
    "ELECTRA": Architecture("ElectraModel", of("ElectraConfig", **TEXT, embedding_size=16)),
    "ModernBERT": Architecture("ModernBertModel", of("ModernBertConfig", **TEXT, **_LOCAL_AND_GLOBAL)),
    "DeBERTa-v2": Architecture("DebertaV2Model", of("DebertaV2Config", **TEXT, **_DISENTANGLED)),
    "XLNet": Architecture("XLNetModel", of("XLNetConfig", **_XLNET)),
    "Longformer": Architecture("LongformerModel", of("LongformerConfig", **TEXT, attention_window=WINDOW)),
    "BigBird": Architecture("BigBirdModel", of("BigBirdConfig", **_BIRD, num_random_blocks=1), reads="long text"),
    "FNet": Architecture("FNetModel", of("FNetConfig", **_MIXED, **POSITIONS, intermediate_size=40), (), "ids"),
    "Mamba": Architecture("MambaForCausalLM", of("MambaConfig", **_MIXED, state_size=4), (), "ids"),
    "GPT-2": Architecture("GPT2LMHeadModel", of("GPT2Config", **GPT2), SPEAKS),
    "GPT-Neo": Architecture(
        "GPTNeoForCausalLM", of("GPTNeoConfig", **WORDS, **POSITIONS, hidden_size=D_MODEL, **_NEO), SPEAKS
    ),
    "GPT-NeoX": Architecture("GPTNeoXForCausalLM", of("GPTNeoXConfig", **TEXT), SPEAKS),
    "GPT-J": Architecture("GPTJForCausalLM", of("GPTJConfig", **GPT2, rotary_dim=4), SPEAKS),
    "OPT": Architecture("OPTForCausalLM", of("OPTConfig", **_OPT), SPEAKS),
    "Llama": Architecture("LlamaForCausalLM", of("LlamaConfig", **GROUPED), SPEAKS),
    "Mistral": Architecture("MistralForCausalLM", of("MistralConfig", **GROUPED, sliding_window=WINDOW), SPEAKS),
    "Gemma-2": Architecture(
        "Gemma2ForCausalLM", of("Gemma2Config", **GROUPED, sliding_window=WINDOW, **_SOFT_CAP), SPEAKS
    ),
    "Gemma-3": Architecture("Gemma3ForCausalLM", of("Gemma3TextConfig", **GROUPED, sliding_window=WINDOW), SPEAKS),
    "Qwen2": Architecture("Qwen2ForCausalLM", of("Qwen2Config", **HEADLESS), SPEAKS),
    "Qwen3": Architecture("Qwen3ForCausalLM", of("Qwen3Config", **GROUPED), SPEAKS),
    "Phi-3": Architecture("Phi3ForCausalLM", of("Phi3Config", **HEADLESS), SPEAKS),
    "Mixtral": Architecture("MixtralForCausalLM", of("MixtralConfig", **GROUPED, num_local_experts=3), SPEAKS),
    "OLMo-2": Architecture("Olmo2ForCausalLM", of("Olmo2Config", **HEADLESS), SPEAKS),
    "GPT-OSS": Architecture(
        "GptOssForCausalLM", of("GptOssConfig", **GROUPED, sliding_window=WINDOW, **_SINKS), SPEAKS
    ),
    "DeepSeek-V3": Architecture("DeepseekV3ForCausalLM", of("DeepseekV3Config", **MULTI_HEAD_LATENT), SPEAKS),
    "Falcon": Architecture("FalconForCausalLM", of("FalconConfig", **NAMED), SPEAKS),
    "Bloom": Architecture("BloomForCausalLM", of("BloomConfig", **_BLOOM), SPEAKS),
    "MPT": Architecture("MptForCausalLM", of("MptConfig", **_MPT), SPEAKS),
    "Jamba": Architecture("JambaForCausalLM", of("JambaConfig", **HEADLESS, **STATE_SPACE), SPEAKS[:1]),
    "Bamba": Architecture("BambaForCausalLM", of("BambaConfig", **HEADLESS, **_BAMBA, mamba_n_groups=1), SPEAKS[:1]),
    "Cohere": Architecture("CohereForCausalLM", of("CohereConfig", **HEADLESS), SPEAKS),
    "Phi": Architecture("PhiForCausalLM", of("PhiConfig", **HEADLESS), SPEAKS),
    "StableLM": Architecture("StableLmForCausalLM", of("StableLmConfig", **HEADLESS), SPEAKS),
    "Granite": Architecture("GraniteForCausalLM", of("GraniteConfig", **HEADLESS, attention_multiplier=0.3), SPEAKS),
    "ModernBERT decoder": Architecture(
        "ModernBertDecoderForCausalLM", of("ModernBertDecoderConfig", **TEXT, **_LOCAL_AND_GLOBAL), SPEAKS, "ids"
    ),
    "DeBERTa": Architecture("DebertaModel", of("DebertaConfig", **TEXT, **_DISENTANGLED)),
    "CodeGen": Architecture("CodeGenForCausalLM", of("CodeGenConfig", **GPT2, n_ctx=40, rotary_dim=4), SPEAKS),
    "OpenAI GPT": Architecture("OpenAIGPTLMHeadModel", of("OpenAIGPTConfig", **GPT2), SPEAKS),
    "Qwen3-Next": Architecture("Qwen3NextForCausalLM", of("Qwen3NextConfig", **GROUPED, **LINEAR), SPEAKS[:1]),
}
