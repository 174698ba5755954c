"""A file keeps sites however their weights are kept, all strips and beams, and files of version 1 are still read."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import cut, random_factors
from safetensors.numpy import load_file, save_file
from test_file_checks import put, rewritten

from attnwidget import Site, Trace, TraceError, load
from attnwidget.outline import Beam
from attnwidget.stores import Factors, Visible

OLD = Path(__file__).parent / "files" / "version1.attn"


def facts(trace: Trace) -> object:
    """All that a file must keep."""
    return (
        trace.title,
        trace.tokens,
        trace.sites,
        trace.steps,
        trace.beams,
        [trace.weights(site).tobytes() for site in trace.sites],
        [trace.strength(site).tobytes() for site in trace.sites],
        [trace.overview(site)[0].tobytes() for site in trace.sites],
        trace.ledger.strips.n_read,
    )


def again(trace: Trace, path: Path) -> Trace:
    trace.save(path)
    return load(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.attn"


@pytest.fixture
def mixed() -> Trace:
    """One site of each kind, a prompt, a missing step, beams."""
    rng = np.random.default_rng(8)
    trace = Trace(source=list("abcde"), title="mixed")
    trace.set_tokens("context", ["<s>", "Once"])
    trace.set_tokens("patches", [str(i) for i in range(40)])
    trace.add_site(Site("dense", "cross", 0, 3, "target", "source"))
    trace.add_site(Site("qk", "decoder", 0, 4, "target", "context"), store="qk")
    trace.add_site(Site("reduced", "cross", 1, 2, "target", "patches"), store="reduced")
    trace.add_site(Site("late", "decoder", 1, 2, "target", "context"), store="qk")
    queries, keys = rng.normal(size=(4, 6, 8)).astype(np.float16), rng.normal(size=(2, 7, 8)).astype(np.float16)
    mask = np.tril(np.ones((6, 7), bool), 1)
    mask[3:, 2] = False
    bias = rng.normal(size=(4, 2 * 9 - 1)).astype(np.float32)
    whole = Factors(queries, keys, Visible.of(mask), 0.3, softcap=4.0, bias=bias, sinks=np.ones(4, np.float32))
    for step in range(6):
        rows: dict[str, object] = {
            "dense": rng.dirichlet(np.ones(5), (3, 1)),
            "reduced": rng.dirichlet(np.ones(40), (2, 1)),
        }
        if step != 2:
            rows["qk"] = cut(whole, slice(step, step + 1), slice(0, step + 2))
        trace.append(rows, token=str(step), candidates=[("x", 0.5)])
    trace.set_beams([Beam(0, "a", -1, 0.5, chosen=True), Beam(1, "b", 0, 0.25)])
    trace.finish()
    return trace


def test_sites_of_every_kind_come_back_equal(mixed: Trace, path: Path) -> None:
    assert facts(again(mixed, path)) == facts(mixed)


def test_sites_without_rows_come_back_equal(path: Path) -> None:
    trace = Trace()
    for store in ("dense", "qk", "reduced"):
        trace.add_site(Site(store, "cross", 0, 3, "target", "source"), store=store)
    assert facts(again(trace, path)) == facts(trace)


@pytest.mark.parametrize("seed", range(12))
def test_any_factors_come_back_equal(seed: int, path: Path) -> None:
    rng = np.random.default_rng(seed)
    factors = random_factors(rng, *(int(n) for n in rng.integers(1, 40, 2)))
    trace = Trace()
    trace.add_site(Site("cross", "cross", 0, factors.shape[0], "target", "source"), store="qk")
    trace.append({"cross": factors})
    assert facts(again(trace, path)) == facts(trace)


def test_a_file_of_queries_and_keys_is_small(path: Path) -> None:
    trace = Trace()
    trace.add_site(Site("own", "encoder", 0, 1, "source", "source"), store="qk")
    queries, keys = (np.ones((1, 1000, 8), np.float16) for _ in range(2))
    trace.append({"own": Factors(queries, keys, Visible.causal(1000, 1000), 1.0)})
    trace.save(path)
    assert path.stat().st_size < 100_000


def test_a_file_of_version_1_is_read() -> None:
    trace = load(OLD)
    assert (trace.title, trace.status) == ("a title", "complete")
    assert {name: tokens.texts for name, tokens in trace.tokens.items()} == {
        "source": ("the", " cat", "sat"),
        "target": ("die", "Katze"),
    }
    assert trace.weights("cross", 0).tolist() == [[0.5, 0.25, 0.25]] * 2
    assert np.isnan(trace.weights("cross", 1)[:, 2]).all()
    assert trace.weights("own", 0)[1].tolist() == [0.25, 0.75]
    assert [(flag.kind, flag.count) for flag in trace.flags] == [("nan", 2), ("missing", 1)]
    assert [[c.probability for c in step.candidates] for step in trace.steps] == [[0.5, 0.25]] * 2


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "kind of another": put("sites", 1, "store", "dense"),
    "reduced for qk": put("sites", 1, "store", "reduced"),
    "scale null": put("sites", 1, "numbers", "scale", "0.3"),
    "scale 1e400": lambda header: json.dumps(header).replace('"scale": 0.3', '"scale": 1e400'),
    "softcap": put("sites", 1, "numbers", "softcap", -1),
    "pool": put("sites", 2, "numbers", "pool", 2),
    "no pool": put("sites", 2, "numbers", {}),
    "shape": put("sites", 1, "shape", [4, 6, 8]),
    "crc": put("sites", 1, "crc", "queries", 0),
    "array left out": lambda header: header["sites"][1]["crc"].pop("queries"),
    "read": put("n_read", 99),
    "n_read negative": put("n_read", -1),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_header_that_lies_is_no_trace(mixed: Trace, path: Path, lie: Callable[[dict[str, Any]], object]) -> None:
    rewritten(mixed, path, lie)
    with pytest.raises(TraceError):
        load(path)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "queries.1": lambda a: a[:, :, :3],
    "keys.1": lambda a: a[:, :3],
    "positions.1": lambda a: a + 99,
    "first.1": lambda a: a + 99,
    "last.1": lambda a: a + 99,
    "holed.1": lambda a: a + 99,
    "bits.1": lambda a: a[:, :0],
    "bias.1": lambda a: a[:, 1:],
    "sinks.1": lambda a: a[1:],
    "largest.2": lambda a: a[..., 1:],
    "places.2": lambda a: a + 99,
    "missing.2": lambda a: a - 1,
    "entropy.2": lambda a: a[:1],
    "sums.2": lambda a: a.astype(np.float32),
    "overview.2": lambda a: a[:, 1:],
}


@pytest.mark.parametrize("name", CHANGES)
def test_arrays_that_do_not_fit_are_no_trace(mixed: Trace, path: Path, name: str) -> None:
    mixed.save(path)
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        metadata = json.loads(file.read(length))["__metadata__"]
    arrays = load_file(path)
    arrays[name] = np.ascontiguousarray(CHANGES[name](arrays[name]))
    save_file(arrays, path, metadata)
    with pytest.raises(TraceError, match=r"another shape or type|see|point|visible|outside|bias|sinks"):
        load(path)
