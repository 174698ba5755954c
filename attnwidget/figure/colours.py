"""The colours of a figure, in print and on dark ground: the same as on the screen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Colours:
    """The inks of a theme.

    Args:
        ground, text, soft, line, accent, tint, mark, warning: as CSS has them.
        stops: the ramp from weight 0 to 1: one hue, lightness strictly monotonic.
    """

    ground: str
    text: str
    soft: str
    line: str
    accent: str
    tint: str
    mark: str
    warning: str
    stops: tuple[Rgb, ...]

    def ramp(self, shares: np.ndarray) -> np.ndarray:
        """Return the colours of weights between 0 and 1, uint8 [..., 3]; others are clamped, NaN is 0."""
        inside = np.clip(np.where(np.isnan(shares), 0, shares), 0, 1)
        return np.asarray(self._table[np.round(inside * 255).astype(int)])

    def of(self, share: float) -> str:
        """Return the colour of one weight between 0 and 1."""
        return css(self._at(share))

    def ink(self, share: float) -> str:
        """Return black or white, whichever reads better on the colour of a weight."""
        return "#000000" if luminance(self._at(share)) > 0.179 else "#ffffff"

    @cached_property
    def _table(self) -> np.ndarray:
        """256 colours, uint8 [256, 3], each lighter or each darker than the one before: rounding makes no two alike."""
        stops = np.asarray(self.stops, float)
        places = np.arange(256) / 255 * (len(stops) - 1)
        channels = [np.interp(places, np.arange(len(stops)), stops[:, c]) for c in range(3)]
        found = np.floor(np.stack(channels, -1) + 0.5).astype(int)
        direction = 1 if sum(self.stops[-1]) > sum(self.stops[0]) else -1
        last = -direction * math.inf
        for rgb in found:
            while direction * (luminance(rgb) - last) <= 0:
                rgb[1] += direction
            last = luminance(rgb)
        return found.astype(np.uint8)

    def _at(self, share: float) -> np.ndarray:
        return np.asarray(self._table[round(255 * min(1.0, max(0.0, share or 0.0))) if not math.isnan(share) else 0])


LIGHT = Colours(
    ground="#ffffff",
    text="#1d2026",
    soft="#5c6370",
    line="#dfdfe0",
    accent="#c2410c",
    tint="#fdeee6",
    mark="#6b7fc4",
    warning="#a3001b",
    stops=((250, 250, 253), (205, 213, 238), (128, 143, 201), (68, 80, 142), (20, 30, 88)),
)
DARK = Colours(
    ground="#15171d",
    text="#eceef2",
    soft="#a0a7b4",
    line="#31333a",
    accent="#ff9a5c",
    tint="#3a2519",
    mark="#7b95e0",
    warning="#ff8a8a",
    stops=((26, 29, 38), (50, 61, 94), (86, 110, 178), (127, 160, 226), (186, 210, 255)),
)


def mixed(one: str, other: str, share: float) -> str:
    """Return a colour with this share of the first one and the rest of the other, all as CSS has them."""
    first, second = (np.frombuffer(bytes.fromhex(colour.removeprefix("#")), np.uint8) for colour in (one, other))
    return css(np.round(first * share + second * (1 - share)))


def luminance(rgb: np.ndarray) -> float:
    """Return the relative luminance of a colour, 0 to 1 (WCAG 2.2)."""
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb.tolist()]
    return float(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])


def css(rgb: np.ndarray) -> str:
    """Return a colour as CSS has it."""
    return "#" + "".join(f"{int(c):02x}" for c in rgb)
