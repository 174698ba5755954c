"""The plot of a training as SVG: loss, exact match and alignment over the steps."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, MARGIN, GAP = 640, 120, 60, 40  # px, of one panel


@dataclass(frozen=True)
class Check:
    """What was measured after a step.

    Args:
        step: from 1.
        loss: mean since the check before.
        exact_match: share of unseen inputs decoded right as a whole, 0 to 1.
        alignment: as `Quality` says.
    """

    step: int
    loss: float
    exact_match: float
    alignment: float | None

    def line(self) -> str:
        """Return the numbers for a progress bar."""
        aligned = "" if self.alignment is None else f", alignment={self.alignment:.3f}"
        return f"loss={self.loss:.4f}, exact={self.exact_match:.3f}{aligned}"


def draw(history: Sequence[Check], *, title: str) -> str:
    """Return the SVG text: one panel below the other over the same steps, with the last value written out."""
    panels = [
        ("loss", [(check.step, check.loss) for check in history], max(1e-9, *(check.loss for check in history), 0.0)),
        ("exact match", [(check.step, check.exact_match) for check in history], 1.0),
        ("alignment", [(check.step, check.alignment) for check in history if check.alignment is not None], 1.0),
    ]
    shown = [panel for panel in panels if panel[1]]
    last = history[-1].step
    body = [
        _panel(name, points, top=top, last=last, y=GAP + index * (HEIGHT + GAP))
        for index, (name, points, top) in enumerate(shown)
    ]
    width, height = WIDTH + 2 * MARGIN, GAP + len(shown) * (HEIGHT + GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12">\n<rect width="{width}" height="{height}" fill="white"/>\n'
        f'<text x="{MARGIN}" y="18" font-size="14">{html.escape(title)}</text>\n{"".join(body)}</svg>\n'
    )


def _panel(name: str, points: Sequence[tuple[int, float]], *, top: float, last: int, y: int) -> str:
    places = [(MARGIN + WIDTH * step / last, y + HEIGHT * (1 - value / top)) for step, value in points]
    line = " ".join(f"{x:.1f},{place:.1f}" for x, place in places)
    x, place = places[-1]
    return (
        f'<rect x="{MARGIN}" y="{y}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#ccc"/>\n'
        f'<text x="{MARGIN - 6}" y="{y + 10}" text-anchor="end">{top:.3g}</text>\n'
        f'<text x="{MARGIN - 6}" y="{y + HEIGHT}" text-anchor="end">0</text>\n'
        f'<text x="{MARGIN + WIDTH / 2}" y="{y + HEIGHT + 14}" text-anchor="middle">{name} after each step</text>\n'
        f'<text x="{MARGIN + WIDTH}" y="{y + HEIGHT + 14}" text-anchor="end">{last}</text>\n'
        f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="2"/>\n'
        f'<circle cx="{x:.1f}" cy="{place:.1f}" r="3" fill="#1f6feb"/>\n'
        f'<text x="{x + 6:.1f}" y="{place + 4:.1f}">{points[-1][1]:.3g}</text>\n'
    )
