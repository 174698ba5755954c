"""Edit: what a person asks to be changed, checked before any model runs."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch

from attnwidget.outline import Site

Op = Literal["ablate", "mean", "zero", "bias", "scale", "set"]
_VALUED = ("bias", "scale", "set")
_AXES = ("head", "query", "key")


@dataclass(frozen=True)
class Edit:
    """A change of weights before the model uses them.

    Args:
        op: "ablate" makes the rows 0, so that the head adds nothing; "mean" spreads them evenly over the keys that they
            see; "zero" makes single weights 0; "bias" adds `value` to the scores before the softmax; "scale" multiplies
            weights by `value`; "set" puts `value` in their place. After "zero", "scale" and "set" of single keys the
            rest of the row is rescaled, so that the row keeps its sum. A key that a query may not see, because a mask
            hides it or it comes later, stays hidden.
        site: a site of a trace, its name, or its position in `trace.sites`; None for every site.
        head: one head, several, a slice, or None for all of them.
        query: absolute position of a query in what the decoder reads, several, a slice, or None for all; the query of
            `trace.steps[t]` stands at `trace.steps[t].position`. Padding before the text counts.
        key: absolute position of a key, likewise.
        value: a number for "bias", "scale" or "set" with keys, 0 or more for the latter two; an array [key] for "set"
            without keys, which is the whole row. A shorter one is filled up with 0.

    Raises:
        ValueError, TypeError: an operation that does not exist, or that lacks its value or its keys, positions that do
            not count from 0, or a value that is no number.

    Source:
        Ablation and rescaling of heads: Michel et al. 2019, arXiv 1905.10650.
    """

    op: Op
    site: str | int | Site | None = None
    head: int | Sequence[int] | slice | None = None
    query: int | Sequence[int] | slice | None = None
    key: int | Sequence[int] | slice | None = None
    value: float | Sequence[float] | np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.op not in get_args(Op):
            raise ValueError(f"op: {self.op!r} came, one of {', '.join(map(repr, get_args(Op)))} was expected.")
        if (self.value is None) == (self.op in _VALUED):
            raise ValueError(f"{self}: {'no ' * (self.value is None)}value came; {', '.join(_VALUED)} need one.")
        for axis in _AXES:
            object.__setattr__(self, axis, _positions(axis, getattr(self, axis)))
        if self.op == "zero" and self.key is None:
            raise ValueError(f"{self}: no key came. Name the keys, or use op='ablate' for whole rows.")
        if self.op in ("ablate", "mean") and self.key is not None:
            raise ValueError(f"{self}: a key came, but {self.op!r} changes whole rows. Use op='zero' for single keys.")
        if isinstance(self.site, bool) or not (self.site is None or isinstance(self.site, (str, int, Site))):
            raise TypeError(
                f"site: {type(self.site).__name__} came; a site of a trace, its name or its position was expected."
            )
        if self.value is not None:
            object.__setattr__(self, "value", _checked_value(self))

    def __str__(self) -> str:
        names = ("site", "head", "query", "key", "value")
        given = ((name, getattr(self, name)) for name in names)
        shown = ((name, value.name if isinstance(value, Site) else value) for name, value in given if value is not None)
        return "Edit(" + ", ".join([repr(self.op), *(f"{name}={value!r}" for name, value in shown)]) + ")"


def _positions(axis: str, which: Any) -> int | tuple[int, ...] | slice | None:  # noqa: ANN401 - whatever came
    """Return heads or positions as plain numbers, each once."""
    if which is None:
        return None
    sliced, single = isinstance(which, slice), hasattr(type(which), "__index__") and np.ndim(which) == 0
    try:
        parts = (which.start, which.stop, which.step) if sliced else (which,) if single else tuple(which)
        numbers = [None if sliced and it is None else operator.index(it) for it in parts]
        if isinstance(which, str) or any(isinstance(it, bool) for it in parts):
            raise TypeError
    except TypeError:
        raise TypeError(f"{axis}: {which!r} came; a whole number, several of them or a slice was expected.") from None
    if not numbers or any(number is not None and number < 0 for number in numbers) or (sliced and which.step == 0):
        raise ValueError(f"{axis}: {which!r} came; one or more were expected, counted from 0 and not from the end.")
    if sliced:
        return slice(*numbers)
    plain = tuple(dict.fromkeys(number for number in numbers if number is not None))
    return plain[0] if single else plain


def _checked_value(edit: Edit) -> float | np.ndarray:
    """Return a number, or a row that nobody can change any more."""
    is_row = edit.op == "set" and edit.key is None
    expected = "an array [key] of finite numbers" if is_row else "a finite number"
    try:
        given = torch.as_tensor(edit.value, device="cpu").detach()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        given = None
    if given is None or given.is_complex():
        raise TypeError(f"{edit.op}: a value of type {type(edit.value).__name__} came, {expected} was expected.")
    value = given.to(torch.float64, copy=True).numpy()
    if value.ndim != int(is_row) or not value.size or not np.isfinite(value).all():
        raise ValueError(f"{edit}: a value of shape {value.shape} came, {expected} was expected.")
    if is_row:
        value.flags.writeable = False
        return value
    if edit.op != "bias" and value < 0:
        raise ValueError(f"{edit}: 0 or more was expected.")
    return float(value)


def as_edits(edits: Edit | Iterable[Edit]) -> tuple[Edit, ...]:
    """Return edits in their order; one may stand for itself."""
    return (edits,) if isinstance(edits, Edit) else tuple(edits)
