"""What is packed is read back by a reader that knows docs/wire.md only."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attnwidget import Site, Tokens, Trace
from attnwidget.ledger import Cursor
from attnwidget.terms import Terms
from attnwidget.wire import PROTOCOL, SCENE_BYTES
from attnwidget.wire.blocks import Sums
from attnwidget.wire.codec import Block, Dtype, pack, texts_of
from attnwidget.wire.explain import Explained

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


# -- the whole header, and everything at once


def test_the_header_is_all_that_is_known_of_a_trace(read_picture: Reader) -> None:
    trace = Trace(source=["a", "b"], title="t")
    trace.add_site(Site("own", "cross", 3, 2, "target", "source", asks="before"))
    candidates = [("x", 2 / 3), ("y", 0.25)]
    trace.append({"own": np.full((2, 1, 2), 0.5)}, token="x", candidates=candidates)
    assert read_picture(pack(trace, 5, [], kept=9)).header == {
        "protocol": PROTOCOL,
        "run": trace.run,
        "seq": 5,
        "title": "t",
        "status": "recording",
        "strips": [
            {"name": "source", "n_tokens": 2, "at": 0, "texts": ["a", "b"], "scene": None},
            {"name": "target", "n_tokens": 1, "at": 0, "texts": ["x"], "scene": None},
        ],
        "sites": [
            {
                "name": "own",
                "kind": "cross",
                "layer": 3,
                "n_heads": 2,
                "query": "target",
                "key": "source",
                "asks": "before",
                "n_queries": 1,
                "n_keys": 2,
                "flags": [],
            }
        ],
        "steps_at": 0,
        "steps": [
            {
                "token": "x",
                "candidates": [{"token": "x", "probability": 0.666667}, {"token": "y", "probability": 0.25}],
            }
        ],
        "blocks": [],
        "kept": 9,
        "sums": [],
        "terms": [],
        "heads": [],
        "architecture": trace.architecture.to_dict(),
    }


def test_nothing_is_kept_by_default(complete: Trace, read_picture: Reader) -> None:
    assert read_picture(pack(complete, 0, [])).header["kept"] == 0


def test_a_diagram_travels_when_it_changed(live: Trace, read_picture: Reader) -> None:
    before = live.cursor
    assert read_picture(pack(live, 0, [], before)).header["architecture"] is None
    live.add_site(Site("own", "decoder", 0, 1, "target", "target"))
    drawn = live.cursor
    assert read_picture(pack(live, 0, [], before)).header["architecture"] == live.architecture.to_dict()
    assert read_picture(pack(live, 0, [], before, before)).header["architecture"] is None
    assert read_picture(pack(live, 0, [], drawn)).header["architecture"] is None


def test_a_difference_has_the_status_of_its_end(live: Trace, read_picture: Reader) -> None:
    first = live.cursor
    live.append({"cross": np.full((3, 1, 5), 0.2)}, token="die")
    second = live.cursor
    live.finish()
    said = [read_picture(pack(live, 0, [], first, until)).header["status"] for until in (first, second, None)]
    assert said == ["empty", "recording", "complete"]


@pytest.mark.parametrize(
    ("most", "parts"),
    [
        (None, [(0, "abcdefghi")]),
        (9, [(0, "abcdefghi")]),
        (8, [(0, "abcd"), (5, "fghi")]),
        (5, [(0, "ab"), (7, "hi")]),
        (2, [(0, "a"), (8, "i")]),
        (1, []),
        (0, []),
    ],
)
def test_of_long_strips_the_first_and_the_last_tokens_travel(
    read_picture: Reader, most: int | None, parts: list[tuple[int, str]]
) -> None:
    strips = read_picture(pack(Trace(source=list("abcdefghi")), 0, [], tokens=most)).header["strips"]
    assert [(strip["at"], "".join(strip["texts"])) for strip in strips] == parts
    assert {strip["n_tokens"] for strip in strips} <= {9}


def test_a_strip_that_came_later_is_not_in_a_difference_before(live: Trace, read_picture: Reader) -> None:
    before = live.cursor
    live.append({"cross": np.full((3, 1, 5), 0.2)}, token="die")
    then = live.cursor
    live.set_tokens("patches", ["p", "q"])
    assert [strip["name"] for strip in read_picture(pack(live, 0, [], before, then)).header["strips"]] == ["target"]
    (strip,) = read_picture(pack(live, 0, [], then)).header["strips"]
    assert (strip["name"], strip["at"], strip["texts"]) == ("patches", 0, ["p", "q"])


@pytest.mark.parametrize("title", ["", "a", "aa", "aaa"])
def test_a_header_is_short_and_padded_whatever_its_length(title: str) -> None:
    data = pack(Trace(title=title), 0, [])
    (length,) = struct.unpack_from("<I", data)
    assert length % 4 == 0
    assert b" " not in data[4 : 4 + length].rstrip(b" ")
    assert len(data[4 : 4 + length]) - len(data[4 : 4 + length].rstrip(b" ")) < 4


def test_a_part_of_a_strip_is_counted_from_where_it_begins(complete: Trace) -> None:
    found = [(it["at"], it["texts"]) for it in texts_of(complete, "source", 1, 5, 2)]
    assert found == [(1, [" cat"]), (4, ["it"])]
    assert list(texts_of(complete, "source", 3, 3)) == []


def numbers(data: bytes, offset: int, count: int, dtype: str = "<f4") -> list[float]:
    start = 4 + int.from_bytes(data[:4], "little") + offset
    return np.frombuffer(data, dtype, count, start).tolist()


def test_all_that_a_picture_can_hold_lies_where_its_header_says(read_picture: Reader) -> None:
    pixels = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(1, 3, 5, 3)  # 45 bytes, which are padded
    rows = np.random.default_rng(6).dirichlet(np.ones(3), (2, 5)).astype(np.float32)
    trace = Trace(source=Tokens.video(pixels, (1, 3), seconds=1.5), target=list("vwxyz"))
    trace.add_site(Site("cross", "cross", 0, 2, "target", "source"))
    trace.append({"cross": rows})
    trace.finish()
    own = [Explained(0, head, 4, Terms(np.arange(3, dtype=np.float32).reshape(1, 1, 3) + head)) for head in range(2)]
    sums = [Sums(0, 0, 5, np.array([1, 2, 3], np.float32)), Sums(0, 1, 2, np.array([4, 5, 6], np.float32))]
    odd = rows[1].copy()
    odd[2, 1] = np.nan
    blocks = [
        Block.of_rows(0, 0, 0, rows[0]),
        replace(Block.of_rows(0, 1, 0, odd), dtype="u1"),
        replace(Block.of_rows(0, 2, 0, rows[0]), dtype="f2"),
        replace(Block.of_rows(0, 3, 0, rows[1]), dtype="u1"),
    ]
    glances = [(0, trace.survey.glance("cross", range(2), 3, 5))] * 2
    data = pack(trace, 0, blocks, sums=iter(sums), terms=iter(own), heads=iter(glances))
    picture = read_picture(data)
    for head, (expected, error) in enumerate(((rows[0], 0), (odd, 1 / 400), (rows[0], 1e-3), (rows[1], 1 / 400))):
        assert picture.blocks[0, head] == pytest.approx(expected, abs=error, nan_ok=True)
    said = [(it["site"], it["head"], it["n_steps"], numbers(data, it["offset"], 3)) for it in picture.header["sums"]]
    assert said == [(0, 0, 5, [1, 2, 3]), (0, 1, 2, [4, 5, 6])]
    scene = picture.header["strips"][0]["scene"]
    assert numbers(data, scene["offset"], 45, "u1") == pixels.ravel().tolist()
    del scene["offset"]
    assert scene == {"kind": "video", "grid": [1, 1, 3], "before": 0, "seconds": 1.5, "shape": [1, 3, 5, 3]}
    assert picture.header["strips"][1]["scene"] is None
    told = [(it["head"], it["query"], numbers(data, it["arrays"][0]["offset"], 3)) for it in picture.header["terms"]]
    assert told == [(0, 4, [0, 1, 2]), (1, 4, [1, 2, 3])]
    for seen in picture.header["heads"]:
        shape = seen["n_heads"], seen["n_rows"], seen["n_columns"]
        assert numbers(data, seen["offset"], int(np.prod(shape)), "u1") == glances[0][1].pictures.ravel().tolist()
    taken = [it["offset"] for it in (*picture.header["sums"], *picture.header["heads"])]
    taken += [it["offset"] for row in picture.header["terms"] for it in row["arrays"]]
    assert len(set(taken)) == len(taken)
    assert all(offset % 4 == 0 for offset in taken)


def test_a_large_scene_travels_smaller(read_picture: Reader) -> None:
    pixels = np.zeros((600, 600, 3), np.uint8)
    assert pixels.nbytes > SCENE_BYTES
    data = pack(Trace(source=Tokens.image(pixels, (1, 2))), 0, [])
    shape = read_picture(data).header["strips"][0]["scene"]["shape"]
    assert int(np.prod(shape)) <= SCENE_BYTES
    assert len(data) < SCENE_BYTES + 2000
