"""Reference networks small enough to read, and trained weights for them. Torch is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .additive import AdditiveAttention, AdditiveNetwork, Sizes
    from .card import Card, Cards
    from .catalogue import available
    from .files import load
    from .quality import Quality, measure
    from .system import DecoderStep, Encoded, System
    from .training.command import train
    from .translator import Translator

__all__ = [
    "AdditiveAttention",
    "AdditiveNetwork",
    "Card",
    "Cards",
    "DecoderStep",
    "Encoded",
    "Quality",
    "Sizes",
    "System",
    "Translator",
    "available",
    "load",
    "measure",
    "pretrained",
    "train",
]

_HOMES = {
    "AdditiveAttention": "additive",
    "AdditiveNetwork": "additive",
    "Sizes": "additive",
    "Card": "card",
    "Cards": "card",
    "available": "catalogue",
    "load": "files",
    "Quality": "quality",
    "measure": "quality",
    "DecoderStep": "system",
    "Encoded": "system",
    "System": "system",
    "train": "training.command",
    "Translator": "translator",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def pretrained(name: str, *, checkpoint: str | None = None) -> System:
    """Load a trained model that is shipped with the package; `available()` lists them.

    Args:
        name: of the model.
        checkpoint: a state that was kept while it was trained, such as "early"; None is the final one.

    Returns:
        The model in evaluation mode, float32, on the CPU.

    Raises:
        ValueError: there is no model, or no checkpoint, of that name.
    """
    from . import catalogue, files

    with catalogue.weights_file(name, checkpoint=checkpoint) as path:
        return files.load(path)
