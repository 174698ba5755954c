"""What a picture tells of heads: bytes where the header says, within its budget, as fresh as the rows."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracle import random_factors, softmaxed

from attnwidget import Site, Trace
from attnwidget.heads import STATISTICS
from attnwidget.stores.pooling import pooled
from attnwidget.wire import HEADS_BYTES, HEADS_WEIGHTS, HEADS_WEIGHTS_LIVE
from attnwidget.wire.codec import pack
from attnwidget.wire.fit import frame
from attnwidget.wire.glances import glance_from, glances

Reader = Callable[[bytes], Any]


def random_trace(n_sites: int, n_heads: int, n_queries: int, n_keys: int) -> Trace:
    scores = np.random.default_rng(5).random((n_sites, n_heads, n_queries, n_keys))
    weights = (scores / scores.sum(-1, keepdims=True)).astype(np.float32)
    return Trace.from_weights(weights, source=["s"] * n_keys, target=["t"] * n_queries)


def pictures_of(data: bytes, header: dict[str, Any]) -> dict[tuple[int, int], np.ndarray]:
    start = 4 + int.from_bytes(data[:4], "little")
    found = {}
    for told in header["heads"]:
        shape = told["n_heads"], told["n_rows"], told["n_columns"]
        levels = np.frombuffer(data, np.uint8, int(np.prod(shape)), start + told["offset"]).reshape(shape)
        found |= {(told["site"], told["at"] + i): levels[i] for i in range(told["n_heads"])}
    return found


def test_pictures_stand_where_the_header_says(complete: Trace, weights: np.ndarray, read_picture: Reader) -> None:
    data = zlib.decompress(frame(complete, 0, 0, 0))
    pictures = pictures_of(data, read_picture(data).header)
    assert sorted(pictures) == [(site, head) for site in range(2) for head in range(3)]
    for (site, head), levels in pictures.items():
        rows = weights[site, head]
        assert np.array_equal(levels, np.rint(rows / rows.max(-1, keepdims=True) * 255))


def test_blocks_are_still_where_the_header_says(complete: Trace, weights: np.ndarray, read_picture: Reader) -> None:
    blocks = read_picture(zlib.decompress(frame(complete, 0, 1, 2))).blocks
    assert np.array_equal(blocks[1, 2], weights[1, 2])


def test_numbers_are_those_of_the_trace(complete: Trace, read_picture: Reader) -> None:
    header = read_picture(zlib.decompress(frame(complete, 0, 0, 0))).header
    table = complete.heads()
    for told in header["heads"]:
        for name in STATISTICS:
            ours = [getattr(head, name) for head in table[3 * told["site"] : 3 * told["site"] + 3]]
            expected = [None if np.isnan(value) else round(value, 4) for value in ours]
            assert told["statistics"][name] == expected


def test_pictures_of_large_heads_hold_the_maximum_of_squares() -> None:
    trace = random_trace(1, 2, 70, 90)
    glance = glance_from(trace, 0, 0)
    cells = pooled(trace.weights(0), 4)
    assert glance.pictures.shape == (2, 18, 23)
    assert np.array_equal(glance.pictures, np.rint(cells / cells.max(-1, keepdims=True) * 255))


@pytest.mark.parametrize("n_heads", [1, 12, 128, 1024, 4096])
def test_pictures_stay_within_their_budget(n_heads: int) -> None:
    trace = random_trace(1, n_heads, 33, 9)
    shapes = [glance.pictures.shape for _, glance in glances(trace, 0)]
    assert len(shapes) == 1
    assert 0 <= np.prod(shapes[0]) <= HEADS_BYTES
    assert bool(np.prod(shapes[0])) == (n_heads <= 1024)
    assert sum(glance.pictures.size for _, glance in glances(trace, 0, 8)) <= 8 * HEADS_BYTES


def test_heads_of_too_many_weights_are_left_for_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = random_trace(3, 2, 10, 10)
    assert [site for site, _ in glances(trace, 1, 450)] == [1, 0]
    assert glance_from(trace, 2, 0).heads == range(2)
    monkeypatch.setattr("attnwidget.wire.glances.HEADS_AT_ONCE", 150)
    assert [glance_from(trace, 2, at).heads for at in (0, 1)] == [range(1), range(1, 2)]


def test_little_is_told_while_recording(live: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert HEADS_WEIGHTS_LIVE < HEADS_WEIGHTS
    rows = np.full((3, 1, 5), 0.2)
    live.append({"cross": rows}, token="a")
    assert len(list(glances(live, 0))) == 1
    monkeypatch.setattr("attnwidget.wire.glances.HEADS_WEIGHTS_LIVE", 10)
    assert not list(glances(live, 0))
    live.finish()
    assert len(list(glances(live, 0))) == 1


def test_new_rows_make_new_numbers(live: Trace) -> None:
    for step, key in enumerate((0, 0, 4, 4)):
        rows = np.zeros((3, 1, 5))
        rows[..., key] = 1
        live.append({"cross": rows}, token="a")
        ((_, glance),) = glances(live, 0)
        assert glance.shape == (step + 1, 5)
        assert glance.statistics["first"][0] == pytest.approx(min(1, 2 / (step + 1)))


def test_what_is_known_is_not_read_again(complete: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [glance for _, glance in glances(complete, 0)]
    monkeypatch.setattr("attnwidget.heads.Tally.add", None)
    after = [glance for _, glance in glances(complete, 0)]
    assert all(a is b for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("seed", range(6))
def test_queries_and_keys_tell_what_their_weights_tell(seed: int) -> None:
    factors = random_factors(np.random.default_rng(seed), 40, 40)
    told = []
    for store in ("qk", "dense"):
        trace = Trace(source=[f"{i % 7}" for i in range(40)])
        trace.add_site(Site("own", "encoder", 0, len(factors.queries), "source", "source"), store=store)
        trace.append({"own": factors if store == "qk" else softmaxed(factors)}, tolerance=np.inf)
        told.append(glance_from(trace, 0, 0))
    for name in STATISTICS:
        assert told[0].statistics[name] == pytest.approx(told[1].statistics[name], rel=1e-4, abs=1e-4, nan_ok=True), (
            name
        )
    assert np.abs(told[0].pictures.astype(int) - told[1].pictures).max() <= 1


def test_odd_weights_leave_the_picture_readable(read_picture: Reader) -> None:
    weights = np.array([[[np.nan, 0.5], [np.inf, 0.25], [-3, 0.5]]], np.float32)
    trace = Trace.from_weights(weights, source=["a", "b"], target=["x", "y", "z"])
    data = zlib.decompress(frame(trace, 0, 0, 0))
    assert pictures_of(data, read_picture(data).header)[0, 0].tolist() == [[0, 255], [0, 255], [0, 255]]


def test_nothing_is_told_of_heads_without_rows(read_picture: Reader) -> None:
    assert read_picture(pack(Trace(source=["a"]), 0, [])).header["heads"] == []
    assert not list(glances(Trace(source=["a"]), 0))


def test_of_large_heads_some_rows_are_read_from_all_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.wire.glances.HEAD_WEIGHTS", 2_000)
    trace = random_trace(1, 2, 500, 100)
    exact = trace.survey.glance("cross", range(2), 32)
    some = glance_from(trace, 0, 0)
    assert (exact.n_read, some.n_read) == (500, 64)
    assert some.statistics["entropy"] == pytest.approx(exact.statistics["entropy"], rel=0.05)
    assert (some.pictures.any(2)).all()
