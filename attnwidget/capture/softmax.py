"""Adapter: a softmax whose result flows into a product, whatever the module is called.

This is what attention is when it is written out by hand (Bahdanau et al. 2014, equation 5; Vaswani et al. 2017,
equation 1). The result is followed through dropout, casts and views, and through what makes other weights of it; it
counts once it weighs something: a matrix product, or a product with a broadcast axis. A softmax over the vocabulary
rarely does, so it is not mistaken for one; where it does (a soft embedding, softmax(logits) @ E), it cannot be told
from attention and is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from attnwidget.capture import axes
from attnwidget.capture import functions as names
from attnwidget.capture.adapter import Adapter, Sink, TorchFunction
from attnwidget.capture.attention import Weights
from attnwidget.capture.call import Call, n_heads_of, to_call
from attnwidget.capture.following import Followed
from attnwidget.capture.functions import MATRIX_PRODUCTS, PRODUCTS
from attnwidget.capture.modules import is_aside, is_router
from attnwidget.capture.scored import WATCHED, Watch
from attnwidget.capture.trail import Trail
from attnwidget.capture.unstopped import Called

_STARTS = names.SOFTMAX | names.LOG_SOFTMAX | names.LOG_SUM | names.POSITIVE | names.NORMALISES | names.DIVIDES
_UNEDITED = (
    "Gradients are on: what {} weighs by its weights is edited, and what else it does with them, as to return them, is "
    "not. Run it in torch.no_grad() to have both edited."
)
_ENDS_SCORES = names.SOFTMAX | names.LOG_SOFTMAX
_SEVERAL = MATRIX_PRODUCTS | PRODUCTS | names.SUMS | names.JOINS | {"where"}  # look at more than their first argument


class SoftmaxAdapter(Adapter):
    """Follows results of softmax until they weigh something."""

    name = "softmax"
    functions = _STARTS | WATCHED | names.CARRIES | names.CHANGES

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self._trail = Trail(sink)
        self._watch = Watch()

    def run(self, func: Called[object], args: Sequence[object], kwargs: Mapping[str, object]) -> object:
        """Run the function, and look at what went in and came out."""
        name, followed = func.__name__, self._trail.followed
        if followed and (name in MATRIX_PRODUCTS or name in PRODUCTS or name == "linear"):
            with torch._C.DisableTorchFunction():
                args, kwargs = self._weigh(name, args, kwargs)
        result = func(*args, **kwargs)
        self._look(func.func, result, args, kwargs)
        return result

    def _look(self, func: TorchFunction, result: object, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        """Look at a function that ran."""
        name, followed = func.__name__, self._trail.followed
        if name in WATCHED and not any(id(it) in followed for it in axes.tensors(args)):
            self._watch.look(name, result, args, kwargs)
        if name in _STARTS or (followed and (name in _SEVERAL or (args and id(args[0]) in followed))):
            if name == "__get__" and getattr(getattr(func, "__self__", None), "__name__", "") not in names.TRANSPOSES:
                return
            with torch._C.DisableTorchFunction():
                scores = args[0] if args else kwargs.get("input")
                path = self._watch.path(scores) if name in _ENDS_SCORES else None
                self._trail.look(func, result, args, kwargs, path)

    def forget(self, tensor: torch.Tensor) -> None:
        """Stop following a tensor, and withdraw it where it weighed something already."""
        found = self._trail.find(tensor)
        if found is not None:
            if found.origin.call is not None:
                self.sink.withdraw(found.origin.call)
            found.origin.forgotten = True

    def _weigh(
        self, name: str, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> tuple[Sequence[object], Mapping[str, object]]:
        """Take weights that are about to weigh something; return the arguments, with edited weights in their place."""
        if name == "linear" and not (len(args) > 1 and isinstance(args[1], torch.Tensor) and args[1]._is_view()):
            return args, kwargs  # a layer, whose weights are parameters
        self._trail.find_sums(name, args)
        for operand, source, others in self._trail.weighable(args, kwargs):
            origin = source.origin
            if origin.forgotten or not axes.weighs(name, operand, others, repeated=source.repeated):
                continue
            if name == "einsum" and axes.kept_axis(args, operand, dim=source.dim) is not None:
                continue
            if origin.call is None:
                equation = args[0] if name == "einsum" and (source.order or not source.moved) else None
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
        if weights.ndim == 4 and is_aside(origin.owner):
            self.sink.leave_out(origin.owner)
            return
        owner, index = origin.owner, next((i for i, it in enumerate(axes.tensors(args)) if it is operand), 0)
        order = source.order or axes.order_by_heads(weights.shape, origin.dim, n_heads_of(owner))
        dim = order.index(origin.dim)
        among_queries = dim == weights.ndim - 2 and not (product or source.moved or index or equation)
        axis = -1 if among_queries else dim

        def brought(tensor: torch.Tensor) -> Call:
            tensor = tensor.permute(order)
            named = axes.by_equation(equation, tensor, dim=dim, index=index, n_heads=n_heads_of(owner))
            last = tensor.movedim(axis, -1) if named is None else named
            batched = axes.counts_examples(last, operand, others, product=product)
            call = to_call(last, owner=owner, route=self.name, batched=batched, note=origin.note)
            return replace(call, sinks=origin.sinks)

        call = brought(weights if self.sink.edits else weights.detach())  # gradients flow through what is edited
        if origin.path is not None:
            scores = brought(origin.path.scores.detach()).attention.weights()
            call = replace(call, attention=Weights(call.attention.weights(), replace(origin.path, scores=scores)))
        origin.path = None
        edited = self.sink.edited(call)
        if edited is not None:
            places = brought(torch.arange(weights.numel(), device=weights.device).view(weights.shape))
            flat = places.attention.weights().reshape(-1)
            new = torch.empty_like(weights).reshape(-1)
            new[flat] = edited.attention.weights().reshape(-1).to(weights.dtype)
            call, origin.edited = edited, new.view(weights.shape)
            if weights.requires_grad:
                call = replace(call, note=call.note or _UNEDITED.format(call.module or type(owner.module).__name__))
            elif 0 not in weights.stride():
                weights.copy_(origin.edited)  # for what else the model does with them: adds them up, returns them
        origin.call = call
        for followed in list(self._trail.followed.values()):  # to let go of a tensor may end what follows it
            if followed.origin is origin:
                followed.kept = None
        self.sink.take(call)


def _swapped(values: Sequence[object], old: torch.Tensor, new: torch.Tensor) -> list[object]:
    """Return values with one tensor in place of another, also in lists of them."""
    return [
        _swapped(value, old, new) if isinstance(value, (list, tuple)) else new if value is old else value
        for value in values
    ]
