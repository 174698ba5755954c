"""The strength of each input, in a figure."""

from __future__ import annotations

import numpy as np

from attnwidget.figure.axes import pooled
from attnwidget.figure.colours import Colours
from attnwidget.figure.layout import LABELS, Layout
from attnwidget.figure.look import Look
from attnwidget.figure.svg import Group
from attnwidget.figure.text import short

REACH = 60.0
_VALUE, _WORD = 30.0, 66.0  # room that a number needs, and one with a word


def draw_strength(group: Group, look: Look, layout: Layout, colours: Colours) -> float:
    """Draw bars below the columns, or beside the rows where these are inputs; return how high what is below is."""
    keys, per = layout.keys, layout.keys.per
    received = look.received
    values = np.nan_to_num(pooled(received, per, 0))
    expected = look.expected
    levels = pooled(np.asarray(expected), per, 0) if expected else np.zeros(0)
    verdicts = look.verdicts(received)[::per] if per == 1 else [""] * len(values)
    top = max(1e-6, float(values.max(initial=0)), 1.2 * float(levels.max(initial=0)))
    _patterns(group, colours)
    bars = group if look.turned else group.at(LABELS, 0)
    inset = keys.size * 0.2 if keys.size > 20 else 0.5 if keys.size > 4 else 0.0
    for cell, value in enumerate(values.tolist()):
        long, start = REACH * max(0.0, value) / top, cell * keys.size + inset
        broad = max(0.5, keys.size - 2 * inset)
        box = (0.0, start, long, broad) if look.turned else (start, REACH - long, broad, long)
        verdict = verdicts[cell]
        fill = f"url(#{verdict})" if verdict else colours.mark
        opacity = 0.4 if cell * per in look.apart else None
        bars.add("rect", x=box[0], y=box[1], width=box[2], height=box[3], fill=fill, fill_opacity=opacity)
        if keys.size >= (14 if look.turned else _VALUE):
            word = f" {look.words.verdicts[verdict]}" if verdict and (look.turned or keys.size >= _WORD) else ""
            middle = (cell + 0.5) * keys.size
            x, y = (REACH + 8, middle + 4) if look.turned else (middle, REACH + 15)
            ink = colours.text if verdict else colours.soft
            bars.write(short(value) + word, x, y, fill=ink, text_anchor=None if look.turned else "middle")
    _expected(bars, look, layout, colours, levels / top)
    if look.turned:
        bars.write(" ".join(_name(look)), 0, -10, fill=colours.soft)
        return 0.0
    for line, words in enumerate(_name(look)):
        group.write(words, 0, 12 + 14 * line, fill=colours.soft)
    bars.add("path", d=f"M0 {REACH:.1f}H{keys.length:.1f}", stroke=colours.line)
    return REACH + 22


def _name(look: Look) -> tuple[str, str]:
    if look.choices["strength"] == "step":
        return look.words.strength_step
    return look.words.strength_all if look.site.kind == "encoder" else look.words.strength_so_far


def _expected(bars: Group, look: Look, layout: Layout, colours: Colours, shares: np.ndarray) -> None:
    """Draw the expectation as a line with a step at each input, and say what it is."""
    if not len(shares):
        return
    size, points = layout.keys.size, []
    for cell, share in enumerate(shares.tolist()):
        at = REACH * share if look.turned else REACH * (1 - share)
        ends = ((cell * size, at), ((cell + 1) * size, at))
        points += [f"{y:.1f} {x:.1f}" if look.turned else f"{x:.1f} {y:.1f}" for x, y in ends]
    line = "M" + "L".join(points)
    bars.add("path", d=line, fill="none", stroke=colours.text, stroke_dasharray="5 4", stroke_opacity=0.8)
    levels = set(look.expected)
    one = short(levels.pop()).removesuffix(".00") if len(levels) == 1 else ""
    told = look.words.expected(one) if one else look.words.own
    if not look.turned:
        bars.write(told, layout.keys.length + 8, REACH * (1 - float(shares[-1])) + 4, fill=colours.soft)


def _patterns(group: Group, colours: Colours) -> None:
    """Make what tells weak and strong inputs from others without colour."""
    defs = group.add("defs")
    for name, ink, lines in (
        ("weak", colours.mark, ("M-1 6L6 -1",)),
        ("strong", colours.accent, ("M0 5L5 0", "M0 0L5 5")),
    ):
        tile = defs.add("pattern", id=name, width=5, height=5, patternUnits="userSpaceOnUse")
        for line in lines:
            tile.add("path", d=line, stroke=ink, stroke_width=1.4)
