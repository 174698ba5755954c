"""Arrays of any library become float32, or a sentence; unusual weights are flagged with count and place."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch

from attnwidget.checks import (
    HALF_SUM_TOLERANCE,
    SUM_TOLERANCE,
    as_array,
    as_probability,
    find_empty_rows,
    find_flags,
)

NUMBERS = np.array([[0.25, 0.75, 0], [0.5, 0, 0.5]], np.float32)


class Jax:
    """An array of another library: all that is known of it is `__array__`."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return self._array


class LikeTorch:
    """A tensor of a library that is like torch, but knows neither meta devices nor layouts."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def detach(self) -> LikeTorch:
        return self

    def cpu(self) -> LikeTorch:
        return self

    def is_floating_point(self) -> bool:
        return True

    def float(self) -> LikeTorch:
        return LikeTorch(self._array.astype(np.float32))

    def numpy(self) -> np.ndarray:
        return self._array


T = torch.tensor(NUMBERS)
SAME = {
    "float64": NUMBERS.astype("f8"),
    "float16": NUMBERS.astype("f2"),
    "long double": NUMBERS.astype("g"),
    "big-endian": NUMBERS.astype(">f4"),
    "fortran": np.asfortranarray(NUMBERS),
    "strided": np.repeat(NUMBERS, 2, axis=1)[:, ::2],
    "backwards": NUMBERS[:, ::-1].copy()[:, ::-1],
    "read-only": np.broadcast_to(NUMBERS, (2, 3)),
    "nested lists": NUMBERS.tolist(),
    "list of arrays": list(NUMBERS),
    "matrix": np.ma.masked_array(NUMBERS),
    "jax": Jax(NUMBERS),
    "list of jax": [Jax(row) for row in NUMBERS],
    "like torch": LikeTorch(NUMBERS.astype(np.float16)),
    "torch": T,
    "torch with gradients": T.clone().requires_grad_(),
    "torch bfloat16": T.bfloat16(),
    "torch half": T.half(),
    "torch float8": T.to(torch.float8_e4m3fn),
    "torch double": T.double(),
    "torch strided": T.T.contiguous().T,
    "parameter": torch.nn.Parameter(T),
    "list of rows with gradients": [row.clone().requires_grad_() for row in T],
    "list of bfloat16": [row.bfloat16() for row in T],
}


@pytest.mark.parametrize("value", SAME.values(), ids=SAME.keys())
def test_an_array_of_any_library_is_read(value: object) -> None:
    assert np.array_equal(as_array(value, name="w")[0], NUMBERS)


@pytest.mark.parametrize("value", [T, NUMBERS, T.double()], ids=["torch", "numpy", "torch double"])
def test_an_array_that_was_read_is_a_copy(value: object) -> None:
    as_array(value, name="w")[0][:] = 9
    assert np.array_equal(np.asarray(value), NUMBERS)


@pytest.mark.parametrize("value", SAME.values(), ids=SAME.keys())
def test_what_was_read_lies_row_by_row_and_can_be_written(value: object) -> None:
    array, _ = as_array(value, name="w")
    assert (array.dtype, array.flags.c_contiguous, array.flags.writeable) == (np.float32, True, True)


@pytest.mark.parametrize("dtype", ["?", "b", "B", "h", "H", "i", "I", "q", "Q"])
def test_whole_numbers_are_read(dtype: str) -> None:
    assert as_array(np.array([[1, 0]], dtype), name="w")[0].tolist() == [[1, 0]]


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.uint8])
def test_whole_numbers_of_torch_are_read(dtype: torch.dtype) -> None:
    assert as_array(torch.tensor([[1, 0]], dtype=dtype), name="w")[0].tolist() == [[1, 0]]


@pytest.mark.parametrize("value", [NUMBERS.astype("f2"), T.half(), T.bfloat16(), [T[0].half(), T[1].half()]])
def test_half_precision_is_given_room(value: object) -> None:
    assert as_array(value, name="w")[1] == HALF_SUM_TOLERANCE


def test_a_list_is_given_the_room_of_its_least_exact_part() -> None:
    assert as_array([T[0], T[1].half()], name="w")[1] == as_array([T[0].half(), T[1]], name="w")[1]
    assert as_array([T[0], T[1].half()], name="w")[1] == HALF_SUM_TOLERANCE


@pytest.mark.parametrize("value", [[], [[]], (), [(), ()]])
def test_an_empty_list_is_an_empty_array(value: object) -> None:
    assert as_array(value, name="w")[0].size == 0


def test_single_precision_is_not(weights: np.ndarray) -> None:
    assert as_array(weights, name="w")[1] == SUM_TOLERANCE


def test_what_a_mask_hides_is_nan() -> None:
    array, _ = as_array(np.ma.masked_array(NUMBERS, NUMBERS > 0.6), name="w")
    assert np.argwhere(np.isnan(array)).tolist() == [[0, 1]]


def test_what_a_mask_hides_in_a_list_is_nan() -> None:
    array, _ = as_array([np.ma.masked_array(row, row > 0.6) for row in NUMBERS], name="w")
    assert np.argwhere(np.isnan(array)).tolist() == [[0, 1]]


@pytest.mark.filterwarnings("error")
def test_numbers_beyond_float32_become_infinite() -> None:
    assert as_array(np.array([1e300]), name="w")[0].tolist() == [np.inf]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "w: None came, weights were expected. Did the model return them?"),
        (T.to("meta"), "w: a tensor on the meta device holds no numbers. Run the model on a real device."),
        (T.to_sparse(), "w: a sparse tensor came, a dense one was expected. Call .to_dense() on it."),
        ([T, None], "w[1]: None came, weights were expected. Did the model return them?"),
        (
            [[T], [T.to("meta")]],
            "w[1][0]: a tensor on the meta device holds no numbers. Run the model on a real device.",
        ),
    ],
)
def test_what_holds_no_real_numbers_is_refused(value: object, said: str) -> None:
    with pytest.raises(TypeError) as error:
        as_array(value, name="w")
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("abc", "<U3 with shape ()"),
        (["a", "b"], "<U1 with shape (2,)"),
        ([[0.5, None]], "object with shape (1, 2)"),
        (object(), "object with shape ()"),
        (NUMBERS.astype(complex), "complex128 with shape (2, 3)"),
        (T.to(torch.complex64), "complex64 with shape (2, 3)"),
        (torch.conj(T.to(torch.complex64)), "complex64 with shape (2, 3)"),
        (np.ma.masked_array(["a"]), "<U1 with shape (1,)"),
        (np.zeros(2, "M8[s]"), "datetime64[s] with shape (2,)"),
        (np.zeros(2, [("a", "f4")]), "[('a', '<f4')] with shape (2,)"),
    ],
)
def test_what_holds_other_things_than_real_numbers_is_refused_with_its_shape(value: object, kind: str) -> None:
    with pytest.raises(TypeError) as error:
        as_array(value, name="w")
    remedy = "Turn them into an array of floats first."
    assert str(error.value) == f"w: numbers of dtype {kind} came, real numbers were expected. {remedy}"


@pytest.mark.filterwarnings("ignore:.*quantized tensor creation")
def test_what_torch_has_not_computed_yet_is_computed() -> None:
    assert np.array_equal(as_array(torch._neg_view(T), name="w")[0], -NUMBERS)
    assert np.array_equal(as_array(torch.quantize_per_tensor(T, 0.25, 0, torch.qint8), name="w")[0], NUMBERS)
    steps = torch.quantize_per_channel(T, torch.tensor([0.25, 0.5]), torch.zeros(2), 0, torch.qint8)
    assert np.array_equal(as_array(steps, name="w")[0], [[0.25, 0.75, 0], [0.5, 0, 0.5]])


def test_a_list_without_an_end_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match=r"^w: nested lists of different lengths came"):
        as_array(endless, name="w")


def test_a_tensor_that_numpy_cannot_hold_is_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nested = torch.nested.nested_tensor([T, T[:1]])
    with pytest.raises(
        TypeError, match=r"^w: a tensor came that does not turn into numpy\. Pass a dense, plain one\.$"
    ):
        as_array(nested, name="w")


@pytest.mark.parametrize("value", [[[1, 2], [3]], [T[0], T[0, :1]]])
def test_ragged_lists_are_refused(value: object) -> None:
    with pytest.raises(
        ValueError, match=r"^w: nested lists of different lengths came, .*Pad the short rows with 0, or pass one"
    ):
        as_array(value, name="w")


def one(kind: str, value: float) -> np.ndarray:
    """Rows of 3 heads, 4 queries, 5 keys that are right but for one weight, at head 1, query 2, key 3."""
    rows = np.full((3, 4, 5), 0.2, np.float32)
    rows[1, 2, 3] = value
    return rows


@pytest.mark.parametrize(
    ("kind", "value", "place"),
    [
        ("nan", np.nan, (1, 2, 3)),
        ("infinite", np.inf, (1, 2, 3)),
        ("infinite", -np.inf, (1, 2, 3)),
        ("negative", -0.1, (1, 2, 3)),
        ("above_one", 1.5, (1, 2, 3)),
        ("row_sum", 0.3, (1, 2, -1)),
    ],
)
def test_an_odd_weight_is_flagged_with_count_and_place(kind: str, value: float, place: tuple[int, ...]) -> None:
    found = {flag.kind: (flag.count, flag.where) for flag in find_flags(one(kind, value))}
    assert found[kind] == (1, (place,))


def test_a_row_of_zeros_is_flagged() -> None:
    rows = np.full((3, 4, 5), 0.2, np.float32)
    rows[2, 3] = 0
    assert [(f.kind, f.count, f.where) for f in find_flags(rows)] == [("zero_row", 1, ((2, 3, -1),))]


def test_a_transposed_matrix_is_flagged_for_each_head(weights: np.ndarray) -> None:
    found = {flag.kind: flag.count for flag in find_flags(weights[0].swapaxes(1, 2))}
    assert found["column_sum"] == 3


def test_a_transposed_head_among_right_ones_is_flagged_alone(weights: np.ndarray) -> None:
    heads = np.zeros((3, 5, 5), np.float32)
    heads[:, :, 0] = 1
    heads[1] = [[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [-1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 1]]
    (flag,) = (flag for flag in find_flags(heads) if flag.kind == "column_sum")
    assert (flag.count, flag.where) == (1, ((1, -1, -1),))


def test_a_transposed_head_has_no_query_wherever_its_rows_begin(weights: np.ndarray) -> None:
    (flag,) = (flag for flag in find_flags(weights[0].swapaxes(1, 2), first_query=7) if flag.kind == "column_sum")
    assert flag.where == ((0, -1, -1), (1, -1, -1), (2, -1, -1))


def test_a_small_matrix_can_be_transposed_too() -> None:
    rows = np.array([[[0.5, 1, 0.2], [0.5, 0, 0.8]]], np.float32)
    assert [(flag.kind, flag.count) for flag in find_flags(rows)] == [("row_sum", 2), ("column_sum", 1)]


def test_what_is_no_number_makes_no_column_sum_to_one() -> None:
    rows = np.array([[[np.nan, 0.5, 0.7], [0, 0.5, 0.2], [0, 0, 0.1]]], np.float32)
    assert [flag.kind for flag in find_flags(rows)] == ["nan", "row_sum"]


def test_one_row_alone_is_not_transposed() -> None:
    assert [flag.kind for flag in find_flags(np.ones((1, 1, 4), np.float32))] == ["row_sum"]


def test_columns_that_miss_one_are_not_those_of_a_transposed_matrix() -> None:
    assert [flag.kind for flag in find_flags(np.full((2, 3, 4), 0.3, np.float32))] == ["row_sum"]


def test_rows_that_see_nothing_are_named_in_every_head() -> None:
    (flag,) = find_empty_rows(np.array([False, True, False, True]), 3, first_query=10)
    assert (flag.kind, flag.count) == ("zero_row", 6)
    assert flag.where == ((0, 11, -1), (0, 13, -1), (1, 11, -1), (1, 13, -1), (2, 11, -1))
    assert find_empty_rows(np.array([False, True]), 1)[0].where == ((0, 1, -1),)
    assert find_empty_rows(np.array([False, False]), 3) == ()


def test_what_is_most_serious_is_named_first() -> None:
    rows = np.array([[[np.nan, 0.5], [np.inf, 0.5], [-0.5, 1.5], [0.2, 0.2], [0, 0]]], np.float32)
    found = [(flag.kind, flag.count) for flag in find_flags(rows)]
    assert found == [("nan", 1), ("infinite", 1), ("negative", 1), ("above_one", 1), ("row_sum", 1), ("zero_row", 1)]


@pytest.mark.parametrize(("sum_", "is_odd"), [(1.0009, False), (1.0011, True), (0.9991, False), (0.9989, True)])
def test_a_sum_is_odd_where_it_misses_one_by_more_than_the_tolerance(sum_: float, is_odd: bool) -> None:
    rows = np.array([[[0.5, sum_ - 0.5]]], np.float32)
    assert [flag.kind for flag in find_flags(rows)] == ["row_sum"] * is_odd


@pytest.mark.parametrize(("value", "is_odd"), [(1.0009, False), (1.0011, True)])
def test_a_weight_is_above_one_by_more_than_the_tolerance(value: float, is_odd: bool) -> None:
    rows = np.array([[[value, -value + 1]]], np.float32)
    assert ("above_one" in {flag.kind for flag in find_flags(rows)}) == is_odd


def test_right_weights_have_no_flag(weights: np.ndarray) -> None:
    assert find_flags(weights[0]) == ()


def test_scores_before_softmax_are_flagged() -> None:
    scores = np.random.default_rng(3).normal(0, 3, (3, 4, 5)).astype(np.float32)
    assert {"negative", "above_one", "row_sum"} <= {flag.kind for flag in find_flags(scores)}


def test_places_count_queries_from_the_start_of_the_site() -> None:
    assert find_flags(one("nan", np.nan), first_query=7)[0].where == ((1, 9, 3),)


def test_only_the_first_places_are_kept_but_all_are_counted() -> None:
    (flag,) = find_flags(np.full((3, 4, 5), np.nan, np.float32))
    assert (flag.count, len(flag.where)) == (60, 5)


def test_the_tolerance_decides_what_a_wrong_sum_is(weights: np.ndarray) -> None:
    assert find_flags(weights[0] * 1.01, tolerance=HALF_SUM_TOLERANCE) == ()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38])
def test_flags_are_found_without_a_warning(value: float) -> None:
    assert find_flags(np.full((3, 4, 5), value, np.float32))


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.5), torch.tensor(0.5), True])
def test_a_probability_is_a_float(value: object) -> None:
    assert type(as_probability(value, name="p")) is float


@pytest.mark.parametrize(("value", "expected"), [(1.0005, 1.0), (-1e-9, 0.0)])
def test_rounding_errors_of_a_probability_are_cut(value: float, expected: float) -> None:
    assert as_probability(value, name="p") == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -2.3, 1.5, 1.002, -1e-5])
def test_what_is_no_probability_is_refused(value: float) -> None:
    said = f"p: {value:g} came, a probability between 0 and 1 was expected. Were logits or log-probabilities passed?"
    with pytest.raises(ValueError, match="^" + re.escape(said)):
        as_probability(value, name="p")


@pytest.mark.parametrize(("value", "expected"), [(0, 0.0), (0.25, 0.25), (1, 1.0), (True, 1.0)])
def test_a_probability_keeps_its_value(value: float, expected: float) -> None:
    assert as_probability(value, name="p") == expected


@pytest.mark.parametrize("value", [None, "much", [0.5, 0.5]])
def test_a_probability_that_is_no_number_is_refused(value: object) -> None:
    said = rf"^p: {type(value).__name__} came, a probability between 0 and 1 was expected\.$"
    with pytest.raises(TypeError, match=said):
        as_probability(value, name="p")
