"""Weights of dot-product attention, computed again from its queries and keys where a kernel returns none."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def dot_product_weights(
    query: torch.Tensor,
    key: torch.Tensor,
    *,
    mask: torch.Tensor | None = None,
    diagonal: int | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    sinks: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return softmax(scale q k^T + mask), in float32 at least, whatever autocast says.

    Args:
        query: [..., head, query, d_head].
        key: [..., head, key, d_head]; fewer heads are shared by groups of those of the query.
        mask: True where a query may see a key, or numbers that are added to the scores; broadcast to [..., query, key].
        diagonal: query i sees keys up to i + diagonal; 0 is causal as torch counts it, from the upper left.
        scale: 1 / sqrt(d_head) by default.
        softcap: scores become softcap * tanh(scores / softcap) before the mask.
        sinks: [head], one more score a row, which takes its share and is left out.

    Returns:
        [..., head, query, key]; rows sum to 1 where there are no sinks, and a row that may see nothing is 0.

    Source:
        Vaswani et al. 2017, arXiv 1706.03762, equation 1.
    """
    dtype = torch.promote_types(query.dtype, torch.float32)
    if query.ndim > 2 and key.shape[-3] not in (1, query.shape[-3]):
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)  # [..., head, key, d_head]
    scaled = query.to(dtype) * (query.shape[-1] ** -0.5 if scale is None else scale)
    with _full_precision(query.device.type):
        scores = scaled @ key.to(dtype).mT  # [..., head, query, key]
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, float("-inf"))
    elif mask is not None:
        scores = scores + mask
    if diagonal is not None:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1 + diagonal)
        scores = scores.masked_fill(later, float("-inf"))
    if sinks is not None:
        sunk = sinks.to(dtype).view(-1, 1, 1).expand(*scores.shape[:-1], 1)
        return torch.cat([scores, sunk], dim=-1).softmax(-1)[..., :-1]
    blind, weights = scores.detach().amax(-1, keepdim=True) == float("-inf"), scores.softmax(-1)
    return weights.masked_fill(blind, 0) if weights.requires_grad else weights.masked_fill_(blind, 0)


def _full_precision(device: str) -> AbstractContextManager[object]:
    """Keep autocast from rounding the product; "meta" and its like know no autocast."""
    try:
        return torch.autocast(device, enabled=False)
    except RuntimeError:
        return nullcontext()
