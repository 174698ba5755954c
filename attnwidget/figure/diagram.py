"""The diagram of the network, with what the chosen site does at the step."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from attnwidget.architecture.data import Edge
from attnwidget.figure.colours import Colours, mixed
from attnwidget.figure.diagram_faces import boxes_of, lit, said_of
from attnwidget.figure.diagram_layout import DETAIL, HEADER, TITLE, Box, place
from attnwidget.figure.diagram_lines import Line, line
from attnwidget.figure.layout import MARGIN, WIDTH
from attnwidget.figure.look import Look
from attnwidget.figure.one_head import sentence
from attnwidget.figure.page import Page, warnings_of
from attnwidget.figure.svg import Group
from attnwidget.figure.text import cut, width

_LEAST = 44.0  # less room than this is left empty, CSS pixels
_BETWEEN = 10.0
_WORDS = 11.0
_THIN = 1.25  # width of a line along which nothing flows at this step
_LIT = (1.75, 6.5)  # and of one for weights from 0 to 1
_PANEL, _LINE, _FRAME = 0.025, 0.3, 0.38  # shares of ink


def diagram(look: Look) -> Page:
    """Return the figure of the network.

    Raises:
        ValueError: the trace has no diagram.
    """
    network = look.trace.architecture
    if not network.nodes:
        raise ValueError(
            'view: "diagram" came, and the diagram of this trace has no blocks. Record it with aw.record, which draws '
            "the diagram of the model, or give it one with trace.set_architecture."
        )
    boxes = {box.id: box for box in boxes_of(look, network)}
    place(list(boxes.values()), network.edges, WIDTH - 2 * MARGIN)
    known = [edge for edge in network.edges if edge.source in boxes and edge.target in boxes]
    lines = [_Said(edge, line(edge, boxes), said_of(look, network, edge)) for edge in known]
    right = max([box.x + box.width for box in boxes.values()] + [said.right for said in lines if said.words])
    warnings = warnings_of(look, look.site.flags, dims=False)
    return Page(look.place, warnings, [sentence(look)], right + 1, partial(_draw, look, list(boxes.values()), lines))


class _Said(NamedTuple):
    """A line with the words at it."""

    edge: Edge
    line: Line
    words: str

    @property
    def left(self) -> float:
        """Where the words begin."""
        return self.line.label[0] - width(self.words, _WORDS) / 2 * (self.line.anchor == "middle")

    @property
    def right(self) -> float:
        """Where they end."""
        return self.left + width(self.words, _WORDS)


def _draw(look: Look, boxes: list[Box], lines: list[_Said], group: Group, colours: Colours) -> float:
    """Draw lines on towers, and other boxes on lines; return how high that is."""
    blocks, ways = lit(look.trace.architecture, look.site)
    for box in boxes:
        if box.kind == "tower":
            panel = mixed(colours.text, colours.ground, _PANEL)
            _rectangle(group, box, panel, colours.accent if box.id in blocks else colours.line, 7)
    most = max((weight for weight in look.row.tolist() if 0 < weight <= 1), default=0.0)
    for said in lines:
        _line(group, said, colours, most if said.edge in ways else None)
    for box in boxes:
        if box.kind == "tower":
            _named(group, box, colours)
        else:
            _block(group, box, colours, is_lit=box.id in blocks)
    return 4 + max([box.y + box.height for box in boxes] + [said.line.label[1] for said in lines if said.words])


def _line(group: Group, said: _Said, colours: Colours, most: float | None) -> None:
    """Draw a line with its words on ground of their own; a lit one is as thick as the largest weight of the step."""
    edge, drawn, words = said
    ink = mixed(colours.text, colours.ground, _LINE) if most is None else colours.accent
    carries = most if edge.kind in ("flow", "keys") else 0.0
    thick = _THIN if most is None or carries is None else _LIT[0] + (_LIT[1] - _LIT[0]) * carries
    dashes = "4 3" if edge.kind == "query" else None
    group.add("path", d=drawn.d, fill="none", stroke=ink, stroke_width=thick, stroke_dasharray=dashes)
    if drawn.head:
        group.add("path", d=drawn.head, fill=ink)
    if words:
        y, long = drawn.label[1], said.right - said.left
        group.add("rect", x=said.left - 1, y=y - _WORDS, width=long + 2, height=_WORDS + 4, fill=colours.ground)
        group.write(words, said.left, y, _WORDS, fill=colours.soft)


def _named(group: Group, box: Box, colours: Colours) -> None:
    """Write the title of a tower, over a line that is in its way, and where there is room its detail beside it."""
    x, room = box.x + box.words[0], box.words[1]
    title = cut(box.title, box.x + box.width - x, TITLE)
    long = width(title, TITLE)
    if long > room:
        panel = mixed(colours.text, colours.ground, _PANEL)
        group.add("rect", x=x, y=box.y + 3, width=long, height=HEADER - 6, fill=panel)
    group.write(title, x, box.y + HEADER - 8, TITLE)
    if room - long - _BETWEEN >= _LEAST:
        detail = cut(box.detail, room - long - _BETWEEN, DETAIL)
        group.write(detail, x + long + _BETWEEN, box.y + HEADER - 8, DETAIL, fill=colours.soft)


def _block(group: Group, box: Box, colours: Colours, *, is_lit: bool) -> None:
    """Draw a block with its title over its detail."""
    frame = mixed(colours.text, colours.ground, _FRAME) if box.kind == "attention" else colours.line
    fill = colours.ground if box.kind == "strip" else mixed(colours.text, colours.ground, _PANEL)
    if is_lit and box.kind != "strip":
        fill = colours.tint
    _rectangle(group, box, fill, colours.accent if is_lit else frame, 5)
    middle, room = box.y + box.height / 2, box.width - 8
    group.write(
        cut(box.title, room, TITLE), box.middle, middle - 3 if box.detail else middle + 4, TITLE, text_anchor="middle"
    )
    if box.detail:
        detail = cut(box.detail, room, DETAIL)
        group.write(detail, box.middle, middle + 12, DETAIL, fill=colours.soft, text_anchor="middle")


def _rectangle(group: Group, box: Box, fill: str, stroke: str, radius: float) -> None:
    group.add("rect", x=box.x, y=box.y, width=box.width, height=box.height, rx=radius, fill=fill, stroke=stroke)
