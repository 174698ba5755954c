"""Tiny models of Transformers with attention far from uniform, what they read, and what they attend to for sure."""

from __future__ import annotations

import copy

import torch
import transformers as tf
from architectures_of_others import IMAGE_TOKEN, N_FEATURES, N_MELS, N_PIXELS, OTHER_MODELS
from architectures_of_text import N_LONG, N_SOURCE, N_TARGET, TEXT_MODELS
from torch import Tensor, nn
from transformers.models.swin.modeling_swin import window_partition

ARCHITECTURES = TEXT_MODELS | OTHER_MODELS
N_PADDING = 3
N_PATCHES = (N_PIXELS // 4) ** 2 + 1  # with the class token
SHIFTED = {name: {"attentions": (2, 0), "unreturned": (0,)} for name in ("Swin", "Swinv2")}
PADDED = 1  # the example that has padding at its end


def tokens(n_tokens: int, *, n_examples: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(n_tokens)
    return torch.randint(3, IMAGE_TOKEN, (n_examples, n_tokens), generator=generator)


def inputs(reads: str) -> dict[str, Tensor]:
    """Return a batch of two; if it has a mask, the second example is padded at its end."""
    padded = torch.ones(2, N_SOURCE, dtype=torch.long)
    padded[PADDED, -N_PADDING:] = 0
    text = {"input_ids": tokens(N_SOURCE), "attention_mask": padded}
    target = {"decoder_input_ids": tokens(N_TARGET)}
    generator = torch.Generator().manual_seed(1)

    def noise(*shape: int) -> Tensor:
        return torch.randn(2, *shape, generator=generator)

    image, wave = {"pixel_values": noise(3, N_PIXELS, N_PIXELS)}, {"input_values": noise(80)}
    places = torch.full((2, (N_PIXELS // 4) ** 2), IMAGE_TOKEN)
    return {
        "ids": {"input_ids": text["input_ids"]},
        "text": text,
        "long text": {"input_ids": tokens(N_LONG)},
        "pair": text | target,
        "sound and target": {"input_features": noise(N_MELS, 2 * N_SOURCE), **target},
        "frames and target": {"input_features": noise(2 * N_SOURCE, N_MELS), **target},
        "wave": wave,
        "wave and target": wave | target,
        "long wave and target": {"input_values": noise(4000), **target},
        "image": image,
        "picture": {"pixel_values": noise(3, 32, 32)},
        "image and text": image | text,
        "image and target": image | target,
        "image in text": image | {"input_ids": torch.cat([places, text["input_ids"]], dim=1)},
        "features": {"inputs": noise(10, N_FEATURES)},
    }[reads]


def sharpened(model: nn.Module) -> nn.Module:
    """Have weights far from uniform, which they are as they are initialised."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                is_table = "emb" in name or "wte" in name
                spread = 1 if is_table else 1.6 * parameter[0].numel() ** -0.5
                parameter.mul_(spread / parameter.std().clamp(min=1e-12))
            if "sinks" in name:
                nn.init.normal_(parameter)
    return model.eval()


def built(name: str, attention: str | None = None) -> nn.Module:
    """Return a model of the table, which attends as it does by default unless it is said how."""
    made = ARCHITECTURES[name]
    model = sharpened(getattr(tf, made.model)(config=made.config()))
    if attention is not None:
        model.set_attn_implementation(attention)  # type: ignore[operator]
    return model


def eager(model: nn.Module) -> nn.Module:
    """Return a twin that attends eagerly. Some models choose their classes by it, so it is built again."""
    config = copy.deepcopy(model.config)
    twin: nn.Module = type(model)._from_config(config, attn_implementation="eager").eval()  # type: ignore[attr-defined]
    twin.load_state_dict(model.state_dict())
    return twin


def tensors(output: object) -> list[Tensor]:
    """Return all tensors that a model returned, but weights."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, dict):
        return [it for name, value in output.items() if "attentions" not in name for it in tensors(value)]
    return [it for value in output for it in tensors(value)] if isinstance(output, (list, tuple)) else []


def attended(name: str, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, list[Tensor]]:
    """Return what an eager twin attends to, by the name under which it is returned: [example, head, query, key]."""
    made, twin = ARCHITECTURES[name], eager(model)
    seen: list[Tensor] = []

    def see(module: nn.Module, _: object, output: tuple[Tensor, ...]) -> None:
        if type(module).__name__ == made.unreturned:
            seen.append(output[1])

    for module in twin.modules():
        module.register_forward_hook(see)
    found = _returned(twin(**batch, output_attentions=True))
    all_returned = [weights for matrices in found.values() for weights in matrices]
    found["unreturned"] = [weights for weights in seen if not any(weights is other for other in all_returned)]
    layers = {key: [_repaired(name, key, weights) for weights in matrices] for key, matrices in found.items()}
    if name in SHIFTED:
        return {
            key: [_in_image(weights, shift) for weights, shift in zip(layers[key], shifts, strict=True)]
            for key, shifts in SHIFTED[name].items()
        }
    return layers


def _returned(output: object, prefix: str = "") -> dict[str, list[Tensor]]:
    found: dict[str, list[Tensor]] = {}
    for key, value in output.items() if isinstance(output, dict) else ():
        if "attentions" in key:
            found[prefix + key] = [weights for weights in value or () if weights is not None]
        found |= _returned(value, f"{key}.")  # a tower returns an output of its own
    return found


def _repaired(name: str, key: str, weights: Tensor) -> Tensor:
    if name == "ProphetNet" and not key.startswith("decoder"):
        return weights.softmax(-1)  # what it returns are scores
    if name in SHIFTED:
        return weights
    if name == "Longformer" or (name == "LED" and key.startswith("encoder")):
        return _from_band(weights)
    return weights.flatten(1, -3)


def _in_image(weights: Tensor, shift: int) -> Tensor:
    """Return [example, head, patch, patch] of [example * window, head, place, place], as Swin cuts and rolls images."""
    n_windows, side = len(weights) // 2, int(weights.shape[-1] ** 0.5)
    edge = side * int(n_windows**0.5)
    numbers = torch.arange(edge * edge).view(1, edge, edge, 1).roll((-shift, -shift), (1, 2))
    places = window_partition(numbers, side).view(n_windows, -1)
    dense = torch.zeros(2, weights.shape[1], edge * edge, edge * edge)
    for example in range(2):
        for i, patches in enumerate(places):
            for patch, rows in zip(patches, weights[example * n_windows + i].unbind(1), strict=True):
                dense[example, :, patch, patches] = rows
    return dense


def _from_band(band: Tensor) -> Tensor:
    """Return [example, head, query, key] of [example, head, query, place in the window]."""
    n_tokens, n_places = band.shape[-2:]
    dense = torch.zeros(*band.shape[:-1], n_tokens + n_places - 1)
    for i in range(n_tokens):
        dense[..., i, i : i + n_places] = band[..., i, :]
    return dense[..., n_places // 2 : n_places // 2 + n_tokens]
