"""Tokens: the elements of a strip, in the order in which the model saw them: words, or patches of a picture."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from attnwidget.scene import Scene, as_pixels, as_seconds, as_sound

MAX_PATCHES = 1 << 22  # more tokens than a page makes room for


class Encoded(Protocol):
    """What the models of this package make of an input; `image` and `grid` say where its tokens are in a picture."""

    @property
    def tokens(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Tokens:
    """The tokens of one strip.

    Args:
        texts: one string per token, exactly as the model saw it; any characters, also empty or a lone surrogate.
        scene: what the tokens are parts of, if they are not words; see `image`, `video` and `audio`.

    Raises:
        TypeError: texts is one string, has no order, or holds something that is not a string.
        ValueError: fewer tokens than the scene has patches.
    """

    texts: tuple[str, ...] = ()
    scene: Scene | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if type(self.texts) is not tuple or any(type(text) is not str for text in self.texts):
            object.__setattr__(self, "texts", _as_texts(self.texts, strip="tokens"))
        if self.scene is not None and len(self.texts) < self.scene.before + self.scene.n_patches:
            raise ValueError(f"tokens: {len(self.texts)} texts came for {self.scene}, one for each was expected.")

    @classmethod
    def image(
        cls,
        values: object,
        grid: Sequence[int],
        *,
        texts: Sequence[str] | None = None,
        before: Sequence[str] = (),
        after: Sequence[str] = (),
    ) -> Tokens:
        """Return the patches of an image, row by row.

        Args:
            values: pixels [row, column], [row, column, channel] or [channel, row, column]; uint8 or float from 0 to 1.
            grid: how many rows and columns of patches there are.
            texts: the name of each patch; by default its place, as in "r2 c3".
            before: tokens before the first patch that stand for none, as a class token or registers do, or a prompt.
            after: tokens behind the last patch.

        Raises:
            TypeError: no numbers, or tokens that are not strings.
            ValueError: another shape or range, no grid, or as many texts as there are no patches.
        """
        rows, columns = _as_grid(grid, ("rows", "columns"))
        pixels = as_pixels(values, name="image", n_axes=0)[None]
        names = [f"r{r + 1} c{c + 1}" for r in range(rows) for c in range(columns)]
        return cls._of_scene(Scene("image", pixels, (1, rows, columns), len(before)), names, texts, before, after)

    @classmethod
    def video(
        cls,
        values: object,
        grid: Sequence[int],
        *,
        texts: Sequence[str] | None = None,
        before: Sequence[str] = (),
        after: Sequence[str] = (),
        seconds: float | None = None,
    ) -> Tokens:
        """Return the patches of a clip, frame by frame and row by row.

        Args:
            values: pixels [frame, row, column], [frame, row, column, channel] or [frame, channel, row, column].
            grid: rows and columns of patches in each frame; or frames, rows and columns, where a patch spans frames.
            texts, before, after: as `image` takes them.
            seconds: how long the clip lasts.

        Raises:
            TypeError, ValueError: as `image` raises them.
        """
        pixels = as_pixels(values, name="video", n_axes=1)
        frames, rows, columns = _as_grid((len(pixels), *grid)[-3:], ("frames", "rows", "columns"))
        if frames > len(pixels):
            raise ValueError(f"grid: {frames} frames of patches came, but the clip has {len(pixels)} frames.")
        shown = pixels[np.arange(frames) * len(pixels) // frames]
        names = [f"t{t + 1} r{r + 1} c{c + 1}" for t in range(frames) for r in range(rows) for c in range(columns)]
        scene = Scene("video", shown, (frames, rows, columns), len(before), as_seconds(seconds))
        return cls._of_scene(scene, names, texts, before, after)

    @classmethod
    def audio(
        cls,
        values: object,
        n_tokens: int,
        *,
        texts: Sequence[str] | None = None,
        before: Sequence[str] = (),
        after: Sequence[str] = (),
        seconds: float | None = None,
    ) -> Tokens:
        """Return the parts of a sound, all of one length.

        Args:
            values: a waveform, float [sample] around 0, or a spectrogram, float [band, frame], the lowest band first.
            n_tokens: how many parts there are.
            texts: the name of each part; by default when it begins, where `seconds` is given, or its number.
            before, after: as `image` takes them.
            seconds: how long the sound lasts.

        Raises:
            TypeError, ValueError: as `image` raises them.
        """
        (count,) = _as_grid((n_tokens,), ("n_tokens",))
        lasts = as_seconds(seconds)
        names = [f"{i + 1}" if lasts is None else f"{i * lasts / count:.2f} s" for i in range(count)]
        scene = Scene("audio", as_sound(values), (1, 1, count), len(before), lasts)
        return cls._of_scene(scene, names, texts, before, after)

    @classmethod
    def _of_scene(
        cls,
        scene: Scene,
        names: Sequence[str],
        texts: Sequence[str] | None,
        before: Sequence[str],
        after: Sequence[str],
    ) -> Tokens:
        own = names if texts is None else _as_texts(texts, strip="texts")
        if len(own) != scene.n_patches:
            raise ValueError(f"texts: {len(own)} came for {scene}, {scene.n_patches} were expected.")
        return cls((*_as_texts(before, strip="before"), *own, *_as_texts(after, strip="after")), scene)

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __getitem__(self, index: int) -> str:
        return self.texts[index]

    @classmethod
    def of(cls, value: object, *, strip: str) -> Tokens:
        """Return `value` as Tokens.

        Args:
            value: Tokens; or a list of strings; or what one of `attnwidget.models` encoded, which is any object with a
                tuple of texts as `tokens` and, if the last of these are places in a picture, its `image` and `grid`.
            strip: the name of the strip, for the error.

        Raises:
            TypeError: value is one string, or holds something that is not a string.
        """
        if isinstance(value, Tokens):
            return value
        texts = getattr(value, "tokens", None)
        return cls._of_encoded(value, texts) if type(texts) is tuple else cls(_as_texts(value, strip=strip))

    @classmethod
    def _of_encoded(cls, value: object, texts: tuple[str, ...]) -> Tokens:
        image, grid = getattr(value, "image", None), getattr(value, "grid", ())
        if image is None:
            return cls(texts)
        n_frames = len(image) if np.ndim(image) == 4 else 1
        before = len(texts) - n_frames * math.prod(grid)
        make = cls.video if np.ndim(image) == 4 else cls.image
        return make(image, grid, before=texts[:before], texts=texts[before:])


TokensLike = Tokens | Sequence[str] | Encoded


def _as_grid(values: Sequence[int], names: tuple[str, ...]) -> tuple[int, ...]:
    """Return how many patches there are along each axis."""
    try:
        grid = tuple(map(operator.index, values))
    except TypeError:
        grid = ()
    if len(grid) != len(names) or min(grid) < 1:
        raise ValueError(f"grid: {values!r} came, {' and '.join(names)} were expected, each at least 1.")
    if math.prod(grid) > MAX_PATCHES:
        raise ValueError(f"grid: {math.prod(grid):,} patches came, {MAX_PATCHES:,} at most were expected.")
    return grid


def _as_texts(value: object, *, strip: str) -> tuple[str, ...]:
    if isinstance(value, (str, bytes)):
        raise TypeError(
            f"{strip}: one {type(value).__name__} of length {len(value)} came, a list of tokens was expected. "
            "Split it as the model does, for example with text.split() or list(text)."
        )
    if isinstance(value, (Mapping, Set)) or not hasattr(value, "__iter__"):
        raise TypeError(
            f"{strip}: {type(value).__name__} came, a list of strings was expected, one for each token. "
            "Of a tokenizer's output take tokenizer.convert_ids_to_tokens(output.input_ids)."
        )
    try:
        items = list(value)
    except TypeError:
        raise TypeError(
            f"{strip}: {type(value).__name__} came, a list of strings was expected, one for each token."
        ) from None
    for index, item in enumerate(items):
        if not isinstance(item, str):
            raise TypeError(
                f"{strip}: token {index} is {type(item).__name__}, a string was expected. "
                "Turn token ids into text first, for example with tokenizer.convert_ids_to_tokens(ids)."
            )
    return tuple(str.__str__(item) for item in items)
