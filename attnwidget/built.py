"""The front end as it was built: scripts for a widget and for a page."""

from __future__ import annotations

import os
from pathlib import Path

import traitlets

_STATIC = Path(__file__).parent / "static"
LOADER, STANDALONE = _STATIC / "loader.js", _STATIC / "standalone.js"
WIDGET = _STATIC / "widget.js"


def widget_script() -> traitlets.TraitType[str, str | bytes] | Path:
    """Return the script of a widget as a trait; its path only where somebody works on it.

    Anywidget tells all widgets of changes of a file, and lets go of none of them, whether it is closed or not.
    """
    if os.environ.get("ANYWIDGET_HMR") == "1":
        return WIDGET
    return traitlets.Unicode(WIDGET.read_text("utf-8")).tag(sync=True)
