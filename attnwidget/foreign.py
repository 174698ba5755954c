"""What other libraries return as attentions becomes sites, each with one array [head, query, key]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from attnwidget.checks import as_array
from attnwidget.ledger import SOURCE, STRIPS_OF
from attnwidget.outline import Kind, Site

# Fields in which the output objects of Transformers hold weights; "attentions" does not say of which kind.
_FIELDS = {
    "encoder_attentions": "encoder",
    "decoder_attentions": "decoder",
    "cross_attentions": "cross",
    "attentions": "",
}


def as_sites(weights: object, *, has_target: bool) -> Iterator[tuple[Site, np.ndarray, float]]:
    """Yield a site for each layer, its weights float32 [head, query, key], and the tolerance of their row sums.

    Args:
        weights: see `Trace.from_weights`.
        has_target: whether there are output tokens; weights of no kind are then cross-attention, else self-attention.

    Raises:
        TypeError, ValueError: what came holds no weights, or they do not have the shape of weights.
    """
    parts = _by_kind(weights)
    alone = not has_target and "cross" not in parts
    for said, part in parts.items():
        name = said or ("cross" if has_target else "self")
        layers = as_layers(part, name=f"weights[{said!r}]" if said else "weights")
        for layer, (array, tolerance) in enumerate(layers):
            kind = _kind(name, array)
            query, key = (SOURCE, SOURCE) if alone else STRIPS_OF[kind]
            label = f"{name}.{layer}" if len(layers) > 1 else name
            yield Site(label, kind, layer, array.shape[0], query, key), array, tolerance


def as_layers(value: object, *, name: str = "weights") -> list[tuple[np.ndarray, float]]:
    """Return what a library calls its attentions as one array [head, query, key] for each layer.

    Args:
        value: [query, key], [head, query, key], [layer, head, query, key] or [layer, 1, head, query, key]; or a list or
            tuple with one array for each layer, [head, query, key] or [1, head, query, key]; or, as generation loops
            return it, a tuple of such tuples, one for each decoder step.
        name: what to call it in errors.

    Returns:
        One (float32 [head, query, key], tolerance of its row sums) for each layer.

    Raises:
        TypeError: something that holds no real numbers.
        ValueError: another rank, a batch of more than one, an axis of length 0, layers that cannot be told apart.
    """
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError(
                f"{name}: nothing came, weights [head, query, key] were expected. Did the model return them?"
            )
        if any(part is None for part in value):
            index = next(i for i, part in enumerate(value) if part is None)
            raise TypeError(
                f"{name}: layer {index} is None, an array was expected. "
                "The model did not return its weights there; ask for them, or record the model instead."
            )
        if _rank(value[0]) >= 2:
            names = [f"{name}[{i}]" for i in range(len(value))]
            return [_one_layer(*as_array(part, name=n), name=n) for n, part in zip(names, value, strict=True)]
        if isinstance(value[0], (list, tuple)) and value[0] and (value[0][0] is None or _rank(value[0][0]) >= 3):
            return _joined_steps([as_layers(part, name=f"{name}[{i}]") for i, part in enumerate(value)], name)
    array, tolerance = as_array(value, name=name)
    if array.ndim == 5 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (2, 3, 4):
        raise ValueError(
            f"{name}: rank {array.ndim} with shape {array.shape} came; [query, key], [head, query, key] or "
            "[layer, head, query, key] was expected. Take one example out of a batch first."
        )
    layers = array if array.ndim == 4 and len(array) else [array]
    return [_one_layer(layer, tolerance, name=name) for layer in layers]


def _by_kind(weights: object) -> dict[str, object]:
    """Take an output object or a mapping apart; the name is empty where nobody says of which kind the weights are."""
    if not hasattr(weights, "__array__") and any(hasattr(weights, field) for field in _FIELDS):
        held = {kind: getattr(weights, field, None) for field, kind in _FIELDS.items()}
    elif isinstance(weights, Mapping) and weights.keys() & _FIELDS.keys():
        held = {kind: weights.get(field) for field, kind in _FIELDS.items()}
    elif isinstance(weights, Mapping):
        unknown = next((key for key in weights if key not in STRIPS_OF), None)
        if unknown is not None or not weights:
            came = "an empty mapping" if unknown is None else f"a mapping with the key {unknown!r}"
            raise ValueError(f"weights: {came} came; {', '.join(map(repr, STRIPS_OF))} were expected as keys.")
        return dict(weights)
    else:
        return {"": weights}
    found = {kind: part for kind, part in held.items() if part is not None}
    if not found:
        raise ValueError(
            f"weights: {type(weights).__name__} came without weights. Load the model with "
            'attn_implementation="eager" and call it with output_attentions=True, or record it instead.'
        )
    if "cross" in found and "" in found:
        found["decoder"] = found.pop("")
    return found


def _kind(name: str, weights: np.ndarray) -> Kind:
    """Tell a decoder's self-attention, which never looks ahead, from an encoder's, where the name does not say it."""
    for kind in STRIPS_OF:
        if name == kind:
            return kind
    n_queries, n_keys = weights.shape[1:]
    causal = 1 < n_queries <= n_keys and not np.triu(weights, n_keys - n_queries + 1).any()
    return "decoder" if causal else "encoder"


def _one_layer(array: np.ndarray, tolerance: float, *, name: str) -> tuple[np.ndarray, float]:
    if 0 in array.shape:
        raise ValueError(f"{name}: shape {array.shape} has an axis of length 0, so there is nothing to show.")
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
        for index, (before, part) in enumerate(pairwise(parts), start=1):
            if part.shape[0] != before.shape[0] or part.shape[2] < before.shape[2]:
                raise ValueError(
                    f"{name}: layer {layer} has shape {part.shape} in step {index} after {before.shape}; as many heads "
                    "and no fewer keys were expected. Where a cache forgets keys, record the model instead."
                )
        n_keys = parts[-1].shape[2]
        rows = [np.pad(part, ((0, 0), (0, 0), (0, n_keys - part.shape[2]))) for part in parts]
        joined.append((np.concatenate(rows, axis=1), max(step[layer][1] for step in steps)))
    return joined


def _rank(value: object) -> int:
    """Return the number of axes of an array of any library; 0 for anything else, lists included."""
    if not hasattr(value, "__array__") and not hasattr(value, "detach"):
        return 0
    return int(value.ndim) if hasattr(value, "ndim") else np.asarray(value).ndim
