"""A frame and a message hold as much as fits, the selected head first."""

from __future__ import annotations

import math
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attnwidget import Site, Trace
from attnwidget.ledger import Cursor
from attnwidget.stores import Factors, Visible
from attnwidget.wire import FRAME_BYTES, MEAN, MESSAGE_BYTES
from attnwidget.wire.codec import pack
from attnwidget.wire.fit import FIRST, FRAME, Budget, frame, whole_block
from attnwidget.wire.live import limited, new_blocks

Reader = Callable[[bytes], Any]


def softmax(*shape: int) -> np.ndarray:
    scores = np.exp(np.random.default_rng(2).normal(0, 2, shape).astype(np.float32))
    return np.asarray(scores / scores.sum(-1, keepdims=True))


def traced(*shape: int) -> Trace:
    """A trace of random weights [layer, head, query, key] over its own source."""
    return Trace.from_weights(softmax(*shape), source=[str(i) for i in range(shape[-1])], target=["x"] * shape[-2])


@pytest.mark.parametrize(
    "shape", [(1, 1, 8, 8), (2, 3, 4, 5), (1, 1, 64, 64), (1, 1, 300, 300), (1, 1, 2000, 2000), (12, 12, 128, 128)]
)
def test_a_frame_keeps_to_its_budget(shape: tuple[int, ...]) -> None:
    assert 0 < len(frame(traced(*shape), 0, 0, 0)) <= FRAME_BYTES


def test_a_small_frame_is_exact_and_whole(complete: Trace, weights: np.ndarray, read_picture: Reader) -> None:
    blocks = read_picture(zlib.decompress(frame(complete, 0, 0, 0))).blocks
    assert all(np.array_equal(blocks[layer, head], weights[layer, head]) for layer in range(2) for head in range(3))


def test_the_mean_is_left_to_the_page_where_it_has_every_head(complete: Trace, read_picture: Reader) -> None:
    assert (0, MEAN) not in read_picture(zlib.decompress(frame(complete, 0, 0, MEAN))).blocks


def test_the_mean_comes_first_where_heads_are_left_out(read_picture: Reader) -> None:
    picture = read_picture(zlib.decompress(frame(traced(2, 3, 400, 500), 0, 1, MEAN)))
    assert (picture.header["blocks"][0]["site"], picture.header["blocks"][0]["head"]) == (1, MEAN)


def test_the_mean_is_the_mean(read_picture: Reader) -> None:
    trace = traced(2, 3, 300, 380)
    got = read_picture(zlib.decompress(frame(trace, 0, 1, MEAN))).blocks[1, MEAN]
    assert np.abs(got - trace.weights(1, "mean")).max() <= 1 / 510


@pytest.mark.parametrize(("site", "head"), [(0, 0), (1, 2), (1, 0)])
def test_the_selected_head_comes_first(complete: Trace, read_picture: Reader, site: int, head: int) -> None:
    first = read_picture(zlib.decompress(frame(complete, 0, site, head))).header["blocks"][0]
    assert (first["site"], first["head"]) == (site, head)


def test_a_head_too_large_is_pooled_by_maximum(read_picture: Reader) -> None:
    trace = traced(1, 1, 1200, 1300)
    got = read_picture(zlib.decompress(frame(trace, 0, 0, 0, budget=Budget(20_000, seconds=math.inf)))).blocks[0, 0]
    assert (got >= trace.weights(0, 0) - 1 / 400).all()


@pytest.mark.parametrize("head", [1, MEAN])
def test_a_head_far_too_large_is_never_made_whole(read_picture: Reader, head: int) -> None:
    n, rng = 3000, np.random.default_rng(3)
    queries, keys = (rng.normal(size=(2, n, 4)).astype(np.float32) for _ in range(2))
    trace = Trace(source=["x"] * n)
    trace.add_site(Site("own", "encoder", 0, 2, "source", "source"), store="qk")
    trace.append({"own": Factors(queries, keys, Visible.causal(n, n), 0.5)})
    tracemalloc.start()
    try:
        data = frame(trace, 0, 0, head, 2050, budget=Budget(seconds=math.inf))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    picture = read_picture(zlib.decompress(data))
    cells, rows = picture.header["blocks"]
    assert (cells["queries"], cells["keys"], cells["sampled"]) == ([0, n, 16], [0, n, 16], False)
    assert rows["keys"] == [0, n, 1]
    assert rows["queries"] == [2050, 2051, 1]
    assert peak < n * n * 4
    weights = trace.weights(0, "mean" if head == MEAN else head)
    assert (picture.blocks[0, head] >= weights - 1 / 400).all()
    (sums,) = picture.header["sums"]
    assert sums["n_steps"] == n  # an encoder has no steps


