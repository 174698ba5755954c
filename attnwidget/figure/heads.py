"""All heads as small heatmaps, as on the screen: a row of tiles for each layer, numbered, with their tokens."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from attnwidget.figure.axes import Axis, pooled
from attnwidget.figure.colour_bar import draw_colour_bar
from attnwidget.figure.colours import Colours
from attnwidget.figure.grid import GAP, LETTER, MOST_OVER, Grid, Line, grid_of, picture_of, sides
from attnwidget.figure.heatmap import tops
from attnwidget.figure.layout import COLOUR_BAR
from attnwidget.figure.look import Look
from attnwidget.figure.page import Page, warnings_of
from attnwidget.figure.svg import Group, pixels_as_png
from attnwidget.figure.text import cut, shown
from attnwidget.outline import Flag, merged
from attnwidget.wire import MEAN

_FINE = 3  # pixels of an image for each CSS pixel at least: programs that smooth images leave cells sharp
_SHARP = "image-rendering:pixelated"
_LEAST_APART = 18.0  # of two numbers
_MOST_TOKEN = 20


def all_heads(look: Look, *, is_marked: bool) -> Page:
    """Return the figure of all heads of the sites that are like the chosen one; its head may have a frame."""
    grid = grid_of(look)
    marked = look.head if is_marked and look.head != MEAN else None
    warnings = warnings_of(look, _flags(grid), dims=False)
    return Page(_place(grid), warnings, _notes(grid), grid.width, partial(_draw, grid, marked))


def _draw(grid: Grid, marked: int | None, group: Group, colours: Colours) -> float:
    """Draw the tiles with what they are called; return how high that is."""
    look = grid.layers[grid.chosen]
    _numbers(group, grid, f"{look.words.head_axis} →", colours)
    if grid.alike:
        for column in range(grid.lines[0].count if grid.is_named(look, 1) else 1):
            _over(group.at(grid.left + column * (grid.size[0] + GAP), grid.top), grid, colours)
    for number, line in enumerate(grid.lines):
        below = group.at(0, grid.top + number * (grid.size[1] + GAP))
        _beside(below, grid, line, marked, colours)
        for place in range(line.count):
            is_marked = line.layer == grid.chosen and line.first + place == marked
            _tile(below.at(grid.left + place * (grid.size[0] + GAP), 0), grid, line, place, is_marked, colours)
    bar = group.at(grid.width - COLOUR_BAR + 12, grid.top)
    draw_colour_bar(bar, grid.height - grid.top, look.words.row_top if _is_scaled(look) else "1", colours)
    return grid.height + 8


def _place(grid: Grid) -> str:
    """Say what the tiles are of."""
    look = grid.layers[grid.chosen]
    words = look.words
    counts = {each.site.n_heads for each in grid.layers}
    kind = words.mask if look.is_mask else words.kinds[look.site.kind]
    return f"{kind} · {words.layers(len(grid.layers), counts.pop() if len(counts) == 1 else 0)}"


def _flags(grid: Grid) -> tuple[Flag, ...]:
    """Return what is unusual in any layer."""
    return tuple(replace(flag, where=()) for flag in merged(flag for look in grid.layers for flag in look.site.flags))


def _notes(grid: Grid) -> list[str]:
    """Say how a tile is read."""
    look = grid.layers[grid.chosen]
    words, told = look.words, []
    picture = picture_of(look)
    if picture:
        told.append(words.patches_lie(look.name("key"), shown(look.texts("query")[0], _MOST_TOKEN)))
    elif grid.alike:
        for say, side in zip(words.along, sides(look), strict=True):
            texts = look.texts(side)
            told.append(say(look.name(side), len(texts), shown(texts[0], _MOST_TOKEN), shown(texts[-1], _MOST_TOKEN)))
    if _is_scaled(look):
        scaled = words.column_scaled if look.turned else words.row_scaled
        told.append(words.tile_scaled if picture else scaled)
    most = max(math.prod(axis.per for axis in grid.axes(each)) for each in grid.layers)
    return [*told, words.binned(most)] if most > 1 else told


def _is_scaled(look: Look) -> bool:
    """Tell whether each row has its own scale: on the screen the rows of small pictures always have."""
    return bool(look.choices["scale"] != "absolute")


def _numbers(group: Group, grid: Grid, name: str, colours: Colours) -> None:
    """Number the heads over the first line of tiles, where all lines begin with the same one."""
    if any(line.first for line in grid.lines):
        return
    wide = grid.size[0] + GAP
    every = 1
    while every * wide < _LEAST_APART:
        every *= 2
    group.write(name, grid.left - 8, 11, LETTER, fill=colours.soft, text_anchor="end")
    for head in range(0, grid.per_line, every):
        x = grid.left + head * wide + grid.size[0] / 2
        group.write(str(head + 1), x, 11, fill=colours.text, text_anchor="middle")


def _over(group: Group, grid: Grid, colours: Colours) -> None:
    """Write the tokens of the columns of a tile above it."""
    names = grid.named(grid.layers[0], 1)
    if grid.is_upright(names):
        for name in names:
            spot = f"translate({name.place + 3.5:.1f} -5) rotate(-90)"
            text = cut(name.text, MOST_OVER, LETTER)
            group.add("text", text, transform=spot, font_size=LETTER, fill=colours.soft)
        return
    for name in names:
        text = cut(name.text, grid.size[0] / len(names) - 2, LETTER)
        group.write(text, name.place, -5, LETTER, fill=colours.soft, text_anchor=name.at)


def _beside(group: Group, grid: Grid, line: Line, marked: int | None, colours: Colours) -> None:
    """Write the name of the layer before its tiles, and the tokens of their rows."""
    look, middle = grid.layers[line.layer], grid.size[1] / 2 + 4
    is_chosen = marked is not None and line.layer == grid.chosen
    name = f"{line.first + 1}–{line.first + line.count}" if line.first else look.words.layer_name(line.layer)
    ink = colours.accent if is_chosen else colours.soft if line.first else colours.text
    bold = "bold" if is_chosen else None
    group.write(name, grid.names[0] - 10, middle, fill=ink, text_anchor="end", font_weight=bold)
    if not grid.alike or (line != grid.lines[0] and not grid.is_named(look, 0)):
        return
    for token in grid.named(look, 0):
        lower = {"start": LETTER - 1, "middle": 3.5, "end": -1.0}[token.at]
        text = cut(token.text, grid.names[1] - 6, LETTER)
        group.write(text, grid.left - 5, token.place + lower, LETTER, fill=colours.soft, text_anchor="end")


def _tile(group: Group, grid: Grid, line: Line, place: int, is_marked: bool, colours: Colours) -> None:
    """Draw a head; a layer without rows is an empty frame with dashes."""
    look = replace(grid.layers[line.layer], head=line.first + place)
    wide, high = grid.size
    if look.site.n_queries:
        image = pixels_as_png(_pixels(look, grid, colours))
        drawn = group.add("image", href=image, width=wide, height=high, preserveAspectRatio="none", style=_SHARP)
        drawn.add("title", f"{look.words.layer_name(line.layer)}, {look.words.head(look.head, look.site.n_heads)}")
    out = 1.0 if is_marked else 0.25
    group.add(
        "rect",
        x=-out,
        y=-out,
        width=wide + 2 * out,
        height=high + 2 * out,
        fill="none",
        stroke=colours.accent if is_marked else colours.line,
        stroke_width=2.0 if is_marked else 0.5,
        stroke_dasharray=None if look.site.n_queries else "3 3",
    )


def _pixels(look: Look, grid: Grid, colours: Colours) -> np.ndarray:
    """Return the colours of a head, uint8 [row, column, 3]; what is no weight has that of a warning."""
    rows, columns = grid.axes(look)
    picture = picture_of(look)
    whole = Axis(1, 1, 1.0), Axis(look.site.n_keys, 1, 1.0)
    cells, odd = look.cells(*(whole if picture else (columns, rows) if look.turned else (rows, columns)))
    with np.errstate(invalid="ignore"):
        shares = cells / tops(cells, by_row=_is_scaled(look))[:, None]
    if picture:
        laid = (pooled(each.reshape(picture), rows.per, 0) for each in (shares, odd))
        shares, odd = (pooled(each, columns.per, 1) for each in laid)
    elif look.turned:
        shares, odd = shares.T, odd.T
    rgb = colours.ramp(shares)
    rgb[odd.astype(bool)] = tuple(bytes.fromhex(colours.warning.removeprefix("#")))
    return rgb.repeat(math.ceil(_FINE * rows.size), 0).repeat(math.ceil(_FINE * columns.size), 1)
