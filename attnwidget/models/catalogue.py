"""The trained weights that are shipped: where they lie and what their headers say. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from .card import Card, Cards

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

SUFFIX = ".safetensors"
HEADER = "attnwidget"


def available() -> Cards:
    """Return one card for each model that `pretrained` knows, in alphabetical order; it prints as a table."""
    return Cards(card(name) for name in _names(_shelf()))


def card(name: str, *, checkpoint: str | None = None) -> Card:
    """Return what the weights file of a model says about itself.

    Raises:
        ValueError: there is no model, or no checkpoint, of that name.
    """
    with weights_file(name, checkpoint=checkpoint) as path:
        return Card(**read_header(path)["card"], bytes=path.stat().st_size)


def checkpoints(name: str) -> list[str]:
    """Return the names of the states that were kept while the model was trained."""
    prefix = file_name(name, checkpoint="")
    return [entry.removeprefix(prefix) for entry in _names(_shelf() / "checkpoints") if entry.startswith(prefix)]


def file_name(name: str, *, checkpoint: str | None = None) -> str:
    """Return the name of a weights file, without its ending."""
    return name if checkpoint is None else f"{name}.{checkpoint}"


@contextmanager
def weights_file(name: str, *, checkpoint: str | None = None) -> Iterator[Path]:
    """Give the path of a shipped weights file while the context lasts.

    Raises:
        ValueError: there is no model, or no checkpoint, of that name.
    """
    shelf = _shelf()
    if name not in (known := _names(shelf)):
        raise ValueError(f"there is no model {name!r}: expected one of {', '.join(known)}.")
    if checkpoint is not None:
        shelf = shelf / "checkpoints"
        if checkpoint not in (known := checkpoints(name)):
            raise ValueError(
                f"{name!r} has no checkpoint {checkpoint!r}: expected {' or '.join(known) or 'none of this model'}."
            )
    with resources.as_file(shelf / f"{file_name(name, checkpoint=checkpoint)}{SUFFIX}") as path:
        yield path


def read_header(path: Path) -> dict[str, Any]:
    """Return the JSON that a weights file carries beside its numbers.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has no header, so it was not written by training.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except SafetensorError:
        metadata = {}
    if HEADER not in metadata:
        raise ValueError(f"{path.name} has no {HEADER!r} header: expected a file written by attnwidget.models.train.")
    header: dict[str, Any] = json.loads(metadata[HEADER])
    return header


def _shelf() -> Traversable:
    return resources.files("attnwidget") / "weights"


def _names(shelf: Traversable) -> list[str]:
    return sorted(entry.name.removesuffix(SUFFIX) for entry in shelf.iterdir() if entry.name.endswith(SUFFIX))
