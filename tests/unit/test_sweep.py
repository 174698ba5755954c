"""Sweeps: a picture from the first moment, the largest weight of each cell in the end, and sums on the way."""

from __future__ import annotations

import numpy as np
import pytest

from attnwidget import Site, Trace, sweep
from attnwidget.analysis import strength
from attnwidget.stores.factors import Factors
from attnwidget.stores.visible import Visible
from attnwidget.sweep import Span, Sweep, Sweeps


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a few rows, so that small matrices take many of them."""
    monkeypatch.setattr(sweep, "AT_ONCE", 64)
    monkeypatch.setattr(sweep, "LEAST_ROWS", 2)


def traced(n_queries: int = 37, n_keys: int = 29, n_heads: int = 2) -> Trace:
    weights = np.random.default_rng(1).dirichlet(np.full(n_keys, 0.2), (n_heads, n_queries)).astype(np.float32)
    return Trace.from_weights(weights, source=["k"] * n_keys, target=["q"] * n_queries)


def largest(weights: np.ndarray, queries: Span, keys: Span) -> np.ndarray:
    """Return what the cells must come to, cell by cell."""
    cells = np.zeros((queries.n_cells, keys.n_cells), np.float32)
    for r in range(queries.n_cells):
        for c in range(keys.n_cells):
            rows = slice(queries.first + r * queries.per, min(queries.first + (r + 1) * queries.per, queries.end))
            columns = slice(keys.first + c * keys.per, min(keys.first + (c + 1) * keys.per, keys.end))
            cells[r, c] = weights[rows, columns].max()
    return cells


def finished(made: Sweep) -> Sweep:
    while not made.done:
        made.run(0)
    return made


@pytest.mark.parametrize("head", [0, 1, None])
@pytest.mark.parametrize(
    ("queries", "keys"),
    [
        (Span(0, 37, 4), Span(0, 29, 8)),
        (Span(0, 37, 1), Span(0, 29, 1)),
        (Span(5, 20, 2), Span(3, 28, 4)),
        (Span(36, 37, 1), Span(28, 29, 16)),
        (Span(0, 37, 37), Span(0, 29, 29)),
    ],
)
def test_cells_are_the_largest_weights(head: int | None, queries: Span, keys: Span) -> None:
    trace = traced()
    weights = trace.weights(0, "mean" if head is None else head)
    made = finished(Sweep(trace, 0, head, queries, keys))
    assert np.array_equal(made.cells, largest(weights, queries, keys))


@pytest.mark.parametrize("n_pieces", range(1, 30, 3))
def test_a_picture_is_never_above_the_truth_and_never_lacks_a_cell(n_pieces: int) -> None:
    trace, queries, keys = traced(), Span(0, 37, 4), Span(0, 29, 4)
    made = Sweep(trace, 0, 0, queries, keys)
    for _ in range(n_pieces):
        made.run(0)
    assert np.isfinite(made.cells).all()
    rows = trace.weights(0, 0).reshape(37, 29)
    assert (made.cells.max(0) <= largest(rows, Span(0, 37, 37), keys)[0] + 1e-7).all()


def test_the_first_piece_is_of_rows_from_all_over() -> None:
    made = Sweep(traced(64, 16), 0, 0, Span(0, 64, 8), Span(0, 16, 1))
    made.run(0)
    assert 0 < made._known.sum() < 8
    assert made._known[4:].any()
    assert not made.done


def test_sums_are_of_the_first_rows() -> None:
    trace = traced()
    made = finished(Sweep(trace, 0, 0, Span(0, 37, 4), Span(0, 29, 8)))
    for n_steps in (1, 4, 5, 36, 37):
        count, sums = made.sums(n_steps) or (0, np.zeros(0))
        assert count == n_steps
        assert sums == pytest.approx(strength(trace.weights(0)[:1, :n_steps])[0], abs=1e-5)


def test_sums_of_many_rows_are_of_somewhat_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "CATCH_UP", 30)
    made = finished(Sweep(traced(), 0, 0, Span(0, 37, 4), Span(0, 29, 8)))
    assert [(made.sums(n) or (0,))[0] for n in (8, 9, 10, 37)] == [8, 9, 8, 37]


def test_sums_are_not_known_before_their_rows_are_read() -> None:
    made = Sweep(traced(), 0, 0, Span(0, 37, 4), Span(0, 29, 8))
    made.run(0)
    assert made.sums(37) is None


def test_a_part_of_the_keys_has_no_sums() -> None:
    assert finished(Sweep(traced(), 0, 0, Span(0, 37, 4), Span(1, 29, 8))).sums(3) is None


def test_nan_is_where_there_is_nothing_else() -> None:
    weights = np.full((1, 4, 4), 0.25, np.float32)
    weights[0, 2:] = np.nan
    weights[0, 0, 3] = np.nan
    trace = Trace.from_weights(weights, source=list("abcd"), target=list("wxyz"))
    made = finished(Sweep(trace, 0, 0, Span(0, 4, 2), Span(0, 4, 2)))
    assert np.array_equal(made.cells, [[0.25, 0.25], [np.nan, np.nan]], equal_nan=True)


def test_queries_and_keys_give_what_weights_give() -> None:
    n, rng = 50, np.random.default_rng(2)
    queries, keys = rng.normal(size=(2, 3, n, 4)).astype(np.float32)
    trace = Trace(source=["x"] * n)
    trace.add_site(Site("own", "encoder", 0, 3, "source", "source"), store="qk")
    trace.append({"own": Factors(queries, keys, Visible.causal(n, n), 0.5)})
    made = finished(Sweep(trace, 0, 1, Span(8, 48, 8), Span(4, 50, 2)))
    assert made.cells == pytest.approx(largest(trace.weights(0, 1), Span(8, 48, 8), Span(4, 50, 2)), abs=1e-6)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ((1, 0, Span(0, 37), Span(0, 29)), "site: 1 came, the trace has 1 sites"),
        ((0, 2, Span(0, 37), Span(0, 29)), "head: 2 came, cross has 2 heads"),
        ((0, 0, Span(0, 38), Span(0, 29)), "queries: 0 to 38 in cells of 1 came, cross has 37 queries"),
        ((0, 0, Span(3, 3), Span(0, 29)), "queries: 3 to 3"),
        ((0, 0, Span(0, 37), Span(-1, 29)), "keys: -1 to 29"),
        ((0, 0, Span(0, 37), Span(0, 29, 0)), "keys: 0 to 29 in cells of 0"),
    ],
)
def test_what_is_outside_the_matrix_is_refused_by_name(place: tuple[int, int, Span, Span], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Sweep(traced(), *place)


def test_sweeps_are_kept_within_a_budget() -> None:
    trace = traced()
    spans = Span(0, 37, 4), Span(0, 29, 8)
    sweeps = Sweeps(trace, most_bytes=2 * Sweep(trace, 0, 0, *spans).n_bytes)
    first = sweeps.sweep(0, 0, *spans)
    assert sweeps.sweep(0, 0, *spans) is first
    sweeps.sweep(0, 1, *spans)
    sweeps.sweep(0, None, *spans)
    assert sweeps.n_bytes <= 2 * first.n_bytes
    assert sweeps.sweep(0, 0, *spans) is not first


def test_a_sweep_of_fewer_rows_begins_anew() -> None:
    trace = Trace(source=list("abc"))
    trace.add_site(Site("cross", "cross", 0, 1, "target", "source"))
    trace.append({"cross": np.full((1, 1, 3), 1 / 3)}, token="x")
    sweeps = Sweeps(trace)
    first = sweeps.sweep(0, 0, Span(0, 1), Span(0, 3))
    trace.append({"cross": np.full((1, 1, 3), 1 / 3)}, token="y")
    assert sweeps.sweep(0, 0, Span(0, 1), Span(0, 3)) is not first


@pytest.mark.parametrize(("n_tokens", "per"), [(1, 1), (256, 1), (257, 2), (512, 2), (513, 4), (131_072, 512)])
def test_a_whole_axis_has_cells_of_a_power_of_two(n_tokens: int, per: int) -> None:
    assert Span.of(n_tokens, 256) == (0, n_tokens, per)
