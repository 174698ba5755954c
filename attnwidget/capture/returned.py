"""Adapter: modules of Transformers that attend in a band or in blocks, and return weights that no product shows.

Longformer and LED (Beltagy et al. 2020, arXiv 2004.05150) return a band of keys for each query if they are asked, and
BigBird (Zaheer et al. 2020, arXiv 2007.14062) assembles a matrix of its blocks. The module is asked, and what it
returns because of that is taken out again, so that its caller gets what it would have got.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from types import FrameType
from typing import Any

import torch

from attnwidget.capture.adapter import Adapter, Sink
from attnwidget.capture.attention import Attention, Weights
from attnwidget.capture.call import Call
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.scattered import Scattered

_BAND = "one_sided_attn_window_size"  # an attribute of modules that attend in a band
_BLOCKS = "BlockSparse"  # in the name of their class
_ASKED = "output_attentions"
_AFTER_DROPOUT = "Dropout is on: the weights of {} are after dropout. model.eval() shows what inference uses."


class ReturnedAdapter(Adapter):
    """Takes what sparse attention returns, in place of the pieces of which it is made."""

    name = "returned"

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self._running: list[tuple[AbstractContextManager[None], bool]] = []

    @property
    def is_concerned(self) -> bool:
        """Whether modules attend in a band or in blocks."""
        return bool(self._modules())

    def _modules(self) -> list[torch.nn.Module]:
        inventory = self.sink.inventory
        blocks = [them for kind, them in inventory.by_class.items() if _is_blocks(kind)]
        return [*filter(_is_band, inventory.having(_BAND)), *chain.from_iterable(blocks)]

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Have hooks on modules that attend in a band or in blocks inside the block."""
        handles = []
        try:
            for module in self._modules():
                handles += [
                    module.register_forward_pre_hook(self._begin, with_kwargs=True),
                    module.register_forward_hook(self._end, with_kwargs=True, prepend=True, always_call=True),
                ]
            yield
        finally:
            for handle in handles:
                handle.remove()

    def __deepcopy__(self, _: object) -> ReturnedAdapter:
        return self  # a copy of the model, made meanwhile, copies its hooks too

    def _begin(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Ask for weights, and hide what they are made of."""
        asks = False
        with self.sink.unstopped:
            if _is_band(module):
                given = inspect.signature(module.forward).bind(*args, **kwargs)
                given.arguments[_ASKED], asks = True, not given.arguments.get(_ASKED)
                args, kwargs = given.args, given.kwargs
        muted = self.sink.muted()
        muted.__enter__()
        self._running.append((muted, asks))
        return args, kwargs

    def _end(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: object) -> object:
        """Take the weights; return what would have been returned."""
        muted, asked = self._running.pop()
        try:
            with self.sink.unstopped:
                owner = self.sink.owner()
                if owner is not None and isinstance(output, tuple):
                    with torch.no_grad():
                        found = self._found(module, args, kwargs, output)
                    self._take(Call(owner.path, self.name, *found, cross=False, sinks=_is_blocks(type(module))))
        finally:
            muted.__exit__(None, None, None)
        return output[:1] if asked and isinstance(output, tuple) else None

    def _take(self, call: Call) -> None:
        if self.sink.edited(call) is not None:
            raise CaptureError(
                f"{call.module} cannot be edited: its weights are read after it has used them. Edit another layer, or "
                "one whose attention is dense."
            )
        self.sink.take(call)

    def _found(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: tuple[Any, ...]
    ) -> tuple[Attention, str]:
        """Return the weights, and what a person must know about them."""
        kind = type(module).__name__
        if _is_blocks(type(module)):
            name = kind.partition(_BLOCKS)[0]
            note = f"{name} computes attention in blocks; showing the dense matrix that the model assembles."
            n_tokens = output[1].shape[-1] - _n_padded()
            return Weights(output[1].detach()[..., :n_tokens, :n_tokens]), note
        given = inspect.signature(module.forward).bind(*args, **kwargs).arguments
        is_global = given["is_index_global_attn"] if given.get("is_global_attn") else None
        whole = None if is_global is None else output[2].detach()
        attention = _from_band(output[1].detach(), getattr(module, _BAND), is_global, whole, _n_padded())
        if module.training and getattr(module, "dropout", False):
            return attention, _AFTER_DROPOUT.format(kind)
        n_places = 2 * getattr(module, _BAND) + 1
        return attention, (
            f"{kind} attends in a band of {n_places} keys a query, which no product of matrices shows; these are the "
            "weights that it returns with output_attentions=True."
        )


def _is_band(module: torch.nn.Module) -> bool:
    return isinstance(getattr(module, _BAND, None), int) and _ASKED in inspect.signature(module.forward).parameters


def _is_blocks(kind: type[torch.nn.Module]) -> bool:
    return _BLOCKS in kind.__name__ and kind.__module__.startswith("transformers.")


def _from_band(
    band: torch.Tensor, one_side: int, is_global: torch.Tensor | None, whole: torch.Tensor | None, n_padded: int
) -> Scattered:
    """Say which key each weight is for.

    Args:
        band: [batch, query, head, place]; the last places are the window, those before it are global keys.
        one_side: keys on each side of a query.
        is_global: [batch, query], which tokens see all and are seen by all; None where there are none.
        whole: [batch, head, row, key], what those see.
        n_padded: tokens at the end that only fill the last window.
    """
    n_tokens = band.shape[1] - n_padded
    band = band[:, :n_tokens]
    n_batch, _, _, n_places = band.shape
    queries = torch.arange(n_tokens, device=band.device)[:, None]
    window = queries + torch.arange(-one_side, one_side + 1, device=band.device)  # [query, place]
    keys = window.where((window >= 0) & (window < n_tokens), -1)[None]
    values = band.transpose(1, 2)  # [batch, head, query, place]
    if is_global is None or whole is None:
        return Scattered(values, keys, n_tokens)
    is_global = is_global[:, :n_tokens]
    ordinal = (is_global.long().cumsum(1) - 1).where(is_global, -1)  # [batch, token]
    n_global = n_places - keys.shape[2]
    columns = keys.new_full((n_batch, n_global), -1)
    example, token = is_global.nonzero(as_tuple=True)
    columns[example, ordinal[example, token]] = token
    both = [columns[:, None].expand(-1, n_tokens, -1), keys.expand(n_batch, -1, -1)]
    return Scattered(values, torch.cat(both, dim=2), n_tokens, whole[..., :n_tokens], ordinal)


def _n_padded() -> int:
    """Return how many tokens the encoder has added to fill its last window, as a caller's variable tells."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if "padding_len" in frame.f_code.co_varnames + frame.f_code.co_cellvars:
            return int(frame.f_locals.get("padding_len", 0))
        frame = frame.f_back
    return 0
