"""Adapter: a softmax whose result flows into a product, whatever the module is called.

This is what attention is when it is written out by hand (Bahdanau et al. 2014, equation 5; Vaswani et al. 2017,
equation 1). The result is followed through dropout, casts and views; it counts once it weighs something: a matrix
product, or a product with a broadcast axis. A softmax over the vocabulary rarely does, so it is not mistaken for one;
where it does (a soft embedding, softmax(logits) @ E), it cannot be told from attention and is recorded.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from attnwidget.capture import axes
from attnwidget.capture.adapter import Adapter, Sink, TorchFunction
from attnwidget.capture.attention import Weights
from attnwidget.capture.call import BEFORE_DROPOUT, Call, to_call
from attnwidget.capture.following import Followed, Made, Origin, State
from attnwidget.capture.modules import is_router
from attnwidget.capture.scored import MATRIX_PRODUCTS, PRODUCTS, WATCHED, Path, Watch

_SOFTMAX = frozenset({"softmax", "_softmax", "special_softmax"})
_LOG_SOFTMAX = frozenset({"log_softmax", "special_log_softmax"})
_LOG_SUM = frozenset({"logsumexp", "special_logsumexp"})
_MINUS = frozenset({"sub", "sub_", "subtract", "__sub__", "__isub__"})
_POSITIVE = frozenset({"exp", "exp_", "relu", "relu_", "sigmoid", "sigmoid_", "softplus"})
_DIVIDE = frozenset({"div", "div_", "divide", "true_divide", "__truediv__", "__itruediv__"})
_DROPOUT = frozenset({"dropout", "dropout_", "alpha_dropout"})
_MOVES = frozenset(
    {"view", "view_as", "reshape", "transpose", "permute", "swapaxes", "movedim", "squeeze", "unsqueeze", "flatten"}
    | {"unflatten", "__getitem__", "t", "__get__", "unbind", "split", "chunk"}
)
_REPEATS = frozenset({"expand", "expand_as", "repeat", "broadcast_to"})
_KEEPS = frozenset(
    {"to", "type", "type_as", "float", "half", "bfloat16", "double", "contiguous", "clone", "masked_fill"}
    | {"masked_fill_", "nan_to_num", "where"}
)
_REPLACES = frozenset({"masked_fill", "nan_to_num", "where"})  # some numbers by others, so that these are the weights
_CARRIES_ON = _DROPOUT | _MOVES | _REPEATS | _KEEPS
_TRANSPOSES = frozenset({"T", "mT", "H", "mH"})
_STARTS = _SOFTMAX | _LOG_SOFTMAX | _LOG_SUM | _POSITIVE
_SEVERAL = MATRIX_PRODUCTS | PRODUCTS | _MINUS | {"where"}  # look at more than their first argument


class SoftmaxAdapter(Adapter):
    """Follows results of softmax until they weigh something."""

    name = "softmax"
    functions = _STARTS | _DIVIDE | _MINUS | WATCHED | _CARRIES_ON

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        # Keyed by id and held by weak reference, so that no tensor lives longer because it is followed.
        self._followed: dict[int, Followed] = {}
        self._watch = Watch()

    def run(self, func: TorchFunction, args: Sequence[object], kwargs: Mapping[str, object]) -> object:
        """Run the function, and look at what went in and came out."""
        name, followed = func.__name__, self._followed
        if followed and (name in MATRIX_PRODUCTS or name in PRODUCTS):
            with torch._C.DisableTorchFunction():
                args, kwargs = self._weigh(name, args, kwargs)
        result = func(*args, **kwargs)
        if name in WATCHED and not any(id(it) in followed for it in axes.tensors(args)):
            self._watch.look(name, result, args, kwargs)
        if name in _STARTS or (followed and (name in _SEVERAL or (args and id(args[0]) in followed))):
            if name == "__get__" and getattr(getattr(func, "__self__", None), "__name__", "") not in _TRANSPOSES:
                return result
            with torch._C.DisableTorchFunction():
                self._look(func, result, args, kwargs)
        return result

    def forget(self, tensor: torch.Tensor) -> None:
        """Stop following a tensor, and withdraw it where it weighed something already."""
        found = self._find(tensor)
        if found is not None:
            if found.origin.call is not None:
                self.sink.withdraw(found.origin.call)
            found.origin.forgotten = True

    def _look(self, func: TorchFunction, result: object, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        name = func.__name__
        if not isinstance(result, torch.Tensor):
            self._carry(func, result, args, kwargs)  # parts of a tensor, as unbind returns them
        elif name in _SOFTMAX or name in _LOG_SOFTMAX:
            state = State.WEIGHTS if name in _SOFTMAX else State.LOGARITHM
            self._begin(result, axes.softmax_axis(result.ndim, args, kwargs), state, self._watch.path(args[0]))
        elif name in _LOG_SUM:
            self._begin(result, -1, State.LOG_SUM)
        elif name in _MINUS:
            found = self._find(args[1]) if len(args) > 1 else None
            if found is not None and found.origin.state is State.LOG_SUM:
                self._begin(result, axes.summed_axis(result, args[1]), State.LOGARITHM)
        elif name in _POSITIVE:
            found = self._find(args[0])
            if found is not None and found.origin.state is State.LOGARITHM and name.startswith("exp"):
                self._begin(result, found.origin.dim, State.WEIGHTS)
            else:
                self._begin(result, -1, State.POSITIVE)
        elif name in PRODUCTS:
            for operand, source, others in self._weighable(args, kwargs):
                if not _weighs(name, operand, source, others) and result.shape == operand.shape:
                    replaced = any(axes.changes_rows(other, source.origin.dim, operand) for other in others)
                    self._follow(result, source, Made(func, args, kwargs, source), replaced=replaced)
        elif name in _DIVIDE:
            found = self._find(args[0])
            axis = None if found is None else axes.normalised_axis(result, args[1])
            if axis is not None:
                self._begin(result, axis, State.WEIGHTS)
            elif found is not None:
                self._follow(result, found, Made(func, args, kwargs, found))
        elif name not in MATRIX_PRODUCTS:
            self._carry(func, result, args, kwargs)

    def _begin(self, result: torch.Tensor, dim: int, state: State, path: Path | None = None) -> None:
        owner = None if state is State.POSITIVE else self.sink.owner()
        if owner is not None or state is State.POSITIVE:
            origin = Origin(weakref.ref(result), dim % max(result.ndim, 1), state, owner, path=path)
            self._keep(Followed(weakref.ref(result), origin), result)

    def _follow(
        self,
        result: torch.Tensor,
        source: Followed,
        made: Made,
        *,
        moved: bool = False,
        repeated: bool = False,
        replaced: bool = False,
    ) -> None:
        if result is not source.tensor():
            origin = source.origin
            kept = source.weights() if origin.state is State.WEIGHTS and origin.call is None else None
            moved, repeated = moved or source.moved, repeated or source.repeated
            how = made if self.sink.edits else None
            replaced |= made.func.__name__ in _REPLACES
            changed = replaced and not moved and result.shape == getattr(kept, "shape", None)
            self._keep(Followed(weakref.ref(result), origin, kept, moved, repeated, changed, how), result)

    def _keep(self, followed: Followed, tensor: torch.Tensor) -> None:
        key = id(tensor)
        followed.tensor = weakref.ref(tensor, lambda _: self._followed.pop(key, None))
        self._followed[key] = followed

    def _find(self, tensor: object) -> Followed | None:
        found = self._followed.get(id(tensor))
        return found if found is not None and found.tensor() is tensor else None

    def _carry(self, func: TorchFunction, result: object, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        name = func.__name__
        for tensor in axes.tensors(args[:3]):
            source = self._find(tensor)
            if source is not None:
                if name in _DROPOUT and result is not tensor and axes.drops(args, kwargs):
                    source.origin.note = BEFORE_DROPOUT
                for i, part in enumerate(axes.tensors([result])):
                    made = Made(func, args, kwargs, source, i)
                    self._follow(part, source, made, moved=name in _MOVES, repeated=name in _REPEATS)
                return

    def _weighable(
        self, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> Iterator[tuple[torch.Tensor, Followed, list[torch.Tensor]]]:
        """Yield operands that are weights, with the other ones."""
        operands = list(axes.tensors((*args, *kwargs.values())))
        for index, operand in enumerate(operands):
            source = self._find(operand)
            if source is not None and source.origin.state is State.WEIGHTS:
                yield operand, source, [other for i, other in enumerate(operands) if i != index]

    def _weigh(
        self, name: str, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> tuple[Sequence[object], Mapping[str, object]]:
        """Take weights that are about to weigh something; return the arguments, with edited weights in their place."""
        for operand, source, others in self._weighable(args, kwargs):
            origin = source.origin
            if not _weighs(name, operand, source, others) or origin.forgotten:
                continue
            if origin.call is None:
                equation = args[0] if name == "einsum" and not source.moved else None
                self._take(source, operand, others, args, equation=equation, product=name in PRODUCTS)
            if origin.edited is not None:
                args = _swapped(args, operand, source.again(origin.edited))
                kwargs = {key: source.again(origin.edited) if it is operand else it for key, it in kwargs.items()}
        return args, kwargs

    def _take(
        self,
        source: Followed,
        operand: torch.Tensor,
        others: list[torch.Tensor],
        args: Sequence[object],
        *,
        equation: object,
        product: bool,
    ) -> None:
        origin, weights = source.origin, source.weights()
        if weights is None or origin.owner is None or is_router(origin.owner):
            return
        owner, index = origin.owner, next((i for i, it in enumerate(axes.tensors(args)) if it is operand), 0)
        among_queries = origin.dim == weights.ndim - 2 and not (product or source.moved or index or equation)
        axis = -1 if among_queries else origin.dim

        def brought(tensor: torch.Tensor) -> Call:
            named = axes.by_equation(equation, tensor, dim=origin.dim, index=index)
            last = tensor.movedim(axis, -1) if named is None else named
            batched = axes.counts_examples(last, operand, others, product=product)
            return to_call(last, owner=owner, route=self.name, batched=batched, note=origin.note)

        call = brought(weights.detach())
        if origin.path is not None:
            scores = brought(origin.path.scores.detach()).attention.weights()
            call = replace(call, attention=Weights(call.attention.weights(), replace(origin.path, scores=scores)))
        origin.path = None
        edited = self.sink.edited(call)
        if edited is not None:
            places = brought(torch.arange(weights.numel(), device=weights.device).view(weights.shape))
            order = places.attention.weights().reshape(-1)
            new = torch.empty_like(weights).reshape(-1)
            new[order] = edited.attention.weights().reshape(-1).to(weights.dtype)
            call, origin.edited = edited, new.view(weights.shape)
        origin.call = call
        for followed in list(self._followed.values()):  # to let go of a tensor may end what follows it
            if followed.origin is origin:
                followed.kept = None
        self.sink.take(call)


def _weighs(name: str, operand: torch.Tensor, source: Followed, others: list[torch.Tensor]) -> bool:
    """Tell whether a product weighs several values, or only masks or scales the weights."""
    if name in PRODUCTS and not source.repeated:
        return any(axes.spreads(operand, other) for other in others)
    return bool(others)


def _swapped(values: Sequence[object], old: torch.Tensor, new: torch.Tensor) -> list[object]:
    """Return values with one tensor in place of another, also in lists of them."""
    return [
        _swapped(value, old, new) if isinstance(value, (list, tuple)) else new if value is old else value
        for value in values
    ]
