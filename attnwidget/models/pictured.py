"""An input that is a picture: what a person typed or gave, as pixels for the network and for the eye."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch

from attnwidget.tasks import Example
from attnwidget.tasks.pictures import PictureTask

from .system import Encoded


@dataclass(frozen=True, eq=False)
class Picture(Encoded):
    """A picture, ready to be decoded.

    Args:
        tokens: the name of each place that is a key.
        values: the pixels as the network reads them, float [1, ...], from 0 to 1.
        image: the same for people, float32 [..., row, column] or, with red, green and blue, [..., row, column, 3].
        grid: how many rows and columns of places it has; the last tokens are these, frame by frame and row by row.
    """

    image: np.ndarray
    grid: tuple[int, int]


def picture(
    typed: object, *, task: PictureTask, tokens: tuple[str, ...], grid: tuple[int, int], device: torch.device
) -> Picture:
    """Return what a person typed, a picture of their own or an example of the task; channels go before the rows.

    Raises:
        TypeError: it is none of these.
        ValueError: the task cannot read the text, or the picture has another shape or range.

    Warns:
        UserWarning: the picture is unlike all that the task draws.
    """
    if isinstance(typed, str):
        typed = task.read(typed)
    pixels = typed.values if isinstance(typed, Example) else typed
    if not isinstance(pixels, np.ndarray):
        raise TypeError(
            f"a {type(typed).__name__} came: expected a text such as {task.typed!r}, a numpy array of shape "
            f"{list(task.shape)}, or an example with such values. For a list of numbers, call numpy.asarray first."
        )
    image = task.check(pixels)
    if (odd := task.odd(image)) is not None:
        warnings.warn(f"{odd}: expect mistakes.", stacklevel=3)
    coloured = image.shape[-1] == 3
    values = torch.from_numpy(np.moveaxis(image, -1, -3) if coloured else image[..., None, :, :])
    values = values.unsqueeze(0).to(device).contiguous()  # [1, ..., channel, row, column]
    return Picture(tokens, values, image, grid)
