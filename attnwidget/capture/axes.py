"""Which axis is which: what a torch function, its arguments and an einsum equation tell about weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch

_LARGEST_MASK = 1 << 20  # in which the two numbers of a dropout are looked for
_SUM_TOLERANCE = 2e-2  # what half precision leaves of a sum of 1


def tensors(values: Iterable[object]) -> Iterator[torch.Tensor]:
    """Yield the tensors among values, also those in lists and tuples."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors(value)


def softmax_axis(n_dims: int, args: Sequence[object], kwargs: Mapping[str, object]) -> int:
    """Return the axis of a softmax call; without `dim` torch takes 0 or 1, depending on the number of axes."""
    dim = args[1] if len(args) > 1 else kwargs.get("dim")
    if isinstance(dim, int):
        return dim
    return 0 if n_dims in (0, 1, 3) else 1


def normalised_axis(result: torch.Tensor, divisor: object) -> int | None:
    """Return the axis along which a division made everything sum to 1, or None."""
    if not isinstance(divisor, torch.Tensor) or not result.ndim or result.ndim != divisor.ndim:
        return None
    uneven = [axis for axis in range(result.ndim) if result.shape[axis] != divisor.shape[axis]]
    axes = uneven or [result.ndim - 1]
    if len(axes) != 1 or divisor.shape[axes[0]] != 1 or not result.is_floating_point():
        return None
    misses = (result.detach().sum(axes[0]) - 1).abs()
    return axes[0] if bool((misses < _SUM_TOLERANCE).all()) else None


def summed_axis(result: torch.Tensor, subtracted: object) -> int:
    """Return the axis over which a sum was taken that was then subtracted: the one of which it has no parts."""
    shape = subtracted.shape if isinstance(subtracted, torch.Tensor) else ()
    pairs = zip(reversed(range(result.ndim)), reversed(shape), strict=False)
    return next((axis for axis, size in pairs if size == 1 and result.shape[axis] > 1), result.ndim - 1)


def spreads(weights: torch.Tensor, other: torch.Tensor) -> bool:
    """Tell whether each weight multiplies several values: an axis is 1 in the weights and longer in the other."""
    pairs = zip(reversed(weights.shape), reversed(other.shape), strict=False)
    return other.ndim <= weights.ndim and any(mine == 1 and theirs > 1 for mine, theirs in pairs)


def changes_rows(other: torch.Tensor, dim: int, weights: torch.Tensor) -> bool:
    """Tell whether a factor makes other weights of weights, key by key, as a window does and a dropout does not."""
    axis = dim - weights.ndim
    if -axis > other.ndim or other.shape[axis] == 1:
        return False  # a scale
    values = torch.unique(other.detach()) if other.numel() <= _LARGEST_MASK else other.new_empty(3)
    return not (len(values) <= 2 and values.is_floating_point() and 0 in values and values.max() > 1)


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


def by_equation(equation: object, weights: torch.Tensor, *, dim: int, index: int) -> torch.Tensor | None:
    """Bring weights to [batch, head, query, key] as an einsum equation names their axes; None where it does not.

    The key axis is that of the softmax, queries are axes that the weights have alone, and of those that they share
    with the values the first is the batch and the rest are heads.

    Args:
        equation: the first argument of einsum.
        weights: in the order of their term.
        dim: the axis of the softmax.
        index: which term is theirs.
    """
    if not isinstance(equation, str) or "." in equation:
        return None
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    mine = terms[index]
    theirs = "".join(term for i, term in enumerate(terms) if i != index)
    key = mine[dim]
    shared = [letter for letter in mine if letter in theirs and letter != key]
    queries = [letter for letter in mine if letter not in theirs]
    if key not in theirs or len(set(mine)) != weights.ndim:
        return None
    order = [*shared, *queries, key]
    if len(shared) == 1 and len(queries) < 2:  # [batch, query, key], or heads folded into the batch
        named = weights.permute([mine.index(letter) for letter in order])
        return named if queries else named[:, None]
    sizes = {letter: weights.shape[axis] for axis, letter in enumerate(mine)}
    n_examples = sizes[shared[0]] if shared else 1
    n_queries = torch.Size([sizes[letter] for letter in queries]).numel()
    named = weights.permute([mine.index(letter) for letter in order])
    return named.reshape(n_examples, -1, n_queries, sizes[key])  # [batch, head, query, key]
