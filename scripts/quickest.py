"""A plugin of pytest: tests named after the changed file come first, then the quickest, for so many seconds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

STATS = Path("mutmut-stats.json")  # how long each test took before anything was changed
SECONDS = 3.0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests and leave the slowest out."""
    if config.option.collectonly or not STATS.is_file():
        return
    seconds = json.loads(STATS.read_text("utf-8"))["duration_by_test"]
    changed = os.environ.get("MUTANT_UNDER_TEST", "").split(".")[1:-1]  # as in attnwidget.wire.live.x_due__mutmut_1
    own = f"test_{'_'.join(changed)}" if changed else "none"
    items.sort(key=lambda item: (not item.path.stem.startswith(own), seconds.get(item.nodeid, 0.0)))
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    left = SECONDS
    for item in items:
        needed = seconds.get(item.nodeid, 0.0)
        if kept and needed > left:
            left_out.append(item)
        else:
            kept.append(item)
            left -= needed
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept
