"""A plugin of pytest: the quickest tests come first, those that would take too long together not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

STATS = Path("mutmut-stats.json")  # how long each test took before anything was changed
SECONDS = 3.0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests and leave the slowest out."""
    if not STATS.is_file():
        return
    seconds = json.loads(STATS.read_text("utf-8"))["duration_by_test"]
    items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))
    n_kept, spent = 0, 0.0
    for item in items:
        spent += seconds.get(item.nodeid, 0.0)
        n_kept += spent <= SECONDS
    left_out = items[max(n_kept, 1) :]
    config.hook.pytest_deselected(items=left_out)
    del items[max(n_kept, 1) :]
