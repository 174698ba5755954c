"""What may be a weight: arrays of any library become float32, and what is unusual in them is named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from attnwidget.outline import MAX_PLACES, Flag, FlagKind

# A row may miss 1 by this much before it is flagged: float32 softmax stays far below, half precision does not.
SUM_TOLERANCE = 1e-3
HALF_SUM_TOLERANCE = 2e-2

_HALF = ("float16", "bfloat16", "float8")
_MOST_AXES = 64  # of any array; a list that holds itself has no end
_REAL = "fiub"  # numpy's kinds of dtype: float, int, unsigned int, bool


def as_array(value: object, *, name: str) -> tuple[np.ndarray, float]:
    """Return `value` as a float32 numpy array that owns its memory, and the tolerance of its row sums.

    Args:
        value: numpy, torch, JAX or TensorFlow array, or nested lists of numbers or arrays; any rank. What a numpy
            mask hides becomes NaN.
        name: what to call it in errors.

    Raises:
        TypeError: None, complex, text or object values, or a tensor without numbers (meta) or with gaps (sparse).
        ValueError: nested lists of different lengths.
    """
    if value is None:
        raise TypeError(f"{name}: None came, weights were expected. Did the model return them?")
    if isinstance(value, (list, tuple)) and _hides_from_numpy(_first_leaf(value)):
        parts = [as_array(part, name=f"{name}[{index}]") for index, part in enumerate(value)]
        return as_array([array for array, _ in parts], name=name)[0], max(tolerance for _, tolerance in parts)
    dtype = str(getattr(value, "dtype", "")).lower()
    tensor: Any = value
    if hasattr(tensor, "detach"):  # torch, without importing it
        tensor = _numpy_of(tensor, name)
    if isinstance(tensor, np.ma.MaskedArray) and tensor.dtype.kind in _REAL:
        tensor = np.ma.filled(tensor.astype(np.float32), np.nan)
    try:
        array = np.asarray(tensor)
    except ValueError as error:
        raise ValueError(
            f"{name}: nested lists of different lengths came, a rectangular array was expected. "
            "Pad the short rows with 0, or pass one array for each layer."
        ) from error
    if "bfloat16" in str(array.dtype) or "float8" in str(array.dtype):
        array = array.astype(np.float32)
    if array.dtype.kind not in _REAL:
        raise TypeError(
            f"{name}: numbers of dtype {array.dtype} with shape {array.shape} came, real numbers were expected. "
            "Turn them into an array of floats first."
        )
    tolerance = HALF_SUM_TOLERANCE if dtype.rpartition(".")[2].startswith(_HALF) else SUM_TOLERANCE
    with np.errstate(over="ignore"):
        return np.array(array, dtype=np.float32, order="C"), tolerance


def _numpy_of(value: object, name: str) -> np.ndarray:
    tensor: Any = value
    if getattr(tensor, "is_meta", False):
        raise TypeError(f"{name}: a tensor on the meta device holds no numbers. Run the model on a real device.")
    if "sparse" in str(getattr(tensor, "layout", "")):
        raise TypeError(f"{name}: a sparse tensor came, a dense one was expected. Call .to_dense() on it.")
    try:
        tensor = tensor.detach().cpu()
        if getattr(tensor, "is_quantized", False):
            tensor = tensor.dequantize()
        if hasattr(tensor, "resolve_neg"):  # views that torch has not computed yet
            tensor = tensor.resolve_conj().resolve_neg()
        tensor = tensor.float() if tensor.is_floating_point() else tensor
        return np.asarray(tensor.numpy())
    except (RuntimeError, TypeError) as error:
        raise TypeError(f"{name}: a tensor came that does not turn into numpy. Pass a dense, plain one.") from error


def _first_leaf(value: object) -> object:
    for _ in range(_MOST_AXES):
        if not isinstance(value, (list, tuple)) or not value:
            break
        value = value[0]
    return value


def _hides_from_numpy(value: object) -> bool:
    """Tell what numpy would refuse, or strip of its mask, inside a list."""
    return hasattr(value, "detach") or isinstance(value, np.ma.MaskedArray)


def find_flags(weights: np.ndarray, *, first_query: int = 0, tolerance: float = SUM_TOLERANCE) -> tuple[Flag, ...]:
    """Name what is unusual in rows of weights.

    Args:
        weights: float32 [head, query, key].
        first_query: the index of the first of these rows in its site.
        tolerance: how much a row may miss 1 by.

    Returns:
        One flag for each kind found, with its count and the first places, most serious first.
    """
    finite = np.isfinite(weights)
    values = np.where(finite, weights, 0)
    sums = values.sum(-1, dtype=np.float64)
    whole = finite.all(-1)
    zero = whole & ~values.any(-1)
    odd_sum = whole & ~zero & (np.abs(sums - 1) > tolerance)
    masks: tuple[tuple[FlagKind, np.ndarray], ...] = (
        ("nan", np.isnan(weights)),
        ("infinite", np.isinf(weights)),
        ("negative", values < 0),
        ("above_one", values > 1 + tolerance),
        ("row_sum", odd_sum),
        ("zero_row", zero),
        ("column_sum", _columns_sum_to_one(values, odd_sum, tolerance)),
    )
    return tuple(_flag(kind, mask, first_query) for kind, mask in masks if mask.any())


def find_empty_rows(empty: np.ndarray, n_heads: int, *, first_query: int = 0) -> tuple[Flag, ...]:
    """Name rows that see no key, in every head, as `find_flags` names rows that are all zero.

    Args:
        empty: bool [query].
        n_heads: how many heads have these rows.
        first_query: the index of the first of these rows in its site.
    """
    return (_flag("zero_row", np.tile(empty, (n_heads, 1)), first_query),) if empty.any() else ()


def _flag(kind: FlagKind, mask: np.ndarray, first_query: int) -> Flag:
    count = int(np.count_nonzero(mask))
    flat = np.flatnonzero(mask)[:MAX_PLACES]
    places = []
    for index in zip(*np.unravel_index(flat, mask.shape), strict=True):
        head, query, key = (int(i) for i in (*index, -1, -1)[:3])
        places.append((head, query + first_query if query >= 0 else -1, key))
    return Flag(kind, count, tuple(places))


def _columns_sum_to_one(values: np.ndarray, odd_sum: np.ndarray, tolerance: float) -> np.ndarray:
    """Return bool [head]: rows miss 1 but columns do not, which is what a transposed matrix looks like."""
    columns = np.abs(values.sum(-2, dtype=np.float64) - 1).max(-1, initial=0) <= tolerance
    return np.asarray(columns & odd_sum.any(-1) & (values.shape[-2] > 1))


def as_probability(value: object, *, name: str) -> float:
    """Return a probability as a float.

    Raises:
        TypeError: not a number.
        ValueError: NaN, or outside 0 to 1.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (OverflowError, TypeError, ValueError):
        raise TypeError(f"{name}: {type(value).__name__} came, a probability between 0 and 1 was expected.") from None
    if not -1e-6 <= number <= 1 + 1e-3:
        raise ValueError(
            f"{name}: {number:g} came, a probability between 0 and 1 was expected. "
            "Were logits or log-probabilities passed? Apply softmax, or exp, first."
        )
    return min(max(number, 0.0), 1.0)


def as_tolerance(value: object) -> float:
    """Return how far a row may miss 1; infinitely far where it is a mask.

    Raises:
        ValueError: no number of at least 0.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (OverflowError, TypeError, ValueError):
        number = -1.0
    if not number >= 0:
        raise ValueError(f"tolerance: {value!r} came, a number of at least 0 was expected.")
    return number


def as_indices(value: slice | Sequence[int], *, name: str) -> slice | np.ndarray:
    """Return which rows or columns are meant: a slice, or indices as int64.

    Raises:
        TypeError: not whole numbers. True and False are none: as indices they would be 1 and 0.
        IndexError: numbers that no axis has.
    """
    if isinstance(value, slice):
        return value
    found = np.asarray(value)
    if found.dtype.kind == "O" or (found.size and found.dtype.kind == "u" and found.max() > np.iinfo(np.int64).max):
        raise IndexError(f"{name}: {str(value)[:60]} came, which no axis has.")
    if found.size and found.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: {found.dtype} came, whole numbers were expected. Of a mask take np.flatnonzero(mask)."
        )
    return found.astype(np.int64)
