"""What every figure has around what it shows: a title, the place, what is unusual, and what is said below."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from attnwidget.figure.colours import Colours
from attnwidget.figure.layout import MARGIN, WIDTH
from attnwidget.figure.look import Look
from attnwidget.figure.svg import Group, finished, picture
from attnwidget.figure.text import BOLD, cut, shown, width
from attnwidget.outline import Flag

_ROOM = WIDTH - 2 * MARGIN
_TITLE, _LETTER, _LINE = 15, 12, 17.0


@dataclass(frozen=True)
class Page:
    """A figure without its title.

    Args:
        place: where the weights were taken.
        warnings: what a reader must know first.
        notes: what is said below.
        width: of what is drawn, CSS pixels.
        draw: draws it, and returns how high it is.
    """

    place: str
    warnings: list[str]
    notes: list[str]
    width: float = _ROOM
    draw: Callable[[Group, Colours], float] = lambda _group, _colours: 0.0


def warnings_of(look: Look, flags: Iterable[Flag], *, dims: bool) -> list[str]:
    """Say what is unusual in weights, and what became of special tokens; a view may have no way to dim them."""
    told = []
    for flag in flags:
        said = look.words.flags.get(flag.kind)
        text = f"{flag.count} {said}" if said else str(flag)
        told.append(text if flag.kind == "mask" else f"⚠ {text}")
    omits = look.choices["special"] == "omit"
    if look.apart and (omits or dims):
        told.append((look.words.omitted if omits else look.words.dimmed)(len(look.apart)))
    return told


def drawn(page: Page, title: str, colours: Colours) -> str:
    """Return a figure as SVG: as wide as what it shows and what it says, but no wider than a page."""
    title = shown(title, 200)
    lines = [page.place, *page.warnings, *page.notes]
    texts = max(width(title, _TITLE * BOLD), *(width(line, _LETTER) for line in lines))
    room = max(page.width, min(_ROOM, texts))
    group = picture(title, " ".join(page.notes), colours.ground, colours.text)
    body = group.at(MARGIN, MARGIN)
    body.write(cut(title, room, _TITLE * BOLD), 0, 13, _TITLE, font_weight="bold")
    y = 26.0
    if page.place:
        body.write(cut(page.place, room, _LETTER), 0, 32, _LETTER, fill=colours.soft)
        y = 40.0
    for line in page.warnings:
        body.write(cut(line, room, _LETTER), 0, y + 12, _LETTER, fill=colours.warning)
        y += _LINE
    y += 10 if page.place else 0
    y += page.draw(body.at(0, y), colours)
    for line in page.notes:
        body.write(cut(line, room, _LETTER), 0, y + 16, _LETTER)
        y += _LINE
    return finished(group, room + 2 * MARGIN, y + 9 + 2 * MARGIN)
