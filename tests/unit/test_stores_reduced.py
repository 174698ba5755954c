"""A reduced store keeps the largest weights at their places, and what can be summed up of all."""

from __future__ import annotations

import numpy as np
import pytest

from attnwidget import analysis
from attnwidget.stores import ReducedStore
from attnwidget.stores.pooling import pooled


def softmax(*shape: int, seed: int = 0) -> np.ndarray:
    weights = np.exp(np.random.default_rng(seed).normal(0, 3, shape))
    return (weights / weights.sum(-1, keepdims=True)).astype(np.float32)


def filled(weights: np.ndarray, *, at_once: int) -> ReducedStore:
    store = ReducedStore(len(weights))
    for at in range(0, weights.shape[1], at_once):
        store.append(weights[:, at : at + at_once])
    return store


def largest(weights: np.ndarray) -> np.ndarray:
    """Return weights with all but the 16 largest of each row set to 0."""
    return np.where(weights >= np.sort(weights)[..., -16:][..., :1], weights, 0)


@pytest.mark.parametrize("n_keys", [1, 15, 16, 17, 100])
@pytest.mark.parametrize("at_once", [1, 7, 40])
def test_the_largest_weights_are_at_their_places(n_keys: int, at_once: int) -> None:
    weights = softmax(3, 40, n_keys)
    assert np.array_equal(filled(weights, at_once=at_once).read(), largest(weights))


def test_a_tile_is_a_part_of_the_whole() -> None:
    weights = softmax(3, 40, 100)
    tile = filled(weights, at_once=40).read(np.array([3, 0]), slice(20, 90), heads=-1)
    assert np.array_equal(tile, largest(weights)[2][[3, 0]][:, 20:90])


def test_sums_and_entropy_are_those_of_all_weights() -> None:
    weights = softmax(3, 40, 100)
    store = filled(weights, at_once=7)
    assert store.column_sums() == pytest.approx(weights.sum(1), abs=1e-5)
    assert store.column_sums(1) == pytest.approx(weights[1].sum(0), abs=1e-5)
    assert store.entropy == pytest.approx(analysis.entropy(weights))


@pytest.mark.parametrize("shape", [(2, 100, 90), (2, 300, 200), (2, 700, 1100), (1, 1, 3000)])
@pytest.mark.parametrize("at_once", [1, 64, 2000])
def test_an_overview_is_the_maximum_of_squares(shape: tuple[int, int, int], at_once: int) -> None:
    weights = softmax(*shape)
    cells, pool = filled(weights, at_once=at_once).overview(0)
    assert max(cells.shape) <= 256
    assert np.array_equal(cells, pooled(weights[0], pool))


def test_an_overview_can_be_smaller() -> None:
    weights = softmax(1, 300, 200)
    cells, pool = filled(weights, at_once=300).overview(0, size=20)
    assert (pool, cells.shape) == (16, (19, 13))
    assert np.array_equal(cells, pooled(weights[0], 16))


def test_rows_grow_with_their_keys() -> None:
    store = ReducedStore(1)
    for n_keys in range(1, 400):
        store.append(np.full((1, 1, n_keys), 1 / n_keys, np.float32))
    assert store.column_sums(0)[0] == pytest.approx(sum(1 / n for n in range(1, 400)), rel=1e-5)
    assert np.count_nonzero(store.read()[0], axis=1).tolist() == [min(n, 16) for n in range(1, 400)]


def test_missing_rows_are_nan_over_the_keys_there_were() -> None:
    store = ReducedStore(2)
    store.append_missing(1, 30)
    store.append(softmax(2, 1, 40))
    weights = store.read()
    assert np.isnan(weights).sum(2).tolist() == [[30, 0], [30, 0]]
    assert np.isfinite(store.column_sums()).all()


def test_what_is_no_number_is_kept() -> None:
    weights = softmax(1, 1, 100)
    weights[0, 0, [7, 50]] = np.nan, np.inf
    kept = filled(weights, at_once=1).read()[0, 0]
    assert np.isnan(kept[7])
    assert kept[50] == np.inf


def test_a_long_matrix_takes_few_bytes() -> None:
    assert filled(softmax(1, 2048, 2048), at_once=512).n_bytes < 2048 * 2048 * 4 / 20


@pytest.mark.parametrize("head", [3, -4])
def test_a_head_that_is_not_there_is_refused(head: int) -> None:
    store = ReducedStore(3)
    for read in (lambda: store.read(heads=head), lambda: store.column_sums(head), lambda: store.overview(head)):
        with pytest.raises(IndexError, match="the site has 3 heads"):
            read()
