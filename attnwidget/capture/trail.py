"""The trail of weights: what a softmax made, what makes weights without one, and what became of them on the way."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence

import torch

from attnwidget.capture import axes, moved, sums
from attnwidget.capture import functions as names
from attnwidget.capture.adapter import Sink, TorchFunction
from attnwidget.capture.call import BEFORE_DROPOUT, SINKS
from attnwidget.capture.following import Followed, Made, Origin, State
from attnwidget.capture.functions import MATRIX_PRODUCTS, PRODUCTS
from attnwidget.capture.scored import Path

_MAY_BE = (State.POSITIVE, State.EXPONENTIAL)


class Trail:
    """Follows tensors by id, held by weak reference, so that none lives longer because it is followed.

    Args:
        sink: which module runs, and whether weights are edited.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.followed: dict[int, Followed] = {}

    def find(self, tensor: object) -> Followed | None:
        """Return what is known of a tensor; None where it is not followed."""
        found = self.followed.get(id(tensor))
        return found if found is not None and found.tensor() is tensor else None

    def weighable(
        self, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> Iterator[tuple[torch.Tensor, Followed, list[torch.Tensor]]]:
        """Yield operands that are weights, with the other ones."""
        operands = list(axes.tensors((*args, *kwargs.values())))
        for index, operand in enumerate(operands):
            source = self.find(operand)
            if source is not None and source.origin.state is State.WEIGHTS:
                yield operand, source, [other for i, other in enumerate(operands) if i != index]

    def look(
        self,
        func: TorchFunction,
        result: object,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        path: Path | None,
    ) -> None:
        """Look at a function that ran.

        Args:
            func, args, kwargs: what was called.
            result: what came of it.
            path: what was seen on the way to scores, where it is a softmax.
        """
        name = func.__name__
        if not isinstance(result, torch.Tensor):
            self._carry(func, result, args, kwargs)  # parts of a tensor, as unbind returns them
        elif name in names.SOFTMAX or name in names.LOG_SOFTMAX:
            state = State.WEIGHTS if name in names.SOFTMAX else State.LOGARITHM
            self._begin(result, axes.softmax_axis(name, result.ndim, args, kwargs), state, path)
        elif name in names.LOG_SUM:
            self._begin(result, -1, State.LOG_SUM)
        elif name in names.POSITIVE:
            self._positive(name, result, args, kwargs)
        elif name in names.NORMALISES:
            axis = kwargs.get("dim", 1)
            if isinstance(axis, int) and kwargs.get("p") == 1 and sums.sums_to_one(result, axis):
                self._begin(result, axis, State.WEIGHTS)
        elif name in names.DIVIDES:
            self._divide(func, result, args, kwargs)
        elif name in PRODUCTS:
            self._multiply(func, result, args, kwargs)
        elif name in names.CHANGES:
            self._change(func, result, args, kwargs)
        elif name in MATRIX_PRODUCTS:
            for operand, source, _ in self.weighable(args, kwargs):
                dim = axes.kept_axis(args, operand, dim=source.dim)
                if dim is not None:
                    self._renew(result, source, dim)
        else:
            self._carry(func, result, args, kwargs)

    def find_sums(self, name: str, args: Sequence[object]) -> None:
        """Take what is positive and about to weigh something for weights, if its rows sum to 1."""
        for index, operand in enumerate(axes.tensors(args)):
            found = self.find(operand) if name in MATRIX_PRODUCTS and operand.ndim > 1 else None
            if found is not None and found.origin.state in _MAY_BE:
                axis = operand.ndim - 2 if index and name != "einsum" else operand.ndim - 1
                if sums.sums_to_one(operand, axis):
                    self._begin(operand, axis, State.WEIGHTS)

    def _positive(self, name: str, result: torch.Tensor, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        least = args[1] if len(args) > 1 else kwargs.get("min")  # of a clamp; a tensor tells nothing
        found = self.find(args[0]) if args else None
        if found is not None and found.origin.state is State.LOGARITHM and name.startswith("exp"):
            self._begin(result, found.origin.dim if found.dim is None else found.dim, State.WEIGHTS)
        elif not name.startswith("cl") or (isinstance(least, (int, float)) and least == 0):
            self._begin(result, -1, State.EXPONENTIAL if name.startswith("exp") else State.POSITIVE)

    def _divide(
        self, func: TorchFunction, result: torch.Tensor, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> None:
        found = self.find(args[0]) if args else None
        divisor = args[1] if len(args) > 1 else kwargs.get("other")
        axis = sums.normalised_axis(result, divisor, followed=found is not None)
        if axis is not None:
            self._begin(result, axis, State.WEIGHTS)
        elif found is not None and found.origin.state is State.EXPONENTIAL:
            axis = sums.share_axis(result, divisor)
            if axis is not None:
                self._begin(result, axis, State.WEIGHTS, sinks=True)
        elif found is not None:
            self._follow(result, found, Made(func, args, kwargs, found), dim=found.dim, order=found.order)

    def _multiply(
        self, func: TorchFunction, result: torch.Tensor, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> None:
        for operand, source, others in self.weighable(args, kwargs):
            if result.shape == operand.shape and not axes.weighs(
                func.__name__, operand, others, repeated=source.repeated
            ):
                dim = source.origin.dim if source.dim is None else source.dim
                made = Made(func, args, kwargs, source)
                replaced = any(sums.changes_rows(other, dim, operand) for other in others)
                self._follow(result, source, made, dim=source.dim, order=source.order, replaced=replaced)
        for positive, factor in zip(args[:2], args[1::-1], strict=True):
            found = self.find(positive)
            if found is not None and found.origin.state is State.EXPONENTIAL:
                axis = sums.normalised_axis(result, factor, followed=False)
                if axis is not None:
                    self._begin(result, axis, State.WEIGHTS)

    def _change(
        self, func: TorchFunction, result: torch.Tensor, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> None:
        """Follow what became of weights in a way that makes others of them, which count from here on."""
        name = func.__name__
        operands = list(axes.tensors(args[:1] if name in names.MIXES else args[:2]))
        found = [self.find(it) for it in operands]
        sources = [it for it in found if it is not None and it.origin.state is State.WEIGHTS]
        if not operands:
            return
        if name in names.MINUS and found[-1] is not None and found[-1].origin.state is State.LOG_SUM:
            self._begin(result, axes.summed_axis(result, operands[-1]), State.LOGARITHM)
        if name in names.POWERS and found[0] is not None and found[0].origin.state in _MAY_BE:
            self._begin(result, -1, State.POSITIVE)
        dim = sources[0].dim if sources else None
        if dim is None or any(it.dim != dim for it in sources):
            return
        if name in names.SUMS and len(operands) == 1:  # a number, as what keeps a divisor from 0
            self._follow(result, sources[0], Made(func, args, kwargs, sources[0]), dim=dim, order=sources[0].order)
        elif name in names.JOINS:
            axis = args[1] if len(args) > 1 else kwargs.get("dim", 0)
            if len(sources) == len(found) and isinstance(axis, int):
                self._renew(result, sources[0], dim + (name == "stack" and axis % result.ndim <= dim))
        elif moved.keeps_rows(name, operands[0].shape, result.shape, dim) and (
            name not in names.SUMS or len(sources) > 1 or sums.none_negative(result)
        ):
            self._renew(result, sources[0], dim)

    def _begin(
        self, result: torch.Tensor, dim: int, state: State, path: Path | None = None, *, sinks: bool = False
    ) -> None:
        owner = None if state in _MAY_BE else self._sink.owner()
        if result.ndim and (owner is not None or state in _MAY_BE):
            dim %= result.ndim
            note = SINKS if sinks else ""
            self._keep(result, Origin(weakref.ref(result), dim, state, owner, note, path=path, sinks=sinks))

    def _renew(self, result: torch.Tensor, source: Followed, dim: int, *, sinks: bool = False) -> None:
        """Follow a tensor as weights of its own, which came of others."""
        old = source.origin
        note = SINKS if sinks else old.note
        sinks = sinks or old.sinks
        self._keep(result, Origin(weakref.ref(result), dim, State.WEIGHTS, old.owner, note, sinks=sinks))

    def _follow(
        self,
        result: torch.Tensor,
        source: Followed,
        made: Made,
        *,
        dim: int | None,
        order: tuple[int, ...] | None,
        moves: bool = False,
        repeated: bool = False,
        replaced: bool = False,
    ) -> None:
        if result is source.tensor():
            return
        origin = source.origin
        kept = source.weights() if origin.state is State.WEIGHTS and origin.call is None else None
        moves, repeated = moves or source.moved, repeated or source.repeated
        replaced |= made.func.__name__ in names.REPLACES
        if replaced and moves and not repeated and dim is not None and origin.state is State.WEIGHTS:
            self._renew(result, source, dim)
            return
        changed = replaced and not moves and result.shape == getattr(kept, "shape", None)
        how = made if self._sink.edits else None
        self._keep(
            result, origin, Followed(weakref.ref(result), origin, kept, moves, repeated, changed, how, dim, order)
        )

    def _keep(self, tensor: torch.Tensor, origin: Origin, followed: Followed | None = None) -> None:
        if followed is None:
            order = tuple(range(tensor.ndim))
            followed = Followed(weakref.ref(tensor), origin, dim=origin.dim, order=order)
        key = id(tensor)
        followed.tensor = weakref.ref(tensor, lambda _: self.followed.pop(key, None))
        self.followed[key] = followed

    def _carry(self, func: TorchFunction, result: object, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        name = func.__name__
        for tensor in axes.tensors(args[:3]):
            source = self.find(tensor)
            if source is not None:
                if name in names.DROPOUT and result is not tensor and axes.drops(args, kwargs):
                    source.origin.note = BEFORE_DROPOUT
                moves, repeats = name in names.MOVES, name in names.REPEATS
                for i, part in enumerate(axes.tensors([result])):
                    dim = moved.followed_axis(func, args, kwargs, source.dim, tensor.shape, part.shape)
                    order = moved.new_order(func, args, kwargs, source.order, tensor.shape, part.shape)
                    made = Made(func, args, kwargs, source, i)
                    if not moves or not self._cut(part, source, tensor, dim):
                        self._follow(part, source, made, dim=dim, order=order, moves=moves, repeated=repeats)
                return

    def _cut(self, part: torch.Tensor, source: Followed, tensor: torch.Tensor, dim: int | None) -> bool:
        """Tell whether a part of weights leaves out a single key, which is none, or is that key."""
        origin, n_keys = source.origin, 0 if source.dim is None else tensor.shape[source.dim]
        if dim is None or origin.state is not State.WEIGHTS or n_keys < 3 or part.shape[dim] not in (1, n_keys - 1):
            return False
        if part.shape[dim] == n_keys - 1:
            origin.cut = True
            self._renew(part, source, dim, sinks=True)
        return origin.cut
