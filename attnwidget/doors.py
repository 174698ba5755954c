"""What a trace is written as: each method is a shorter name for a function of a room above."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from attnwidget.trace import Trace


class Doors:
    """The writing half of `Trace`. Files are replaced once the new one is whole."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what `aw.load` reads: a file, or while it is recorded a folder that grows. See `attnwidget.file`."""
        from attnwidget.file import save

        save(cast("Trace", self), path)

    def to_html(self, path: str | os.PathLike[str], **selection: object) -> None:
        """Write one HTML file with the same views alive, without a kernel. See `attnwidget.export.to_html`."""
        from attnwidget.export import to_html

        to_html(cast("Trace", self), path, **selection)

    def to_svg(
        self,
        path: str | os.PathLike[str],
        *,
        view: Literal["head", "heads", "diagram"] = "head",
        theme: Literal["light", "dark"] = "light",
        **selection: object,
    ) -> None:
        """Write a figure for print, as SVG: one head, all heads or the network. See `attnwidget.figure.svg`."""
        from attnwidget.figure import svg, write

        write(path, svg(cast("Trace", self), view=view, theme=theme, **selection).encode("utf-8"))

    def to_png(
        self,
        path: str | os.PathLike[str],
        *,
        view: Literal["head", "heads", "diagram"] = "head",
        scale: float = 2.0,
        theme: Literal["light", "dark"] = "light",
        **selection: object,
    ) -> None:
        """Write the same figure as PNG, with `scale` pixels for each point. See `attnwidget.figure.png`."""
        from attnwidget.figure import png, write

        write(path, png(cast("Trace", self), view=view, scale=scale, theme=theme, **selection))

    def to_npz(self, path: str | os.PathLike[str], *, progress: bool = False) -> None:
        """Write arrays for numpy. See `attnwidget.tables.to_npz`."""
        from attnwidget.tables import to_npz

        to_npz(cast("Trace", self), path, progress=progress)

    def to_csv(self, path: str | os.PathLike[str], *, progress: bool = False) -> None:
        """Write a table with a line for each weight. See `attnwidget.tables.to_csv`."""
        from attnwidget.tables import to_csv

        to_csv(cast("Trace", self), path, progress=progress)
