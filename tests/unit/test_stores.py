"""A store grows along both axes and gives copies."""

from __future__ import annotations

import numpy as np
import pytest

from attnwidget.stores import DenseStore, stack


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


# -- pieces


def in_turns(weights: np.ndarray, turns: list[int]) -> DenseStore:
    """Add rows in turns of so many, each as wide as the keys that its last query saw."""
    store, first = DenseStore(len(weights)), 0
    for n_rows in turns:
        n_keys = min(weights.shape[2], first + n_rows + 3)
        store.append(weights[:, first : first + n_rows, :n_keys])
        first += n_rows
    return store


def seen(n_queries: int, n_keys: int, turns: list[int]) -> np.ndarray:
    """Weights of which each turn sees three keys more than there were queries."""
    weights = np.random.default_rng(5).random((3, n_queries, n_keys), dtype=np.float32)
    ends = np.repeat(np.cumsum(turns), turns) + 3
    return np.where(np.arange(n_keys) < ends[:, None], weights, 0)


TURNS = [[1] * 90, [40, *[1] * 50], [1, 60, 2, 27], [90]]


@pytest.mark.parametrize("piece_bytes", [1, 4000, 1 << 20])
@pytest.mark.parametrize("turns", TURNS, ids=map(str, map(len, TURNS)))
def test_however_rows_come_what_is_read_is_the_same(
    turns: list[int], piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "PIECE_BYTES", piece_bytes)
    weights = seen(90, 93, turns)
    store = in_turns(weights, turns)
    some, few = np.array([89, 3, 4, 41, 40]), np.array([92, 0, 7])
    assert np.array_equal(store.read(), weights)
    assert np.array_equal(store.read(heads=1), weights[1])
    assert np.array_equal(store.read(slice(30, 70), slice(2, 50)), weights[:, 30:70, 2:50])
    assert np.array_equal(store.read(some, few, heads=slice(1, 3)), weights[1:3, some][:, :, few])
    assert np.array_equal(store.read(slice(None, None, -7)), weights[:, ::-7])
    assert store.column_sums() == pytest.approx(weights.sum(1), abs=1e-4)
    assert np.array_equal(np.asarray(store.state()[0]["weights"]), weights)
    assert np.array_equal(DenseStore.restored({"weights": np.asarray(store.state()[0]["weights"])}, {}).read(), weights)


def test_what_is_there_is_not_copied_when_rows_come(rows: np.ndarray) -> None:
    store = DenseStore(3)
    store.append(rows)
    (before,) = store._stack._pieces
    for _ in range(100):
        store.append(rows[:, :1])
    assert np.shares_memory(store._stack._pieces[0], before)


def test_a_state_stays_what_it_was_when_rows_come(store: DenseStore, rows: np.ndarray) -> None:
    weights = store.state()[0]["weights"]
    store.append(rows[:, :1])
    assert np.array_equal(np.asarray(weights), rows)
