"""Scene: the picture, clip or sound that the tokens of a strip are parts of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

SceneKind = Literal["image", "video", "audio"]
MAX_BINS = 2048  # of a waveform; more than that no screen shows
MAX_SECONDS = 1e9  # some thirty years


@dataclass(frozen=True, eq=False)
class Scene:
    """Where the tokens of a strip are: a grid over pixels.

    Args:
        kind: "image", "video" or "audio".
        pixels: uint8 [frame, row, column, channel], with 1 (grey) or 3 channels (red, green, blue). A waveform has two
            rows: its greatest and least values, where 128 is silence.
        grid: how many frames, rows and columns of tokens there are; tokens count columns first, then rows, then frames.
        before: tokens of the strip that come before the first of them, such as [CLS]. All that come after the last are
            beside the picture, too.
        seconds: how long a sound or a clip lasts, if that is known.
    """

    kind: SceneKind
    pixels: np.ndarray
    grid: tuple[int, int, int]
    before: int = 0
    seconds: float | None = None

    @property
    def n_patches(self) -> int:
        """Number of tokens on the grid."""
        return math.prod(self.grid)

    def __str__(self) -> str:
        frames, rows, columns = self.grid
        size = {"image": f"{rows} x {columns}", "video": f"{frames} x {rows} x {columns}", "audio": f"{columns}"}
        beside = f" behind {self.before} others" if self.before else ""
        article = "a" if self.kind == "video" else "an"
        return f"{article} {self.kind} of {size[self.kind]} patches{beside}"

    def shrunk(self, n_bytes: int) -> Scene:
        """Return the scene with so few pixels that they take `n_bytes` at most, each the mean of several."""
        pixels = self.pixels
        while pixels.nbytes > n_bytes and max(pixels.shape[1:3]) > 2:
            for axis in (1, 2):
                if pixels.shape[axis] > 2:
                    pixels = _halved(pixels, axis)
        return Scene(self.kind, pixels, self.grid, self.before, self.seconds)

    def pooled(self, count: int) -> Scene | None:
        """Return the scene of so many tokens, where each stands for a square of these, as behind a merging layer."""
        frames, rows, columns = self.grid
        for side in range(2, max(rows, columns) + 1):
            grid = frames, -(-rows // side), -(-columns // side)
            if math.prod(grid) == count - self.before:
                return Scene(self.kind, self.pixels, grid, self.before, self.seconds)
        return None


def _halved(pixels: np.ndarray, axis: int) -> np.ndarray:
    """Return the means of pairs along an axis; an odd last one stays alone."""
    starts = np.arange(0, pixels.shape[axis], 2)
    counts = np.minimum(2, pixels.shape[axis] - starts).reshape([-1 if i == axis else 1 for i in range(4)])
    means = np.add.reduceat(pixels.astype(np.float32), starts, axis) / counts
    halved: np.ndarray = np.rint(means).astype(np.uint8)
    return halved


def as_seconds(value: object) -> float | None:
    """Return how long something lasts as a float, or None where that is not known.

    Raises:
        TypeError: not a number.
        ValueError: no time at all, or more than anything lasts.
    """
    if value is None:
        return None
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (OverflowError, TypeError, ValueError):
        raise TypeError(f"seconds: {type(value).__name__} came, a number was expected.") from None
    if not 0 < seconds < MAX_SECONDS:
        raise ValueError(f"seconds: {value} came, more than 0 and less than {MAX_SECONDS:g} was expected.")
    return seconds


def as_pixels(values: object, *, name: str, n_axes: int) -> np.ndarray:
    """Return pixels as uint8 [..., row, column, channel].

    Args:
        values: uint8, or integers from 0 to 255, or float from 0 to 1; [row, column], [row, column, channel] or
            [channel, row, column] behind the axes before; 1, 3 or 4 channels, of which the fourth is left out.
        name: what it is, for errors.
        n_axes: axes before the rows.

    Raises:
        TypeError: no numbers.
        ValueError: another shape or range.
    """
    array = _as_numbers(values, name)
    if array.ndim == n_axes + 2:
        array = array[..., None]
    if array.ndim == n_axes + 3 and array.shape[-1] not in (1, 3, 4) and array.shape[-3] in (1, 3, 4):
        array = np.moveaxis(array, -3, -1)
    if array.ndim != n_axes + 3 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
        frames = "frame, " * n_axes
        raise ValueError(
            f"{name}: shape {np.shape(array)} came, [{frames}row, column] or [{frames}row, column, channel] with "
            "1, 3 or 4 channels was expected."
        )
    low, high = float(array.min()), float(array.max())
    top = 1 if array.dtype.kind in "fb" else 255
    if not (low >= 0 and high <= top):
        raise ValueError(
            f"{name}: values from {low:.4g} to {high:.4g} came, float from 0 to 1 or integers from 0 to 255 were "
            "expected. If they were normalised for a network, undo that first: values * std + mean."
        )
    return np.ascontiguousarray(np.rint(array[..., :3] * (255 / top)).astype(np.uint8))


def as_sound(values: object) -> np.ndarray:
    """Return a sound as pixels, uint8 [1, row, column, 1]: a waveform as its outline, a spectrogram as it is.

    Args:
        values: a waveform, float [sample] around 0, or a spectrogram, float [band, frame], the lowest band first.

    Raises:
        TypeError: no numbers.
        ValueError: another shape, or values that are not finite.
    """
    array = _as_numbers(values, "audio").astype(np.float64)
    if array.ndim not in (1, 2) or 0 in array.shape:
        raise ValueError(f"audio: shape {array.shape} came, [sample] or [band, frame] was expected.")
    if not np.isfinite(array).all():
        raise ValueError("audio: some values are not finite, numbers were expected.")
    if array.ndim == 2:
        low, high = array.min(), array.max()
        shades = (array[::-1] - low) / (high - low or 1)  # the highest band on top
        return _eight_bits(255 * shades)
    starts = np.linspace(0, len(array), min(len(array), MAX_BINS), endpoint=False).astype(int)
    peak = np.abs(array).max() or 1.0
    outline = np.stack([np.maximum.reduceat(array, starts), np.minimum.reduceat(array, starts)]) / peak
    return _eight_bits(128 + 127 * outline)


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Return one grey frame, uint8 [1, row, column, 1]."""
    pixels: np.ndarray = np.rint(values).astype(np.uint8)
    return pixels[None, ..., None]


def _as_numbers(values: object, name: str) -> np.ndarray:
    detach = getattr(values, "detach", None)  # a tensor that asks for gradients, or is on another device
    array = np.asarray(detach().cpu() if callable(detach) else values)
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name}: an array of {array.dtype} came, an array of numbers was expected.")
    return array
