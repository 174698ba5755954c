"""The kinds of systems that a weights file can hold."""

from __future__ import annotations

from .sorter import Sorter
from .system import System
from .translator import Translator

KINDS: dict[str, type[System]] = {
    system.kind: system
    for system in (
        Translator,
        Sorter,
    )
}  # fmt: skip
