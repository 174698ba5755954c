"""Adapter: scaled_dot_product_attention, whose weights are computed again from its queries and keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from attnwidget.capture.adapter import Adapter, TorchFunction
from attnwidget.capture.call import BEFORE_DROPOUT, Call, to_call
from attnwidget.capture.dot_product import dot_product_weights
from attnwidget.capture.modules import Owner


class SdpaAdapter(Adapter):
    """Runs the kernel as it would have run, and computes its weights beside it."""

    name = "sdpa"
    functions = frozenset({"scaled_dot_product_attention"})

    def run(self, func: TorchFunction, args: Sequence[object], kwargs: Mapping[str, object]) -> object:
        """Run the kernel, hand over its weights, return its result."""
        result = func(*args, **kwargs)
        owner = self.sink.owner()
        if owner is not None:
            with torch.no_grad():
                self.sink.take(self._call(owner, *args, **kwargs))  # type: ignore[arg-type]
        return result

    def _call(
        self,
        owner: Owner,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Call:
        """Take the arguments of torch's function."""
        materialize = getattr(attn_mask, "_materialize", None)  # of torch.nn.attention.bias
        mask = attn_mask if materialize is None else materialize(query.device)
        if query.is_nested:
            parts = zip(query.unbind(), key.unbind(), strict=True)
            weights = _joined([dot_product_weights(q, k, causal=is_causal, scale=scale) for q, k in parts])
        else:
            weights = dot_product_weights(query, key, mask=mask, causal=is_causal, scale=scale)
        return to_call(
            weights,
            owner=owner,
            route=self.name,
            batched=False,
            note=BEFORE_DROPOUT if dropout_p else "",
            causal=is_causal or None,
        )


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    """Join examples of different length; what they do not have is 0."""
    n_queries, n_keys = (max(part.shape[axis] for part in parts) for axis in (-2, -1))
    padded = [
        torch.nn.functional.pad(part, (0, n_keys - part.shape[-1], 0, n_queries - part.shape[-2])) for part in parts
    ]
    return torch.stack(padded)  # [batch, head, query, key]
