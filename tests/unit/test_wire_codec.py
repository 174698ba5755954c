"""What is packed is read back by a reader that knows docs/wire.md only."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attnwidget import Trace
from attnwidget.ledger import Cursor
from attnwidget.wire.codec import Block, Dtype, pack

Reader = Callable[[bytes], Any]
ODD = np.array(
    [[np.nan, 0.5, np.inf, -np.inf, 0.25], [1, 0, 0, 0, 0], [np.nan] * 5, [-2, 3e38, -3e38, 0, 1]], np.float32
)


@pytest.mark.parametrize(("dtype", "error"), [("f4", 0), ("f2", 2**-11), ("u1", 1 / 510 + 1e-7)])
def test_weights_come_back_as_exactly_as_promised(
    complete: Trace, weights: np.ndarray, read_picture: Reader, dtype: Dtype, error: float
) -> None:
    picture = read_picture(pack(complete, 0, [Block.of_rows(1, 2, 0, weights[1, 2])], dtype=dtype))
    span = weights[1, 2].max(-1, keepdims=True)
    assert (np.abs(picture.blocks[1, 2] - weights[1, 2]) <= error * span).all()


def test_levels_keep_to_each_rows_own_range(complete: Trace, read_picture: Reader) -> None:
    rows = np.random.default_rng(4).normal(0, 1, (4, 5)).astype(np.float32) * np.array(
        [[1e-6], [1], [1e3], [1e30]], "f4"
    )
    picture = read_picture(pack(complete, 0, [Block.of_rows(0, 0, 0, rows)], dtype="u1"))
    span = rows.max(-1, initial=0, keepdims=True).astype("f8") - rows.min(-1, initial=0, keepdims=True)
    assert (np.abs(picture.blocks[0, 0].astype("f8") - rows) <= span / 510 * (1 + 1e-4)).all()


@pytest.mark.parametrize("dtype", ["f4", "u1"])
def test_odd_values_come_back_exactly(complete: Trace, read_picture: Reader, dtype: Dtype) -> None:
    got = read_picture(pack(complete, 0, [Block.of_rows(0, 0, 0, ODD)], dtype=dtype)).blocks[0, 0]
    odd = ~np.isfinite(ODD)
    assert np.array_equal(got[odd], ODD[odd], equal_nan=True)


@pytest.mark.filterwarnings("error")
def test_odd_values_stay_where_they_are(complete: Trace, read_picture: Reader) -> None:
    got = read_picture(pack(complete, 0, [Block.of_rows(0, 0, 0, ODD)], dtype="u1")).blocks[0, 0]
    assert np.array_equal(np.isfinite(got), np.isfinite(ODD))


def test_zero_is_exact_in_levels(complete: Trace, read_picture: Reader) -> None:
    block = Block.of_rows(0, 0, 0, np.zeros((4, 5), np.float32))
    assert not read_picture(pack(complete, 0, [block], dtype="u1")).blocks[0, 0].any()


@pytest.mark.parametrize("pool", [2, 4, 8])
@pytest.mark.parametrize("dtype", ["f4", "u1"])
def test_pooling_keeps_the_maximum_of_each_square(
    complete: Trace, read_picture: Reader, pool: int, dtype: Dtype
) -> None:
    rows = np.random.default_rng(1).random((13, 22)).astype(np.float32)
    got = read_picture(pack(complete, 0, [Block.of_rows(0, 0, 0, rows).pooled(pool)], dtype=dtype)).blocks[0, 0]
    for query in range(0, 13, pool):
        for key in range(0, 22, pool):
            square = (slice(query, query + pool), slice(key, key + pool))
            assert got[square] == pytest.approx(rows[square].max(), abs=1 / 400)


def test_pooling_loses_no_spike(complete: Trace, read_picture: Reader) -> None:
    rows = np.zeros((13, 22), np.float32)
    rows[12, 21] = 1
    assert read_picture(pack(complete, 0, [Block.of_rows(0, 0, 0, rows).pooled(8)])).blocks[0, 0][12, 21] == 1


def test_blocks_stand_side_by_side(complete: Trace, weights: np.ndarray, read_picture: Reader) -> None:
    blocks = [Block.of_rows(layer, head, 0, weights[layer, head]) for layer in range(2) for head in range(3)]
    got = read_picture(pack(complete, 0, blocks, dtype="u1")).blocks
    assert [np.abs(got[b.site, b.head] - b.weights).max() < 0.004 for b in blocks] == [True] * 6


def test_the_header_is_ascii_and_padded(hostile_texts: list[str]) -> None:
    trace = Trace(source=hostile_texts, title="ü\ud800")
    data = pack(trace, 0, [])
    (length,) = struct.unpack_from("<I", data)
    assert (len(data), length % 4, max(data[4:]) < 128) == (length + 4, 0, True)


def test_every_string_survives(hostile_texts: list[str], read_picture: Reader) -> None:
    texts = [*hostile_texts, "\ud800", "\x00", "\u2028"]
    header = read_picture(pack(Trace(source=texts), 0, [])).header
    assert header["strips"] == [{"name": "source", "n_tokens": len(texts), "at": 0, "texts": texts, "scene": None}]


def test_the_header_describes_the_trace(complete: Trace, read_picture: Reader) -> None:
    header = read_picture(pack(complete, 3, [])).header
    assert (header["run"], header["seq"], header["title"], header["status"]) == (complete.run, 3, "a cat", "complete")


def test_the_header_describes_every_site(complete: Trace, read_picture: Reader) -> None:
    assert read_picture(pack(complete, 0, [])).header["sites"][1] == {
        "name": "cross.1",
        "kind": "cross",
        "layer": 1,
        "n_heads": 3,
        "query": "target",
        "key": "source",
        "asks": "",
        "n_queries": 4,
        "n_keys": 5,
        "flags": [],
    }


def test_flags_travel_with_count_and_place(read_picture: Reader) -> None:
    weights = np.full((3, 4, 5), 0.2)
    weights[1, 2, 3] = np.nan
    trace = Trace.from_weights(weights, source=list("abcde"), target=list("wxyz"))
    flags = read_picture(pack(trace, 0, [])).header["sites"][0]["flags"]
    assert flags == [{"kind": "nan", "count": 1, "where": [[1, 2, 3]]}]


def test_a_difference_holds_only_what_is_new(live: Trace, read_picture: Reader) -> None:
    cursors = []
    for token in ("die", "Katze", "sass"):
        cursors.append(live.cursor)
        live.append({"cross": np.full((3, 1, 5), 0.2)}, token=token, candidates=[(token, 1 / 3)])
    header = read_picture(pack(live, 0, [], cursors[1], cursors[2])).header
    assert (header["steps_at"], header["steps"], header["strips"]) == (
        1,
        [{"token": "Katze", "candidates": [{"token": "Katze", "probability": 0.333333}]}],
        [{"name": "target", "n_tokens": 3, "at": 1, "texts": ["Katze"], "scene": None}],
    )


def test_a_difference_to_now_is_the_default(live: Trace, read_picture: Reader) -> None:
    live.append({"cross": np.full((3, 1, 5), 0.2)}, token="die")
    assert read_picture(pack(live, 0, [], Cursor())).header["steps_at"] == 0
