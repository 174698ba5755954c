"""Attention in windows of an image, which stand where examples are expected: brought back to the image.

A layer that knows its window, and by how much the image was rolled before it was cut (Liu et al. 2021, arXiv
2103.14030, section 3.2), says which patch each token of a window is. Where it does not say that, windows become heads.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isqrt
from types import CodeType, FrameType

import torch

from attnwidget.capture.attention import Weights
from attnwidget.capture.call import Call
from attnwidget.capture.modules import CALLS
from attnwidget.capture.scattered import Scattered

_BEYOND = (
    "Windows reach over the edge of the image: what its patches attend to there is left out, and rows sum to less "
    "than 1."
)
_AS_HEADS = "{} attends in {} windows an image, which are shown as heads: window by window, all heads of each."
# Variables in which a layer keeps the size of the image after it was padded, as a tuple or one by one.
_PADDED = ("pad_height_width", "padding_shape", "pad_hw")
_SIZE = ("height", "width")
# By the id of code, which is held so that its id stays its own; to hash code takes as long as to read it.
_known: dict[int, tuple[CodeType, bool]] = {}
_WINDOWED = ("window_size", "num_windows")  # attributes of modules that cut images into windows


@dataclass(frozen=True, eq=False)
class Windows:
    """How an image is cut.

    Args:
        patches: [window, place], which patch each token of a window is; -1 beyond the edge of the image.
        n_patches: how many the image has.
    """

    patches: torch.Tensor
    n_patches: int

    def in_image(self, call: Call) -> Call:
        """Bring a call of [batch * window, head, place, place] to [batch, head, patch, patch]."""
        n_windows, n_places = self.patches.shape
        weights = _split(call.attention.weights(), n_windows)  # [batch, window, head, place, place]
        rows = weights.transpose(1, 2).flatten(2, 3)[:, :, self._order()]  # [batch, head, patch, place]
        keys = self.patches[:, None].expand(-1, n_places, -1).flatten(0, 1)[self._order()]  # [patch, place]
        beyond = bool((self.patches < 0).any())
        return replace(
            call,
            attention=Scattered(rows, keys[None].to(rows.device), self.n_patches),
            cross=False,
            causal=False,
            sinks=call.sinks or beyond,
            note=_BEYOND if beyond and not call.note else call.note,
        )

    def in_windows(self, weights: torch.Tensor, call: Call) -> torch.Tensor:
        """Bring [batch, head, patch, patch] back to the axes of a call; what is beyond the edge stays as it is."""
        patches = self.patches.to(weights.device)
        seen = patches.clamp(min=0)
        cut = weights[:, :, seen[:, :, None], seen[:, None, :]].transpose(1, 2)  # [batch, window, head, place, place]
        inside = (patches[:, :, None] >= 0) & (patches[:, None, :] >= 0)
        old = call.attention.weights()
        return cut.where(inside[:, None], _split(old, len(patches))).reshape(old.shape)

    def _order(self) -> torch.Tensor:
        """Return which token of all windows is each patch."""
        flat = self.patches.flatten()
        return flat.argsort(stable=True)[int((flat < 0).sum()) :]


def windows_of(call: Call) -> Windows | None:
    """Return how the layer that runs has cut its image, as its variables say; None where it cuts none."""
    n_windows, _, n_places, n_keys = call.attention.shape
    if n_places != n_keys or isqrt(n_places) ** 2 != n_places:
        return None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _pads(frame.f_code):
            scope = frame.f_locals
            size, padded = _sizes(scope)
            layer = scope.get("self")
            side = getattr(layer, "window_size", 0)
            side = side if isinstance(side, int) else 0
            fits = size and padded and 0 < side * side == n_places
            if size and padded and fits and n_windows % (padded[0] // side * (padded[1] // side)) == 0:
                return _cut(size, padded, side, int(getattr(layer, "shift_size", 0)))
        frame = frame.f_back
    return None


def _pads(code: CodeType) -> bool:
    found = _known.get(id(code))
    if found is None:
        pads = not {*code.co_varnames, *code.co_cellvars}.isdisjoint((*_PADDED, "height_pad"))
        found = _known[id(code)] = code, pads
    return found[1]


def as_heads(call: Call) -> Call:
    """Take windows as heads, where a module that cuts images has more of them than the model has images."""
    n_rows, _, n_queries, n_keys = call.attention.shape
    n_examples, name = _n_examples() if n_rows > 1 else (0, "")
    if not n_examples or n_rows == n_examples or n_rows % n_examples:
        return call
    weights = call.attention.weights().reshape(n_examples, -1, n_queries, n_keys)
    note = call.note or _AS_HEADS.format(name, n_rows // n_examples)
    return replace(call, attention=Weights(weights), note=note)


def _split(weights: torch.Tensor, n_windows: int) -> torch.Tensor:
    """Return [batch, window, ...] of [batch * window, ...]."""
    return weights.reshape(-1, n_windows, *weights.shape[1:])


def _sizes(scope: Mapping[str, object]) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """Return height and width of the image in patches, and what they are after padding."""
    both = next((scope[name] for name in _PADDED if name in scope), (scope.get("height_pad"), scope.get("width_pad")))
    size = tuple(scope.get(name, scope.get(name[0].upper())) for name in _SIZE)
    pairs = [tuple(map(int, it)) if isinstance(it, tuple) and None not in it else None for it in (size, both)]
    return pairs[0], pairs[1]  # type: ignore[return-value]


def _cut(size: tuple[int, int], padded: tuple[int, int], side: int, shift: int) -> Windows:
    height, width = size
    patches = torch.full(padded, -1)
    patches[:height, :width] = torch.arange(height * width).view(height, width)
    rolled = patches.roll((-shift, -shift), (0, 1))
    rows, columns = padded[0] // side, padded[1] // side
    windows = rolled.view(rows, side, columns, side).transpose(1, 2)  # [row, column, side, side]
    return Windows(windows.reshape(-1, side * side), height * width)


def _n_examples() -> tuple[int, str]:
    """Return how many images the outermost model of Transformers got, and which module cuts them; 0 if none does."""
    count, name = 0, ""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code in CALLS:
            module = frame.f_locals["self"]
            if any(getattr(module, it, None) for it in _WINDOWED):
                name = type(module).__name__
            wanted = getattr(module, "main_input_name", None)
            given = frame.f_locals.get("kwargs", {}).get(wanted)
            args = frame.f_locals.get("args", ())
            given = args[0] if given is None and args else given
            if isinstance(wanted, str) and isinstance(given, torch.Tensor):
                count = len(given)
        frame = frame.f_back
    return (count, name) if name else (0, "")
