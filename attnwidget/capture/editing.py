"""The editor: other weights, made before the model uses them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import replace

import torch

from attnwidget.capture.attention import DotProduct
from attnwidget.capture.call import Call
from attnwidget.capture.edit import Edit
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.scattered import Scattered
from attnwidget.capture.sharding import Sharding, is_shared_out
from attnwidget.outline import Site

_HIDES = -80.0  # a score that is lowered by so much has no weight in float32
_SLACK = 1e-3  # by which rows in half precision may miss their sum


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
        self._sites: dict[str, int] = {}  # heads by site, in the order in which they came
        self._met: list[dict[str, set[int]]] = [{} for _ in self.edits]  # by axis, what calls have had

    def edited(self, call: Call) -> torch.Tensor | None:
        """Return new weights for a call that has its name and position, or None if no edit is meant for it.

        Returns:
            [batch, head, query, key].

        Raises:
            CaptureError: weights of several ranks in one tensor, or values that leave less than nothing for a row.
        """
        if is_shared_out(call):
            raise CaptureError(
                f"{call.module}: its weights are a DTensor, and only tensors of one rank can be edited. Have its "
                "projections use_local_output=True."
            )
        n_heads, n_queries, n_keys = call.attention.shape[1:]
        first_query, first_key = call.first_query or 0, call.first_key
        first_head, n_all_heads = self._sharding.heads(call.module, n_heads)
        self._sites.setdefault(call.module, n_all_heads)
        rows: _Weights | None = None
        for edit, met in zip(self.edits, self._met, strict=True):
            if not self._is_meant(edit.site, call.module):
                continue
            heads = _chosen(edit.head, first_head, n_heads)
            queries = _chosen(edit.query, first_query, n_queries)
            keys = _chosen(edit.key, first_key, n_keys)
            asked = _chosen(edit.head, 0, n_all_heads)
            if not asked or not queries or not keys:
                continue
            rows = rows or _Weights(call)
            if heads and not rows.may_change(edit, heads, queries, keys):
                continue
            for axis, first, found in (("head", 0, asked), ("query", first_query, queries), ("key", first_key, keys)):
                met.setdefault(axis, set()).update(first + it for it in found)
            if heads:  # others are those of another rank
                rows.change(edit, heads, queries, keys)
        return None if rows is None or not rows.changed else rows.weights

    def check(self, mixed: Collection[str]) -> list[str]:
        """Complain of edits that met no call, and return what must be said of those that met only some.

        Args:
            mixed: modules that attended several times in the first step, of which nobody knew then.

        Raises:
            CaptureError: an edit changed nothing, because nothing in the model is what it names, or it names one of
                several sites of a module that could not be told apart in the first step.
        """
        named = [edit for edit in self.edits if edit.site is not None or edit.query is not None]
        for name in mixed:
            if any(self._is_meant(edit.site, site) for edit in named for site in self._sites if _is_of(site, name)):
                raise CaptureError(
                    f"{name} attends several times a step, which nobody can know in the first one: an edit of one of "
                    "its sites, or of a query, would miss there. Have each of them in a module of its own."
                )
        both = list(zip(self.edits, self._met, strict=True))
        missed = [str(edit) for edit, met in both if not met or _missed(edit, met, "head")]
        if missed:
            sites = "; ".join(f"{i}: {name} with {count} heads" for i, (name, count) in enumerate(self._sites.items()))
            raise CaptureError(
                f"No call matched {', '.join(missed)}. The sites that can be edited are {sites or 'none'}; heads, "
                "queries and keys count from 0, and positions are absolute."
            )
        return [
            f"{edit}: no call had {axis} {', '.join(map(str, found))}, and the others were edited."
            for edit, met in both
            for axis in ("query", "key")
            if (found := _missed(edit, met, axis))
        ]

    def _is_meant(self, site: str | int | Site | None, name: str) -> bool:
        if site is None:
            return True
        if isinstance(site, int):
            return list(self._sites).index(name) == site
        return (site.name if isinstance(site, Site) else site) == name


class _Weights:
    """The weights of a call while edits change them.

    Args:
        call: with its name and position.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self.weights = call.attention.weights().clone()  # [batch, head, query, key]
        self._visible = _visible(call, self.weights).expand_as(self.weights)
        known = isinstance(call.attention, DotProduct)
        self._spread = self._visible if known else self.weights != 0  # the keys that "mean" spreads over
        self.changed = False

    def may_change(self, edit: Edit, heads: list[int], queries: list[int], keys: list[int]) -> bool:
        """Tell whether there is anything that the edit can change."""
        if edit.op in ("ablate", "mean"):
            return True
        return bool(self._visible[:, heads][:, :, queries][..., keys].any())

    def change(self, edit: Edit, heads: list[int], queries: list[int], keys: list[int]) -> None:
        """Change rows in place."""
        call, self.changed = self._call, True
        block = self.weights[:, heads]
        rows = block[:, :, queries].to(torch.promote_types(block.dtype, torch.float32))
        visible = self._visible[:, heads][:, :, queries]
        before = rows.sum(-1, keepdim=True)
        if edit.op == "ablate":
            rows.zero_()
        elif edit.op == "mean":
            seen = self._spread[:, heads][:, :, queries].to(rows.dtype)
            rows = seen / seen.sum(-1, keepdim=True).clamp_min(1) * before
        elif edit.op == "set" and edit.key is None:
            pattern = torch.tensor(edit.value, dtype=rows.dtype, device=rows.device)[call.first_key :][: rows.shape[-1]]
            rows.zero_()
            rows[..., : len(pattern)] = pattern
            rows *= visible
        else:
            at = torch.zeros(rows.shape[-1], dtype=torch.bool, device=rows.device)
            at[keys] = True
            at = at & visible  # [batch, head, query, key]
            value = edit.value if isinstance(edit.value, float) else 0.0  # "zero" has none
            if call.gate:  # whose weights do not depend on each other
                new = torch.sigmoid(torch.logit(rows) + value) if edit.op == "bias" else rows * value
                rows = torch.where(at, torch.full_like(rows, value) if edit.op == "set" else new, rows)
            elif edit.op == "set":
                rows = _set(edit, call.module, rows, at, before, value)
            else:
                rows = _scaled(edit, rows, at, before, value, sinks=call.sinks)
        block[:, :, queries] = rows.to(block.dtype)
        self.weights[:, heads] = block


