"""Which axis is which: what a torch function, its arguments and an einsum equation tell about weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from math import prod
from operator import mul

import torch

from attnwidget.capture.functions import PRODUCTS


def tensors(values: Iterable[object]) -> Iterator[torch.Tensor]:
    """Yield the tensors among values, also those in lists and tuples."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors(value)


def softmax_axis(name: str, n_dims: int, args: Sequence[object], kwargs: Mapping[str, object]) -> int:
    """Return the axis of a softmax call; without `dim` torch takes 0 or 1, depending on the number of axes."""
    place, default = (4, -1) if name == "gumbel_softmax" else (1, None)
    dim = args[place] if len(args) > place else kwargs.get("dim", default)
    if isinstance(dim, int):
        return dim
    return 0 if n_dims in (0, 1, 3) else 1


def summed_axis(result: torch.Tensor, subtracted: object) -> int:
    """Return the axis over which a sum was taken that was then subtracted: the one of which it has no parts."""
    shape = subtracted.shape if isinstance(subtracted, torch.Tensor) else ()
    pairs = zip(reversed(range(result.ndim)), reversed(shape), strict=False)
    return next((axis for axis, size in pairs if size == 1 and result.shape[axis] > 1), result.ndim - 1)


def spreads(weights: torch.Tensor, other: torch.Tensor) -> bool:
    """Tell whether each weight multiplies several values: an axis is 1 in the weights and longer in the other."""
    pairs = zip(reversed(weights.shape), reversed(other.shape), strict=False)
    return other.ndim <= weights.ndim and any(mine == 1 and theirs > 1 for mine, theirs in pairs)


def drops(args: Sequence[object], kwargs: Mapping[str, object]) -> bool:
    """Tell whether a dropout is on: F.dropout(input, p=0.5, training=True), torch.dropout(input, p, train)."""
    share = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
    training = args[2] if len(args) > 2 else kwargs.get("training", kwargs.get("train", True))
    return bool(share) and bool(training)


def counts_examples(
    weights: torch.Tensor, operand: torch.Tensor, others: Iterable[torch.Tensor], *, product: bool
) -> bool:
    """Tell whether the first of two axes counts examples, as in [batch, key], or queries, as in [query, key].

    Args:
        weights: as the softmax made them, the key axis last.
        operand: what became of them on the way to the product.
        others: what they are multiplied with.
        product: whether the product is element by element.
    """
    if product:
        return any(other.ndim == operand.ndim and other.shape[0] == operand.shape[0] for other in others)
    return operand.ndim > 2 and operand.shape[0] == weights.shape[0]


def weighs(name: str, operand: torch.Tensor, others: Sequence[torch.Tensor], *, repeated: bool) -> bool:
    """Tell whether a product weighs several values, or only masks or scales the weights.

    Args:
        name: of the torch function.
        operand: the weights.
        others: what they are multiplied with.
        repeated: whether they were repeated for the values that they weigh.
    """
    if name in PRODUCTS and not repeated:
        return any(spreads(operand, other) for other in others)
    return bool(others)


def kept_axis(args: Sequence[object], operand: torch.Tensor, *, dim: int | None) -> int | None:
    """Return where an einsum leaves the key axis while it mixes another one, as heads that talk; None where it weighs.

    Args:
        args: of the einsum.
        operand: the weights, one of these.
        dim: the key axis.
    """
    terms, result = _terms(args[0])
    index = next((i for i, it in enumerate(tensors(args)) if it is operand), 0)
    if dim is None or len(terms) != 2 or len(result) != operand.ndim or len(terms[index]) != operand.ndim:
        return None
    mine, theirs = terms[index], terms[1 - index]
    mixes = operand.ndim > 2 and mine[dim] in result and mine[dim] not in theirs and mine[0] not in theirs
    return result.index(mine[dim]) if mixes else None


def _terms(equation: object) -> tuple[list[str], str]:
    if not isinstance(equation, str) or "." in equation:
        return [], ""
    terms, _, result = equation.replace(" ", "").partition("->")
    return terms.split(","), result


def by_equation(equation: object, weights: torch.Tensor, *, dim: int, index: int, n_heads: int) -> torch.Tensor | None:
    """Bring weights to [batch, head, query, key] as an einsum equation names their axes; None where it does not.

    The key axis is that of the softmax, queries are axes that the weights have alone, and of those that they share
    with the values the first there is the batch and the rest are heads. Heads that share values are axes that the
    weights have alone, too: as many of these as the module has heads.

    Args:
        equation: the first argument of einsum.
        weights: in the order of their term.
        dim: the axis of the softmax.
        index: which term is theirs.
        n_heads: how many heads the module tells of; 1 where it tells nothing.
    """
    terms, _ = _terms(equation)
    if not terms:
        return None
    mine = terms[index]
    theirs = "".join(term for i, term in enumerate(terms) if i != index)
    if len(set(mine)) != weights.ndim or mine[dim] not in theirs:
        return None
    key, sizes = mine[dim], {letter: weights.shape[axis] for axis, letter in enumerate(mine)}
    shared = sorted((letter for letter in mine if letter in theirs and letter != key), key=theirs.index)
    alone = [letter for letter in mine if letter not in theirs]
    counts = list(
        accumulate((sizes[letter] for letter in alone[:-1]), mul, initial=prod(sizes[letter] for letter in shared[1:]))
    )
    if n_heads in counts[1:]:
        end = counts.index(n_heads, 1)
        shared, alone = shared + alone[:end], alone[end:]
    named = weights.permute([mine.index(letter) for letter in (*shared, *alone, key)])
    if len(shared) == 1 and len(alone) < 2:  # [batch, query, key], or heads folded into the batch
        return named if alone else named[:, None]
    n_examples = sizes[shared[0]] if shared else 1
    n_queries = torch.Size([sizes[letter] for letter in alone]).numel()
    return named.reshape(n_examples, -1, n_queries, sizes[key])  # [batch, head, query, key]


def order_by_heads(shape: Sequence[int], dim: int, n_heads: int) -> tuple[int, ...]:
    """Return the order of axes that has the heads before the queries, as far as their number tells which they are.

    Args:
        shape: of weights; of four axes the first counts examples.
        dim: the axis of the softmax.
        n_heads: as the module tells.
    """
    others = [axis for axis in range(len(shape)) if axis not in (0, dim)]
    if len(others) == 2 and shape[others[1]] == n_heads != shape[others[0]]:
        return (0, *reversed(others), dim)
    return tuple(range(len(shape)))
