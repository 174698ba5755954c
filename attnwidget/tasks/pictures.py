"""A task whose inputs are pictures: what is drawn, what people type for it, and their own pictures checked."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .example import Example, held_out


@dataclass(frozen=True)
class PictureTask:
    """A task whose examples carry pixels as `values`.

    Args:
        name: of the task.
        summary: one line for people, with an example.
        source_words: the name of each place in a picture, in the order of the keys.
        target_words: every token a target may hold.
        shape: of the values; [..., row, column], and red, green, blue as a last axis if there is colour.
        draw: one example, made with the given random generator and nothing else.
        read: what a person typed, as an example; TypeError and ValueError for what the task cannot read.
        odd: what about a picture of the right shape is unlike all that `draw` makes, as a sentence, or None.
        typed: something that a person could type.
        full_scale: the number of full brightness in an integer picture.
        held_out: whether an example is kept from training.
    """

    name: str
    summary: str
    source_words: tuple[str, ...]
    target_words: tuple[str, ...]
    shape: tuple[int, ...]
    draw: Callable[[random.Random], Example]
    read: Callable[[str], Example]
    odd: Callable[[np.ndarray], str | None]
    typed: str
    full_scale: int = 255
    held_out: Callable[[Example], bool] = held_out

    def check(self, pixels: np.ndarray) -> np.ndarray:
        """Return a person's own picture as float32 from 0 to 1.

        Args:
            pixels: of `shape`; whole numbers from 0 to `full_scale`, or float from 0 to 1.

        Raises:
            TypeError: pixels are not real numbers.
            ValueError: pixels have another shape, or are out of range or not finite.
        """
        if pixels.shape != self.shape:
            raise ValueError(
                f"the picture has shape {list(pixels.shape)}: expected {list(self.shape)}. Resize it, or move its axes."
            )
        whole = np.issubdtype(pixels.dtype, np.integer)
        if not whole and not np.issubdtype(pixels.dtype, np.floating):
            raise TypeError(f"the picture holds {pixels.dtype}: expected whole numbers or float.")
        largest = self.full_scale if whole else 1
        if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= largest):
            raise ValueError(
                f"the picture has numbers from {pixels.min():g} to {pixels.max():g}: expected float from 0 to 1, "
                f"or whole numbers from 0 to {self.full_scale}. Divide by the largest possible number."
            )
        return pixels.astype(np.float32) / np.float32(largest)
