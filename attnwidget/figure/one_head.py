"""One head at one step: strips, links, heatmap and strength, with what stands out in a sentence."""

from __future__ import annotations

import numpy as np

from attnwidget.figure.colours import Colours
from attnwidget.figure.heatmap import draw_heatmap
from attnwidget.figure.layout import LABELS, layout
from attnwidget.figure.look import Look
from attnwidget.figure.page import Page, warnings_of
from attnwidget.figure.strength import draw_strength
from attnwidget.figure.strips import draw_strips
from attnwidget.figure.svg import Group
from attnwidget.figure.text import percent, short, shown


def one_head(look: Look, least: float) -> Page:
    """Return the figure of a head, whose cells are at least so large, in CSS pixels."""

    def draw(group: Group, colours: Colours) -> float:
        places = layout(look, least)
        y = draw_strips(group, look, places, colours) + 10
        height = draw_heatmap(group.at(0, y), look, places, colours)
        if look.turned:
            x = LABELS + places.columns.length + 12
            draw_strength(group.at(x, y + height - places.rows.length), look, places, colours)
            return y + height + 12
        y += height + 12
        return y + draw_strength(group.at(0, y), look, places, colours) + 6

    return Page(look.place, warnings_of(look, look.site.flags, dims=True), [sentence(look)], draw=draw)


def sentence(look: Look) -> str:
    """Say what the weights of the step suggest."""
    row = np.nan_to_num(look.row, nan=0, posinf=0, neginf=0)
    words, keys = look.words, look.texts("key")
    best = [int(key) for key in np.argsort(-row, kind="stable")[:2] if row[key] > 0]
    of = look.row_name, look.step, shown(look.texts("query")[look.step])
    if not best:
        return words.nothing(*of)
    told = [(shown(keys[key]), float(row[key])) for key in best]
    if look.is_mask:
        return words.masked(*of, short(told[0][1]), told[0][0])
    said = words.sentence(*of, percent(told[0][1]), told[0][0])
    return said + "".join(words.other(key, percent(weight)) for key, weight in told[1:])
