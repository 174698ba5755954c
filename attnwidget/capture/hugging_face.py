"""Adapter: the attention interface of Transformers, which knows more of a call than the kernel that it chooses.

The function that the model would have run still runs. What it hands back, or what the other adapters see inside it,
are the weights; the interface adds which module attends, whether to itself, and where in the sequence it is.
Registering a function of our own with Transformers would drop masks in silence and change bits.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import torch

from attnwidget.capture.adapter import Adapter
from attnwidget.capture.call import BEFORE_DROPOUT, Call
from attnwidget.capture.flash import flash_weights
from attnwidget.capture.kinds import says_cross
from attnwidget.capture.modules import Owner

_Attention = Callable[..., tuple[torch.Tensor, torch.Tensor | None]]
_SINKS = "Rows sum to less than 1 by design: this model lets a part of the attention go to a sink, which is no token."
_OTHER_SEQUENCE = ("key_value_states", "encoder_hidden_states", "cross_attention_states")
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
        owner = self.sink.owner()
        if owner is None:
            return function(module, query, key, *args, **kwargs)
        with self.sink.collected() as seen:
            output, extra = function(module, query, key, *args, **kwargs)
        with torch.no_grad():
            shape = (*query.shape[:3], key.shape[-2])
            drops = bool(kwargs.get("dropout"))
            call = self._call(owner, shape, extra, seen, drops=drops)
            if call is None and "flash" in function.__name__:
                note = BEFORE_DROPOUT if drops else ""
                call = Call(owner.path, self.name, flash_weights(module, query, key, *args, **kwargs), note)
            if call is None:  # nothing seen, or several parts
                for other in seen:
                    self.sink.take(other)
            else:
                self._take(call, owner, scope, extra, kwargs)
        return output, extra

    def _call(
        self, owner: Owner, shape: tuple[int, ...], extra: torch.Tensor | None, seen: list[Call], *, drops: bool
    ) -> Call | None:
        """Return what the function returned as weights, or else the one call that another adapter saw in it."""
        returned: Call | None = None
        if extra is not None and extra.ndim == 4 and extra.shape == shape:
            self.sink.claim(extra, by=self)
            returned = Call(owner.path, self.name, extra.detach())
        if returned is not None and not drops:
            return returned
        if len(seen) != 1:
            return returned
        (call,) = seen
        n_weights = call.weights.numel() // call.weights.shape[-1]
        if n_weights != shape[0] * shape[1] * shape[2]:
            return None
        # Heads that share a key are packed into the query axis where there is one query; a sink is one key more.
        return replace(call, route=self.name, weights=call.weights.reshape(*shape[:3], -1)[..., : shape[3]])

    def _take(
        self,
        call: Call,
        owner: Owner,
        scope: Mapping[str, object],
        extra: torch.Tensor | None,
        kwargs: Mapping[str, Any],
    ) -> None:
        weights, note = call.weights, call.note
        sinks = kwargs.get("s_aux", getattr(owner.module, "sinks", None))
        if sinks is not None:
            note = _SINKS
            if extra is not None and extra.ndim == 3:  # the logarithm of the sum without the sink
                weights = weights * torch.sigmoid(extra - sinks.view(1, -1, 1))[..., None]
        cross = _is_cross(owner, scope)
        causal = kwargs.get("is_causal")
        causal = getattr(owner.module, "is_causal", None) if causal is None else causal
        if not cross:
            weights = _from_the_start(weights, _n_tokens(owner.module, scope))
        self.sink.take(
            replace(
                call,
                weights=weights,
                note=note,
                cross=cross,
                causal=None if cross or causal is None else bool(causal),
                sinks=sinks is not None,
            )
        )


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


def _from_the_start(weights: torch.Tensor, n_tokens: int) -> torch.Tensor:
    """Have columns count the whole sequence: a window forgets its beginning, a static cache has an empty end."""
    missing = n_tokens - weights.shape[-1]
    if n_tokens < weights.shape[-2] or (missing < 0 and bool(weights[..., n_tokens:].any())):
        return weights
    return torch.nn.functional.pad(weights, (missing, 0)) if missing > 0 else weights[..., :n_tokens]


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
