"""The front end as it was built: scripts for a widget and for a page."""

from __future__ import annotations

import os
from pathlib import Path

_STATIC = Path(__file__).parent / "static"
LOADER, STANDALONE = _STATIC / "loader.js", _STATIC / "standalone.js"
WIDGET = _STATIC / "widget.js"


def widget_script() -> str | Path:
    """Return the script of a widget; its path only where somebody works on it.

    Anywidget tells all widgets of changes of a file, and lets go of none of them, whether it is closed or not.
    """
    return WIDGET if os.environ.get("ANYWIDGET_HMR") == "1" else WIDGET.read_text("utf-8")
