"""Adapter: the attention layer of torch.nn as a whole, by any of the three functions that compute it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch.nn import functional as F

from attnwidget.capture.adapter import Adapter, TorchFunction
from attnwidget.capture.attention import DotProduct, Weights
from attnwidget.capture.call import BEFORE_DROPOUT, Call
from attnwidget.capture.kernel import kernel_swapped
from attnwidget.capture.modules import Owner
from attnwidget.capture.scored import MAX_CELLS, Path
from attnwidget.capture.sdpa import weighed

_FORWARD = inspect.signature(F.multi_head_attention_forward)
# The fast paths are builtins without a signature; these are the arguments of torch's native_functions.yaml.
_NATIVE = (
    *("query", "key", "value", "embed_dim", "num_head", "qkv_weight", "qkv_bias", "proj_weight", "proj_bias"),
    *("mask", "need_weights", "average_attn_weights", "mask_type"),
)
_LAYER = (
    *("src", "embed_dim", "num_heads", "qkv_weight", "qkv_bias", "proj_weight", "proj_bias", "use_gelu"),
    *("norm_first", "eps", "norm_weight_1", "norm_bias_1", "norm_weight_2", "norm_bias_2", "ffn_weight_1"),
    *("ffn_bias_1", "ffn_weight_2", "ffn_bias_2", "mask", "mask_type"),
)


class MhaAdapter(Adapter):
    """Runs what the model asked for, and beside it the same attention with its weights (Vaswani et al. 2017)."""

    name = "mha"
    functions = frozenset(
        {
            "multi_head_attention_forward",
            "_native_multi_head_attention",
            "_transformer_encoder_layer_fwd",
            "_nested_tensor_from_mask",
        }
    )
    n_padded = 0  # tokens of an example before padding was left out

    def run(self, func: TorchFunction, args: Sequence[object], kwargs: Mapping[str, object]) -> object:
        """Run the function, hand over its weights, return its result."""
        owner = None if func.__name__ == "_nested_tensor_from_mask" else self.sink.owner()
        if owner is not None and func.__name__ == "multi_head_attention_forward":
            return self._attend(func, owner, _FORWARD.bind(*args, **kwargs))
        result = func(*args, **kwargs)
        if func.__name__ == "_nested_tensor_from_mask":
            self.n_padded = args[0].shape[1] if isinstance(args[0], torch.Tensor) else 0
        elif owner is not None:
            with torch.no_grad():
                if func.__name__ == "_native_multi_head_attention":
                    call = self.fast(owner, {**dict(zip(_NATIVE, args, strict=False)), **kwargs})
                else:
                    call = self.fast_layer(owner, {**dict(zip(_LAYER, args, strict=False)), **kwargs})
            self.sink.take(call)
        return result

    def _attend(self, func: TorchFunction, owner: Owner, bound: inspect.BoundArguments) -> object:
        """Run the whole layer, and look at the kernel that it calls where it need not return weights."""
        bound.apply_defaults()
        given = bound.arguments
        wants, averages = given["need_weights"], given["average_attn_weights"]
        drops = given["training"] and given["dropout_p"] > 0
        base = Call(
            owner.path,
            self.name,
            Weights(torch.empty(0, 0, 0, 0)),
            BEFORE_DROPOUT if drops else "",
            cross=_is_cross(owner, given["query"], given["key"]),
            causal=True if given["is_causal"] else None,
        )
        used: list[Call] = []

        def kernel(original: Callable[..., torch.Tensor], args: Sequence[Any], kwargs: Mapping[str, Any]) -> object:
            query, key, value, mask, dropout, causal = args
            product = DotProduct(query, key, query.shape[-1] ** -0.5, mask, diagonal=0 if causal else None)
            call = replace(base, attention=product)
            edited = self.sink.edited(call)
            used.append(edited or call)
            if edited is None:
                return original(*args, **kwargs)
            return weighed(edited.attention.weights(), query, key, value, dropout_p=dropout)

        if not wants or self.sink.edits:
            given["need_weights"] = False
            with kernel_swapped(kernel, self.sink.unstopped):
                output, _ = cast("tuple[torch.Tensor, None]", func(*bound.args, **bound.kwargs))
            (call,) = used
            self.sink.take(call)
            if not wants:
                return output, None
            if call.edited:
                weights = call.attention.weights()
                weights = weights.mean(dim=1) if averages else weights
                weights = weights if given["query"].ndim == 3 else weights[0]
                self.sink.claim(weights, by=self)
                return output, weights
            given["need_weights"] = True
            result = cast("tuple[torch.Tensor, torch.Tensor]", func(*bound.args, **bound.kwargs))
            self.sink.claim(result[1], by=self)
            return result
        result = cast("tuple[torch.Tensor, torch.Tensor]", func(*bound.args, **bound.kwargs))
        self.sink.claim(result[1], by=self)
        with torch.no_grad():
            weights = result[1]
            if averages or drops:
                given.update(average_attn_weights=False, dropout_p=0.0)
                weights = cast("tuple[object, torch.Tensor]", func(*bound.args, **bound.kwargs))[1]
            weights = weights[None] if weights.ndim == 3 else weights  # [batch, head, query, key]
        self.sink.take(replace(base, attention=Weights(weights.detach())))
        return result

    def fast(self, owner: Owner, given: dict[str, Any], path: str = "") -> Call:
        """Return the call of `_native_multi_head_attention`, computed again with its weights."""
        given.update(need_weights=True, average_attn_weights=False)
        arguments: list[Any] = [given.get(name) for name in _NATIVE]
        _, weights = torch._native_multi_head_attention(*arguments)
        if given["query"].is_nested:  # what is left out as padding has no weights
            missing = max(self.n_padded - weights.shape[-1], 0)
            weights = F.pad(weights, (0, missing, 0, missing))
            return Call(path or owner.path, self.name, Weights(weights), cross=False)
        return Call(path or owner.path, self.name, Weights(weights, _path(given, weights)), cross=False)

    def fast_layer(self, owner: Owner, given: dict[str, Any]) -> Call:
        """Return the call of `_transformer_encoder_layer_fwd`."""
        source = given["src"]
        if given["norm_first"]:
            source = F.layer_norm(
                source, (given["embed_dim"],), given["norm_weight_1"], given["norm_bias_1"], given["eps"]
            )
        given.update(query=source, key=source, value=source, num_head=given["num_heads"])
        return self.fast(owner, given, f"{owner.path}.self_attn".lstrip("."))


def _path(given: Mapping[str, Any], weights: torch.Tensor) -> Path | None:
    """Return the scores that a fused layer does not return, from its own projections; None where they are many."""
    if weights[:1].numel() > MAX_CELLS:
        return None
    n_rows = 2 * given["embed_dim"]
    both = F.linear(given["query"], given["qkv_weight"][:n_rows], given["qkv_bias"][:n_rows])
    n_heads = given["num_head"]
    query, key = (part.view(*part.shape[:2], n_heads, -1).transpose(1, 2) for part in both.chunk(2, dim=-1))
    scores = query @ key.mT / query.shape[-1] ** 0.5
    return Path(scores.masked_fill(weights == 0, float("-inf")), (query, key.mT))


def _is_cross(owner: Owner, query: torch.Tensor, key: torch.Tensor) -> bool | None:
    """Tell whether keys are of another sequence; None where the same may come in two tensors, as from a cache."""
    if query is key or (query.data_ptr() == key.data_ptr() and query.shape == key.shape):
        return False
    if isinstance(owner.parent, torch.nn.TransformerDecoderLayer):
        return owner.module is owner.parent.multihead_attn
    return None
