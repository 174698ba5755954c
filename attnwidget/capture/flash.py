"""What the flash kernels of Transformers attend to, told by their arguments: they run where no adapter sees."""

from __future__ import annotations

import torch

from attnwidget.capture.attention import DotProduct


def flash_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    *,
    scaling: float | None = None,
    is_causal: bool | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **_: object,
) -> DotProduct:
    """Return what the kernel computes; the arguments are those of Transformers' `flash_attention_forward`.

    A flash kernel aligns the last query with the last key, and its mask [batch, key] says only what is padding.
    """
    n_queries, n_keys = query.shape[-2], key.shape[-2]
    ages = torch.arange(n_keys - n_queries, n_keys, device=query.device)[:, None] - torch.arange(
        n_keys, device=query.device
    )  # [query, key], how far back a key is
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    mask = ages >= 0 if causal else torch.ones_like(ages, dtype=torch.bool)
    if sliding_window is not None:
        mask = mask & (ages.abs() < sliding_window)
    if attention_mask is not None:
        mask = mask & attention_mask[:, None, None, -n_keys:].bool()  # [batch, 1, query, key]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return DotProduct(query, key, scale, mask, softcap=softcap, sinks=s_aux)
