"""Where the blocks of the diagram stand: rows from left to right, and what is in a tower. As `diagram-layout.ts`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from attnwidget.architecture.data import Edge, NodeKind
from attnwidget.figure.text import width

TITLE, DETAIL = 12.0, 10.5
HEADER = 25.0
CHEVRON = 14.0  # room of a mark that the page has
_HEIGHT = 42.0
_PAD = 10.0
_WIDTHS = (62.0, 184.0)
_INNER_GAP = 14.0
_KEYS_ROOM = 14.0  # beside the column of a tower, for the keys that come from another row
_LANE_GAP = 40.0
ARC, ARC_WORDS = 26.0, 16.0  # how far a query that goes back reaches below its row, and its words below that
_GAPS = (22.0, 96.0)
_STRIP_DETAIL = 90.0


class _Manner(NamedTuple):
    """The widest detail that makes a box wider; the gap between boxes; beside words; whether a tower is a column."""

    detail: float
    gap: float
    pad: float
    column: bool


_MANNERS = (  # from roomy to narrow; the first that fits is taken
    _Manner(150, _GAPS[0], _PAD, False),
    _Manner(110, 16, _PAD, False),
    _Manner(84, 9, _PAD, False),
    _Manner(150, _GAPS[0], _PAD, True),
    _Manner(92, 16, _PAD, True),
    _Manner(0, 10, _PAD, True),
    _Manner(0, 8, 6, True),
)


@dataclass
class Box:
    """A block with the words in it, and its place in CSS pixels.

    Args:
        id, kind, title, detail, parent, lane: as in `Node`, with the words of a language.
        x, y, width, height: its rectangle.
        axis: where the flow enters it, from its upper edge.
        words: of a tower, where its words begin and how wide they may be, from its left edge.
    """

    id: str
    kind: NodeKind
    title: str
    detail: str = ""
    parent: str = ""
    lane: int = 0
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = _HEIGHT
    axis: float = _HEIGHT / 2
    words: tuple[float, float] = (0.0, 0.0)

    @property
    def middle(self) -> float:
        """From left to right."""
        return self.x + self.width / 2


def place(boxes: Sequence[Box], edges: Iterable[Edge], room: float) -> float:
    """Put blocks in their places, over a width in CSS pixels; return what was taken, more where they do not fit."""
    towers = {box.id for box in boxes if box.kind == "tower" and not box.parent}
    for box in boxes:
        if box.parent not in towers or box.kind == "tower":
            box.parent = ""
    by_id = {box.id: box for box in boxes}
    edges = [edge for edge in edges if edge.source in by_id and edge.target in by_id]
    lanes: dict[int, list[Box]] = {}
    for box in boxes:
        if not box.parent:
            lanes.setdefault(box.lane, []).append(box)
    manner = _MANNERS[0]
    for manner in _MANNERS:
        for box in boxes:
            _size(box, manner)
        for box in boxes:
            if box.id in towers:
                _enclose(box, [inner for inner in boxes if inner.parent == box.id], edges, manner)
        if _widest(lanes, manner.gap) <= room:
            break
    whole = max(room, _widest(lanes, manner.gap))
    y = 1.0
    for number in sorted(lanes):
        spread = 0.0 if whole > room else whole
        y = _place_lane(lanes[number], boxes, manner.gap, spread, y) + _LANE_GAP
        y += (ARC + ARC_WORDS) * any(is_arc(edge, by_id) and by_id[edge.source].lane == number for edge in edges)
    _align(lanes, boxes, [edge for edge in edges if edge.kind == "query"], whole)
    return whole


def is_arc(edge: Edge, boxes: Mapping[str, Box]) -> bool:
    """Tell a query that goes back to a box of its own row."""
    return edge.kind == "query" and boxes[edge.source].lane == boxes[edge.target].lane


def _size(box: Box, manner: _Manner) -> None:
    detail = _STRIP_DETAIL if box.kind == "strip" else manner.detail
    words = max(width(box.title, TITLE), min(detail, width(box.detail, DETAIL)))
    box.height, box.axis, box.words = _HEIGHT, _HEIGHT / 2, (0.0, 0.0)
    box.width = float(math.ceil(max(_WIDTHS[0], min(_WIDTHS[1], words + 2 * manner.pad))))


def _enclose(tower: Box, inside: Sequence[Box], edges: Sequence[Edge], manner: _Manner) -> None:
    """Give a tower the size of what is inside it, and put that in its place, counted from the tower's corner."""
    if not inside:
        return
    ids = {box.id for box in inside}
    aside = [box for edge in edges if edge.kind == "keys" for box in inside if box.id == edge.target]
    column = manner.column or any(edge.kind == "gate" and edge.source in ids for edge in edges)
    left = _PAD + (_KEYS_ROOM if column and aside else 0.0)
    total = sum(box.width + _INNER_GAP for box in inside) - _INNER_GAP
    within = max(tower.width - left - _PAD, max(box.width for box in inside) if column else total)
    x, y = left, HEADER
    for box in inside:
        box.x, box.y = x, y
        box.width = within if column else box.width + (within - total) / len(inside)
        if column:
            y += _HEIGHT + _INNER_GAP
        else:
            x += box.width + _INNER_GAP
    tower.width = left + within + _PAD
    tower.height = (y - _INNER_GAP if column else HEADER + _HEIGHT) + _PAD
    tower.axis = (tower.height + HEADER - _PAD) / 2
    crossed = [] if column else [box.middle - 6 for box in aside]  # by the line of the keys, which ends at its box
    tower.words = left, min(tower.width - _PAD - CHEVRON - 4, *crossed, math.inf) - left


def _lane_width(lane: Sequence[Box], gap: float) -> float:
    return sum(box.width for box in lane) + gap * (len(lane) - 1) + 2


def _widest(lanes: Mapping[int, Sequence[Box]], gap: float) -> float:
    return max((_lane_width(lane, gap) for lane in lanes.values()), default=0.0)


def _place_lane(lane: Sequence[Box], boxes: Sequence[Box], least: float, room: float, y: float) -> float:
    """Put a row at a height, spread over a width; return where it ends."""
    gap = max(least, min(_GAPS[1], (room - _lane_width(lane, 0)) / max(1, len(lane) - 1)))
    axis = max(box.axis for box in lane)
    x = 1.0
    for box in lane:
        _move(box, x, y + axis - box.axis, boxes)
        x += box.width + gap
    return max(box.y + box.height for box in lane)


def _move(box: Box, dx: float, dy: float, boxes: Sequence[Box]) -> None:
    for each in boxes:
        if each is box or each.parent == box.id:
            each.x += dx
            each.y += dy


def _align(lanes: Mapping[int, Sequence[Box]], boxes: Sequence[Box], queries: Sequence[Edge], room: float) -> None:
    """Move rows so that what asks stands below what it asks."""
    by_id = {box.id: box for box in boxes}
    for edge in queries:
        asks, asked = by_id[edge.source], by_id[edge.target]
        if asks.lane == asked.lane or asks.parent:
            continue
        row = lanes[asks.lane]
        left, right = min(box.x for box in row), max(box.x + box.width for box in row)
        by = max(1 - left, min(room - 1 - right, asked.middle - asks.middle))
        for box in row:
            _move(box, by, 0, boxes)
