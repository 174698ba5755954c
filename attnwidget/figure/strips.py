"""The strips of tokens in a figure, or the pictures that they are, and the links between them."""

from __future__ import annotations

import numpy as np

from attnwidget.figure.axes import Axis, pooled
from attnwidget.figure.colours import Colours
from attnwidget.figure.layout import COLOUR_BAR, LABELS, MARGIN, WIDTH, Layout
from attnwidget.figure.look import Look
from attnwidget.figure.svg import Group, pixels_as_png
from attnwidget.figure.text import cut, short, shown
from attnwidget.scene import Scene

TOKEN, LINKS, GAP = 28.0, 58.0, 4.0
_PER_STEP, _LEAST_SHARE, _MOST_WIDTH = 8, 0.05, 10.0
_VEIL, _LEAST_FRAMED = 0.8, 0.3
_MOST_SCENE = 240.0


def draw_strips(group: Group, look: Look, layout: Layout, colours: Colours) -> float:
    """Draw the input over the output, and return how high that is."""
    height = _strip(group, look, layout.input, colours, "key")
    if look.scene("key") is None:
        _links(group.at(LABELS, height + 2), look, layout, colours)
        height += LINKS + 4
    else:
        height += 10
    below = group.at(0, height)
    return height + _strip(below, look, layout.output, colours, "query")


def _strip(group: Group, look: Look, axis: Axis, colours: Colours, side: str) -> float:
    is_key = side == "key"
    group.write(look.name("key" if is_key else "query"), 0, 18, fill=colours.soft)
    scene = look.scene("key") if is_key else None
    if scene is not None and scene.kind != "audio":
        return _picture(group.at(LABELS, 0), look, scene, colours)
    texts = look.texts("key" if is_key else "query")
    shades = pooled(look.row, axis.per, 0) if is_key else None
    for cell in range(axis.n_cells):
        token = cell * axis.per
        pale = token >= (look.n_read if is_key else look.n_reached) or (is_key and token in look.apart)
        chosen = not is_key and cell == look.step // axis.per
        share = 0.0 if shades is None or pale else float(shades[cell])
        _token(group, (LABELS + cell * axis.size, axis.size), texts[token], colours, share, pale, chosen)
    return TOKEN


def _token(
    group: Group,
    place: tuple[float, float],
    text: str,
    colours: Colours,
    share: float,
    pale: bool,
    chosen: bool,
) -> None:
    x, size = place
    gap = GAP if size > 3 * GAP else 0.0
    fill = colours.tint if chosen else colours.of(share) if share else "none"
    group.add(
        "rect",
        x=x + gap / 2,
        y=1.0,
        width=max(size - gap, 0.5),
        height=TOKEN - 2,
        rx=3 if gap else 0,
        fill=fill,
        stroke=colours.accent if chosen else colours.line if gap else "none",
        stroke_width=2 if chosen else 1,
        stroke_dasharray="3 2" if pale else None,
    )
    written = cut(shown(text), size - gap - 4, 11)
    if written:
        ink = colours.soft if pale else colours.ink(share) if share else colours.text
        group.write(written, x + size / 2, 19, fill=ink, text_anchor="middle")


def _links(group: Group, look: Look, layout: Layout, colours: Colours) -> None:
    """Draw the strongest weights of the step."""
    row = np.nan_to_num(look.row, nan=0, posinf=0, neginf=0)
    best = [key for key in np.argsort(-row, kind="stable")[:_PER_STEP] if row[key] > 0]
    x1 = layout.output.middle(look.step)
    for key in reversed([key for key in best if row[key] >= row[best[0]] * _LEAST_SHARE]):
        x0, weight = layout.input.middle(int(key)), min(1.0, float(row[key]))
        group.add(
            "path",
            d=f"M{x0:.1f} 0C{x0:.1f} {LINKS * 0.65:.1f} {x1:.1f} {LINKS * 0.35:.1f} {x1:.1f} {LINKS:.1f}",
            fill="none",
            stroke=colours.accent,
            stroke_width=max(0.75, weight * _MOST_WIDTH),
            stroke_opacity=0.25 + 0.6 * weight,
        )


def _picture(group: Group, look: Look, scene: Scene, colours: Colours) -> float:
    """Draw a picture or a clip, clearest where the weight is largest."""
    n_frames, rows, columns = scene.grid
    _, n_lines, n_pixels, _ = scene.pixels.shape
    room = (WIDTH - 2 * MARGIN - LABELS - COLOUR_BAR - 8.0 * (n_frames - 1)) / n_frames
    width = min(room, _MOST_SCENE * n_pixels / n_lines)
    height = width * n_lines / n_pixels
    weights = np.nan_to_num(look.row[scene.before : scene.before + scene.n_patches], nan=0, posinf=0, neginf=0)
    top = float(weights.max(initial=0))
    for frame in range(n_frames):
        part = group.at(frame * (width + 8), 0)
        source = pixels_as_png(scene.pixels[frame])
        part.add("image", href=source, width=width, height=height, preserveAspectRatio="none", style=_SQUARES)
        for patch in range(rows * columns):
            share = max(0.0, float(weights[frame * rows * columns + patch])) / top if top else 1.0
            _veil(part, patch, (columns, width / columns, height / rows), share, colours)
    token = scene.before + int(weights.argmax())
    told = look.words.clearest(shown(look.texts("key")[token]), short(look.row[token]))
    group.write(told, 0, height + 16, fill=colours.soft)
    return float(height + 22)


_SQUARES = "image-rendering:pixelated"


def _veil(group: Group, patch: int, grid: tuple[int, float, float], share: float, colours: Colours) -> None:
    columns, wide, high = grid
    x, y = patch % columns * wide, patch // columns * high
    if share < 1:
        veil = _VEIL * (1 - share)
        group.add("rect", x=x, y=y, width=wide, height=high, fill=colours.of(0), fill_opacity=veil)
    if share >= _LEAST_FRAMED and min(wide, high) >= 12:
        size: dict[str, object] = {"x": x + 1, "y": y + 1, "width": wide - 2, "height": high - 2}
        group.add("rect", None, fill="none", stroke=colours.mark, stroke_width=2, stroke_opacity=share, **size)
