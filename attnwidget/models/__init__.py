"""Reference networks small enough to read, and trained weights for them. Torch is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .additive import AdditiveAttention, AdditiveNetwork, Sizes
    from .catalogue import Card, available
    from .quality import Quality, measure
    from .translator import Translator

__all__ = [
    "AdditiveAttention",
    "AdditiveNetwork",
    "Card",
    "Quality",
    "Sizes",
    "Translator",
    "available",
    "measure",
    "pretrained",
]

_HOMES = {
    "AdditiveAttention": "additive",
    "AdditiveNetwork": "additive",
    "Sizes": "additive",
    "Card": "catalogue",
    "available": "catalogue",
    "Quality": "quality",
    "measure": "quality",
    "Translator": "translator",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def pretrained(name: str) -> Translator:
    """Load a trained model that is shipped with the package; `available()` lists them.

    Returns:
        The model in evaluation mode, float32, on the CPU.

    Raises:
        ValueError: there is no model of that name.
    """
    from attnwidget import tasks

    from . import catalogue, files

    with catalogue.weights_file(name) as path:
        task = catalogue.read_header(path)["card"]["task"]
        return files.load(path, tokenizer=tasks.get(task).tokenize)
