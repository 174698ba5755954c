"""Edits: what-if questions to attention, answered by the model itself with other weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from attnwidget.capture.call import Call
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.sharding import Sharding, is_shared_out
from attnwidget.outline import Site

Op = Literal["ablate", "mean", "zero", "bias", "scale", "set"]
_VALUED = ("bias", "scale", "set")


@dataclass(frozen=True)
class Edit:
    """A change of weights before the model uses them.

    Args:
        op: "ablate" makes the rows 0, so that the head adds nothing; "mean" spreads them evenly over the keys that they
            see; "zero" makes single weights 0; "bias" adds `value` to the scores before the softmax; "scale" multiplies
            weights by `value`; "set" puts `value` in their place. After "zero", "scale" and "set" of single keys the
            rest of the row is rescaled, so that the row keeps its sum.
        site: a site of a trace, its name, or its position in `trace.sites`; None for every site.
        head: one head, several, or None for all of them.
        query: absolute position of a query in what the decoder reads, several, a slice, or None for all; the query of
            `trace.steps[t]` stands at `trace.steps[t].position`.
        key: absolute position of a key, likewise.
        value: a number for "bias", "scale" or "set" with keys; an array [key] for "set" without keys, which is the
            whole row. A shorter one is filled up with 0.

    Raises:
        ValueError, TypeError: an operation that does not exist, or that lacks its value or its keys.

    Source:
        Ablation and rescaling of heads: Michel et al. 2019, arXiv 1905.10650.
    """

    op: Op
    site: str | int | Site | None = None
    head: int | Sequence[int] | None = None
    query: int | Sequence[int] | slice | None = None
    key: int | Sequence[int] | slice | None = None
    value: float | Sequence[float] | np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.op not in get_args(Op):
            raise ValueError(f"op: {self.op!r} came, one of {', '.join(map(repr, get_args(Op)))} was expected.")
        if (self.value is None) == (self.op in _VALUED):
            raise ValueError(f"{self}: {'no ' * (self.value is None)}value came; {', '.join(_VALUED)} need one.")
        if self.op == "zero" and self.key is None:
            raise ValueError(f"{self}: no key came. Name the keys, or use op='ablate' for whole rows.")
        if self.op in ("ablate", "mean") and self.key is not None:
            raise ValueError(f"{self}: a key came, but {self.op!r} changes whole rows. Use op='zero' for single keys.")
        if self.value is not None:
            whole = self.op == "set" and self.key is None
            value = torch.as_tensor(self.value, dtype=torch.float32)
            if value.ndim != int(whole) or not bool(torch.isfinite(value).all()):
                expected = "an array [key] of finite numbers" if whole else "a finite number"
                raise ValueError(f"{self}: a value of shape {tuple(value.shape)} came, {expected} was expected.")

    def __str__(self) -> str:
        names = ("site", "head", "query", "key", "value")
        given = ((name, getattr(self, name)) for name in names)
        shown = ((name, value.name if isinstance(value, Site) else value) for name, value in given if value is not None)
        return "Edit(" + ", ".join([repr(self.op), *(f"{name}={value!r}" for name, value in shown)]) + ")"


class Editor:
    """Applies edits to calls, and knows which of them met none.

    Args:
        edits: in the order in which they are applied.
        sharding: which heads of a site are here.
    """

    def __init__(self, edits: Iterable[Edit], sharding: Sharding) -> None:
        self.edits = tuple(edits)
        for edit in self.edits:
            if not isinstance(edit, Edit):
                raise TypeError(f"edits: {type(edit).__name__} came, aw.Edit was expected.")
        self._sharding = sharding
        self._sites: dict[str, tuple[int, int]] = {}  # (heads, keys at most) by site, in the order in which they came
        self._met: set[Edit | int] = set()

    def edited(self, call: Call) -> torch.Tensor | None:
        """Return new weights for a call that has its name and position, or None if no edit is meant for it.

        Returns:
            [batch, head, query, key].
        """
        if is_shared_out(call):
            raise CaptureError(
                f"{call.module}: its weights are a DTensor, and only tensors of one rank can be edited. Have its "
                "projections use_local_output=True."
            )
        n_heads, n_queries, n_keys = call.attention.shape[1:]
        first_query, first_key = call.first_query or 0, call.first_key
        first_head, n_all_heads = self._sharding.heads(call.module, n_heads)
        self._sites[call.module] = (n_all_heads, max(first_key + n_keys, self._sites.get(call.module, (0, 0))[1]))
        weights: torch.Tensor | None = None
        for index, edit in enumerate(self.edits):
            if not self._is_meant(edit.site, call.module):
                continue
            heads = _chosen(edit.head, first_head, n_heads)
            queries = _chosen(edit.query, first_query, n_queries)
            keys = _chosen(edit.key, first_key, n_keys)
            if not _chosen(edit.head, 0, n_all_heads) or not queries or not keys:
                continue
            self._met.add(index)
            if not heads:
                continue  # they are those of another rank
            weights = call.attention.weights().clone() if weights is None else weights
            _apply(edit, weights, heads, queries, keys, first_key=first_key, sinks=call.sinks, gate=call.gate)
        return weights

    def check(self) -> None:
        """Complain of edits that met no call.

        Raises:
            CaptureError: an edit changed nothing, because nothing in the model is what it names.
        """
        missed = [str(edit) for index, edit in enumerate(self.edits) if index not in self._met]
        if missed:
            sites = "; ".join(
                f"{i}: {name} with {n_heads} heads" for i, (name, (n_heads, _)) in enumerate(self._sites.items())
            )
            raise CaptureError(
                f"No call matched {', '.join(missed)}. The sites that can be edited are {sites or 'none'}; heads, "
                "queries and keys count from 0, and positions are absolute."
            )

    def _is_meant(self, site: str | int | Site | None, name: str) -> bool:
        if site is None:
            return True
        if isinstance(site, int):
            return list(self._sites).index(name) == site
        return (site.name if isinstance(site, Site) else site) == name


def _chosen(which: int | Sequence[int] | slice | None, first: int, count: int) -> list[int]:
    """Return which of `count` rows or columns, the first of them at position `first`, are chosen."""
    if which is None:
        return list(range(count))
    if isinstance(which, slice):
        positions = range(*which.indices(first + count))
        return [position - first for position in positions if position >= first]
    wanted = [int(which)] if isinstance(which, (int, np.integer)) else [int(it) for it in which]
    return [position - first for position in wanted if 0 <= position - first < count]


def _apply(
    edit: Edit,
    weights: torch.Tensor,
    heads: list[int],
    queries: list[int],
    keys: list[int],
    *,
    first_key: int,
    sinks: bool,
    gate: bool,
) -> None:
    """Change weights [batch, head, query, key] in place."""
    rows = weights[:, heads][:, :, queries]  # [batch, head, query, key], a copy
    before, tiny = rows.sum(-1, keepdim=True), torch.finfo(rows.dtype).tiny
    if edit.op == "ablate":
        rows.zero_()
    elif edit.op == "mean":
        seen = (rows > 0).to(rows.dtype)
        rows = seen / seen.sum(-1, keepdim=True).clamp_min(1) * before
    elif edit.op == "set" and edit.key is None:
        pattern = torch.as_tensor(edit.value, dtype=rows.dtype, device=rows.device)[first_key:][: rows.shape[-1]]
        rows.zero_()
        rows[..., : len(pattern)] = pattern
    elif gate:  # whose weights do not depend on each other
        own, value = rows[..., keys], _number(edit.value)
        biased = torch.sigmoid(torch.logit(own) + value)
        rows[..., keys] = biased if edit.op == "bias" else own * value if edit.op != "set" else value
    elif edit.op == "set":
        rest = rows.sum(-1, keepdim=True) - rows[..., keys].sum(-1, keepdim=True)
        left = before - _number(edit.value) * len(keys)
        rows *= left / rest.clamp_min(tiny)
        rows[..., keys] = _number(edit.value)
    else:
        value, others = _number(edit.value), 1.0
        if edit.op == "bias":  # a score that rises is as good as all others that fall, and cannot overflow
            value, others = math.exp(min(value, 0)), math.exp(-max(value, 0))
        changed = rows[..., keys] * value
        rows *= others
        rows[..., keys] = changed
        after = rows.sum(-1, keepdim=True)
        if edit.op == "bias" and sinks:  # what goes to no token is a score of the same softmax
            rows /= (after + others * (1 - before)).clamp_min(tiny)
        else:
            rows *= before / after.clamp_min(tiny)
    block = weights[:, heads]
    block[:, :, queries] = rows
    weights[:, heads] = block


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float, np.number)) else 0.0
