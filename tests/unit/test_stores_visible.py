"""Which keys a query may see comes back as it was said, in two numbers a row where that is enough."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import shown

from attnwidget.stores import Visible


@pytest.mark.parametrize("seed", range(20))
def test_any_mask_comes_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 30, 2)) < rng.choice([0.05, 0.5, 0.97])
    visible = Visible.of(mask)
    assert np.array_equal(shown(visible, mask.shape[1]), mask)
    assert not shown(visible, mask.shape[1] + 20)[:, mask.shape[1] :].any()


@pytest.mark.parametrize(("n_queries", "n_keys"), [(4, 4), (3, 7), (7, 3), (1, 9)])
@pytest.mark.parametrize("window", [None, 1, 2, 20])
def test_the_last_query_sees_the_last_key(n_queries: int, n_keys: int, window: int | None) -> None:
    i, j = np.arange(n_queries)[:, None] + n_keys - n_queries, np.arange(n_keys)
    expected = (j <= i) & (j > i - (window or n_keys))
    assert np.array_equal(shown(Visible.causal(n_queries, n_keys, window), n_keys), expected)


def test_ranges_need_no_bits() -> None:
    assert Visible.of(np.tril(np.ones((9, 9), bool))).bits.size == 0


def test_only_rows_with_holes_have_bits() -> None:
    mask = np.tril(np.ones((9, 9), bool))
    mask[7, 3] = False
    assert Visible.of(mask).holed.tolist() == [7]


def test_parts_are_put_under_each_other() -> None:
    masks = [np.random.default_rng(n).random((n, 3 * n)) < 0.6 for n in (2, 5, 9)]
    whole = np.concatenate([np.pad(mask, ((0, 0), (0, 27 - mask.shape[1]))) for mask in masks])
    assert np.array_equal(shown(Visible.joined([Visible.of(mask) for mask in masks]), 27), whole)


@pytest.mark.parametrize("mask", [np.ones((2, 3)), np.ones(3, bool)])
def test_a_mask_is_bool_with_two_axes(mask: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"bool \[query, key\] was expected"):
        Visible.of(mask)


@pytest.mark.parametrize(
    "arrays",
    [
        ([0, 1], [1]),
        ([2], [1]),
        ([-1], [1]),
        ([0, 0], [3, 3], [2], [[255]]),
        ([0, 0], [3, 3], [1, 0], [[255], [255]]),
        ([0, 0], [3, 3], [1], [[255], [255]]),
        ([0, 0], [3, 9], [1], [[255]]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: tuple[list[int], ...]) -> None:
    with pytest.raises(ValueError, match="visible: "):
        Visible(*map(np.array, arrays))
