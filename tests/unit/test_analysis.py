"""Strength, spread and mean, held against numbers made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from attnwidget import analysis

ROWS = np.array([[[0.5, 0.5, 0, 0, 0], [0.25, 0, 0.75, 0, 0]]], np.float32)


def test_strength_is_the_sum_over_queries() -> None:
    assert analysis.strength(ROWS).tolist() == [[0.75, 0.5, 0.75, 0, 0]]


def test_strength_sums_to_the_number_of_queries(weights: np.ndarray) -> None:
    assert analysis.strength(weights[0]).sum(-1) == pytest.approx([4, 4, 4], abs=1e-5)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_adds_no_strength(odd: float) -> None:
    assert analysis.strength(np.array([[[odd, 0.5]]], np.float32)).tolist() == [[0, 0.5]]


def test_strength_by_step_ends_at_strength(weights: np.ndarray) -> None:
    assert np.array_equal(analysis.strength_by_step(weights[0])[:, -1], analysis.strength(weights[0]))


def test_strength_by_step_is_a_running_sum() -> None:
    assert analysis.strength_by_step(ROWS)[0].tolist() == [[0.5, 0.5, 0, 0, 0], [0.75, 0.5, 0.75, 0, 0]]


@pytest.mark.parametrize("measure", [analysis.strength, analysis.strength_by_step])
def test_another_rank_is_refused(measure: object) -> None:
    with pytest.raises(ValueError, match=r"shape \(4, 5\) came"):
        measure(np.zeros((4, 5)))


def test_a_lone_weight_has_no_spread() -> None:
    assert analysis.entropy(np.array([[[0, 1, 0, 0, 0]]], np.float32)).tolist() == [[0]]


def test_a_uniform_row_has_the_largest_spread() -> None:
    assert analysis.entropy(np.full((1, 1, 4), 0.25, np.float32)).tolist() == [[2]]


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, -0.5])
def test_odd_weights_do_not_spread(odd: float) -> None:
    assert analysis.entropy(np.array([[[odd, 0.5]]], np.float32)).tolist() == [[0.5]]


def test_the_mean_is_over_heads(weights: np.ndarray) -> None:
    assert analysis.mean(weights[0]) == pytest.approx((weights[0, 0] + weights[0, 1] + weights[0, 2]) / 3, abs=1e-7)


@pytest.mark.filterwarnings("error")
def test_infinite_weights_of_both_signs_have_no_mean() -> None:
    assert np.isnan(analysis.mean(np.array([[[np.inf]], [[-np.inf]]], np.float32))).all()


@pytest.mark.filterwarnings("error")
def test_a_strength_too_large_to_hold_is_infinite() -> None:
    assert analysis.strength(np.full((1, 2, 1), 3e38, np.float32)).tolist() == [[np.inf]]
