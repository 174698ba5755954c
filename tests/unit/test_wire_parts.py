"""What of a trace goes into a picture: rows around the step, heads by interest, and terms, as far as they fit."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attnwidget import Site, Trace
from attnwidget.ledger import Cursor
from attnwidget.stores import Factors, Visible
from attnwidget.sweep import Span, Sweep
from attnwidget.terms import Terms
from attnwidget.wire import MEAN, fit
from attnwidget.wire.explain import ALL, Explained, explained, of_interest, pack_terms
from attnwidget.wire.fit import FIRST, Budget, frame, pieces
from attnwidget.wire.live import new_blocks
from attnwidget.wire.parts import NEAR, NEAR_MEAN, part_of

Reader = Callable[[bytes], Any]
RNG = np.random.default_rng(8)


def traced(*shape: int) -> Trace:
    """A trace of random weights [layer, head, query, key]."""
    return Trace.from_weights(RNG.random(shape, np.float32), source=["k"] * shape[-1], target=["q"] * shape[-2])


def swept(trace: Trace, head: int, *, per: int = 4, site: int = 0) -> Sweep:
    """A sweep of one head that was read to its end."""
    n_queries, n_keys = trace.sites[site].n_queries, trace.sites[site].n_keys
    made = Sweep(trace, site, None if head == MEAN else head, Span(0, n_queries, per), Span(0, n_keys, per))
    made.run(math.inf)
    return made


def weights_of(trace: Trace, head: int) -> np.ndarray:
    return trace.weights(0, "mean" if head == MEAN else head)


# -- the part that is looked at


@pytest.mark.parametrize(("head", "near"), [(0, NEAR), (1, NEAR), (MEAN, NEAR_MEAN)])
@pytest.mark.parametrize("step", [0, 1, 25, 49])
def test_rows_around_the_step_are_exact(head: int, near: int, step: int) -> None:
    trace = traced(1, 2, 50, 30)
    cells, rows = part_of(trace, swept(trace, head), step).blocks
    first, end = max(0, step - near), min(50, step + near + 1)
    assert (cells.site, cells.head, cells.queries, cells.keys) == (0, head, Span(0, 50, 4), Span(0, 30, 4))
    assert (rows.site, rows.head, rows.queries, rows.keys) == (0, head, Span(first, end), Span(0, 30))
    assert (cells.dtype, rows.dtype, rows.whole, cells.whole) == ("u1", "f4", True, False)
    assert np.array_equal(rows.weights, weights_of(trace, head)[first:end])


@pytest.mark.parametrize(
    ("n_rows", "found"), [(1, (25, 26)), (2, (25, 26)), (3, (24, 27)), (5, (23, 28)), (16, (18, 33)), (99, (17, 34))]
)
def test_as_many_rows_come_as_fit(n_rows: int, found: tuple[int, int]) -> None:
    trace = traced(1, 2, 50, 30)
    _, rows = part_of(trace, swept(trace, 1), 25, n_rows * 30 * 4 + 119).blocks
    assert rows.queries == Span(*found)


@pytest.mark.parametrize("head", [1, MEAN])
def test_a_row_that_does_not_fit_comes_in_cells(head: int) -> None:
    trace = traced(1, 2, 50, 32)
    _, row = part_of(trace, swept(trace, head), 25, 32 * 4 - 1).blocks
    assert (row.site, row.head, row.queries, row.keys) == (0, head, Span(25, 26), Span(0, 32, 2))
    assert (row.dtype, row.sampled, row.whole) == ("f4", False, False)
    assert np.array_equal(row.weights, weights_of(trace, head)[25:26].reshape(1, 16, 2).max(-1))


def test_cells_that_the_page_has_are_left_out() -> None:
    trace = traced(1, 2, 50, 30)
    (rows,) = part_of(trace, swept(trace, 1), 25, cells=False).blocks
    assert rows.queries == Span(17, 34)


def test_cells_of_one_weight_each_are_exact() -> None:
    trace = traced(1, 2, 50, 30)
    cells, _ = part_of(trace, swept(trace, 1, per=1), 25).blocks
    assert (cells.dtype, cells.sampled) == ("f4", False)
    assert np.array_equal(cells.weights, trace.weights(0, 1))


def test_cells_that_were_not_all_read_say_so() -> None:
    trace = traced(1, 1, 3000, 1000)
    made = Sweep(trace, 0, 0, Span(0, 3000, 16), Span(0, 1000, 16))
    made.run(0)
    part = part_of(trace, made, 25)
    assert (part.blocks[0].sampled, part.sums) == (True, [])


def test_keys_received_what_rows_up_to_the_step_gave() -> None:
    trace = traced(1, 2, 50, 30)
    (sums,) = part_of(trace, swept(trace, 1), 25).sums
    assert (sums.site, sums.head, sums.n_steps) == (0, 1, 26)
    assert np.allclose(sums.values, trace.weights(0, 1)[:26].sum(0), rtol=1e-5)


def test_keys_of_an_encoder_received_what_all_rows_gave() -> None:
    trace = Trace(source=["x"] * 40)
    trace.add_site(Site("own", "encoder", 0, 2, "source", "source"))
    trace.append({"own": RNG.random((2, 40, 40), np.float32)})
    (sums,) = part_of(trace, swept(trace, MEAN), 5).sums
    assert (sums.head, sums.n_steps) == (MEAN, 40)
    assert np.allclose(sums.values, trace.weights(0, "mean").sum(0), rtol=1e-5)


# -- heads by interest


def blocks_of(data: bytes, read: Reader) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = read(zlib.decompress(data)).header["blocks"]
    return blocks


@pytest.mark.parametrize(
    ("site", "head", "order"),
    [
        (1, 2, [(1, 2), (1, 1), (1, 3), (1, 0), (0, 0), (0, 1), (0, 2), (0, 3), (2, 0), (2, 1), (2, 2), (2, 3)]),
        (2, 0, [(2, 0), (2, 1), (2, 2), (2, 3), (1, 0), (1, 1), (1, 2), (1, 3), (0, 0), (0, 1), (0, 2), (0, 3)]),
    ],
)
def test_neighbours_of_what_is_looked_at_come_first(
    site: int, head: int, order: list[tuple[int, int]], read_picture: Reader
) -> None:
    trace = traced(3, 4, 5, 6)
    for n in (1, 5, 12):
        found = blocks_of(frame(trace, 0, site, head, budget=Budget(weights=n * 30)), read_picture)
        assert [(block["site"], block["head"]) for block in found] == order[:n]


def test_the_mean_comes_before_the_heads_in_their_order(read_picture: Reader) -> None:
    found = blocks_of(frame(traced(2, 4, 5, 6), 0, 1, MEAN, budget=Budget(weights=4 * 30)), read_picture)
    assert [(block["site"], block["head"]) for block in found] == [(1, MEAN), (1, 0), (1, 1), (1, 2)]


@pytest.mark.parametrize(
    ("exact", "dtypes"), [(720, ["f4"] * 6), (719, ["f4", *["f2"] * 5]), (360, ["f4", *["f2"] * 5]), (359, None)]
)
def test_weights_are_as_exact_as_they_fit(exact: int, dtypes: list[str] | None, read_picture: Reader) -> None:
    found = blocks_of(frame(traced(1, 6, 5, 6), 0, 0, 0, budget=Budget(exact=exact)), read_picture)
    assert [block["dtype"] for block in found] == (dtypes or ["f4", *["u1"] * 5])


def test_of_a_head_that_is_slow_to_read_nothing_comes_first(read_picture: Reader) -> None:
    trace = traced(1, 2, 300, 450)
    assert (FIRST.keys or 0) >= 450
    for head, n_blocks in ((0, 2), (MEAN, 2)):
        assert len(blocks_of(frame(trace, 0, 0, head, 7, FIRST), read_picture)) == n_blocks
    few = Budget(keys=899, whole=FIRST.whole)
    assert [len(blocks_of(frame(trace, 0, 0, head, 7, few), read_picture)) for head in (0, MEAN)] == [2, 0]


def test_a_first_frame_is_enough_where_weights_and_words_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = traced(2, 3, 4, 5)
    for budget, enough in (
        (Budget(weights=120, tokens=5), True),
        (Budget(weights=119, tokens=5), False),
        (Budget(weights=120, tokens=4), False),
    ):
        monkeypatch.setattr(fit, "FIRST", budget)
        assert fit.fits_first(trace) is enough


@pytest.mark.parametrize(
    ("piece", "sizes"), [(None, [7]), (210, [7]), (209, [1, 6]), (60, [1, 2, 2, 2]), (29, [1] * 7)]
)
def test_pictures_hold_so_many_weights_each(piece: int | None, sizes: list[int], read_picture: Reader) -> None:
    trace = traced(1, 7, 5, 6)
    made = pieces(trace, 0, 0, 3, 0, Budget(piece=piece))
    assert [len(one.heads) for one in made] == sizes
    assert made[0].heads[0] == (0, 3)
    for one in made:
        read = read_picture(zlib.decompress(one.data))
        assert [(block["site"], block["head"]) for block in read.header["blocks"]] == one.heads
        assert all(np.array_equal(read.blocks[0, head], trace.weights(0, head)) for _, head in one.heads)


@pytest.mark.parametrize(("ahead", "n_rows"), [(210, [0]), (209, [5])])
def test_pictures_of_heads_are_left_out_where_the_page_reads_ahead(
    ahead: int, n_rows: list[int], read_picture: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "AHEAD_WEIGHTS", ahead)
    first, *_ = pieces(traced(1, 7, 5, 6), 0, 0, 3, 0, Budget(piece=10**6))
    assert [told["n_rows"] for told in read_picture(zlib.decompress(first.data)).header["heads"]] == n_rows


def test_pictures_of_heads_that_are_not_all_there_stay(read_picture: Reader) -> None:
    first, *_ = pieces(traced(2, 7, 5, 6), 0, 1, 3, 0, Budget(piece=10**6, weights=8 * 30))
    told = read_picture(zlib.decompress(first.data)).header["heads"]
    assert {one["site"]: one["n_rows"] for one in told} == {0: 5, 1: 0}


# -- what weights came of


def known(n_sites: int = 2, n_queries: int = 3, n_keys: int = 4) -> Trace:
    """A trace of two heads a site, whose weights come of queries and keys of 5 numbers."""
    trace = Trace(source=["x"] * n_keys)
    for layer in range(n_sites):
        trace.add_site(Site(f"cross{layer}", "cross", layer, 2, "target", "source"), store="qk")
    queries, keys = (RNG.normal(size=(2, n, 5)).astype(np.float32) for n in (n_queries, n_keys))
    sinks = np.array([0.25, -0.5], np.float32)
    factors = Factors(queries, keys, Visible.all(n_queries, n_keys), 0.5, sinks=sinks)
    trace.append({f"cross{layer}": factors for layer in range(n_sites)})
    return trace


ROW_BYTES = 4 * (4 + 5 + 4 * 5)  # scores, a query and its keys


@pytest.mark.parametrize("n_rows", [1, 2, 3, 4, 7, 12])
def test_rows_are_explained_by_interest_as_far_as_they_fit(n_rows: int) -> None:
    order = [(1, 1), (1, 0), (0, 0), (0, 1)]
    rows = [(site, head, query) for site, head in order for query in range(3)]
    found = list(of_interest(known(), 1, 1, n_rows * ROW_BYTES))
    assert [(one.site, one.head, one.query) for one in found] == rows[:n_rows]
    less = list(of_interest(known(), 1, 1, n_rows * ROW_BYTES - 1))
    assert [(one.site, one.head, one.query) for one in less] == rows[: n_rows - 1]


def test_rows_of_the_mean_are_those_of_its_heads() -> None:
    found = [(one.site, one.head) for one in of_interest(known(), 1, MEAN, 10**6) if not one.query]
    assert found == [(1, 0), (1, 1), (0, 0), (0, 1)]


def test_what_was_not_recorded_is_said_once_a_head() -> None:
    found = list(of_interest(traced(2, 2, 3, 4), 0, 0, 16))
    assert [(one.site, one.head, one.query, one.terms, one.arrays()) for one in found] == [
        (site, head, ALL, None, []) for site in range(2) for head in range(2)
    ]
    assert list(of_interest(traced(2, 2, 3, 4), 0, 0, 15)) == []
    assert list(of_interest(Trace(), 0, 0, 10**6)) == []


@pytest.mark.parametrize("head", [0, 1])
def test_a_row_that_is_packed_says_what_it_came_of(head: int) -> None:
    said, data = pack_terms(explained(trace := known(), 1, head, 2), 100)
    about = {name: said[name] for name in ("site", "head", "query", "form", "scale", "softcap", "sink")}  # type: ignore[literal-required]
    assert about == {
        "site": 1,
        "head": head,
        "query": 2,
        "form": "dot",
        "scale": 0.5,
        "softcap": None,
        "sink": (0.25, -0.5)[head],
    }
    places = {it["name"]: (it["shape"], it["offset"]) for it in said["arrays"]}
    assert places == {"scores": ([4], 100), "query": ([5], 116), "keys": ([4, 5], 136)}
    scores, query, keys = np.split(np.frombuffer(data, "<f4"), [4, 9])
    assert np.allclose(scores, 0.5 * keys.reshape(4, 5) @ query, atol=1e-5)
    weights = np.exp(scores) / (np.exp(scores).sum() + math.exp((0.25, -0.5)[head]))
    assert np.allclose(weights, trace.weights(1, head)[2], atol=1e-5)


def test_pairs_and_biases_travel_without_head_and_query() -> None:
    terms = Terms(
        *(RNG.random((1, 1, 4), np.float32), "additive", RNG.random((1, 1, 5), np.float32)),
        pairs=RNG.random((1, 1, 4, 5), np.float32),
        vector=RNG.random(5, np.float32),
        bias=RNG.random((1, 1, 4), np.float32),
        softcap=3.0,
    )
    said, data = pack_terms(Explained(0, 0, 7, terms), 8)
    assert [(it["name"], it["shape"], it["offset"]) for it in said["arrays"]] == [
        ("scores", [4], 8),
        ("query", [5], 24),
        ("pairs", [4, 5], 44),
        ("vector", [5], 124),
        ("bias", [4], 144),
    ]
    assert (said["form"], said["softcap"], said["sink"]) == ("additive", 3.0, None)
    parts = (terms.scores, terms.queries, terms.pairs, terms.vector, terms.bias)
    assert data == b"".join(part.tobytes() for part in parts if part is not None)


# -- what is new


def test_a_site_without_news_does_not_hide_the_next() -> None:
    trace = Trace(source=list("abcde"))
    for name in ("still", "wide", "new"):
        trace.add_site(Site(name, "cross", 0, 2, "target", "source"))
    trace.append({"new": RNG.random((2, 1, 5), np.float32)})
    since = trace.cursor
    trace.append({"new": RNG.random((2, 1, 5), np.float32)})
    found = list(new_blocks(trace, since, trace.cursor))
    assert [(block.site, block.head, block.queries) for block in found] == [(2, head, Span(1, 2)) for head in range(2)]
    assert list(new_blocks(trace, since, Cursor())) == []
