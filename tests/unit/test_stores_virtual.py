"""Queries and keys give the weights that a softmax in float64 gives, in any tile, however they came."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from oracle import cut, random_factors, shown, softmaxed

from attnwidget.stores import Factors, VirtualStore, Visible
from attnwidget.stores.pooling import pooled
from attnwidget.stores.product import product

SEEDS = range(40)
LONG = 4096


def filled(*parts: Factors) -> VirtualStore:
    store = VirtualStore(len(parts[0].queries))
    for part in parts:
        store.append(part)
    return store


def drawn(seed: int, **change: object) -> tuple[np.random.Generator, Factors]:
    rng = np.random.default_rng(seed)
    n_queries, n_keys = (int(n) for n in rng.integers(1, 40, 2))
    return rng, random_factors(rng, n_queries, n_keys, **change)


@pytest.fixture(scope="module")
def long() -> VirtualStore:
    """One head over 4,096 positions."""
    rng = np.random.default_rng(4)
    queries, keys = (rng.normal(size=(1, LONG, 64)).astype(np.float16) for _ in range(2))
    return filled(Factors(queries, keys, Visible.causal(LONG, LONG), 0.125))


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_are_those_of_a_softmax_in_float64(seed: int) -> None:
    _, factors = drawn(seed)
    assert filled(factors).read() == pytest.approx(softmaxed(factors), abs=5e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_tile_is_a_part_of_the_whole(seed: int) -> None:
    rng, factors = drawn(seed)
    n_heads, n_queries, n_keys = factors.shape
    head, queries, keys = int(rng.integers(n_heads)), rng.integers(n_queries, size=5), rng.integers(n_keys, size=7)
    tile = filled(factors).read(queries, keys, heads=head)
    assert tile == pytest.approx(softmaxed(factors)[head][queries][:, keys], abs=5e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_that_come_in_parts_are_the_rows_at_once(seed: int) -> None:
    rng, factors = drawn(seed)
    n_queries, n_keys = factors.shape[1:]
    store, at, seen = VirtualStore(factors.shape[0]), 0, 0
    while at < n_queries:
        end = min(n_queries, at + int(rng.integers(1, 6)))
        # The keys that are new, or all keys again: both is what caches do.
        seen_after = max(seen, shown(factors.visible, n_keys)[:end].any(0).nonzero()[0].max(initial=0) + 1)
        first = 0 if rng.integers(2) or seen_after == seen else seen
        store.append(cut(factors, slice(at, end), slice(first, seen_after)))
        if rng.integers(2):
            store.read()
        at, seen = end, seen_after
    assert store.read() == pytest.approx(softmaxed(factors)[..., :seen], abs=5e-6)


@pytest.mark.parametrize("seed", range(10))
def test_sums_and_overviews_are_those_of_the_weights(seed: int) -> None:
    _, factors = drawn(seed)
    store, weights = filled(factors), softmaxed(factors)
    cells, pool = store.overview(0, size=8)
    assert store.column_sums() == pytest.approx(weights.sum(1), abs=2e-5)
    assert cells == pytest.approx(pooled(weights[0], pool), abs=5e-6)
    assert store.overview(None, size=8)[0] == pytest.approx(pooled(weights.mean(0), pool), abs=5e-6)


def test_an_overview_grows_with_the_rows() -> None:
    _, factors = drawn(
        3,
        visible=Visible.all(30, 30),
        queries=np.ones((2, 30, 4), np.float32),
        keys=np.random.default_rng(1).normal(size=(1, 30, 4)).astype(np.float32),
        bias=None,
        sinks=None,
    )
    store = VirtualStore(2)
    for at in range(0, 30, 7):
        store.append(cut(factors, slice(at, at + 7), slice(0, 30)))
        cells, pool = store.overview(1, size=10)
        assert cells == pytest.approx(pooled(softmaxed(factors)[1, : at + 7], pool), abs=5e-6)


def test_keys_that_are_written_over_count_for_the_rows_before() -> None:
    _, factors = drawn(
        11,
        visible=Visible.all(5, 9),
        queries=np.ones((2, 5, 4), np.float32),
        keys=np.ones((1, 9, 4), np.float32),
        bias=None,
    )
    store = filled(factors)
    store.read(), store.overview(0)
    others = np.random.default_rng(2).normal(size=(1, 9, 4)).astype(np.float32)
    now = Factors(factors.queries, others, factors.visible, factors.scale, softcap=factors.softcap, sinks=factors.sinks)
    store.append(now)
    expected = softmaxed(now)
    assert store.read() == pytest.approx(np.concatenate([expected, expected], axis=1), abs=5e-6)
    assert store.overview(0)[0] == pytest.approx(np.concatenate([expected[0]] * 2), abs=5e-6)


def test_float32_after_float16_loses_nothing() -> None:
    rng = np.random.default_rng(1)
    half = random_factors(
        rng,
        3,
        3,
        queries=np.ones((2, 3, 4), np.float16),
        keys=np.ones((1, 3, 4), np.float16),
        visible=Visible.causal(3, 3),
        bias=None,
        sinks=None,
        softcap=None,
    )
    exact = cut(half, slice(0, 1), slice(0, 3))
    exact = Factors(
        rng.normal(size=(2, 1, 4)).astype(np.float32),
        rng.normal(size=(1, 3, 4)).astype(np.float32),
        Visible.all(1, 3),
        exact.scale,
    )
    assert filled(half, exact).read()[:, 3:] == pytest.approx(softmaxed(exact), abs=1e-6)


def test_missing_rows_are_nan_over_the_keys_there_were() -> None:
    _, factors = drawn(5, bias=None)
    store = VirtualStore(factors.shape[0])
    store.append_missing(2, 1)
    store.append(factors)
    store.append_missing(1, factors.shape[2] + 2)
    weights = store.read()
    assert np.isnan(weights[:, :2, 0]).all()
    assert not weights[:, :2, 1:].any()
    assert weights[:, 2:-1, : factors.shape[2]] == pytest.approx(softmaxed(factors), abs=5e-6)
    assert np.isnan(weights[:, -1]).all()
    assert np.isfinite(store.column_sums()).all()


def test_rows_that_see_nothing_are_zero() -> None:
    mask = np.array([[True, False, True], [False, False, False]])
    _, factors = drawn(
        6,
        visible=Visible.of(mask),
        queries=np.ones((1, 2, 4), np.float32),
        keys=np.ones((1, 3, 4), np.float32),
        bias=None,
        sinks=None,
    )
    assert filled(factors).read()[0].tolist() == [[0.5, 0, 0.5], [0, 0, 0]]


def test_sinks_take_a_share() -> None:
    _, factors = drawn(
        7,
        visible=Visible.all(2, 3),
        queries=np.zeros((1, 2, 4), np.float32),
        keys=np.zeros((1, 3, 4), np.float32),
        bias=None,
        sinks=np.zeros(1, np.float32),
    )
    assert (filled(factors).read() == 0.25).all()


def test_numbers_that_are_none_come_through() -> None:
    queries = np.ones((1, 2, 4), np.float32)
    queries[0, 1, 2] = np.nan
    factors = Factors(queries, np.ones((1, 3, 4), np.float32), Visible.causal(2, 3), 1.0)
    weights = filled(factors).read()[0]
    assert np.isnan(weights[1]).all()
    assert weights[0].tolist() == [0.5, 0.5, 0]


@pytest.mark.parametrize("head", [3, -4, "first"])
def test_a_head_that_is_not_there_is_refused(head: int) -> None:
    store = VirtualStore(3)
    for read in (lambda: store.read(heads=head), lambda: store.column_sums(head), lambda: store.overview(head)):
        with pytest.raises(IndexError, match="the site has 3 heads"):
            read()


def test_a_long_row_and_a_tile_do_not_make_all_weights(long: VirtualStore) -> None:
    tracemalloc.start()
    try:
        long.read(slice(LONG - 1, LONG), heads=0)
        long.read(slice(3000, 3256), slice(1000, 1256), heads=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < LONG * LONG * 4 / 3


def test_a_long_overview_and_sums_do_not_make_all_weights(long: VirtualStore) -> None:
    tracemalloc.start()
    try:
        cells, pool = long.overview(0)
        sums = long.column_sums(0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < LONG * LONG * 4 / 3
    assert (cells.shape, pool) == ((256, 256), 16)
    assert sums.sum() == pytest.approx(LONG, rel=1e-5)


def test_a_store_takes_the_bytes_of_its_queries_and_keys(long: VirtualStore) -> None:
    assert 2 * LONG * 64 * 2 <= long.n_bytes < 2 * LONG * 64 * 2 * 1.5


GOOD: dict[str, Any] = {
    "queries": np.ones((4, 2, 8), np.float32),
    "keys": np.ones((2, 5, 8), np.float32),
    "visible": Visible.all(2, 5),
    "scale": 0.5,
}


@pytest.mark.parametrize(
    "change",
    [
        {"queries": np.ones((4, 2, 8))},
        {"queries": [[[1.0]]]},
        {"queries": np.ones((4, 2), np.float32)},
        {"keys": np.ones((2, 0, 8), np.float32)},
        {"keys": np.ones((3, 5, 8), np.float32)},
        {"keys": np.ones((2, 5, 4), np.float32)},
        {"visible": Visible.all(3, 5)},
        {"visible": Visible.all(2, 6)},
        {"first_key": -1},
        {"first_query": -1},
        {"scale": np.nan},
        {"softcap": 0.0},
        {"bias": np.zeros((4, 8), np.float32)},
        {"bias": np.zeros((4, 7), np.float32)},
        {"bias": np.zeros((2, 9), np.float32)},
        {"bias": np.zeros((1, 9), np.float32), "first_query": 4},
        {"sinks": np.zeros(2, np.float32)},
    ],
    ids=lambda change: "+".join(change),
)
def test_factors_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match="came"):
        Factors(**{**GOOD, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"queries": np.ones((2, 2, 8), np.float32)},
        {"keys": np.ones((4, 5, 8), np.float32)},
        {"queries": np.ones((4, 2, 4), np.float32), "keys": np.ones((2, 5, 4), np.float32)},
        {"scale": 0.25},
        {"softcap": 5.0},
        {"bias": np.zeros((1, 9), np.float32)},
        {"sinks": np.ones(4, np.float32)},
    ],
    ids=lambda change: "+".join(change),
)
def test_rows_of_another_softmax_are_refused(change: dict[str, Any]) -> None:
    store = filled(Factors(**GOOD, sinks=np.zeros(4, np.float32)))
    before = store.read()
    with pytest.raises(ValueError, match="came"):
        store.append(Factors(**{**GOOD, "sinks": np.zeros(4, np.float32), **change}))
    assert np.array_equal(store.read(), before)


def test_a_longer_bias_serves_all_rows() -> None:
    bias = np.random.default_rng(3).normal(size=(1, 2 * 7 - 1)).astype(np.float32)
    short = Factors(**{**GOOD, "bias": bias[:, 2:-2]})
    long = Factors(**{**GOOD, "keys": np.ones((2, 7, 8), np.float32), "bias": bias, "first_query": 2})
    weights = filled(short, long).read()
    assert weights[:, :2, :5] == pytest.approx(softmaxed(short), abs=1e-6)
    assert weights[:, 2:] == pytest.approx(softmaxed(long), abs=1e-6)


def test_arrays_that_are_read_only_are_kept_and_others_copied() -> None:
    rng, factors = drawn(3)
    mine, yours = factors.queries.copy(), factors.queries.copy()
    mine.flags.writeable = False
    assert np.shares_memory(filled(replace(factors, queries=mine)).state()[0]["queries"], mine)
    store = filled(replace(factors, queries=yours))
    before = store.read()
    yours[:] = rng.normal(size=yours.shape)
    assert store.read() == pytest.approx(before)


def test_rows_and_keys_are_written_behind_and_over_read_only_ones() -> None:
    _, factors = drawn(5)
    queries, keys = factors.queries.copy(), factors.keys.copy()
    queries.flags.writeable = keys.flags.writeable = False
    fixed, old = replace(factors, queries=queries, keys=keys), keys.copy()
    other = replace(factors, keys=np.ascontiguousarray(keys[:, ::-1]))
    n_queries = factors.shape[1]
    assert filled(fixed, other).read()[:, n_queries:] == pytest.approx(softmaxed(other), abs=5e-6)
    assert np.array_equal(keys, old)


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 300, 64), (17, 4097, 64), (65, 130, 3), (130, 257, 128), (3, 5, 300_000)]
)
def test_products_in_pieces_are_products(shape: tuple[int, int, int]) -> None:
    n_queries, n_keys, width = shape
    rng = np.random.default_rng(4)
    queries, keys = rng.normal(size=(n_queries, width)).astype("f4"), rng.normal(size=(n_keys, width)).astype("f4")
    assert product(queries, keys) == pytest.approx(queries.astype(float) @ keys.astype(float).T, abs=2e-3 * width**0.5)
