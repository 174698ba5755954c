"""What an adapter hands over: one attention computation, brought to one shape."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from attnwidget.capture.attention import Attention, Weights
from attnwidget.capture.modules import Owner

SINKS = "Rows sum to less than 1 by design: this model lets a part of the attention go to a sink, which is no token."
BEFORE_DROPOUT = "Dropout is on: the weights shown are before dropout. model.eval() shows what inference uses."
_AS_HEADS = (
    "{} attends in {} maps, which are shown as {} heads. If some of them are blocks of a sequence, queries and keys of "
    "each are counted from the start of its block."
)
HEAD_COUNTS = ("num_heads", "n_heads", "num_attention_heads", "n_head", "nhead", "nheads", "heads", "h")


@dataclass(frozen=True, eq=False)
class Call:
    """One attention computation.

    Args:
        module: path of the module that made it, or the name that a mark gave; "" for the model itself.
        route: name of the adapter that saw it.
        attention: its weights, or what they come from, for the whole batch.
        note: what a person must know about all weights of this kind; it becomes a warning, once.
        cross: keys are of another sequence than queries; None where the adapter cannot know.
        causal: a query sees no later key; None where the adapter cannot know.
        sinks: rows sum to less than 1 by design, because a part goes to no token.
        first_query: position of the first query in the sequence; None where the adapter cannot know.
        first_key: position of the first key: what came before it, a window has forgotten.
        n_keys: how many tokens the sequence had; more keys than that are the empty end of a static cache. None
            where the adapter cannot know.
        gate: each weight is between 0 and 1 on its own, so that rows need not sum to 1.
        edited: whether the weights are those of an edit.
        key: what stays the same where a call is brought to another shape.
    """

    module: str
    route: str
    attention: Attention
    note: str = ""
    cross: bool | None = None
    causal: bool | None = None
    sinks: bool = False
    first_query: int | None = None
    first_key: int = 0
    n_keys: int | None = None
    gate: bool = False
    edited: bool = False
    key: object = field(default_factory=object)


def to_call(
    weights: torch.Tensor,
    *,
    owner: Owner,
    route: str,
    name: str = "",
    batched: bool = True,
    note: str = "",
    causal: bool | None = None,
) -> Call:
    """Bring weights to [batch, head, query, key].

    Args:
        weights: [key], [batch, key], [batch, query, key], [batch * head, query, key] where the module or its parent
            tells its number of heads, or [batch, head, query, key]; [query, key] where `batched` is False.
        owner: the module that made them.
        route: name of the adapter.
        name: what to call the site; by default the path of the module.
        batched: whether the first of two axes counts examples.
        note: what a person must know about them.
        causal: a query sees no later key; None where that is not known.
    """
    n_heads = n_heads_of(owner) if weights.ndim == 3 and len(weights) > 1 else 1
    if weights.ndim == 1:
        weights = weights[None, None, None]  # [1, 1, 1, key]
    elif weights.ndim == 2:
        weights = weights[:, None, None] if batched else weights[None, None]  # [batch, 1, query, key]
    elif n_heads > 1 and len(weights) % n_heads == 0:
        weights = weights.reshape(-1, n_heads, *weights.shape[1:])  # [batch, head, query, key]
    elif weights.ndim == 3:
        weights = weights[:, None]  # [batch, 1, query, key]
    elif weights.ndim > 4:
        n_maps = " × ".join(map(str, weights.shape[1:-2]))
        weights = weights.flatten(1, -3)  # [batch, head, query, key]
        note = note or _AS_HEADS.format(name or owner.path or type(owner.module).__name__, n_maps, weights.shape[1])
    return Call(name or owner.path, route, Weights(weights), note, causal=causal)


def n_heads_of(owner: Owner) -> int:
    """Return how many heads a module, or its parent, tells of; 1 where neither does."""
    counts = (getattr(module, name, None) for module in (owner.module, owner.parent) for name in HEAD_COUNTS)
    return next((n for n in counts if isinstance(n, int) and not isinstance(n, bool)), 1)
