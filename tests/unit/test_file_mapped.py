"""Large arrays are mapped: a trace of any size opens at once, and nothing of it is read before it is looked at."""

from __future__ import annotations

import json
import mmap
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from test_file_growing import facts, growing, step_of  # noqa: F401 - a fixture

from attnwidget import Site, Trace, TraceError, load, mapped
from attnwidget.header import CRC, HEADER, described, sealed
from attnwidget.stores import DenseStore, Factors, VirtualStore, Visible


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.attn"


@pytest.fixture
def all_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "READ_BYTES", 0)


def is_mapped(array: np.ndarray) -> bool:
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base.obj if isinstance(base, memoryview) else base, mmap.mmap)


@pytest.mark.usefixtures("all_mapped")
@pytest.mark.parametrize("folder", [False, True])
def test_a_mapped_trace_is_the_trace(growing: Trace, path: Path, folder: bool) -> None:  # noqa: F811
    if folder:
        growing.save(path)
    for step in range(20):
        step_of(growing, step, missing=step == 3)
    growing.finish()
    growing.save(path)
    again = load(path)
    assert facts(again) == facts(growing)
    for site in growing.sites:
        assert again.weights(site.name) == pytest.approx(growing.weights(site.name), abs=1e-6, nan_ok=True)
        assert again.strength(site.name) == pytest.approx(growing.strength(site.name), abs=1e-5, nan_ok=True)
        assert again.overview(site.name)[0] == pytest.approx(growing.overview(site.name)[0], abs=1e-6, nan_ok=True)
    states = [(again.ledger.find(site).store.state()[0], name) for site, name in ((0, "weights"), (2, "keys"))]
    assert all(is_mapped(np.asarray(arrays[name])) for arrays, name in states)


@pytest.mark.usefixtures("all_mapped")
def test_a_mapped_trace_can_be_saved_over_itself(complete: Trace, path: Path) -> None:
    complete.save(path)
    again = load(path)
    again.save(path)
    assert facts(load(path, verify=True)) == facts(again) == facts(complete)


@pytest.mark.usefixtures("all_mapped")
def test_a_flipped_bit_is_found_where_all_is_read(complete: Trace, path: Path) -> None:
    complete.save(path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    load(path)
    with pytest.raises(TraceError, match="not the ones that were written"):
        load(path, verify=True)


def test_stores_copy_what_is_read_only_when_they_grow() -> None:
    weights = np.full((2, 3, 4), 0.25, np.float32)
    keys = np.ones((2, 4, 8), np.float16)
    for array in (weights, keys):
        array.flags.writeable = False
    dense = DenseStore.restored({"weights": weights}, {})
    assert np.shares_memory(dense.state()[0]["weights"], weights)
    dense.append(np.full((2, 1, 5), 0.2, np.float32))
    assert (dense.n_queries, dense.n_keys) == (4, 5)
    assert dense.read(slice(0, 3), slice(0, 4)).tolist() == weights.tolist()
    virtual = VirtualStore(2)
    virtual.append(Factors(keys, keys, Visible.causal(4, 4), 1.0))
    assert np.shares_memory(virtual.state()[0]["keys"], keys)
    virtual.append(Factors(keys[:, :1].copy(), keys[:, :1].copy(), Visible.all(1, 5), 1.0, first_key=4))
    assert (virtual.n_queries, virtual.n_keys, keys.shape[1]) == (5, 5, 4)


def write_sparse(trace: Trace, path: Path) -> None:
    """Write the file that `save` would, with holes where large arrays are, which are all zero."""
    header, tensors = described(trace)
    small = {name: np.ascontiguousarray(it) for name, it in tensors.items() if it.nbytes < 1e8}
    text = sealed(header, {name: zlib.crc32(small[name].data) if name in small else 0 for name in tensors})
    said: dict[str, object] = {"__metadata__": {HEADER: text, CRC: str(zlib.crc32(text.encode()))}}
    dtypes, offset = {"<f2": "F16", "<i4": "I32", "<i8": "I64", "|u1": "U8"}, 0
    for name, it in tensors.items():
        said[name] = {"dtype": dtypes[it.dtype.str], "shape": it.shape, "data_offsets": [offset, offset + it.nbytes]}
        offset += it.nbytes
    start = json.dumps(said).encode()
    with path.open("wb") as file:
        file.write(len(start).to_bytes(8, "little") + start)
        for name, it in tensors.items():
            if name in small:
                file.write(small[name].tobytes())
            else:
                file.seek(it.nbytes, 1)
        file.truncate(8 + len(start) + offset)


def test_four_gigabytes_open_without_being_read(path: Path) -> None:
    n_heads, n_tokens, d_head = 64, 262_144, 64
    shape = (n_heads, n_tokens, d_head)
    zeros = np.lib.stride_tricks.as_strided(np.zeros(1, np.float16), shape, (0, 0, 0), writeable=False)
    first, last = np.zeros(n_tokens, np.int32), np.full(n_tokens, 8, np.int32)
    arrays = {"queries": zeros, "keys": zeros, "positions": np.arange(n_tokens), "first": first, "last": last}
    arrays |= {"holed": first[:0], "bits": np.zeros((0, 0), np.uint8)}
    trace = Trace()
    trace.set_tokens("source", ["x"] * n_tokens)
    site = Site("own", "encoder", 0, n_heads, "source", "source")
    trace.ledger.restore(site, VirtualStore.restored(arrays, {"scale": 1.0}), [])
    trace.finish()
    write_sparse(trace, path)
    assert path.stat().st_size > 4e9
    started = time.process_time()
    again = load(path)
    assert time.process_time() - started < 2  # it is 0.2 s where nothing else runs; to read it all takes longer
    assert is_mapped(again.ledger.find(0).store.state()[0]["queries"])
    assert again.weights("own", 5, queries=[n_tokens - 1], keys=slice(0, 9)).tolist() == [[0.125] * 8 + [0.0]]


def test_an_absurd_number_of_tensors_is_refused_at_once(path: Path) -> None:
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    start = json.dumps({f"weights.{i}": empty for i in range(300_000)}).encode()
    path.write_bytes(len(start).to_bytes(8, "little") + start)
    started = time.process_time()
    with pytest.raises(TraceError, match="300000 tensors"):
        load(path)
    assert time.process_time() - started < 1
