"""The trained weights that are shipped: where they lie and what their headers say. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from safetensors import safe_open

SUFFIX = ".safetensors"
HEADER = "attnwidget"
TABLE_HEADING = "| model | parameters | bytes | exact match | alignment | attention |\n|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Card:
    """What a weights file says about itself.

    Args:
        name: what `pretrained` calls it.
        task: the task it was trained on.
        paper: where the network is from.
        parameters: how many numbers were learnt.
        bytes: size of the file.
        exact_match: share of unseen inputs translated right as a whole, 0 to 1, measured after training.
        alignment: share of gold-aligned steps whose largest weight is on a gold source word, 0 to 1, likewise.
        alignment_loss: weight of the loss that taught the attention its gold alignment; 0 means that it never saw it.
    """

    name: str
    task: str
    paper: str
    parameters: int
    bytes: int
    exact_match: float
    alignment: float
    alignment_loss: float

    def row(self) -> str:
        """Return the card as one line of the table under `TABLE_HEADING`, in Markdown."""
        attention = f"taught, {self.alignment_loss:g}" if self.alignment_loss else "untaught"
        return (
            f"| {self.name} | {self.parameters:,} | {self.bytes:,} | {self.exact_match:.1%} | {self.alignment:.1%} "
            f"| {attention} |"
        )


def available() -> list[Card]:
    """Return one card for each model that `pretrained` knows, in alphabetical order."""
    return [_card(name) for name in names()]


def names() -> list[str]:
    """Return the names that `pretrained` knows, in alphabetical order."""
    shelf = resources.files("attnwidget") / "weights"
    return sorted(entry.name.removesuffix(SUFFIX) for entry in shelf.iterdir() if entry.name.endswith(SUFFIX))


@contextmanager
def weights_file(name: str) -> Iterator[Path]:
    """Give the path of a shipped weights file while the context lasts.

    Raises:
        ValueError: there is no model of that name.
    """
    if name not in (known := names()):
        raise ValueError(f"there is no model {name!r}: expected one of {', '.join(known)}.")
    with resources.as_file(resources.files("attnwidget") / "weights" / f"{name}{SUFFIX}") as path:
        yield path


def _card(name: str) -> Card:
    with weights_file(name) as path:
        return Card(**read_header(path)["card"], bytes=path.stat().st_size)


def read_header(path: Path) -> dict[str, Any]:
    """Return the JSON that a weights file carries beside its numbers.

    Raises:
        ValueError: the file has none, so it was not written by `files.save`.
    """
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata() or {}
    if HEADER not in metadata:
        raise ValueError(f"{path.name} has no {HEADER!r} header: expected a file written by attnwidget.models.train.")
    header: dict[str, Any] = json.loads(metadata[HEADER])
    return header
