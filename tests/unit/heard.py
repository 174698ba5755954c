"""A widget that has no page: what it would send is kept."""

from __future__ import annotations

import os
from typing import Any

from attnwidget import AttentionWidget, Trace

PATIENCE = float(os.environ.get("PATIENCE", "30"))  # seconds that a test waits for another thread


class Heard(AttentionWidget):
    """A widget that keeps what it would send."""

    def __init__(self, trace: Trace, **traits: object) -> None:
        self.sent: list[dict[str, Any]] = []
        self.told: list[str] = []
        super().__init__(trace, **traits)

    def send(self, content: dict[str, Any], buffers: object = None) -> None:
        self.sent.append(content)

    def send_state(self, key: str | set[str] | None = None) -> None:
        self.told += [key] if isinstance(key, str) else sorted(key or [])
