"""Which kind of attention it is: told by the name of the module where it says so, else by shapes and strips."""

from __future__ import annotations

import re
from functools import cache

from attnwidget.capture.call import Call
from attnwidget.capture.pieces import Rows
from attnwidget.outline import Kind

_CROSS = re.compile(r"cross|enc_?dec_?att|encoder_att|enc_att|(^|[._])src_", re.IGNORECASE)
_SELF = re.compile(r"self_?att|slf_?att|masked_?att", re.IGNORECASE)
_TOWER = re.compile(r"(?:^|[._])(enc|dec)(?:oders?|s)?(?=$|[._\d])", re.IGNORECASE)
_PART = re.compile(
    r"(?:^|\.)(vision|visual|image|text|language|audio|speech|q_?former|perceiver|encoder|decoder)[a-z_]*(?=\.|$)",
    re.IGNORECASE,
)


@cache
def says_cross(name: str) -> bool:
    """Tell whether the name of a module speaks of cross-attention."""
    return bool(_CROSS.search(name))


def kind_in_pass(name: str, call: Call, past: int | None, *, n_source: int, is_pair: bool) -> Kind:
    """Tell a decoder's attention to what it has read from that to another sequence.

    Args:
        name: name of the site.
        call: one of its calls.
        past: tokens that the decoder had read before; None where nobody knows.
        n_source: tokens in the source strip.
        is_pair: whether the model has an encoder and a decoder.
    """
    if call.cross or (call.cross is None and not call.causal and says_cross(name)):
        return "cross"
    if call.cross is False or call.causal:
        return "decoder"
    n_queries, n_keys = call.attention.shape[2:]
    total = None if past is None else past + n_queries
    return "cross" if is_pair and n_keys == n_source and n_keys != total else "decoder"


def kind_of(
    name: str,
    rows: Rows,
    *,
    n_source: int,
    n_target: int,
    step: int | None,
) -> Kind:
    """Tell encoder self-attention, decoder self-attention and cross-attention apart.

    Args:
        name: name of the site.
        rows: its rows; those of one step where `step` is given, else all.
        n_source: tokens in the source strip; 0 where it is not known.
        n_target: tokens in the target strip, likewise.
        step: the decoder step that they belong to; None for a recording without steps.
    """
    cross, causal = rows.cross, rows.causal
    if cross or (cross is None and not causal and says_cross(name)):
        return "cross"
    if causal:
        return "decoder"
    towers = _TOWER.findall(name)
    tower = towers[-1].lower() if towers else ""
    is_self = cross is False or bool(_SELF.search(name))
    n_queries, n_keys = rows.n_queries, rows.n_keys
    square = n_queries == n_keys
    ahead = rows.looks_ahead(0)
    if tower == "enc" and (square or is_self):
        return "decoder" if square and rows.ends_causally() else "encoder"  # the layers of many decoders say "encoder"
    if is_self:
        later = rows.looks_ahead(max(n_keys - n_queries, 0))  # the last query is the last key
        return "encoder" if (later or causal is False) and tower != "dec" else "decoder"
    if step is not None and n_queries == 1:
        return "decoder" if n_keys == step + 1 != n_source else "cross"
    if not square or (ahead and tower == "dec"):
        return "cross"  # a decoder does not look ahead at itself
    if step is None and ahead and n_queries == n_target and n_keys == n_source:
        return "cross"
    return "encoder" if ahead else "decoder"


@cache
def tower_of(name: str) -> str:
    """Return the part of a model that a module belongs to, as in "vision"; empty where it says none."""
    found = _PART.search(name)
    return found[0].strip(".").lower() if found else ""
