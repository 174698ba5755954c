"""What a file says of a trace, word by word."""

from __future__ import annotations

import json

import numpy as np
import pytest

from attnwidget import Site, Tokens, Trace, header
from attnwidget.header import described, described_steps, outlined, sealed
from attnwidget.outline import Beam
from attnwidget.seen import Seen

RNG = np.random.default_rng(0)


@pytest.fixture
def trace() -> Trace:
    """A trace with a picture, two sites, a flag, beams and candidates."""
    made = Trace(source=Tokens.image(np.zeros((2, 3)), (1, 2), before=["[CLS]"]), title="a title")
    made.set_tokens("context", ["<s>"])
    made.add_site(Site("cross", "cross", 1, 2, "target", "source", asks="after"))
    made.add_site(Site("own", "decoder", 0, 1, "target", "context"), store="qk")
    made.append({"cross": np.full((2, 1, 3), 1 / 3)}, token="x", candidates=[("x", 0.5), ("y", 0.25)])
    made.append({"cross": np.full((2, 1, 3), 0.5)}, token="z")
    made.set_beams([Beam(0, "x", -1, 0.5, True), Beam(1, "z", 0, 0.25, True)])
    made.edits = ("Edit('ablate', head=1)",)
    made.finish("stopped")
    return made


def test_a_header_says_all_that_is_no_weight(trace: Trace) -> None:
    said, tensors = described(trace)
    dense, factors = said.pop("sites")
    assert said == {
        "version": 2,
        "title": "a title",
        "edits": ["Edit('ablate', head=1)"],
        "status": "stopped",
        "strips": {"source": ["[CLS]", "r1 c1", "r1 c2"], "target": ["x", "z"], "context": ["<s>", "x"]},
        "scenes": {"source": {"kind": "image", "grid": [1, 1, 2], "before": 1, "seconds": None}},
        "known": ["source"],
        "n_read": 1,
        "steps": [{"token": "x", "candidates": [["x", 0.5], ["y", 0.25]]}, {"token": "z", "candidates": []}],
        "beams": [(0, "x", -1, 0.5, True), (1, "z", 0, 0.25, True)],
        "architecture": trace.architecture.to_dict(),
    }
    assert dense == {
        "name": "cross",
        "kind": "cross",
        "layer": 1,
        "n_heads": 2,
        "query": "target",
        "key": "source",
        "asks": "after",
        "store": "dense",
        "numbers": {},
        "shape": [2, 2, 3],
        "flags": [["row_sum", 2, ((0, 1, -1), (1, 1, -1))]],
        "crc": {},
    }
    assert [factors[name] for name in ("name", "store", "shape", "asks")] == ["own", "qk", [1, 2, 2], ""]
    assert factors["flags"] == [["missing", 2, ((-1, 0, -1), (-1, 1, -1))]]
    assert sorted(name for name in tensors if name.endswith(".0")) == ["weights.0"]
    assert np.asarray(tensors["weights.0"]).tolist() == trace.weights("cross").tolist()
    assert np.asarray(tensors["scene.source"]).shape == (1, 2, 3, 1)


def test_an_outline_leaves_tokens_and_steps_out(trace: Trace) -> None:
    said, tensors = outlined(trace)
    whole, others = described(trace)
    assert (said["strips"], said["steps"]) == ({}, [])
    assert {**said, "strips": whole["strips"], "steps": whole["steps"]} == whole
    assert tensors.keys() == others.keys()


def test_some_of_the_steps_are_described(trace: Trace) -> None:
    assert described_steps(trace, range(1, 2)) == [{"token": "z", "candidates": []}]
    assert described_steps(trace, range(0)) == []


def test_a_sealed_header_has_the_checksum_of_each_tensor(trace: Trace) -> None:
    said, tensors = described(trace)
    crcs = {name: 100 + i for i, name in enumerate(tensors)}
    read = json.loads(sealed(said, crcs))
    found = {f"scene.{strip}": scene["crc"] for strip, scene in read["scenes"].items()}
    found |= {f"{name}.{i}": crc for i, site in enumerate(read["sites"]) for name, crc in site["crc"].items()}
    assert found == crcs


# -- what weights came of


def told(n_sites: int, *, until: int = 3) -> Trace:
    """Return a trace whose rows came of 4 scores, 2 numbers of a query and 8 of keys each: 3 * (4 + 2) + 8 = 26."""
    trace, keys = Trace(source=list("abcd")), RNG.normal(size=(1, 4, 2)).astype(np.float32)
    for layer in range(n_sites):
        trace.add_site(Site(f"cross.{layer}", "cross", layer, 1, "target", "source"))
    for step in range(3):
        rows = {}
        for layer in range(n_sites):
            query = RNG.normal(size=(1, 1, 2)).astype(np.float32)
            if step < until:
                trace.tell_terms(layer, Seen(query @ keys.mT, (query, keys.copy())))
            rows[f"cross.{layer}"] = np.full((1, 1, 4), 0.25)
        trace.append(rows, token="x")
    return trace


def test_what_weights_came_of_is_described_at_the_end() -> None:
    trace = told(1)
    assert "terms" not in described(trace)[0]["sites"][0]
    trace.finish()
    said, tensors = described(trace)
    assert [part["form"] for part in said["sites"][0]["terms"]] == ["dot"] * len(said["sites"][0]["terms"])
    assert (np.asarray(tensors["terms.0"]).dtype, np.asarray(tensors["terms.0"]).size) == (np.float32, 26)


def test_a_stopped_trace_is_explained_too() -> None:
    trace = told(1)
    trace.finish("stopped")
    assert "terms.0" in described(trace)[1]


def test_rows_of_which_some_are_not_explained_are_not_described() -> None:
    trace = told(1, until=2)
    trace.finish()
    said, tensors = described(trace)
    assert "terms" not in said["sites"][0]
    assert "terms.0" not in tensors


@pytest.mark.filterwarnings("error")
def test_as_much_is_explained_as_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = told(3)
    trace.finish()
    monkeypatch.setattr(header, "MAX_TOLD", 3 * 26)
    assert [f"terms.{i}" in described(trace)[1] for i in range(3)] == [True] * 3
    monkeypatch.setattr(header, "MAX_TOLD", 3 * 26 - 1)
    said = r"^what the weights of some sites came of was not saved: it is more than 64 MB\.$"
    with pytest.warns(UserWarning, match=said):
        _, tensors = described(trace)
    assert [f"terms.{i}" in tensors for i in range(3)] == [True, True, False]
