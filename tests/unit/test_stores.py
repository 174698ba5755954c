"""A store grows along both axes and gives copies."""

from __future__ import annotations

import numpy as np
import pytest

from attnwidget.stores import DenseStore


@pytest.fixture
def rows() -> np.ndarray:
    return np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)


@pytest.fixture
def store(rows: np.ndarray) -> DenseStore:
    made = DenseStore(3)
    made.append(rows)
    return made


def test_rows_come_back_as_they_went_in(store: DenseStore, rows: np.ndarray) -> None:
    assert np.array_equal(store.read(), rows)


def test_rows_one_by_one_are_the_rows_at_once(rows: np.ndarray) -> None:
    store = DenseStore(3)
    for query in range(4):
        store.append(rows[:, query : query + 1])
    assert np.array_equal(store.read(), rows)


def test_keys_that_came_later_are_zero_before() -> None:
    store = DenseStore(1)
    for n_keys in range(1, 40):
        store.append(np.ones((1, 1, n_keys), np.float32))
    assert np.array_equal(store.read()[0], np.tril(np.ones((39, 39), np.float32)))


def test_fewer_keys_are_filled_up(store: DenseStore) -> None:
    store.append(np.ones((3, 1, 2), np.float32))
    assert store.read()[0, 4].tolist() == [1, 1, 0, 0, 0]


def test_what_is_read_is_a_copy(store: DenseStore) -> None:
    store.read()[:] = 0
    assert store.read().any()


def test_what_went_in_can_change(store: DenseStore, rows: np.ndarray) -> None:
    rows[:] = -1
    assert store.read().min() == 0


def test_one_head_has_no_first_axis(store: DenseStore, rows: np.ndarray) -> None:
    assert np.array_equal(store.read(heads=-1), rows[2])


def test_lists_of_queries_and_keys_choose_a_grid(store: DenseStore, rows: np.ndarray) -> None:
    got = store.read(np.array([3, 0]), np.array([1, 4, 2]))
    assert np.array_equal(got, rows[:, [3, 0]][:, :, [1, 4, 2]])


@pytest.mark.parametrize("head", [3, -4, "first"])
def test_a_head_that_is_not_there_is_refused(store: DenseStore, head: int) -> None:
    with pytest.raises(IndexError, match="the site has 3 heads"):
        store.read(heads=head)


def test_a_query_that_is_not_there_is_refused(store: DenseStore) -> None:
    with pytest.raises(IndexError):
        store.read(np.array([4]))
