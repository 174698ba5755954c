"""Where the parts of a figure stand."""

from __future__ import annotations

from dataclasses import dataclass

from attnwidget.figure.axes import Axis, axis
from attnwidget.figure.look import Look

WIDTH = 960.0
MARGIN = 18.0
LABELS = 92.0
COLOUR_BAR = 78.0
SIDE_BARS = 128.0  # beside the rows, where these are inputs
HEATMAP = 468.0
FEW_ROWS = 310.0  # filled while there are few rows
LEAST_CELL = 3.0
STILL_CELL = 18.0  # of a figure that every saved notebook holds
MOST_COLUMN, READABLE = 150.0, 72.0
MOST_ROW = (28.0, 44.0)


@dataclass(frozen=True)
class Layout:
    """The axes that strips, heatmap and bars share, so that a token stands at the same place in each.

    Args:
        keys, queries: of the heatmap.
        input, output: of the strips: one of them is the axis of the columns.
        turned: whether the rows of the heatmap are keys.
    """

    keys: Axis
    queries: Axis
    input: Axis
    output: Axis
    turned: bool

    @property
    def columns(self) -> Axis:
        """Along the width of the heatmap."""
        return self.queries if self.turned else self.keys

    @property
    def rows(self) -> Axis:
        """Along its height."""
        return self.keys if self.turned else self.queries


def layout(look: Look, least: float) -> Layout:
    """Lay out a figure whose cells are at least so large, in CSS pixels."""
    strip = WIDTH - 2 * MARGIN - LABELS - COLOUR_BAR
    counts = {"key": look.site.n_keys, "query": look.site.n_queries}
    over, down = ("query", "key") if look.turned else ("key", "query")
    columns = axis(counts[over], strip - SIDE_BARS * look.turned, least, MOST_COLUMN, look.side)
    most_row = max(MOST_ROW[0], min(MOST_ROW[1], FEW_ROWS / counts[down]))
    rows = axis(counts[down], HEATMAP, least, most_row, look.side)
    other = axis(counts[down], strip, least, max(columns.size, READABLE))
    if look.turned:
        return Layout(rows, columns, other, columns, True)
    return Layout(columns, rows, columns, other, False)
