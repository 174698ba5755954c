"""Adapter: the attention interface of Transformers, which knows more of a call than the kernel that it chooses.

The function that the model would have run still runs. What it hands back, or what the other adapters see inside it,
are the weights; the interface adds which module attends, whether to itself, and where in the sequence it is.
Registering a function of our own with Transformers would drop masks in silence and change bits.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import replace
from math import prod
from typing import Any

import torch

from attnwidget.capture.adapter import Adapter
from attnwidget.capture.attention import DotProduct, Weights
from attnwidget.capture.call import BEFORE_DROPOUT, Call
from attnwidget.capture.flash import flash_attention
from attnwidget.capture.kernel import kernel_swapped
from attnwidget.capture.kinds import says_cross
from attnwidget.capture.modules import Owner
from attnwidget.capture.sdpa import seen_by, weighed

_Attention = Callable[..., tuple[torch.Tensor, torch.Tensor | None]]
_SINKS = "Rows sum to less than 1 by design: this model lets a part of the attention go to a sink, which is no token."
_OTHER_SEQUENCE = ("key_value_states", "encoder_hidden_states", "cross_attention_states")
_SDPA = "sdpa_attention_forward"  # which calls torch's kernel by its name, so that no mode is needed to see it
_LARGE_BYTES = 16 << 20  # weights from which queries and keys are looked for in their place
_TOLERANCE, _HALF_TOLERANCE = 1e-5, 2e-2
_CACHES = ("past_key_values", "past_key_value", "layer_past")

_open: ContextVar[HuggingFaceAdapter | None] = ContextVar("attnwidget_hugging_face", default=None)
_lock = threading.Lock()
_n_users = 0
_original: Any = None


class HuggingFaceAdapter(Adapter):
    """Stands between a module of Transformers and the attention function that its configuration chooses."""

    name = "hugging_face"

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Wrap the interface inside the block, if Transformers is there."""
        interface = getattr(sys.modules.get("transformers.modeling_utils"), "AttentionInterface", None)
        if not hasattr(interface, "get_interface"):  # older ones call what the other adapters see
            yield
            return
        _wrap(interface, +1)
        _open.set(self)
        try:
            yield
        finally:
            _open.set(None)
            _wrap(interface, -1)  # torch.compile(fullgraph=True) breaks on a wrapper that stays

    def attend(
        self,
        function: _Attention,
        scope: Mapping[str, object],
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        *args: Any,  # noqa: ANN401 - whatever the model passes
        **kwargs: Any,  # noqa: ANN401
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Run the model's attention function, and take its weights.

        Args:
            function: what the model would have called.
            scope: the variables of the method that calls it.
            module: the module that attends.
            query: [batch, head, query, d_head].
            key: [batch, head, key, d_head]; groups of heads may share them.
        """
        owner = self.sink.owner(module)
        if owner is None:
            return function(module, query, key, *args, **kwargs)
        about = _About(owner, scope, query, key, args, kwargs)
        calls_kernel = function.__name__ == _SDPA
        with self.sink.collected(about.placed, listening=not calls_kernel) as seen:
            looking = kernel_swapped(seen_by(self.sink, owner)) if calls_kernel else nullcontext()
            with looking:
                output, extra = function(module, query, key, *args, **kwargs)
        with torch.no_grad():
            call = self._call(about, extra, seen)
            if call is None and "flash" in function.__name__:
                note = BEFORE_DROPOUT if kwargs.get("dropout") else ""
                product = flash_attention(module, query, key, *args, **kwargs)
                call = about.placed(Call(owner.path, self.name, product, note))
                edited = self.sink.edited(call)
                if edited is not None:
                    with self.sink.muted():
                        call, output = edited, weighed(edited.attention.weights(), query, key, *args).transpose(1, 2)
            if call is not None:
                self.sink.take(call)
            else:  # nothing seen, or several parts
                for other in seen:
                    self.sink.take(other)
        return output, extra

    def _call(self, about: _About, extra: torch.Tensor | None, seen: list[Call]) -> Call | None:
        """Return what the function returned as weights, or else the one call that another adapter saw in it."""
        returned: Call | None = None
        if extra is not None and extra.ndim == 4 and extra.shape == about.shape:
            self.sink.claim(extra, by=self)
            product = about.product(extra) if self.sink.factors or extra.nbytes > _LARGE_BYTES else None
            returned = about.placed(Call(about.owner.path, self.name, product or Weights(extra.detach())))
        if len(seen) == 1 and seen[0].edited:
            returned = None
        elif returned is not None and not about.kwargs.get("dropout"):
            return returned
        if len(seen) != 1:
            return returned
        (call,) = seen
        if call.attention.shape[0] * call.attention.shape[1] * call.attention.shape[2] != prod(about.shape[:3]):
            return None
        call = about.placed(replace(call, route=self.name))
        if call.sinks and extra is not None and extra.ndim == 3:  # the logarithm of the sum without the sink
            share = torch.sigmoid(extra - about.sinks.view(1, -1, 1))[..., None]
            call = replace(call, attention=Weights(call.attention.weights() * share))
        return call


class _About:
    """What the interface knows of a call: the module that attends, to what, and where in the sequence it is.

    Args:
        owner: the module that attends.
        scope: the variables of the method that calls the interface.
        query: [batch, head, query, d_head].
        key: [batch, key_head, key, d_head].
        args: what the method passes behind them.
        kwargs: what it passes by name.
    """

    def __init__(
        self,
        owner: Owner,
        scope: Mapping[str, object],
        query: torch.Tensor,
        key: torch.Tensor,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> None:
        self.owner, self.kwargs, self._query, self._key = owner, kwargs, query, key
        self._mask = args[1] if len(args) > 1 else kwargs.get("attention_mask")
        self.shape = (*query.shape[:3], key.shape[-2])
        self.sinks: Any = kwargs.get("s_aux", getattr(owner.module, "sinks", None))
        self._cross = _is_cross(owner, scope)
        self._n_tokens = 0 if self._cross else _n_tokens(owner.module, scope)

    def product(self, weights: torch.Tensor) -> DotProduct | None:
        """Return queries and keys in place of large weights, if some rows show that these come of them alone."""
        scale = self.kwargs.get("scaling")
        scale = self._query.shape[-1] ** -0.5 if scale is None else float(scale)
        mask = self._mask if isinstance(self._mask, torch.Tensor) and self._mask.ndim == 4 else None
        sinks = self.sinks.detach() if isinstance(self.sinks, torch.Tensor) else None
        mask = None if mask is None else mask[..., : self.shape[3]]
        product = DotProduct(self._query, self._key, scale, mask, softcap=self.kwargs.get("softcap"), sinks=sinks)
        for row in {0, self.shape[2] // 2, self.shape[2] - 1}:
            where = slice(row, row + 1)
            missed = (product.part(slice(None), where).weights() - weights[:, :, where]).abs().max()
            if not bool(missed <= (_TOLERANCE if weights.dtype == torch.float32 else _HALF_TOLERANCE)):
                return None
        return product

    def placed(self, call: Call) -> Call:
        """Bring a call to one head and one query a row, and say where in the sequence it is."""
        _, n_heads, n_queries, n_keys = self.shape
        # Heads that share a key are packed into the query axis where there is one query; a sink is one key more.
        attention = (
            call.attention.of_heads(n_heads, n_queries) if call.attention.shape != self.shape else call.attention
        )
        if isinstance(attention, Weights):
            attention = Weights(attention.tensor[..., :n_keys])
        elif isinstance(attention, DotProduct) and attention.key.shape[2:] == self._key.shape[2:]:
            attention = replace(attention, key=self._key)  # before it was repeated for the heads that share it
        causal = self.kwargs.get("is_causal")
        causal = getattr(self.owner.module, "is_causal", None) if causal is None else causal
        call = replace(
            call,
            module=self.owner.path,
            attention=attention,
            note=call.note if self.sinks is None else _SINKS,
            cross=self._cross,
            causal=None if self._cross or causal is None else bool(causal),
            sinks=self.sinks is not None,
        )
        missing = self._n_tokens - n_keys
        if self._n_tokens < n_queries or (missing < 0 and attention.looks_beyond(self._n_tokens)):
            return call
        first = self._n_tokens - n_queries
        return replace(call, first_query=first, first_key=max(missing, 0), n_keys=self._n_tokens)


def _is_cross(owner: Owner, scope: Mapping[str, object]) -> bool:
    known = scope.get("is_cross_attention")
    if isinstance(known, bool):
        return known
    return any(scope.get(name) is not None for name in _OTHER_SEQUENCE) or says_cross(owner.path)


def _n_tokens(module: torch.nn.Module, scope: Mapping[str, object]) -> int:
    """Return how many tokens the sequence has so far, as the cache counts them; 0 without a cache."""
    cache = next((scope[name] for name in _CACHES if scope.get(name) is not None), None)
    count = getattr(cache, "get_seq_length", None)
    if count is None:
        return 0
    return int(count(getattr(module, "layer_idx", None) or 0))


def _wrap(interface: Any, change: int) -> None:  # noqa: ANN401 - a class of Transformers
    """Wrap the interface for the first user, and unwrap it after the last one in any thread."""
    global _n_users, _original
    with _lock:
        _n_users += change
        if change == _n_users == 1:
            _original = interface.get_interface
            interface.get_interface = _get_interface
        elif not _n_users:
            interface.get_interface = _original


def _get_interface(interface: object, *args: object, **kwargs: object) -> _Attention:
    function: _Attention = _original(interface, *args, **kwargs)
    adapter = _open.get()
    if adapter is None:
        return function

    def attention(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor | None]:  # noqa: ANN401
        return adapter.attend(function, sys._getframe(1).f_locals, *args, **kwargs)

    return attention
