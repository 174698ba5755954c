"""What the weights of a site came of as one array, and back: so it lies in a file."""

from __future__ import annotations

import math
from typing import Any, cast, get_args

import numpy as np

from attnwidget.seen import TermsBook
from attnwidget.terms import Form, Terms

_AXES = {"scores": 3, "queries": 3, "keys": 3, "pairs": 4, "vector": 1}  # arrays of Terms, and how many axes they have


def booked(book: TermsBook) -> tuple[np.ndarray, list[dict[str, Any]]] | None:
    """Return the numbers of a book, float32, and what they are; None where it holds nothing.

    An array that is the same as in the part before, as keys mostly are, is there once.
    """
    numbers: list[np.ndarray] = []
    last: dict[str, tuple[np.ndarray, int]] = {}
    n_numbers, said = 0, []
    for part in book.resolved():
        places = {}
        for name in _AXES:
            array = getattr(part, name)
            if array is None:
                continue
            before, offset = last.get(name, (None, 0))
            if before is None or not np.array_equal(before, array, equal_nan=True):
                offset = n_numbers
                numbers.append(np.asarray(array, np.float32).ravel())
                n_numbers += array.size
            last[name] = array, offset
            places[name] = [offset, *array.shape]
        said.append({"form": part.form, "scale": part.scale, "arrays": places})
    return (np.concatenate(numbers), said) if said else None


def unbooked(numbers: np.ndarray, said: list[Any], n_heads: int, n_queries: int) -> TermsBook:
    """Return the book that was saved.

    Raises:
        LookupError, TypeError, ValueError: it is none of so many heads and queries.
    """
    if numbers.dtype != np.dtype("<f4") or numbers.ndim != 1:
        raise ValueError("its terms have another shape or type than it says")
    parts = [_part(numbers, part, n_heads) for part in said]
    book = TermsBook(list(parts), sum(part.n_queries for part in parts), numbers.size)
    if book.n_queries != n_queries:
        raise ValueError("its terms are of other rows than its weights")
    return book


def _part(numbers: np.ndarray, said: dict[str, Any], n_heads: int) -> Terms:
    if set(said["arrays"]) - set(_AXES):
        raise ValueError("its terms hold what is unknown")
    found = {name: _array(numbers, name, place) for name, place in said["arrays"].items()}
    form, scale = said["form"], said["scale"]
    if form not in get_args(Form) or type(scale) is not float:
        raise ValueError("its terms have an unknown form")
    optional = found.get("queries"), found.get("keys"), found.get("pairs"), found.get("vector")
    terms = Terms(found["scores"], cast(Form, form), *optional, scale)
    n_queries, n_keys = terms.scores.shape[1:]
    queries, keys, pairs = terms.queries, terms.keys, terms.pairs
    fits = (
        len(terms.scores) == n_heads
        and (queries is None or queries.shape[:2] == (n_heads, n_queries))
        and (keys is None or (n_heads % len(keys) == 0 and keys.shape[1] == n_keys))
        and (keys is None or (queries is not None and queries.shape[2] == keys.shape[2]))
        and (pairs is None or pairs.shape[:3] == terms.scores.shape)
        and (pairs is None or (terms.vector is not None and terms.vector.shape == pairs.shape[3:]))
    )
    needs = {"dot": keys, "additive": pairs, "": terms.scores}[form]
    if not fits or needs is None:
        raise ValueError("its terms do not fit each other")
    return terms


def _array(numbers: np.ndarray, name: str, place: list[Any]) -> np.ndarray:
    offset, *shape = place
    if any(type(number) is not int for number in place) or offset < 0 or len(shape) != _AXES[name] or min(shape) < 1:
        raise ValueError("its terms have another shape or type than it says")
    if offset + math.prod(shape) > numbers.size:
        raise ValueError("its terms are not all there")
    return numbers[offset : offset + math.prod(shape)].reshape(shape)