def _set(
    edit: Edit, module: str, rows: torch.Tensor, at: torch.Tensor, before: torch.Tensor, value: float
) -> torch.Tensor:
    """Put a value in places of rows, and rescale the rest."""
    total = at.sum(-1, keepdim=True) * value
    if bool((total > before.clamp_min(1) * (1 + _SLACK)).any()):
        raise CaptureError(
            f"{edit}: {int(at.sum(-1).max())} keys of a row would have {float(total.max()):g} together, where a row of "
            f"{module} has 1. Set them to less, or set the whole row: value=[...] without keys."
        )
    rest = rows.masked_fill(at, 0).sum(-1, keepdim=True)
    left = (before - total).clamp_min(0) / rest.clamp_min(torch.finfo(rows.dtype).tiny)
    rescaled = torch.where(at.any(-1, keepdim=True), rows * left, rows)
    return rescaled.masked_fill(at, value)


def _scaled(
    edit: Edit, rows: torch.Tensor, at: torch.Tensor, before: torch.Tensor, value: float, *, sinks: bool
) -> torch.Tensor:
    """Multiply places of rows, by exp(value) for a bias, and rescale rows to the sum that they had."""
    own, others = (math.exp(min(value, 0)), math.exp(-max(value, 0))) if edit.op == "bias" else (value, 1.0)
    if own > 1:  # what rises is as good as all others that fall, and cannot overflow
        own, others = 1.0, 1 / own
    changed = torch.where(at, rows * own, rows * others)
    after = changed.sum(-1, keepdim=True)
    if edit.op == "bias" and sinks:  # what goes to no token is a score of the same softmax
        after, before = after + others * (1 - before), torch.ones_like(before)
    changed = changed * (before / after.clamp_min(torch.finfo(rows.dtype).tiny))
    return torch.where(at.any(-1, keepdim=True), changed, rows)


def _visible(call: Call, weights: torch.Tensor) -> torch.Tensor:
    """Return where a query may see a key: bool, broadcast to the weights [batch, head, query, key]."""
    it, used = call.attention, weights != 0
    n_queries, n_keys = weights.shape[2:]
    everything = torch.ones(n_queries, n_keys, dtype=torch.bool, device=weights.device)
    if isinstance(it, Scattered):
        return replace(it, values=torch.ones_like(it.values)).weights() > 0
    if isinstance(it, DotProduct):
        seen = everything if it.diagonal is None else everything.tril(it.diagonal)
        if it.mask is not None:
            seen = seen & (it.mask if it.mask.dtype == torch.bool else it.mask > _HIDES)
        return seen | used
    diagonal = (call.first_query or 0) - call.first_key
    reads_itself = call.causal or call.n_keys is not None or (n_queries > 1 and not it.looks_ahead(diagonal))
    if call.cross or call.gate or not reads_itself:
        return everything
    begun = used.any(1, keepdim=True).cumsum(-1) > 0  # from the first key that any head sees
    return begun.tril(diagonal) | used


def _is_of(site: str, module: str) -> bool:
    return site.partition("#")[0] == module


def _chosen(which: int | Iterable[int] | slice | None, first: int, count: int) -> list[int]:
    """Return which of `count` rows or columns, the first of them at position `first`, are chosen."""
    if which is None:
        return list(range(count))
    wanted = range(*which.indices(first + count)) if isinstance(which, slice) else _numbers(which)
    return [position - first for position in wanted if 0 <= position - first < count]


def _numbers(which: int | Iterable[int]) -> Iterable[int]:
    return (which,) if isinstance(which, int) else which


def _missed(edit: Edit, met: dict[str, set[int]], axis: str) -> list[int]:
    """Return what an edit names one by one and no call had."""
    which = getattr(edit, axis)
    return [it for it in which if it not in met[axis]] if isinstance(which, tuple) else []
