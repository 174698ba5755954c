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


def test_coverage_deviation_is_the_published_penalty() -> None:
    received = [0.75, 0.5, 0.75, 0, 0]
    expected = -sum(np.log(1 + (1 - s) ** 2) for s in received) / 5
    assert analysis.coverage_deviation(ROWS)[0] == pytest.approx(expected)


def test_a_permutation_is_covered_and_not_scattered() -> None:
    weights = np.eye(4, dtype=np.float32)[None, [2, 0, 3, 1]]
    out, into = analysis.absentmindedness(weights)
    assert [analysis.coverage_deviation(weights)[0], out[0], into[0]] == [0, 0, 0]


def test_absentmindedness_is_entropy_in_nats_with_its_sign_turned() -> None:
    out, into = analysis.absentmindedness(np.full((1, 3, 5), 0.2, np.float32))
    assert out[0] == pytest.approx(-np.log(5))
    assert into[0] == pytest.approx(-np.log(3))


def test_columns_without_attention_are_not_scattered() -> None:
    _, into = analysis.absentmindedness(ROWS)
    two_thirds = -(2 / 3) * np.log(2 / 3) - (1 / 3) * np.log(1 / 3)
    assert into[0] == pytest.approx(-two_thirds / 5)


@pytest.mark.parametrize("token", ["[CLS]", "</s>", "<|endoftext|>", "<|im start|>", "<extra_id_7>", "<pad>"])
def test_special_tokens_are_known_by_their_text(token: str) -> None:
    assert analysis.special_keys(["a", token], np.full((2, 2), 0.5)) == [1]


@pytest.mark.parametrize("token", ["<0x0A>", "[1]", "<b>", "", "s", "[UNK]", "<script>", "<|", "|>"])
def test_other_tokens_are_not_special(token: str) -> None:
    assert analysis.special_keys(["a", token], np.full((2, 2), 0.5)) == []


def test_a_sink_takes_much_of_many_rows() -> None:
    weights = np.full((8, 5), 0.15)
    weights[:, 3] = 0.4
    assert analysis.special_keys(list("abcde"), weights) == [3]
    assert analysis.special_keys(list("abcde"), weights[:7]) == []


def test_few_rows_that_see_a_key_make_no_sink() -> None:
    weights = np.zeros((20, 3))
    weights[:9, 0] = weights[9:18, 1] = weights[18:, 2] = 1
    assert analysis.special_keys(list("abc"), weights) == []


def test_what_is_left_out_is_shared_out() -> None:
    assert analysis.without(np.array([[0.5, 0.25, 0.25]]), [0]).tolist() == [[0, 0.5, 0.5]]


def test_a_row_with_nothing_else_is_zero() -> None:
    assert analysis.without(np.array([[1.0, 0, 0]]), [0]).tolist() == [[0, 0, 0]]


def test_rows_keep_the_sum_they_had() -> None:
    assert analysis.without(np.array([[0.2, 0.2, 0.2]]), [2])[0] == pytest.approx([0.3, 0.3, 0])
