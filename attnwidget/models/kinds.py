"""The kinds of systems that a weights file can hold."""

from __future__ import annotations

from .classifier import Classifier
from .describer import Describer
from .searcher import Searcher
from .sorter import Sorter
from .system import System
from .translator import Translator
from .walker import Walker

KINDS: dict[str, type[System]] = {
    system.kind: system
    for system in (
        Translator,
        Classifier,
        Describer,
        Searcher,
        Sorter,
        Walker,
    )
}  # fmt: skip
