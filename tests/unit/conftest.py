"""A small recording whose sizes all differ: 2 layers, 3 heads, 4 queries, 5 keys."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heard import Heard
from towers import add_decoder, add_encoder

from attnwidget import Site, Trace, stream

SOURCE = ("the", " cat", "sat", "on", "it")
TARGET = ("die", "Katze", "sass", "da")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Run torch on one thread: networks this small only wait for more."""
    import torch  # not above: what is no network's is tested where there is no torch, too

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


@pytest.fixture
def translated() -> Trace:
    """A trace of an encoder-decoder after its first step; its sites stand in the order in which they ran."""
    trace = Trace(source=SOURCE)
    add_encoder(trace)
    add_decoder(trace)
    return trace


@pytest.fixture(scope="session")
def hostile_texts() -> list[str]:
    """Texts that break pages, files and terminals."""
    path = Path(__file__).parents[1] / "data" / "hostile_tokens.json"
    return [case["text"] * case.get("repeat", 1) for case in json.loads(path.read_text("utf-8"))["tokens"]]


@dataclass(frozen=True)
class Read:
    """A picture as a page reads it: its header, and the first block of each (site, head), cells repeated."""

    header: dict[str, Any]
    blocks: dict[tuple[int, int], np.ndarray]

    def merged_into(self, heads: dict[tuple[int, int], np.ndarray]) -> None:
        """Put the rows where they belong; keys that a row did not see are 0, rows that did not come NaN."""
        for block in self.header["blocks"]:
            name, at = (block["site"], block["head"]), block["queries"][0]
            rows = self.blocks[name]
            old = heads.get(name, np.zeros((0, 0), np.float32))
            new = np.full((max(len(old), at + len(rows)), max(old.shape[1], rows.shape[1])), np.nan, np.float32)
            come = ~np.isnan(old).all(1)
            new[: len(old)][come] = 0
            new[: len(old), : old.shape[1]][come] = old[come]
            new[at : at + len(rows)] = 0
            new[at : at + len(rows), : rows.shape[1]] = rows
            heads[name] = new


@pytest.fixture(scope="session")
def read_picture() -> Callable[[bytes], Read]:
    """Return a reader of pictures, written from docs/wire.md alone."""

    def levels(data: bytes, level: bytes, n_rows: int, n_columns: int, n_odd: int) -> np.ndarray:
        low, high = np.frombuffer(data, "<f4", n_rows * 2).astype("f8").reshape(2, n_rows)[..., None]
        steps = np.frombuffer(level, "u1", n_rows * n_columns).reshape(n_rows, n_columns)
        values = (low + steps / 255 * (high - low)).astype("<f4")
        for index, code in np.frombuffer(data, "<u4", n_odd * 2, len(data) - n_odd * 8).reshape(n_odd, 2):
            values.flat[index] = (np.nan, np.inf, -np.inf)[code]
        return values

    def read(data: bytes) -> Read:
        (length,) = struct.unpack_from("<I", data)
        header = json.loads(data[4 : 4 + length].decode("ascii"))
        blocks = {}
        for block in header["blocks"]:
            assert block["offset"] % 4 == 0
            start = 4 + length + block["offset"]
            own = data[start : start + block["n_bytes"]]
            assert len(own) == block["n_bytes"]
            spans = block["queries"], block["keys"]
            n_rows, n_columns = (-(-(end - first) // per) for first, end, per in spans)
            if block["dtype"] == "u1":
                values = levels(own, data[4 + length + block["levels"] :], n_rows, n_columns, block["n_odd"])
            else:
                values = np.frombuffer(own, "<" + block["dtype"]).reshape(n_rows, n_columns).astype("<f4")
            (first, end, per), (left, right, across) = spans
            values = values.repeat(per, 0).repeat(across, 1)[: end - first, : right - left]
            blocks.setdefault((block["site"], block["head"]), values)
        return Read(header, blocks)

    return read


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that have nothing to tell end soon."""
    monkeypatch.setattr(stream, "IDLE_SECONDS", 0.02)


@pytest.fixture
def widget(complete: Trace, impatient: None) -> Iterator[Heard]:
    """A widget of a whole trace."""
    made = Heard(complete)
    yield made
    made.close()


@pytest.fixture
def following(live: Trace, impatient: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """A widget of a trace of 3 steps that goes on; frames come when asked for."""
    monkeypatch.setattr(stream.Publisher, "_wake", lambda _: None)
    rows, made = np.full((3, 1, 5), 0.2, np.float32), Heard(live)
    for token in ("die", "Katze", "sass"):
        live.append({"cross": rows}, token=token)
    made._publisher.flush()
    yield made
    made.close()
