"""The heatmap of a figure: its cells, the numbers of the step, its axes and the scale of its colours."""

from __future__ import annotations

import numpy as np

from attnwidget.figure.axes import Axis
from attnwidget.figure.colour_bar import draw_colour_bar
from attnwidget.figure.colours import Colours, css
from attnwidget.figure.layout import LABELS, SIDE_BARS, Layout
from attnwidget.figure.look import Look
from attnwidget.figure.svg import Group
from attnwidget.figure.text import BOLD, cut, short, shown, width

_GHOST = 0.16  # of its colour that a row keeps which the step has not reached
_GAP, _HATCH = 8.0, 4.0  # cells smaller than these have no gaps, no hatching
_NUMBER = (34.0, 14.0)
_LEAST_NUMBER = 0.005
_UPRIGHT = 72.0
_LETTER = 11.0


def draw_heatmap(group: Group, look: Look, layout: Layout, colours: Colours) -> float:
    """Draw the heatmap with its axes, and return how high that is."""
    top = _labels(group, look, layout, colours)
    cells, odd = look.cells(layout.queries, layout.keys)
    by_row = look.choices["scale"] == "row" or (look.choices["scale"] == "auto" and look.side > 1)
    darkest = tops(cells, by_row=by_row)
    plot = group.at(LABELS, top)
    _cells(plot, look, layout, colours, cells / darkest[:, None])
    _hatched(plot, layout, colours, odd)
    _step(plot, look, layout, colours, float(darkest[look.step // layout.queries.per]))
    beside = SIDE_BARS if look.turned else 0
    bar = plot.at(layout.columns.length + 12 + beside, 0)
    draw_colour_bar(bar, layout.rows.length, look.words.row_top if by_row else "1", colours)
    return top + layout.rows.length


def tops(cells: np.ndarray, *, by_row: bool) -> np.ndarray:
    """Return what has the darkest colour in each row of cells, [query cell, key cell]."""
    if not by_row:
        return np.ones(len(cells))
    largest = np.where(np.isfinite(cells), cells, 0).max(1, initial=0)
    return np.where(largest > 0, largest, 1.0)


def _cells(plot: Group, look: Look, layout: Layout, colours: Colours, shares: np.ndarray) -> None:
    """Draw cells, those of one colour together: a page of rectangles would be ten times as long."""
    ground = colours.ramp(np.asarray(0.0)).astype(float)
    rgb = colours.ramp(shares).astype(float)
    pale = -(-look.n_reached // layout.queries.per)
    rgb[pale:] = ground + (rgb[pale:] - ground) * _GHOST
    if look.turned:
        rgb = rgb.swapaxes(0, 1)
    rows, columns = layout.rows, layout.columns
    plot.add("rect", width=columns.length, height=rows.length, fill=css(ground))
    colour, places = np.unique(np.round(rgb).astype(np.uint8).reshape(-1, 3), axis=0, return_inverse=True)
    order = np.argsort(places.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(places.ravel()))
    for number, members in enumerate(np.split(order, ends[:-1])):
        if css(colour[number]) != css(ground):
            _path(plot, members, (columns, rows), fill=css(colour[number]))
    if min(rows.size, columns.size) >= _GAP:
        across = (f"M{i * columns.size - 0.5:.1f} 0v{rows.length:.1f}" for i in range(1, columns.n_cells + 1))
        down = (f"M0 {i * rows.size - 0.5:.1f}h{columns.length:.1f}" for i in range(1, rows.n_cells + 1))
        plot.add("path", d="".join((*across, *down)), stroke=css(ground))


def _path(plot: Group, members: np.ndarray, axes: tuple[Axis, Axis], **attributes: object) -> None:
    """Draw cells as squares of size 1 on a scale of their own, which takes the least text."""
    columns, rows = axes
    line, column = np.divmod(members, columns.n_cells)
    boxes = (f"M{x} {y}h1v1h-1z" for x, y in zip(column.tolist(), line.tolist(), strict=True))
    scale = f"scale({columns.size:.6g} {rows.size:.6g})"
    plot.add("path", None, d="".join(boxes), transform=scale, **attributes)


def _hatched(plot: Group, layout: Layout, colours: Colours, odd: np.ndarray) -> None:
    """Hatch what is no weight: not finite, negative or above 1."""
    members = np.flatnonzero(odd.T if layout.turned else odd)
    if not members.size:
        return
    fill = colours.warning
    if min(layout.rows.size, layout.columns.size) >= _HATCH:
        wide, high = 4 / layout.columns.size, 4 / layout.rows.size
        tile = plot.add("defs").add("pattern", id="odd", width=wide, height=high, patternUnits="userSpaceOnUse")
        tile.add("path", d="M0 1L1 0", stroke=fill, stroke_width=0.25, transform=f"scale({wide:.6g} {high:.6g})")
        fill = "url(#odd)"
    _path(plot, members, (layout.columns, layout.rows), fill=fill)


def _step(plot: Group, look: Look, layout: Layout, colours: Colours, top: float) -> None:
    """Frame the step, and write its weights where they fit."""
    queries, keys = layout.queries, layout.keys
    place = look.step // queries.per * queries.size
    long = keys.length
    box = (place, 0.0, queries.size, long) if look.turned else (0.0, place, long, queries.size)
    x, y, wide, high = box
    plot.add("rect", x=x, y=y, width=wide, height=high, fill="none", stroke=colours.accent, stroke_width=2, rx=1, ry=1)
    size = (queries.size, keys.size) if look.turned else (keys.size, queries.size)
    if keys.per > 1 or queries.per > 1 or size[0] < _NUMBER[0] or size[1] < _NUMBER[1]:
        return
    for key, weight in enumerate(look.row.tolist()):
        if abs(weight) < _LEAST_NUMBER:
            continue
        along, across = (key + 0.5) * keys.size, place + 0.5 * queries.size
        x, y = (across, along) if look.turned else (along, across)
        plot.write(short(weight), x, y + 4, fill=colours.ink(weight / top), text_anchor="middle")


def _labels(group: Group, look: Look, layout: Layout, colours: Colours) -> float:
    """Write the tokens over the columns and beside the rows, and return how high those over the columns are."""
    down, over = ("key", "query") if look.turned else ("query", "key")
    columns = [shown(text) for text in look.texts("query" if look.turned else "key")]
    rows = [shown(text) for text in look.texts("key" if look.turned else "query")]
    widest = max(width(text, _LETTER) for text in columns[:: layout.columns.per])
    upright = widest + 6 > layout.columns.size
    top = min(_UPRIGHT, widest + 6) if upright else 18.0
    top = max(top, 32.0)
    for number, side in enumerate((down, over)):
        name = f"{look.name('key' if side == 'key' else 'query')} {'↓→'[number]}"
        group.write(name, LABELS - 8, top - 20 + 12 * number, 10, fill=colours.soft, text_anchor="end")
    every = max(1, int(np.ceil((_LETTER + 2) / layout.columns.size))) if upright else 1
    for cell in range(0, layout.columns.n_cells, every):
        text, x = columns[cell * layout.columns.per], LABELS + (cell + 0.5) * layout.columns.size
        if upright:
            spot = f"translate({x + 4:.1f} {top - 5:.1f}) rotate(-90)"
            group.add("text", cut(text, _UPRIGHT - 6, _LETTER), transform=spot, font_size=_LETTER, fill=colours.soft)
        else:
            group.write(text, x, top - 7, fill=colours.soft, text_anchor="middle")
    step = look.step if not look.turned else -1
    every = max(1, int(np.ceil((_LETTER + 2) / layout.rows.size)))
    for cell in range(0, layout.rows.n_cells, every):
        token = cell * layout.rows.per
        chosen = step >= 0 and cell == step // layout.rows.per
        pale = token >= (look.n_read if look.turned else look.n_reached)
        ink = colours.accent if chosen else colours.soft if pale else colours.text
        y = top + (cell + 0.5) * layout.rows.size + 4
        weight = "bold" if chosen else None
        written = cut(rows[token], LABELS - 12, 12 * BOLD if chosen else 12)
        group.write(written, LABELS - 8, y, 12, fill=ink, text_anchor="end", font_weight=weight)
    return top
