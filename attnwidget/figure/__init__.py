"""A figure of a trace for print: what the widget shows, as SVG or PNG, made without a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from attnwidget.disk import write_whole as write
from attnwidget.figure.colours import DARK, LIGHT, Colours
from attnwidget.figure.diagram import diagram
from attnwidget.figure.heads import all_heads
from attnwidget.figure.layout import LEAST_CELL, STILL_CELL
from attnwidget.figure.look import look_at
from attnwidget.figure.one_head import one_head
from attnwidget.figure.page import Page, drawn
from attnwidget.figure.words import WORDS

if TYPE_CHECKING:
    from attnwidget.trace import Trace

__all__ = ["View", "png", "still", "svg", "write"]

_QUICK = 1 << 18  # weights of all heads of a site, of which a small figure is made
Theme = Literal["light", "dark"]
View = Literal["head", "heads", "diagram"]


def svg(trace: Trace, *, view: View = "head", theme: Theme = "light", **selection: object) -> str:
    """Return a figure as SVG.

    Args:
        trace: what to show.
        view: "head" for strips, links, heatmap and strength of one head at one step, with what stands out in a
            sentence; "heads" for all heads of the sites that differ from the chosen one by their layer only, a row of
            small heatmaps for each layer, where a head that is chosen has a frame; "diagram" for the network, with
            what the chosen site does at the step.
        theme: "light" for paper, or "dark".
        selection: how to look at it, by the names of the widget's traits, as in `step=3, head=1, rows="key"`; by
            default as the widget first shows it.

    Raises:
        TraitError, TypeError: no such trait, or a value that the trace does not have.
        ValueError: no such view or theme, or a diagram of a trace that has none.
    """
    if view not in get_args(View):
        raise ValueError(f"view: {view!r} came, one of {', '.join(map(repr, get_args(View)))} was expected.")
    if theme not in get_args(Theme):
        raise ValueError(f'theme: {theme!r} came, "light" or "dark" was expected.')
    return _drawn(trace, DARK if theme == "dark" else LIGHT, selection, LEAST_CELL, view)


def _drawn(trace: Trace, colours: Colours, selection: dict[str, object], least: float, view: View = "head") -> str:
    look = look_at(trace, selection)
    words = WORDS[str(selection.get("language", "auto"))]
    if look is None:
        page = Page("", [], [words.nothing_yet])
    elif view == "heads":
        page = all_heads(look, is_marked=not {"site", "head"}.isdisjoint(selection))
    elif view == "diagram":
        page = diagram(look)
    else:
        page = one_head(look, least)
    return drawn(page, trace.title or words.title, colours)


def still(trace: Trace, selection: dict[str, object]) -> str:
    """Return a small figure for where a widget is not drawn, or "" where that would take long: it is made at once."""
    sites, number = trace.sites, selection["site"]
    site = sites[number] if isinstance(number, int) and number < len(sites) else None
    if site is None or not site.n_queries or site.store == "qk":
        return ""
    return _drawn(trace, LIGHT, selection, STILL_CELL) if site.n_heads * site.n_queries * site.n_keys <= _QUICK else ""


def png(trace: Trace, *, view: View = "head", scale: float = 2.0, theme: Theme = "light", **selection: object) -> bytes:
    """Return a figure as PNG.

    Args:
        trace, view, theme, selection: as `svg` takes them.
        scale: pixels for each CSS pixel; 2 gives 1,920 pixels of width or less, 3 is enough for print.

    Raises:
        ModuleNotFoundError: the library that draws pixels is not installed.
        TraitError, TypeError, ValueError: as `svg` raises them; or a scale that is not from 0.1 to 10.
    """
    if not 0.1 <= scale <= 10:
        raise ValueError(f"scale: {scale} came, a number from 0.1 to 10 was expected.")
    picture = svg(trace, view=view, theme=theme, **selection)
    try:
        import resvg_py
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "resvg-py, which draws PNG pictures, is not installed. Run: pip install 'attnwidget[png]'"
        ) from None
    return bytes(resvg_py.svg_to_bytes(svg_string=picture, zoom=scale))
