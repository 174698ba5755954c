"""What may be a weight: arrays from any library become float32 [head, query, key], and what is unusual is named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from attnwidget.outline import MAX_PLACES, Flag, FlagKind

# A row may miss 1 by this much before it is flagged: float32 softmax stays far below, half precision does not.
SUM_TOLERANCE = 1e-3
HALF_SUM_TOLERANCE = 2e-2

_HALF = ("float16", "bfloat16", "float8")


def as_array(value: object, *, name: str) -> tuple[np.ndarray, float]:
    """Return `value` as a float32 numpy array that owns its memory, and the tolerance of its row sums.

    Args:
        value: numpy, torch, JAX or TensorFlow array, or nested lists of numbers; any rank.
        name: what to call it in errors.

    Raises:
        TypeError: complex, text or object values, or a tensor without numbers (meta) or with gaps (sparse).
        ValueError: nested lists of different lengths.
    """
    dtype = str(getattr(value, "dtype", "")).lower()
    tensor: Any = value
    if hasattr(tensor, "detach"):  # torch, without importing it
        if getattr(tensor, "is_meta", False):
            raise TypeError(f"{name}: a tensor on the meta device holds no numbers. Run the model on a real device.")
        if "sparse" in str(getattr(tensor, "layout", "")):
            raise TypeError(f"{name}: a sparse tensor came, a dense one was expected. Call .to_dense() on it.")
        tensor = tensor.detach().cpu()
        tensor = tensor.float().numpy() if tensor.is_floating_point() else tensor.resolve_conj().numpy()
    try:
        array = np.asarray(tensor)
    except ValueError as error:
        raise ValueError(
            f"{name}: nested lists of different lengths came, a rectangular array was expected. "
            "Pad the short rows with 0, or pass one array for each layer."
        ) from error
    if "bfloat16" in str(array.dtype) or "float8" in str(array.dtype):
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: numbers of dtype {array.dtype} came, real numbers were expected.")
    tolerance = HALF_SUM_TOLERANCE if dtype.rpartition(".")[2].startswith(_HALF) else SUM_TOLERANCE
    with np.errstate(over="ignore"):
        return np.array(array, dtype=np.float32, order="C"), tolerance


def as_layers(value: object, *, name: str = "weights") -> list[tuple[np.ndarray, float]]:
    """Return what a library calls its attentions as one array [head, query, key] for each layer.

    Args:
        value: [query, key], [head, query, key] or [layer, head, query, key]; or a list or tuple with one array for
            each layer, [head, query, key] or [1, head, query, key]; or, as generation loops return it, a tuple of
            such tuples, one for each decoder step.
        name: what to call it in errors.

    Returns:
        One (float32 [head, query, key], tolerance of its row sums) for each layer.

    Raises:
        ValueError: another rank, a batch of more than one, an axis of length 0, layers that cannot be told apart.
    """
    if isinstance(value, (list, tuple)) and len(value) == 0:
        raise ValueError(f"{name}: nothing came, weights [head, query, key] were expected. Did the model return them?")
    if isinstance(value, (list, tuple)) and any(part is None for part in value):
        index = next(i for i, part in enumerate(value) if part is None)
        raise TypeError(
            f"{name}: layer {index} is None, an array was expected. "
            "The model did not return its weights there; ask for them, or record the model instead."
        )
    if isinstance(value, (list, tuple)) and _is_array(value[0]) and value[0].ndim >= 2:
        return [_one_layer(*as_array(part, name=f"{name}[{i}]"), name=f"{name}[{i}]") for i, part in enumerate(value)]
    if isinstance(value, (list, tuple)) and _is_tuple_of_layers(value[0]):
        return _joined_steps([as_layers(part, name=f"{name}[{i}]") for i, part in enumerate(value)], name)
    array, tolerance = as_array(value, name=name)
    if array.ndim == 4:
        return [_one_layer(part, tolerance, name=name) for part in array]
    if array.ndim not in (2, 3):
        raise ValueError(
            f"{name}: rank {array.ndim} with shape {array.shape} came; [query, key], [head, query, key] or "
            "[layer, head, query, key] was expected. Take one example out of a batch first, as in weights[0]."
        )
    return [_one_layer(array, tolerance, name=name)]


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


def _one_layer(array: np.ndarray, tolerance: float, *, name: str) -> tuple[np.ndarray, float]:
    if array.ndim == 4:
        if array.shape[0] != 1:
            raise ValueError(
                f"{name}: a batch of {array.shape[0]} came with shape {array.shape}, one example was expected. "
                "Choose one, as in [layer[0] for layer in weights]."
            )
        array = array[0]
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3:
        raise ValueError(f"{name}: rank {array.ndim} with shape {array.shape} came, [head, query, key] was expected.")
    if 0 in array.shape:
        raise ValueError(f"{name}: shape {array.shape} has an axis of length 0, so there is nothing to show.")
    return array, tolerance


def _joined_steps(steps: Sequence[list[tuple[np.ndarray, float]]], name: str) -> list[tuple[np.ndarray, float]]:
    """Put the rows of cached decoder steps under each other; later steps see at least as many keys."""
    n_layers = len(steps[0])
    for index, step in enumerate(steps):
        if len(step) != n_layers:
            raise ValueError(f"{name}: step {index} has {len(step)} layers but step 0 has {n_layers}.")
    joined = []
    for layer in range(n_layers):
        parts = [step[layer][0] for step in steps]
        heads = {part.shape[0] for part in parts}
        if len(heads) > 1:
            raise ValueError(
                f"{name}: layer {layer} has {sorted(heads)} heads in different steps, one number expected."
            )
        n_keys = max(part.shape[2] for part in parts)
        rows = [np.pad(part, ((0, 0), (0, 0), (0, n_keys - part.shape[2]))) for part in parts]
        joined.append((np.concatenate(rows, axis=1), max(step[layer][1] for step in steps)))
    return joined


def _is_tuple_of_layers(value: object) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and _is_array(value[0]) and value[0].ndim >= 3


def _is_array(value: object) -> bool:
    return hasattr(value, "ndim") and hasattr(value, "dtype")


def as_probability(value: object, *, name: str) -> float:
    """Return a probability as a float.

    Raises:
        TypeError: not a number.
        ValueError: NaN, or outside 0 to 1.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"{name}: {type(value).__name__} came, a probability between 0 and 1 was expected.") from None
    if math.isnan(number) or not -1e-6 <= number <= 1 + 1e-3:
        raise ValueError(
            f"{name}: {number:g} came, a probability between 0 and 1 was expected. "
            "Were logits or log-probabilities passed? Apply softmax, or exp, first."
        )
    return min(max(number, 0.0), 1.0)
