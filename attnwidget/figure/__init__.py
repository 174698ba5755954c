"""A figure of a trace for print: what the widget shows, as SVG or PNG, made without a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from attnwidget.disk import write_whole as write
from attnwidget.figure.colours import DARK, LIGHT, Colours
from attnwidget.figure.heatmap import draw_heatmap
from attnwidget.figure.layout import LABELS, LEAST_CELL, MARGIN, STILL_CELL, WIDTH, layout
from attnwidget.figure.look import Look, look_at
from attnwidget.figure.strength import draw_strength
from attnwidget.figure.strips import draw_strips
from attnwidget.figure.svg import Group, finished, picture
from attnwidget.figure.text import cut, percent, short, shown
from attnwidget.figure.words import WORDS

if TYPE_CHECKING:
    from attnwidget.trace import Trace

__all__ = ["png", "still", "svg", "write"]

_QUICK = 1 << 18  # weights of all heads of a site, of which a small figure is made
Theme = Literal["light", "dark"]


def svg(trace: Trace, *, theme: Theme = "light", **selection: object) -> str:
    """Return a figure as SVG: strips, links, heatmap and strength, with what stands out in a sentence.

    Args:
        trace: what to show.
        theme: "light" for paper, or "dark".
        selection: how to look at it, by the names of the widget's traits, as in `step=3, head=1, rows="key"`; by
            default as the widget first shows it.

    Raises:
        TraitError, TypeError: no such trait, or a value that the trace does not have.
        ValueError: no such theme.
    """
    if theme not in ("light", "dark"):
        raise ValueError(f'theme: {theme!r} came, "light" or "dark" was expected.')
    return _drawn(trace, DARK if theme == "dark" else LIGHT, selection, LEAST_CELL)


def _drawn(trace: Trace, colours: Colours, selection: dict[str, object], least: float) -> str:
    look = look_at(trace, selection)
    words = WORDS[str(selection.get("language", "auto"))]
    title = trace.title or words.title
    said = _sentence(look) if look else words.nothing_yet
    group = picture(shown(title, 200), said, colours.ground, colours.text)
    body = group.at(MARGIN, MARGIN)
    y = _head(body, look, title, colours)
    if look:
        y = _body(body, look, colours, y, least)
    body.write(cut(said, WIDTH - 2 * MARGIN, 12), 0, y + 16, 12)
    return finished(group, WIDTH, y + 26 + 2 * MARGIN)


def still(trace: Trace, selection: dict[str, object]) -> str:
    """Return a small figure for where a widget is not drawn, or "" where that would take long: it is made at once."""
    sites, number = trace.sites, selection["site"]
    site = sites[number] if isinstance(number, int) and number < len(sites) else None
    if site is None or not site.n_queries or site.store == "qk":
        return ""
    return _drawn(trace, LIGHT, selection, STILL_CELL) if site.n_heads * site.n_queries * site.n_keys <= _QUICK else ""


def png(trace: Trace, *, scale: float = 2.0, theme: Theme = "light", **selection: object) -> bytes:
    """Return a figure as PNG.

    Args:
        trace, theme, selection: as `svg` takes them.
        scale: pixels for each CSS pixel; 2 gives 1,920 pixels of width, 3 is enough for print.

    Raises:
        ModuleNotFoundError: the library that draws pixels is not installed.
        TraitError, TypeError, ValueError: as `svg` raises them; or a scale that is not from 0.1 to 10.
    """
    if not 0.1 <= scale <= 10:
        raise ValueError(f"scale: {scale} came, a number from 0.1 to 10 was expected.")
    drawn = svg(trace, theme=theme, **selection)
    try:
        import resvg_py
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "resvg-py, which draws PNG pictures, is not installed. Run: pip install 'attnwidget[png]'"
        ) from None
    return bytes(resvg_py.svg_to_bytes(svg_string=drawn, zoom=scale))


def _head(body: Group, look: Look | None, title: str, colours: Colours) -> float:
    body.write(cut(shown(title, 200), WIDTH - 2 * MARGIN, 15), 0, 13, 15, font_weight="bold")
    if look is None:
        return 26.0
    body.write(look.place, 0, 32, 12, fill=colours.soft)
    y = 40.0
    for flag in look.site.flags:
        said = look.words.flags.get(flag.kind)
        told = f"{flag.count} {said}" if said else str(flag)
        body.write(told if flag.kind == "mask" else f"⚠ {told}", 0, y + 12, 12, fill=colours.warning)
        y += 17
    if look.apart:
        tell = look.words.omitted if look.choices["special"] == "omit" else look.words.dimmed
        body.write(tell(len(look.apart)), 0, y + 12, 12, fill=colours.warning)
        y += 17
    return y + 10


def _body(body: Group, look: Look, colours: Colours, y: float, least: float) -> float:
    places = layout(look, least)
    y += draw_strips(body.at(0, y), look, places, colours) + 10
    height = draw_heatmap(body.at(0, y), look, places, colours)
    if look.turned:
        x = LABELS + places.columns.length + 12
        draw_strength(body.at(x, y + height - places.rows.length), look, places, colours)
        return y + height + 12
    y += height + 12
    return y + draw_strength(body.at(0, y), look, places, colours) + 6


def _sentence(look: Look) -> str:
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
