"""A small recording whose sizes all differ: 2 layers, 3 heads, 4 queries, 5 keys."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from attnwidget import Site, Trace

SOURCE = ("the", " cat", "sat", "on", "it")
TARGET = ("die", "Katze", "sass", "da")


@pytest.fixture
def weights() -> np.ndarray:
    """float32 [layer, head, query, key]; rows sum to 1."""
    scores = np.random.default_rng(7).random((2, 3, 4, 5))
    return (scores / scores.sum(-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def complete(weights: np.ndarray) -> Trace:
    """A whole trace of cross-attention."""
    return Trace.from_weights(weights, source=SOURCE, target=TARGET, title="a cat")


@pytest.fixture
def live() -> Trace:
    """A trace of one site whose steps are still to come; its source is known."""
    trace = Trace(source=SOURCE)
    trace.add_site(Site("cross", "cross", 0, 3, "target", "source"))
    return trace


@pytest.fixture(scope="session")
def hostile_texts() -> list[str]:
    """Texts that break pages, files and terminals."""
    path = Path(__file__).parents[1] / "data" / "hostile_tokens.json"
    return [case["text"] * case.get("repeat", 1) for case in json.loads(path.read_text("utf-8"))["tokens"]]
