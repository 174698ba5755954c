"""Where the tiles of all heads stand: a row for each layer, or several where its heads are many."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from attnwidget.figure.axes import Axis, axis
from attnwidget.figure.layout import COLOUR_BAR, MARGIN, WIDTH
from attnwidget.figure.look import Look
from attnwidget.figure.text import shown, width

if TYPE_CHECKING:
    from attnwidget.outline import Site

GAP = 4.0
LETTER = 10.0
NUMBERS = 18.0
_HEIGHT = 1000.0  # that all tiles share
_LEAST, _MOST = 14.0, 420.0
_FLATTEST = 1 / 3  # a tile is not flatter than that, and not slimmer
_LEAST_CELL = 0.7
_NAMED_CELL = LETTER + 2  # cells this large are named, one by one
_NAMED_TILE = (2.4 * LETTER, 44.0)  # of tiles this high and wide the first token and the last one
_MOST_NAME, MOST_OVER = 84.0, 72.0


@dataclass(frozen=True)
class Line:
    """Tiles side by side.

    Args:
        layer: index of their layer in the figure.
        first: head of the first tile.
        count: how many tiles.
    """

    layer: int
    first: int
    count: int


Side = Literal["key", "query"]


class Name(NamedTuple):
    """A token beside a tile: its text, its place in CSS pixels from the corner of the tile, and what of it is there."""

    text: str
    place: float
    at: Literal["start", "middle", "end"]


@dataclass(frozen=True)
class Grid:
    """Tiles of all heads of the sites that are alike but for their layer.

    Args:
        layers: how each site is looked at, in order.
        lines: of tiles, from the top.
        chosen: index of the layer of the site that was chosen.
        names: width of the names of layers, and of the tokens behind them; CSS pixels.
        over: height of the tokens above the first line, CSS pixels.
        size: width and height of a tile, CSS pixels.
        per_line: heads that stand side by side at most.
        alike: whether all layers have the same queries and keys.
    """

    layers: tuple[Look, ...]
    lines: tuple[Line, ...]
    chosen: int
    names: tuple[float, float]
    over: float
    size: tuple[float, float]
    per_line: int
    alike: bool

    @property
    def left(self) -> float:
        """Where the first column of tiles begins."""
        return sum(self.names)

    @property
    def top(self) -> float:
        """Where the first line of tiles begins."""
        return NUMBERS + self.over

    @property
    def width(self) -> float:
        """Of names, tiles and the scale of the colours."""
        return self.left + self.per_line * (self.size[0] + GAP) - GAP + COLOUR_BAR

    @property
    def height(self) -> float:
        """Of numbers, tokens and tiles."""
        return self.top + len(self.lines) * (self.size[1] + GAP) - GAP

    def axes(self, look: Look) -> tuple[Axis, Axis]:
        """Return the rows and the columns of the tiles of a layer."""
        down, across = (
            axis(count, length, _LEAST_CELL, length, look.side)
            for count, length in zip(_counts(look), reversed(self.size), strict=True)
        )
        return down, across

    def is_named(self, look: Look, along: int) -> bool:
        """Tell whether there is room to name each token along the rows (0) or the columns (1) of a tile."""
        cells = self.axes(look)[along]
        return picture_of(look) is None and cells.per == 1 and cells.size >= _NAMED_CELL

    def named(self, look: Look, along: int) -> list[Name]:
        """Return the tokens that are named along the rows (0) or the columns (1) of a tile: all, two, or none."""
        cells, length = self.axes(look)[along], self.size[1 - along]
        texts = [shown(text) for text in look.texts(sides(look)[along])]
        if self.is_named(look, along):
            return [Name(text, cells.middle(i), "middle") for i, text in enumerate(texts)]
        if picture_of(look) or length < _NAMED_TILE[along]:
            return []
        return [Name(texts[0], 0.0, "start"), Name(texts[-1], length, "end")]

    def is_upright(self, names: list[Name]) -> bool:
        """Tell whether the tokens over a column of tiles are turned, because one is wider than its cell."""
        room = self.size[0] / max(1, len(names))
        return any(name.at == "middle" and width(name.text, LETTER) + 4 > room for name in names)


def grid_of(look: Look) -> Grid:
    """Lay out all heads of the sites that are like the chosen one but for their layer."""
    sites = [site for site in look.trace.sites if _group(site) == _group(look.site)]
    layers = tuple(replace(look, site=site, apart=look.apart if _same(site, look.site) else ()) for site in sites)
    alike = all(_same(site, look.site) for site in sites)
    names = 10 + max(width(text, 11) for text in (*map(look.words.layer_name, range(len(sites))), "000–000"))
    longest = max(site.n_heads for site in sites)
    room = WIDTH - 2 * MARGIN - COLOUR_BAR - names - _MOST_NAME
    fits = int((room + GAP) // (_LEAST + GAP))
    per_line = longest if longest <= fits else 2 ** int(math.log2(fits))
    lines = tuple(
        Line(layer, first, min(per_line, site.n_heads - first))
        for layer, site in enumerate(sites)
        for first in range(0, site.n_heads, per_line)
    )
    down, across = _counts(look)
    slope = min(max(down / across, _FLATTEST), 1 / _FLATTEST)
    high = (_HEIGHT + GAP) / len(lines) - GAP
    wide = max(_LEAST, min(_MOST, _MOST / slope, (room + GAP) / per_line - GAP, high / slope))
    bare = Grid(layers, lines, sites.index(look.site), (names, 0.0), 0.0, (wide, wide * slope), per_line, alike)
    if not alike:
        return bare
    beside = max((width(name.text, LETTER) + 8 for name in bare.named(look, 0)), default=0.0)
    above = bare.named(look, 1)
    over = LETTER + 6 if above else 0.0
    if bare.is_upright(above):
        over = 6 + min(MOST_OVER, max(width(name.text, LETTER) for name in above))
    return replace(bare, names=(names, min(_MOST_NAME, beside)), over=over)


def sides(look: Look) -> tuple[Side, Side]:
    """Return what the rows and the columns of a head are."""
    return ("key", "query") if look.turned else ("query", "key")


def picture_of(look: Look) -> tuple[int, int] | None:
    """Return rows and columns of the picture whose patches are all that a single query attends to; None for others.

    The tile of such a head is laid out as the picture is, as on the screen.
    """
    scene, site = look.scene("key"), look.site
    if scene is None or site.n_queries != 1 or look.side > 1:
        return None
    n_frames, rows, columns = scene.grid
    return (rows, columns) if n_frames == 1 and rows * columns == site.n_keys else None


def _counts(look: Look) -> tuple[int, int]:
    """Return how many tokens the rows and the columns of a tile stand for."""
    if picture := picture_of(look):
        return picture
    counts = max(1, look.site.n_queries), max(1, look.site.n_keys)
    return counts[::-1] if look.turned else counts


def _group(site: Site) -> tuple[str, str]:
    """Return what sites of one kind in one place of the network have in common: they differ by their layer only."""
    return site.kind, re.sub(r"\d+", "#", site.name)


def _same(one: Site, other: Site) -> bool:
    return (one.query, one.key, one.n_queries, one.n_keys) == (other.query, other.key, other.n_queries, other.n_keys)
