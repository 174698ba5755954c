"""The lines of the diagram, from box to box. As `diagram-lines.ts`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from attnwidget.architecture.data import Edge
from attnwidget.figure.diagram_layout import ARC, ARC_WORDS, Box, is_arc

_CORNER = 10.0
_HEAD = 5.0


@dataclass(frozen=True)
class Line:
    """A line as SVG has it.

    Args:
        d: its path.
        head: the head of an arrow; empty for none.
        label: where words about it stand, CSS pixels.
        anchor: which part of the words stands there.
    """

    d: str
    head: str = ""
    label: tuple[float, float] = (0.0, 0.0)
    anchor: Literal["middle", "start"] = "middle"


def line(edge: Edge, boxes: Mapping[str, Box]) -> Line:
    """Return the line of an edge; only a query has a head."""
    one, other = boxes[edge.source], boxes[edge.target]
    if is_arc(edge, boxes):
        return _arc(one, other)
    if edge.kind == "gate" or (one.parent and one.parent == other.parent and one.x == other.x):
        return _upright(one, other)
    if one.lane == other.lane:
        return Line(_path("M", one.x + one.width, one.y + one.axis, "L", other.x, other.y + other.axis))
    if edge.kind == "flow":
        return _elbow(one, other)
    made = _between(one, other, boxes.get(other.parent) if edge.kind == "keys" else None)
    return made if edge.kind == "query" else Line(made.d, "", made.label, made.anchor)


def _path(*parts: str | float) -> str:
    """Return a path, its numbers apart from each other."""
    return " ".join(part if isinstance(part, str) else f"{part:.2f}".rstrip("0").rstrip(".") for part in parts)


def _tip(x: float, y: float, *, up: bool) -> str:
    long = _HEAD * 1.6
    return _path("M", x, y, "l", -_HEAD * 0.8, long if up else -long, "h", long, "z")


def _arc(one: Box, other: Box) -> Line:
    x0, x1, end = one.middle, other.middle, other.y + other.height
    bottom = max(one.y + one.height, end)
    depth = bottom + ARC * 1.25
    d = _path("M", x0, one.y + one.height, "C", x0, depth, x1, depth, x1, end + _HEAD)
    return Line(d, _tip(x1, end, up=True), ((x0 + x1) / 2, bottom + ARC + ARC_WORDS - 3))


def _upright(one: Box, other: Box) -> Line:
    upper, lower = (one, other) if one.y < other.y else (other, one)
    x, y = upper.middle, (upper.y + upper.height + lower.y) / 2
    return Line(_path("M", x, upper.y + upper.height, "V", lower.y), "", (x + 10, y + 4), "start")


def _elbow(one: Box, other: Box) -> Line:
    """Draw along the row, then up or down to a box of another one."""
    x0, y0, x1 = one.x + one.width, one.y + one.axis, other.middle
    end = other.y if one.y < other.y else other.y + other.height
    if x1 <= x0:
        return Line(_between(one, other, None).d)
    r = min(_CORNER, x1 - x0, abs(end - y0))
    return Line(_path("M", x0, y0, "H", x1 - r, "Q", x1, y0, x1, y0 + (r if end > y0 else -r), "V", end))


def _between(one: Box, other: Box, tower: Box | None) -> Line:
    """Draw from row to row; into a column of boxes from its side, where there is room for that."""
    down = one.y < other.y
    around = tower or other
    start, edge = (one.y + one.height, around.y) if down else (one.y, around.y + around.height)
    beside = (
        tower is not None
        and abs(tower.words[0] - (other.x - tower.x)) < 1e-6
        and other.width + tower.words[0] + _CORNER >= tower.width
        and tower.words[0] > _CORNER
    )
    x0, x1 = one.middle, other.x - _CORNER if beside else other.middle
    half = (start + edge) / 2
    across = ("V", edge) if abs(x0 - x1) < 1 else ("C", x0, half, x1, half, x1, edge)
    end = other.y if down else other.y + other.height
    y = other.y + other.axis
    turn = -_CORNER if down else _CORNER
    last = ("V", y + turn, "Q", x1, y, other.x, y) if beside else ("V", end)
    label = max(x0, x1) + 10, half + 4
    return Line(_path("M", x0, start, *across, *last), _tip(x1, end, up=not down), label, "start")
