"""Adapter: the attention interface of Transformers, which knows more of a call than the kernel that it chooses.

The function that the model would have run still runs. What it hands back, or what the other adapters see inside it,
are the weights; the interface adds which module attends, whether to itself, and where in the sequence it is.
Registering a function of our own with Transformers would drop masks in silence and change bits.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import replace
from math import prod
from types import FrameType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch

from attnwidget.capture.about import About, Row, Whole, next_row, same_whole, sort_of
from attnwidget.capture.adapter import Adapter, Sink
from attnwidget.capture.attention import LARGE_BYTES, DotProduct, Weights
from attnwidget.capture.call import BEFORE_DROPOUT, Call
from attnwidget.capture.flash import flash_attention
from attnwidget.capture.kernel import kernel_swapped
from attnwidget.capture.modules import Owner
from attnwidget.capture.sdpa import seen_by, weighed
from attnwidget.capture.unstopped import Called

_Answer = tuple[torch.Tensor, torch.Tensor | None]
_SDPA = "sdpa_attention_forward"  # which calls torch's kernel by its name, so that no mode is needed to see it

_open: ContextVar[HuggingFaceAdapter | None] = ContextVar("attnwidget_hugging_face", default=None)
_lock = threading.Lock()
_n_users = 0
_wholes: WeakKeyDictionary[torch.nn.Module, Whole] = WeakKeyDictionary()  # the last one that was seen of each
_original: Any = None


class _Product(NamedTuple):
    """Which queries and keys, how combined; it holds no tensor."""

    path: str
    sort: object
    tensors: tuple[weakref.ref[torch.Tensor], ...]
    versions: tuple[int, ...]

    @classmethod
    def of(cls, owner: Owner, sort: object, given: Sequence[object]) -> _Product:
        """Return what tells a call of the interface from others, but for its values."""
        tensors = [it for it in given if isinstance(it, torch.Tensor)]
        versions = tuple(-1 if it.is_inference() else it._version for it in tensors)
        return cls(owner.path, sort, tuple(map(weakref.ref, tensors)), versions)

    def is_same(self, other: _Product) -> bool:
        """Tell whether all of it is the same, so that the weights are."""
        if self.tensors[0]() is not other.tensors[0]() or self.versions != other.versions:
            return False
        alike = all(own() is its() for own, its in zip(self.tensors, other.tensors, strict=True))
        return alike and (self.path, self.sort) == (other.path, other.sort)


class HuggingFaceAdapter(Adapter):
    """Stands between a module of Transformers and the attention function that its configuration chooses."""

    name = "hugging_face"

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self._last: tuple[_Product, Call | None] | None = None  # what was taken last, and the call where it is edited
        self._rows: dict[torch.nn.Module, Row] = {}  # the last one that was seen to come of its query and all keys

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
        function: Called[_Answer],
        caller: FrameType,
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        *args: Any,  # noqa: ANN401 - whatever the model passes
        **kwargs: Any,  # noqa: ANN401
    ) -> _Answer:
        """Run the model's attention function, and take its weights.

        Args:
            function: what the model would have called.
            caller: the method that calls it.
            module: the module that attends.
            query: [batch, head, query, d_head].
            key: [batch, head, key, d_head]; groups of heads may share them.
        """
        owner = self.sink.owner(module)
        if owner is None:
            return function(module, query, key, *args, **kwargs)
        sort = sort_of(function.func, query, key, args, kwargs)
        which = _Product.of(owner, sort, (query, key, *args[1:], *kwargs.values()))
        if self._last is not None and self._last[0].is_same(which):
            return self._again(function, module, query, key, *args, **kwargs)
        self._last = None
        call = self._known(owner, sort, caller, query, key)
        if call is not None:
            with self.sink.muted():
                output, extra = function(module, query, key, *args, **kwargs)
            self.sink.take(call)
            return output, extra
        about = About(owner, caller.f_locals, query, key, args, kwargs)
        calls_kernel = function.__name__ == _SDPA
        own = kernel_swapped(seen_by(self.sink, owner), self.sink.unstopped) if calls_kernel else nullcontext()
        with self.sink.collected(about.placed, listening=not calls_kernel) as seen, own:
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
                if calls_kernel and not self.sink.edits:
                    self._learn(module, sort, about, call)
                self.sink.take(call)
                self._last = which, call if call.edited else None
            else:  # nothing seen, or several parts
                for other in seen:
                    self.sink.take(other)
        return output, extra

    def _again(
        self,
        function: Called[_Answer],
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> _Answer:
        """Run the function with weights that were taken already, over other values: halves of those of a head."""
        edited = None if self._last is None else self._last[1]
        with self.sink.muted():
            output, extra = function(module, query, key, value, *args, **kwargs)
            if edited is not None:
                weights = edited.attention.weights()  # without the empty end of a static cache
                seen = value[:, :, : weights.shape[3]]
                output = weighed(weights, query, key, seen).transpose(1, 2).contiguous()
        return output, extra

    def _known(
        self, owner: Owner, sort: object, caller: FrameType, query: torch.Tensor, key: torch.Tensor
    ) -> Call | None:
        """Return the call where the kernel was seen to make the same of another query and key; None if it must be."""
        if torch.is_grad_enabled() or self.sink.edits:
            return None
        module = owner.module
        if query.shape[2] > 1:
            known = _wholes.get(module)
            if known is None or known.sort != (sort, getattr(module, "is_causal", None)):
                return None
            return same_whole(known, owner.path, caller.f_locals, query, key)
        last = self._rows.get(module)
        return next_row(last, query, key) if last is not None and last.sort == sort else None

    def _learn(self, module: torch.nn.Module, sort: object, about: About, call: Call) -> None:
        """Remember what the kernel makes of a single query over all keys, or without a cache of all queries."""
        product = call.attention
        if (
            not isinstance(product, DotProduct)
            or (product.query is not about.query or product.key is not about.key)
            or any(it is not None for it in (product.mask, about.mask, product.sinks, product.softcap))
            or call.note
            or isinstance(about.kwargs.get("scaling"), torch.Tensor)  # which may be another one the next time
        ):
            return
        n_queries, n_keys = product.shape[2:]
        if n_queries > 1 and call.n_keys is call.first_query is None and call.cross is False and not call.first_key:
            named = sort, getattr(module, "is_causal", None)
            _wholes[module] = Whole(named, call.route, call.causal, product.scale, product.diagonal)
        elif n_queries == 1 and product.diagonal is None and call.n_keys == n_keys == (call.first_query or 0) + 1:
            self._rows[module] = Row(sort, call.module, call.route, call.cross, call.causal, product.scale, n_keys)

    def _call(self, about: About, extra: torch.Tensor | None, seen: list[Call]) -> Call | None:
        """Return what the function returned as weights, or else the one call that another adapter saw in it."""
        returned: Call | None = None
        if extra is not None and extra.ndim == 4 and extra.shape == about.shape:
            self.sink.claim(extra, by=self)
            product = about.product(extra) if self.sink.factors or extra.nbytes > LARGE_BYTES else None
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
        call = about.placed(call, route=self.name)
        if call.sinks and extra is not None and extra.ndim == 3:  # the logarithm of the sum without the sink
            share = torch.sigmoid(extra - about.sinks.view(1, -1, 1))[..., None]
            call = replace(call, attention=Weights(call.attention.weights() * share))
        return call


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


def _get_interface(interface: object, *args: object, **kwargs: object) -> Callable[..., _Answer]:
    function: Callable[..., _Answer] = _original(interface, *args, **kwargs)
    adapter = _open.get()
    if adapter is None:
        return function

    def attention(*args: Any, **kwargs: Any) -> _Answer:  # noqa: ANN401
        caller, run = sys._getframe(1), adapter.sink.unstopped.run
        return run(lambda func, some, named: adapter.attend(func, caller, *some, **named), function, args, kwargs)

    return attention