def test_a_frame_of_a_large_head_is_made_at_once_of_some_rows(read_picture: Reader) -> None:
    trace = traced(1, 1, 1200, 1300)
    (cells, *_) = read_picture(zlib.decompress(frame(trace, 0, 0, 0, budget=Budget(seconds=0)))).header["blocks"]
    assert cells["sampled"] is True


def test_many_words_leave_room_for_weights(read_picture: Reader) -> None:
    rng = np.random.default_rng(6)
    trace = Trace(source=["".join(map(chr, rng.integers(33, 900, 40))) for _ in range(50)])
    trace.add_site(Site("own", "encoder", 0, 1, "source", "source"))
    trace.append({"own": softmax(1, 50, 50)})
    (block,) = read_picture(zlib.decompress(frame(trace, 0, 0, 0, budget=Budget(2_000)))).header["blocks"]
    assert block["keys"][2] <= 8


def test_a_frame_of_an_empty_trace_has_no_blocks(read_picture: Reader) -> None:
    assert read_picture(zlib.decompress(frame(Trace(), 0, 0, MEAN))).blocks == {}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 7e4, -1])
def test_a_large_frame_keeps_odd_values(read_picture: Reader, value: float) -> None:
    weights = softmax(1, 1, 200, 150)
    weights[0, 0, 7, 9] = value
    trace = Trace.from_weights(weights, source=["x"] * 150, target=["y"] * 200)
    got = read_picture(zlib.decompress(frame(trace, 0, 0, 0))).blocks[0, 0][7, 9]
    assert np.array_equal(got, np.float32(value), equal_nan=True)


def test_a_difference_fits_into_a_message() -> None:
    trace = Trace()
    for layer in range(3):
        trace.add_site(Site(str(layer), "cross", layer, 12, "target", "source"))
    for step in range(200):
        trace.append({str(layer): np.full((12, 1, 900), 1 / 900) for layer in range(3)}, token=str(step))
    cut = limited(trace, Cursor(), trace.cursor)
    data = pack(trace, 0, list(new_blocks(trace, Cursor(), cut)), Cursor(), cut)
    assert MESSAGE_BYTES / 2 < len(data) <= MESSAGE_BYTES


def test_one_step_of_many_sites_is_cut_between_sites() -> None:
    trace = Trace()
    for layer in range(90):
        trace.add_site(Site(str(layer), "cross", layer, 16, "target", "source"))
    trace.append({str(layer): np.full((16, 1, 1000), 1e-3) for layer in range(90)}, token="x")
    cut = limited(trace, Cursor(), trace.cursor)
    assert len(pack(trace, 0, list(new_blocks(trace, Cursor(), cut)), Cursor(), cut)) <= MESSAGE_BYTES


def test_words_count_as_much_as_weights(live: Trace) -> None:
    for step in range(40):
        live.append({"cross": np.full((3, 1, 5), 0.2)}, token=str(step), candidates=[("x" * 900, 0.1)] * 10)
    cut = limited(live, Cursor(), live.cursor, budget=100_000)
    assert 0 < len(pack(live, 0, list(new_blocks(live, Cursor(), cut)), Cursor(), cut)) <= 100_000


def test_what_fits_is_not_cut(complete: Trace) -> None:
    assert limited(complete, Cursor(), complete.cursor) == complete.cursor


def test_a_difference_is_as_wide_as_it_was_then() -> None:
    trace = Trace()
    trace.add_site(Site("own", "decoder", 0, 3, "target", "target"))
    cursors = [trace.cursor]
    for n_keys in range(1, 5):
        trace.append({"own": np.full((3, 1, n_keys), 1 / n_keys)}, token="x")
        cursors.append(trace.cursor)
    assert {block.weights.shape for block in new_blocks(trace, cursors[1], cursors[2])} == {(1, 2)}


def test_one_head_is_fetched_whole(complete: Trace, weights: np.ndarray) -> None:
    assert np.array_equal(whole_block(complete, complete.sites, 1, 2).weights, weights[1, 2])


@pytest.mark.parametrize("budget", [FIRST, FRAME])
def test_rows_that_come_meanwhile_are_in_no_part_of_a_frame(
    read_picture: Reader, budget: Budget, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = Trace(source=list("abc"))
    trace.add_site(Site("cross", "cross", 0, 4, "target", "source"))
    step = {"cross": np.full((4, 1, 3), 1 / 3)}
    trace.append(step, token="x")
    read = Trace.weights

    def appending(*args: object, **kwargs: object) -> np.ndarray:
        trace.append(step, token="x")
        return read(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Trace, "weights", appending)
    picture = read_picture(zlib.decompress(frame(trace, 0, 0, MEAN, budget=budget)))
    assert len(picture.blocks) >= 4
    assert {weights.shape for weights in picture.blocks.values()} == {(1, 3)}
    assert (picture.header["sites"][0]["n_queries"], len(picture.header["steps"])) == (1, 1)
    assert trace.sites[0].n_queries > 1
