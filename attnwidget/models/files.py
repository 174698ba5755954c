"""Write and read a system: float16 numbers in safetensors, all that makes it again as JSON in its header."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from .card import Card
from .catalogue import HEADER, read_header
from .kinds import KINDS
from .system import System


def save(system: System, path: Path, *, card: Card) -> None:
    """Write the weights, rounded to float16; the header holds all that `load` needs, and the card."""
    header = {
        "card": {key: value for key, value in asdict(card).items() if key != "bytes"},
        "kind": system.kind,
        **system.header(),
    }
    tensors = {name: tensor.to(torch.float16).contiguous() for name, tensor in system.state_dict().items()}
    save_file(tensors, path, metadata={HEADER: json.dumps(header, ensure_ascii=False)})


def load(path: str | Path) -> System:
    """Read a system, to run in float32 on the CPU, in evaluation mode.

    Args:
        path: a file that training wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file, or of a kind that this version does not know.
    """
    path = Path(path)
    header = read_header(path)
    if (kind := header.get("kind")) not in KINDS:
        raise ValueError(
            f"{path.name} holds a system of kind {kind!r}: expected one of {', '.join(KINDS)}. "
            "Was it written by another version of attnwidget?"
        )
    system = KINDS[kind].from_header(header)
    system.load_state_dict(load_file(path))
    return system.eval()
