"""The scale of the colours of a figure."""

from __future__ import annotations

from attnwidget.figure.colours import Colours
from attnwidget.figure.svg import Group

_MOST = 220.0


def draw_colour_bar(group: Group, room: float, top: str, colours: Colours) -> None:
    """Draw what colours stand for, from 0 to a top that is told in words, as high as there is room."""
    height = min(_MOST, room)
    stops = group.add("defs").add("linearGradient", id="scale", x1=0, y1=1, x2=0, y2=0)
    for i in range(17):
        stops.add("stop", offset=i / 16, stop_color=colours.of(i / 16))
    group.add("rect", width=10, height=height, fill="url(#scale)", stroke=colours.line)
    for share, text in ((1.0, top), (0.0, "0")):
        group.write(text, 14, 8 + (height - 8) * (1 - share), 10, fill=colours.soft)
